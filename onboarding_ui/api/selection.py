"""Which miners of the flock a query means, and in which order. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any, Final

from exporter.engine.fleet import MinerRecord
from onboarding_ui.api.miner_shapes import MinersQuery
from onboarding_ui.api.summary import figures, status


def selected(records: Iterable[MinerRecord], query: MinersQuery, monotonic: float) -> list[MinerRecord]:
    """The records that fit, in order; paging is the caller's."""
    found = [record for record in records if _fits(record, query, monotonic)]
    for text in query.label:
        name, _, value = text.partition(":")
        found = [record for record in found if (name, value) in record.labels]
    if query.q is not None and (wanted := query.q.strip().casefold()):
        found = [record for record in found if wanted in _words(record)]
    return _ordered(found, query.sort, monotonic)


def _fits(record: MinerRecord, query: MinersQuery, monotonic: float) -> bool:
    if query.enabled_only and not query.include_disabled and not record.enabled:
        return False
    if query.driver is not None and record.driver != query.driver:
        return False
    if query.managed is not None and record.managed != query.managed:
        return False
    if query.status is not None and status(record, monotonic) != query.status:
        return False
    return query.state is None or figures(record, monotonic)["state"] == query.state


def _words(record: MinerRecord) -> str:
    identity = record.identity
    parts = (record.name, record.key, record.address, identity.mac, identity.make, identity.model, record.driver)
    return "\n".join(part for part in parts if part is not None).casefold()


def _address(record: MinerRecord) -> tuple[int, int, str] | None:
    if record.address is None:
        return None
    try:
        where = ipaddress.ip_address(record.address)
    except ValueError:
        return 0, 0, record.address
    return where.version, int(where), ""


#: What a field of the record is sorted by; None where it is unknown. All others are live figures.
_KEYS: Final[dict[str, Callable[[MinerRecord], Any]]] = {
    "name": lambda record: record.name.casefold(),
    "ip_address": _address,
    "mac_address": lambda record: record.identity.mac,
    "miner_type": lambda record: record.driver,
    "status": status,
    "last_seen": lambda record: record.last_seen,
    "created_at": lambda record: record.created_at,
}


def _ordered(records: list[MinerRecord], sort: str, monotonic: float) -> list[MinerRecord]:
    name = sort.removeprefix("-")
    if name == "id":  # as they come
        return records[::-1] if sort == "-id" else records
    take = _KEYS.get(name)
    keyed = [(figures(record, monotonic)[name] if take is None else take(record), record) for record in records]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [record for _, record in known] + [record for key, record in keyed if key is None]
