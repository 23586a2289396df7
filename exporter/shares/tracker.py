"""Writes the log of shares: what single miners tell, and the steps of counters of the others.

Steps of one miner are joined for `intervals.shares_seconds`. In a large flock they are joined for longer: all of it
writes `ROWS_PER_MINUTE` rows at most, so that the log in memory always reaches back over a day.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from exporter.engine.fleet import MinerRecord
from exporter.model import Pool
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.shares.log import ShareLog, new_share
from exporter.shares.origin import Origin, origin_of
from exporter.shares.steps import Seen, look
from exporter.store.rows import MinerConfig
from exporter.text import clean_text

#: Rows of counter steps that the whole flock writes, on average; a minute's worth may come at once.
ROWS_PER_MINUTE: Final = 120
#: Single shares of one miner in one `intervals.shares_seconds`; what is more is joined as steps are.
MOST_SINGLE: Final = 30
_TICK_SECONDS: Final = 1.0
#: The largest difficulty that is believed.
_LARGEST: Final = 1e18


@dataclass(slots=True)
class _Sum:
    """Steps of one origin that wait. `difficulty` is None once a part of it was not told."""

    at: float
    accepted: int = 0
    rejected: int = 0
    difficulty: float | None = 0.0

    def add(self, at: float, accepted: int, rejected: int, difficulty: float | None) -> None:
        self.at = max(self.at, at)
        self.accepted += accepted
        self.rejected += rejected
        if accepted:
            known = self.difficulty is not None and difficulty is not None
            self.difficulty = (self.difficulty or 0.0) + (difficulty or 0.0) if known else None


@dataclass(slots=True)
class _Waiting:
    """What waits of one miner since `began`."""

    began: float
    sums: dict[Origin, _Sum]


class ShareTracker:
    """Watches the flock (`Flock.watchers`) on the engine's loop.

    Args:
        configs_of: the pool configurations of a miner (`db.miner_configs.of`).
        interval: seconds between two rows of one miner (`intervals.shares_seconds`).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        log: ShareLog,
        configs_of: Callable[[int], Sequence[MinerConfig]],
        interval: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._configs_of = configs_of
        self._interval = interval
        self._clock = clock
        self._seen: dict[int, Seen] = {}
        #: By miner, those that have waited longest first.
        self._waiting: dict[int, _Waiting] = {}
        #: Single shares of a miner and since when they are counted.
        self._single: dict[int, tuple[float, int]] = {}
        self._allowance = float(ROWS_PER_MINUTE)
        self._allowed_at = clock()

    # --- what miners tell ---

    def publish(self, record: MinerRecord) -> None:
        """Look at the share counters of a record; the same reading again changes nothing."""
        before, reading = self._seen.get(record.id), record.reading
        if record.usb is not None:  # it tells of single shares
            return
        if reading is None or record.last_success is None:
            if before is not None and record.up is None:  # not polled any more
                del self._seen[record.id]
            elif before is not None and not before.gap:
                self._seen[record.id] = replace(before, gap=True)
            return
        if before is not None and before.told is reading.pools:
            return
        self._seen[record.id], steps = look(before, reading, record.last_success)
        for step in steps:
            self._join(
                record.id, step.pool, record.last_success, step.accepted, step.rejected, _believed(step.difficulty)
            )

    def remove(self, miner_id: int) -> None:
        """Forget a miner; what waits of it is logged."""
        self._seen.pop(miner_id, None)
        self._single.pop(miner_id, None)
        waiting = self._waiting.pop(miner_id, None)
        if waiting is not None:
            self._write(miner_id, waiting)

    def events(self, record: MinerRecord, events: Iterable[ShareEvent]) -> None:
        """Log single shares that a miner told of; each is given once."""
        if not (record.managed and record.enabled):
            return
        pool = _own_pool(record)
        origin = origin_of(pool, self._configs_of(record.id))
        for event in events:
            if not self._may_be_single(record.id):
                self._join(record.id, pool, event.at, int(event.accepted), int(not event.accepted), None)
                continue
            self._log.add(
                new_share(
                    event.at,
                    miner_id=record.id,
                    difficulty=_believed(event.difficulty),
                    accepted=event.accepted,
                    source="event",
                    reason=clean_text(event.reason),
                    **origin._asdict(),
                )
            )

    def _may_be_single(self, miner_id: int) -> bool:
        now = self._clock()
        began, number = self._single.get(miner_id, (now, 0))
        if now - began >= self._interval():
            began, number = now, 0
        self._single[miner_id] = began, number + 1
        return number < MOST_SINGLE

    def _join(
        self, miner_id: int, pool: Pool | None, at: float, accepted: int, rejected: int, difficulty: float | None
    ) -> None:
        # The wallet is that of now, not that of when the row is written.
        origin = origin_of(pool, self._configs_of(miner_id))
        waiting = self._waiting.get(miner_id)
        if waiting is None:
            waiting = self._waiting[miner_id] = _Waiting(self._clock(), {})
        waiting.sums.setdefault(origin, _Sum(at)).add(at, accepted, rejected, difficulty)

    # --- rows ---

    async def run(self) -> None:
        """Write rows when they are due, for ever."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Write the rows that are due now."""
        now = self._clock()
        per_second = ROWS_PER_MINUTE / 60.0
        self._allowance = min(self._allowance + (now - self._allowed_at) * per_second, float(ROWS_PER_MINUTE))
        self._allowed_at = now
        due = now - self._interval()
        while self._waiting and self._allowance > 0.0:
            miner_id = next(iter(self._waiting))
            if self._waiting[miner_id].began > due:
                return
            self._allowance -= self._write(miner_id, self._waiting.pop(miner_id))

    def write_all(self) -> None:
        """Write what waits, due or not: the program ends."""
        for miner_id, waiting in self._waiting.items():
            self._write(miner_id, waiting)
        self._waiting.clear()

    def _write(self, miner_id: int, waiting: _Waiting) -> int:
        rows = 0
        for origin, total in waiting.sums.items():
            for accepted, count in ((True, total.accepted), (False, total.rejected)):
                if count:
                    rows += 1
                    self._log.add(
                        new_share(
                            total.at,
                            miner_id=miner_id,
                            difficulty=total.difficulty if accepted else None,
                            accepted=accepted,
                            source="derived",
                            count=count,
                            **origin._asdict(),
                        )
                    )
        return rows


def _own_pool(record: MinerRecord) -> Pool | None:
    pools = () if record.reading is None else record.reading.pools
    own = [pool for pool in pools if not pool.fee]
    return next((pool for pool in own if pool.active), own[0] if len(own) == 1 else None)


def _believed(difficulty: float | None) -> float | None:
    """A difficulty that can be one: positive, finite and not beyond belief."""
    if difficulty is None or not math.isfinite(difficulty) or not 0.0 < difficulty <= _LARGEST:
        return None
    return difficulty
