"""The reading of a miner that speaks the CGMiner API: ``summary`` and ``pools``, joined with what else it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, DecodeContext
from exporter.drivers.families import bitmain, whatsminer
from exporter.drivers.families import cgminer_boards as boards
from exporter.drivers.families import cgminer_extras as extras
from exporter.drivers.families.cgminer_records import (
    WINDOWS,
    decode_pools,
    decode_summary,
    find_records,
    hashrate_of,
)
from exporter.drivers.families.cgminer_replies import reply
from exporter.drivers.families.recognise import pool_records, rates_certain
from exporter.errors import DecodeError
from exporter.model import Board, Fan, MinerState, Pool, Reading, replace
from exporter.units import HashesPerSecond

#: Details that the driver keeps with a miner.
FAMILY: Final = "family"
API: Final = "api"
TEXT: Final = "text"

_BY_ID: Final = ("LuxOS", "Braiins OS")
#: Command -> name of its records where that is not the command in capitals.
_RECORDS: Final = {"fan": "Fan", "ipreport": "IPReport"}
_STATUS_KEYS: Final = ("rpc summary", "rpc pools", "rpc devs", "rpc edevs", "rpc stats")


def stats_records(document: Any | None) -> list[dict[str, Any]]:
    """The records of ``stats``; Innosilicon's first firmware writes each under a key of its own (STATS0)."""
    if document is None:
        return []
    if isinstance(document, Mapping) and document.get("STATS") is None:
        numbered = [key for key in document if re.fullmatch(r"STATS\d+", key)]
        return [record for key in numbered for record in find_records(document, key, "rpc stats")]
    return find_records(document, "STATS", "rpc stats")


def decode_cgminer_status(answers: Answers, context: DecodeContext) -> Reading:
    """The status reading.

    Raises:
        DecodeError: none of the answers tells anything of a miner.
    """
    found = {key: _answered(answers, key) for key in _STATUS_KEYS}
    if not any(found.values()):
        raise DecodeError("rpc summary: no answer, nor another one that tells of a miner")
    summary, pools, stats = found["rpc summary"], found["rpc pools"], found["rpc stats"]
    certain = rates_certain(summary, pools, stats)
    family = context.details.get(FAMILY, "")
    reading = Reading() if summary is None else _decode_summary(summary, certain=certain)
    devices = _records(found["rpc devs"], "DEVS")
    more = _records(found["rpc edevs"], "DEVS")
    reading = replace(reading, pools=() if pools is None else _decode_pools(pools, context))
    if stats is not None and is_bitmain(stats):
        reading = _with_bitmain(reading, stats, devices, family, certain=certain)
    else:
        reading = _with_devices(reading, (devices, more), stats_records(stats), family, certain=certain)
    return _with_state(_with_extras(reading, answers, family))


def _answered(answers: Answers, key: str) -> Any | None:
    """A document that is an answer: there, and not an error ("No devices", "Access denied")."""
    document = reply(answers, key)
    return document if isinstance(document, Mapping) and _names_records(document) else None


def _names_records(document: Mapping[str, Any]) -> bool:
    return any(re.fullmatch(r"(SUMMARY|POOLS|DEVS|STATS|POOL\d+|STATS\d+)", key) for key in document)


def _records(document: Any | None, name: str) -> list[dict[str, Any]]:
    return [] if document is None else find_records(document, name, f"rpc {name.lower()}")


def _decode_summary(document: Any, *, certain: bool) -> Reading:
    reading = decode_summary(document, rates=certain)
    records = find_records(document, "SUMMARY", "rpc summary")
    if not records:
        return reading
    record = records[0]
    if whatsminer.is_whatsminer(record):
        return whatsminer.complete(reading, record)
    now = hashrate_of(record, *WINDOWS, where="rpc summary") if certain else None
    found = reading.blocks_found
    if found and (accepted := fields.count(record, "Accepted", "rpc summary")) is not None and found >= accepted:
        found = None  # StrongU counts its shares there
    return replace(reading, hashrate=now, blocks_found=found, fans=boards.record_fans(record, "rpc summary"))


def _decode_pools(document: Mapping[str, Any], context: DecodeContext) -> tuple[Pool, ...]:
    if document.get("POOLS") is None:
        document = {"STATUS": document.get("STATUS"), "POOLS": pool_records(document)}
    return decode_pools(document, context)


def _with_devices(
    reading: Reading,
    answered: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    chains: list[dict[str, Any]],
    family: str,
    *,
    certain: bool,
) -> Reading:
    """Completed from ``devs`` and ``edevs`` and from the chains of ``stats``."""
    devices = answered[0] or answered[1]
    if certain and reading.hashrate is None:
        reading = replace(
            reading,
            hashrate=boards.summed_rate(devices, *WINDOWS[:-1]),
            hashrate_average=reading.hashrate_average or boards.summed_rate(devices, "av"),
        )
    told: tuple[Board, ...] = ()
    for records in answered:
        told = boards.join_boards(told, boards.device_boards(records, by_id=family in _BY_ID, rates=certain))
    told = boards.join_boards(told, boards.chain_boards(chains, rates=certain))
    return replace(reading, boards=told, fans=reading.fans or boards.chain_fans(chains))


