"""What the share counters of a miner stepped by between two looks at it. Pure.

Nothing is told at the first look, after a reset of the device, for a counter that fell or for a pool that became
another one: a step that cannot be known is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from exporter.model import Pool, Reading

#: Shares that no miner submits between two looks; a counter that says so has jumped.
_MOST: Final = 1_000_000

_Key = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """Shares that a pool judged between two looks.

    Attributes:
        difficulty: what the pool credited for the accepted ones, None where the miner does not tell.
    """

    pool: Pool
    accepted: int
    rejected: int
    difficulty: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The last look at a miner: when (Unix seconds), and its own pools by number, URL and user.

    Attributes:
        uptimes: of the device and of its mining program, in seconds.
        gap: whether the miner was not seen since.
    """

    at: float
    uptimes: tuple[float | None, float | None]
    pools: dict[_Key, Pool]
    told: tuple[Pool, ...]
    gap: bool = False


def look(before: Seen | None, reading: Reading, at: float) -> tuple[Seen, tuple[Step, ...]]:
    """Take in a reading of Unix time `at`: what was seen now, and the steps since `before` (None: the first look)."""
    pools = {(pool.pool, pool.url, pool.user): pool for pool in reading.pools if not pool.fee}
    seen = Seen(at, (reading.uptime, reading.mining_uptime), pools, reading.pools)
    if before is None or _was_reset(before, seen):
        return seen, ()
    steps = (_step(before.pools.get(key), pool) for key, pool in pools.items())
    return seen, tuple(step for step in steps if step is not None)


def _was_reset(before: Seen, now: Seen) -> bool:
    """Whether the device may have restarted between two looks, so that its counters began anew."""
    told = [
        (then, uptime)
        for then, uptime in zip(before.uptimes, now.uptimes, strict=True)
        if then is not None and uptime is not None
    ]
    if not told:
        return before.gap  # nobody knows what happened meanwhile
    # What began after the last look has run for less time than has passed since.
    return any(uptime < then or uptime < now.at - before.at for then, uptime in told)


def _step(before: Pool | None, now: Pool) -> Step | None:
    if before is None:
        return None
    accepted = _difference(before.accepted, now.accepted)
    rejected = _difference(before.rejected, now.rejected)
    if accepted is None or rejected is None or not (accepted or rejected):
        return None
    return Step(now, accepted, rejected, _credited(before, now) if accepted else None)


def _difference(before: float | None, now: float | None) -> int | None:
    """How much a counter stepped by: 0 where the miner does not tell it, None where it fell or jumped."""
    if before is None or now is None:
        return 0
    step = now - before
    return int(step) if 0 <= step <= _MOST else None


def _credited(before: Pool, now: Pool) -> float | None:
    if before.difficulty_accepted is None or now.difficulty_accepted is None:
        return None
    credited = now.difficulty_accepted - before.difficulty_accepted
    return credited if credited > 0.0 and math.isfinite(credited) else None
