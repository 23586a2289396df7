"""Boards on USB: plugged in, staged or recognised, heard, unplugged. Lives on the engine's event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from exporter.config_schema import Serial
from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import UsbIdentity, usb_identity
from exporter.discovery.usb_rules import Action, Decision, may_open
from exporter.engine.fleet import UsbRecord
from exporter.engine.usb_board import SHARES_KEPT, Board, Console, OpenPort
from exporter.engine.usb_config import CONFIG_SECONDS, ConfigCommands
from exporter.engine.usb_rows import FLOCK_NAMES, GONE, STAGING_NAMES, new_in, place_of, staged_state
from exporter.engine.usb_twins import Twins
from exporter.engine.usb_waiting import WaitingBoards
from exporter.model import Reading
from exporter.model_usb import UsbState, UsbStatus
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.store.database import Database
from exporter.store.rows import MinerCommand, MinerRow

log = logging.getLogger(__name__)

DRIVER: Final = "nerdminer"
_TICK_SECONDS: Final = 1.0
_MISSED_PERIODS: Final = 3


class UsbMiners(Protocol):
    """What the flock does with miners on USB."""

    def usb_row(self, row: MinerRow) -> None:
        """A miner's row is new or has changed."""
        ...

    def usb_changed(
        self, miner_id: int, usb: UsbRecord, reading: Reading | None, expires_in: float, trouble: str | None
    ) -> None:
        """A miner's board has a new state, or a new reading that is valid for `expires_in` seconds.

        `trouble` says why its port is not open.
        """
        ...


