"""Boards of miners that speak the plain CGMiner API: records of ``devs`` (``edevs``), and of ``stats`` per chain.

A record of ``devs`` is an ASC, PGA or GPU with its own rates; chains in ``stats`` (Innosilicon, HonorKnight, Minerva,
old Whatsminers) add chips and temperatures. Sources: cgminer API-README; captured answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields as fields_of
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_records import WINDOWS, hashrate_of, told
from exporter.model import Board, Fan, Temperature, replace
from exporter.units import HashesPerSecond, celsius, megahashes_per_second, megahertz, percent, rpm

_KINDS: Final = ("ASC", "PGA", "GPU", "CPU", "DEV")
#: An average so far above the present rate is a counter that ran over (Baikal: 683 TH/s beside 854 MH/s).
_RUN_OVER: Final = 100.0
#: Readings at or below this are sensors that are not there (-273, -83).
_NO_SENSOR: Final = -60.0


def board_temperature(record: Mapping[str, Any], key: str, where: str) -> float | None:
    """A board's temperature; 0 and -1 are what firmwares without a sensor write."""
    value = fields.number(record, key, where)
    return None if value is None or value in (0.0, -1.0) or value <= _NO_SENSOR else value


def device_boards(records: Iterable[Mapping[str, Any]], *, by_id: bool, rates: bool) -> tuple[Board, ...]:
    """The boards in the records of ``devs``.

    Args:
        by_id: number them by ID (LuxOS, Braiins) instead of by their place.
        rates: False where the unit of this firmware's rates is not certain.
    """
    listed = list(records)
    kinds = {kind for record in listed for kind in _KINDS if kind in record}
    named = [(_board_name(record, index, kinds, by_id=by_id), record) for index, record in enumerate(listed)]
    return tuple(_device_board(name, record, rates=rates) for name, record in named)


def _board_name(record: Mapping[str, Any], index: int, kinds: set[str], *, by_id: bool) -> str:
    where = "rpc devs.DEVS[]"
    identifier = told(record, "ID", where, 16)
    slot = told(record, "Slot", where, 16)
    kind = next((kind for kind in _KINDS if kind in record), None)
    number = None if kind is None else told(record, kind, where, 16)
    if by_id and identifier is not None:
        return identifier
    if slot is not None:
        return slot
    if number is None:
        return str(index)
    return number if len(kinds) == 1 or kind is None else f"{kind.lower()}{number}"


def _device_board(name: str, record: Mapping[str, Any], *, rates: bool) -> Board:
    where = "rpc devs.DEVS[]"
    rate = hashrate_of(record, *WINDOWS, where=where)
    expected = fields.count(record, "Nominal MHS", where)
    clock = fields.count(record, "Chip Frequency", where) or fields.count(record, "Frequency", where)
    board = board_temperature(record, "Temperature", where)
    if board is None:
        board = board_temperature(record, "temperature", where)
    return Board(
        board=name,
        up=_is_up(record, rate, where),
        serial=told(record, "PCB SN", where) or told(record, "SerialNumber", where),
        hashrate=rate if rates else None,
        hashrate_expected=megahashes_per_second(expected) if expected and rates else None,
        chips_working=fields.count(record, "Effective Chips", where),
        temperatures=() if board is None else (Temperature("board", celsius(board)),),
        chip_temperature_min=_chip_temperature(record, "Chip Temp Min", where),
        chip_temperature_avg=_chip_temperature(record, "Chip Temp Avg", where),
        chip_temperature_max=_chip_temperature(record, "Chip Temp Max", where),
        frequency=megahertz(clock) if clock else None,
        hardware_errors=fields.count(record, "Hardware Errors", where),
    )


def _is_up(record: Mapping[str, Any], rate: HashesPerSecond | None, where: str) -> bool | None:
    """Present and hashing: enabled, alive, and with a rate above zero where it tells one."""
    status = told(record, "Status", where)
    enabled = fields.flag(record, "Enabled", where)
    if status is None:
        return None if rate is None else rate > 0
    return status.lower() == "alive" and enabled is not False and (rate is None or rate > 0)


def _chip_temperature(record: Mapping[str, Any], key: str, where: str) -> Any:
    value = fields.number(record, key, where)
    return None if value is None or value <= 0 else celsius(value)


def summed_rate(records: Iterable[Mapping[str, Any]], *names: str) -> HashesPerSecond | None:
    """The sum of all devices' rates over the first of `names` that every device tells; None where there is none.

    An average that ran over in one device spoils the sum and is no value.
    """
    listed = list(records)
    for name in names:
        rates = [hashrate_of(record, name, where="rpc devs.DEVS[]") for record in listed]
        told = [rate for rate in rates if rate is not None]
        if not told or len(told) < len(listed):
            continue
        if any(_ran_over(record, rate) for record, rate in zip(listed, told, strict=True)):
            return None
        return HashesPerSecond(sum(told))
    return None


