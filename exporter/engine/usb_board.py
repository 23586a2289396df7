"""One board on USB while it is plugged in: its port, its console, and whom it belongs to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, runtime_checkable

from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import UsbIdentity
from exporter.discovery.usb_rules import needs_dtr
from exporter.model import Identity, Reading
from exporter.model_usb import UsbCondition, UsbState, UsbView
from exporter.protocols.nerdminer_config import DumpedConfig
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.transports.serial_errors import PortBusy, PortDenied, PortError, PortVanished

log = logging.getLogger(__name__)

#: Rest before a port that could not be opened is tried again: held by another program, not allowed, anything else.
_RETRY: Final = {PortBusy: 5.0, PortDenied: 5.0}
_RETRY_ELSE: Final = 2.0
#: A new board that runs told its configuration before we listened: it is reset once to tell it again.
_PATIENCE_FOR_DUMP: Final = 5.0
#: Such a board has no configuration to tell, or somebody is just giving it one.
_NOTHING_TO_TELL: Final = frozenset(
    {
        UsbCondition.NO_CONFIG,
        UsbCondition.CONFIG_CORRUPT,
        UsbCondition.SETUP_PORTAL,
        UsbCondition.DOWNLOAD_MODE,
    }
)
SHARES_KEPT: Final = 1000
#: Pieces of the console that are kept for a person to look at, some kilobytes.
_PIECES_KEPT: Final = 128
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Port(Protocol):
    """An open serial port (`transports.serial.SerialPort`)."""

    def close(self) -> None: ...

    async def reset(self) -> None: ...


@runtime_checkable
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
        self,
        dev_path: str,
        on_data: Callable[[bytes], None],
        on_lost: Callable[[PortError], None],
        *,
        hold_lines: bool,
    ) -> Port: ...


class Board:
    """The one owner of a port from plug-in to unplug.

    Who reads the console may change (a waiting device becomes a miner); the port stays open, because opening resets
    many boards.

    Attributes:
        miner_id: of the miner it is, None while it waits to be named.
        waiting_id: of its row among the waiting devices, None once it is a miner.
        wants_dump: nobody knows its configuration yet, so it may be reset once to tell it.
        shares: what the pool judged lately, newest last.
        on_shares: told of each of them once, behind what else the same bytes told.
        trouble: why the port is not open, None while it is or was not tried.
        recent: what the console printed lately with the Unix time, as it came; it may hold secrets.
        held_reason: why nobody has tried to open the port, None once somebody has.
    """

    def __init__(
        self,
        device: UsbDevice,
        identity: UsbIdentity,
        console: Console,
        open_port: OpenPort,
        on_change: Callable[[Board, Reading | None], None],
        shares: deque[ShareEvent],
    ) -> None:
        self.device = device
        self.identity = identity
        self.console = console
        self.miner_id: int | None = None
        self.waiting_id: int | None = None
        self.wants_dump = False
        self.shares = shares
        self.on_shares: Callable[[Board, tuple[ShareEvent, ...]], None] | None = None
        self.trouble: str | None = None
        self.held_reason: str | None = None
        self.recent: deque[tuple[float, bytes]] = deque(maxlen=_PIECES_KEPT)
        self._open_port = open_port
        self._on_change = on_change
        self._port: Port | None = None
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened_at = 0.0
        self._told: tuple[object, Mapping[str, str]] = (None, _NOTHING)

    @property
    def is_open(self) -> bool:
        return self._port is not None

    @property
    def is_wanted(self) -> bool:
        """Whether the port is open or is to be."""
        return self._port is not None or self._opening is not None

    @property
    def told(self) -> Mapping[str, str]:
        """What the console told of the configuration: `pool`, `user`, `version`, `json`; only what it told."""
        version = self.console.identity.firmware_version
        stamp = (self.console.config_at, version)
        if self._told[0] != stamp:
            config = self.console.config
            told = {} if version is None else {"version": version}
            if config is not None:
                told |= {"pool": config.endpoint, "user": config.user, "json": config.to_json()}
            self._told = (stamp, told)
        return self._told[1]

    # --- the port ---

    def open(self) -> None:
        """Open the port and keep trying until it is open or `close` is called."""
        if self._opening is None and self._port is None:
            self.held_reason = None
            self.console.plug(time.time())
            self._opening = self._spawn(self._open(), "open")
            self._on_change(self, None)

    def close(self) -> None:
        """The board is gone, or the program ends: let go of the port."""
        for task in self._tasks:
            task.cancel()
        self._opening = None
        if self._port is not None:
            self._port.close()
            self._port = None

    async def closed(self) -> None:
        """Wait, after `close`, until nothing of it runs any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Restart the board. Raises `PortError` where that is not possible."""
        if self._port is None:
            raise PortVanished(self.device.dev_path, f"{self.device.dev_path}: the port is not open")
        self.wants_dump = False
        await self._port.reset()

    def tick(self, now: float) -> None:
        """Let time pass; once a second."""
        if self._port is None:
            return
        before = self.console.view
        self.console.tick(now)
        if self.console.view is not before:
            self._on_change(self, None)
        self._reset_for_dump()

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"{what} {self.device.dev_path}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open(self) -> None:
        while True:
            try:
                port = await self._open_port(
                    self.device.dev_path, self._data, self._lost, hold_lines=needs_dtr(self.device)
                )
            except PortError as error:
                if str(error) != self.trouble:
                    log.warning("%s", error, extra={"device": self.device.dev_path, "reason": error.reason})
                self.trouble = str(error)
                self._on_change(self, None)
                await asyncio.sleep(_RETRY.get(type(error), _RETRY_ELSE))
                continue
            self._port, self._opening, self.trouble = port, None, None
            self._opened_at = time.monotonic()
            if self.console.view.state is UsbState.NOT_CONNECTED:
                self.console.plug(time.time())
            self._on_change(self, None)
            return

    def _data(self, data: bytes) -> None:
        before = self.console.view, self.console.config_at
        now = time.time()
        self.recent.append((now, data))
        readings = self.console.feed(data, now)
        judged = self.console.take_shares()
        self.shares.extend(judged)
        if readings or before != (self.console.view, self.console.config_at):
            self._on_change(self, readings[-1] if readings else None)
        if judged and self.on_shares is not None:
            self.on_shares(self, judged)

    def _lost(self, error: PortError) -> None:
        """The port died under us. The unplug is usually reported as well; a board that is still there is reopened."""
        log.info("%s", error, extra={"device": self.device.dev_path, "reason": error.reason})
        self._port, self.trouble = None, str(error)
        self.console.unplug(time.time())
        self._opening = self._spawn(self._reopen(), "reopen")
        self._on_change(self, None)

    async def _reopen(self) -> None:
        await asyncio.sleep(_RETRY_ELSE)
        await self._open()

    def _reset_for_dump(self) -> None:
        """A new board that was running already printed its configuration before we could listen (once only).

        What has shown no line of a NerdMiner is left alone: it may be something else.
        """
        view = self.console.view
        if (
            self.wants_dump
            and self.console.config is None
            and view.state not in (UsbState.BOOTING, UsbState.NOT_CONNECTED)
            and not view.conditions & _NOTHING_TO_TELL
            and time.monotonic() - self._opened_at > _PATIENCE_FOR_DUMP
        ):
            log.info("restarting a new board once to read its configuration", extra={"device": self.device.dev_path})
            self.wants_dump = False
            self._spawn(self._reset_quietly(), "reset")

    async def _reset_quietly(self) -> None:
        try:
            await self.reset()
        except PortError as error:
            log.info("not restarted: %s", error, extra={"device": self.device.dev_path})
