"""Driver files on disk: read once, so that what is checked is what runs, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.drivers.manifest import MAX_BYTES
from exporter.drivers.writers import is_trusted
from exporter.errors import DriverRejected

#: How the name of a driver file ends.
SUFFIX: Final = "_driver.py"
#: What is put behind the name of a file that another one took the place of.
PREVIOUS: Final = ".previous"
TEMPLATE: Final = "TEMPLATE_miner_driver.py"
#: Readable by all, writable by the owner: the loader refuses what others may write.
USUAL_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was read, or as it is to be: its content, permission bits, the user id of its owner.

    `place` is where it was read, None for one that is to be.
    """

    content: bytes
    mode: int = USUAL_MODE
    owner: int = field(default_factory=os.geteuid)
    place: Path | None = None


def driver_files(folder: Path) -> list[Path]:
    """The driver files in `folder`, sorted by name. The template is none, nor are files that begin with . or _.

    Raises:
        OSError: the folder cannot be read.
    """
    return _files(folder, SUFFIX)


def kept_files(folder: Path) -> list[Path]:
    """The files in `folder` that were kept when another one took their place, sorted by name.

    Raises:
        OSError: the folder cannot be read.
    """
    return _files(folder, SUFFIX + PREVIOUS)


def _files(folder: Path, end: str) -> list[Path]:
    names = sorted(name for name in os.listdir(folder) if name.endswith(end))
    return [folder / name for name in names if not name.startswith((".", "_", TEMPLATE))]


def read_regular(path: Path) -> ReadFile:
    """Read a file that is no larger than a driver may be.

    Raises:
        OSError: it cannot be read; `FileNotFoundError` where there is none.
        DriverRejected: it is no regular file, or larger than that.
    """
    # Without blocking: opening a pipe would wait for a writer.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DriverRejected("is no regular file")
        # The size first, since a read sets aside memory for all of it; but the file may grow meanwhile.
        content = b"" if status.st_size > MAX_BYTES else stream.read(MAX_BYTES + 1)
    if max(status.st_size, len(content)) > MAX_BYTES:
        raise DriverRejected(f"is larger than {MAX_BYTES} bytes")
    return ReadFile(content, stat.S_IMODE(status.st_mode), status.st_uid, path)


def read_driver_file(path: Path) -> ReadFile:
    """Read a driver file.

    Raises:
        DriverRejected: it cannot be read, is no regular file, or is larger than a driver may be.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise DriverRejected(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def write_whole(*contents: tuple[Path, ReadFile]) -> None:
    """Put contents in place of files, each with its mode.

    All are written beside their places first, so that a full disk changes nothing; then each takes its place at once.
    A file of a foreign owner is moved instead: it stays his, which only root could do for a copy of it. Until another
    one takes the place that it left, there is none.

    Raises:
        OSError: a file cannot be written; those not yet in place stay as they were, and moved ones are put back.
    """
    with contextlib.ExitStack() as leftovers, contextlib.ExitStack() as undo:
        ready = [(_beside(path), path, new) for path, new in contents]
        for temporary, _, new in ready:
            if not _is_moved(new):
                leftovers.callback(temporary.unlink, missing_ok=True)
                _write(temporary, new)
        for temporary, path, new in ready:
            if new.place is not None and _is_moved(new):
                os.replace(new.place, temporary)
                undo.callback(_put_back, new.place, temporary, path)
        for temporary, path, _ in ready:
            os.replace(temporary, path)
        undo.pop_all()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _is_moved(new: ReadFile) -> bool:
    return new.place is not None and not is_trusted(new.owner)


def _write(path: Path, new: ReadFile) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(new.content)
        os.fchmod(stream.fileno(), new.mode)
        stream.flush()
        os.fsync(stream.fileno())


def _put_back(place: Path, temporary: Path, path: Path) -> None:
    """Put a file that was moved back to its place, unless another one has that by now."""
    if not os.path.lexists(place):
        os.replace(temporary if os.path.lexists(temporary) else path, place)
