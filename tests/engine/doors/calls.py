"""Doors over the engine of a bench, called from other threads as the UI calls them."""

import asyncio
import shutil
import time

from exporter.engine.api.caller import EngineCaller
from exporter.store.database import Database


def door_of(kind, bench):
    return kind(EngineCaller(asyncio.get_running_loop()), bench.engine)


async def ask(function, *arguments, **named):
    """Call a door in a thread."""
    return await asyncio.to_thread(function, *arguments, **named)


def on_disk(bench, folder):
    """What a program that starts now would read: a second database over a copy of the file."""
    copy = folder / "copy" / "flockwatch.json"
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(bench.db.path, copy)
    return Database.open(copy)


async def until(check, what, seconds=20):
    end = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < end, f"waited for {what}"
        await asyncio.sleep(0.01)
    return result
