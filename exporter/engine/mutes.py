"""Ends mutes when their time is over: the record is published anew, without waiting for a poll."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from exporter.engine.fleet import MinerRecord

#: A timer runs no longer than this, so that a clock that was set is noticed.
_LONGEST_SECONDS: Final = 600.0


class MuteEnds:
    """A watcher of the flock with one timer for each muted miner.

    Args:
        publish: shows the miner with this id as it is then.
    """

    def __init__(self, publish: Callable[[int], None]) -> None:
        self._publish = publish
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def publish(self, record: MinerRecord) -> None:
        """A record was published."""
        if not record.muted and record.id not in self._timers:
            return
        self.remove(record.id)
        if record.muted and record.muted_until is not None:
            wait = min(max(0.0, record.muted_until - time.time()), _LONGEST_SECONDS)
            self._timers[record.id] = asyncio.get_running_loop().call_later(wait, self._due, record.id)

    def remove(self, miner_id: int) -> None:
        """A miner is in the flock no more."""
        timer = self._timers.pop(miner_id, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Let no timer end any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, miner_id: int) -> None:
        self._timers.pop(miner_id, None)
        self._publish(miner_id)
