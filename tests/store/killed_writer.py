"""A process that writes until it is killed, and prints what it was told is on disk.

    python -m tests.store.killed_writer DATABASE [STEP COUNT]

With STEP (a function of `os`: fsync, replace, write) it kills itself in the COUNT-th call, before or after it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from exporter.store.database import Database


def main(path: Path) -> None:
    database = Database.open(path)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while True:
        row = database.miners.insert(key=f"serial:{os.getpid()}-{len(database.miners)}", driver="bitaxe")
        database.settings.set("last", row.id)
        database.commit_now()
        sys.stdout.write(f"{row.id} {row.key}\n")
        sys.stdout.flush()


def die_in(step: str, count: int, after: bool) -> None:
    """Make one function of `os` fatal in its `count`-th call."""
    original = getattr(os, step)
    calls = 0

    def fatal(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, step, fatal)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_in(sys.argv[2], int(sys.argv[3]), sys.argv[4] == "after")
    main(Path(sys.argv[1]))
