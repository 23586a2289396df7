"""Discovery as the engine runs it: cycles over the networks, and what each find means for the flock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from exporter.config import Settings
from exporter.discovery.networks import SearchNetwork, local_interfaces, search_networks
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Exchange, Session
from exporter.engine.fixed import FixedMiners
from exporter.engine.fleet import SeenHost
from exporter.engine.flock import Flock
from exporter.engine.isolation import is_trusted
from exporter.engine.miner import Miner
from exporter.engine.registry import Found, Taken, is_anonymous
from exporter.engine.search import Find, Searcher, SearchProgress, SearchResult
from exporter.engine.sessions import Sessions
from exporter.errors import FlockwatchError
from exporter.memory import settle
from exporter.model import Identity
from exporter.store.database import Database
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

#: A host that is no miner is asked again after this long; one that failed its probes for now, sooner.
STRANGER_SECONDS: Final = 900.0
UNSURE_SECONDS: Final = 60.0
#: A host of a family without a driver is listed this long after it answered last, or until two cycles later. Those in
#: the configured networks are asked again before that; others only when a person has them searched again.
SEEN_SECONDS: Final = 3600.0
#: Where a miner was seen that long ago, strangers are asked again in every cycle: it may be starting.
_MISSED_SECONDS: Final = 3600.0
#: Cycles in a row that a nameless find at the place of a missed miner is doubted.
_DOUBTS: Final = 2
_LEAST_PAUSE: Final = 1.0


class DiscoveryMeter(Protocol):
    """The self metrics of discovery."""

    def discovery_run(self, method: str, *, probed: int, found: int, adopted: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle did.

    Attributes:
        networks: what was searched.
        result: what was found.
        skipped: addresses that were not asked, because a miner answers its polls there.
        new: how many of the finds were not known.
    """

    networks: tuple[SearchNetwork, ...]
    result: SearchResult
    skipped: frozenset[str]
    new: int


