"""Commands that some firmwares add to the CGMiner API: ``fans``, ``temps``, ``power`` and ``config``.

BOSminer: FANS[].RPM and Speed (percent), TEMPS[].Board and Chip (0 = unknown). LuxOS: the same FANS, TEMPS with the
four corners of a board, POWER[0].Watts, CONFIG[0] with names and limits. Auradine: Fan[] and IPReport[0]. Sources:
captured answers.
"""

from __future__ import annotations

from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_boards import board_temperature
from exporter.drivers.families.cgminer_records import find_records, told
from exporter.model import Board, Fan, Identity, Reading, Temperature
from exporter.text import normal_mac
from exporter.units import Watts, celsius, percent, rpm, terahashes_per_second, watts

_CORNERS: Final = (
    ("TopLeft", "top_left"),
    ("TopRight", "top_right"),
    ("BottomLeft", "bottom_left"),
    ("BottomRight", "bottom_right"),
)


def decode_fans(document: Any, *, empty_slots: bool) -> tuple[Fan, ...]:
    """FANS. `empty_slots`: a firmware that lists sockets without a fan (BOSminer) writes 0 rpm for them."""
    found = []
    for record in find_records(document, "FANS", "rpc fans"):
        name = told(record, "FAN", "rpc fans.FANS[]", 16)
        speed = fields.count(record, "RPM", "rpc fans.FANS[]")
        duty = fields.count(record, "Speed", "rpc fans.FANS[]")
        if name is None or (empty_slots and not speed):
            continue
        number = name.upper().removeprefix("FAN")
        found.append(Fan(number, None if speed is None else rpm(speed), None if duty is None else percent(duty)))
    return tuple(found)


def decode_auradine_fans(document: Any) -> tuple[Fan, ...]:
    """Fan of Auradine: ID from 1, Speed in rpm; Max and Target are rpm too."""
    found = []
    for record in find_records(document, "Fan", "rpc fan"):
        name, speed = told(record, "ID", "rpc fan.Fan[]", 16), fields.count(record, "Speed", "rpc fan.Fan[]")
        if name is not None and speed is not None:
            found.append(Fan(name, rpm(speed)))
    return tuple(found)


def decode_ipreport(document: Any) -> Identity:
    """IPReport[0] of Auradine: who the miner is."""
    where = "rpc ipreport.IPReport[0]"
    records = find_records(document, "IPReport", "rpc ipreport")
    record = records[0] if records else {}
    return Identity(
        mac=normal_mac(told(record, "mac", where)),
        serial=told(record, "SerialNo", where),
        model=told(record, "model", where),
        firmware_version=told(record, "version", where),
        hostname=told(record, "hostname", where),
    )


def decode_temps(document: Any) -> tuple[Board, ...]:
    """TEMPS as boards that hold nothing but temperatures."""
    where = "rpc temps.TEMPS[]"
    boards = []
    for record in find_records(document, "TEMPS", "rpc temps"):
        name = told(record, "ID", where, 16)
        if name is None:
            continue
        found = [(key, position) for key, position in (("Board", "board"), *_CORNERS) if key in record]
        readings = ((position, board_temperature(record, key, where)) for key, position in found)
        chip = board_temperature(record, "Chip", where)
        boards.append(
            Board(
                name,
                temperatures=tuple(
                    Temperature(place, celsius(value)) for place, value in readings if value is not None
                ),
                chip_temperature_max=None if chip is None else celsius(chip),
            )
        )
    return tuple(boards)


def decode_power(document: Any) -> Watts | None:
    """POWER[0].Watts, measured or estimated by the firmware."""
    records = find_records(document, "POWER", "rpc power")
    value = fields.count(records[0], "Watts", "rpc power.POWER[0]") if records else None
    return None if value is None else watts(value)


def decode_config(document: Any) -> Reading:
    """CONFIG[0] of LuxOS: who the miner is, its nameplate and the chosen profile."""
    where = "rpc config.CONFIG[0]"
    records = find_records(document, "CONFIG", "rpc config")
    if not records:
        return Reading()
    record = records[0]
    nameplate = fields.count(record, "NameplateTHS", where)
    curtailed = told(record, "CurtailMode", where, 16)
    return Reading(
        identity=Identity(
            mac=normal_mac(told(record, "MACAddr", where)),
            serial=told(record, "SerialNumber", where),
            model=told(record, "Model", where),
            hostname=told(record, "Hostname", where),
        ),
        hashrate_nameplate=terahashes_per_second(nameplate) if nameplate else None,
        work_mode=told(record, "Profile", where, 32),
        expected_mining=None if curtailed is None else curtailed.lower() == "none",
    )
