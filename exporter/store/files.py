"""Files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from exporter.errors import StoreError

log = logging.getLogger(__name__)

#: Mode of every file that may hold secrets.
PRIVATE_MODE: Final = 0o600
#: File systems without a directory fsync (FAT, some network ones) answer one of these; rename is all they offer.
_NO_DIRECTORY_SYNC: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS})


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace `path` by the joined `chunks`; on return they survive a power cut.

    A new file (mode 0600, unique name, same directory) is written, synced and renamed over `path`, then the directory
    is synced. A reader sees the old content or the new one, never a part. Blocks for as long as the disk takes.

    Raises:
        StoreError: disk full, read-only, no permission. `path` is as it was (except where only the last sync of the
            directory failed: then it may hold the new content already).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            _write_new(temporary, path, chunks)
            os.replace(temporary, path)
        except BaseException:
            _discard(temporary)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {_reason(error)}; {_remedy(error)}") from error


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files that a killed process left beside `path`. Only for the holder of its lock."""
    pattern = re.compile(re.escape(f".{path.name}.") + r"\d+\.[0-9a-f]{16}\.tmp")
    with _listing(path.parent) as entries:
        names = [entry.name for entry in entries if pattern.fullmatch(entry.name)]
    for name in names:
        log.info("removing %s, left by a process that was killed", path.with_name(name))
        _discard(path.with_name(name))


def make_parents(path: Path) -> None:
    """Create the missing parent directories of `path`, mode 0700; the mode of existing ones is kept.

    Raises:
        StoreError: a directory cannot be created.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: its directory cannot be created: {_reason(error)}; {_remedy(error)}") from error


def free_name(path: Path) -> Path:
    """`path`, or the first of ``path.2``, ``path.3``, … that does not exist: nothing kept earlier is overwritten."""
    candidate, number = path, 1
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def _write_new(temporary: Path, target: Path, chunks: Iterable[bytes]) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        _keep_owner(descriptor, target)
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        os.fsync(descriptor)


def _keep_owner(descriptor: int, target: Path) -> None:
    """Run once as root, the program must not take the file away from the user it normally runs as."""
    if os.geteuid() != 0:
        return
    with contextlib.suppress(FileNotFoundError):
        status = target.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
        log.debug("%s: the file system cannot sync a directory", directory)
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be removed: %s", path, _reason(error))


@contextlib.contextmanager
def _listing(directory: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(directory) as entries:
            yield entries
    except OSError as error:
        raise StoreError(f"{directory}: cannot be listed: {_reason(error)}; {_remedy(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give the user that runs Flockwatch write permission for the directory, or change database.path"
    if error.errno == errno.EBUSY:
        return "mount the directory into the container instead of the single file"
    return "check the disk"
