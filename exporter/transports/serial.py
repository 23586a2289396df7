"""The console of a USB board: one owner for each port, opened once and read on the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import termios
import threading
from collections.abc import Callable
from typing import Final

from exporter.transports.serial_errors import (
    NotASerialPort,
    PortBusy,
    PortDenied,
    PortError,
    PortVanished,
    port_error,
)
from exporter.transports.serial_lines import BOTH, DTR, RTS, assert_lines, open_port, release_lines

_LOG: Final = logging.getLogger(__name__)
DEFAULT_BAUD: Final = 115200
#: A board or hub that hangs may hold up the kernel's open for ever.
_OPEN_SECONDS: Final = 10.0
#: Taken from a port in one go, so that one that floods leaves room for others on the loop.
MAX_READ: Final = 64 * 1024
#: The kernel hands out no more at once.
_CHUNK: Final = 4096
#: Bytes of fast boards come in hundreds of small pieces a second: after a read they gather this long.
_GATHER_SECONDS: Final = 0.03
#: How long EN is held low; esptool takes 0.1 s for a bridge, 0.2 s for an ESP32 with USB of its own.
_PULSE_SECONDS: Final = 0.2
#: The chip is left alone until it is out of its reset (esptool).
_SETTLE_SECONDS: Final = 0.2

OnData = Callable[[bytes], None]
OnLost = Callable[[PortError], None]

__all__ = [
    "DEFAULT_BAUD",
    "MAX_READ",
    "NotASerialPort",
    "OnData",
    "OnLost",
    "PortBusy",
    "PortDenied",
    "PortError",
    "PortVanished",
    "SerialPort",
]


class SerialPort:
    """An open port. Made by `open`; everything happens on the thread of its loop.

    `on_data` gets what arrives, at most `MAX_READ` bytes at once. `on_lost` is called once, when the board goes away;
    the port is closed then. Neither is called after `close`.
    """

    def __init__(self, dev_path: str, fd: int, on_data: OnData, on_lost: OnLost, *, hold_lines: bool) -> None:
        self.dev_path = dev_path
        self._fd: int | None = fd
        self._on_data = on_data
        self._on_lost = on_lost
        self._hold_lines = hold_lines
        self._loop = asyncio.get_running_loop()
        self._gathering: asyncio.TimerHandle | None = None
        self._resetting = asyncio.Lock()
        self._loop.add_reader(fd, self._readable)

    @classmethod
    async def open(
        cls,
        dev_path: str,
        on_data: OnData,
        on_lost: OnLost,
        *,
        baud: int = DEFAULT_BAUD,
        hold_lines: bool = False,
        timeout: float = _OPEN_SECONDS,
    ) -> SerialPort:
        """Open a port for this program alone, without resetting the board as far as the host can help it, and read it.

        Args:
            dev_path: the device file.
            on_data: gets the bytes.
            on_lost: told when the board is gone.
            baud: speed; USB of the chip's own has none and ignores it.
            hold_lines: leave DTR and RTS on while the port is open (`usb_rules.needs_dtr`) instead of releasing both.
            timeout: seconds, for a board that hangs.

        Raises:
            PortDenied: the message says which group to join.
            PortBusy: another program holds it; it was left alone, and may be tried again.
            PortVanished: the board is gone.
            NotASerialPort: the file is none, or `baud` is no rate.
            PortError: anything else, such as a board that hangs.
        """
        opening = _Opening(dev_path, baud, hold_lines=hold_lines)
        try:
            async with asyncio.timeout(timeout):
                fd = await asyncio.to_thread(opening.run)
            return cls(dev_path, fd, on_data, on_lost, hold_lines=hold_lines)
        except TimeoutError as error:
            opening.abandon()
            raise PortError(
                dev_path, f"{dev_path} does not open within {timeout:g} s; plug the board in anew"
            ) from error
        except BaseException:
            opening.abandon()
            raise

    @property
    def closed(self) -> bool:
        return self._fd is None

    def hand_over(self, on_data: OnData, on_lost: OnLost) -> None:
        """Give the port to another owner. It stays open: opening it anew would reset many boards."""
        self._on_data, self._on_lost = on_data, on_lost

    def close(self) -> None:
        """Give the port up. What has arrived and was not read is lost."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        if self._gathering is not None:
            self._gathering.cancel()
        self._loop.remove_reader(fd)
        os.close(fd)

    async def reset(self) -> None:
        """Restart the board: EN low for a moment while IO0 stays high, so that it starts its firmware.

        Whether it restarted shows in what it prints. One whose serial port is software of its own (TinyUSB) cannot be
        restarted this way and stays as it is; one with USB of its own may leave USB for a moment (`on_lost`). A
        pseudo-terminal has no lines; a simulated board sees the flush on its end (packet mode).

        Raises:
            PortError: the port is closed, or was lost meanwhile.
        """
        async with self._resetting:
            self._move(_flush_output)
            self._move(release_lines, DTR)
            try:
                self._move(assert_lines, RTS)
                await asyncio.sleep(_PULSE_SECONDS)
            finally:
                self._idle()
            await asyncio.sleep(_SETTLE_SECONDS)
        if self._fd is None:
            raise self._closed()

    def _idle(self) -> None:
        """Leave no line alone on, whatever happened; a port that is closed has no lines."""
        if self._fd is not None:
            self._move(release_lines, BOTH)
        if self._fd is not None and self._hold_lines:
            self._move(assert_lines, BOTH)

    def _move(self, action: Callable[..., None], *lines: int) -> None:
        if self._fd is None:
            raise self._closed()
        try:
            action(self._fd, *lines)
        except OSError as error:
            lost = port_error(self.dev_path, error)
            self._lost(lost)
            raise lost from error

    def _closed(self) -> PortVanished:
        return PortVanished(self.dev_path, f"{self.dev_path} is closed")

    def _readable(self) -> None:
        """Take what is there, then let the next bytes gather."""
        fd = self._fd
        if fd is None:
            return
        data, lost = _read(self.dev_path, fd)
        if lost is None:
            self._loop.remove_reader(fd)
            self._gathering = self._loop.call_later(_GATHER_SECONDS, self._listen)
        if data:
            self._on_data(data)
        if lost is not None:
            self._lost(lost)

    def _listen(self) -> None:
        if self._fd is not None:
            self._loop.add_reader(self._fd, self._readable)

    def _lost(self, error: PortError) -> None:
        if self._fd is not None:
            self.close()
            self._on_lost(error)


