"""How a search looks: what it asks, what it concludes, and that it leaves nothing behind."""

import asyncio
import threading
from collections import Counter
from ipaddress import IPv4Interface, IPv4Network
from types import SimpleNamespace

import pytest

import exporter.engine.search as search_module
from exporter.discovery.neighbours import own_macs
from exporter.discovery.networks import Interface, SearchNetwork
from exporter.discovery.scan import ScanOutcome
from exporter.drivers.api import Answer, HttpRequest, Identification, Specificity
from exporter.engine.exchange import Endpoint, Exchange
from exporter.engine.search import Searcher, _fresh
from exporter.errors import RequestTimeoutError
from exporter.model import Identity
from exporter.transports.wire import NetworkWire
from tests.engine.bench import Hosts, RigDriver, at, mac

LAN = SearchNetwork(IPv4Network("192.0.2.0/29"), (("site", "lan"),), Interface("eth9", IPv4Interface("192.0.2.6/29")))
ROUTED = SearchNetwork(IPv4Network("198.51.100.0/30"))


def searcher(wire, *drivers, trusted=True, ports=((80,), (4028,)), prepare=lambda session: None):
    drivers = drivers or (RigDriver(),)
    return Searcher(
        Exchange(wire),
        {driver.driver_type: driver for driver in drivers},
        lambda driver_type: trusted,
        prepare,
        http_ports=ports[0],
        api_ports=ports[1],
        timeout=0.2,
    )


@pytest.fixture
def scanned(monkeypatch):
    """What was scanned; what `open` says is open. Nothing is swept and the neighbour table is empty."""

    seen = SimpleNamespace(targets=(), open={}, macs={})

    def scan(targets, *, timeout, stop=None, on_progress=None):
        seen.targets = tuple(targets)
        for done in range(1, len(seen.targets) + 1):
            if on_progress:
                on_progress(done * 2)
        return ScanOutcome(dict(seen.open), len(seen.targets) * 2)

    monkeypatch.setattr(search_module, "scan_ports", scan)
    monkeypatch.setattr(search_module, "neighbour_macs", lambda: seen.macs)
    monkeypatch.setattr(search_module.arp, "can_sweep", lambda: False)
    return seen


def test_every_address_is_scanned_once_and_those_to_skip_are_not(scanned):
    overlapping = SearchNetwork(IPv4Network("192.0.2.0/30"), (("site", "second"),))
    asyncio.run(searcher(Hosts()).search((LAN, overlapping, ROUTED), frozenset({at(2)})))
    addresses = [target.address for target in scanned.targets]
    assert addresses == [at(1), at(3), at(4), at(5), at(6), "198.51.100.1", "198.51.100.2"]
    assert {target.ports for target in scanned.targets} == {(80, 4028)}


def test_only_on_link_addresses_are_paced(scanned):
    asyncio.run(searcher(Hosts()).search((LAN, ROUTED)))
    assert {target.address for target in scanned.targets if target.paced} == {at(number) for number in range(1, 7)}


def test_a_sweep_tells_who_is_there_and_with_which_mac(scanned, monkeypatch):
    monkeypatch.setattr(search_module.arp, "can_sweep", lambda: True)
    monkeypatch.setattr(search_module.arp, "sweep", lambda interface, hosts: {at(1): mac(1), at(2): mac(2)})
    hosts = Hosts()
    hosts.put(at(1))
    scanned.open = {at(1): {80}}
    scanned.macs = {at(4): mac(1), "198.51.100.9": mac(9)}  # where it was before
    result = asyncio.run(searcher(hosts).search((LAN,)))
    assert [(t.address, t.paced) for t in scanned.targets] == [(at(1), False), (at(2), False), (at(6), False)]
    assert [(find.address, find.neighbour_mac, find.labels) for find in result.finds] == [
        (at(1), mac(1), (("site", "lan"),))
    ]


def test_a_failed_sweep_is_replaced_by_a_paced_scan(scanned, monkeypatch, caplog):
    def fail(interface, hosts):
        raise OSError("gone")

    monkeypatch.setattr(search_module.arp, "can_sweep", lambda: True)
    monkeypatch.setattr(search_module.arp, "sweep", fail)
    asyncio.run(searcher(Hosts()).search((LAN,)))
    assert all(target.paced for target in scanned.targets)
    assert "pacing the scan" in caplog.text


def test_a_mac_that_answers_for_several_addresses_is_nobodys():
    assert own_macs({at(1): mac(1), at(2): mac(9), at(3): mac(9)}) == {at(1): mac(1)}
    assert _fresh({at(2): mac(1)}, {at(1): mac(1), at(3): mac(3)}) == {at(2): mac(1), at(3): mac(3)}


@pytest.mark.parametrize("trusted", [True, False])
def test_miners_strangers_and_hosts_nobody_is_sure_of(scanned, trusted):
    hosts = Hosts()
    hosts.put(at(1), mac=mac(1), model="R1")
    hosts.hosts[at(2)] = {"GET /rig": Answer(b"<html>", 200)}
    hosts.hosts[at(3)] = RequestTimeoutError("busy")
    scanned.open = {at(number): {80} for number in (1, 2, 3)}
    result = asyncio.run(searcher(hosts, trusted=trusted).search((LAN,)))
    assert [(find.address, find.identity.mac, find.identity.model) for find in result.finds] == [(at(1), mac(1), "R1")]
    assert (result.strangers, result.unsure) == ({at(2)}, {at(3)})
    assert (result.tried, result.open_hosts) == (12, 3)
    assert set(hosts.open.values()) <= {0}


