"""One board on USB while it is plugged in: its port, its console, and whom it belongs to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import UsbIdentity
from exporter.model import Identity, Reading
from exporter.model_usb import UsbStatus, UsbView
from exporter.protocols.nerdminer_config import DumpedConfig
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.transports.serial_errors import PortBusy, PortDenied, PortError, PortVanished

log = logging.getLogger(__name__)

#: Rest before a port that could not be opened is tried again: held by another program, not allowed, anything else.
_RETRY: Final = {PortBusy: 5.0, PortDenied: 30.0}
_RETRY_ELSE: Final = 2.0
#: A new board that is mining already told its configuration before we listened: it is reset once to tell it again.
_PATIENCE_FOR_DUMP: Final = 5.0
_SHARES_KEPT: Final = 1000


class Port(Protocol):
    """An open serial port (`transports.serial.SerialPort`)."""

    def close(self) -> None: ...

    async def reset(self) -> None: ...


class Console(Protocol):
    """What reads a board's output (`NerdMinerConsole`)."""

    period: float
    config_at: float | None

    def feed(self, data: bytes, now: float) -> tuple[Reading, ...]: ...

    def tick(self, now: float) -> None: ...

    def plug(self, now: float) -> None: ...

    def unplug(self, now: float) -> None: ...

    def take_shares(self) -> tuple[ShareEvent, ...]: ...

    @property
    def view(self) -> UsbView: ...

    @property
    def config(self) -> DumpedConfig | None: ...

    @property
    def identity(self) -> Identity: ...


class OpenPort(Protocol):
    """Opens a port (`SerialPort.open`)."""

    async def __call__(
        self, dev_path: str, on_data: Callable[[bytes], None], on_lost: Callable[[PortError], None]
    ) -> Port: ...


class Board:
    """The one owner of a port from plug-in to unplug.

    Who reads the console may change (a waiting device becomes a miner); the port stays open, because opening resets
    many boards.

    Attributes:
        miner_id: of the miner it is, None while it waits to be named.
        waiting_id: of its row among the waiting devices, None once it is a miner.
        shares: what the pool judged lately, newest last.
    """

    def __init__(
        self,
        device: UsbDevice,
        identity: UsbIdentity,
        console: Console,
        open_port: OpenPort,
        on_change: Callable[[Board, Reading | None], None],
    ) -> None:
        self.device = device
        self.identity = identity
        self.console = console
        self.miner_id: int | None = None
        self.waiting_id: int | None = None
        self.shares: deque[ShareEvent] = deque(maxlen=_SHARES_KEPT)
        self.trouble: str | None = None
        self._open_port = open_port
        self._on_change = on_change
        self._port: Port | None = None
        self._opening: asyncio.Task[None] | None = None
        self._opened_at = 0.0
        self._was_reset = False

    @property
    def is_open(self) -> bool:
        return self._port is not None

    def open(self) -> None:
        """Open the port and keep trying until it is open or `close` is called."""
        if self._opening is None and self._port is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(), name=f"open {self.device.dev_path}")

    def close(self) -> None:
        """The board is gone, or the program ends: let go of the port."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._port is not None:
            self._port.close()
            self._port = None

    async def reset(self) -> None:
        """Restart the board. Raises `PortError` where that is not possible."""
        if self._port is None:
            raise PortVanished(self.device.dev_path, f"{self.device.dev_path}: the port is not open")
        await self._port.reset()

    def tick(self, now: float) -> None:
        """Let time pass; once a second."""
        if self._port is None:
            return
        self._changed_by(lambda: self.console.tick(now))
        self._reset_for_dump()

    async def _open(self) -> None:
        while True:
            try:
                port = await self._open_port(self.device.dev_path, self._data, self._lost)
            except PortError as error:
                if str(error) != self.trouble:
                    log.warning("%s", error, extra={"device": self.device.dev_path})
                self.trouble = str(error)
                self._on_change(self, None)
                await asyncio.sleep(_RETRY.get(type(error), _RETRY_ELSE))
                continue
            self._port, self._opening, self.trouble = port, None, None
            self._opened_at = time.monotonic()
            self._changed_by(lambda: self.console.plug(time.time()), always=True)
            return

    def _data(self, data: bytes) -> None:
        before = self.console.view, self.console.config_at
        readings = self.console.feed(data, time.time())
        self.shares.extend(self.console.take_shares())
        if readings or before != (self.console.view, self.console.config_at):
            self._on_change(self, readings[-1] if readings else None)

    def _lost(self, error: PortError) -> None:
        """The port died under us. The unplug is usually reported as well; a board that is still there is reopened."""
        log.info("%s", error, extra={"device": self.device.dev_path})
        self._port = None
        self._changed_by(lambda: self.console.unplug(time.time()), always=True)
        self._opening = asyncio.get_running_loop().create_task(self._reopen(), name=f"reopen {self.device.dev_path}")

    async def _reopen(self) -> None:
        await asyncio.sleep(_RETRY_ELSE)
        await self._open()

    def _changed_by(self, act: Callable[[], None], *, always: bool = False) -> None:
        before = self.console.view
        act()
        if always or self.console.view is not before:
            self._on_change(self, None)

    def _reset_for_dump(self) -> None:
        """A new board that was running already printed its configuration before we could listen (once only)."""
        if (
            self.waiting_id is not None
            and not self._was_reset
            and self.console.config is None
            and self.console.view.status is UsbStatus.ACTIVE
            and time.monotonic() - self._opened_at > _PATIENCE_FOR_DUMP
        ):
            self._was_reset = True
            log.info("restarting a new board once to read its configuration", extra={"device": self.device.dev_path})
            self._resetting = asyncio.get_running_loop().create_task(self._reset_quietly(), name="reset for dump")

    async def _reset_quietly(self) -> None:
        try:
            await self.reset()
        except PortError as error:
            log.info("not restarted: %s", error, extra={"device": self.device.dev_path})
