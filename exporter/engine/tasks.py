"""Background work on the event loop: kept alive, ended together, and never failing in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

log = logging.getLogger(__name__)

#: Rest before a loop that failed begins anew.
RESTART_SECONDS: Final = 5.0


class Tasks:
    """A set of tasks. What one raises is logged; a task that should run for ever is started again."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._stopped = False

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` once, in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def forever(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Run `work` until `stop`; where it fails it begins anew after `RESTART_SECONDS`."""

        def ended(task: asyncio.Task[None]) -> None:
            if self._stopped or task.cancelled():
                return
            timer = asyncio.get_running_loop().call_later(RESTART_SECONDS, begin)
            self._timers.add(timer)

        def begin() -> None:
            self._timers = {timer for timer in self._timers if timer.when() > asyncio.get_running_loop().time()}
            if not self._stopped:
                self.spawn(work(), name).add_done_callback(ended)

        begin()

    async def stop(self) -> None:
        """Cancel everything and wait for its end."""
        self._stopped = True
        for timer in self._timers:
            timer.cancel()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
