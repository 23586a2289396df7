"""public-pool.io; one's own Public Pool answers alike, and `pools.hosts` of the configuration names it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.drivers.fields import count, number, tables, text
from exporter.errors import DecodeError
from exporter.units import UnixSeconds, difficulty, hashes_per_second, milliseconds, unix_seconds
from exporter.wallets.adapters.api import PoolAdapter, PoolStatistics, WorkerStatistics, json_object


class PublicPool(PoolAdapter):
    """See the module. The pool tells no rate of the wallet: it is the sum of its workers'."""

    name = "public_pool"
    adapter_version = "1.0.0"
    display_name = "Public Pool"
    currencies = ("BTC",)
    servers = {"public-pool.io": "https://public-pool.io:40557"}  # noqa: RUF012 - never changed

    def path(self, address: str) -> str:
        return f"/api/client/{address}"

    def decode(self, body: bytes) -> PoolStatistics:
        document = json_object(body)
        if "workers" not in document and "workersCount" not in document:
            raise DecodeError("answer: neither workers nor workersCount")
        workers = tuple(_worker(entry) for entry in tables(document, "workers"))
        seen = count(document, "workersCount")
        best = number(document, "bestDifficulty")
        rates = [worker.hashrate for worker in workers if worker.hashrate is not None]
        whole = len(rates) == len(workers)  # a sum of some of them would be no rate of the wallet
        times = [worker.last_share for worker in workers if worker.last_share is not None]
        return PoolStatistics(
            hashrates=(("10m", hashes_per_second(math.fsum(rates))),) if whole else (),
            workers_count=len(workers) if seen is None else int(seen),
            workers=workers,
            best_share_difficulty=None if best is None else difficulty(best),
            last_share=max(times, default=None),
        )


def _worker(entry: Mapping[str, Any]) -> WorkerStatistics:
    rate = count(entry, "hashRate", "worker")
    best = number(entry, "bestDifficulty", "worker")
    return WorkerStatistics(
        name=text(entry, "name", "worker") or "",
        hashrate=None if rate is None else hashes_per_second(rate),
        best_share_difficulty=None if best is None else difficulty(best),
        last_share=_time(entry.get("lastSeen")),
    )


def _time(value: object) -> UnixSeconds | None:
    """A time as the pool's versions write it: ISO 8601, or milliseconds since 1970."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return unix_seconds(milliseconds(value))
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise DecodeError("worker.lastSeen: expected a time") from error
    return unix_seconds((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
