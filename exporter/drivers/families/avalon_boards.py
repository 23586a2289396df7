"""Hashboards and chips of Avalon miners, from the modules of `avalon_mm`.

From the A10 on one module ("MM ID0") holds lists with one entry per board slot: MGHS (average GH/s), MTmax and MTavg
(degC), MH (hardware errors), PVT_T0.. (degC per chip), PVT_V0.. (mV per chip). A7 to A9 controllers hold a module per
box, each of which is shown as one board. Sources: Canaan Avalon Nano3s vendor source; captured answers.
"""

from __future__ import annotations

import re
from typing import Final

from exporter.drivers.families.avalon_mm import Module, positive
from exporter.model import Board, Chip, Temperature
from exporter.units import celsius, gigahashes_per_second, megahertz, millivolts

#: A slot without a board: every sensor of it says so.
_MISSING: Final = -100.0
#: A7 chips per hash unit: "index-coolest/index-hottest/mean".
_UNIT_TEMPERATURES: Final = re.compile(r"\d+-(-?\d+)/\d+-(-?\d+)/(-?\d+)")


def is_controller(modules: tuple[Module, ...]) -> bool:
    """Whether this is a controller of the A7 to A9: its modules are numbered from 1, a miner's own is 0."""
    return bool(modules) and modules[0].name != "0"


def decode_boards(modules: tuple[Module, ...], *, hashing: bool | None) -> tuple[Board, ...]:
    """The boards. `hashing` is what the miner as a whole does: the boards' own rates are averages since the start."""
    if is_controller(modules):
        return tuple(_module_board(module) for module in modules)
    return _slots(modules[0], hashing) if modules else ()


def _module_board(module: Module) -> Board:
    """One box of the A7 to A9. Its hash rate now is not told, only the one expected at its clock (GHSmm)."""
    expected, clock = module.count("GHSmm"), positive(module.number("Freq"))
    hottest = module.chip_temperature("TMax")
    units = [tuple(map(float, found)) for found in _UNIT_TEMPERATURES.findall(module.text("PVT_T", 512) or "")]
    work = module.count("WU")
    air = module.air_temperature("Temp")
    return Board(
        board=module.name,
        up=None if work is None else work > 0,
        serial=module.text("DNA"),
        hashrate_expected=None if expected is None else gigahashes_per_second(expected),
        chips_working=module.count("TA"),
        temperatures=() if air is None else (Temperature("module", celsius(air)),),
        chip_temperature_min=celsius(min(unit[0] for unit in units)) if units else None,
        chip_temperature_avg=celsius(sum(unit[2] for unit in units) / len(units)) if units else None,
        chip_temperature_max=None if hottest is None else celsius(hottest),
        frequency=None if clock is None else megahertz(clock),
        hardware_errors=module.count("HW"),
    )


def slot_count(module: Module) -> int:
    """Board slots that the firmware lists; home miners without lists have one."""
    if module.text("TA") is None:
        return 0
    return max(1, *(len(module.numbers(key)) for key in ("MTmax", "MGHS", "HASHS")))


def _slots(module: Module, hashing: bool | None) -> tuple[Board, ...]:
    slots = slot_count(module)
    return tuple(_slot_board(module, slot, slots, hashing) for slot in range(slots))


def _at(values: tuple[float, ...], slot: int) -> float | None:
    return values[slot] if slot < len(values) else None


def chip_readings(module: Module, slot: int) -> tuple[float, ...]:
    """The chip temperatures of one board; a chip that does not answer reads -273 (or 0)."""
    return module.numbers(f"PVT_T{slot}")


def _slot_board(module: Module, slot: int, slots: int, hashing: bool | None) -> Board:
    readings = chip_readings(module, slot)
    live = [reading for reading in readings if reading > 0]
    missing = bool(readings and not live) or (_at(module.numbers("MTmax"), slot) or 0.0) < _MISSING
    hottest = positive(_at(module.numbers("MTmax"), slot))
    mean = positive(_at(module.numbers("MTavg"), slot))
    if slots == 1:
        hottest = hottest or module.chip_temperature("TMax")
        mean = mean or module.chip_temperature("TAvg")
    if live:
        hottest, mean = hottest or max(live), mean or sum(live) / len(live)
    total, clock = module.count("TA"), positive(module.number("Freq"))
    core = positive(_at(module.numbers("MVavg"), slot))
    working = float(len(live)) if readings else total if slots == 1 else None
    coolest = min(live) if live else None
    rate = _slot_rate(module, slot, slots, hashing=hashing, missing=missing)
    return Board(
        board=str(slot),
        up=False if missing else None if rate is None else rate > 0,
        chip_model=module.text("Core"),
        hashrate=None if rate is None else gigahashes_per_second(rate),
        chips_working=0.0 if missing else total if slots == 1 and total else working,
        chips_expected=float(len(readings)) if readings else _at(module.numbers("EEPROM"), slot),
        temperatures=_board_temperatures(module) if slots == 1 else (),
        chip_temperature_min=None if coolest is None else celsius(coolest),
        chip_temperature_avg=None if mean is None else celsius(mean),
        chip_temperature_max=None if hottest is None else celsius(hottest),
        voltage=None if core is None else millivolts(core),
        # The firmware tells one mean clock for all boards.
        frequency=None if clock is None or missing else megahertz(clock),
        hardware_errors=positive_or_zero(_at(module.numbers("MH"), slot)),
    )


def positive_or_zero(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _slot_rate(module: Module, slot: int, slots: int, *, hashing: bool | None, missing: bool) -> float | None:
    """GH/s. The only board's rate is the miner's own; with several there are averages, which go on while it idles."""
    if missing or hashing is False:
        return 0.0
    if slots == 1:
        now = module.count("GHSspd")
        if now is not None:
            return now
    return positive_or_zero(_at(module.numbers("MGHS"), slot))


def _board_temperatures(module: Module) -> tuple[Temperature, ...]:
    """Sensors on the only board of a home miner (Q: inlet and outlet edge, Mini 3: one)."""
    found = []
    for key, position in (("HBITemp", "inlet"), ("HBOTemp", "outlet"), ("HBTemp", "board")):
        value = module.air_temperature(key)
        if value is not None:
            found.append(Temperature(position, celsius(value)))
    return tuple(found)


def decode_chips(module: Module) -> tuple[Board, ...]:
    """The boards with nothing but their chips: temperature and core voltage as the chips' own monitors read them."""
    return tuple(Board(str(slot), chips=_chips(module, slot)) for slot in range(slot_count(module)))


def _chips(module: Module, slot: int) -> tuple[Chip, ...]:
    temperatures, cores = chip_readings(module, slot), module.numbers(f"PVT_V{slot}")
    if not any(reading > 0 for reading in temperatures):
        return ()
    return tuple(
        Chip(
            str(index),
            temperature=celsius(reading) if reading > 0 else None,
            voltage=millivolts(cores[index]) if index < len(cores) and cores[index] > 0 else None,
        )
        for index, reading in enumerate(temperatures)
    )