def _ran_over(record: Mapping[str, Any], rate: float) -> bool:
    now = hashrate_of(record, *WINDOWS[:-1], where="rpc devs.DEVS[]")
    return bool(now) and now is not None and rate > _RUN_OVER * now


# --- chains in stats ---------------------------------------------------------------------------------------------


def is_chain(record: Mapping[str, Any]) -> bool:
    """Whether a record of ``stats`` tells of one chain (and not of a pool or of the whole miner)."""
    return any(key in record for key in ("Num chips", "Chip Count", "chip_num"))


def chain_boards(records: Iterable[Mapping[str, Any]], *, rates: bool) -> tuple[Board, ...]:
    """The boards in those records of ``stats`` that tell of chains."""
    chains = [record for record in records if is_chain(record)]
    return tuple(_chain_board(record, index, rates=rates) for index, record in enumerate(chains))


def _chain_board(record: Mapping[str, Any], index: int, *, rates: bool) -> Board:
    where = "rpc stats.STATS[]"
    name = told(record, "Chain ID", where, 16) or told(record, "slot", where, 16) or str(index)
    chips = fields.count(record, "Num active chips", where)
    chips = fields.count(record, "Chip Count", where) if chips is None else chips
    if chips is None:
        chips = fields.count(record, "chip_model_effective_count", where)
    expected = fields.count(record, "Num chips", where)
    expected = fields.count(record, "chip_num", where) if expected is None else expected
    board = board_temperature(record, "temp_1", where)
    clock = fields.count(record, "Device Freq", where) or fields.count(record, "freqs_avg", where)
    mean = _chip_temperature(record, "Temp", where) or _chip_temperature(record, "Temp Avg", where)
    # "MHS av" beside no shorter window is cores times clock, a theory.
    rate = hashrate_of(record, *WINDOWS[:-1], where=where)
    disabled = fields.flag(record, "Disabled", where)
    status = told(record, "Status", where)
    up = None if status is None else status.lower() == "alive" and (rate is None or rate > 0)
    return Board(
        board=name,
        up=False if disabled else up,
        hashrate=rate if rates else None,
        chips_working=chips,
        chips_expected=expected,
        temperatures=() if board is None else (Temperature("board", celsius(board)),),
        chip_temperature_min=_chip_temperature(record, "Temp min", where),
        chip_temperature_avg=mean,
        chip_temperature_max=_chip_temperature(record, "Temp max", where),
        frequency=megahertz(clock) if clock else None,
        hardware_errors=fields.count(record, "Hardware Errors", where),
    )


_FAN_SPEED: Final = re.compile(r"Fan ?(\d+)(?: (?:rpm|Speed))?")


def chain_fans(records: Iterable[Mapping[str, Any]]) -> tuple[Fan, ...]:
    """Fans as the chains tell them, each number once: "Fan0 rpm", "Fan0 Speed", and "Fan duty" (percent) for all.

    Where only the drive level is told there is one fan per chain.
    """
    where = "rpc stats.STATS[]"
    fans: dict[str, Fan] = {}
    for index, record in enumerate(record for record in records if is_chain(record)):
        level = fields.count(record, "Fan duty", where)
        level = fields.count(record, "Fan Duty", where) if level is None else level
        duty = None if level is None else percent(level)
        speeds = {match[1]: key for key in record if (match := _FAN_SPEED.fullmatch(key))}
        for number, key in speeds.items():
            speed = fields.count(record, key, where)
            fans.setdefault(number, Fan(number, None if speed is None else rpm(speed), duty))
        if not speeds and duty is not None:
            fans.setdefault(str(index), Fan(str(index), None, duty))
    return tuple(fans.values())


def record_fans(record: Mapping[str, Any], where: str) -> tuple[Fan, ...]:
    """Numbered fans in one record ("Fan1": 3300 in the summary of a StrongU)."""
    found = {match[1]: key for key in record if (match := _FAN_SPEED.fullmatch(key))}
    speeds = ((number, fields.count(record, key, where)) for number, key in found.items())
    return tuple(Fan(number, rpm(speed)) for number, speed in speeds if speed is not None)


def join_boards(first: tuple[Board, ...], second: tuple[Board, ...]) -> tuple[Board, ...]:
    """`first` completed from `second`: by number, or by place where the numbers begin elsewhere."""
    if not first or not second:
        return first or second
    numbers = {board.board for board in first}
    if not any(board.board in numbers for board in second) and len(first) == len(second):
        second = tuple(replace(board, board=own.board) for own, board in zip(first, second, strict=True))
    more = {board.board: board for board in second}
    joined = tuple(_completed(board, more.pop(board.board, None)) for board in first)
    return joined + tuple(more.values())


def _completed(board: Board, other: Board | None) -> Board:
    if other is None:
        return board
    changes = {
        item.name: getattr(other, item.name)
        for item in fields_of(Board)
        if getattr(board, item.name) in (None, ()) and getattr(other, item.name) not in (None, ())
    }
    return replace(board, **changes)
