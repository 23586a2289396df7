"""The log of commands: appended to a file beside the database before anything is sent, and kept in memory."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from exporter.engine.api.commands import STATES, Bulk, CommandRun
from exporter.engine.commanding.bulk_log import CUT_OFF, EarlierBulks, RunningBulks, begun_line, ended_line
from exporter.errors import StoreError
from exporter.store.files import PRIVATE_MODE, make_parents
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

#: Ended commands that are kept in memory.
KEPT: Final = 4000
#: The file is moved to ``<name>.1`` when it has grown by this, in place of the one before.
LARGEST_FILE: Final = 8 << 20
_FIELDS: Final = {one.name for one in dataclasses.fields(CommandRun)}


def log_of(database: Path) -> Path:
    """The file of the log, beside the database and named after it, whose lock guards both."""
    return database.with_name(f"{database.stem}.commands.jsonl")


class AuditLog:
    """Commands by id. Lives on the engine's loop; the disk is written in a thread, in order.

    Args:
        path: of the file of JSON lines (mode 0600). A command has a line for its start and one for its end, and so has
            a command to many miners.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: dict[int, CommandRun] = {}
        self._turn = asyncio.Lock()
        self._next_id = 1
        self._last_bulk_id = 0
        self._earlier_bulks = EarlierBulks()
        self._running_bulks = RunningBulks()
        self._size: int | None = None  # of the file; None where it is not known
        self._head_size = 0  # of what it began with, apart from which it grows

    def next_bulk_id(self) -> int:
        """A number for a command to many miners that none in the log has."""
        self._last_bulk_id += 1
        return self._last_bulk_id

    def load(self) -> None:
        """Read what earlier runs of the program logged; commands that had not ended are "interrupted"."""
        for path in (self._path.with_name(f"{self._path.name}.1"), self._path):
            with contextlib.suppress(FileNotFoundError):
                for number, line in enumerate(path.read_bytes().splitlines(), start=1):
                    self._take(line, f"{path}:{number}")
        for run in tuple(self._runs.values()):
            if run.state == "running":
                self._runs[run.id] = dataclasses.replace(run, state="interrupted", words=CUT_OFF)
        self._last_bulk_id = max(self._last_bulk_id, self._earlier_bulks.last_id)

    def _take(self, line: bytes, place: str) -> None:
        try:
            fields = json.loads(line)
            if "bulk" in fields:
                self._earlier_bulks.take(fields["bulk"])
                return
            run = CommandRun(**{name: value for name, value in fields.items() if name in _FIELDS})
            _check(run)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            log.warning("%s: this line of the log of commands cannot be read: %s", place, error)
            return
        self._next_id = max(self._next_id, run.id + 1)
        self._last_bulk_id = max(self._last_bulk_id, run.bulk_id or 0)
        self._earlier_bulks.told(run)
        self._keep(run)

    def earlier_bulks(self) -> tuple[Bulk, ...]:
        """The commands to many miners of earlier runs of the program; see `EarlierBulks.all`."""
        return self._earlier_bulks.all()

    def get(self, run_id: int) -> CommandRun | None:
        return self._runs.get(run_id)

    def recent(self, miner_id: int | None = None) -> tuple[CommandRun, ...]:
        """Newest first."""
        runs = reversed(tuple(self._runs.values()))
        return tuple(run for run in runs if miner_id is None or run.miner_id == miner_id)

    async def begin(self, **fields: Any) -> CommandRun:
        """Log that a command begins; it is on the disk on return.

        Raises:
            StoreError: it cannot be logged, so it must not be sent.
        """
        run = CommandRun(id=self._next_id, state="running", started_at=UnixSeconds(time.time()), **fields)
        self._next_id += 1
        await self._append(dataclasses.asdict(run))
        self._keep(run)
        self._running_bulks.told(run)
        return run

    async def end(self, run: CommandRun, state: str, words: str | None, after: Mapping[str, Any]) -> CommandRun:
        """Log how a command ended. A disk that fails now is told in the program's log: the command was sent."""
        ended = dataclasses.replace(run, state=state, words=words, after=after, ended_at=UnixSeconds(time.time()))
        self._keep(ended)
        self._running_bulks.told(ended)
        try:
            await self._append(dataclasses.asdict(ended))
        except StoreError as error:
            log.error("the end of command %d is not on disk: %s", run.id, error)  # noqa: TRY400 - one line
        return ended

    async def begin_bulk(self, bulk: Bulk) -> None:
        """As `begin`, for a command to many miners."""
        await self._append(begun_line(bulk))
        self._running_bulks.begun(bulk)

    async def end_bulk(self, bulk: Bulk) -> None:
        """As `end`, for a command to many miners."""
        try:
            await self._append(ended_line(bulk))
        except StoreError as error:
            log.error("the end of the command to many miners %d is not on disk: %s", bulk.id, error)  # noqa: TRY400 - one line
        self._running_bulks.ended(bulk.id)

    def _keep(self, run: CommandRun) -> None:
        self._runs[run.id] = run
        if len(self._runs) > KEPT:
            oldest = next((one.id for one in self._runs.values() if one.state != "running"), None)
            if oldest is not None:
                del self._runs[oldest]

    async def _append(self, fields: Mapping[str, Any]) -> None:
        line = _line(fields)
        async with self._turn:
            if self._size is None:
                self._size = await asyncio.to_thread(self._measure)
            full = self._size > self._head_size and self._size - self._head_size + len(line) > LARGEST_FILE
            head = b"".join(map(_line, self._running_bulks.lines())) if full else None
            self._size = None  # until it is known again
            size = await asyncio.to_thread(self._write, line, head)
            self._size = size
            if head is not None:
                self._head_size = len(head)

    def _measure(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._cannot(error) from error

    def _write(self, line: bytes, head: bytes | None) -> int:
        """Append a line; with a `head` to a new file that begins with it. The size of the file, in bytes."""
        try:
            make_parents(self._path)
            if head is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self._path, self._path.with_name(f"{self._path.name}.1"))
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_MODE)
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a crash in mid-write
                left = memoryview((b"\n" if torn else b"") + (head or b"") + line)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
                return os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> StoreError:
        return StoreError(f"{self._path}: the command cannot be logged: {error.strerror or error}")


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _check(run: CommandRun) -> None:
    """Raise `TypeError` where a line was changed by hand so that it could not be shown."""
    times = (run.started_at, 0.0 if run.ended_at is None else run.ended_at)
    texts = (run.miner, run.name, run.command, run.who, run.state, run.words or "", run.effect or "")
    good = (
        all(type(one) is int for one in (run.id, run.miner_id, run.bulk_id or 0))
        and all(isinstance(one, int | float) for one in times)
        and all(isinstance(one, str) for one in texts)
        and all(isinstance(one, dict) for one in (run.values, run.before, run.after))
        and run.state in STATES
    )
    if not good:
        raise TypeError("a value is of the wrong kind")
