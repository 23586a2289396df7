"""Bitmain's `stats` on TCP 4028, of all generations from the S7 to the S21.

STATS[0] names the device, STATS[1] holds its figures under keys numbered by slot: boards from 1 (S9: 6 to 8), fans
from 1 (S9: 3 and 6). Source: captured replies; a zero in a slot's key means that the slot is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.bitmain_units import (
    RateUnit,
    dead_chips,
    rate_unit,
    sensor,
    sensor_row,
)
from exporter.drivers.families.cgminer_records import find_records, told
from exporter.model import Board, Fan, Identity, MinerState, Reading, Temperature
from exporter.units import Celsius, HashesPerSecond, Hertz, Watts, celsius, megahertz, rpm, seconds, watts

WHERE: Final = "rpc stats"
#: Keys that a slot with a board has, by its number. No firmware has more than 16 slots or fans.
_SLOTS: Final = tuple(
    (slot, tuple(f"chain_{name}{slot}" for name in ("acn", "acs", "rate", "opencore_", "xtime")))
    for slot in range(1, 17)
)
_FANS: Final = tuple((number, f"fan{number}") for number in range(1, 17))
#: Firmwares with more fan keys than this list slots, most of them without a fan.
_FITTED_FANS: Final = 4
#: "Mode" of an S17 generation miner that sleeps.
_SLEEPING_MODE: Final = 254
#: A miner without a rate is starting up for so long.
STARTING_SECONDS: Final = 300.0

#: Keys of STATS[1] that are left out, and why.
UNUSED_STATS_KEYS: Final = (
    ("STATS", "number of the record"),
    ("ID", "name of the driver"),
    ("Calls", "statistics of the driver"),
    ("Wait", "statistics of the driver"),
    ("Max", "statistics of the driver"),
    ("Min", "statistics of the driver"),
    ("GHS 30m", "an average; Prometheus averages"),
    ("rate_30m", "an average; Prometheus averages"),
    ("Ex Hash Rate", "empty"),
    ("miner_count", "boards found, counted from the boards"),
    ("temp_num", "sensors found"),
    ("temp_max*", "extreme of what the boards tell"),
    ("total_freqavg", "mean of what the boards tell"),
    ("total_acn", "sum of what the boards tell"),
    ("total rate", "the average or the sum of the boards"),
    ("total_rate", "the sum of the boards"),
    ("Device Hardware%", "ratio of two counters"),
    ("Voltage", "not told whether set or measured"),
    ("temp_pic*", "sensor of the board's controller, its scale differs by model"),
    ("chain_offside_*", "internals of a board"),
    ("chain_xtime*", "internals of a board"),
    ("chain_opencore_*", "internals of a board"),
    ("miner_version", "the version again"),
    ("miner_id", "number of the control board's chip; the MAC identifies"),
)


# --- who ---------------------------------------------------------------------------------------------------------


def decode_type(document: Any, name: str, where: str) -> Identity:
    """Model and build of the first record of `stats` (STATS) or `version` (VERSION).

    The type may have a second line ("Antminer S9\\nV1.3.58"); the build is known by its time.
    """
    records = find_records(document, name, where)
    record = records[0] if records else {}
    raw = record.get("Type")
    if isinstance(raw, str):
        raw = (raw.strip().splitlines() or [""])[0]
    model = told({"Type": raw}, "Type", where)
    build = told(record, "CompileTime", where) or told(record, "Miner", where)
    return Identity(
        make="Bitmain" if model is not None and model.lower().startswith("antminer") else None,
        model=model,
        firmware_version=None if build is None else " ".join(build.split()),
    )


# --- figures -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stats:
    """What `stats` told, beside the reading the things that its caller judges.

    Attributes:
        unit: of the device's rates, None where it is not certain.
        raw_rate: "GHS 5s" in whatever unit, None where not told.
    """

    reading: Reading
    unit: RateUnit | None
    raw_rate: float | None


def figures(document: Any, where: str = WHERE) -> dict[str, Any]:
    """The record with the figures: the second one; where a firmware sends one only, that."""
    records = find_records(document, "STATS", where)
    return next((record for record in records[1:] if "Elapsed" in record), records[0] if records else {})


def decode_stats(document: Any, model: str | None = None) -> Stats:
    """The `stats` reply. `model` helps where the reply does not name one.

    Raises:
        DecodeError: no STATS, or a value of the wrong kind.
    """
    identity = decode_type(document, "STATS", WHERE)
    record = figures(document)
    unit = rate_unit(told(record, "rate_unit", WHERE), identity.model or model)
    raw = fields.count(record, "GHS 5s", WHERE)
    average = fields.count(record, "GHS av", WHERE)
    ideal = fields.count(record, "total_rateideal", WHERE)
    elapsed = fields.count(record, "Elapsed", WHERE)
    boards = tuple(_board(record, slot, unit, idle=raw == 0) for slot in slots(record))
    asleep = raw == 0 and fields.number(record, "Mode", WHERE) == _SLEEPING_MODE if _numeric(record, "Mode") else False
    fans = decode_fans(record)
    fan_number = fields.count(record, "fan_num", WHERE)
    reading = Reading(
        identity=identity,
        state=MinerState.CURTAILED if asleep else mining_state(raw, elapsed),
        expected_mining=False if asleep else None,
        mining_uptime=None if elapsed is None else seconds(elapsed),
        hashrate=_rate(raw, unit),
        hashrate_average=_rate(average, unit),
        hashrate_expected=_rate(ideal or None, unit),
        hardware_errors=fields.count(record, "no_matching_work", WHERE),
        power=_power(record),
        fans=fans,
        fans_expected=fan_number if fan_number and fans else None,
        boards=boards,
    )
    return Stats(reading, unit, raw)


def mining_state(rate: float | None, elapsed: float | None) -> MinerState:
    """The state that a rate tells: a fresh mining process without a rate is starting."""
    if rate is None:
        return MinerState.UNKNOWN
    if rate > 0:
        return MinerState.MINING
    return MinerState.STARTING if elapsed is not None and 0 < elapsed <= STARTING_SECONDS else MinerState.IDLE


def _rate(value: float | None, unit: RateUnit | None) -> HashesPerSecond | None:
    return None if value is None or unit is None else unit(value)


def _numeric(record: Mapping[str, Any], key: str) -> bool:
    """Whether the key holds a number: "Mode" is one, or the letter of a mode ("H")."""
    value = record.get(key)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _power(record: Mapping[str, Any]) -> Watts | None:
    """ "chain_power" is the sum of the boards, with its unit: "3250 W"."""
    words = told(record, "chain_power", WHERE)
    if words is None:
        return None
    value = fields.count({"chain_power": words.upper().removesuffix("W").strip()}, "chain_power", WHERE)
    return watts(value) if value else None


def decode_fans(record: Mapping[str, Any]) -> tuple[Fan, ...]:
    """The fans by the number of their key.

    A fan that stands still counts where the keys are those of the fitted fans (new firmwares) and another one turns;
    all at 0 are a liquid-cooled or a sleeping miner, whose fans tell nothing.
    """
    speeds = {number: fields.count(record, key, WHERE) for number, key in _FANS if key in record}
    if not any(speeds.values()):
        return ()
    shown = {n: s for n, s in speeds.items() if s is not None and (s > 0 or len(speeds) <= _FITTED_FANS)}
    return tuple(Fan(str(number), rpm(speed)) for number, speed in shown.items())


# --- boards ------------------------------------------------------------------------------------------------------


def slots(record: Mapping[str, Any]) -> list[int]:
    """The slots that hold a board: chips, a rate or marks, or (asleep) at least the keys of a board that was found."""
    return [slot for slot, keys in _SLOTS if any(key in record for key in keys) and _holds_board(record, slot)]


def _holds_board(record: Mapping[str, Any], slot: int) -> bool:
    chips = fields.count(record, f"chain_acn{slot}", WHERE)
    marks, rate = told(record, f"chain_acs{slot}", WHERE, 4096), told(record, f"chain_rate{slot}", WHERE)
    serial = told(record, f"chain_SN{slot}", WHERE)
    found = f"chain_xtime{slot}" in record or f"chain_opencore_{slot}" in record
    return bool(chips) or marks is not None or rate is not None or serial is not None or found


def _board(record: Mapping[str, Any], slot: int, unit: RateUnit | None, *, idle: bool) -> Board:
    rate = fields.count(record, f"chain_rate{slot}", WHERE)
    ideal = fields.count(record, f"chain_rateideal{slot}", WHERE)
    hashing = rate > 0 if rate is not None else (False if idle else None)
    bad = dead_chips(told(record, f"chain_acs{slot}", WHERE, 4096), hashing=hashing is True)
    boards, chips = _temperatures(record, slot)
    return Board(
        board=str(slot),
        up=hashing,
        serial=told(record, f"chain_SN{slot}", WHERE),
        hashrate=_rate(rate, unit),
        hashrate_expected=_rate(ideal or None, unit),
        chips_working=fields.count(record, f"chain_acn{slot}", WHERE),
        chips_bad=None if bad is None else (("dead", bad),),
        temperatures=boards,
        # A lone figure is that of the hottest chip: the S17 tells it beside its four sensors.
        chip_temperature_min=min(chips) if len(chips) > 1 else None,
        chip_temperature_avg=celsius(sum(chips) / len(chips)) if len(chips) > 1 else None,
        chip_temperature_max=max(chips, default=None),
        frequency=_frequency(record, slot),
        hardware_errors=fields.count(record, f"chain_hw{slot}", WHERE),
    )


def _frequency(record: Mapping[str, Any], slot: int) -> Hertz | None:
    """The mean clock of the board, else the one that is set for all. Ethash models tell their memory's ("1600M")."""
    found = [fields.count(record, f"{name}{slot}", WHERE) for name in ("freq_avg", "freq", "frequency")]
    words = told(record, "frequency", WHERE)
    if words is not None and not words.upper().endswith("M"):
        found.append(fields.count(record, "frequency", WHERE))
    value = next((value for value in found if value), None)
    return None if value is None else megahertz(value)


def _temperatures(record: Mapping[str, Any], slot: int) -> tuple[tuple[Temperature, ...], list[Celsius]]:
    """PCB sensors by position, and the chip sensors.

    New firmwares tell all sensors in one text. Older ones tell `temp` (PCB) and `temp2_` (chip), some a second pair
    `temp3` and `temp4_`; in between, `temp3_` is a copy of the chip's, which the one text makes needless.
    """
    rows = [sensor_row(record, f"{name}{slot}", WHERE) for name in ("temp_pcb", "temp_chip")]
    pairs = [sensor(record, f"{name}{slot}", WHERE) for name in ("temp", "temp2_", "temp3_", "temp3", "temp4_")]
    board, chip = rows
    if f"temp_pcb{slot}" not in record:
        board = [pairs[0], *([pairs[2] or pairs[3]] if pairs[4] is not None else [])]
    if f"temp_chip{slot}" not in record:
        chip = [pairs[1], pairs[4]]
    placed = tuple(Temperature(str(index), value) for index, value in enumerate(board) if value is not None)
    return placed, [value for value in chip if value is not None]
