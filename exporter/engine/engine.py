"""The engine: the only writer of live state. Runs the flock, discovery and streams on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

from exporter.config import Settings
from exporter.discovery.networks import SearchNetwork, local_interfaces, search_networks
from exporter.discovery.usb import OnAdded, OnRemoved, UsbWatcher
from exporter.drivers.api import StreamSource
from exporter.drivers.families.nerdminer_console import NerdMinerConsole
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Exchange, Session
from exporter.engine.fixed import FixedMiners
from exporter.engine.fleet import FleetSnapshot, SeenHost
from exporter.engine.flock import Flock, Page
from exporter.engine.heard import Heard
from exporter.engine.isolation import is_trusted
from exporter.engine.miner import Miner
from exporter.engine.onboarding import onboard
from exporter.engine.poller import PollMeter
from exporter.engine.registry import Found, Taken, is_anonymous
from exporter.engine.search import Find, Searcher, SearchProgress, SearchResult
from exporter.engine.sessions import Sessions
from exporter.engine.streams import Streams
from exporter.engine.tasks import Tasks
from exporter.engine.usb import DRIVER, UsbBoards
from exporter.engine.usb_board import Console
from exporter.engine.usb_miners import UsbMinersOfFlock
from exporter.errors import FlockwatchError, StoreError, UsageError
from exporter.memory import settle
from exporter.model import Identity
from exporter.store.database import Database
from exporter.store.rows import MinerRow
from exporter.transports.serial import SerialPort
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

#: A host that is no miner is asked again after this long; one that failed its probes for now, sooner.
STRANGER_SECONDS: Final = 900.0
UNSURE_SECONDS: Final = 60.0
#: Where a miner was seen that long ago, strangers are asked again in every cycle: it may be starting.
_MISSED_SECONDS: Final = 3600.0
#: Cycles in a row that a nameless find at the place of a missed miner is doubted.
_DOUBTS: Final = 2
_PERSIST_SECONDS: Final = 300.0
_LEAST_PAUSE: Final = 1.0


class Meter(PollMeter, Protocol):
    """The self metrics the engine feeds."""

    def discovery_run(self, method: str, *, probed: int, found: int, adopted: int) -> None: ...

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
        self._heard = Heard(self.flock)
        self._streams = Streams(drivers, self._heard.heard)
        self.usb = UsbBoards(
            settings.serial,
            db,
            UsbMinersOfFlock(db, self.flock, self._heard),
            self._usb_watcher,
            self._new_console,
            SerialPort.open,
            self._count_usb,
        )
        self._seen: dict[str, SeenHost] = {}
        self._left_alone: dict[str, float] = {}
        self._doubts: dict[str, int] = {}
        self._tasks = Tasks()
        self._search_turn = asyncio.Lock()
        self._stop_search = threading.Event()
        self._generation = 0
        sessions.trusted = partial(is_trusted, drivers)
        self._searcher = self._new_searcher()
        self.ready = False

    # --- read side, from any thread ---

    def snapshot(self) -> FleetSnapshot:
        """The flock now. Records are immutable and the copies are atomic."""
        records = list(self.flock.records.values())
        records.sort(key=lambda record: record.id)
        return FleetSnapshot(tuple(records), tuple(self._seen.values()), UnixSeconds(time.time()))

    def poll_lag(self) -> float:
        """Seconds by which the most overdue poll is late."""
        now = time.monotonic()
        dues = (miner.poller.due for miner in self.flock if miner.poller is not None)
        return max((now - due for due in dues if due is not None and due < now), default=0.0)

    # --- life ---

    async def start(self) -> None:
        """Load what is known, begin polling and discovery."""
        self.flock.networks = self.networks()
        self.flock.load()
        await self._fixed.apply(self._settings, self._drivers)
        self._relabel()
        self._heard.expect()
        await self._streams.start(self._settings.udp.nmminer_port)
        self.usb.start()
        self._count_targets()
        self._tasks.forever(self._discover_forever, "discovery")
        self._tasks.forever(self._persist_forever, "persist")
        self.ready = True

    async def stop(self) -> None:
        """End everything in order; what was seen is stored."""
        self.ready = False
        self._stop_search.set()
        await self._tasks.stop()
        await self._streams.stop()
        await self.usb.stop()
        self._heard.stop()
        await self.flock.stop()
        try:
            await self._db.commit()
        except StoreError as error:
            log.error("what was seen last is not stored: %s", error)  # noqa: TRY400 - a full disk

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers, then search at once."""
        self._settings, self._drivers = settings, drivers
        self._streams.use(drivers)
        self._sessions.create_keys = settings.drivers.vnish_create_api_key
        self._sessions.trusted = partial(is_trusted, drivers)
        self._generation += 1  # what a search under way says of strangers was said by the old drivers
        self._searcher = self._new_searcher()
        self._left_alone.clear()
        self.usb.apply(settings.serial)
        self.flock.networks = self.networks()
        await self.flock.apply(settings, drivers)
        await self._fixed.apply(settings, drivers)
        self._relabel()
        self._count_targets()
        self.flock.lost_track.set()

    # --- USB ---

    def _usb_watcher(self, added: OnAdded, removed: OnRemoved) -> UsbWatcher:
        return UsbWatcher(added, removed, ports=self._settings.serial.ports)

    def _new_console(self) -> Console:
        driver = self._drivers.drivers.get(DRIVER)
        stream = driver.new_stream() if isinstance(driver, StreamSource) else None
        return stream if isinstance(stream, Console) else NerdMinerConsole()

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
        self._count_targets()
        await self._db.commit()
        return self._db.miners.get(row.id) or row

    def _new_searcher(self) -> Searcher:
        network = self._settings.network
        return Searcher(
            self._exchange,
            self._drivers.drivers,
            partial(is_trusted, self._drivers),
            self._prepare,
            http_ports=network.ports.http,
            api_ports=network.ports.cgminer,
            timeout=network.timeout_ms / 1000,
        )

    def _prepare(self, session: Session) -> None:
        """Sign in as the miner that is known at the address, where there is one: it may have a password of its own."""
        here = [
            miner for miner in self.flock.at(session.endpoint.address) if miner.row.driver == session.driver.driver_type
        ]
        self._sessions.prepare(session, here[0].row.id if len(here) == 1 else None)

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

    def _count_targets(self) -> None:
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

    # --- discovery ---

    async def _discover_forever(self) -> None:
        while True:
            started = time.monotonic()
            self.flock.lost_track.clear()
            try:
                await self.search()
            except (FlockwatchError, OSError) as error:
                log.error("discovery failed, the next cycle tries again: %s", error)  # noqa: TRY400 - one line
            # A cycle that overruns delays the next one, and miners that keep changing places do not fill the network.
            await asyncio.sleep(_LEAST_PAUSE)
            pause = max(0.0, self._settings.intervals.discovery_seconds - (time.monotonic() - started))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.flock.lost_track.wait(), pause)

    def networks(self) -> tuple[SearchNetwork, ...]:
        """The configured networks as they are now (interfaces come and go)."""
        subnets = [(subnet.cidr, subnet.labels) for subnet in self._settings.network.subnets]
        return search_networks(subnets, local_interfaces())

    async def search(
        self,
        networks: tuple[SearchNetwork, ...] | None = None,
        *,
        everything: bool = False,
        on_progress: Callable[[SearchProgress], None] | None = None,
    ) -> SearchResult:
        """One discovery cycle over `networks` (the configured ones where None); what it finds is adopted.

        Args:
            everything: also ask hosts that are left alone.
        """
        async with self._search_turn:
            covered = self.networks() if networks is None else networks
            if networks is None:
                self.flock.networks = covered
                for address, identity in await self._fixed.find(self._searcher):
                    self._list_seen(address, identity, None)
            now, generation = time.monotonic(), self._generation
            answering = {
                miner.row.address
                for miner in self.flock
                if miner.row.address and (self.flock.is_alive(miner) or self.flock.is_due(miner))
            }
            self._forgive(now, answering)
            alone = set() if everything else self._alone(now)
            skip = frozenset(answering | alone | self._fixed.own_addresses())
            self._stop_search = threading.Event()
            result = await self._searcher.search(covered, skip, stop=self._stop_search, on_progress=on_progress)
            taken = [await self._take(find) for find in result.finds]
            if generation == self._generation:
                self._leave_alone(result, now)
            await self._count_misses(covered, skip, {find.address for find in result.finds} | result.unsure)
            self._prune_seen(covered, skip, {find.address for find in result.finds})
            adopted = taken.count(Taken.NEW)
            self._meter.discovery_run("network", probed=result.tried, found=len(result.finds), adopted=adopted)
            self._count_targets()
            await self._db.commit()
            if adopted:
                settle()
            return result

    def _leave_alone(self, result: SearchResult, now: float) -> None:
        self._left_alone.update(dict.fromkeys(result.strangers, now + STRANGER_SECONDS))
        self._left_alone.update(dict.fromkeys(result.unsure, now + UNSURE_SECONDS))

    def _forgive(self, now: float, answering: set[str]) -> None:
        """Forget hosts whose time is over, and those that are miners by now."""
        self._left_alone = {
            address: until for address, until in self._left_alone.items() if until > now and address not in answering
        }

    def _prune_seen(self, covered: tuple[SearchNetwork, ...], skip: frozenset[str], found: set[str]) -> None:
        """Hosts of families without a driver are listed while they answer, or are left alone."""
        for address in tuple(self._seen):
            asked = address not in skip and any(network.covers(address) for network in covered)
            if (asked and address not in found) or self.flock.at(address):
                del self._seen[address]

    def _alone(self, now: float) -> set[str]:
        """Addresses of hosts that are no miners; not where a miner was seen a while ago that is missed now."""
        missed = {miner.row.address or miner.row.last_address for miner in self._missed()}
        return {address for address, until in self._left_alone.items() if until > now} - missed

    async def _take(self, find: Find) -> Taken | None:
        """Adopt a find. A family without a driver is listed only. One that cannot be taken does not stop the others."""
        outcome: Taken | BaseException | None
        (outcome,) = await asyncio.gather(self._adopt(find), return_exceptions=True)
        if isinstance(outcome, BaseException):
            log.error("a find at %s could not be taken", find.address, exc_info=outcome)
            return None
        return outcome

    async def _adopt(self, find: Find) -> Taken | None:
        found = find.identification
        if found.driver_type is None or found.driver_type not in self._drivers.drivers:
            self._list_seen(find.address, find.identity, find.neighbour_mac)
            return None
        self._seen.pop(find.address, None)
        if self._is_doubtful(find):
            return None
        taken = await self.flock.adopt(
            Found(
                address=find.address,
                http_port=find.http_port,
                api_port=find.api_port,
                driver=found.driver_type,
                identity=find.identity,
                details=dict(found.details),
                neighbour_mac=find.neighbour_mac,
                labels=self.flock.labels_at(find.address) | dict(find.labels),
                managed=self._settings.network.manage_discovered,
            )
        )
        polled = any(miner.poller is not None for miner in self.flock.at(find.address))
        if taken is Taken.ELSEWHERE or (taken is Taken.KNOWN and not polled):
            # A second address of a known miner, or one that is listed only: no need to ask it in every cycle.
            self._left_alone[find.address] = time.monotonic() + STRANGER_SECONDS
        return taken

    def _missed(self) -> Iterator[Miner]:
        """Miners that were seen a while ago and do not answer now."""
        since = time.time() - _MISSED_SECONDS
        for miner in self.flock:
            if (miner.state.last_success or 0.0) > since and not self.flock.is_alive(miner):
                yield miner

    def _is_doubtful(self, find: Find) -> bool:
        """Whether a find may be a known miner that told half of what it is asked.

        Where some questions fail a device looks like one of a more general kind without a name. At the place of a
        miner that is missed it is believed only when it has been seen so several times in a row.
        """
        doubts = self._doubts.pop(find.address, 0) + 1
        if not is_anonymous(find.identity) or doubts > _DOUBTS:
            return False
        for miner in self._missed():
            row = miner.row
            here = (row.address or row.last_address) == find.address and find.neighbour_mac in (None, row.mac)
            itself = row.address == find.address and row.driver == find.identification.driver_type
            if here and not (row.provisional or itself):
                self._doubts[find.address] = doubts
                log.debug("%s: it tells nothing of itself; asked again", find.address)
                if miner.poller is not None:
                    miner.poller.wake()
                return True
        return False

    def _list_seen(self, address: str, identity: Identity, neighbour_mac: str | None) -> None:
        now = UnixSeconds(time.time())
        mac = identity.mac or neighbour_mac
        self._seen[address] = SeenHost(address, identity.make, identity.model, identity.firmware, mac, now)
        self._left_alone[address] = time.monotonic() + STRANGER_SECONDS

    async def _count_misses(self, covered: Iterable[SearchNetwork], skipped: frozenset[str], present: set[str]) -> None:
        """Clear the address of miners that were missed too often; only cycles that asked there count."""
        networks = tuple(covered)
        for miner in self.flock:
            address = miner.row.address
            if address is None or miner.row.fixed or self.flock.is_alive(miner) or address in skipped:
                continue
            if address in present:
                miner.misses = 0
            elif any(network.covers(address) for network in networks):
                miner.misses += 1
                if miner.misses >= self._settings.network.offline_after:
                    log.info("miner is offline", extra={"miner": miner.row.key, "address": address})
                    await self.flock.clear_address(miner, address)

    # --- commands ---

    def _known(self, miner_id: int) -> Miner:
        miner = self.flock.get(miner_id)
        if miner is None:
            raise UsageError(f"no miner has the id {miner_id}; the web page and GET /api/miners list them")
        return miner

    async def rescan(self, miner_id: int | None) -> dict[str, Any]:
        """Poll one miner at once (or look for it), or run a discovery cycle now that asks every host.

        Returns:
            ``{"found": hosts identified}`` or ``{"up": bool}``.

        Raises:
            UsageError: no miner has this id.
        """
        if miner_id is not None:
            miner = self._known(miner_id)
            if miner.state.auth_failed:
                await self.flock.sign_in_anew(miner, forgive=True)
            if miner.poller is not None:
                await miner.poller.poll_now()
            else:
                await self.search(everything=True)
            return {"up": bool(miner.state.up)}
        return {"found": len((await self.search(everything=True)).finds)}

    async def forget(self, miner_id: int) -> None:
        """Delete a miner (it comes back as a new one when it is found again).

        Raises:
            UsageError: no miner has this id.
        """
        miner = self._known(miner_id)
        await self.flock.forget(miner)
        self.usb.forgotten(miner.row)
        self._count_targets()
