"""The engine: the only writer of live state. Runs the flock, discovery and streams on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from exporter.config import FixedMiner, Settings
from exporter.discovery.networks import SearchNetwork, local_interfaces, search_networks
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Endpoint, Exchange
from exporter.engine.fleet import FleetSnapshot, SeenHost
from exporter.engine.flock import Flock, Page
from exporter.engine.isolation import is_trusted
from exporter.engine.miner import Miner
from exporter.engine.poller import PollMeter
from exporter.engine.registry import Found
from exporter.engine.search import Find, Searcher, SearchProgress, SearchResult
from exporter.engine.sessions import Sessions
from exporter.engine.streams import Streams
from exporter.errors import FlockwatchError, MinerError, UsageError
from exporter.memory import settle
from exporter.model import Identity
from exporter.store.database import Database
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

#: A host that is no miner is asked again after this long; one that failed its probes for now, sooner.
STRANGER_SECONDS: Final = 900.0
UNSURE_SECONDS: Final = 60.0
_PERSIST_SECONDS: Final = 300.0


class Meter(PollMeter, Protocol):
    """The self metrics the engine feeds."""

    def discovery_run(self, method: str, *, probed: int, found: int, adopted: int) -> None: ...

    def set_targets(self, targets: dict[tuple[str, str], int]) -> None: ...

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
        self._streams = Streams(drivers, self.flock.heard)
        self._seen: dict[str, SeenHost] = {}
        self._left_alone: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._search_turn = asyncio.Lock()
        self._stop_search = threading.Event()
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
        self.flock.load()
        await self._streams.start(self._settings.udp.nmminer_port)
        self._count_targets()
        for work, name in ((self._discover_forever(), "discovery"), (self._persist_forever(), "persist")):
            self._tasks.add(asyncio.get_running_loop().create_task(work, name=name))
        self.ready = True

    async def stop(self) -> None:
        """End everything in order; what was seen is stored."""
        self.ready = False
        self._stop_search.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._streams.stop()
        await self.flock.stop()
        await self._db.commit()

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers, then search at once."""
        self._settings, self._drivers, self._streams.drivers = settings, drivers, drivers
        self._sessions.create_keys = settings.drivers.vnish_create_api_key
        self._searcher = self._new_searcher()
        self._left_alone.clear()
        await self.flock.apply(settings, drivers)
        self.flock.lost_track.set()

    def _new_searcher(self) -> Searcher:
        network = self._settings.network
        return Searcher(
            self._exchange,
            self._drivers.drivers,
            partial(is_trusted, self._drivers),
            self._sessions.prepare,
            http_ports=network.ports.http,
            api_ports=network.ports.cgminer,
            timeout=network.timeout_ms / 1000,
        )

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
                source = "fixed" if row.fixed else "network"
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
            # A cycle that overruns delays the next one.
            pause = max(1.0, self._settings.intervals.discovery_seconds - (time.monotonic() - started))
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
                await self._find_fixed()
            now = time.monotonic()
            alive = {miner.row.address for miner in self.flock if miner.row.address and self.flock.is_alive(miner)}
            alone = set() if everything else {address for address, until in self._left_alone.items() if until > now}
            result = await self._searcher.search(
                covered, frozenset(alive | alone), stop=self._stop_search, on_progress=on_progress
            )
            adopted = 0
            for find in result.finds:
                adopted += await self._take(find)
            for address in result.strangers:
                self._left_alone[address] = now + STRANGER_SECONDS
            for address in result.unsure:
                self._left_alone[address] = now + UNSURE_SECONDS
            await self._count_misses(covered, {find.address for find in result.finds} | result.unsure)
            self._meter.discovery_run("network", probed=result.tried, found=len(result.finds), adopted=adopted)
            self._count_targets()
            await self._db.commit()
            if adopted:
                settle()
            return result

    async def _take(self, find: Find) -> bool:
        """Adopt a find; True where it is new. A family without a driver is listed only."""
        found = find.identification
        if found.driver_type is None or found.driver_type not in self._drivers.drivers:
            self._seen[find.address] = SeenHost(
                find.address,
                find.identity.make,
                find.identity.model,
                find.identity.firmware,
                find.identity.mac or find.neighbour_mac,
                UnixSeconds(time.time()),
            )
            self._left_alone[find.address] = time.monotonic() + STRANGER_SECONDS
            return False
        self._seen.pop(find.address, None)
        return await self.flock.adopt(
            Found(
                address=find.address,
                http_port=find.http_port,
                api_port=find.api_port,
                driver=found.driver_type,
                identity=find.identity,
                details=dict(found.details),
                neighbour_mac=find.neighbour_mac,
                labels=dict(find.labels),
                managed=self._settings.network.manage_discovered,
            )
        )

    async def _count_misses(self, covered: Iterable[SearchNetwork], present: set[str]) -> None:
        """Clear the address of miners that were missed too often; only cycles that covered it count."""
        networks = tuple(covered)
        for miner in self.flock:
            address = miner.row.address
            if address is None or miner.row.fixed or self.flock.is_alive(miner) or address in present:
                continue
            if any(network.covers(address) for network in networks):
                miner.misses += 1
                if miner.misses >= self._settings.network.offline_after:
                    log.info("miner is offline", extra={"miner": miner.row.key, "address": address})
                    await self.flock.clear_address(miner)

    # --- fixed miners ---

    async def _find_fixed(self) -> None:
        """Identify the miners that targets.yml names and that do not answer polls yet."""
        pending = []
        for entry in self._settings.miners:
            known = next((miner for miner in self.flock.at(entry.address) if miner.row.fixed), None)
            if known is None or not (self.flock.is_alive(known) or not known.row.provisional):
                pending.append(self._adopt_fixed(entry, known))
        for outcome in await asyncio.gather(*pending, return_exceptions=True):
            if isinstance(outcome, MinerError):
                log.info("fixed miner: %s", outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _adopt_fixed(self, entry: FixedMiner, known: Miner | None) -> None:
        endpoint = self._fixed_endpoint(entry)
        found = (await self._searcher.identify(endpoint)).identification
        driver_type = entry.driver or (found.driver_type if found is not None else None)
        if entry.driver == "avalon" and found is not None and found.driver_type == "avalon_nano":
            driver_type = "avalon_nano"  # the Nanos answer the same commands but count their power differently
        if driver_type is None or driver_type not in self._drivers.drivers:
            if known is None:
                log.warning("fixed miner not identified", extra={"address": entry.address, "driver": entry.driver})
            return
        if found is None and known is not None:
            return
        identity, details = Identity(), {}
        if found is not None:
            identity = await self._searcher.complete_identity(endpoint, replace(found, driver_type=driver_type))
            details = dict(found.details) if found.driver_type == driver_type else {}
        await self.flock.adopt(
            Found(
                address=entry.address,
                http_port=endpoint.http_port,
                api_port=endpoint.api_port,
                driver=driver_type,
                identity=identity,
                details=details,
                labels=dict(entry.labels),
                name=entry.name,
                fixed=True,
            )
        )

    def _fixed_endpoint(self, entry: FixedMiner) -> Endpoint:
        ports = self._settings.network.ports
        http_port, api_port = ports.http[0], ports.cgminer[0]
        driver = self._drivers.drivers.get(entry.driver or "")
        if entry.port is not None:
            if driver is None or driver.connection_type == "tcp":
                api_port = entry.port
            if driver is None or driver.connection_type != "tcp":
                http_port = entry.port
        return Endpoint(entry.address, http_port, api_port)

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
        await self.flock.forget(self._known(miner_id))
        self._count_targets()
