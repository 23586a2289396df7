"""Runs a driver's pure functions so that a slow, hanging or failing one affects its own miners only."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from exporter.drivers.loader import DriverSet
from exporter.errors import InternalError, MinerError

T = TypeVar("T")

#: Longest time a user's driver may compute on one answer.
DRIVER_SECONDS: Final = 3.0
#: Worker threads of one user's driver at most: what a driver that never returns can take.
_WORKERS: Final = 4


class DriverHangs(InternalError):
    """The time limit passed. `call` is what still runs, since a thread cannot be ended from outside."""

    def __init__(self, message: str, call: concurrent.futures.Future[Any]) -> None:
        super().__init__(message)
        self.call = call


async def run_driver(function: Callable[..., T], *arguments: object, trusted: bool, owner: object = None) -> T:
    """Call a driver's function: in place for bundled drivers, in a worker thread with a time limit for the user's.

    Each user's driver has workers of its own, so that one that hangs holds up no other. `owner` is the driver where
    `function` is not bound to it.

    Raises:
        InternalError: the function raised something else than a `MinerError`; as `DriverHangs` after the time limit.
    """
    if trusted:
        return call_driver(function, *arguments)
    lane = _lane_of(function.__self__ if owner is None else owner)  # type: ignore[attr-defined]  # a bound method
    call = lane.submit(partial(call_driver, function, *arguments))
    future = asyncio.wrap_future(call)
    try:
        done, _ = await asyncio.wait((future,), timeout=DRIVER_SECONDS)
        if not done:
            raise DriverHangs(f"the driver did not answer within {DRIVER_SECONDS:g} s", call)
        return future.result()
    finally:
        future.cancel()


def is_trusted(drivers: DriverSet, driver_type: str) -> bool:
    """Whether a driver is one of ours, unchanged; the user's run in a worker thread."""
    return any(loaded.driver_type == driver_type and loaded.source == "bundled" for loaded in drivers.loaded)


def call_driver(function: Callable[..., T], *arguments: object) -> T:
    """Call a driver's function in place.

    Raises:
        InternalError: it raised something else than a `MinerError`.
    """
    try:
        return function(*arguments)
    except MinerError:
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise InternalError(f"{name} failed: {error!r}") from error


def trace_of(error: MinerError) -> MinerError | None:
    """The error where its trace tells something: a fault of ours or of a driver. Else None."""
    return error if isinstance(error, InternalError) and error.__cause__ is not None else None


class _Lane:
    """The worker threads of one driver. They are daemons: one that hangs must not keep the program from ending."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], concurrent.futures.Future[Any]] | None]
        self._calls = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._workers = 0

    def submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._lock:
            self._unfinished += 1
            if self._unfinished > self._workers and self._workers < _WORKERS:
                self._workers += 1
                threading.Thread(target=self._work, name="user-driver", daemon=True).start()
        self._calls.put((function, future))
        return future

    def close(self) -> None:
        """End the workers that are idle."""
        for _ in range(self._workers):
            self._calls.put(None)

    def _work(self) -> None:
        while (entry := self._calls.get()) is not None:
            function, future = entry
            if future.set_running_or_notify_cancel():
                _settle(function, future)
            del entry, function, future  # an idle worker must not keep a replaced driver alive
            with self._lock:
                self._unfinished -= 1


def _settle(function: Callable[[], T], future: concurrent.futures.Future[T]) -> None:
    try:
        result = function()
    except MinerError as error:
        future.set_exception(error)
    except (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError) as error:
        # A driver that calls sys.exit() ends its own call only.
        future.set_exception(InternalError(f"the driver wanted to end the program: {error!r}"))
    else:
        future.set_result(result)


_lanes: dict[int, _Lane] = {}


def _lane_of(owner: object) -> _Lane:
    lane = _lanes.get(id(owner))
    if lane is None:
        lane = _lanes[id(owner)] = _Lane()
        weakref.finalize(owner, _end_lane, id(owner))
    return lane


def _end_lane(owner_id: int) -> None:
    _lanes.pop(owner_id).close()
