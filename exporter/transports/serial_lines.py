"""One serial port as the kernel shows it: opened raw, the modem lines moved so that no board resets or loses its data.

The lines of an ESP32 board behind a USB bridge pull two pins (circuit of Espressif's boards, as esptool relies on):

    DTR on, RTS off: IO0 low    (start in download mode; on boards whose only button is IO0, 5 s of it erase the
                                 miner's configuration)
    DTR off, RTS on: EN low     (held in reset)
    both on, both off: neither

The kernel raises both at once when a port is opened. They are released at once, too, by a single ioctl that every
driver passes on as one message; one line after the other would pass through one of the two upper rows: "DTR, then RTS"
resets the board, "RTS, then DTR" sets the download flag of an ESP32-S3. pyserial would write one line after the other,
throw away what the board has said already, and spend four more file descriptors on each port; hence termios.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios
from typing import Final

from exporter.transports.serial_errors import NotASerialPort, busy, holder_of, port_error

DTR: Final = termios.TIOCM_DTR
RTS: Final = termios.TIOCM_RTS
BOTH: Final = DTR | RTS
#: A pseudo-terminal answers ENOTTY to everything about modem lines, some drivers EINVAL.
_NO_LINES: Final = (errno.ENOTTY, errno.EINVAL)
#: Major numbers of the ends of pseudo-terminals that programs open (Linux, admin-guide/devices).
_PTY_MAJORS: Final = range(136, 144)


def open_port(dev_path: str, baud: int, *, hold_lines: bool) -> int:
    """Open a port for this program alone, 8N1 without flow control, without blocking; return its file descriptor.

    The lock keeps out programs that ask for it (esptool, pyserial with `exclusive`), TIOCEXCL all others but root's.
    Pseudo-terminals are spared the latter: theirs outlives a program that was killed.

    Args:
        dev_path: the device file, or a link to it.
        baud: one of the rates that termios knows.
        hold_lines: leave DTR and RTS on, as the kernel has set them, instead of releasing both.

    Raises:
        PortError: it cannot be; nothing stays open.
    """
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise NotASerialPort(dev_path, f"{dev_path}: {baud} is no baud rate that serial ports have")
    try:
        real = not _is_pseudo_terminal(dev_path)
        # Opening moves the lines, also of a port that somebody else uses: look first.
        holder = holder_of(dev_path) if real else None
        if holder is not None:
            raise busy(dev_path, holder)
        fd = os.open(dev_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise port_error(dev_path, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if real:
            _ioctl(fd, termios.TIOCEXCL)
        _make_raw(fd, speed)
        if not hold_lines:
            release_lines(fd, BOTH)
    except BaseException as error:
        os.close(fd)
        if isinstance(error, OSError):
            raise port_error(dev_path, error) from error
        if isinstance(error, termios.error):
            raise port_error(dev_path, OSError(*error.args)) from error
        raise
    return fd


def _is_pseudo_terminal(dev_path: str) -> bool:
    status = os.stat(dev_path)
    if not stat.S_ISCHR(status.st_mode):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    return os.major(status.st_rdev) in _PTY_MAJORS


def _make_raw(fd: int, speed: int) -> None:
    """VMIN 1 makes a read that finds nothing fail, so that an empty one means the end."""
    iflag, oflag, cflag, lflag, _, _, characters = termios.tcgetattr(fd)
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.INPCK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON | termios.IXOFF | termios.IXANY
    )  # fmt: skip
    oflag &= ~termios.OPOST
    lflag &= ~(termios.ICANON | termios.ECHO | termios.ECHONL | termios.ISIG | termios.IEXTEN)
    cflag &= ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
    cflag |= termios.CS8 | termios.CREAD | termios.CLOCAL
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, speed, speed, characters])


def assert_lines(fd: int, lines: int) -> None:
    """Switch `lines` on, at once."""
    _ioctl(fd, termios.TIOCMBIS, struct.pack("I", lines))


def release_lines(fd: int, lines: int) -> None:
    """Switch `lines` off, at once."""
    _ioctl(fd, termios.TIOCMBIC, struct.pack("I", lines))


def _ioctl(fd: int, request: int, argument: bytes = b"") -> None:
    try:
        fcntl.ioctl(fd, request, argument)
    except OSError as error:
        if error.errno not in _NO_LINES:
            raise
