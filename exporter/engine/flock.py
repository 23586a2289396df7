"""The flock: every stored miner, what runs for it, and its published record. Lives on the engine's event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from exporter.config import Settings
from exporter.discovery.networks import SearchNetwork
from exporter.drivers.api import Driver
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Endpoint, Exchange
from exporter.engine.fleet import MinerRecord
from exporter.engine.isolation import is_trusted
from exporter.engine.merge import merge_identity
from exporter.engine.miner import Miner, first_state, record_of
from exporter.engine.models import ModelReader
from exporter.engine.poller import Poller, PollMeter, PollSettings
from exporter.engine.registry import Adoption, Found, Taken, adopt, claimants, is_anonymous, match
from exporter.engine.sessions import Sessions
from exporter.engine.tasks import Tasks
from exporter.errors import AuthError, MinerError
from exporter.store.database import Database
from exporter.store.rows import MinerRow

log = logging.getLogger(__name__)

_POLLS_AT_ONCE: Final = 512
#: Offsets i * this modulo 1 are spread evenly for any number of miners.
_GOLDEN: Final = 0.6180339887498949
#: Failures after which a find is a reason to poll at once: it could not be reached, and now it can.
_UNREACHED: Final = frozenset({None, "timeout", "refused", "unreachable", "protocol"})


class Page(Protocol):
    """Where a miner's samples go whenever they change."""

    def publish(self, record: MinerRecord) -> None: ...

    def remove(self, miner_id: int) -> None: ...


