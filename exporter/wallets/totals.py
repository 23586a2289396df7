"""Several servers' statistics of one wallet as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exporter.engine.api.wallets import PoolStatistics
from exporter.units import hashes_per_second


def merged(parts: Sequence[PoolStatistics]) -> PoolStatistics:
    """The sum of what servers say, each of which sees the miners that mine there.

    A rate stays only where every server told it: a sum of some of them would be too low.

    Raises:
        ValueError: `parts` is empty.
    """
    if not parts:
        raise ValueError("nothing to merge")
    if len(parts) == 1:
        return parts[0]
    rates = [dict(part.hashrates) for part in parts]
    windows = [window for window in rates[0] if all(window in one for one in rates)]
    counts = [part.workers_count for part in parts if part.workers_count is not None]
    accepted = [part.shares_accepted for part in parts if part.shares_accepted is not None]
    unpaid = [part.unpaid for part in parts if part.unpaid is not None]
    return replace(
        parts[0],
        hashrates=tuple((window, hashes_per_second(sum(one[window] for one in rates))) for window in windows),
        workers_count=sum(counts) if len(counts) == len(parts) else None,
        workers=tuple(worker for part in parts for worker in part.workers),
        best_share_difficulty=max(
            (part.best_share_difficulty for part in parts if part.best_share_difficulty is not None), default=None
        ),
        shares_accepted=sum(accepted) if len(accepted) == len(parts) else None,
        last_share=max((part.last_share for part in parts if part.last_share is not None), default=None),
        unpaid=sum(unpaid) if len(unpaid) == len(parts) else None,
        refreshed_at=min((part.refreshed_at for part in parts if part.refreshed_at is not None), default=None),
    )
