"""What a Whatsminer adds to the plain CGMiner API: its ``summary`` holds fans, power, limits and error codes.

Sources: MicroBT's API descriptions as compared in the protocol notes; captured answers of M3 to M60.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_records import WINDOWS, hashrate_of, told
from exporter.model import DeviceError, Fan, Identity, Psu, Reading, Temperature, replace
from exporter.text import normal_mac
from exporter.units import (
    HashesPerSecond,
    amperes,
    celsius,
    gigahashes_per_second,
    megahashes_per_second,
    rpm,
    seconds,
    volts,
    watts,
)

_WHERE: Final = "rpc summary.SUMMARY[0]"
#: Beside the rate of the longest window, "HS RT" of MH/s firmwares is within this factor; others write TH/s.
_SAME_UNIT: Final = 100.0
#: Thousands or hundreds of an error code -> component (MicroBT's list of codes).
_COMPONENTS: Final = {
    "1": "fan",
    "2": "power",
    "3": "temperature",
    "4": "board",
    "5": "board",
    "6": "temperature",
    "7": "firmware",
    "8": "firmware",
}
_LONG_COMPONENTS: Final = {"20": "network", "21": "firmware", "23": "rate"}
_ERROR_KEY: Final = re.compile(r"Error Code \d+")
WORK_MODES: Final = ("low", "normal", "high")


def is_whatsminer(record: Mapping[str, Any]) -> bool:
    """Whether a SUMMARY record is a Whatsminer's."""
    return "Fan Speed In" in record


def complete(reading: Reading, record: Mapping[str, Any]) -> Reading:
    """`reading` completed from the SUMMARY record of a Whatsminer."""
    uptime = fields.count(record, "Uptime", _WHERE)
    power = fields.count(record, "Power", _WHERE) or fields.count(record, "Power_RT", _WHERE)
    limit = fields.count(record, "Power Limit", _WHERE)
    target = fields.count(record, "Target MHS", _WHERE)
    factory = fields.count(record, "Factory GHS", _WHERE)
    ambient = fields.number(record, "Env Temp", _WHERE)
    mode = told(record, "Power Mode", _WHERE, 16)
    return replace(
        reading,
        identity=identity_of(record),
        uptime=None if uptime is None else seconds(uptime),
        hashrate=_rate_now(record),
        hashrate_expected=megahashes_per_second(target) if target else None,
        hashrate_nameplate=gigahashes_per_second(factory) if factory else None,
        # Old firmwares write zero for "no meter".
        power=watts(power) if power else None,
        power_limit=watts(limit) if limit else None,
        work_mode=mode.lower() if mode else None,
        work_modes=WORK_MODES if mode else (),
        fans=_fans(record),
        psus=_psus(record),
        environment_temperatures=()
        if ambient is None or ambient <= -60
        else (Temperature("ambient", celsius(ambient)),),
        errors=_errors(record),
    )


def identity_of(record: Mapping[str, Any]) -> Identity:
    version = told(record, "Firmware Version", _WHERE)
    return Identity(
        mac=normal_mac(told(record, "MAC", _WHERE)),
        make="MicroBT",
        firmware="MicroBT",
        firmware_version=version.strip("'\\") if version else None,
    )


def _rate_now(record: Mapping[str, Any]) -> HashesPerSecond | None:
    """ "HS RT" is the present rate, in MH/s like the rest or in TH/s: it counts only where the average agrees.

    "MHS 5s" is a raw count and jumps by a fifth.
    """
    told = fields.count(record, "HS RT", _WHERE)
    average = fields.count(record, "MHS av", _WHERE)
    if told is not None and average and average / _SAME_UNIT < told < average * _SAME_UNIT:
        return megahashes_per_second(told)
    return hashrate_of(record, *WINDOWS, where=_WHERE)


def _fans(record: Mapping[str, Any]) -> tuple[Fan, ...]:
    """The two fans of the chassis; one that stands still beside a turning one is not fitted (one-fan models)."""
    speeds = [(name, fields.count(record, f"Fan Speed {name.title()}", _WHERE)) for name in ("in", "out")]
    turning = any(speed for _, speed in speeds)
    liquid = fields.flag(record, "Liquid Cooling", _WHERE)
    kept = [(name, speed) for name, speed in speeds if speed is not None and (speed or not (turning or liquid))]
    return tuple(Fan(name, rpm(speed)) for name, speed in kept)


def _psus(record: Mapping[str, Any]) -> tuple[Psu, ...]:
    fan = fields.count(record, "Power Fanspeed", _WHERE)
    current = fields.count(record, "Power Current", _WHERE)
    voltage_in = fields.count(record, "Power Voltage Input", _WHERE)
    current_in = fields.count(record, "Power Current Input", _WHERE)
    if fan is None and current is None and voltage_in is None:
        return ()
    return (
        Psu(
            input_voltage=volts(voltage_in) if voltage_in else None,
            input_current=None if current_in is None else amperes(current_in),
            output_current=None if current is None else amperes(current),
            fan_speed=None if fan is None else rpm(fan),
        ),
    )


def _errors(record: Mapping[str, Any]) -> tuple[DeviceError, ...]:
    """Codes the firmware reports now; factory codes are history. Codes are numbers of MicroBT's closed list."""
    codes = [fields.count(record, key, _WHERE) for key in record if _ERROR_KEY.fullmatch(key)]
    words = dict.fromkeys(str(int(code)) for code in codes if code)
    return tuple(DeviceError(word, "error", _component(word)) for word in words)


def _component(code: str) -> str:
    if len(code) >= 4:
        return _LONG_COMPONENTS.get(code[:2], "firmware")
    return _COMPONENTS.get(code[:1], "firmware")
