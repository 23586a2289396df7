"""Single facts in the module strings of Avalon miners: power, fans, air, memory, work mode.

Sources: Canaan Avalon Nano3s vendor source (driver-avalon.c) for home miners, the published description of the log for
the A10 to A12, captured answers for the layout of PS per product.
"""

from __future__ import annotations

import re
from typing import Any, Final

from exporter.drivers.families.avalon_boards import is_controller
from exporter.drivers.families.avalon_mm import Module, positive
from exporter.model import Fan, Psu, Temperature
from exporter.units import (
    Bytes,
    Watts,
    amperes,
    celsius,
    centivolts,
    decibel_milliwatts,
    kibibytes,
    millivolts,
    percent,
    rpm,
    watts,
)

_HOME_MODES: Final = ("eco", "standard", "super")
_A_SERIES_MODES: Final = ("normal", "high")
#: The Nano 3 has levels of 60, 90 and 125 W instead of modes.
_NANO3_LEVELS: Final = ("low", "medium", "high")
#: BOOTBY of the A10 to A15 (published log description); home miners share the first byte's format, not its names.
_BOOT_REASONS: Final = (
    "clear",
    "power_on",
    "overheat",
    "network_failure",
    "web",
    "api",
    "options",
    "polling",
    "pool_inactive",
    "low_memory",
    "unknown",
)


def is_nano3(module: Module) -> bool:
    """The Nano 3 (not 3S), whose power fields lie elsewhere."""
    return (module.text("Ver") or "").lower().startswith("nano3-")


def first_of(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def work_mode(module: Module, *, home: bool) -> tuple[str | None, tuple[str, ...]]:
    modes: tuple[str, ...] = _HOME_MODES if home else _A_SERIES_MODES
    number = first_of(module.number("WORKMODE"), module.number("MODE"))
    if number is None and is_nano3(module):
        modes, number = _NANO3_LEVELS, module.number("WORKLEVEL")
    if number is None:
        return None, ()
    index = int(number)
    return (modes[index] if 0 <= index < len(modes) else f"mode_{index}"[:16]), modes


# --- power ----------------------------------------------------------------------------------------------------------


def wall_power(module: Module) -> Watts | None:
    """Wall power. Seven values in PS: the last one, on the Nano 3 the last but one. Six values: no wall figure.

    Zero is no figure: a controller that answers draws something.
    """
    wall = positive(module.number("WALLPOWER"))
    supply = module.numbers("PS")
    if wall is None and len(supply) >= 7:
        wall = positive(supply[5] if is_nano3(module) else supply[6])
    return None if wall is None else watts(wall)


def psus(module: Module) -> tuple[Psu, ...]:
    """Output of the supply: volts in hundredths (thousandths on the Nano 3S), amperes whole.

    The Nano 3 orders its figures differently and is left out; no supply that answers writes only zeros.
    """
    supply = module.numbers("PS")
    if len(supply) < 6 or is_nano3(module) or not any(supply):
        return ()
    small = (module.text("Ver") or "").lower().startswith("nano")
    volts = millivolts(supply[2]) if small else centivolts(supply[2])
    return (Psu(output_voltage=volts, output_current=None if supply[3] < 0 else amperes(supply[3])),)


# --- fans and surroundings ---------------------------------------------------------------------------------------


def fans(modules: tuple[Module, ...]) -> tuple[Fan, ...]:
    """Fan1.. of a miner with one common drive level, or the one fan of each A7 to A9 module."""
    fans = []
    for module in modules:
        level = module.count("FanR")
        duty = None if level is None else percent(level)
        numbered = [key for key in module.tokens if re.fullmatch(r"Fan\d", key)]
        if is_controller(modules):
            speed = module.count("Fan")
            fans.append(Fan(module.name, None if speed is None else rpm(speed), duty))
            continue
        for key in numbered:
            speed = module.count(key)
            fans.append(Fan(key[3:], None if speed is None else rpm(speed), duty))
        if not numbered and duty is not None:
            fans.append(Fan("1", None, duty))
    return tuple(fans)


def environment(module: Module, *, home: bool) -> tuple[Temperature, ...]:
    """Air temperatures. Temp is the ambient one on the A10 to A15; on the Nano 3 nobody says what it is."""
    keys = [("ITemp", "inlet"), ("OTemp", "outlet")]
    if not home:
        keys.append(("Temp", "ambient"))
    found = ((position, module.air_temperature(key)) for key, position in keys)
    return tuple(Temperature(position, celsius(value)) for position, value in found if value is not None)


def fault_light(modules: tuple[Module, ...]) -> bool | None:
    """Led of the A series: 1 while the locate light is on. The light of home miners is decoration."""
    lights = [module.number("Led") for module in modules]
    told = [light for light in lights if light is not None]
    return any(told) if told else None


def free_memory(module: Module, *, home: bool) -> tuple[tuple[str, Bytes], ...]:
    """MEMFREE is in KiB on the Linux-based home miners; the unit of the A series is not published."""
    free = module.count("MEMFREE") if home else None
    return () if free is None else (("system", kibibytes(free)),)


def wifi_signal(module: Module) -> Any:
    signal = module.number("RSSI")
    return decibel_milliwatts(signal) if signal is not None and signal < 0 else None


def reset_reason(module: Module, *, home: bool) -> str | None:
    """BOOTBY "0x0A.00000002": the first byte is the reason, by number where it has no published name."""
    words = (module.text("BOOTBY", 16) or "").partition(".")[0]
    if not re.fullmatch(r"0x[0-9A-Fa-f]{2}", words):
        return None
    number = int(words, 16)
    return words.lower() if home or number >= len(_BOOT_REASONS) else _BOOT_REASONS[number]