class Discovery:
    """Searches, adopts what it finds, and counts who is missed. Lives on the engine's event loop.

    Args:
        on_change: told after each cycle, when the flock may have changed.
    """

    def __init__(
        self,
        settings: Settings,
        db: Database,
        drivers: DriverSet,
        flock: Flock,
        fixed: FixedMiners,
        exchange: Exchange,
        sessions: Sessions,
        meter: DiscoveryMeter,
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._db = db
        self._drivers = drivers
        self._flock = flock
        self._fixed = fixed
        self._exchange = exchange
        self._sessions = sessions
        self._meter = meter
        self._on_change = on_change
        #: Hosts of families without a driver, by address; read by other threads through `snapshot` only.
        self.seen: dict[str, SeenHost] = {}
        #: When the last cycle ended (Unix time), and what it did; replaced whole, so that other threads may read.
        self.last: tuple[float, Cycle] | None = None
        self._left_alone: dict[str, float] = {}
        self._doubts: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._stop = threading.Event()
        self._generation = 0
        self.searcher = self._new_searcher()

    def use(self, settings: Settings, drivers: DriverSet) -> None:
        """Search with re-read settings and drivers from now on."""
        self._settings, self._drivers = settings, drivers
        self._generation += 1  # what a search under way says of strangers was said by the old drivers
        self.searcher = self._new_searcher()
        self._left_alone.clear()

    def stop(self) -> None:
        """End the search that is under way."""
        self._stop.set()

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
            miner
            for miner in self._flock.at(session.endpoint.address)
            if miner.row.driver == session.driver.driver_type
        ]
        self._sessions.prepare(session, here[0].row.id if len(here) == 1 else None)

    # --- cycles ---

    async def run_forever(self) -> None:
        """One cycle after the other; sooner where a miner was lost track of."""
        while True:
            started = time.monotonic()
            self._flock.lost_track.clear()
            try:
                await self.search()
            except (FlockwatchError, OSError) as error:
                log.error("discovery failed, the next cycle tries again: %s", error)  # noqa: TRY400 - one line
            # A cycle that overruns delays the next one, and miners that keep changing places do not fill the network.
            await asyncio.sleep(_LEAST_PAUSE)
            pause = max(0.0, self._settings.intervals.discovery_seconds - (time.monotonic() - started))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flock.lost_track.wait(), pause)

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
    ) -> Cycle:
        """One discovery cycle over `networks` (the configured ones where None); what it finds is adopted.

        Args:
            everything: also ask hosts that are left alone.
        """
        async with self._turn:
            covered = self.networks() if networks is None else networks
            if networks is None:
                self._flock.networks = covered
                for address, identity in await self._fixed.find(self.searcher):
                    self.list_seen(address, identity, None)
            now, generation = time.monotonic(), self._generation
            answering = {
                miner.row.address
                for miner in self._flock
                if miner.row.address and (self._flock.is_alive(miner) or self._flock.is_due(miner))
            }
            self._forgive(now, answering)
            alone = set() if everything else self._alone(now)
            skip = frozenset(answering | alone | self._fixed.own_addresses())
            self._stop = threading.Event()
            result = await self.searcher.search(covered, skip, stop=self._stop, on_progress=on_progress)
            taken = [await self._take(find) for find in result.finds]
            if generation == self._generation:
                self._leave_alone(result, now)
            await self._count_misses(covered, skip, {find.address for find in result.finds} | result.unsure)
            self._prune_seen(covered, skip, {find.address for find in result.finds})
            adopted = taken.count(Taken.NEW)
            self._meter.discovery_run("network", probed=result.tried, found=len(result.finds), adopted=adopted)
            self._on_change()
            await self._db.commit()
            if adopted:
                settle()
            cycle = Cycle(covered, result, frozenset(answering), adopted)
            self.last = (time.time(), cycle)
            return cycle

    def _leave_alone(self, result: SearchResult, now: float) -> None:
        self._left_alone.update(dict.fromkeys(result.strangers, now + STRANGER_SECONDS))
        self._left_alone.update(dict.fromkeys(result.unsure, now + UNSURE_SECONDS))

    def _forgive(self, now: float, answering: set[str]) -> None:
        """Forget hosts whose time is over, and those that are miners by now."""
        self._left_alone = {
            address: until for address, until in self._left_alone.items() if until > now and address not in answering
        }

    def _prune_seen(self, covered: tuple[SearchNetwork, ...], skip: frozenset[str], found: set[str]) -> None:
        """Hosts of families without a driver are listed while they answer, or are left alone, and never for long."""
        longest = max(SEEN_SECONDS, 2 * self._settings.intervals.discovery_seconds + STRANGER_SECONDS)
        since = time.time() - longest
        for address, host in tuple(self.seen.items()):
            asked = address not in skip and any(network.covers(address) for network in covered)
            if (asked and address not in found) or host.seen_at < since or self._flock.at(address):
                del self.seen[address]

    def _alone(self, now: float) -> set[str]:
        """Addresses of hosts that are no miners; not where a miner was seen a while ago that is missed now."""
        missed = {miner.row.address or miner.row.last_address for miner in self._missed()}
        return {address for address, until in self._left_alone.items() if until > now} - missed

    # --- finds ---

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
            self.list_seen(find.address, find.identity, find.neighbour_mac)
            return None
        self.seen.pop(find.address, None)
        if self._is_doubtful(find):
            return None
        taken = await self._flock.adopt(
            Found(
                address=find.address,
                http_port=find.http_port,
                api_port=find.api_port,
                driver=found.driver_type,
                identity=find.identity,
                details=dict(found.details),
                neighbour_mac=find.neighbour_mac,
                labels=self._flock.labels_at(find.address) | dict(find.labels),
                managed=self._settings.network.manage_discovered,
            )
        )
        polled = any(miner.poller is not None for miner in self._flock.at(find.address))
        if taken is Taken.ELSEWHERE or (taken is Taken.KNOWN and not polled):
            # A second address of a known miner, or one that is listed only: no need to ask it in every cycle.
            self._left_alone[find.address] = time.monotonic() + STRANGER_SECONDS
        return taken

    def list_seen(self, address: str, identity: Identity, neighbour_mac: str | None) -> None:
        """List a host of a family that no driver can poll."""
        now = UnixSeconds(time.time())
        mac = identity.mac or neighbour_mac
        self.seen[address] = SeenHost(address, identity.make, identity.model, identity.firmware, mac, now)
        self._left_alone[address] = time.monotonic() + STRANGER_SECONDS

    # --- misses ---

    def _missed(self) -> Iterator[Miner]:
        """Miners that were seen a while ago and do not answer now."""
        since = time.time() - _MISSED_SECONDS
        for miner in self._flock:
            if (miner.state.last_success or 0.0) > since and not self._flock.is_alive(miner):
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

    async def _count_misses(self, covered: Iterable[SearchNetwork], skipped: frozenset[str], present: set[str]) -> None:
        """Clear the address of miners that were missed too often; only cycles that asked there count."""
        networks = tuple(covered)
        for miner in self._flock:
            address = miner.row.address
            if address is None or miner.row.fixed or self._flock.is_alive(miner) or address in skipped:
                continue
            if address in present:
                miner.misses = 0
            elif any(network.covers(address) for network in networks):
                miner.misses += 1
                if miner.misses >= self._settings.network.offline_after:
                    log.info("miner is offline", extra={"miner": miner.row.key, "address": address})
                    await self._flock.clear_address(miner, address)
