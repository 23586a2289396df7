"""One discovery cycle: search the networks, identify what answers, complete the identity. No state is changed here.

`Searcher` knows how to look; what a find means for the flock is decided by the engine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from exporter.discovery import arp
from exporter.discovery.identify import Verdict, identify_host, merged_probes
from exporter.discovery.neighbours import neighbour_macs, own_macs
from exporter.discovery.networks import SearchNetwork
from exporter.discovery.scan import ScanTarget, scan_ports
from exporter.drivers.api import Answer, Answers, CgminerRequest, DecodeContext, Driver, Identification, Request
from exporter.engine.examine import Examined, examination, reusable
from exporter.engine.exchange import Endpoint, Exchange, Script, Session
from exporter.engine.isolation import run_driver
from exporter.engine.merge import merge_identity
from exporter.errors import InternalError, MinerError
from exporter.model import Identity

log = logging.getLogger(__name__)

_IDENTIFY_AT_ONCE: Final = 100
_PROBE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Find:
    """A host that was identified, with its completed identity."""

    address: str
    http_port: int
    api_port: int
    identification: Identification
    identity: Identity
    labels: tuple[tuple[str, str], ...] = ()
    neighbour_mac: str | None = None


@dataclass(slots=True)
class SearchResult:
    """What one cycle found.

    Attributes:
        finds: identified hosts, also those of families without a driver.
        strangers: hosts that answer but are no miner.
        unsure: hosts that answered the scan but failed the probes for now.
        open_hosts: how many hosts had an open port.
        tried: (address, port) pairs tried.
    """

    finds: list[Find] = field(default_factory=list)
    strangers: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    open_hosts: int = 0
    tried: int = 0


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """Where a search is: `stage` is "scan" or "identify"; done of total."""

    stage: str
    done: int
    total: int
    found: int = 0


class Probing(Driver):
    """Stands for "no driver yet" while a host is being identified."""

    driver_type = "probe"


class _Opinion(Driver):
    """Stands for a user's driver while one host is being identified: it repeats what that one said in its thread."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.driver_type = driver.driver_type  # type: ignore[misc]  # of the class in every real driver
        self.probes = driver.probes  # type: ignore[misc]
        self._said: Identification | None = None

    async def form(self, answers: Answers) -> None:
        """Let the driver judge `answers`."""
        try:
            said = await run_driver(self.driver.identify, answers, trusted=False)
            if not isinstance(said, Identification | None):
                raise InternalError(f"identify returned {type(said).__name__}")
        except MinerError as error:
            log.debug("driver %s could not judge a host: %s", self.driver_type, error)
        else:
            self._said = said

    def identify(self, answers: Answers) -> Identification | None:
        return self._said


