"""Why a serial port cannot be opened, or was lost, as one line with the remedy."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from typing import Final

from exporter.errors import Unreachable
from exporter.text import clean_text

_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOTDIR, errno.EPIPE})
_BUSY: Final = frozenset({errno.EBUSY, errno.EWOULDBLOCK, errno.EAGAIN})
_GROUP_MAY: Final = stat.S_IRGRP | stat.S_IWGRP


class PortError(Unreachable):
    """A serial port that cannot be used. `dev_path` is its device file; the message is fit for the log and the UI."""

    def __init__(self, dev_path: str, message: str) -> None:
        super().__init__(message)
        self.dev_path = dev_path


class PortVanished(PortError):
    """The board was unplugged, or the other end of a pseudo-terminal was closed."""


class PortDenied(PortError):
    """This user may not open the port. Asking again helps only after a person has changed that."""

    transient = False


class PortBusy(PortError):
    """Another program holds the port. It is left alone; ask again later."""


class NotASerialPort(PortError):
    """The file is no serial port, or does not know the baud rate."""

    transient = False


def port_error(dev_path: str, error: OSError) -> PortError:
    """Name what `error` (of open, read, ioctl or tcsetattr on `dev_path`) means."""
    if error.errno in _GONE:
        return PortVanished(dev_path, f"{dev_path} is gone: the board was unplugged ({_text(error)})")
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortDenied(dev_path, _denied(dev_path, error))
    if error.errno in _BUSY:
        return busy(dev_path)
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return NotASerialPort(dev_path, f"{dev_path} is not a serial port ({_text(error)})")
    return PortError(dev_path, f"{dev_path}: {_text(error)}")


def busy(dev_path: str, holder: str | None = None) -> PortBusy:
    """`holder` names the program, where it is known ("minicom (process 1234)")."""
    return PortBusy(
        dev_path,
        f"{dev_path} is held by {holder or 'another program'}: it is opened at the next try after that one is stopped",
    )


def _text(error: OSError) -> str:
    return error.strerror or str(error)


def _denied(dev_path: str, error: OSError) -> str:
    """The rights of the file say which group opens it; the rules of a container (EPERM) come before them."""
    start = f"{dev_path} may not be opened ({_text(error)})"
    if error.errno == errno.EPERM:
        return f"{start}; in a container, hand the device in (docker run --device {dev_path})"
    try:
        status = os.stat(dev_path)
    except OSError:
        return start
    user = _user_name()
    if status.st_mode & _GROUP_MAY != _GROUP_MAY or status.st_gid == 0:
        return f'{start}; its group may not open it either: a udev rule such as MODE="0660", GROUP="dialout" helps'
    try:
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        return f"{start}; it belongs to group {status.st_gid}, in a container: docker run --group-add {status.st_gid}"
    if user in group.gr_mem:
        return f"{start}; {user} has joined group {group.gr_name} after this program started: log in again, restart it"
    return f"{start}; it belongs to group {group.gr_name}: run `sudo usermod -aG {group.gr_name} {user}`, log in again"


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def holder_of(dev_path: str) -> str | None:
    """Name another program (or this one) that has the port open, as far as this user may see, without touching it."""
    real = os.path.realpath(dev_path)
    for process in os.listdir("/proc"):
        if process.isdigit() and _holds(process, real):
            return f"{_program(process)} (process {process})"
    return None


def _holds(process: str, real: str) -> bool:
    folder = f"/proc/{process}/fd"
    try:
        return any(_target(f"{folder}/{number}") == real for number in os.listdir(folder))
    except OSError:  # ended, or of another user
        return False


def _target(link: str) -> str | None:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return None


def _program(process: str) -> str:
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            return clean_text(file.read()) or "a program"
    except OSError:
        return "a program"
