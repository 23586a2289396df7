"""Pseudo-terminals as serial ports, and the socket that stands in for their modem lines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import socket
import struct
import tempfile
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

CHUNK: Final = 4096
#: Linux' request for the slave of a master; the standard library does not name it.
_TIOCGPTPEER: Final = 0x5441
_LONGEST_SOCKET_PATH: Final = 100


def make_terminal(path: str) -> int:
    """A fresh terminal whose slave is linked at `path`; the master, non-blocking.

    Raises:
        OSError: something that is no link is in the way, or there are no terminals left.
    """
    master, slave = os.openpty()
    try:
        # Nothing may be echoed or translated before the reader has set its own modes.
        tty.setraw(slave)
        os.set_blocking(master, False)
        remove_link(path)
        os.symlink(os.ttyname(slave), path)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    return master


def remove_link(path: str) -> None:
    """Take a link away where there is one."""
    if os.path.islink(path):
        os.unlink(path)


def write(master: int, data: bytes) -> int:
    """How many bytes the terminal took; 0 where its buffer is full."""
    try:
        return os.write(master, data)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno == errno.EIO:
            return 0
        raise


def tell_flushes(master: int, wanted: bool = True) -> None:
    """Packet mode: `drain` hears it when the host throws its output away. It stays on until it is switched off."""
    fcntl.ioctl(master, termios.TIOCPKT, struct.pack("i", wanted))


def drain(master: int) -> tuple[int, bool]:
    """Read what the host did: how many bytes it wrote, and whether it flushed its output (see `tell_flushes`)."""
    total, flushed = 0, False
    while True:
        try:
            data = os.read(master, CHUNK)
        except OSError:
            # Nothing more, or the host has just closed the port.
            return total, flushed
        if not data:
            return total, flushed
        # In packet mode a 0 stands before data, and anything else alone.
        if data[0] == termios.TIOCPKT_DATA:
            total += len(data) - 1
        elif data[0] & termios.TIOCPKT_FLUSHWRITE:
            flushed = True


def forget_unread(master: int) -> None:
    """Throw away what the host has not read, as a serial driver does when the port is closed."""
    try:
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        logger.debug("unread bytes stay in the terminal: %s", error)
        return
    try:
        termios.tcflush(slave, termios.TCIFLUSH)
    finally:
        os.close(slave)


class LinesSocket:
    """A UNIX datagram socket that hears what the host does with DTR and RTS of the ports.

    Datagrams: ``PATH dtr=0|1 rts=0|1`` with 1 for asserted, or ``PATH reset``. The socket lies in `folder`, or in a
    temporary folder where that path is too long for one; `path` says where.
    """

    def __init__(
        self, folder: Path, on_lines: Callable[[str, bool, bool], None], on_reset: Callable[[str], None]
    ) -> None:
        self._on_lines = on_lines
        self._on_reset = on_reset
        self._own_folder: str | None = None
        self.path = str(folder / "lines.sock")
        if len(self.path) > _LONGEST_SOCKET_PATH:
            self._own_folder = tempfile.mkdtemp(prefix="lines-")
            self.path = f"{self._own_folder}/lines.sock"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.path)

    def read(self) -> None:
        """Follow all datagrams that have come; one that is wrong is logged."""
        while self._socket is not None:
            try:
                text = self._socket.recv(CHUNK).decode(errors="replace")
            except BlockingIOError:
                return
            try:
                self._follow(text)
            except (KeyError, ValueError) as error:
                logger.warning("lines %r: %s", text, error)

    def _follow(self, text: str) -> None:
        path, *words = text.split()
        if words == ["reset"]:
            self._on_reset(path)
            return
        values = dict(word.split("=", 1) for word in words)
        self._on_lines(path, values["dtr"] == "1", values["rts"] == "1")

    def close(self) -> None:
        """Close the socket and remove it."""
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)
