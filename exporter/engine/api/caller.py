"""Runs work on the engine's loop for callers on other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from exporter.errors import UnavailableError

T = TypeVar("T")

_PATIENCE: Final = 60.0


class EngineCaller:
    """The way onto the engine's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

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
                raise  # the coroutine's own
            raise UnavailableError(f"the engine did not answer within {patience:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise UnavailableError("the engine is stopping") from error