class _Opening:
    """Opens in another thread. What was opened for a caller that went away meanwhile is closed again."""

    def __init__(self, dev_path: str, baud: int, *, hold_lines: bool) -> None:
        self._dev_path = dev_path
        self._baud = baud
        self._hold_lines = hold_lines
        self._lock = threading.Lock()
        self._abandoned = False
        self._fd: int | None = None

    def run(self) -> int:
        fd = open_port(self._dev_path, self._baud, hold_lines=self._hold_lines)
        with self._lock:
            self._fd = fd
            if self._abandoned:
                self._close()
        return fd

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _read(dev_path: str, fd: int) -> tuple[bytes, PortError | None]:
    """Read what is there, up to `MAX_READ`; the error where the end was reached."""
    pieces: list[bytes] = []
    while len(pieces) * _CHUNK < MAX_READ:
        try:
            piece = os.read(fd, _CHUNK)
        except BlockingIOError:
            break
        except OSError as error:
            return b"".join(pieces), port_error(dev_path, error)
        if not piece:
            return b"".join(pieces), PortVanished(dev_path, f"{dev_path} is gone: the board was unplugged")
        pieces.append(piece)
        if len(piece) < _CHUNK // 4:  # that was all
            break
    return b"".join(pieces), None


def _flush_output(fd: int) -> None:
    """Nothing of ours may wait for the boot ROM, which would listen."""
    try:
        termios.tcflush(fd, termios.TCOFLUSH)
    except termios.error as error:
        raise OSError(*error.args) from error
