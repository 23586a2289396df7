"""Drivers exchanged while two hundred miners are polled: who has another driver keeps its turn."""

import asyncio
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Network
from types import MappingProxyType

import pytest

from exporter.config import Subnet
from exporter.config_schema import Intervals
from exporter.drivers.loader import DriverSet
from tests.engine.bench import RigDriver, driver_set, mac, run

SUBNET = Subnet(IPv4Network("192.0.2.0/24"))
MINERS = 200
#: Every fourth is of the family whose driver is exchanged.
OTHERS = [number for number in range(1, MINERS + 1) if number % 4]
CHANGED = [number for number in range(1, MINERS + 1) if not number % 4]


def at(number):
    return f"192.0.2.{number}"


class LampDriver(RigDriver):
    driver_type = "lamp"


class NewLampDriver(LampDriver):
    driver_version = "2.0.0"


def files(*drivers, users=(), **hashes):
    """A set in which each driver comes from a file with the hash that is given for its type."""
    made = driver_set(*drivers, users=users)
    loaded = tuple(
        replace(entry, manifest=replace(entry.manifest, sha256=hashes.get(entry.driver_type, "0")))
        for entry in made.loaded
    )
    return DriverSet(made.drivers, loaded, ())


def without(drivers, name):
    """The set without a driver, as after its only file was rejected."""
    left = {key: driver for key, driver in drivers.drivers.items() if key != name}
    return DriverSet(MappingProxyType(left), tuple(e for e in drivers.loaded if e.driver_type != name), ())


@pytest.fixture
def with_flock(tmp_path, monkeypatch):
    def go(story, **intervals):
        async def whole(bench):
            for number in range(1, MINERS + 1):
                family = "rig" if number in OTHERS else "lamp"
                bench.hosts.put(at(number), mac=mac(number), family=family)
            await bench.search()
            assert sum(record.up is True for record in bench.engine.snapshot().miners) == MINERS
            return await story(bench)

        drivers = files(RigDriver(), LampDriver(), lamp="a")
        options = Intervals(discovery_seconds=3600, **{"status_seconds": 3600, **intervals})
        return run(
            tmp_path, monkeypatch, whole, drivers=drivers, intervals=options, network={"subnets": (SUBNET,)}
        )  # fmt: skip

    return go


def pollers(bench, numbers):
    miners = {miner.row.address: miner for miner in bench.flock}
    return {number: miners[at(number)].poller for number in numbers}


def test_the_timers_of_others_are_not_touched(with_flock):
    async def story(bench):
        before = pollers(bench, OTHERS)
        timers = {number: (poller._timer, poller.due) for number, poller in before.items()}
        lamps = pollers(bench, CHANGED)
        rig = bench.engine.drivers.drivers["rig"]
        for drivers in (
            files(rig, users=(NewLampDriver(),), lamp="b"),  # a file of the user's
            files(rig, LampDriver(), lamp="a"),  # broken: the bundled one serves
            files(rig, NewLampDriver(), lamp="c"),  # updated
            files(rig, users=(NewLampDriver(),), lamp="b"),  # and back
        ):
            await bench.engine.use_drivers(drivers)
            after = pollers(bench, OTHERS)
            assert all(after[number] is before[number] for number in OTHERS)
            assert {number: (poller._timer, poller.due) for number, poller in after.items()} == timers
            now = pollers(bench, CHANGED)
            assert all(now[number] is not lamps[number] for number in CHANGED)
            assert {poller.session.driver for poller in now.values()} == {drivers.drivers["lamp"]}
            lamps = now
        assert sum(record.up is True for record in bench.engine.snapshot().miners) == MINERS

    with_flock(story)


def test_polls_of_others_that_are_under_way_come_to_their_end(with_flock):
    async def story(bench):
        going, gate = Counter(), asyncio.Event()

        async def hold(address):
            going[address] += 1
            await gate.wait()

        bench.hosts.wait = hold
        counted = Counter(bench.meter.polls)
        for miner in bench.flock:
            miner.poller.wake()
        async with asyncio.timeout(20):
            while len(going) < MINERS:  # noqa: ASYNC110 - the fake wire has no event for it
                await asyncio.sleep(0.005)
        rig = bench.engine.drivers.drivers["rig"]
        await bench.engine.use_drivers(files(rig, users=(NewLampDriver(),), lamp="b"))
        gate.set()
        await bench.settle()
        polls = bench.meter.polls - counted
        assert polls["rig"] == polls["rig", "ended"] == len(OTHERS)
        assert polls["rig", "dropped"] == 0
        assert polls["lamp", "dropped"] == len(CHANGED)

    with_flock(story)


def test_polling_goes_on_through_every_change(with_flock):
    async def story(bench):
        rig = bench.engine.drivers.drivers["rig"]
        sets = [
            files(rig, users=(NewLampDriver(),), lamp="b"),
            without(files(rig, LampDriver()), "lamp"),
            files(rig, LampDriver(), lamp="a"),
            files(rig, NewLampDriver(), lamp="c"),
        ]
        ups = Counter()
        for drivers in sets:
            asked = len(bench.hosts.asked)
            await bench.engine.use_drivers(drivers)
            wanted = {at(number) for number in (OTHERS if "lamp" not in drivers.drivers else OTHERS + CHANGED)}
            async with asyncio.timeout(40):
                while not wanted <= {address for address, _ in bench.hosts.asked[asked:]}:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            ups.update(r.address for r in bench.engine.snapshot().miners if r.up is True)
        await bench.settle()
        assert all(ups[at(number)] == len(sets) for number in OTHERS)
        polls = bench.meter.polls
        assert {key[1] for key in polls if isinstance(key, tuple) and key[0] == "rig"} == {"ended"}

    with_flock(story, status_seconds=1)


def test_miners_of_a_driver_that_is_gone_are_down_and_return_with_it(with_flock):
    async def story(bench):
        rig = bench.engine.drivers.drivers["rig"]
        both = files(rig, LampDriver(), lamp="a")
        await bench.engine.use_drivers(without(both, "lamp"))
        records = {record.address: record for record in bench.engine.snapshot().miners}
        assert {records[at(number)].up for number in CHANGED} == {False}
        assert all("no driver lamp" in records[at(number)].last_error for number in CHANGED)
        await bench.engine.use_drivers(both)
        for number in CHANGED:
            await bench.poll(at(number))
        records = {record.address: record for record in bench.engine.snapshot().miners}
        assert {records[at(number)].up for number in CHANGED} == {True}

    with_flock(story)
