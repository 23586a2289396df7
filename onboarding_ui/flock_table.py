"""The rows of the page Flock: what is shown of each miner, which of them, in which order and in which groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exporter.engine.fleet import MinerRecord
from exporter.model import Reading
from exporter.units import HashesPerSecond, Watts
from onboarding_ui.api.summary import bad_chips, hottest, live_reading, reject_ratio, shares
from onboarding_ui.flock_query import FlockQuery
from onboarding_ui.states import Seen, hashrate_part, is_offline, problems, state_of


@dataclass(frozen=True, slots=True)
class Row:
    """A miner in the list; base units, None where it does not say.

    Attributes:
        reading: what may be shown of it now.
        part: hash rate of what is expected, 0 to 1 and beyond.
        bad_chips: None where no board grades its chips.
    """

    record: MinerRecord
    reading: Reading | None
    state: Seen
    offline: bool
    problems: tuple[str, ...]
    hashrate: HashesPerSecond | None
    expected: HashesPerSecond | None
    part: float | None
    temperature: float | None
    power: Watts | None
    accepted: float | None
    rejected: float | None
    reject_ratio: float | None
    bad_chips: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share a label; `value` is None for those without it, `totals` counts only these rows."""

    value: str | None
    rows: tuple[Row, ...]


def row_of(record: MinerRecord, monotonic: float) -> Row:
    """The row of a miner at `time.monotonic()`."""
    reading = live_reading(record, monotonic)
    state, wrong, offline = state_of(record, reading), problems(record, reading), is_offline(record)
    if reading is None:
        return Row(record, None, state, offline, wrong, *(None,) * 9)
    accepted, rejected = shares(reading)
    return Row(
        record,
        reading,
        state,
        offline,
        wrong,
        reading.hashrate,
        reading.hashrate_expected,
        hashrate_part(reading),
        hottest(reading),
        reading.power,
        accepted,
        rejected,
        reject_ratio(accepted, rejected),
        bad_chips(reading),
    )


def rows_of(records: Iterable[MinerRecord], query: FlockQuery) -> list[Row]:
    """The rows a query asks for, in its order."""
    now = time.monotonic()
    rows = [row for record in records if _record_fits(record, query) and _row_fits(row := row_of(record, now), query)]
    return ordered(rows, query)


def _record_fits(record: MinerRecord, query: FlockQuery) -> bool:
    if (query.show == "active" and not record.enabled) or (query.show == "retired" and record.enabled):
        return False
    if query.show == "new" and (not record.enabled or (record.named and record.currency is not None)):
        return False
    if query.driver and record.driver != query.driver:
        return False
    if query.label and query.label not in record.labels:
        return False
    return not query.text or query.text.casefold() in _searched(record)


def _row_fits(row: Row, query: FlockQuery) -> bool:
    return (not query.state or row.state.slug == query.state) and (query.show != "problems" or bool(row.problems))


def _searched(record: MinerRecord) -> str:
    identity = record.identity
    texts = (
        record.name, record.key, record.address, record.driver, identity.mac, identity.serial, identity.make,
        identity.model, identity.hostname, record.usb.port_path if record.usb is not None else None,
        *(value for _, value in record.labels),
    )  # fmt: skip
    return "\n".join(text for text in texts if text).casefold()


def _address_key(record: MinerRecord) -> tuple[int, ...] | None:
    parts = (record.address or "").split(".")
    return tuple(map(int, parts)) if len(parts) == 4 and all(part.isdigit() for part in parts) else None


_KEYS: Final[dict[str, Callable[[Row], Any]]] = {
    "name": lambda row: row.record.name.casefold(),
    "mac": lambda row: row.record.key,
    "address": lambda row: _address_key(row.record),
    "driver": lambda row: (row.record.driver, row.record.identity.model or ""),
    "state": lambda row: row.state.words,
    "hashrate": lambda row: row.hashrate,
    "temperature": lambda row: row.temperature,
    "power": lambda row: row.power,
    "rejects": lambda row: row.reject_ratio,
    "seen": lambda row: row.record.last_seen,
}


def ordered(rows: Sequence[Row], query: FlockQuery) -> list[Row]:
    """Rows by the query's column; those that do not say come last in both directions, equal ones by name."""
    key = _KEYS[query.column]
    by_name = sorted(rows, key=_KEYS["name"])
    known = sorted((row for row in by_name if key(row) is not None), key=key, reverse=query.descending)
    ordered_rows = known + [row for row in by_name if key(row) is None]
    if query.group:
        ordered_rows.sort(key=lambda row: _group_key(group_value(row, query.group)))
    return ordered_rows


def group_value(row: Row, label: str) -> str | None:
    """The value of a label, None where the miner has it not."""
    return next((value for name, value in row.record.labels if name == label), None)


def _group_key(value: str | None) -> tuple[bool, str]:
    return value is None, (value or "").casefold()


def groups_of(rows: Sequence[Row], label: str) -> list[Group]:
    """Rows that are in order already, cut where the label changes; one group where there is no label to group by."""
    if not label:
        return [Group(None, tuple(rows))]
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(group_value(row, label), []).append(row)
    return [Group(value, tuple(members)) for value, members in groups.items()]
