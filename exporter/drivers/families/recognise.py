"""Which family a host belongs to, from the answers to the probes of discovery. Pure.

A named family without a driver of its own is polled by the driver `cgminer` where its ``summary`` and ``pools`` parse
with a certain unit; one that cannot is listed as seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers
from exporter.drivers.families.cgminer_records import WINDOWS, hashrate_of
from exporter.drivers.families.cgminer_replies import readable
from exporter.drivers.families.signatures import CGMINER, COMPILED, OWN_DRIVERS, Family
from exporter.errors import DecodeError
from exporter.text import clean_text

__all__ = ["CGMINER", "OWN_DRIVERS", "Family", "can_poll", "rates_certain", "recognise", "speaks_cgminer"]

#: Marks lie at the beginning; the rest of a long answer is not searched.
_SEARCHED: Final = 65536
_NO_ROW: Final = len(COMPILED)
#: Numbers of the rows of each place.
_ROWS_OF: Final = {
    place: tuple(number for number, (row, _, _) in enumerate(COMPILED) if row.place == place)
    for place in {row.place for row, _, _ in COMPILED}
}
#: Solution-counting algorithms: what their firmwares call MHS or GHS is no multiple of a hash (Zcash: kSol/s).
_NO_HASHES: Final = re.compile(
    r"equihash|zhash|zcash|\bzec\b|zclassic|\bzcl\b|\bzen\b|cuck[ao]|\bgrin\b|beamhash|\bbeam\b|aeternity",
    re.IGNORECASE,
)
_NO_HASHES_MAKES: Final = re.compile(r"innominer a9|innosilicon a9|antminer z\d", re.IGNORECASE)


def recognise(answers: Answers) -> Family | None:
    """The family with its model and version as far as they are told; None where no mark is found.

    Without them for a family that has a driver of its own, which tells them better.
    """
    rows = [
        _first_row(place, answer.body[:_SEARCHED], tuple(answer.headers.items()), answer.status)
        for place, answer in answers.items()
    ]
    first = min(rows, default=_NO_ROW)
    if first == _NO_ROW:
        return None
    family = COMPILED[first][0].family
    return family if family.driver_type in OWN_DRIVERS else _with_names(family, answers)


# An answer is judged again with each one that follows it, and many devices give the same one.
@functools.lru_cache(maxsize=512)
def _first_row(place: str, body: bytes, headers: tuple[tuple[str, str], ...], status: int) -> int:
    """The number of the first row that this answer matches, `_NO_ROW` where there is none."""
    text = body.decode("utf-8", "replace")
    head = "\n".join(f"{name}: {value}" for name, value in headers)
    for number in _ROWS_OF.get(place, ()):
        row, in_body, in_head = COMPILED[number]
        if row.status and status not in row.status:
            continue
        if (in_body is None or in_body.search(text)) and (in_head is None or in_head.search(head)):
            return number
    return _NO_ROW


def _records(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The records under `name`, and old firmwares' `name` with a number (POOL0, STATS0) where there are none."""
    value = document.get(name)
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list):
        return [record for record in value if isinstance(record, Mapping)]
    return []


def _with_names(family: Family, answers: Answers) -> Family:
    version = _records(readable(answers, "rpc version"), "VERSION")
    stats = _records(readable(answers, "rpc stats"), "STATS")
    about = version[0] if version else {}
    model = _text(about, "Type") or next((name for record in stats[:2] if (name := _text(record, "Type"))), None)
    number = _text(about, "Miner")
    if family.name == "Whatsminer":
        model, number = _whatsminer(answers)
    for key in ("BOSer", "BOSminer", "BOSminer+", "LUXminer", "GCMiner"):
        number = _text(about, key) or number
    info = readable(answers, "GET /api/system/info").get("identity")
    if isinstance(info, Mapping):
        model, number = _text(info, "hwModel"), _text(info, "fwVersion")
    return replace(family, model=_plain_model(model), firmware_version=number)


def _text(record: Mapping[str, Any], key: str) -> str | None:
    return clean_text(record.get(key))


def _plain_model(model: str | None) -> str | None:
    """A Type without the firmware's own name: "Antminer S9 (vnish 3.8.6)", "Antminer S9 Hiveon", "braiins-am1-s9"."""
    if model is None:
        return None
    return re.sub(r"\s*\((vnish|a\.p\.)[^)]*\)|\s+hiveon\b|^braiins-", "", model, flags=re.IGNORECASE).strip() or None


def _whatsminer(answers: Answers) -> tuple[str | None, str | None]:
    """Model and firmware of a Whatsminer, from whichever of version, devdetails and summary tells them."""
    message = readable(answers, "rpc version").get("Msg")
    told = message if isinstance(message, Mapping) else {}
    details = _records(readable(answers, "rpc devdetails"), "DEVDETAILS")
    summary = _records(readable(answers, "rpc summary"), "SUMMARY")
    model = _text(told, "miner_type") or (_text(details[0], "Model") if details else None)
    number = _text(told, "fw_ver") or (_text(summary[0], "Firmware Version") if summary else None)
    return (None if model is None else f"Whatsminer {model}"), (number.strip("'") if number else None)


# --- what the driver cgminer can poll ------------------------------------------------------------------------------


def speaks_cgminer(answers: Answers) -> bool:
    """Whether any answer on 4028 is one of the CGMiner API."""
    for key in ("rpc version", "rpc summary", "rpc pools", "rpc stats", "rpc devdetails"):
        status = readable(answers, key).get("STATUS")
        first = status[0] if isinstance(status, list) and status else status
        if isinstance(first, (str, Mapping)):
            return True
    return False


def rates_certain(*documents: Mapping[str, Any] | None) -> bool:
    """Whether the rates in these replies (summary, pools, version, stats) are multiples of a hash.

    False where a pool's URL or algorithm, or the firmware's name, is of an algorithm that counts solutions.
    """
    for document in documents:
        if not document:
            continue
        status = document.get("STATUS")
        first = status[0] if isinstance(status, list) and status else status
        names = [_text(first, "Description")] if isinstance(first, Mapping) else []
        told = (*_records(document, "VERSION"), *_records(document, "STATS")[:1])
        names.extend(_text(record, "Type") for record in told)
        if any(name and _NO_HASHES_MAKES.search(name) for name in names):
            return False
        for pool in pool_records(document):
            if _solves(pool):
                return False
    return True


def _solves(pool: Mapping[str, Any]) -> bool:
    """Whether this is a pool in use whose algorithm counts solutions."""
    names = (pool.get("Algorithm"), pool.get("Algorithm Type"), pool.get("URL"), pool.get("url"))
    return any(isinstance(name, str) and _NO_HASHES.search(name) for name in names)


def pool_records(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records of a ``pools`` reply; Innosilicon's first firmware writes each under a key of its own (POOL0)."""
    records = _records(document, "POOLS")
    if records:
        return records
    return [record for key in document if re.fullmatch(r"POOL\d+", key) for record in _records(document, key)]


def can_poll(answers: Answers) -> bool:
    """Whether ``summary`` and ``pools`` are there, parse, and tell hash rates in a certain unit."""
    summary, pools = readable(answers, "rpc summary"), readable(answers, "rpc pools")
    records = _records(summary, "SUMMARY")
    if not records or not pool_records(pools):
        return False
    try:
        told = hashrate_of(records[0], *WINDOWS, where="rpc summary") is not None
        fields.count(records[0], "Elapsed", "rpc summary")
    except DecodeError:
        return False
    return told and rates_certain(summary, pools, readable(answers, "rpc version"), readable(answers, "rpc stats"))
