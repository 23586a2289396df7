"""The narrow door to the engine for the web UI, the listeners and the control socket, which run on other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from exporter.engine.engine import Engine
from exporter.engine.fleet import FleetSnapshot
from exporter.errors import FlockwatchError

T = TypeVar("T")

_PATIENCE: Final = 60.0


class EngineApi(Protocol):
    """What others may ask of the engine. All methods are threadsafe and block until the engine has answered."""

    def snapshot(self) -> FleetSnapshot:
        """The flock now."""
        ...

    def rescan(self, miner_id: int | None = None) -> dict[str, Any]:
        """Poll one miner at once, or run a discovery cycle. Raises `UsageError` for an unknown id."""
        ...

    def forget(self, miner_id: int) -> None:
        """Delete a miner. Raises `UsageError` for an unknown id."""
        ...

    def ready(self) -> bool:
        """Whether the engine has started and is not stopping."""
        ...


class LoopEngineApi:
    """`EngineApi` over the engine's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine) -> None:
        self._loop = loop
        self._engine = engine

    def snapshot(self) -> FleetSnapshot:
        return self._engine.snapshot()

    def ready(self) -> bool:
        return self._engine.ready

    def rescan(self, miner_id: int | None = None) -> dict[str, Any]:
        return self.call(lambda: self._engine.rescan(miner_id))

    def forget(self, miner_id: int) -> None:
        self.call(lambda: self._engine.forget(miner_id))

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], patience: float = _PATIENCE) -> T:
        """Run a coroutine function on the engine's loop and wait for its result.

        Raises:
            FlockwatchError: the engine did not answer in time or is stopping; or what the coroutine raised.
        """

        async def run() -> T:
            return await work()

        running = run()
        try:
            future = asyncio.run_coroutine_threadsafe(running, self._loop)
        except RuntimeError as error:
            running.close()
            raise FlockwatchError("the engine has stopped") from error
        try:
            return future.result(patience)
        except concurrent.futures.TimeoutError as error:
            if not future.cancel():
                raise  # the coroutine's own
            raise FlockwatchError(f"the engine did not answer within {patience:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise FlockwatchError("the engine is stopping") from error
