"""Pseudo-terminals that play boards."""

import asyncio
import contextlib
import gc
import os
import tty

from exporter.transports.serial import SerialPort
from tests.usb.boards import Reports


class Pty:
    """`path` is opened as a port; `say` is the board's voice; `unplug` closes the board's end."""

    def __init__(self):
        self.leader, follower = os.openpty()
        tty.setraw(follower)
        self.path = os.ttyname(follower)
        self._follower = follower

    def say(self, data):
        os.write(self.leader, data)

    def unplug(self):
        for fd in (self.leader, self._follower):
            if fd is not None:
                os.close(fd)
        self.leader = self._follower = None


@contextlib.contextmanager
def board_on_pty():
    pty = Pty()
    try:
        yield pty
    finally:
        if pty.leader is not None:
            pty.unplug()


class Owner:
    """What a port tells its owner."""

    def __init__(self):
        self.pieces, self.lost = Reports(), Reports()

    @property
    def data(self):
        return b"".join(self.pieces)

    async def read(self, size):
        while len(self.data) < size:
            await self.pieces.until(len(self.pieces) + 1)

    @contextlib.asynccontextmanager
    async def port(self, path, **options):
        port = await SerialPort.open(path, self.pieces.append, self.lost.append, **options)
        try:
            yield port
        finally:
            port.close()


@contextlib.contextmanager
def garbage_stays():
    """Where file descriptors are counted: garbage of other tests may hold some, and to collect it closes them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def play(scene, *arguments):
    """Run a coroutine function; no file descriptor may be left."""
    with garbage_stays():
        before = descriptors()
        asyncio.run(scene(*arguments))
        assert descriptors() == before