class Watcher(Protocol):
    """`discovery.usb.UsbWatcher`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class UsbBoards:
    """All boards that are plugged in.

    Args:
        make_watcher: (on_added, on_removed) -> what reports plugs and unplugs; made anew when `serial.ports` change.
        new_console: one for each board.
        on_count: told how many devices wait and how many boards are plugged in, whenever that may have changed.
        config_seconds: how long a board has to tell its configuration.
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
        *,
        config_seconds: float = CONFIG_SECONDS,
    ) -> None:
        self._settings = settings
        self._db = db
        self._miners = miners
        self._make_watcher = make_watcher
        self._watcher: Watcher | None = None
        self._new_console = new_console
        self._open_port = open_port
        self._on_count = on_count
        self._twins = Twins(db)
        self._commands = ConfigCommands(db, self.board_of, self._is_miner, self._told, config_seconds)
        #: Everything that is plugged in, with whether it was there at the start.
        self._plugged: dict[str, tuple[UsbDevice, bool]] = {}
        #: Those of them that are or may be miners.
        self._boards: dict[str, Board] = {}
        self.waiting = WaitingBoards(db, self._boards, self._let_go, self._count)
        #: Of miners that are unplugged: their counters go on when they are back.
        self._consoles: dict[str, Console] = {}
        self._shares: dict[str, deque[ShareEvent]] = {}
        #: Told of single shares of miners (not of boards that wait to be named), each once.
        self.on_shares: Callable[[int, tuple[ShareEvent, ...]], None] | None = None
        #: What a watch that is begun anew finds.
        self._found: dict[str, UsbDevice] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    @property
    def plugged_in(self) -> int:
        """How many boards are plugged in that are or may be miners; any thread."""
        return len(self._boards)

    # --- life ---

    def start(self) -> None:
        """Take over what is plugged in and watch."""
        self._nothing_is_plugged_in()
        self._running = True
        if self._settings.enabled:
            self._watch()
        self._tick()
        self._count()

    async def stop(self) -> None:
        """Let go of every port."""
        self._running = False
        if self._watcher is not None:
            self._watcher.stop()
        if self._timer is not None:
            self._timer.cancel()
        await self._commands.stop()
        boards = tuple(self._boards.values())
        for board in boards:
            board.close()
        self._boards.clear()
        self._plugged.clear()
        await asyncio.gather(*(board.closed() for board in boards))
        self._nothing_is_plugged_in()

    def apply(self, settings: Serial) -> None:
        """Use re-read settings: what may be opened now is, what is ignored now is let go; other ports stay open."""
        before, self._settings = self._settings, settings
        if not self._running:
            return
        if not settings.enabled:
            if self._watcher is not None:
                self._watcher.stop()
            for dev_path in tuple(self._plugged):
                self.removed(dev_path)
            return
        if not before.enabled or before.ports != settings.ports:
            self._watch()
        for device, initial in tuple(self._plugged.values()):
            self._decide_anew(device, initial=initial)
        self._count()

    def _watch(self) -> None:
        """Begin to watch, or begin anew: boards that are still there stay as they are."""
        if self._watcher is not None:
            self._watcher.stop()
        self._watcher = self._make_watcher(self.added, self.removed)
        self._found = {}
        self._watcher.start()
        found, self._found = self._found, None
        for dev_path, (known, initial) in tuple(self._plugged.items()):
            device = found.get(dev_path)
            if device is None or dataclasses.replace(device, aliases=known.aliases) != known:
                self.removed(dev_path)
                continue
            del found[dev_path]
            self._plugged[dev_path] = (device, initial)
            if dev_path in self._boards:
                self._boards[dev_path].device = device
        for device in found.values():
            self.added(device, initial=True)

    def _nothing_is_plugged_in(self) -> None:
        """That is so until the watcher says otherwise, and when nobody watches any more."""
        with self._db.transaction():
            for row in self._db.miners.all():
                if row.driver == DRIVER:
                    self._miners.usb_row(self._db.miners.update(row.id, **GONE))
            for device in self._db.unconfigured_devices.all():
                self._db.unconfigured_devices.update(device.id, **GONE)
            self._commands.settle()

    def _tick(self) -> None:
        if self._running:
            self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)
            now = time.time()
            for board in tuple(self._boards.values()):
                board.tick(now)

    # --- plugs ---

    def added(self, device: UsbDevice, *, initial: bool) -> None:
        """A device was plugged in, or was there at the start."""
        if self._found is not None:
            self._found[device.dev_path] = device
            return
        self.removed(device.dev_path)
        self._plugged[device.dev_path] = (device, initial)
        self._take(device, initial=initial)
        self._count()

    def removed(self, dev_path: str) -> None:
        """A device was unplugged: nothing of it is live from here on."""
        gone = self._plugged.pop(dev_path, None)
        board = self._boards.get(dev_path)
        if gone is not None:
            self.waiting.unplugged(gone[0])
        if gone is None or board is None:
            return
        self._let_go(board)
        if (row := self._db.miners.get(board.miner_id or 0)) is not None:
            log.warning("miner is unplugged", extra={"miner": row.key, "device": dev_path})
        for device, initial in tuple(self._plugged.values()):
            if device.port_path == gone[0].port_path and device.dev_path not in self._boards:
                self._take(device, initial=initial)
        self._count()

    def _take(self, device: UsbDevice, *, initial: bool) -> None:
        """Own a device that is or may be a miner."""
        if self.waiting.is_dismissed(device):
            return
        if self._twins.look((device, *(board.device for board in self._boards.values()))):
            self._tell_apart()
        identity = usb_identity(device, shared=self._twins.serials)
        row = self._row_of(device, identity)
        decision = self._decision(device, identity, row, initial=initial)
        where = {"device": device.dev_path, "miner": identity.key}
        if decision.action is Action.IGNORE:
            log.debug("left alone: %s", decision.reason, extra=where)
            return
        if any(board.identity.key == identity.key for board in self._boards.values()):
            log.info("left alone: a board with two serial ports is read at the first one", extra=where)
            return
        log.info("%s: %s", decision.action.value, decision.reason, extra=where)
        console = None if row is None else self._consoles.pop(row.key, None)
        shares = self._shares.setdefault(identity.key, deque(maxlen=SHARES_KEPT))
        board = Board(device, identity, console or self._new_console(), self._open_port, self._changed, shares)
        board.on_shares = self._judged
        self._boards[device.dev_path] = board
        if row is not None:
            self._connect(board, row)
        else:
            self._stage(board, new=not initial)
        self._follow(board, decision)

    def _decision(self, device: UsbDevice, identity: UsbIdentity, row: MinerRow | None, *, initial: bool) -> Decision:
        if row is not None and not row.enabled:
            return Decision(Action.IGNORE, "the miner is retired")
        return may_open(
            device,
            self._settings,
            lambda _: row is not None,
            plugged_in_while_running=not initial,
            allowed_by_person=self.waiting.is_permitted(device, identity),
        )

    @staticmethod
    def _follow(board: Board, decision: Decision) -> None:
        """A port that is open stays so, also where it would not be opened any more."""
        if decision.action is Action.OPEN:
            board.open()
        elif not board.is_wanted:
            board.held_reason = decision.reason

    def _decide_anew(self, device: UsbDevice, *, initial: bool) -> None:
        board = self._boards.get(device.dev_path)
        if board is None:
            self._take(device, initial=initial)
            return
        row = self._row_of(device, board.identity)
        decision = self._decision(device, board.identity, row, initial=initial)
        if decision.action is Action.IGNORE:
            log.info("let go: %s", decision.reason, extra={"device": device.dev_path, "miner": board.identity.key})
            self._let_go(board)
        else:
            self._follow(board, decision)

    def _row_of(self, device: UsbDevice, identity: UsbIdentity) -> MinerRow | None:
        """The miner that this board is."""
        row = self._db.miners.by_key(identity.key)
        if row is None and identity.mac is not None:
            row = self._db.miners.by_mac(identity.mac)
        if row is None and (key := self._twins.key_of(device)) is not None:
            row = self._db.miners.by_key(key)
        return row if row is not None and row.driver == DRIVER else None

    def _tell_apart(self) -> None:
        """Boards that were known by a serial number that two have are known by their port from now on."""
        for board in self._boards.values():
            identity = usb_identity(board.device, shared=self._twins.serials)
            if identity == board.identity:
                continue
            board.identity = identity
            if board.miner_id is not None and (row := self._db.miners.get(board.miner_id)) is not None:
                self._twins.remember(identity.port_path, row.key)
            elif board.waiting_id is not None and self._db.unconfigured_devices.get(board.waiting_id) is not None:
                former = self._db.unconfigured_devices.by_key(identity.key)
                if former is not None:
                    self._db.unconfigured_devices.delete(former.id)
                self._db.unconfigured_devices.update(board.waiting_id, key=identity.key)

    def _connect(self, board: Board, row: MinerRow) -> None:
        """A known miner is back: paths, `Initializing`, `Booting`."""
        board.miner_id, board.waiting_id, board.wants_dump = row.id, None, False
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

    def _stage(self, board: Board, *, new: bool) -> None:
        """A new board waits to be named; one that waited before keeps what it told, unless it may be another one."""
        device, identity = board.device, board.identity
        place: dict[str, Any] = {
            "dev_path": device.dev_path,
            "port_path": device.port_path,
            "vendor_id": device.vendor_id,
            "product_id": device.product_id,
            "serial_number": device.serial_number,
            "status": None,
            "state": None,
        }
        if new and identity.mac is None and identity.serial is None:
            place |= dict.fromkeys(STAGING_NAMES.values())
        known = self._db.unconfigured_devices.by_key(identity.key)
        if known is not None:
            row = self._db.unconfigured_devices.update(known.id, **place)
        else:
            row = self._db.unconfigured_devices.insert(key=identity.key, mac=identity.mac, **place)
        board.waiting_id, board.miner_id = row.id, None
        board.wants_dump = row.config_json is None

    def _let_go(self, board: Board) -> None:
        self._boards.pop(board.device.dev_path, None)
        board.close()
        board.console.unplug(time.time())
        self._changed(board, None)
        row = None if board.miner_id is None else self._db.miners.get(board.miner_id)
        if row is not None:
            self._consoles[row.key] = board.console

    # --- what a board tells ---

    def _changed(self, board: Board, reading: Reading | None) -> None:
        """Show and store what is new. No measured value is stored, so a reading alone writes nothing."""
        view = board.console.view
        if board.miner_id is not None:
            row = self._db.miners.get(board.miner_id)
            if row is None:  # it is being forgotten
                return
            now = {"status": view.status.value, "state": view.state.value, **place_of(board, view)}
            told = {FLOCK_NAMES[name]: value for name, value in board.told.items()}
            if changes := new_in(row, now | told):
                self._db.miners.update(row.id, **changes)
            usb = UsbRecord(view, **place_of(board, view))
            self._miners.usb_changed(row.id, usb, reading, _MISSED_PERIODS * board.console.period, board.trouble)
        elif board.waiting_id is not None:
            device = self._db.unconfigured_devices.get(board.waiting_id)
            if device is None:
                return
            now = {**staged_state(view), **place_of(board, view)}
            told = {STAGING_NAMES[name]: value for name, value in board.told.items()}
            if changes := new_in(device, now | told):
                self._db.unconfigured_devices.update(device.id, **changes)

    def _told(self, board: Board) -> None:
        self._changed(board, None)

    def _count(self) -> None:
        self.waiting.look()
        self._on_count(len(self._db.unconfigured_devices), len(self._boards))

    # --- commands ---

    def onboarded(self, row: MinerRow) -> None:
        """A waiting device was named: a board that is still plugged in goes on as this miner, as a re-connection."""
        board = next((board for board in self._boards.values() if board.identity.key == row.key), None)
        if board is None:
            self._miners.usb_row(self._db.miners.update(row.id, **GONE))
        else:
            self._connect(board, row)
            board.open()
            self._changed(board, None)
        self._count()

    def forgotten(self, row: MinerRow) -> None:
        """A miner was deleted: a board that is still plugged in waits to be named again."""
        self._db.miner_commands.delete_of(row.id)
        self._consoles.pop(row.key, None)
        for board in self._boards.values():
            if board.miner_id == row.id:
                self._stage(board, new=True)
                self._changed(board, None)
        self._count()

    def switched(self, miner_id: int) -> None:
        """A miner was retired or taken back, managed or not any more: its port and what is shown follow."""
        for device, initial in tuple(self._plugged.values()):
            board = self._boards.get(device.dev_path)
            row = None if board is not None else self._row_of(device, usb_identity(device, shared=self._twins.serials))
            if (board.miner_id if board is not None else row.id if row is not None else None) == miner_id:
                self._decide_anew(device, initial=initial)
        if (board := self.board_of(miner_id)) is not None:
            self._changed(board, None)
        self._count()

    def get_config(self, miner_id: int) -> MinerCommand:
        """Have a miner tell its configuration; it is restarted for that. See `ConfigCommands.get_config`."""
        return self._commands.get_config(miner_id)

    def _is_miner(self, miner_id: int) -> bool:
        row = self._db.miners.get(miner_id)
        return row is not None and row.driver == DRIVER

    def board_of(self, miner_id: int) -> Board | None:
        """The board of a miner while it is plugged in."""
        return next((board for board in self._boards.values() if board.miner_id == miner_id), None)

    def _judged(self, board: Board, events: tuple[ShareEvent, ...]) -> None:
        if board.miner_id is not None and self.on_shares is not None:
            self.on_shares(board.miner_id, events)

    def shares_of(self, miner_id: int) -> tuple[ShareEvent, ...]:
        """Single shares of a miner that its pool judged since the program started, at most a thousand, newest last."""
        row, board = self._db.miners.get(miner_id), self.board_of(miner_id)
        if board is not None:
            return tuple(board.shares)
        return () if row is None else tuple(self._shares.get(row.key, ()))
