"""Driver files on disk: read once, so that what is checked is what runs, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from exporter.errors import DriverRejected

#: How the name of a driver file ends.
SUFFIX: Final = "_driver.py"
#: What is put behind the name of a file that another one took the place of.
PREVIOUS: Final = ".previous"
TEMPLATE: Final = "TEMPLATE_miner_driver.py"
#: Readable by all, writable by the owner: the loader refuses what others may write.
USUAL_MODE: Final = 0o644


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


def kept_place(path: Path) -> Path:
    """Where the file that another one replaces is kept: beside it."""
    return path.with_name(path.name + PREVIOUS)


def read_driver_file(path: Path) -> tuple[bytes, int]:
    """The content of a driver file and its mode.

    Raises:
        DriverRejected: it cannot be read.
    """
    try:
        # Without blocking: opening a pipe would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DriverRejected("is no regular file")
            return stream.read(), stat.S_IMODE(status.st_mode)
    except OSError as error:
        raise DriverRejected(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def check_mode(path: Path, mode: int) -> None:
    """Raise `DriverRejected` where others than the owner may write the file."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DriverRejected(
            f"may be written by others (mode {mode:04o}), and a driver runs with the program's rights;"
            f" run: chmod go-w {path}"
        )


def write_whole(*contents: tuple[Path, bytes, int]) -> None:
    """Put contents in place of files, each (path, content, mode).

    All are written beside their places first, so that a full disk changes nothing; then each takes its place at once.

    Raises:
        OSError: a file cannot be written; those not yet in place stay as they were.
    """
    with contextlib.ExitStack() as leftovers:
        ready: list[tuple[Path, Path]] = []
        for path, content, mode in contents:
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
            leftovers.callback(temporary.unlink, missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                os.fchmod(stream.fileno(), mode)
                stream.flush()
                os.fsync(stream.fileno())
            ready.append((temporary, path))
        for temporary, path in ready:
            os.replace(temporary, path)
