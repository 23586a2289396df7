"""Boards on USB: plugged in, staged or recognised, heard, unplugged. Lives on the engine's event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from exporter.config_schema import Serial
from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import shared_serials, usb_identity
from exporter.discovery.usb_rules import Action, may_open
from exporter.engine.fleet import UsbRecord
from exporter.engine.usb_board import Board, Console, OpenPort
from exporter.errors import UsageError
from exporter.model import Reading
from exporter.model_usb import UsbState, UsbStatus, UsbView
from exporter.store.database import Database
from exporter.store.rows import MinerCommand, MinerRow
from exporter.store.usb_tables import COMPLETE, ERROR, PENDING, RUNNING
from exporter.transports.serial_errors import PortError

log = logging.getLogger(__name__)

DRIVER: Final = "nerdminer"
GET_CONFIG: Final = "GET_CONFIG"
#: A board tells its configuration within a few seconds of its reset.
CONFIG_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 1.0
#: Setting with the serial numbers that were once seen on two boards.
_SHARED_SERIALS: Final = "usb_shared_serials"
_MISSED_PERIODS: Final = 3


class UsbMiners(Protocol):
    """What the flock does with miners on USB."""

    def usb_row(self, row: MinerRow) -> None:
        """A miner's row is new or has changed."""
        ...

    def usb_changed(self, miner_id: int, usb: UsbRecord, reading: Reading | None, expires_in: float) -> None:
        """A miner's board has a new state, or a new reading that is valid for `expires_in` seconds."""
        ...


