"""The files of the share log: one of JSON lines for each day (UTC), appended to, and an archive of packed ones."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import logging
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.errors import StoreError
from exporter.shares.lines import BadLine, decode
from exporter.store.files import PRIVATE_MODE, free_name, make_parents, write_atomically

log = logging.getLogger(__name__)

#: What the archive may take, in bytes; the oldest days leave first. By size, since a clock that is wrong must not
#: delete what is young.
ARCHIVE_BYTES: Final = 1 << 30
_DAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.jsonl(?:\.gz(?:\.\d+)?)?")
#: No line is longer.
_LONGEST_LINE: Final = 16 * 1024


class DayFiles:
    """The folder of the log. One thread at a time writes; reading needs no lock, for files only grow.

    Args:
        folder: made at the first write, mode 0700; the files get mode 0600.
    """

    def __init__(self, folder: Path, archive_bytes: int = ARCHIVE_BYTES) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        self._archive_bytes = archive_bytes

    def path(self, day: datetime.date) -> Path:
        return self.folder / f"{day}.jsonl"

    def days(self) -> list[datetime.date]:
        """Days with a file that is not archived, oldest first. Raises `StoreError`."""
        return sorted({day for day, path in _listed(self.folder) if path == self.path(day)})

    # --- writing ---

    def append(self, day: datetime.date, data: bytes, *, sync: bool) -> None:
        """Append whole lines; with `sync` they are on the disk on return. A torn end of before is mended first.

        Raises:
            StoreError: nothing was appended, as far as the disk allowed to take it back.
        """
        path = self.path(day)
        try:
            self._make(self.folder)
            new = not path.exists()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_MODE)
            try:
                if new:
                    self._give(path)
                _mend(descriptor, path)
                _write(descriptor, data)
                if sync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if sync and new:
                _sync_folder(self.folder)
        except OSError as error:
            raise StoreError(
                f"{path}: shares cannot be written: {(error.strerror or str(error)).lower()}; "
                "look at the free space and at who owns the folder"
            ) from error

    def pack(self, before: datetime.date) -> None:
        """Move days before `before` to the archive, gzipped, and drop the oldest of it where it is too large.

        Raises:
            StoreError: the disk; what is not archived stays where it is.
        """
        for day in self.days():
            if day < before:
                self._pack(day)
        self._drop_oldest()

    def _pack(self, day: datetime.date) -> None:
        path, packed = self.path(day), self.archive / f"{day}.jsonl.gz"
        try:
            if packed.exists() and gzip.decompress(packed.read_bytes()) == path.read_bytes():
                log.debug("%s was archived before", path)  # and could not be removed then
            else:
                self._make(self.archive)
                packed = free_name(packed)
                write_atomically(packed, _gzipped(path))
                self._give(packed)
            path.unlink()
        except (OSError, EOFError, zlib.error) as error:
            raise StoreError(f"{path}: cannot be archived: {error}") from error
        log.info("shares of %s are in the archive", day, extra={"folder": str(self.archive)})

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            make_parents(folder / "file")
            self._give(folder)

    def _give(self, path: Path) -> None:
        """Run once as root, the program must not take the log away from the user it normally runs as."""
        if os.geteuid() == 0:
            owner = self.folder.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    def _drop_oldest(self) -> None:
        try:
            sizes = [(path, path.stat().st_size) for _, path in sorted(_listed(self.archive))]
            excess = sum(size for _, size in sizes) - self._archive_bytes
            for path, size in sizes:
                if excess <= 0:
                    return
                path.unlink()
                excess -= size
                log.info("%s is deleted: the archive of shares is full", path)
        except OSError as error:
            raise StoreError(f"{self.archive}: old shares cannot be deleted: {error}") from error

    # --- reading ---

    def count(self, day: datetime.date) -> int:
        """Lines of a day. Raises `StoreError`."""
        with self._reading(self.path(day)) as path, path.open("rb") as stream:
            return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(1 << 20), b""))

    def lines(self, day: datetime.date) -> Iterator[bytes]:
        """The lines of a day that is not archived, also a torn last one. Raises `StoreError`."""
        with self._reading(self.path(day)) as path, path.open("rb") as stream:
            yield from iter(lambda: stream.readline(_LONGEST_LINE), b"")

    def all_lines(self, since: datetime.date | None = None) -> Iterator[bytes]:
        """The lines of all days from `since` on, archive and all, as they were logged. Raises `StoreError`."""
        plain = set(self.days())
        packed = [(day, path) for day, path in _listed(self.archive) if day not in plain]
        for day, path in sorted([*packed, *((day, self.path(day)) for day in plain)]):
            if since is not None and day < since:
                continue
            if path.suffix == ".jsonl" and not path.exists():  # archived meanwhile
                path = self.archive / f"{day}.jsonl.gz"
            with self._reading(path), path.open("rb") if path.suffix == ".jsonl" else gzip.open(path) as stream:
                yield from iter(lambda: stream.readline(_LONGEST_LINE), b"")

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[Path]:
        try:
            yield path
        except (OSError, EOFError, zlib.error) as error:
            raise StoreError(f"{path}: shares cannot be read: {error}") from error


def _listed(folder: Path) -> list[tuple[datetime.date, Path]]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{folder}: cannot be listed: {(error.strerror or str(error)).lower()}") from error
    found = []
    for name in names:
        if match := _DAY.fullmatch(name):
            with contextlib.suppress(ValueError):
                found.append((datetime.date.fromisoformat(match[1]), folder / name))
    return found


def _gzipped(path: Path) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            yield packer.compress(piece)
    yield packer.flush()


def _mend(descriptor: int, path: Path) -> None:
    """A write that was cut off (power, full disk) left a part of a line: cut it off, or end it where it is whole."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    start = max(0, size - _LONGEST_LINE)
    tail = os.pread(descriptor, size - start, start).rpartition(b"\n")[2]
    try:
        decode(tail)
    except BadLine:
        log.warning("%s: the last line was torn and is cut off (%d bytes)", path, len(tail))
        os.ftruncate(descriptor, size - len(tail))
    else:
        os.write(descriptor, b"\n")


def _write(descriptor: int, data: bytes) -> None:
    before = os.fstat(descriptor).st_size
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
