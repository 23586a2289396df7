"""``flockwatch shares export``: the log of shares as it is on disk. Its files only grow, so nothing is locked."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Iterator

from exporter.config import load_settings
from exporter.errors import UsageError
from exporter.shares.day_files import DayFiles
from exporter.shares.log import exported, folder_of
from exporter.store.files import write_atomically


def export_shares(options: argparse.Namespace) -> int:
    """``flockwatch shares export [--since DAY] [--until DAY] FILE``. The last seconds may not be on disk yet."""
    since, until = _day(options.since, "--since"), _day(options.until, "--until")
    settings = load_settings(options.config_file, os.environ)
    folder = folder_of(settings.database.path.resolve())
    if not folder.exists():
        raise UsageError(f"{folder}: no shares were logged yet; is --config.file right?")
    pieces = exported(DayFiles(folder), since, until)
    if str(options.file) == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return 0
    if options.file.exists() and not options.force:
        raise UsageError(f"{options.file}: there is a file already; choose another name, or --force to overwrite it")
    count = _Count()
    write_atomically(options.file, count.lines(pieces))
    sys.stdout.write(f"{options.file}: {count.number} shares\n")
    return 0


class _Count:
    """Counts lines on their way."""

    def __init__(self) -> None:
        self.number = 0

    def lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.number += piece.count(b"\n")
            yield piece


def _day(text: str | None, option: str) -> float | None:
    """The Unix time at which a day begins."""
    if text is None:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: no day; write it as 2026-01-31") from error
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
