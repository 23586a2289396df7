"""Who may write a driver file: it runs with the program's rights, so nobody but root and the program itself."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.errors import DriverRejected

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_RIGHTS: Final = "and a driver runs with the program's rights"
#: As many as Linux follows.
_MOST_LINKS: Final = 40


def check_writers(path: Path, mode: int, owner: int) -> None:
    """Raise `DriverRejected` where others than root and we may write a file, or put another one in its place.

    Args:
        path: of the file; of links, each folder on the way to the file counts, and the owner of each link.
        mode, owner: permission bits and user id of the file that was read.
    """
    if mode & _OTHERS:
        raise DriverRejected(f"may be written by others (mode {mode:04o}), {_RIGHTS}; run: chmod go-w {path}")
    if not is_trusted(owner):
        raise DriverRejected(f"belongs to {_user(owner)}, {_RIGHTS}; run: chown {os.geteuid()} {path}")
    try:
        for place in _way_to(path):
            _check_place(place)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DriverRejected(f"lies in a folder that cannot be looked at: {reason}") from error


def _way_to(path: Path) -> Iterator[Path]:
    """The path, and what each link leads to. That there is an end was seen when the file was opened."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _check_place(place: Path) -> None:
    link = place.lstat()
    if stat.S_ISLNK(link.st_mode) and not is_trusted(link.st_uid):
        raise DriverRejected(f"is a link of {_user(link.st_uid)}, {_RIGHTS}; run: chown -h {os.geteuid()} {place}")
    folder = place.parent.stat()
    mode = stat.S_IMODE(folder.st_mode)
    if not is_trusted(folder.st_uid):
        raise DriverRejected(
            f"lies in a folder of {_user(folder.st_uid)}, {_RIGHTS}; run: chown {os.geteuid()} {place.parent}"
        )
    # In a folder like /tmp each may change only what is his.
    if mode & _OTHERS and not mode & stat.S_ISVTX:
        raise DriverRejected(
            f"lies in a folder that others may write (mode {mode:04o}), {_RIGHTS}; run: chmod go-w {place.parent}"
        )


def is_trusted(owner: int) -> bool:
    """Whether a user id is root's or our own."""
    return owner in (0, os.geteuid())


def _user(owner: int) -> str:
    try:
        return f"user {pwd.getpwuid(owner).pw_name}"
    except KeyError:
        return f"user id {owner}"
