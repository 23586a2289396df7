"""The door to the log of shares. The log takes calls from any thread, so the engine's loop is not asked."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Final

from exporter.engine.api.shares import Share, SharePage, ShareSums
from exporter.errors import FieldError, UnknownError
from exporter.shares.log import KEPT_DAYS, KEPT_SECONDS, ShareLog, new_share
from exporter.store.database import Database
from exporter.text import MAX_LABEL_LENGTH

_LARGEST_DIFFICULTY: Final = 1e18
_MOST: Final = 10_000
#: Clocks of two hosts differ a little.
_AHEAD: Final = 60.0


class SharesDoor:
    """`SharesApi` over the log."""

    def __init__(self, db: Database, log: ShareLog) -> None:
        self._db = db
        self._log = log

    def query(
        self,
        *,
        wallet_id: int | None = None,
        miner_id: int | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> SharePage:
        """Shares of the last 30 days, newest first; see `SharesApi.query`. Raises `FieldError`."""
        if not 0 <= limit <= _MOST:
            raise FieldError(f"limit: must be a number from 0 to {_MOST}", "limit")
        if offset < 0:
            raise FieldError("offset: must not be negative", "offset")
        _finite(since, "since")
        _finite(until, "until")
        return self._log.query(
            wallet_id=wallet_id, miner_id=miner_id, since=since, until=until, limit=limit, offset=offset
        )

    def add(
        self,
        wallet_id: int,
        *,
        pool_name: str,
        difficulty: float,
        worker_name: str | None = None,
        accepted: bool = True,
        timestamp: float | None = None,
        miner_id: int | None = None,
    ) -> Share:
        """Log a share by hand; it is on disk on return. See `SharesApi.add`."""
        if self._db.wallets.get(wallet_id) is None:
            raise UnknownError(f"no wallet has the id {wallet_id}")
        if miner_id is not None and self._db.miners.get(miner_id) is None:
            raise FieldError(f"miner_id: no miner has the id {miner_id}", "miner_id")
        now = time.time()
        return self._log.add_durably(
            new_share(
                now if timestamp is None else _within_log(timestamp, now),
                wallet_id=wallet_id,
                miner_id=miner_id,
                pool_name=_name(pool_name, "pool_name"),
                worker_name=None if worker_name is None else _name(worker_name, "worker_name"),
                difficulty=_difficulty(difficulty),
                accepted=accepted,
                source="manual",
            )
        )

    def sums(self, *, wallet_id: int | None = None, miner_id: int | None = None, hours: float = 24.0) -> ShareSums:
        """Counts over the last hours; see `SharesApi.sums`. Raises `FieldError`."""
        if not 0.0 < hours <= KEPT_DAYS * 24:
            raise FieldError(f"hours: must be more than 0 and at most {KEPT_DAYS * 24}", "hours")
        return self._log.sums(wallet_id=wallet_id, miner_id=miner_id, hours=hours)

    def export(self, since: float | None = None, until: float | None = None) -> Iterator[bytes]:
        """All shares on disk, archive included; see `SharesApi.export`. Raises `FieldError`, `StoreError`."""
        _finite(since, "since")
        _finite(until, "until")
        return self._log.export(since, until)

    def write_error(self) -> str | None:
        """Why shares are in memory only, while writing fails."""
        return self._log.write_error


def _finite(value: float | None, field: str) -> None:
    if value is not None and not 0.0 <= value <= 1e11:
        raise FieldError(f"{field}: must be a time in Unix seconds", field)


def _within_log(timestamp: float, now: float) -> float:
    if not math.isfinite(timestamp) or timestamp > now + _AHEAD:
        raise FieldError("timestamp: the time lies in the future; it is in Unix seconds (UTC)", "timestamp")
    if timestamp < now - KEPT_SECONDS:
        raise FieldError(
            f"timestamp: the time is more than {KEPT_DAYS} days ago; older shares are not kept", "timestamp"
        )
    return min(timestamp, now)


def _name(value: str, field: str) -> str:
    name = value.strip()
    if not name or len(name) > MAX_LABEL_LENGTH or not name.isprintable():
        raise FieldError(f"{field}: must be 1 to {MAX_LABEL_LENGTH} printable characters", field)
    return name


def _difficulty(value: float) -> float:
    if not math.isfinite(value) or not 0.0 < value <= _LARGEST_DIFFICULTY:
        raise FieldError(f"difficulty: must be more than 0 and at most {_LARGEST_DIFFICULTY:g}", "difficulty")
    return float(value)
