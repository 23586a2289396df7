"""Shares in memory, column by column and sorted by time: 50 bytes each instead of several hundred."""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from exporter.engine.api.shares import Share
from exporter.shares.lines import SOURCES
from exporter.units import Difficulty, UnixSeconds

#: Rows that leave together, so that the columns are not moved for each new one.
_BATCH: Final = 4096
_SOURCE_CODES: Final = {source: code for code, source in enumerate(SOURCES)}
_ACCEPTED: Final = 0x80
_NONE: Final = 0
#: Different texts (pools, workers, reasons) kept; beyond that a text is None in memory. The files have them all.
_MOST_TEXTS: Final = 50_000
_LARGEST_COUNT: Final = 0xFFFF_FFFF


class _Texts:
    """Texts by number, each kept once."""

    def __init__(self) -> None:
        self._texts: list[str | None] = [None]
        self._numbers: dict[str | None, int] = {None: 0}

    def number(self, text: str | None) -> int:
        number = self._numbers.get(text)
        if number is None:
            if len(self._texts) >= _MOST_TEXTS:
                return 0
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number

    def text(self, number: int) -> str | None:
        return self._texts[number]


class ShareTable:
    """At most `limit` shares, the newest; not safe for threads by itself.

    Ids are below 2**63, those of wallets and miners below 2**32 - 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts = _Texts()
        self._ids = array("q")
        self._times = array("d")
        self._wallets = array("I")
        self._miners = array("I")
        self._pools = array("I")
        self._workers = array("I")
        self._reasons = array("I")
        self._counts = array("I")
        self._difficulties = array("d")
        self._flags = array("B")
        #: Unix time before which shares were dropped, None where none were.
        self.dropped_until: float | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def _columns(self) -> tuple[array[int] | array[float], ...]:
        return (
            self._ids,
            self._times,
            self._wallets,
            self._miners,
            self._pools,
            self._workers,
            self._reasons,
            self._counts,
            self._difficulties,
            self._flags,
        )

    # --- writing ---

    def add(self, share: Share) -> None:
        """Put a share in its place by time, behind those of the same time."""
        values = self._values(share)
        times = self._times
        if not times or share.timestamp >= times[-1]:
            for column, value in zip(self._columns(), values, strict=True):
                column.append(value)  # type: ignore[arg-type]  # each column has its own type
        else:
            place = bisect.bisect_right(times, share.timestamp)
            for column, value in zip(self._columns(), values, strict=True):
                column.insert(place, value)  # type: ignore[arg-type]
        if len(self._ids) >= self._limit + _BATCH:
            self._drop(len(self._ids) - self._limit)

    def expire(self, before: float) -> None:
        """Drop what is older than Unix time `before`."""
        place = bisect.bisect_left(self._times, before)
        if place:
            self._drop(place)

    def _drop(self, number: int) -> None:
        self.dropped_until = self._times[number - 1]
        for column in self._columns():
            del column[:number]

    def _values(self, share: Share) -> tuple[int | float, ...]:
        return (
            share.id,
            share.timestamp,
            _NONE if share.wallet_id is None else share.wallet_id + 1,
            _NONE if share.miner_id is None else share.miner_id + 1,
            self._texts.number(share.pool_name),
            self._texts.number(share.worker_name),
            self._texts.number(share.reason),
            min(share.count, _LARGEST_COUNT),
            math.nan if share.difficulty is None else share.difficulty,
            _SOURCE_CODES[share.source] | (_ACCEPTED if share.accepted else 0),
        )

    # --- reading ---

    def between(self, since: float | None, until: float | None) -> ShareTable:
        """A copy of the shares from Unix time `since` to before `until`, for a reader without the lock."""
        low = 0 if since is None else bisect.bisect_left(self._times, since)
        high = len(self._times) if until is None else bisect.bisect_left(self._times, until)
        part = ShareTable(self._limit)
        part._texts = self._texts
        (
            part._ids, part._times, part._wallets, part._miners, part._pools,
            part._workers, part._reasons, part._counts, part._difficulties, part._flags,
        ) = (column[low:high] for column in self._columns())  # type: ignore[assignment]  # fmt: skip
        return part

    def places(self, wallet_id: int | None, miner_id: int | None) -> Sequence[int]:
        """The places of the shares of a wallet and a miner (None: of any), oldest first."""
        if wallet_id is None and miner_id is None:
            return range(len(self._ids))
        if min(wallet_id or 0, miner_id or 0) < 0:
            return ()
        if miner_id is None:
            return _equal(self._wallets, wallet_id)
        places = _equal(self._miners, miner_id)
        if wallet_id is None:
            return places
        return [place for place in places if self._wallets[place] == wallet_id + 1]

    def share(self, place: int) -> Share:
        wallet, miner = self._wallets[place], self._miners[place]
        difficulty, flags = self._difficulties[place], self._flags[place]
        return Share(
            id=self._ids[place],
            timestamp=UnixSeconds(self._times[place]),
            wallet_id=None if wallet == _NONE else wallet - 1,
            miner_id=None if miner == _NONE else miner - 1,
            pool_name=self._texts.text(self._pools[place]),
            worker_name=self._texts.text(self._workers[place]),
            difficulty=None if math.isnan(difficulty) else Difficulty(difficulty),
            accepted=bool(flags & _ACCEPTED),
            source=SOURCES[flags & ~_ACCEPTED],
            count=self._counts[place],
            reason=self._texts.text(self._reasons[place]),
        )

    def sums(self, places: Iterable[int]) -> tuple[int, int, float | None]:
        """Shares accepted, rejected, and the best difficulty of single accepted shares."""
        accepted = rejected = 0
        best = -math.inf
        derived = _SOURCE_CODES["derived"]
        for place in places:
            flags = self._flags[place]
            if not flags & _ACCEPTED:
                rejected += self._counts[place]
                continue
            accepted += self._counts[place]
            if flags & ~_ACCEPTED != derived and self._difficulties[place] > best:
                best = self._difficulties[place]
        return accepted, rejected, None if best == -math.inf else best


def _equal(column: array[int], wanted: int | None) -> list[int]:
    """The places of an id, which is stored one higher."""
    number = _NONE if wanted is None else wanted + 1
    return [place for place, stored in enumerate(column) if stored == number]