def test_a_closed_kind_of_port_is_not_asked(scanned):
    hosts = Hosts()
    hosts.put(at(1))
    scanned.open = {at(1): {4028}}
    result = asyncio.run(searcher(hosts).search((LAN,)))
    assert hosts.asked == []
    assert result.strangers == {at(1)}


def test_the_open_one_of_several_ports_is_used():
    made = searcher(Hosts(), ports=((80, 8080), (4028, 4029)))
    assert made.endpoint(at(1), {8080, 4029}) == Endpoint(at(1), 8080, 4029)
    assert made.endpoint(at(1)) == Endpoint(at(1), 80, 4028)


def test_one_host_that_breaks_the_examination_does_not_end_the_search(scanned, monkeypatch, caplog):
    class Odd(RigDriver):
        def decode_identity(self, answers, context):
            return super().decode_identity(answers, context) if b"R1" in answers.get("GET /rig").body else "nonsense"

    hosts = Hosts()
    hosts.put(at(1), model="odd")
    hosts.put(at(2), model="R1", mac=mac(2))
    scanned.open = {at(1): {80}, at(2): {80}}
    result = asyncio.run(searcher(hosts, Odd()).search((LAN,)))
    assert [find.identity.mac for find in result.finds] == [mac(2)]
    assert result.unsure == {at(1)}
    assert "could not be examined" in caplog.text


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("fault", [KeyError("x"), RequestTimeoutError("busy")])
def test_an_identity_that_cannot_be_completed_is_what_the_probes_told(scanned, trusted, fault):
    class Partly(RigDriver):
        def identify(self, answers):
            found = super().identify(answers)
            return found and Identification("rig", Specificity.SPECIFIC, Identity(model="R1"))

        def identity_requests(self, context):
            return (HttpRequest("/who"),)

        def decode_identity(self, answers, context):
            raise fault

    hosts = Hosts()
    hosts.put(at(1), mac=mac(1))
    hosts.hosts[at(1)]["GET /who"] = Answer(b"{}") if isinstance(fault, KeyError) else fault
    scanned.open = {at(1): {80}}
    result = asyncio.run(searcher(hosts, Partly(), trusted=trusted).search((LAN,)))
    assert [find.identity for find in result.finds] == [Identity(model="R1")]


def test_progress_is_told(scanned):
    hosts = Hosts()
    for number in range(1, 5):
        hosts.put(at(number))
    scanned.open = {at(number): {80} for number in range(1, 5)}
    told = []
    asyncio.run(searcher(hosts).search((LAN,), on_progress=told.append))
    assert (told[0].stage, told[0].done, told[0].total) == ("scan", 12, 12)
    assert (told[-1].stage, told[-1].done, told[-1].total, told[-1].found) == ("identify", 4, 4, 4)


def test_a_search_that_is_to_stop_asks_nobody(scanned):
    hosts = Hosts()
    hosts.put(at(1))
    scanned.open = {at(1): {80}}
    stop = threading.Event()
    stop.set()
    result = asyncio.run(searcher(hosts).search((LAN,), stop=stop))
    assert hosts.asked == []
    assert result.finds == []


class Server:
    """Answers HTTP on loopback and counts its connections."""

    def __init__(self, body):
        self.body = body
        self.open = 0
        self.seen = Counter()

    async def serve(self, reader, writer):
        self.open += 1
        try:
            while line := await reader.readline():
                if line == b"\r\n":
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\n\r\n"
                    writer.write(head.encode() + self.body)
                elif line.startswith(b"GET"):
                    self.seen[line.split()[1]] += 1
        except ConnectionError:
            self.seen["reset"] += 1
        finally:
            self.open -= 1
            writer.close()


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("body", [b'{"family": "rig", "mac": "02:00:00:00:00:01"}', b"<html>no miner</html>"])
def test_no_connection_is_left_at_a_host(monkeypatch, trusted, body):
    monkeypatch.setattr(search_module.arp, "can_sweep", lambda: False)
    monkeypatch.setattr(search_module, "neighbour_macs", dict)

    async def story():
        server = Server(body)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        wire = NetworkWire()
        made = searcher(wire, trusted=trusted, ports=((port,), (1,)))
        result = await made.search((SearchNetwork(IPv4Network("127.0.0.1/32")),))
        async with asyncio.timeout(10):
            while server.open:  # noqa: ASYNC110 - the other end closes when it likes
                await asyncio.sleep(0.01)
        assert wire._http._hosts == {}
        await wire.close()
        listening.close()
        await listening.wait_closed()
        return result, server.seen[b"/rig"]

    result, asked = asyncio.run(story())
    assert asked >= 1
    if body.startswith(b"{"):
        assert [find.identity.mac for find in result.finds] == ["02:00:00:00:00:01"]
    else:
        assert result.strangers == {"127.0.0.1"}
