"""Miners that a person adds by address: who they are, which are refused, and that they stay."""

import asyncio

import pytest

from exporter.config import FixedMiner
from exporter.engine.doors.miners import MinersDoor
from exporter.errors import FieldError, TakenError
from tests.engine.bench import RigDriver, ToasterDriver, at, driver_set, mac, run
from tests.engine.doors.calls import ask, door_of, on_disk

HERE = "10.9.0.1"
THERE = "10.9.0.2"


@pytest.fixture
def adding(tmp_path, monkeypatch):
    """Runs an async function of (bench, door)."""

    def go(story, **options):
        async def whole(bench):
            return await story(bench, door_of(MinersDoor, bench))

        return run(tmp_path, monkeypatch, whole, **options)

    return go


def look_ups(monkeypatch, *addresses):
    async def looked_up(name, port):
        return [(None, None, None, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up, raising=False)


def test_a_miner_that_answers_is_identified_polled_and_on_disk(adding, tmp_path):
    async def story(bench, door):
        bench.hosts.put(HERE, mac=mac(1), model="R1")
        row = await ask(door.add, f" {HERE} ", name="Shed")
        assert (row.key, row.name, row.driver, row.address) == (mac(1), "Shed", "rig", HERE)
        assert (row.auto_discovered, row.fixed, row.managed, row.provisional) == (False, True, True, False)
        with on_disk(bench, tmp_path) as stored:
            assert stored.miners.get(row.id) == row
        await bench.settle()
        record = bench.record(mac(1))
        assert record.reading.hashrate == 5.0
        assert record.port == record.http_port != record.api_port  # its driver speaks HTTP

    adding(story)


def test_one_that_does_not_answer_is_kept_where_its_driver_is_named(adding):
    async def story(bench, door):
        with pytest.raises(FieldError, match="nobody answers") as caught:
            await ask(door.add, HERE)
        assert caught.value.field == "ip_address"
        assert bench.db.miners.all() == ()
        row = await ask(door.add, HERE, driver="rig")
        assert (row.key, row.provisional, row.last_seen) == (f"addr:rig:{HERE}", True, None)
        await bench.settle()
        assert bench.record(row.key).up is False
        bench.hosts.put(HERE, mac=mac(1))
        await bench.search()
        assert (bench.record(mac(1)).id, bench.record(mac(1)).up) == (row.id, True)

    adding(story)


@pytest.mark.parametrize(
    ("arguments", "field", "words"),
    [
        ({"address": ""}, "ip_address", "address"),
        ({"address": "8.8.8.8"}, "ip_address", "public"),
        ({"address": "::ffff:8.8.8.8"}, "ip_address", "public"),
        ({"address": "2001:4860:4860::8888"}, "ip_address", "public"),
        ({"address": "0.0.0.0"}, "ip_address", "no host"),
        ({"address": "224.0.0.1"}, "ip_address", "no host"),
        ({"address": "http://10.0.0.1/"}, "ip_address", "scheme"),
        ({"address": "10.0.0.1:80"}, "ip_address", "port"),
        ({"address": "10.0.0"}, "ip_address", "address"),
        ({"address": "a b"}, "ip_address", "host name"),
        ({"address": HERE, "port": 0}, "api_port", "65535"),
        ({"address": HERE, "port": 65536}, "api_port", "65535"),
        ({"address": HERE, "port": True}, "api_port", "whole"),
        ({"address": HERE, "driver": "nerdminer"}, "miner_type", "USB"),
        ({"address": HERE, "driver": "toaster"}, "miner_type", "rig"),
        ({"address": HERE, "driver": "No Such"}, "miner_type", "lower-case"),
        ({"address": HERE, "name": "n" * 65}, "name", "64"),
    ],
)
def test_what_cannot_be_added_says_which_field_is_wrong(adding, arguments, field, words):
    async def story(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        with pytest.raises(FieldError, match=words) as caught:
            await ask(door.add, **arguments)
        assert caught.value.field == field
        assert bench.db.miners.all() == ()
        assert bench.hosts.asked == []

    adding(story)


def test_public_addresses_are_asked_only_where_that_is_allowed(adding):
    async def story(bench, door):
        bench.hosts.put("198.51.100.7", mac=mac(1))
        assert (await ask(door.add, "198.51.100.7")).key == mac(1)

    adding(story, network={"allow_public": True})


def test_a_host_name_is_looked_up_once_and_its_address_kept(adding, monkeypatch):
    async def story(bench, door):
        look_ups(monkeypatch, "fd00::7", HERE)
        bench.hosts.put(HERE, mac=mac(1))
        row = await ask(door.add, "rig.example")
        assert row.address == HERE
        look_ups(monkeypatch, "203.0.113.9")
        await bench.search()
        assert {address for address, _ in bench.hosts.asked} == {HERE}

    adding(story)


@pytest.mark.parametrize("addresses", [("203.0.113.9",), (HERE, "203.0.113.9"), ("::1", "2001:db8::1")])
def test_a_host_name_that_leads_outside_is_refused(adding, monkeypatch, addresses):
    async def story(bench, door):
        look_ups(monkeypatch, *addresses)
        with pytest.raises(FieldError, match="leads to a public address"):
            await ask(door.add, "rig.example", driver="rig")
        assert bench.hosts.asked == []

    adding(story)


def test_a_host_name_that_leads_to_a_metadata_service_is_refused_whatever_is_allowed(adding, monkeypatch):
    async def story(bench, door):
        look_ups(monkeypatch, "169.254.169.254")
        with pytest.raises(FieldError, match="leads to the metadata service"):
            await ask(door.add, "rig.example", driver="rig")
        assert bench.hosts.asked == []

    adding(story, network={"allow_public": True})


def test_a_host_name_that_nobody_knows_is_refused(adding, monkeypatch):
    async def story(bench, door):
        look_ups(monkeypatch)
        with pytest.raises(FieldError, match="not known"):
            await ask(door.add, "rig.example", driver="rig")

    adding(story)


def test_address_mac_and_name_of_another_are_taken(adding):
    async def story(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        bench.hosts.put(THERE, mac=mac(1))
        await ask(door.add, HERE, name="Shed")
        await bench.settle()
        with pytest.raises(TakenError, match="address of Shed") as caught:
            await ask(door.add, HERE, driver="rig")
        assert caught.value.field == "ip_address"
        with pytest.raises(TakenError, match="MAC"):
            await ask(door.add, THERE)
        with pytest.raises(TakenError) as caught:
            await ask(door.add, "10.9.0.3", driver="rig", name="shed")
        assert caught.value.field == "name"
        assert len(bench.db.miners.all()) == 1

    adding(story)


def test_another_miner_is_told_by_the_name_it_is_shown_by(adding):
    async def story(bench, door):
        bench.hosts.put(HERE, mac=mac(1), model="R1")
        bench.hosts.put(THERE, mac=mac(1), model="R1")
        await ask(door.add, HERE)
        await bench.settle()
        assert bench.record(mac(1)).name == "R1 0001"
        with pytest.raises(TakenError, match="is the address of R1 0001 already"):
            await ask(door.add, HERE, driver="rig")
        with pytest.raises(TakenError, match="is that of R1 0001 already"):
            await ask(door.add, THERE)

    adding(story)


def test_a_known_miner_that_is_offline_is_moved_to_where_it_answers(adding):
    async def story(bench, door):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        bench.hosts.hosts.clear()
        await bench.flock.clear_address(miner, at(1))
        bench.hosts.put(HERE, mac=mac(1))
        row = await ask(door.add, HERE)
        assert (row.id, row.address, row.fixed) == (miner.row.id, HERE, True)

    adding(story)


def test_a_device_that_is_another_family_than_was_said_is_refused(adding):
    class Other(RigDriver):
        driver_type = "other"

    async def story(bench, door):
        bench.hosts.put(HERE, family="other", mac=mac(1))
        with pytest.raises(FieldError, match="says that it is other") as caught:
            await ask(door.add, HERE, driver="rig")
        assert caught.value.field == "miner_type"
        bench.hosts.put(THERE, family="toaster")
        with pytest.raises(FieldError, match="no driver can poll the Toaster"):
            await ask(door.add, THERE)
        assert bench.db.miners.all() == ()

    adding(story, drivers=driver_set(RigDriver(), Other(), ToasterDriver()))


def test_of_many_that_add_one_address_at_once_one_succeeds(adding):
    async def story(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        outcomes = await asyncio.gather(*(ask(door.add, HERE) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(outcome, TakenError) for outcome in outcomes) == 7
        assert len(bench.db.miners.all()) == 1

    adding(story)


def test_an_added_miner_keeps_its_address_and_stays_over_reload_and_start(adding):
    async def first(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        await ask(door.add, HERE, name="Shed")
        await ask(door.add, THERE, port=8080, driver="rig")
        bench.hosts.hosts.clear()
        await bench.settle()
        for _ in range(4):
            await bench.search()
        await bench.engine.apply(bench.settings, bench.drivers)
        assert bench.record(mac(1)).address == HERE
        assert len(bench.db.miners.all()) == 2

    async def second(bench, door):
        bench.hosts.put(THERE, mac=mac(2))
        await bench.engine.apply(bench.settings, bench.drivers)
        await bench.poll(HERE)
        await bench.search()
        shed, other = bench.record(mac(1)), bench.record(mac(2))
        assert (shed.address, shed.name, shed.up, shed.auto_discovered) == (HERE, "Shed", False, False)
        assert (other.address, other.http_port, other.up) == (THERE, 8080, True)

    adding(first, network={"offline_after": 1})
    adding(second)


def test_two_miners_behind_one_address_are_told_apart_by_their_ports(adding):
    async def story(bench, door):
        bench.hosts.put("one", mac=mac(1))
        bench.hosts.put("two", mac=mac(2))
        hosts = bench.hosts.hosts
        bench.hosts.ports = {(HERE, 8081): hosts.pop("one"), (HERE, 8082): hosts.pop("two")}
        hosts[HERE] = {}
        await ask(door.add, HERE, port=8081, driver="rig")
        await ask(door.add, HERE, port=8082, driver="rig")
        with pytest.raises(TakenError):
            await ask(door.add, HERE, port=8082, driver="rig")
        for _ in range(2):
            await bench.search()
        assert [(bench.record(key).up, bench.record(key).http_port) for key in (mac(1), mac(2))] == [
            (True, 8081),
            (True, 8082),
        ]

    adding(story)


def test_a_forgotten_one_is_not_looked_for_any_more(adding):
    async def first(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        row = await ask(door.add, HERE)
        await ask(door.forget, row.id)
        await bench.search()
        assert bench.db.miners.all() == ()

    async def second(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        await bench.search()
        assert bench.db.miners.all() == ()

    adding(first)
    adding(second)


def test_an_entry_of_the_configuration_at_the_same_place_wins_and_the_added_one_outlives_it(adding):
    async def first(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        await ask(door.add, HERE)

    async def named(bench, door):
        bench.hosts.put(HERE, mac=mac(1))
        await bench.search()
        assert (bench.record(mac(1)).name, bench.row(mac(1)).fixed) == ("Listed", True)

    async def without(bench, door):
        await bench.search()
        assert bench.row(mac(1)).fixed
        assert bench.record(mac(1)).address == HERE

    adding(first)
    adding(named, miners=(FixedMiner(HERE, name="Listed"),))
    adding(without)