class Flock:
    """Owns the miners; adopts what discovery found and publishes what polls told."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        drivers: DriverSet,
        exchange: Exchange,
        sessions: Sessions,
        page: Page,
        meter: PollMeter,
    ) -> None:
        self.settings = settings
        self.drivers = drivers
        self._db = db
        self._exchange = exchange
        self._sessions = sessions
        self._page = page
        self._meter = meter
        self._miners: dict[int, Miner] = {}
        self._limit = asyncio.Semaphore(_POLLS_AT_ONCE)
        self._turn = asyncio.Lock()
        self._stopped = False
        self.tasks = Tasks()
        self._models = ModelReader(db, exchange, sessions, self.tasks, self._model_read)
        #: The configured networks as they were last, for the labels of what is found in them.
        self.networks: tuple[SearchNetwork, ...] = ()
        #: Told of every record that is published, after the page. A record may come again without a new poll.
        self.watchers: list[Page] = []
        #: Published records by id; replaced whole, so that other threads may read.
        self.records: dict[int, MinerRecord] = {}
        #: Set when an address turned out to be another miner's: search at once.
        self.lost_track = asyncio.Event()

    def __iter__(self) -> Iterator[Miner]:
        return iter(tuple(self._miners.values()))

    def get(self, miner_id: int) -> Miner | None:
        return self._miners.get(miner_id)

    def at(self, address: str) -> tuple[Miner, ...]:
        """The miners whose address this is."""
        rows = self._db.miners.by_address(address)
        return tuple(self._miners[row.id] for row in rows if row.id in self._miners)

    def with_mac(self, mac: str) -> Miner | None:
        """The miner that has this MAC, by what it tells or by the neighbour table."""
        row = self._db.miners.by_mac(mac)
        return None if row is None else self._miners.get(row.id)

    # --- life ---

    def load(self) -> None:
        """Take the stored miners and begin to poll them, spread over the interval."""
        now = time.time()
        for row in self._db.miners.all():
            miner = self._miners[row.id] = Miner(row, first_state(row, now))
            self._start_polling(miner, self._offset(miner))
            self.publish(miner)

    async def stop(self) -> None:
        """End all polling and remember when each miner was seen last."""
        self._stopped = True
        await self.tasks.stop()
        await asyncio.gather(*(miner.poller.stop() for miner in self if miner.poller is not None))
        self.persist_seen()

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers; a miner whose driver or password changed is polled anew."""
        self.settings = settings
        before, self.drivers = self.drivers, drivers
        for miner in self:
            poller = miner.poller
            if poller is not None:
                poller.use(self._poll_settings())
            if poller is not None and self._sessions.has_changed(poller.session, miner.row.id):
                await self.sign_in_anew(miner)
            elif poller is None or _file_of(before, miner.row.driver) != _file_of(drivers, miner.row.driver):
                await self._stop_polling(miner)
                self._start_polling(miner, self._offset(miner))
                self.publish(miner)

    def relabel(self, miner: Miner, labels: Mapping[str, str]) -> None:
        """Give a miner the labels that the configuration has for it now."""
        if dict(miner.row.labels) != dict(labels):
            self.update(miner, labels=dict(labels))

    def labels_at(self, address: str) -> dict[str, str]:
        """The labels of the first configured network with labels that covers `address`."""
        for network in self.networks:
            if network.labels and network.covers(address):
                return dict(network.labels)
        return {}

    async def sign_in_anew(self, miner: Miner, *, forgive: bool = False) -> None:
        """Poll the miner with the passwords there are now; with `forgive` also those that it refused before."""
        if forgive and miner.row.address is not None:
            self._sessions.forgive(miner.row.address)
        offset = 0.0 if miner.state.auth_failed else miner.row.id * _GOLDEN % 1.0
        await self._stop_polling(miner)
        miner.state.auth_failed = False
        miner.state.blocked_until = miner.state.locked_until = 0.0
        miner.model_due = 0.0
        self._start_polling(miner, offset * self.settings.intervals.status_seconds)

    def persist_seen(self) -> None:
        """Store when each miner was seen last; not at every poll, so that the disk is spared."""
        with self._db.transaction():
            for miner in self:
                seen = miner.state.last_success
                if seen is not None and seen != miner.row.last_seen:
                    miner.row = self._db.miners.update(miner.row.id, last_seen=seen)

    def update(self, miner: Miner, **changes: Any) -> None:
        """Change stored fields of a miner and show it."""
        miner.row = self._db.miners.update(miner.row.id, **changes)
        self.publish(miner)

    async def decided(self, miner: Miner, **changes: Any) -> None:
        """Change what a person decides of a miner. One that is managed no more, or retired, is polled no more, and
        nothing of what it told is shown; one that is taken back is polled at once."""
        before = miner.row.managed and miner.row.enabled
        miner.row = row = self._db.miners.update(miner.row.id, **changes)
        after = row.managed and row.enabled
        if before != after:
            state = miner.state
            state.status = state.telemetry = miner.stream = None
            state.up = None if row.address is not None else False
            state.failures, state.reason, state.last_error, state.expires_at = 0, None, None, 0.0
            if after:
                state.telemetry_due = miner.model_due = 0.0
                self._start_polling(miner, 0.0)
            else:
                await self._stop_polling(miner)
        self.publish(miner)

    # --- polling ---

    def _offset(self, miner: Miner) -> float:
        return (miner.row.id * _GOLDEN % 1.0) * self.settings.intervals.status_seconds

    def _poll_settings(self) -> PollSettings:
        return PollSettings(self.settings.intervals.status_seconds, self.settings.intervals.telemetry_seconds)

    def _start_polling(self, miner: Miner, offset: float) -> None:
        row = miner.row
        if miner.poller is not None or self._miners.get(row.id) is not miner:
            return  # started or forgotten by somebody else, while the old poll was brought to its end
        if row.address is None or not (row.managed and row.enabled) or self._stopped:
            return
        driver = self.drivers.drivers.get(row.driver)
        if driver is None:
            # Rejected after an update, or taken out of the folder. It stays known, and it is down.
            miner.state.up, miner.state.status = False, None
            miner.state.last_error = f"there is no driver {row.driver}; see the drivers page"
            return
        if talks_by_itself(driver, row):
            return
        ports = self.settings.network.ports
        endpoint = Endpoint(row.address, row.http_port or ports.http[0], row.api_port or ports.cgminer[0])
        session = self._sessions.new(endpoint, driver, row.id)
        miner.state.identity = merge_identity(row.identity, miner.state.identity)
        miner.state.details = dict(row.details)
        miner.state.verify_identity = True
        if miner.state.auth_failed:
            # Refused passwords are remembered by the sessions; another way to ask may need none.
            miner.state.blocked_until = 0.0
        miner.poller = Poller(
            row.key,
            session,
            miner.state,
            self._exchange,
            self._poll_settings(),
            self._meter,
            self._limit,
            trusted=is_trusted(self.drivers, driver.driver_type),
            on_change=lambda: self._polled(miner),
            on_wrong_miner=lambda: self._wrong_miner(miner),
            login=self._sessions.login_for(session, row.id),
        )
        miner.poller.start(offset)

    async def _stop_polling(self, miner: Miner) -> None:
        if miner.poller is not None:
            poller, miner.poller = miner.poller, None
            await poller.stop()
            await self._exchange.close_host(poller.session.endpoint)

    def _polled(self, miner: Miner) -> None:
        if miner.row.id not in self._miners:
            return
        state = miner.state
        if state.up:
            miner.misses = 0
            if state.identity != miner.row.identity:
                self._told_more(miner)
            self._models.look_at(miner)
        self.publish(miner)

    def _told_more(self, miner: Miner) -> None:
        """A poll told more of the identity than was known."""
        told, row = miner.state.identity, miner.row
        changes: dict[str, Any] = {"identity": told}
        if told.mac is not None and told.mac != row.mac and self._db.miners.by_mac(told.mac) is None:
            changes["mac"] = told.mac  # until now it was the neighbour table's
        miner.row = row = self._db.miners.update(row.id, **changes)
        if row.provisional and not is_anonymous(told):
            self.tasks.spawn(self._become_real(miner), "adopt")

    async def _become_real(self, miner: Miner) -> None:
        row = miner.row
        if row.address is not None and row.provisional:
            await self.adopt(
                Found(
                    address=row.address,
                    http_port=row.http_port or self.settings.network.ports.http[0],
                    api_port=row.api_port or self.settings.network.ports.cgminer[0],
                    driver=row.driver,
                    identity=miner.state.identity,
                    details=row.details,
                    labels=row.labels,
                    fixed=row.fixed,
                    shared_port=self._port_of(row) if len(self.at(row.address)) > 1 else None,
                )
            )

    def _port_of(self, row: MinerRow) -> int | None:
        driver = self.drivers.drivers.get(row.driver)
        return row.api_port if driver is not None and driver.connection_type == "tcp" else row.http_port

    def _model_read(self, miner: Miner, alias: str) -> None:
        if miner.row.model_alias != alias and self._miners.get(miner.row.id) is miner:
            miner.row = self._db.miners.update(miner.row.id, model_alias=alias)

    def _wrong_miner(self, miner: Miner) -> None:
        where = {"miner": miner.row.key, "address": miner.row.address}
        log.warning("another miner answers at this address; looking for both", extra=where)
        if miner.row.address is not None:
            self.tasks.spawn(self.clear_address(miner, miner.row.address), "clear address")
        self.lost_track.set()

    async def clear_address(self, miner: Miner, address: str) -> None:
        """The miner is offline: no address, no polls, no live series; it stays known.

        Nothing happens where it has another address than `address` by now.
        """
        async with self._turn:
            if self._miners.get(miner.row.id) is miner and miner.row.address == address:
                miner.row = self._db.miners.update(miner.row.id, address=None)
                self._sessions.forgive(address)
                await self._silence(miner)

    async def _silence(self, miner: Miner) -> None:
        await self._stop_polling(miner)
        if miner.state.up is not False:
            log.warning("miner is gone: it has lost its address", extra={"miner": miner.row.key})
        miner.state.up = False
        miner.state.status = miner.state.telemetry = None
        miner.stream = None
        self.publish(miner)

    def take_row(self, row: MinerRow) -> Miner:
        """Show a row that somebody else stored: a new miner, or new fields of a known one."""
        miner = self._miners.get(row.id)
        if miner is None:
            miner = self._miners[row.id] = Miner(row, first_state(row, time.time()))
        miner.row = row
        self.publish(miner)
        return miner

    def is_alive(self, miner: Miner) -> bool:
        """Whether the miner answers its polls (or talks by itself) now."""
        if miner.stream is not None:
            return miner.stream[1] > time.monotonic()
        return miner.poller is not None and miner.state.up is True

    def is_due(self, miner: Miner) -> bool:
        """Whether it will be polled for the first time in a moment: then the poll tells, and nobody need search."""
        return miner.poller is not None and miner.state.up is None

    def publish(self, miner: Miner) -> None:
        """Show the miner as it is now."""
        if self._miners.get(miner.row.id) is miner:
            record = record_of(miner, self._port_of(miner.row))
            self.records[record.id] = record
            self._page.publish(record)
            for watcher in self.watchers:
                watcher.publish(record)

    # --- adoption ---

    async def adopt(self, found: Found) -> Taken:
        """Take a found device into the flock. Where a known miner answers elsewhere it is asked before it is moved."""
        async with self._turn:
            elsewhere = await self._elsewhere(found)
            if elsewhere is None or self._stopped:
                return Taken.ELSEWHERE
            adoption = adopt(self._db, found, time.time(), elsewhere)
            merged = [miner for miner_id in adoption.merged if (miner := self._miners.pop(miner_id, None)) is not None]
            displaced = []
            for miner_id in adoption.displaced:
                other, row = self._miners.get(miner_id), self._db.miners.get(miner_id)
                if other is not None and row is not None:
                    other.row = row
                    displaced.append(other)
            for other in merged:
                await self._end(other)
            for other in displaced:
                self._sessions.forgive(found.address)
                await self._silence(other)
            return await self._follow(adoption)

    async def _elsewhere(self, found: Found) -> frozenset[int] | None:
        """Miners that answer at another address, so that the found device is none of them.

        None where the find must be left: the device claims the MAC of a miner that answers elsewhere (makers clone
        them, and a device may have two addresses), or another miner answers at its address by now.
        """
        elsewhere: set[int] = set()
        while (row := match(self._db, found, elsewhere)) is not None and row.address not in (None, found.address):
            miner = self._miners.get(row.id)
            if miner is None or not await self._still_answers(miner):
                break
            if row.mac is not None and row.mac == found.identity.mac:
                where = {"miner": row.key, "address": row.address, "other_address": found.address}
                log.warning("a miner answers at two addresses, or two have one MAC; the first one stays", extra=where)
                return None
            elsewhere.add(row.id)
        for claimant in claimants(self._db, found, row):
            miner = self._miners.get(claimant.id)
            if miner is not None and await self._still_answers(miner):
                return None
        return frozenset(elsewhere)

    async def _still_answers(self, miner: Miner) -> bool:
        if not (self.is_alive(miner) or self.is_due(miner)):
            return False
        if miner.poller is not None:
            await miner.poller.poll_now(verify=True, telemetry=False)
        return self.is_alive(miner)

    async def _follow(self, adoption: Adoption) -> Taken:
        row = adoption.row
        where = {"miner": row.key, "address": row.address, "driver": row.driver}
        miner = self._miners.get(row.id)
        if miner is None:
            miner = self._miners[row.id] = Miner(row, first_state(row, time.time()))
            miner.state.last_success = None
            log.info("found a miner", extra=where)
        elif adoption.moved_from is not None and adoption.moved_from != row.address:
            self._sessions.forgive(adoption.moved_from)
            log.info("miner has a new address", extra={**where, "old_address": adoption.moved_from})
        previous, miner.row, miner.misses = miner.row, row, 0
        miner.state.identity = merge_identity(row.identity, miner.state.identity)
        taken = Taken.NEW if adoption.new else Taken.CHANGED
        if miner.poller is None or _way_to(previous) != _way_to(row):
            taken = Taken.KNOWN if _way_to(previous) == _way_to(row) and not adoption.new else taken
            if previous.driver != row.driver:
                miner.model_due = 0.0
            await self._stop_polling(miner)
            self._start_polling(miner, 0.0)
        else:
            taken = Taken.KNOWN
            if miner.state.reason in _UNREACHED:
                miner.poller.wake()
        self.publish(miner)
        return taken

    async def _end(self, miner: Miner) -> None:
        """A miner that is in the flock no more."""
        await self._stop_polling(miner)
        self.records.pop(miner.row.id, None)
        self._page.remove(miner.row.id)
        for watcher in self.watchers:
            watcher.remove(miner.row.id)

    async def forget(self, miner: Miner) -> None:
        """Delete a miner and its secrets; our API key on it is removed where the device lets us."""
        poller, row = miner.poller, miner.row
        # First the polls end: one that misses its key would make a new one.
        await self._stop_polling(miner)
        if self._db.api_keys.get(row.id) is not None:
            try:
                if not self.settings.control.enabled:
                    raise AuthError("control is switched off, so that nothing is changed on it")
                if poller is None or miner.state.auth_failed:
                    raise AuthError("it cannot be signed in to now")
                await self._sessions.forget_key(poller.session, row.id)
            except MinerError as error:
                log.warning("the API key stays on the miner: %s", error, extra={"miner": row.key})
        await self.drop(miner)
        await self._db.commit()

    async def drop(self, miner: Miner) -> None:
        """Delete a miner and its secrets here; the device is not told."""
        async with self._turn:
            if self._miners.pop(miner.row.id, None) is not None:
                await self._end(miner)
                self._db.miners.delete(miner.row.id)


def talks_by_itself(driver: Driver, row: MinerRow) -> bool:
    """Whether a miner is heard rather than polled; a driver may do both and says which by `details` "api": "udp"."""
    return driver.connection_type in ("udp", "serial") or row.details.get("api") == "udp"


def _file_of(drivers: DriverSet, driver_type: str) -> str | None:
    """The hash of the file that a driver comes from; None where there is no such driver."""
    return next((loaded.sha256 for loaded in drivers.loaded if loaded.driver_type == driver_type), None)


def _way_to(row: MinerRow) -> tuple[object, ...]:
    return (row.key, row.driver, row.address, row.http_port, row.api_port, tuple(sorted(row.details.items())))
