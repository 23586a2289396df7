"""Runs work on the engine's loop for callers on other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from exporter.errors import UnavailableError

T = TypeVar("T")

_PATIENCE: Final = 60.0
#: Callers who may wait for devices, pools or Prometheus at the same time: fewer than the web UI has threads.
OUTSIDE_CALLERS: Final = 8
#: Seconds that one more waits for a place among them.
_PLACE_SECONDS: Final = 0.5


class EngineCaller:
    """The way onto the engine's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outside = threading.BoundedSemaphore(OUTSIDE_CALLERS)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """A place among the callers who wait for something outside of the program (a device, a pool, Prometheus).

        Each of them holds a thread of the web server for as long as the slowest device likes; the other threads are
        kept for those who ask the program only.

        Raises:
            UnavailableError: there is no place now.
        """
        if not self._outside.acquire(timeout=_PLACE_SECONDS):
            raise UnavailableError("too many requests wait for slow miners, pools or Prometheus; try again in a moment")
        try:
            yield
        finally:
            self._outside.release()

    def call_outside(self, work: Callable[[], Coroutine[Any, Any, T]], patience: float = _PATIENCE) -> T:
        """`call` for what asks a device or a pool and waits for it.

        Raises:
            UnavailableError: also where too many wait already.
        """
        with self.outside():
            return self.call(work, patience)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], patience: float = _PATIENCE) -> T:
        """Run a coroutine function on the engine's loop and wait for its result.

        Raises:
            UnavailableError: the engine did not answer in time or is stopping; or what the coroutine raised.
        """

        async def run() -> T:
            return await work()

        running = run()
        try:
            future = asyncio.run_coroutine_threadsafe(running, self._loop)
        except RuntimeError as error:
            running.close()
            raise UnavailableError("the engine has stopped") from error
        try:
            return future.result(patience)
        except concurrent.futures.TimeoutError as error:
            if not future.cancel():
                return future.result()  # it ended just now, or the time-out is the coroutine's own
            raise UnavailableError(f"the engine did not answer within {patience:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise UnavailableError("the engine is stopping") from error
