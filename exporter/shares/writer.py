"""Brings lines to the day files: soon for those nobody waits for, synced for those that a person sent."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from exporter.errors import StoreError
from exporter.shares.day_files import DayFiles

log = logging.getLogger(__name__)

#: Lines that nobody waits for are written together after this many seconds.
DELAY: Final = 2.0
#: Lines kept while the disk takes none; the oldest are lost beyond that.
MOST_WAITING: Final = 20_000
_RETRY: Final = 10.0
#: Seconds between two looks at what is to be archived.
_TIDY: Final = 3600.0


def day_of(at: float) -> datetime.date:
    """The day (UTC) of a Unix time."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date()


class LineWriter:
    """A thread that appends lines. `put` never waits for the disk; the other methods may be called by any thread.

    Args:
        tidy: called in the thread once an hour; may raise `StoreError`.
    """

    def __init__(
        self, files: DayFiles, tidy: Callable[[], None], clock: Callable[[], float], delay: float = DELAY
    ) -> None:
        self._files = files
        self._tidy = tidy
        self._clock = clock
        self._delay = delay
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._lost = 0
        self._lock = threading.Lock()  # of what waits
        self._turn = threading.Lock()  # at the files
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: StoreError | None = None
        self._tidy_error: StoreError | None = None

    @property
    def error(self) -> StoreError | None:
        """Why lines are not on disk, or days not in the archive, while that fails."""
        return self._error or self._tidy_error

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="flockwatch-shares", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left and end the thread; an error was logged."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._write_waiting(sync=True)

    def put(self, line: bytes) -> None:
        """Take a line that is written within some seconds."""
        with self._lock:
            self._lost += len(self._waiting) == MOST_WAITING
            self._waiting.append(line)

    def put_durably(self, line: bytes) -> None:
        """Write a line, behind those that wait; it is on disk on return.

        Raises:
            StoreError: it is not, and will not be.
        """
        with self._turn:
            self._append(line)

    def flush(self) -> None:
        """Write what waits, if the disk takes it; not synced."""
        self._write_waiting(sync=False)

    def _run(self) -> None:
        tidied = None
        while not self._ending.wait(_RETRY if self._error else self._delay):
            self._write_waiting(sync=False)
            if tidied is None or time.monotonic() - tidied >= _TIDY:
                tidied = time.monotonic()
                self._tidy_up()

    def _tidy_up(self) -> None:
        try:
            with self._turn:
                self._tidy()
        except StoreError as error:
            self._tidy_error = error
            log.error("%s", error)  # noqa: TRY400 - a full disk, one line
        else:
            self._tidy_error = None

    def _write_waiting(self, *, sync: bool) -> None:
        with self._turn:
            if not self._waiting:
                return
            try:
                self._append(b"", sync=sync)
            except StoreError as error:
                if self._error is None:
                    log.error("shares are kept in memory: %s", error)  # noqa: TRY400 - a full disk, one line
                self._error = error

    def _append(self, last: bytes, *, sync: bool = True) -> None:
        """Append what waits, and `last` behind it; on an error what waited still waits."""
        with self._lock:
            lines, self._waiting = self._waiting, deque(maxlen=MOST_WAITING)
        try:
            self._files.append(day_of(self._clock()), b"".join(lines) + last, sync=sync)
        except StoreError:
            with self._lock:
                self._lost += max(0, len(lines) + len(self._waiting) - MOST_WAITING)
                self._waiting = deque((*lines, *self._waiting), maxlen=MOST_WAITING)
            raise
        if self._error is not None:
            log.info("shares are written again; %d were lost", self._lost)
            self._error, self._lost = None, 0
