"""Copies of the database, and going back to one. A backup has the format of the database file itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from exporter.errors import StoreError, UsageError
from exporter.store.atomic import parse_document
from exporter.store.database import Database
from exporter.store.files import free_name, make_parents, write_atomically
from exporter.store.lock import DatabaseLock
from exporter.store.migrations import MIGRATIONS, Migration
from exporter.store.tableset import check_document


def backup_bytes(database: Database) -> bytes:
    """A consistent copy of a running database; it holds its secrets in clear. Takes a while for a large flock, so an
    event loop calls it in a thread.
    """
    return database.encoded()


def write_backup(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a backup whole or not at all, mode 0600.

    Raises:
        UsageError: there is a file already and `overwrite` is not set, or the path is no place for a file.
        StoreError: the disk refuses it.
    """
    target = Path(path).resolve()
    if target.exists():
        if not target.is_file():
            raise UsageError(f"{target}: not a regular file; choose another name for the backup")
        if not overwrite:
            raise UsageError(f"{target}: there is a file already; choose another name for the backup")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    write_atomically(target, [data])


def restore(
    backup_path: str | os.PathLike[str],
    database_path: str | os.PathLike[str],
    *,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> Path | None:
    """Put a backup in the place of the database.

    The backup is checked whole before anything is replaced. The file that was there is kept as
    ``<name>.before-restore`` (with a number behind it where that is taken).

    Returns:
        where the old file is kept; None where there was none.

    Raises:
        StoreError: the database is in use, the backup is unreadable, damaged or of a newer schema, or the disk
            refuses it. Nothing was replaced.
    """
    source, target = Path(backup_path).resolve(), Path(database_path).resolve()
    if source == target:
        raise UsageError(f"{source}: this is the database itself; name a backup")
    data = _read(source)
    check_document(parse_document(data, str(source)), str(source), migrations)
    make_parents(target)
    lock = DatabaseLock.acquire(target)
    try:
        kept = _keep(target)
        write_atomically(target, [data])
    finally:
        lock.release()
    return kept


def _keep(target: Path) -> Path | None:
    if not target.exists():
        return None
    kept = free_name(target.with_name(f"{target.name}.before-restore"))
    write_atomically(kept, [_read(target)])
    return kept


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
