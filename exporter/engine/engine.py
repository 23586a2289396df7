"""The engine: the only writer of live state. Runs the flock, discovery and streams on its event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from exporter.config import FixedMiner, Settings
from exporter.discovery.networks import SearchNetwork
from exporter.discovery.usb import OnAdded, OnRemoved, UsbWatcher
from exporter.drivers.api import StreamSource
from exporter.drivers.families.nerdminer_console import NerdMinerConsole
from exporter.drivers.loader import DriverSet
from exporter.engine.addresses import miner_address
from exporter.engine.commanding.audit import AuditLog, log_of
from exporter.engine.commanding.bulk import BulkCommands
from exporter.engine.commanding.desk import CommandDesk, CommandMeter, Shop
from exporter.engine.decisions import checked_driver, checked_port, decide
from exporter.engine.discover import Discovery, DiscoveryMeter
from exporter.engine.exchange import Exchange
from exporter.engine.fixed import FixedMiners
from exporter.engine.fleet import FleetSnapshot
from exporter.engine.flock import Flock, Page
from exporter.engine.heard import Heard
from exporter.engine.history import History
from exporter.engine.isolation import is_trusted
from exporter.engine.miner import Miner
from exporter.engine.mutes import MuteEnds
from exporter.engine.onboarding import checked_name, onboard
from exporter.engine.poller import PollMeter
from exporter.engine.search import SearchResult
from exporter.engine.sessions import Sessions
from exporter.engine.streams import Streams
from exporter.engine.tasks import Tasks
from exporter.engine.usb import DRIVER, UsbBoards
from exporter.engine.usb_board import Console
from exporter.engine.usb_miners import UsbMinersOfFlock
from exporter.errors import ForbiddenError, StoreError, UnknownError
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.shares.log import ShareLog, folder_of
from exporter.shares.tracker import ShareTracker
from exporter.store.database import Database
from exporter.store.rows import MinerCommand, MinerRow
from exporter.transports.serial import SerialPort
from exporter.units import UnixSeconds
from exporter.wallets.matcher import Expected
from exporter.wallets.service import WalletService

log = logging.getLogger(__name__)

_PERSIST_SECONDS: Final = 300.0


class Meter(PollMeter, DiscoveryMeter, CommandMeter, Protocol):
    """The self metrics the engine feeds."""

    def stream_fault(self, driver: str) -> None: ...

    def set_targets(self, targets: dict[tuple[str, str], int]) -> None: ...

    def set_usb_ports(self, ports: Mapping[str, int]) -> None: ...

    def set_devices_waiting(self, source: str, number: int) -> None: ...


class Engine:
    """See the module. Only `snapshot`, `poll_lag` and `ready` may be used from other threads."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        drivers: DriverSet,
        exchange: Exchange,
        sessions: Sessions,
        page: Page,
        meter: Meter,
    ) -> None:
        self._settings = settings
        self._db = db
        self._drivers = drivers
        self._exchange = exchange
        self._sessions = sessions
        self._meter = meter
        self.flock = Flock(settings, db, drivers, exchange, sessions, page, meter)
        self._fixed = FixedMiners(db, self.flock)
        self._heard = Heard(self.flock, self._forget_stream)
        self.flock.watchers.append(self._heard)
        self._streams = Streams(drivers, self._heard.heard, meter.stream_fault)
        self.usb = UsbBoards(
            settings.serial,
            db,
            UsbMinersOfFlock(db, self.flock, self._heard),
            self._usb_watcher,
            self._new_console,
            SerialPort.open,
            self._count_usb,
        )
        self.discovery = Discovery(
            settings, db, drivers, self.flock, self._fixed, exchange, sessions, meter, self.count_targets
        )
        self.tasks = Tasks()
        self._mutes = MuteEnds(self._mute_ended)
        self.flock.watchers.append(self._mutes)
        #: Told in a thread of its own when people use other names of labels than before.
        self.on_labels: Callable[[], None] = lambda: None
        self._label_names: frozenset[str] = frozenset()
        self.history = History(lambda: self._settings.intervals.status_seconds)
        self.share_log = ShareLog(folder_of(db.path))
        self._shares = ShareTracker(
            self.share_log, db.miner_configs.of, lambda: self._settings.intervals.shares_seconds
        )
        self.wallets = WalletService(db, settings.pools, self._expect_pools)
        # The matcher first: the share tracker reads what it stores.
        self.flock.watchers += (self.wallets.matcher, self.history, self._shares)
        self.usb.on_shares = self._count_shares
        shop = Shop(db, self.flock, exchange, sessions, lambda: self._settings, lambda: self._drivers, meter)
        self.commands = CommandDesk(shop, AuditLog(log_of(db.path)))
        self.bulk_commands = BulkCommands(self.commands)
        sessions.trusted = partial(is_trusted, drivers)
        self.ready = False

    def _expect_pools(self, miner_id: int, expected: Expected) -> None:
        miner = self.flock.get(miner_id)
        if miner is not None and miner.pools_expected != expected:
            miner.pools_expected = expected
            self.flock.publish(miner)

    # --- for the doors (`exporter.engine.doors`) and others on the engine's loop ---

    @property
    def db(self) -> Database:
        return self._db

    @property
    def settings(self) -> Settings:
        """The configuration that runs; another object after a reload."""
        return self._settings

    @property
    def drivers(self) -> DriverSet:
        """The drivers that are loaded; another object after a reload."""
        return self._drivers

    @property
    def sessions(self) -> Sessions:
        return self._sessions

    @property
    def udp_port(self) -> int | None:
        """The UDP port that is listened to."""
        return self._streams.port

    @property
    def exchange(self) -> Exchange:
        return self._exchange

    # --- read side, from any thread ---

    def snapshot(self) -> FleetSnapshot:
        """The flock now. Records are immutable and the copies are atomic."""
        records = list(self.flock.records.values())
        records.sort(key=lambda record: record.id)
        return FleetSnapshot(tuple(records), tuple(self.discovery.seen.values()), UnixSeconds(time.time()))

    def poll_lag(self) -> float:
        """Seconds by which the most overdue poll is late."""
        now = time.monotonic()
        dues = (miner.poller.due for miner in self.flock if miner.poller is not None)
        return max((now - due for due in dues if due is not None and due < now), default=0.0)

    # --- life ---

    async def start(self) -> None:
        """Load what is known, begin polling and discovery."""
        await asyncio.to_thread(self.share_log.open)
        await asyncio.to_thread(self.commands.audit.load)
        await self.bulk_commands.restore()
        self.flock.networks = self.networks()
        self.flock.load()
        await self._fixed.apply(self._settings, self._drivers)
        self._relabel()
        await self.tell_labels()
        self._heard.expect()
        await self._streams.start(self._settings.udp.nmminer_port)
        self.usb.start()
        self.count_targets()
        self.tasks.forever(self.discovery.run_forever, "discovery")
        self.tasks.forever(self._persist_forever, "persist")
        self.tasks.forever(self._shares.run, "shares")
        self.wallets.start()
        self.ready = True

    async def stop(self) -> None:
        """End everything in order; what was seen is stored."""
        self.ready = False
        await self.bulk_commands.stop()
        await self.commands.stop()
        self.discovery.stop()
        await self.tasks.stop()
        await self.wallets.stop()
        await self._streams.stop()
        await self.usb.stop()
        self._heard.stop()
        await self.flock.stop()
        self._mutes.stop()
        self._shares.write_all()
        await asyncio.to_thread(self.share_log.close)
        try:
            await self._db.commit()
        except StoreError as error:
            log.error("what was seen last is not stored: %s", error)  # noqa: TRY400 - a full disk

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers, then search at once."""
        self._settings, self._drivers = settings, drivers
        self._streams.use(drivers)
        self._sessions.create_keys = settings.creates_api_keys
        self._sessions.trusted = partial(is_trusted, drivers)
        self.discovery.use(settings, drivers)
        self.usb.apply(settings.serial)
        self.flock.networks = self.networks()
        await self.flock.apply(settings, drivers)
        await self._fixed.apply(settings, drivers)
        self._relabel()
        self.count_targets()
        await self.wallets.apply(settings.pools)
        self.flock.lost_track.set()

    async def use_drivers(self, drivers: DriverSet) -> None:
        """Use other drivers, then search at once. Only miners whose driver comes from another file are polled anew."""
        self._drivers = drivers
        self._streams.use(drivers)
        self._sessions.trusted = partial(is_trusted, drivers)
        self.discovery.use(self._settings, drivers)
        await self.flock.apply(self._settings, drivers)
        await self._fixed.apply(self._settings, drivers)
        self.count_targets()
        self.flock.lost_track.set()

    # --- USB ---

    def _usb_watcher(self, added: OnAdded, removed: OnRemoved) -> UsbWatcher:
        return UsbWatcher(added, removed, ports=self._settings.serial.ports)

    def _new_console(self) -> Console:
        driver = self._drivers.drivers.get(DRIVER)
        stream = driver.new_stream() if isinstance(driver, StreamSource) else None
        return stream if isinstance(stream, Console) else NerdMinerConsole()

    def _count_shares(self, miner_id: int, events: tuple[ShareEvent, ...]) -> None:
        record = self.flock.records.get(miner_id)
        if record is not None:
            self._shares.events(record, events)

    def _forget_stream(self, address: str) -> None:
        self._streams.forget(address)

    def _count_usb(self, waiting: int, boards: int) -> None:
        self._meter.set_devices_waiting("usb", waiting)
        self._meter.set_usb_ports({DRIVER: boards})

    async def onboard(
        self, device_id: int, name: str, currency: str, chipset: str | None = None, location_notes: str | None = None
    ) -> MinerRow:
        """Name a waiting device; see `onboarding.onboard`. It is on disk when this returns."""
        row = onboard(self._db, device_id, name, currency, chipset, location_notes)
        # At once: the board may be unplugged, or the caller gone, while the disk is waited for.
        self.usb.onboarded(row)
        self.count_targets()
        await self._db.commit()
        return self._db.miners.get(row.id) or row

    def _relabel(self) -> None:
        """Labels follow targets.yml, not what it said when a miner was found."""
        unknown = any(subnet.cidr is None and subnet.labels for subnet in self._settings.network.subnets)
        fixed = self._fixed.labels()
        for miner in self.flock:
            row, own = miner.row, fixed.get(miner.row.id)
            address = row.address or row.last_address
            if address is None:
                continue
            covered = any(network.covers(address) for network in self.flock.networks)
            if own is not None or covered or not unknown:  # else its network may be down for now
                self.flock.relabel(miner, self.flock.labels_at(address) | (own or {}))

    async def _persist_forever(self) -> None:
        while True:
            await asyncio.sleep(_PERSIST_SECONDS)
            self.flock.persist_seen()

    def count_targets(self) -> None:
        """The flock may have changed: tell the self metrics."""
        targets: dict[tuple[str, str], int] = {}
        waiting = 0
        for miner in self.flock:
            row = miner.row
            if row.enabled and row.managed:
                source = "usb" if row.driver == DRIVER else "fixed" if row.fixed else "network"
                targets[row.driver, source] = targets.get((row.driver, source), 0) + 1
            waiting += row.enabled and row.name is None
        self._meter.set_targets(targets)
        self._meter.set_devices_waiting("network", waiting)

    def _mute_ended(self, miner_id: int) -> None:
        miner = self.flock.get(miner_id)
        if miner is not None:
            self.flock.publish(miner)

    # --- discovery ---

    def networks(self) -> tuple[SearchNetwork, ...]:
        """The configured networks as they are now (interfaces come and go)."""
        return self.discovery.networks()

    async def search(
        self, networks: tuple[SearchNetwork, ...] | None = None, *, everything: bool = False
    ) -> SearchResult:
        """One discovery cycle, see `Discovery.search`; what it found."""
        return (await self.discovery.search(networks, everything=everything)).result

    # --- commands ---

    def known(self, miner_id: int) -> Miner:
        """The miner with this id. Raises `UnknownError`."""
        miner = self.flock.get(miner_id)
        if miner is None:
            raise UnknownError(f"no miner has the id {miner_id}; the web page and GET /api/miners list them")
        return miner

    def check_control(self) -> None:
        """Raise `ForbiddenError` where the configuration allows no command to a device."""
        if not self._settings.control.enabled:
            raise ForbiddenError("control.enabled is false in targets.yml: nothing is sent to miners but questions")

    async def add(self, address: str, port: int | None, driver: str | None, name: str | None) -> MinerRow:
        """Add a miner that a person names; see `MinersApi.add`. It is on disk when this returns."""
        if name is not None:
            name = checked_name(self._db, name)
        where = await miner_address(address, allow_public=self._settings.network.allow_public)
        entry = FixedMiner(where, checked_port(port), checked_driver(driver, self._drivers))
        miner = await self._fixed.add(entry, self.discovery.searcher)
        # The name may have been given to another one while the device was asked.
        named = {} if name is None else {"name": checked_name(self._db, name, besides=miner.row.id)}
        self.flock.update(miner, auto_discovered=False, **named)
        log.info("miner was added by address", extra={"miner": miner.row.key, "address": miner.row.address})
        self.count_targets()
        await self._db.commit()
        return miner.row

    async def change(self, miner_id: int, changes: Mapping[str, Any]) -> MinerRow:
        """Change what a person decides; see `MinersApi.change`. It is on disk when this returns."""
        miner = self.known(miner_id)
        decision = decide(self._db, miner.row, changes, time.time())
        if (login := decision.login) is not None:
            if login.password is None:
                self._db.passwords.delete(miner_id)
            else:
                self._db.passwords.set(miner_id, login.password, login.username)
        await self.flock.decided(miner, **decision.fields)
        if login is not None:
            await self.flock.sign_in_anew(miner, forgive=True)
            if miner.poller is not None:
                miner.poller.wake()
            self.flock.publish(miner)
        if not decision.fields.keys().isdisjoint({"managed", "enabled"}):
            self._switched(miner)
        if "own_labels" in decision.fields:
            await self.tell_labels()
        self.count_targets()
        await self._db.commit()
        return miner.row

    def _switched(self, miner: Miner) -> None:
        """A miner may be watched from now on, or no more."""
        if miner.row.driver == DRIVER:
            self.usb.switched(miner.row.id)
        self._heard.expect()
        if miner.row.managed and miner.row.enabled and miner.row.address is None:
            self.flock.lost_track.set()

    async def tell_labels(self) -> None:
        """Tell who shows the flock which names of labels people use, where that has changed."""
        names = frozenset(name for row in self._db.miners.all() for name in row.own_labels)
        if names != self._label_names:
            self._label_names = names
            await asyncio.to_thread(self.on_labels)

    async def rescan(self, miner_id: int | None) -> dict[str, Any]:
        """Poll one miner at once (or look for it), or run a discovery cycle now that asks every host.

        Returns:
            ``{"found": hosts identified}`` or ``{"up": bool}``.

        Raises:
            UnknownError: no miner has this id.
            ForbiddenError: the miner is not managed or retired, so it is not asked.
        """
        if miner_id is None:
            return {"found": len((await self.search(everything=True)).finds)}
        miner = self.known(miner_id)
        if not (miner.row.managed and miner.row.enabled):
            state = "not managed" if miner.row.enabled else "retired"
            raise ForbiddenError(f"the miner is {state}, so it is not asked anything; switch that on first")
        if miner.state.auth_failed:
            await self.flock.sign_in_anew(miner, forgive=True)
        if miner.poller is not None:
            await miner.poller.poll_now()
        elif miner.row.driver != DRIVER:
            await self.search(everything=True)
        return {"up": bool(miner.state.up)}

    async def get_config(self, miner_id: int) -> MinerCommand:
        """Have a miner on USB tell its configuration; see `ConfigCommands.get_config`.

        Raises:
            UnknownError: no miner has this id.
            ForbiddenError: `control.enabled` is false.
            UsageError: it is no miner on USB.
        """
        self.known(miner_id)
        self.check_control()
        return self.usb.get_config(miner_id)

    async def forget(self, miner_id: int) -> None:
        """Delete a miner (it comes back as a new one when it is found again). It is on disk when this returns.

        Raises:
            UnknownError: no miner has this id.
        """
        miner = self.known(miner_id)
        await self.flock.forget(miner)
        self._fixed.forgotten(miner_id)
        self._db.miner_configs.delete_of(miner_id)
        self.usb.forgotten(miner.row)
        self.count_targets()
        await self.tell_labels()
        await self._db.commit()
