"""Who may write a driver file: it runs with the program's rights, so nobody but root and the program itself."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.errors import DriverRejected

_RIGHTS: Final = "and a driver runs with the program's rights"
#: As many as Linux follows.
_MOST_LINKS: Final = 40


def check_writers(path: Path, mode: int, owner: int, *, group: bool = False) -> None:
    """Raise `DriverRejected` where others than root and we may write a file, or put another one in its place.

    Args:
        path: of the file; of links, each folder on the way to the file counts, and the owner of each link.
        mode, owner: permission bits and user id of the file that was read.
        group: whether the group may write file and folders, as where the usual mask lets it: for a file that a
            person names.
    """
    others = stat.S_IWOTH if group else stat.S_IWGRP | stat.S_IWOTH
    forbid = "chmod o-w" if group else "chmod go-w"
    try:
        if not is_trusted(owner):
            raise DriverRejected(_belongs_to(path, owner))
        if mode & others:
            raise DriverRejected(f"may be written by others (mode {mode:04o}), {_RIGHTS}; run: {forbid} {path}")
        for place in _way_to(path):
            _check_place(place, others, forbid)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DriverRejected(f"lies in a folder that cannot be looked at: {reason}") from error


def _belongs_to(path: Path, owner: int) -> str:
    remedy = user_to_run_as(path.parent)
    if remedy is not None and path.parent.stat().st_uid == owner:
        return f"belongs to {_user(owner)}, whose folder it lies in, {_RIGHTS}; run as that user: {remedy} ..."
    return f"belongs to {_user(owner)}, {_RIGHTS}; {_give('chown', path)}"


def user_to_run_as(folder: Path) -> str | None:
    """What root is to run instead where the folder is another user's: ``sudo -u miner flockwatch``; else None.

    Giving such a folder to root would take it away from the program, which runs as that user.

    Raises:
        OSError: the folder cannot be looked at.
    """
    owner = folder.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return None
    name = _name(owner)
    return f"sudo -u {shlex.quote(f'#{owner}' if name is None else name)} flockwatch"


def _give(command: str, path: Path) -> str:
    """Only root may give a file away."""
    return f"run{'' if os.geteuid() == 0 else ' as root'}: {command} {os.geteuid()} {path}"


def _way_to(path: Path) -> Iterator[Path]:
    """The path, and what each link leads to. That there is an end was seen when the file was opened."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _check_place(place: Path, others: int, forbid: str) -> None:
    link = place.lstat()
    if stat.S_ISLNK(link.st_mode) and not is_trusted(link.st_uid):
        raise DriverRejected(f"is a link of {_user(link.st_uid)}, {_RIGHTS}; {_give('chown -h', place)}")
    folder = place.parent.stat()
    mode = stat.S_IMODE(folder.st_mode)
    if not is_trusted(folder.st_uid):
        remedy = user_to_run_as(place.parent)
        mend = _give("chown", place.parent) if remedy is None else f"run as that user: {remedy} ..."
        raise DriverRejected(f"lies in a folder of {_user(folder.st_uid)}, {_RIGHTS}; {mend}")
    # In a folder like /tmp each may change only what is his.
    if mode & others and not mode & stat.S_ISVTX:
        raise DriverRejected(
            f"lies in a folder that others may write (mode {mode:04o}), {_RIGHTS}; run: {forbid} {place.parent}"
        )


def is_trusted(owner: int) -> bool:
    """Whether a user id is root's or our own."""
    return owner in (0, os.geteuid())


def _user(owner: int) -> str:
    name = _name(owner)
    return f"user id {owner}" if name is None else f"user {name}"


def _name(owner: int) -> str | None:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return None