def is_bitmain(document: Mapping[str, Any]) -> bool:
    """Whether ``stats`` is of Bitmain's kind, which Hiveon, MSKMiner, Blackminer and LuxOS share."""
    return any("fan_num" in record and "temp_num" in record for record in stats_records(document))


def _with_bitmain(
    reading: Reading, stats: Mapping[str, Any], devices: list[dict[str, Any]], family: str, *, certain: bool
) -> Reading:
    """Completed from Bitmain's kind of ``stats``. Its boards count from 1 (or 6), those of ``devs`` from 0: only
    LuxOS is known to mean the same boards by them, of the others the fuller answer is taken alone."""
    decoded = bitmain.decode_stats(_as_bitmain_writes(stats))
    found = decoded.reading
    chains = tuple(board for board in found.boards if board.chips_working or board.hashrate or board.temperatures)
    if not certain:
        chains = tuple(replace(board, hashrate=None, hashrate_expected=None) for board in chains)
    if family == "LuxOS":
        named = tuple(_without_chip_sensors(board, int(board.board) - 1) for board in chains)
        chains = boards.join_boards(boards.device_boards(devices, by_id=True, rates=certain), named)
    now, average = _rates_of(reading, decoded, bitmain.figures(stats), certain=certain)
    return replace(
        reading,
        boards=chains,
        fans=reading.fans or found.fans,
        fans_expected=found.fans_expected,
        power=reading.power if reading.power is not None else found.power,
        mining_uptime=reading.mining_uptime if reading.mining_uptime is not None else found.mining_uptime,
        hashrate=now,
        hashrate_average=average,
        hashrate_expected=found.hashrate_expected if certain else None,
        hardware_errors=reading.hardware_errors if reading.hardware_errors is not None else found.hardware_errors,
    )


def _rates_of(
    reading: Reading, decoded: bitmain.Stats, figures: Mapping[str, Any], *, certain: bool
) -> tuple[HashesPerSecond | None, HashesPerSecond | None]:
    """Present and average rate. On Bitmain's own models "GHS" is not always GH/s: there its unit decides."""
    if (decoded.reading.identity.model or "").lower().startswith("antminer"):
        return decoded.reading.hashrate, decoded.reading.hashrate_average
    if not certain:
        return None, None
    now, average = reading.hashrate, reading.hashrate_average
    return (
        hashrate_of(figures, "5s", where=bitmain.WHERE) if now is None else now,
        hashrate_of(figures, "av", where=bitmain.WHERE) if average is None else average,
    )


def _without_chip_sensors(board: Board, number: int) -> Board:
    """LuxOS repeats the board's air sensors as those of the chips, and the average as the rate."""
    return replace(
        board,
        board=str(number),
        hashrate=None,
        chip_temperature_min=None,
        chip_temperature_avg=None,
        chip_temperature_max=None,
    )


def _as_bitmain_writes(stats: Mapping[str, Any]) -> Mapping[str, Any]:
    """`stats` as Bitmain writes it: MSKMiner leaves the make out of the model ("S19-88 v.2.6.0.39"), and Hiveon's
    "chain_power" is the draw per board ("34.65 (AB)")."""
    records = []
    for record in stats_records(stats):
        name, power = record.get("Type"), record.get("chain_power")
        if isinstance(name, str) and re.match(r"[STRV]\d", name):
            record = {**record, "Type": f"Antminer {name}"}
        if isinstance(power, str) and not re.fullmatch(r"\s*[\d.]+\s*W\s*", power):
            record = {key: value for key, value in record.items() if key != "chain_power"}
        records.append(record)
    return {"STATUS": stats.get("STATUS"), "STATS": records}


def _with_extras(reading: Reading, answers: Answers, family: str) -> Reading:
    fans: tuple[Fan, ...] = ()
    temperatures: tuple[Board, ...] = ()
    power = reading.power
    if (document := _extra(answers, "fans")) is not None:
        fans = extras.decode_fans(document, empty_slots=family == "Braiins OS")
    if (document := _extra(answers, "fan")) is not None:
        fans = extras.decode_auradine_fans(document)
    if (document := _extra(answers, "temps")) is not None:
        temperatures = extras.decode_temps(document)
    if (document := _extra(answers, "power")) is not None:
        power = extras.decode_power(document)
    told = boards.join_boards(temperatures, reading.boards) if temperatures else reading.boards
    return replace(reading, fans=fans or reading.fans, boards=told, power=power)


def _extra(answers: Answers, command: str) -> Any | None:
    """The answer to an additional command; None where it is missing or refused."""
    key = f"rpc {command}"
    document = reply(answers, key)
    name = _RECORDS.get(command, command.upper())
    return None if document is None or name not in fields.as_table(document, key) else document


def _with_state(reading: Reading) -> Reading:
    """Mining or idle by the present rate; a firmware of this kind has no word for its state."""
    if reading.state is not None or reading.hashrate is None:
        return reading
    return replace(reading, state=MinerState.MINING if reading.hashrate > 0 else MinerState.IDLE)


def decode_cgminer_telemetry(answers: Answers) -> Reading:
    """What LuxOS tells in ``config``: nameplate, profile, curtailment."""
    document = _extra(answers, "config")
    if document is None:
        return Reading()
    return replace(extras.decode_config(document), identity=Reading().identity)
