"""The flock: every stored miner, what runs for it, and its published record. Lives on the engine's event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

from exporter.config import Settings
from exporter.drivers.api import ApiKeyLogin, DecodeContext, DescribesModel, Driver, Identification
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.engine.fleet import MinerRecord
from exporter.engine.isolation import is_trusted, run_driver
from exporter.engine.merge import merge_identity
from exporter.engine.miner import Miner, first_state, record_of
from exporter.engine.poller import Poller, PollMeter, PollSettings
from exporter.engine.registry import Adoption, Found, adopt
from exporter.engine.sessions import Sessions
from exporter.errors import MinerError
from exporter.model import Reading
from exporter.store.database import Database
from exporter.store.rows import MinerRow

log = logging.getLogger(__name__)

_POLLS_AT_ONCE: Final = 512
#: Offsets i * this modulo 1 are spread evenly for any number of miners.
_GOLDEN: Final = 0.6180339887498949


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
        self._tasks: set[asyncio.Task[None]] = set()
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

    # --- life ---

    def load(self) -> None:
        """Take the stored miners and begin to poll them, spread over the interval."""
        now = time.time()
        for row in self._db.miners.all():
            miner = self._miners[row.id] = Miner(row, first_state(row, now))
            self._start_polling(miner, (row.id * _GOLDEN % 1.0) * self.settings.intervals.status_seconds)
            self._publish(miner)

    async def stop(self) -> None:
        """End all polling and remember when each miner was seen last."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(miner.poller.stop() for miner in self if miner.poller is not None))
        self.persist_seen()

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers; a miner whose driver changed is polled anew by it."""
        self.settings = settings
        changed = drivers is not self.drivers
        self.drivers = drivers
        for miner in self:
            if miner.poller is not None:
                miner.poller.settings = self._poll_settings()
            if changed:
                await self._stop_polling(miner)
                self._start_polling(miner, (miner.row.id * _GOLDEN % 1.0) * settings.intervals.status_seconds)

    def persist_seen(self) -> None:
        """Store when each miner was seen last; not at every poll, so that the disk is spared."""
        with self._db.transaction():
            for miner in self:
                seen = miner.state.last_success
                if seen is not None and seen != miner.row.last_seen:
                    miner.row = self._db.miners.update(miner.row.id, last_seen=seen)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- polling ---

    def _poll_settings(self) -> PollSettings:
        return PollSettings(self.settings.intervals.status_seconds, self.settings.intervals.telemetry_seconds)

    def _start_polling(self, miner: Miner, offset: float) -> None:
        row = miner.row
        driver = self.drivers.drivers.get(row.driver)
        if driver is None or row.address is None or not (row.managed and row.enabled) or talks_by_itself(driver, row):
            return
        ports = self.settings.network.ports
        endpoint = Endpoint(row.address, row.http_port or ports.http[0], row.api_port or ports.cgminer[0])
        session = self._sessions.new(endpoint, driver, row.id)
        miner.state.identity = merge_identity(miner.state.identity, row.identity)
        miner.state.details = dict(row.details)
        miner.state.verify_identity = True
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
                miner.row = self._db.miners.update(miner.row.id, identity=state.identity)
            if not miner.model_described:
                self._describe_model(miner)
        self._publish(miner)

    def _wrong_miner(self, miner: Miner) -> None:
        where = {"miner": miner.row.key, "address": miner.row.address}
        log.warning("another miner answers at this address; looking for both", extra=where)
        self._spawn(self.clear_address(miner), "clear address")
        self.lost_track.set()

    async def clear_address(self, miner: Miner) -> None:
        """The miner is offline: no address, no polls, no live series; it stays known."""
        if miner.row.id in self._miners:
            miner.row = self._db.miners.update(miner.row.id, address=None)
            await self._silence(miner)

    async def _silence(self, miner: Miner) -> None:
        await self._stop_polling(miner)
        miner.state.up = False
        miner.state.status = miner.state.telemetry = None
        miner.stream = None
        self._publish(miner)

    def is_alive(self, miner: Miner) -> bool:
        """Whether the miner answers its polls (or talks by itself) now."""
        if miner.stream is not None:
            return miner.stream[1] > time.monotonic()
        return miner.poller is not None and miner.state.up is True

    def _describe_model(self, miner: Miner) -> None:
        """Read the model and its presets once, as soon as the API key is there (or cannot be had)."""
        poller = miner.poller
        if poller is None:
            return
        driver = poller.session.driver
        waiting_for_key = (
            isinstance(driver, ApiKeyLogin)
            and self._sessions.create_keys
            and not poller.session.key_headers
            and not miner.state.auth_failed
        )
        if isinstance(driver, DescribesModel) and not waiting_for_key:
            miner.model_described = True
            self._spawn(self._read_model(miner, poller.session, driver), "model")

    async def _read_model(self, miner: Miner, session: Session, driver: DescribesModel) -> None:
        context = DecodeContext(time.time(), miner.state.identity, miner.state.details)
        trusted = is_trusted(self.drivers, session.driver.driver_type)
        try:
            answers = await self._exchange.ask(session, driver.model_requests(context))
            model = await run_driver(driver.decode_model, answers, context, trusted=trusted)
        except MinerError as error:
            log.info("model not read: %s", error, extra={"miner": miner.row.key})
            return
        if model is not None:
            self._db.models.upsert(model)
            if miner.row.model_alias != model.alias and miner.row.id in self._miners:
                miner.row = self._db.miners.update(miner.row.id, model_alias=model.alias)

    def _publish(self, miner: Miner) -> None:
        record = record_of(miner)
        self.records[record.id] = record
        self._page.publish(record)

    # --- adoption ---

    async def adopt(self, found: Found) -> bool:
        """Take a found device into the flock; True where it is new."""
        adoption = adopt(self._db, found, time.time())
        for miner_id in adoption.merged:
            await self._drop(miner_id)
        for miner_id in adoption.displaced:
            other, row = self._miners.get(miner_id), self._db.miners.get(miner_id)
            if other is not None and row is not None:
                other.row = row
                await self._silence(other)
        await self._follow(adoption)
        return adoption.new

    async def _follow(self, adoption: Adoption) -> None:
        row = adoption.row
        where = {"miner": row.key, "address": row.address, "driver": row.driver}
        miner = self._miners.get(row.id)
        if miner is None:
            miner = self._miners[row.id] = Miner(row, first_state(row, time.time()))
            log.info("found a miner", extra=where)
        elif adoption.moved_from is not None and adoption.moved_from != row.address:
            log.info("miner has a new address", extra={**where, "old_address": adoption.moved_from})
        previous, miner.row, miner.misses = miner.row, row, 0
        if miner.poller is None or _way_to(previous) != _way_to(row):
            await self._stop_polling(miner)
            self._start_polling(miner, 0.0)
        else:
            miner.poller.wake()
        self._publish(miner)

    async def _drop(self, miner_id: int) -> None:
        miner = self._miners.pop(miner_id, None)
        if miner is not None:
            await self._stop_polling(miner)
            self.records.pop(miner_id, None)
            self._page.remove(miner_id)

    async def forget(self, miner: Miner) -> None:
        """Delete a miner and its secrets; our API key on it is removed where the device lets us."""
        if miner.poller is not None:
            try:
                await self._sessions.forget_key(miner.poller.session, miner.row.id)
            except MinerError as error:
                log.warning("the API key stays on the miner: %s", error, extra={"miner": miner.row.key})
        await self._drop(miner.row.id)
        with self._db.transaction():
            self._db.api_keys.delete(miner.row.id)
            self._db.passwords.delete(miner.row.id)
            self._db.miners.delete(miner.row.id)
        await self._db.commit()

    # --- devices that talk by themselves ---

    def heard(self, address: str, driver: Driver, found: Identification, reading: Reading, expires_in: float) -> None:
        """A device that talks by itself sent a reading; it expires after `expires_in` seconds."""
        self._spawn(self._take_message(address, driver, found, reading, expires_in), "message")

    async def _take_message(
        self, address: str, driver: Driver, found: Identification, reading: Reading, expires_in: float
    ) -> None:
        here = self.at(address)
        miner = next((m for m in here if m.row.driver == driver.driver_type and talks_by_itself(driver, m.row)), None)
        if miner is None:
            if any(self.is_alive(other) for other in here):
                return  # polled already, by the same or another driver: no second series for one device
            ports = self.settings.network.ports
            await self.adopt(
                Found(
                    address=address,
                    http_port=ports.http[0],
                    api_port=ports.cgminer[0],
                    driver=driver.driver_type,
                    identity=merge_identity(reading.identity, found.identity),
                    details=dict(found.details),
                    managed=self.settings.network.manage_discovered,
                )
            )
            miner = next((m for m in self.at(address) if m.row.driver == driver.driver_type), None)
        if miner is None or not (miner.row.managed and miner.row.enabled):
            return
        state = miner.state
        if state.up is False:
            log.info("miner is back", extra={"miner": miner.row.key, "address": address})
        state.up, state.last_success, state.last_error = True, time.time(), None
        state.identity = merge_identity(reading.identity, state.identity)
        miner.stream = (replace(reading, identity=state.identity), time.monotonic() + expires_in)
        self._publish(miner)
        asyncio.get_running_loop().call_later(expires_in + 0.05, self._fall_silent, miner)

    def _fall_silent(self, miner: Miner) -> None:
        if miner.stream is None or miner.stream[1] > time.monotonic() or miner.row.id not in self._miners:
            return
        miner.stream = None
        miner.state.up = False
        miner.state.errors["timeout"] = miner.state.errors.get("timeout", 0) + 1
        miner.state.last_error = "the device has fallen silent"
        log.warning("miner is gone: it has fallen silent", extra={"miner": miner.row.key, "reason": "timeout"})
        self._publish(miner)


def talks_by_itself(driver: Driver, row: MinerRow) -> bool:
    """Whether a miner is heard rather than polled; a driver may do both and says which by `details` "api": "udp"."""
    return driver.connection_type in ("udp", "serial") or row.details.get("api") == "udp"


def _way_to(row: MinerRow) -> tuple[object, ...]:
    return (row.key, row.driver, row.address, row.http_port, row.api_port, tuple(sorted(row.details.items())))
