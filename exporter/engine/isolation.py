"""Runs a driver's pure functions so that a slow or hanging one affects its own miners only."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Final, TypeVar

from exporter.drivers.loader import DriverSet
from exporter.errors import InternalError

T = TypeVar("T")

#: Longest time a user's driver may compute on one answer.
DRIVER_SECONDS: Final = 3.0
_pool = concurrent.futures.ThreadPoolExecutor(max_workers=8, thread_name_prefix="user-driver")


async def run_driver(function: Callable[..., T], *arguments: object, trusted: bool) -> T:
    """Call a driver's function: in place for bundled drivers, in a worker thread with a time limit for the user's.

    A thread cannot be ended from outside, so a function that never returns keeps its worker; the eight workers bound
    what a broken driver can take, and every later call of it fails with `InternalError` instead of waiting.

    Raises:
        InternalError: the time limit passed.
    """
    if trusted:
        return function(*arguments)
    future = asyncio.get_running_loop().run_in_executor(_pool, function, *arguments)
    done, _ = await asyncio.wait((future,), timeout=DRIVER_SECONDS)
    if not done:
        future.cancel()
        raise InternalError(f"the driver did not answer within {DRIVER_SECONDS:g} s")
    return future.result()


def is_trusted(drivers: DriverSet, driver_type: str) -> bool:
    """Whether a driver is one of ours, unchanged; the user's run in a worker thread."""
    return any(loaded.driver_type == driver_type and loaded.source == "bundled" for loaded in drivers.loaded)
