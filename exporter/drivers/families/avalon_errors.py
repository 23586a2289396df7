"""What Avalon firmwares report as wrong, as codes of a closed list.

ECHU holds one word of bits per hash unit, ECMM one for the controller, HASHS one per board, POWS and PS[0] one for the
power supply; CRC and COMCRC count faulty exchanges per board. The bits of ECHU up to 16 are named in Canaan's tools
for the A7 and A8 and in its repair guide; later ones and those of home miners are not published and go by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.drivers.families.avalon_mm import Module
from exporter.model import DeviceError

_WARNING: Final = "warning"
_ERROR: Final = "error"

#: Bit of ECHU -> (code, severity, component). Bit 0 says "idle" and is no error.
_HASH_UNIT: Final = {
    1: ("hash_unit_crc", _WARNING, "board"),
    2: ("hash_unit_no_fan", _ERROR, "fan"),
    3: ("hash_unit_lock", _WARNING, "board"),
    4: ("hash_unit_api_fifo_overflow", _WARNING, "board"),
    5: ("hash_unit_result_buffer_overflow", _WARNING, "board"),
    6: ("hash_unit_too_hot", _ERROR, "temperature"),
    7: ("hash_unit_was_too_hot", _WARNING, "temperature"),
    8: ("hash_unit_loop_failed", _ERROR, "board"),
    9: ("hash_unit_core_test_failed", _WARNING, "chip"),
    10: ("hash_unit_no_pmu", _ERROR, "power"),
    11: ("hash_unit_power_good_failed", _ERROR, "power"),
    12: ("hash_unit_temperature_sensor", _WARNING, "temperature"),
    13: ("hash_unit_input_voltage", _ERROR, "power"),
    14: ("hash_unit_core_voltage", _ERROR, "power"),
    15: ("hash_unit_pmu_crc", _WARNING, "power"),
    16: ("hash_unit_pll", _ERROR, "chip"),
}
#: Key -> (code, severity, component) of plain "anything but zero" fields.
_NONZERO: Final = (
    ("CRC", ("chip_crc", _WARNING, "chip")),
    ("COMCRC", ("board_crc", _WARNING, "board")),
    ("HASHS", ("hash_board_status", _ERROR, "board")),
    ("POWS", ("power_status", _ERROR, "power")),
    ("FanErr", ("fan_error", _ERROR, "fan")),
    ("PCOMM_E", ("power_communication", _WARNING, "power")),
)


def _bits(value: float) -> Iterator[int]:
    word = max(0, int(value))
    return (bit for bit in range(32) if word >> bit & 1)


def _of_hash_units(module: Module, *, home: bool) -> Iterator[DeviceError]:
    for word in module.numbers("ECHU"):
        for bit in _bits(word):
            if home or bit > max(_HASH_UNIT):
                yield DeviceError(f"hash_unit_bit_{bit}", _WARNING, "board")
            elif bit in _HASH_UNIT:
                yield DeviceError(*_HASH_UNIT[bit])


def _of_module(module: Module, *, home: bool) -> Iterator[DeviceError]:
    yield from _of_hash_units(module, home=home)
    for word in module.numbers("ECMM"):
        for bit in _bits(word):
            yield DeviceError(f"controller_bit_{bit}", _WARNING, "firmware")
    for key, error in _NONZERO:
        if any(module.numbers(key)):
            yield DeviceError(*error)
    supply = module.numbers("PS")
    if supply and supply[0]:
        yield DeviceError("power_supply", _ERROR, "power")
    if module.text("POW_I2C") == "FAILED":
        yield DeviceError("power_i2c", _WARNING, "power")


def decode_errors(modules: tuple[Module, ...], *, home: bool) -> tuple[DeviceError, ...]:
    """The errors of all modules, each code once. `home`: a Nano, Mini or Q, whose bits have no published names."""
    found = (error for module in modules for error in _of_module(module, home=home))
    return tuple({error.code: error for error in found}.values())
