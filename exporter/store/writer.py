"""The thread that brings changes to the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from exporter.errors import StoreError

log = logging.getLogger(__name__)

_FIRST_RETRY: Final = 5.0
_LONGEST_RETRY: Final = 60.0

Snapshot = TypeVar("Snapshot")


class Writer(Generic[Snapshot]):
    """Joins changes: those of `delay` seconds nobody waits for, and those made while an earlier write is under way.

    `lock` guards the rows. `take` is called with it held and must be quick; `save` is called without it, by one
    thread at a time, and may block. Where `save` raises `StoreError` the changes stay in memory and are tried again,
    first after 5 s, later every minute; `error` tells meanwhile, and each waiter gets the error.
    """

    def __init__(
        self, lock: threading.RLock, take: Callable[[], Snapshot], save: Callable[[Snapshot], None], delay: float
    ) -> None:
        self._condition = threading.Condition(lock)
        self._take = take
        self._save = save
        self._delay = delay
        self._thread: threading.Thread | None = None
        self._changes = 0  # changes made so far; `_durable` is how many of them are on disk
        self._durable = 0
        self._due: float | None = None
        self._retry = _FIRST_RETRY
        self._waiters: list[tuple[int, Future[None]]] = []
        self._closing = False
        self.error: StoreError | None = None

    @property
    def pending(self) -> bool:
        """Whether memory holds changes that are not on disk yet."""
        return self._changes != self._durable

    def changed(self) -> None:
        """Note a change. Called with the lock held.

        Raises:
            StoreError: the writer is closed.
        """
        if self._closing:
            raise StoreError("the database is closed; nothing can be changed any more")
        self._changes += 1
        if self._due is None:
            self._due = time.monotonic() + self._delay
            self._condition.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="flockwatch-store", daemon=True)
            self._thread.start()

    def request(self) -> Future[None]:
        """A future that is done when every change made so far is on disk, or has the `StoreError` that prevents it."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # a cancelled waiter does not stop the write
        with self._condition:
            if self.pending:
                self._waiters.append((self._changes, future))
                self._condition.notify_all()
            else:
                future.set_result(None)
        return future

    def close(self) -> None:
        """Write what is left and end the thread; a second call does nothing.

        Raises:
            StoreError: the last changes could not be written.
        """
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.pending and self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._write_until_closed()
        finally:
            self._fail_waiters()

    def _write_until_closed(self) -> None:
        while True:
            with self._condition:
                self._wait_until_due()
                if not self.pending:
                    return
                target, self._due = self._changes, None
                snapshot = self._take()
            error = self._try(snapshot)
            with self._condition:
                self._finish(target, error)
                if error is not None and self._closing:
                    return

    def _fail_waiters(self) -> None:
        """Nobody waits for ever, whatever ended the thread; the next change starts another one."""
        with self._condition:
            if not self._closing:
                self._thread = None
            if self.pending and self.error is None:
                self.error = StoreError("the last changes to the database were not written; the log says why")
            for _changes, future in self._waiters:
                future.set_exception(self.error or StoreError("the database is closed"))
            self._waiters = []

    def _wait_until_due(self) -> None:
        while not (self._closing or self._waiters):
            wait = None if self._due is None else self._due - time.monotonic()
            if wait is not None and wait <= 0:
                return
            self._condition.wait(wait)

    def _try(self, snapshot: Snapshot) -> StoreError | None:
        try:
            self._save(snapshot)
        except StoreError as error:
            if self.error is None or str(error) != str(self.error):
                log.error("changes are kept in memory and tried again: %s", error)  # noqa: TRY400 - a full disk
            return error
        if self.error is not None:
            log.info("the database is written again")
        return None

    def _finish(self, target: int, error: StoreError | None) -> None:
        self.error = error
        if error is None:
            self._durable = target
            self._retry = _FIRST_RETRY
        else:
            self._due = time.monotonic() + self._retry
            self._retry = min(2 * self._retry, _LONGEST_RETRY)
        answered = [waiter for waiter in self._waiters if waiter[0] <= target]
        self._waiters = [waiter for waiter in self._waiters if waiter[0] > target]
        for _changes, future in answered:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