class Watcher(Protocol):
    """`discovery.usb.UsbWatcher`."""

    @property
    def devices(self) -> tuple[UsbDevice, ...]: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class UsbBoards:
    """All boards that are plugged in.

    Args:
        make_watcher: (on_added, on_removed) -> what reports plugs and unplugs.
        new_console: one for each board.
        on_count: told how many devices wait and how many boards are open, whenever that changes.
    """

    def __init__(
        self,
        settings: Serial,
        db: Database,
        miners: UsbMiners,
        make_watcher: Callable[[Callable[..., None], Callable[[str], None]], Watcher],
        new_console: Callable[[], Console],
        open_port: OpenPort,
        on_count: Callable[[int, int], None],
    ) -> None:
        self._settings = settings
        self._db = db
        self._miners = miners
        self._watcher = make_watcher(self.added, self.removed)
        self._new_console = new_console
        self._open_port = open_port
        self._on_count = on_count
        self._boards: dict[str, Board] = {}
        self._initial: set[str] = set()
        self._config_waits: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    # --- life ---

    def start(self) -> None:
        """Take over what is plugged in and watch."""
        self._settle_what_an_earlier_run_left()
        self._running = True
        if self._settings.enabled:
            self._watcher.start()
        self._tick()
        self._count()

    async def stop(self) -> None:
        """Let go of every port."""
        self._running = False
        self._watcher.stop()
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._config_waits):
            task.cancel()
        await asyncio.gather(*self._config_waits, return_exceptions=True)
        for board in self._boards.values():
            board.close()
        self._boards.clear()

    def apply(self, settings: Serial) -> None:
        """Use re-read settings: what may be opened now is; open ports stay open."""
        self._settings = settings
        for board in tuple(self._boards.values()):
            if not board.is_open:
                self._decide(board, initial=board.device.dev_path in self._initial)

    def _settle_what_an_earlier_run_left(self) -> None:
        """Nothing is plugged in until the watcher says so."""
        with self._db.transaction():
            for row in self._db.miners.all():
                if row.driver == DRIVER:
                    gone = self._db.miners.update(row.id, **_GONE)
                    self._miners.usb_row(gone)
            for device in self._db.unconfigured_devices.all():
                self._db.unconfigured_devices.update(device.id, **_GONE)
            for command in self._db.miner_commands.all():
                if command.status in (PENDING, RUNNING):
                    self._end(command, ERROR, "the program was restarted meanwhile")

    def _tick(self) -> None:
        if self._running:
            now = time.time()
            for board in tuple(self._boards.values()):
                board.tick(now)
            self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    # --- plugs ---

    def added(self, device: UsbDevice, *, initial: bool) -> None:
        """A device was plugged in, or was there at the start."""
        self.removed(device.dev_path)
        identity = usb_identity(device, shared=self._shared_serials(device))
        board = Board(device, identity, self._new_console(), self._open_port, self._changed)
        if initial:
            self._initial.add(device.dev_path)
        else:
            self._initial.discard(device.dev_path)
        self._boards[device.dev_path] = board
        self._decide(board, initial=initial)
        self._count()

    def _shared_serials(self, new: UsbDevice) -> frozenset[str]:
        """Serial numbers that two boards have; remembered, so that one of them alone is never taken for the other."""
        remembered = frozenset(self._db.settings.get(_SHARED_SERIALS, []))
        shared = remembered | shared_serials((new, *(board.device for board in self._boards.values())))
        if shared != remembered:
            log.warning("boards share a serial number and are told apart by their ports: %s", ", ".join(sorted(shared)))
            self._db.settings.set(_SHARED_SERIALS, sorted(shared))
            self._tell_apart(shared)
        return shared

    def _tell_apart(self, shared: frozenset[str]) -> None:
        """Waiting boards that were known by a serial number are known by their port from now on."""
        for board in self._boards.values():
            identity = usb_identity(board.device, shared=shared)
            if identity != board.identity:
                board.identity = identity
                if board.waiting_id is not None:
                    self._db.unconfigured_devices.update(board.waiting_id, key=identity.key)

    def _decide(self, board: Board, *, initial: bool) -> None:
        decision = may_open(
            board.device,
            self._settings,
            lambda _: self._row_of(board) is not None,
            plugged_in_while_running=not initial,
        )
        where = {"device": board.device.dev_path, "miner": board.identity.key}
        if decision.action is Action.IGNORE:
            log.debug("left alone: %s", decision.reason, extra=where)
            self._boards.pop(board.device.dev_path, None)
            return
        log.info("%s: %s", decision.action.value, decision.reason, extra=where)
        row = self._row_of(board)
        if row is not None:
            self._connect(board, row)
        else:
            self._stage(board)
        if decision.action is Action.OPEN:
            board.open()

    def _row_of(self, board: Board) -> MinerRow | None:
        """The miner that this board is."""
        row = self._db.miners.by_key(board.identity.key)
        if row is None and board.identity.mac is not None:
            row = self._db.miners.by_mac(board.identity.mac)
        return row if row is not None and row.driver == DRIVER else None

    def _connect(self, board: Board, row: MinerRow) -> None:
        """A known miner is back: paths, `Initializing`, `Booting`."""
        board.miner_id, board.waiting_id = row.id, None
        changed = self._db.miners.update(
            row.id,
            dev_path=board.device.dev_path,
            port_path=board.device.port_path,
            last_seen=time.time(),
            status=UsbStatus.INITIALIZING.value,
            state=UsbState.BOOTING.value,
        )
        self._miners.usb_row(changed)
        log.info("miner is plugged in", extra={"miner": row.key, "device": board.device.dev_path})

    def _stage(self, board: Board) -> None:
        """A new board waits to be named; one that waited before keeps what it told."""
        device, key = board.device, board.identity.key
        place: dict[str, Any] = {"dev_path": device.dev_path, "port_path": device.port_path}
        known = self._db.unconfigured_devices.by_key(key)
        if known is not None:
            row = self._db.unconfigured_devices.update(known.id, **place)
        else:
            row = self._db.unconfigured_devices.insert(
                key=key,
                vendor_id=device.vendor_id or "",
                product_id=device.product_id or "",
                serial_number=device.serial_number,
                mac=board.identity.mac,
                **place,
            )
        board.waiting_id, board.miner_id = row.id, None

    def removed(self, dev_path: str) -> None:
        """A device was unplugged: nothing of it is live from here on."""
        board = self._boards.pop(dev_path, None)
        if board is None:
            return
        board.close()
        board.console.unplug(time.time())
        self._changed(board, None)
        if board.miner_id is not None and (row := self._db.miners.get(board.miner_id)) is not None:
            self._miners.usb_row(self._db.miners.update(row.id, **_GONE))
            log.warning("miner is unplugged", extra={"miner": row.key, "device": dev_path})
        elif board.waiting_id is not None and self._db.unconfigured_devices.get(board.waiting_id) is not None:
            self._db.unconfigured_devices.update(board.waiting_id, **_GONE)
        self._count()

    # --- what a board tells ---

    def _changed(self, board: Board, reading: Reading | None) -> None:
        view = board.console.view
        words = {"status": view.status.value, "state": view.state.value}
        if board.miner_id is not None:
            row = self._db.miners.get(board.miner_id)
            if row is None:
                return
            self._db.miners.update(row.id, **words, **self._learnt(board, row))
            present = self._boards.get(board.device.dev_path) is board
            place = (board.device.dev_path, board.device.port_path) if present else (None, None)
            period = board.console.period
            self._miners.usb_changed(board.miner_id, UsbRecord(view, *place), reading, _MISSED_PERIODS * period)
        elif board.waiting_id is not None and self._db.unconfigured_devices.get(board.waiting_id) is not None:
            self._db.unconfigured_devices.update(board.waiting_id, **_staged(view), **self._dumped(board))

    def _learnt(self, board: Board, row: MinerRow) -> dict[str, Any]:
        """What the console told of a miner's configuration, where it is new."""
        config = board.console.config
        if config is None:
            return {}
        learnt = {
            "pool_url": config.endpoint,
            "wallet_address": config.user,
            "last_config_json": config.to_json(),
            "nerdminer_vrs": config.firmware_version or row.nerdminer_vrs,
        }
        return {name: value for name, value in learnt.items() if getattr(row, name) != value}

    @staticmethod
    def _dumped(board: Board) -> dict[str, Any]:
        config = board.console.config
        if config is None:
            return {}
        return {
            "dumped_pool_url": config.endpoint,
            "dumped_wallet_address": config.user,
            "dumped_firmware_version": config.firmware_version,
            "config_json": config.to_json(),
        }

    def _count(self) -> None:
        self._on_count(len(self._db.unconfigured_devices.all()), len(self._boards))

    # --- commands ---

    def onboarded(self, row: MinerRow) -> None:
        """A waiting device was named: a board that is still plugged in goes on as this miner, as a re-connection."""
        self._miners.usb_row(row)
        for board in self._boards.values():
            if board.identity.key == row.key:
                self._connect(board, row)
                self._changed(board, None)
                board.open()
        self._count()

    def forgotten(self, row: MinerRow) -> None:
        """A miner was deleted: a board that is still plugged in waits to be named again."""
        self._db.miner_commands.delete_of(row.id)
        for board in self._boards.values():
            if board.miner_id == row.id:
                self._stage(board)
                self._changed(board, None)
        self._count()

    def get_config(self, miner_id: int) -> MinerCommand:
        """Have a miner tell its configuration; it is restarted for that. Returns the pending command.

        Raises:
            UsageError: no such USB miner.
        """
        row = self._db.miners.get(miner_id)
        if row is None or row.driver != DRIVER:
            raise UsageError(f"no miner on USB has the id {miner_id}")
        command = self._db.miner_commands.add(miner_id, GET_CONFIG)
        task = asyncio.get_running_loop().create_task(self._read_config(command), name=f"config of {row.key}")
        self._config_waits.add(task)
        task.add_done_callback(self._config_waits.discard)
        return command

    async def _read_config(self, command: MinerCommand) -> None:
        board = next((b for b in self._boards.values() if b.miner_id == command.miner_id and b.is_open), None)
        if board is None:
            self._end(command, ERROR, "the board is not plugged in")
            return
        self._db.miner_commands.update(command.id, status=RUNNING)
        before = board.console.config_at
        try:
            await board.reset()
            async with asyncio.timeout(CONFIG_SECONDS):
                while board.console.config_at == before:  # noqa: ASYNC110 - the console is sans-IO and has no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self._end(command, ERROR, f"the board told no configuration within {CONFIG_SECONDS:g} s")
        except PortError as error:
            self._end(command, ERROR, str(error))
        else:
            self._changed(board, None)
            self._end(command, COMPLETE, None)

    def _end(self, command: MinerCommand, status: str, error: str | None) -> None:
        if self._db.miner_commands.get(command.id) is not None:
            self._db.miner_commands.update(command.id, status=status, error=error, ended_at=time.time())

    def board_of(self, miner_id: int) -> Board | None:
        """The board of a miner while it is plugged in."""
        return next((board for board in self._boards.values() if board.miner_id == miner_id), None)


def _staged(view: UsbView) -> dict[str, Any]:
    """A waiting device never becomes `Active`: it stays at the last step until a person has named it."""
    if view.status is UsbStatus.ACTIVE:
        return {"status": UsbStatus.INITIALIZING.value, "state": UsbState.AUTHORIZE.value}
    return {"status": view.status.value, "state": view.state.value}


_GONE: Final[dict[str, Any]] = {
    "dev_path": None,
    "port_path": None,
    "status": UsbStatus.INACTIVE.value,
    "state": UsbState.NOT_CONNECTED.value,
}
