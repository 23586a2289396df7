"""The log of shares: the newest ones in memory for queries, all of them in day files."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from exporter.engine.api.shares import Share, SharePage, ShareSums
from exporter.errors import StoreError
from exporter.shares.day_files import DayFiles
from exporter.shares.lines import BadLine, decode, encode
from exporter.shares.table import ShareTable
from exporter.shares.writer import DELAY, LineWriter, day_of
from exporter.units import Difficulty, UnixSeconds

log = logging.getLogger(__name__)

#: Shares are kept in memory and in plain files for this long, then they are in the archive only.
KEPT_DAYS: Final = 30
KEPT_SECONDS: Final = KEPT_DAYS * 86400.0
#: Shares in memory at most.
ROW_LIMIT: Final = 200_000
_PIECE: Final = 1000


def folder_of(database: Path) -> Path:
    """The folder of the log, beside the database and named after it, whose lock guards both."""
    return database.with_name(f"{database.stem}.shares")


class ShareLog:
    """See the module. All methods may be called by any thread; `add` never waits for the disk.

    Args:
        limit: shares in memory.
        delay: seconds after which what `add` took is written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: int = ROW_LIMIT,
        clock: Callable[[], float] = time.time,
        delay: float = DELAY,
    ) -> None:
        self._files = DayFiles(folder)
        self._limit = limit
        self._clock = clock
        self._table = ShareTable(limit)
        self._lock = threading.Lock()
        self._next_id = 1
        self._counts: dict[tuple[int, bool], int] = {}
        self._writer = LineWriter(self._files, self._tidy, clock, delay)
        self._open = False

    @property
    def folder(self) -> Path:
        return self._files.folder

    @property
    def write_error(self) -> str | None:
        """Why shares are in memory only, or days are not archived, while that fails."""
        return None if self._writer.error is None else str(self._writer.error)

    # --- life ---

    def open(self) -> None:
        """Read what the files hold of the last days and begin to write. A file that cannot be read is logged."""
        try:
            self._load()
        except StoreError as error:
            log.error("earlier shares are not shown: %s", error)  # noqa: TRY400 - one line
        self._open = True
        self._writer.start()

    def close(self) -> None:
        """Write what is left."""
        self._open = False
        self._writer.close()

    def _load(self) -> None:
        oldest = day_of(self._clock() - KEPT_SECONDS)
        wanted: list[datetime.date] = []
        lines = 0
        for day in reversed(self._files.days()):
            if day < oldest or lines >= self._limit:
                break
            wanted.append(day)
            lines += self._files.count(day)
        for day in reversed(wanted):
            self._load_day(day)
        self._table.expire(self._clock() - KEPT_SECONDS)

    def _load_day(self, day: datetime.date) -> None:
        bad = 0
        for line in self._files.lines(day):
            try:
                share = decode(line)
            except BadLine as error:
                bad += 1
                log.debug("%s: %s", self._files.path(day), error)
                continue
            self._table.add(share)
            self._next_id = max(self._next_id, share.id + 1)
        if bad:
            log.warning("%s: %d lines hold no share and are left out", self._files.path(day), bad)

    def _tidy(self) -> None:
        now = self._clock()
        with self._lock:
            self._table.expire(now - KEPT_SECONDS)
        self._files.pack(before=day_of(now - KEPT_SECONDS))

    # --- writing ---

    def add(self, share: Share) -> Share:
        """Log a share that a miner told of; its id is set here. It is on disk within seconds."""
        with self._lock:
            share = self._numbered(share)
            self._take(share)
            # Inside, so that the files have the order of the ids.
            self._writer.put(encode(share))
        return share

    def add_durably(self, share: Share) -> Share:
        """Log a share; on return it is on disk and can be queried.

        Raises:
            StoreError: it is not on disk, and not logged.
        """
        if not self._open:
            raise StoreError("the log of shares is closed; the program is starting or stopping")
        with self._lock:
            share = self._numbered(share)
        self._writer.put_durably(encode(share))
        with self._lock:
            self._take(share)
        return share

    def _numbered(self, share: Share) -> Share:
        number, self._next_id = self._next_id, self._next_id + 1
        return replace(share, id=number, timestamp=UnixSeconds(round(share.timestamp, 3)))

    def _take(self, share: Share) -> None:
        self._table.add(share)
        if share.wallet_id is not None:
            key = share.wallet_id, share.accepted
            self._counts[key] = self._counts.get(key, 0) + share.count

    # --- reading ---

    def counts(self) -> Mapping[tuple[int, bool], int]:
        """Shares logged since the program started, by wallet and whether they were accepted."""
        with self._lock:
            return dict(self._counts)

    def query(
        self,
        *,
        wallet_id: int | None = None,
        miner_id: int | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> SharePage:
        """Shares in memory, newest first; `until` itself is left out."""
        with self._lock:
            part = self._table.between(since, until)
        places = part.places(wallet_id, miner_id)
        end = max(0, len(places) - offset)
        page = places[max(0, end - limit) : end]
        return SharePage(tuple(part.share(place) for place in reversed(page)), len(places))

    def sums(self, *, wallet_id: int | None = None, miner_id: int | None = None, hours: float = 24.0) -> ShareSums:
        """Sums of the last hours, or of as much of them as is in memory (`since` says it)."""
        since = self._clock() - hours * 3600.0
        with self._lock:
            part = self._table.between(since, None)
            dropped = self._table.dropped_until
        accepted, rejected, best = part.sums(part.places(wallet_id, miner_id))
        told_since = since if dropped is None else max(since, dropped)
        return ShareSums(accepted, rejected, None if best is None else Difficulty(best), UnixSeconds(told_since))

    def export(self, since: float | None = None, until: float | None = None) -> Iterator[bytes]:
        """All shares that the files hold, archive included, as pieces of whole lines of JSON, as they were logged.

        Raises:
            StoreError: a file cannot be read.
        """
        self._writer.flush()
        return exported(self._files, since, until)


def exported(files: DayFiles, since: float | None, until: float | None) -> Iterator[bytes]:
    """Pieces of whole lines with the shares of a time; lines that hold no share are left out."""
    # A share by hand may be logged later than it was found, never sooner.
    first = None if since is None else day_of(since) - datetime.timedelta(days=1)
    piece: list[bytes] = []
    for line in files.all_lines(first):
        try:
            share = decode(line)
        except BadLine as error:
            log.debug("left out of the export: %s", error)
            continue
        if (since is None or share.timestamp >= since) and (until is None or share.timestamp < until):
            piece.append(line if line.endswith(b"\n") else line + b"\n")
        if len(piece) >= _PIECE:
            yield b"".join(piece)
            piece = []
    if piece:
        yield b"".join(piece)


def new_share(timestamp: float, *, accepted: bool, source: str, **more: Any) -> Share:
    """A share that is not logged yet: its id is given by the log."""
    return Share(
        id=0,
        timestamp=UnixSeconds(timestamp),
        accepted=accepted,
        source=source,
        **{**dict.fromkeys(("wallet_id", "miner_id", "pool_name", "worker_name", "difficulty")), **more},
    )
