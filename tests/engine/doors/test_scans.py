"""Scans that a person asks for: which networks, one after the other, progress, what they found."""

import asyncio
import threading

import pytest

from exporter.config import Subnet
from exporter.discovery.scan import ScanOutcome
from exporter.engine import search as search_module
from exporter.engine.doors.miners import MinersDoor
from exporter.engine.doors.scans import KEPT, ScansDoor
from exporter.errors import FieldError, TakenError
from tests.engine.bench import at, mac, run
from tests.engine.doors.calls import ask, door_of, until

PRIVATE = "10.9.0.0/28"


def there(number):
    return f"10.9.0.{number}"


@pytest.fixture
def scanning(tmp_path, monkeypatch):
    """Runs an async function of (bench, door)."""

    def go(story, **options):
        async def whole(bench):
            return await story(bench, door_of(ScansDoor, bench))

        return run(tmp_path, monkeypatch, whole, **options)

    return go


async def ended(door, scan_id):
    return await until(
        lambda: next((s for s in door.all() if s.id == scan_id and s.state in ("finished", "failed")), None),
        "the end of a scan",
    )


def test_a_scan_of_the_configured_networks_finds_and_counts(scanning):
    async def story(bench, door):
        for number in (1, 2):
            bench.hosts.put(at(number), mac=mac(number))
        await bench.search()
        bench.hosts.put(at(3), mac=mac(3))
        bench.hosts.put(at(4), family="toaster")
        scan = await ask(door.start)
        assert (scan.id, scan.networks, scan.addresses) == (1, ("192.0.2.0/28",), 14)
        scan = await ended(door, 1)
        assert (scan.state, scan.error, scan.tried) == ("finished", None, 14)
        assert (scan.found, scan.new, scan.unknown, scan.matched) == (4, 1, 1, 0)
        assert scan.miners == tuple(bench.record(mac(number)).id for number in (1, 2, 3))
        assert scan.ended_at >= scan.started_at
        assert bench.record(mac(3)).up is True  # the first poll is part of it
        assert door.get(1) == scan
        assert door.get(2) is None

    scanning(story)


def test_a_scan_asks_also_whom_cycles_leave_alone(scanning):
    async def story(bench, door):
        bench.hosts.put(at(3), family="stranger")
        await bench.search()
        bench.hosts.put(at(3), mac=mac(3))
        await bench.search()
        assert len(bench.db.miners.all()) == 0
        await ask(door.start)
        assert (await ended(door, 1)).new == 1

    scanning(story)


def test_a_network_of_ones_own_choice(scanning):
    async def story(bench, door):
        bench.hosts.put(there(3), mac=mac(3))
        bench.hosts.put(at(1), mac=mac(1))
        scan = await ask(door.start, f" {PRIVATE} ")
        assert scan.networks == (PRIVATE,)
        scan = await ended(door, scan.id)
        assert (scan.found, scan.new) == (1, 1)
        assert bench.record(mac(3)).address == there(3)
        assert bench.scanned == [there(number) for number in range(1, 15)]

    scanning(story)


def test_a_clouds_metadata_service_is_left_out_of_a_scan(scanning):
    async def story(bench, door):
        scan = await ask(door.start, "169.254.169.252/30")
        assert scan.addresses == 1
        await ended(door, scan.id)
        assert bench.scanned == ["169.254.169.253"]

    scanning(story)


def test_links_to_wallets_of_what_was_found_are_counted(scanning):
    async def story(bench, door):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        one = bench.record(mac(1)).id
        wallet = bench.db.wallets.insert(name="Cold", currency="BTC", address="an address")
        bench.db.miner_configs.add(one, wallet_id=wallet.id)
        bench.db.miner_configs.add(one, wallet_id=None)
        bench.db.miner_configs.add(one, wallet_id=wallet.id, active=False)
        await ask(door.start)
        assert (await ended(door, 1)).matched == 1

    scanning(story)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("", "CIDR"),
        ("10.9.0.7", "10.9.0.7/32"),
        ("10.9.0.7/24", "10.9.0.0/24"),
        ("8.8.8.0/24", "allow_public"),
        ("10.0.0.0/8", "smaller"),
        ("224.0.0.0/24", "no host"),
        ("169.254.169.254/32", "metadata service"),
        ("fd00::/120", "IPv6"),
        ("x" * 300, "CIDR"),
    ],
)
def test_a_network_that_may_not_be_searched_says_why(scanning, network, words):
    async def story(bench, door):
        with pytest.raises(FieldError, match=words) as caught:
            await ask(door.start, network)
        assert caught.value.field == "network_cidr"
        assert door.all() == ()

    scanning(story)


