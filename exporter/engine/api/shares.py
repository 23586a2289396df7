"""The log of shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from exporter.units import Difficulty, UnixSeconds


@dataclass(frozen=True, slots=True)
class Share:
    """One share, or several that a counter step told of.

    Attributes:
        source: "event" (the device told of this share), "derived" (a counter stepped by `count`) or "manual".
        count: shares this stands for; 1 unless derived.
        difficulty: of the share itself where told; of a derived one the sum the pool credited, where told.
        reason: the pool's words for a rejection.
    """

    id: int
    timestamp: UnixSeconds
    wallet_id: int | None
    miner_id: int | None
    pool_name: str | None
    worker_name: str | None
    difficulty: Difficulty | None
    accepted: bool
    source: str
    count: int = 1
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SharePage:
    """Newest first; `total` counts all that match."""

    shares: tuple[Share, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ShareSums:
    """Counts over a time from `since` on; `best_difficulty` over single accepted shares."""

    accepted: int
    rejected: int
    best_difficulty: Difficulty | None
    since: UnixSeconds


class SharesApi(Protocol):
    """See the module and the package."""

    def query(
        self,
        *,
        wallet_id: int | None = None,
        miner_id: int | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> SharePage: ...

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
        """Log a share by hand. Raises `UnknownError`, `FieldError`."""
        ...

    def sums(self, *, wallet_id: int | None = None, miner_id: int | None = None, hours: float = 24.0) -> ShareSums: ...

    def export(self, since: float | None = None, until: float | None = None) -> Iterator[bytes]:
        """All shares on disk, archive included, as pieces of whole lines of JSON, in the order they were logged.

        Raises:
            StoreError: a file cannot be read; also while the pieces are taken.
        """
        ...
