"""One process for each database."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import Self

from exporter.errors import StoreError
from exporter.store.files import PRIVATE_MODE

log = logging.getLogger(__name__)


class DatabaseLock:
    """An advisory lock on ``<database>.lock``, held until `release` or the end of the process.

    The file stays when the lock is released: deleting it would let two processes lock two different files. It holds
    the process number of the last owner; what counts is the lock, so a file of a dead process is no hindrance.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, database_path: str | os.PathLike[str]) -> Self:
        """Lock the database at `database_path` (symbolic links resolved).

        Raises:
            StoreError: another process holds the lock, or the lock file cannot be made.
        """
        database = Path(database_path).resolve()
        path = lock_path(database)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_MODE)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be opened: {(error.strerror or str(error)).lower()}; give the user that runs "
                "Flockwatch write permission for the directory, or change database.path"
            ) from error
        try:
            _lock(descriptor, database, path)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @property
    def held(self) -> bool:
        """Whether this object still holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def lock_path(database_path: Path) -> Path:
    """Where the lock of a (resolved) database path is."""
    return database_path.with_name(database_path.name + ".lock")


def _lock(descriptor: int, database: Path, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = _owner(descriptor)
        raise StoreError(
            f"{database} is in use by {owner}; stop it or choose another database.path in targets.yml"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path}: the file system cannot lock files ({error.strerror}); put the database on a local disk"
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError as error:  # a full disk: the lock holds all the same, only its owner stays nameless
        log.warning("%s: cannot be written: %s", path, error.strerror)


def _owner(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return f"process {text}" if text.isdecimal() else "another process"