def test_where_there_is_nothing_to_search_a_network_has_to_be_named(scanning):
    async def story(bench, door):
        with pytest.raises(FieldError, match="no network to search"):
            await ask(door.start)

    scanning(story, network={"subnets": (Subnet(),)})


def test_public_networks_only_where_that_is_allowed(scanning):
    async def story(bench, door):
        await ask(door.start, "198.51.100.0/30")
        assert (await ended(door, 1)).addresses == 2

    scanning(story, network={"allow_public": True})


class Held:
    """Holds the first host of every scan until it is let go."""

    def __init__(self, bench):
        self.reached, self.go = threading.Event(), threading.Event()
        bench.hosts.held = self.hold

    def hold(self, address, stop):
        self.reached.set()
        while not (self.go.is_set() or stop.is_set()):
            stop.wait(0.02)


def test_scans_wait_for_each_other_and_only_so_many_may(scanning):
    async def story(bench, door):
        held = Held(bench)
        bench.hosts.put(at(1), mac=mac(1))
        first = await ask(door.start)
        await asyncio.to_thread(held.reached.wait, 20)
        assert first.state == "running"
        rest = [await ask(door.start, PRIVATE) for _ in range(KEPT - 1)]
        assert [scan.state for scan in rest] == ["waiting"] * (KEPT - 1)
        with pytest.raises(TakenError, match="wait already"):
            await ask(door.start)
        assert [scan.id for scan in door.all()] == list(range(KEPT, 0, -1))
        held.go.set()
        await ended(door, KEPT)
        assert {scan.state for scan in door.all()} == {"finished"}
        await ask(door.start)
        assert [scan.id for scan in door.all()] == list(range(KEPT + 1, 1, -1))  # the oldest gave way
        await ended(door, KEPT + 1)

    scanning(story)


def test_who_asks_at_the_same_time_gets_a_scan_of_his_own(scanning):
    async def story(bench, door):
        scans = await asyncio.gather(*(ask(door.start, PRIVATE) for _ in range(8)))
        assert sorted(scan.id for scan in scans) == list(range(1, 9))
        for scan in scans:
            assert (await ended(door, scan.id)).state == "finished"

    scanning(story)


def test_a_scan_that_fails_says_why_and_the_next_one_runs(scanning, monkeypatch):
    async def story(bench, door):
        search = bench.engine.discovery.search

        async def fail(*arguments, **named):
            monkeypatch.setattr(bench.engine.discovery, "search", search)
            raise OSError("no buffer space")

        monkeypatch.setattr(bench.engine.discovery, "search", fail)
        await ask(door.start)
        scan = await ended(door, 1)
        assert (scan.state, scan.error) == ("failed", "no buffer space")
        await ask(door.start)
        assert (await ended(door, 2)).state == "finished"

    scanning(story)


def test_a_scan_ends_with_the_program(scanning):
    async def story(bench, door):
        held = Held(bench)
        bench.hosts.put(at(1), mac=mac(1))
        await ask(door.start)
        await asyncio.to_thread(held.reached.wait, 20)
        return door

    door = scanning(story)
    assert door.get(1).state == "failed"
    assert "broken off" in door.get(1).error


def test_progress_is_told_while_addresses_are_tried(scanning, monkeypatch):
    async def story(bench, door):
        tried, go = threading.Event(), threading.Event()

        def scan(targets, *, timeout, stop=None, on_progress=None):
            on_progress(0)
            on_progress(64)
            tried.set()
            go.wait(20)
            return ScanOutcome({}, len(targets) * 2, False)

        monkeypatch.setattr(search_module, "scan_ports", scan)
        await ask(door.start, "10.9.0.0/25")
        await asyncio.to_thread(tried.wait, 20)
        scan = await until(lambda: (s := door.get(1)).tried and s, "progress")
        assert (scan.state, scan.addresses, scan.tried) == ("running", 126, 32)  # two ports each
        go.set()
        assert (await ended(door, 1)).tried == 126

    scanning(story)


def test_a_scan_finds_a_miner_that_somebody_else_retired_without_polling_it(scanning):
    async def story(bench, door):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        one = bench.record(mac(1)).id
        await ask(door_of(MinersDoor, bench).change, one, {"enabled": False})
        await ask(door.start)
        scan = await ended(door, 1)
        assert (scan.found, scan.new, scan.miners) == (1, 0, (one,))
        assert bench.record(mac(1)).reading is None

    scanning(story)