class Searcher:
    """Looks for miners with a fixed set of drivers."""

    def __init__(
        self,
        exchange: Exchange,
        drivers: Mapping[str, Driver],
        trusted: Callable[[str], bool],
        prepare: Callable[[Session], None],
        *,
        http_ports: tuple[int, ...],
        api_ports: tuple[int, ...],
        timeout: float,
    ) -> None:
        """`trusted(driver_type)` says whether a driver is one of ours; `prepare` puts credentials into a session."""
        self._exchange = exchange
        self._drivers = drivers
        self._trusted = trusted
        self._prepare = prepare
        self._http_ports = http_ports
        self._api_ports = api_ports
        self._timeout = timeout
        ordered = sorted(drivers.values(), key=lambda driver: driver.driver_type)
        self._ordered = tuple(ordered)
        self._probes = merged_probes(ordered)
        self._can_sweep = arp.can_sweep()

    async def search(
        self,
        networks: Iterable[SearchNetwork],
        skip: frozenset[str] = frozenset(),
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[SearchProgress], None] | None = None,
    ) -> SearchResult:
        """Search `networks`, leaving out the addresses in `skip`. Cancelling it ends the scan in its thread."""
        result = SearchResult()
        stop = stop or threading.Event()
        try:
            targets, labels, macs = await asyncio.to_thread(self._targets, tuple(networks), skip, stop)
            total = len(targets) * (len(self._http_ports) + len(self._api_ports))
            loop = asyncio.get_running_loop()

            def scanned(done: int) -> None:
                if on_progress is not None and (done % 64 == 0 or done == total):
                    loop.call_soon_threadsafe(on_progress, SearchProgress("scan", done, total))

            outcome = await asyncio.to_thread(
                scan_ports, targets, timeout=self._timeout, stop=stop, on_progress=scanned if on_progress else None
            )
            table = await asyncio.to_thread(neighbour_macs)
        except asyncio.CancelledError:
            stop.set()
            raise
        result.tried = outcome.tried
        result.open_hosts = len(outcome.open_ports)
        macs = _fresh(macs, table)
        examined = await self._examine(outcome.open_ports, stop, on_progress)
        limit = asyncio.Semaphore(_IDENTIFY_AT_ONCE)
        done = 0

        async def one(address: str, ports: set[int]) -> None:
            nonlocal done
            async with limit:
                if not stop.is_set():
                    known = examined.get(address)
                    await self._judge(address, ports, labels.get(address, ()), macs.get(address), known, result)
            done += 1
            if on_progress is not None:
                on_progress(SearchProgress("identify", done, result.open_hosts, len(result.finds)))

        async with asyncio.TaskGroup() as group:
            for address, ports in outcome.open_ports.items():
                group.create_task(one(address, ports))
        return result

    def _targets(
        self, networks: tuple[SearchNetwork, ...], skip: frozenset[str], stop: threading.Event
    ) -> tuple[list[ScanTarget], dict[str, tuple[tuple[str, str], ...]], dict[str, str]]:
        ports = (*self._http_ports, *self._api_ports)
        targets: dict[str, ScanTarget] = {}
        labels: dict[str, tuple[tuple[str, str], ...]] = {}
        macs: dict[str, str] = {}
        for network in networks:
            if stop.is_set():
                break
            hosts = [host for host in network.hosts() if host not in skip]
            swept = self._sweep(network, hosts)
            if swept is not None:
                macs.update(swept)
                own = str(network.interface.address.ip) if network.interface else None
                hosts = [host for host in hosts if host in swept or host == own]
            paced = network.interface is not None and swept is None
            for host in hosts:
                targets.setdefault(host, ScanTarget(host, ports, paced))
                if network.labels:
                    labels.setdefault(host, network.labels)
        return list(targets.values()), labels, macs

    def _sweep(self, network: SearchNetwork, hosts: list[str]) -> dict[str, str] | None:
        """Address -> MAC by ARP, or None where ARP is not allowed or does not apply."""
        interface = network.interface
        if interface is None or not self._can_sweep:
            return None
        if not network.network.subnet_of(interface.address.network):
            return None
        try:
            return arp.sweep(interface, hosts)
        except OSError as error:
            log.warning("no ARP sweep of %s: %s; pacing the scan instead", network.network, error)
            return None

    async def _examine(
        self,
        open_ports: Mapping[str, set[int]],
        stop: threading.Event,
        on_progress: Callable[[SearchProgress], None] | None,
    ) -> dict[str, Examined]:
        """Examine all hosts in a thread; nothing where a user's driver has to be asked, which is slower."""
        if not all(self._trusted(driver.driver_type) for driver in self._ordered):
            return {}
        examined: dict[str, Examined] = {}
        loop = asyncio.get_running_loop()

        def ended(endpoint: Endpoint, result: Examined) -> None:
            examined[endpoint.address] = result
            if on_progress is not None and len(examined) % 16 == 0:
                progress = SearchProgress("identify", len(examined), len(open_ports))
                loop.call_soon_threadsafe(on_progress, progress)

        scripts = ((self.endpoint(address, ports), self._examination(ports)) for address, ports in open_ports.items())
        try:
            await asyncio.to_thread(self._exchange.run_scripts, scripts, _PROBE_SECONDS, ended, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        return examined

    def _examination(self, ports: set[int]) -> Script[Examined]:
        http_open, api_open = self._open_kinds(ports)
        script = examination(self._drivers, self._ordered, self._probes, http_open=http_open, api_open=api_open)
        try:
            return (yield from script)
        except Exception:
            # One host's odd answers must not end the search of all the others.
            log.warning("a host could not be examined", exc_info=True)
            return Examined(Verdict(None, failed=True, answers=Answers({})), None)

    def _open_kinds(self, ports: set[int]) -> tuple[bool, bool]:
        return not ports.isdisjoint(self._http_ports), not ports.isdisjoint(self._api_ports)

    async def _judge(
        self,
        address: str,
        ports: set[int],
        labels: tuple[tuple[str, str], ...],
        neighbour_mac: str | None,
        examined: Examined | None,
        result: SearchResult,
    ) -> None:
        endpoint = self.endpoint(address, ports)
        if examined is None:
            http_open, api_open = self._open_kinds(ports)
            examined = Examined(await self.identify(endpoint, http_open=http_open, api_open=api_open), None)
        verdict = examined.verdict
        if verdict.identification is None:
            (result.unsure if verdict.failed else result.strangers).add(address)
            return
        identity = examined.identity
        if identity is None:
            identity = await self.complete_identity(endpoint, verdict.identification, verdict.answers)
        result.finds.append(
            Find(
                address,
                endpoint.http_port,
                endpoint.api_port,
                verdict.identification,
                identity,
                labels,
                neighbour_mac,
            )
        )

    def endpoint(self, address: str, open_ports: Iterable[int] = ()) -> Endpoint:
        """Where to ask at `address`: the first configured port of each kind that is open, else the first one."""
        available = set(open_ports)
        return Endpoint(
            address,
            next((port for port in self._http_ports if port in available), self._http_ports[0]),
            next((port for port in self._api_ports if port in available), self._api_ports[0]),
        )

    async def identify(self, endpoint: Endpoint, *, http_open: bool = True, api_open: bool = True) -> Verdict:
        """Ask one host all drivers' probes."""
        session = Session(endpoint, _PROBING)
        drivers = tuple(d if self._trusted(d.driver_type) else _Opinion(d) for d in self._ordered)
        opinions = tuple(driver for driver in drivers if isinstance(driver, _Opinion))
        answered: dict[str, Answer] = {}

        async def ask(probe: Request) -> Answer:
            if isinstance(probe, CgminerRequest):
                answer = await self._exchange.probe_command(session, probe, _PROBE_SECONDS)
            else:
                answer = await self._exchange.probe_http(session, probe, _PROBE_SECONDS)
            answered[probe.key] = answer
            for opinion in opinions:
                await opinion.form(Answers(answered))
            return answer

        try:
            return await identify_host(drivers, self._probes, ask, http_open=http_open, api_open=api_open)
        finally:
            await self._exchange.close_host(endpoint)

    async def complete_identity(
        self, endpoint: Endpoint, found: Identification, probed: Answers | None = None
    ) -> Identity:
        """The identity of `found`, completed through its driver's identity requests; what fails stays unknown.

        Args:
            probed: answers of the identification, which are not asked for again.
        """
        driver = self._drivers.get(found.driver_type or "")
        if driver is None:
            return found.identity
        context = DecodeContext(time.time(), found.identity, found.details)
        session = Session(endpoint, driver)
        self._prepare(session)
        trusted = self._trusted(driver.driver_type)
        try:
            requests = await run_driver(driver.identity_requests, context, trusted=trusted)
            if not requests:
                return found.identity
            known = {} if probed is None else reusable(probed)
            left = tuple(request for request in requests if request.key not in known)
            asked = await self._exchange.ask(session, left)
            answers = Answers({**known, **dict(asked.items())})
            told = await run_driver(driver.decode_identity, answers, context, trusted=trusted)
            return merge_identity(told, found.identity)
        except MinerError as error:
            log.info("%s: identity incomplete: %s", endpoint.address, error)
            return found.identity
        except Exception:
            log.warning("driver %s failed", driver.driver_type, exc_info=True)
            return found.identity
        finally:
            await self._exchange.close_host(endpoint)


_PROBING: Final = Probing()


def _fresh(swept: Mapping[str, str], table: Mapping[str, str]) -> dict[str, str]:
    """What ARP says now, completed from the neighbour table, which remembers devices where they were minutes ago."""
    here = set(swept.values())
    return own_macs({**{address: mac for address, mac in table.items() if mac not in here}, **swept})
