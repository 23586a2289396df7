"""Discovery cycles: what is adopted, left alone, missed, fixed; the engine's life and its own metrics."""

import asyncio
import dataclasses
import logging
import threading
import time
from ipaddress import IPv4Network

import pytest

from exporter.config import FixedMiner, Intervals, Subnet
from exporter.discovery.networks import SearchNetwork
from exporter.drivers.api import Answer, Auth, HttpRequest, Identification, Specificity
from exporter.engine.discover import SEEN_SECONDS, STRANGER_SECONDS, UNSURE_SECONDS
from exporter.errors import ConnectionRefused, RequestTimeoutError, UsageError
from exporter.model import Identity
from tests.engine.bench import HALL, RigDriver, at, driver_set, mac, run


def test_what_is_found_is_adopted_polled_and_counted(tmp_path, monkeypatch):
    async def story(bench):
        for number in (1, 2):
            bench.hosts.put(at(number), mac=mac(number), model="R1")
        await bench.search()
        one = bench.record(mac(1))
        assert (one.address, one.up, one.reading.hashrate, one.identity.model) == (at(1), True, 5.0, "R1")
        assert one.labels == (("site", "hall"),)
        assert bench.meter.runs == [("network", 28, 2, 2)]
        assert bench.meter.targets == {("rig", "network"): 2}
        assert bench.meter.waiting == 2
        await bench.search()
        assert bench.meter.runs[-1] == ("network", 24, 0, 0)  # who answers polls is not asked again
        assert at(1) not in bench.scanned

    run(tmp_path, monkeypatch, story)


def test_without_manage_discovered_a_find_is_listed_and_not_polled(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        record = bench.record(mac(1))
        assert (record.managed, record.up, record.reading) == (False, None, None)
        assert bench.meter.polls == {}
        await bench.search()
        bench.hosts.asked.clear()
        await bench.search()
        assert bench.hosts.asked == []  # nor asked in every cycle
        assert bench.record(mac(1)).address == at(1)

    run(tmp_path, monkeypatch, story, network={"manage_discovered": False})


def test_a_host_that_is_no_miner_is_left_alone_and_asked_again_later(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.hosts[at(3)] = {"GET /rig": Answer(b"<html>", 404)}
        bench.hosts.hosts[at(4)] = RequestTimeoutError("busy")
        await bench.search()
        await bench.search()
        assert not {at(3), at(4)} & set(bench.scanned)
        await bench.search(everything=True)
        assert {at(3), at(4)} <= set(bench.scanned)
        alone = bench.engine.discovery._left_alone
        assert alone[at(3)] - alone[at(4)] == pytest.approx(STRANGER_SECONDS - UNSURE_SECONDS)
        bench.engine.discovery._left_alone = {address: until - UNSURE_SECONDS - 1 for address, until in alone.items()}
        await bench.search()
        assert at(4) in bench.scanned
        assert at(3) not in bench.scanned
        assert bench.db.miners.all() == ()
        assert bench.hosts.open[at(3)] == 0  # no connection is left

    run(tmp_path, monkeypatch, story)


def test_hosts_that_are_left_alone_are_forgotten_in_time(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.hosts[at(3)] = {}
        await bench.search()
        bench.hosts.hosts.clear()
        bench.engine.discovery._left_alone[at(3)] -= STRANGER_SECONDS + 1
        await bench.search()
        assert bench.engine.discovery._left_alone == {}

    run(tmp_path, monkeypatch, story)


def test_a_family_without_a_driver_is_listed_until_it_is_gone(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(5), family="toaster")
        await bench.search()
        (seen,) = bench.engine.snapshot().seen
        assert (seen.address, seen.make, seen.model) == (at(5), "Toaster", "T1")
        await bench.search()
        assert len(bench.engine.snapshot().seen) == 1
        assert at(5) not in bench.scanned
        bench.hosts.hosts.clear()
        await bench.search(everything=True)
        assert bench.engine.snapshot().seen == ()

    run(tmp_path, monkeypatch, story)


def test_what_a_scan_outside_the_configuration_saw_is_listed_for_a_while_only(tmp_path, monkeypatch):
    elsewhere = (SearchNetwork(IPv4Network("198.51.100.0/28")),)

    async def story(bench):
        bench.hosts.put("198.51.100.3", family="toaster")
        bench.hosts.put(at(5), family="toaster")
        await bench.search(elsewhere, everything=True)
        await bench.search()
        seen = bench.engine.discovery.seen
        assert list(seen) == ["198.51.100.3", at(5)]
        for address in seen:
            seen[address] = dataclasses.replace(seen[address], seen_at=time.time() - SEEN_SECONDS + 60)
        await bench.search()
        assert list(seen) == ["198.51.100.3", at(5)]
        seen["198.51.100.3"] = dataclasses.replace(seen["198.51.100.3"], seen_at=time.time() - SEEN_SECONDS - 1)
        await bench.search()
        assert list(seen) == [at(5)]

    run(tmp_path, monkeypatch, story, intervals=Intervals(discovery_seconds=30, status_seconds=3600))


def test_a_network_that_is_searched_seldom_keeps_what_it_saw_until_the_next_time(tmp_path, monkeypatch):
    day = Intervals(discovery_seconds=86400, status_seconds=3600)

    async def story(bench):
        bench.hosts.put(at(5), family="toaster")
        await bench.search()
        seen = bench.engine.discovery.seen
        seen[at(5)] = dataclasses.replace(seen[at(5)], seen_at=time.time() - 86400)
        await bench.search()
        assert list(seen) == [at(5)]

    run(tmp_path, monkeypatch, story, intervals=day)


def test_a_listed_host_that_gets_a_driver_becomes_a_miner_after_a_reload(tmp_path, monkeypatch):
    class Toasters(RigDriver):
        driver_type = "toaster"

    async def story(bench):
        bench.hosts.put(at(5), family="toaster", mac=mac(5))
        await bench.search()
        await bench.engine.apply(bench.settings, driver_set(RigDriver(), Toasters()))
        await bench.search()
        assert bench.engine.snapshot().seen == ()
        assert bench.record(mac(5)).driver == "toaster"

    run(tmp_path, monkeypatch, story)


def test_a_miner_is_offline_after_missed_cycles_that_asked_there(tmp_path, monkeypatch):
    elsewhere = SearchNetwork(IPv4Network("198.51.100.0/28"))

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts.clear()
        for _ in range(5):
            await bench.search()
        assert bench.record(mac(1)).address == at(1)  # it still answers polls as far as anybody knows
        await bench.poll(at(1))
        assert bench.record(mac(1)).up is False
        await bench.search((elsewhere,))
        await bench.search()
        assert bench.record(mac(1)).address == at(1)
        await bench.search((HALL,))
        record = bench.record(mac(1))
        assert (record.address, record.up, record.reading) == (None, False, None)
        assert bench.row(mac(1)).last_address == at(1)
        assert bench.page.rows[record.id].last_success is not None

    run(tmp_path, monkeypatch, story, network={"offline_after": 2})


def test_a_miner_that_is_busy_is_not_missing(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts[at(1)] = RequestTimeoutError("busy")
        await bench.poll(at(1))
        for _ in range(4):
            await bench.search()
        assert bench.record(mac(1)).address == at(1)

    run(tmp_path, monkeypatch, story, network={"offline_after": 2})


def test_a_miner_that_returns_at_another_address_keeps_its_row(tmp_path, monkeypatch, caplog):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        first = bench.record(mac(1))
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        bench.hosts.put(at(9), mac=mac(1))
        with caplog.at_level(logging.INFO):
            await bench.search()
        record = bench.record(mac(1))
        assert (record.id, record.address, record.up) == (first.id, at(9), True)
        assert bench.meter.runs[-1][2:] == (1, 0)
        assert [r.old_address for r in caplog.records if r.message == "miner has a new address"] == [at(1)]

    run(tmp_path, monkeypatch, story)


def test_two_miners_that_swap_their_addresses_are_told_apart(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1), rate=1.0)
        bench.hosts.put(at(2), mac=mac(2), rate=2.0)
        await bench.search()
        ids = {key: bench.record(key).id for key in (mac(1), mac(2))}
        bench.hosts.put(at(1), mac=mac(2), rate=2.0)
        bench.hosts.put(at(2), mac=mac(1), rate=1.0)
        await bench.poll(at(1))
        assert bench.flock.lost_track.is_set()
        assert bench.record(mac(1)).address is None
        await bench.search()
        await bench.search()
        for key, number, rate in ((mac(1), 2, 1.0), (mac(2), 1, 2.0)):
            record = bench.record(key)
            assert (record.id, record.address, record.up) == (ids[key], at(number), True)
            assert record.reading.hashrate == rate

    run(tmp_path, monkeypatch, story)


def test_two_devices_with_one_mac_do_not_take_turns(tmp_path, monkeypatch, caplog):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(7), rate=1.0)
        await bench.search()
        bench.hosts.put(at(2), mac=mac(7), rate=2.0)
        with caplog.at_level(logging.WARNING):
            await bench.search()
            await bench.search()
        record = bench.record(mac(7))
        assert (record.address, record.up, record.reading.hashrate) == (at(1), True, 1.0)
        assert len(bench.db.miners.all()) == 1
        assert len([r for r in caplog.records if "two addresses" in r.message]) == 1
        assert at(2) not in bench.scanned

    run(tmp_path, monkeypatch, story)


def test_two_devices_with_one_serial_number_are_two_miners(tmp_path, monkeypatch):
    async def story(bench):
        for number in (1, 2):
            bench.hosts.put(at(number), mac=mac(number), serial="SN-4711")
        for _ in range(3):
            await bench.search()
        assert {key: bench.record(key).address for key in (mac(1), mac(2))} == {mac(1): at(1), mac(2): at(2)}
        assert len(bench.db.miners.all()) == 2

    run(tmp_path, monkeypatch, story)


def test_a_find_that_cannot_be_stored_does_not_stop_the_others(tmp_path, monkeypatch, caplog):
    class Sloppy(RigDriver):
        def decode_identity(self, answers, context):
            identity = super().decode_identity(answers, context)
            return Identity(model=5, mac=identity.mac) if identity.mac == mac(1) else identity

    async def story(bench):
        for number in (1, 2, 3):
            bench.hosts.put(at(number), mac=mac(number))
        await bench.search()
        assert {row.mac for row in bench.db.miners.all()} == {mac(2), mac(3)}
        assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == [
            f"a find at {at(1)} could not be taken"
        ]

    run(tmp_path, monkeypatch, story, drivers=driver_set(Sloppy()))


def test_a_user_driver_that_fails_hangs_or_lies_while_judging_hides_no_miner(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.isolation.DRIVER_SECONDS", 0.3)
    ended = threading.Event()

    class Failing(RigDriver):
        driver_type = "failing"

        def identify(self, answers):
            raise KeyError("no")

    class Hanging(RigDriver):
        driver_type = "hanging"

        def identify(self, answers):
            ended.wait(20)

    class Lying(RigDriver):
        driver_type = "lying"

        def identify(self, answers):
            return "a miner"

    class Leaving(RigDriver):
        driver_type = "leaving"

        def identify(self, answers):
            raise SystemExit(1)

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        ended.set()
        assert bench.record(mac(1)).up is True

    users = (Failing(), Hanging(), Lying(), Leaving())
    run(tmp_path, monkeypatch, story, drivers=driver_set(RigDriver(), users=users))


def test_a_user_driver_may_find_a_miner(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        assert bench.record(mac(1)).up is True

    run(tmp_path, monkeypatch, story, drivers=driver_set(users=(RigDriver(),)))


def test_an_incomplete_identity_is_a_provisional_miner_until_a_poll_tells_more(tmp_path, monkeypatch):
    class Slow(RigDriver):
        def identify(self, answers):
            found = super().identify(answers)
            return found and type(found)(found.driver_type, found.specificity, Identity())

        def decode_identity(self, answers, context):
            return Identity()

    async def story(bench):
        bench.hosts.put(at(1))
        await bench.search()
        record = bench.record("addr:rig:192.0.2.1")
        assert (record.provisional, record.up) == (True, True)
        bench.hosts.put(at(1), mac=mac(1))
        await bench.poll(at(1))
        real = bench.record(mac(1))
        assert (real.id, real.provisional, real.up) == (record.id, False, True)
        assert len(bench.page.rows) == 1

    run(tmp_path, monkeypatch, story, drivers=driver_set(Slow()))


def test_the_neighbour_tables_mac_is_shown_and_kept(tmp_path, monkeypatch):
    async def story(bench):
        bench.macs = {at(1): mac(1), at(2): mac(9), at(3): mac(9)}
        for number in (1, 2):
            bench.hosts.put(at(number))
        await bench.search()
        assert bench.record(mac(1)).identity.mac == mac(1)
        assert bench.record("addr:rig:192.0.2.2").provisional  # a router answers for that one

    run(tmp_path, monkeypatch, story)


# --- fixed miners ---


def fixed(*entries, **more):
    return {"miners": tuple(entries), "network": {"subnets": ()}, **more}


def test_fixed_miners_are_there_at_the_first_cycle_also_those_that_do_not_answer(tmp_path, monkeypatch):
    entries = (
        FixedMiner(at(1), name="One", labels=(("rack", "7"),)),
        FixedMiner(at(2), driver="rig", name="Two"),
        FixedMiner(at(3), name="Three"),
    )

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        one, two = bench.record(mac(1)), bench.record("addr:rig:192.0.2.2")
        assert (one.name, one.up, one.labels) == ("One", True, (("rack", "7"),))
        assert (two.name, two.up, two.provisional, two.last_success) == ("Two", False, True, None)
        assert len(bench.db.miners.all()) == 2
        assert bench.meter.targets == {("rig", "fixed"): 2}
        bench.hosts.put(at(2), mac=mac(2))
        await bench.search()
        two = bench.record(mac(2))
        assert (two.name, two.up, two.provisional) == ("Two", True, False)
        assert len(bench.db.miners.all()) == 2

    run(tmp_path, monkeypatch, story, **fixed(*entries))


def test_an_unidentified_fixed_miner_is_logged_once(tmp_path, monkeypatch, caplog):
    async def story(bench):
        for _ in range(3):
            await bench.search()
        assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == ["fixed miner not identified"]

    run(tmp_path, monkeypatch, story, **fixed(FixedMiner(at(3))))


def test_a_fixed_avalon_that_is_a_nano_is_refined_and_stays_one_miner(tmp_path, monkeypatch):
    class Avalon(RigDriver):
        driver_type = "avalon"

    class Nano(RigDriver):
        driver_type = "avalon_nano"

    async def story(bench):
        await bench.search()
        assert bench.record("addr:avalon:192.0.2.1").up is False
        bench.hosts.put(at(1), family="avalon_nano", mac=mac(1))
        await bench.search()
        assert bench.record(mac(1)).driver == "avalon_nano"
        assert bench.record(mac(1)).up is True
        assert len(bench.db.miners.all()) == 1
        await bench.search()
        assert bench.record(mac(1)).driver == "avalon_nano"

    entry = FixedMiner(at(1), driver="avalon")
    run(tmp_path, monkeypatch, story, drivers=driver_set(Avalon(), Nano()), **fixed(entry))


def test_discovery_does_not_overrule_the_driver_of_a_fixed_entry(tmp_path, monkeypatch):
    class Forced(RigDriver):
        driver_type = "forced"

        def identify(self, answers):
            return None

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        assert bench.record(mac(1)).driver == "forced"
        answers = bench.hosts.hosts.pop(at(1))
        await bench.poll(at(1))
        bench.hosts.hosts[at(1)] = answers
        await bench.search()
        assert bench.record(mac(1)).driver == "forced"

    drivers = driver_set(RigDriver(), Forced())
    run(tmp_path, monkeypatch, story, drivers=drivers, miners=(FixedMiner(at(1), driver="forced"),))


def test_a_fixed_miner_keeps_its_address_however_long_it_is_gone(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        for _ in range(4):
            await bench.search()
        assert bench.record(mac(1)).address == at(1)

    run(tmp_path, monkeypatch, story, miners=(FixedMiner(at(1)),), network={"offline_after": 1})


def test_a_fixed_miner_that_moved_is_followed_and_its_entry_makes_no_second_one(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        bench.hosts.put(at(6), mac=mac(1))
        for _ in range(3):
            await bench.search()
        record = bench.record(mac(1))
        assert (record.address, record.up, record.name) == (at(6), True, "One")
        assert len(bench.db.miners.all()) == 1
        assert bench.row(mac(1)).fixed

    entry = FixedMiner(at(1), driver="rig", name="One")
    run(tmp_path, monkeypatch, story, miners=(entry,))


def test_a_fixed_miner_by_host_name_is_not_found_a_second_time_by_its_address(tmp_path, monkeypatch):
    async def story(bench):
        async def looked_up(name, port):
            return [(None, None, None, "", (at(1), 0))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up, raising=False)
        bench.hosts.put("rig.example", mac=mac(1))
        bench.hosts.put(at(1), mac=mac(1))
        polls = []
        for _ in range(3):
            await bench.search()
            polls.append(bench.meter.polls["rig"])
        assert bench.record(mac(1)).address == "rig.example"
        assert at(1) not in bench.scanned
        assert polls == [1, 1, 1]

    run(tmp_path, monkeypatch, story, miners=(FixedMiner("rig.example"),))


def test_two_fixed_miners_behind_one_address_do_not_displace_each_other(tmp_path, monkeypatch):
    entries = (FixedMiner(at(1), port=8081, driver="rig"), FixedMiner(at(1), port=8082, driver="rig"))

    async def story(bench):
        bench.hosts.put("one", mac=mac(1))
        bench.hosts.put("two", mac=mac(2))
        hosts = bench.hosts.hosts
        bench.hosts.ports = {(at(1), 8081): hosts.pop("one"), (at(1), 8082): hosts.pop("two")}
        hosts[at(1)] = {}
        for _ in range(3):
            await bench.search()
        assert [(bench.record(key).up, bench.record(key).http_port) for key in (mac(1), mac(2))] == [
            (True, 8081),
            (True, 8082),
        ]

    run(tmp_path, monkeypatch, story, **fixed(*entries))


def test_a_fixed_entry_that_is_taken_out_lets_its_miner_go(tmp_path, monkeypatch):
    entries = (FixedMiner(at(1), name="One"), FixedMiner(at(2), driver="rig", name="Two"))

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        await bench.engine.apply(type(bench.settings)(network=bench.settings.network), bench.drivers)
        one = bench.record(mac(1))
        assert (one.up, one.address, one.name) == (True, at(1), "One")
        assert bench.row(mac(1)).fixed is False
        assert bench.row("addr:rig:192.0.2.2") is None  # it never answered
        assert len(bench.page.rows) == 1
        assert bench.db.settings.get("fixed_miners") == {}

    run(tmp_path, monkeypatch, story, **fixed(*entries))


def test_names_and_labels_follow_targets_yml_but_a_persons_name_stays(tmp_path, monkeypatch):
    def entries(suffix):
        return tuple(FixedMiner(at(number), name=f"{number}{suffix}", labels=(("rack", suffix),)) for number in (1, 2))

    async def story(bench):
        for number in (1, 2, 3):
            bench.hosts.put(at(number), mac=mac(number))
        await bench.search()
        bench.flock.update(bench.flock.at(at(2))[0], name="By hand")
        network = type(bench.settings.network)(subnets=(Subnet(HALL.network, (("site", "barn"),)),))
        changed = type(bench.settings)(network=network, miners=entries("b"))
        await bench.engine.apply(changed, bench.drivers)
        names = [bench.record(mac(number)).name for number in (1, 2)]
        assert names == ["1b", "By hand"]
        assert bench.record(mac(1)).labels == (("rack", "b"), ("site", "barn"))
        assert bench.record(mac(3)).labels == (("site", "barn"),)
        assert bench.page.rows[bench.record(mac(3)).id].labels == (("site", "barn"),)

    run(tmp_path, monkeypatch, story, miners=entries("a"))


def test_which_miner_an_entry_is_outlives_a_restart(tmp_path, monkeypatch):
    entry = FixedMiner(at(1), driver="rig", name="One")

    async def first(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        bench.hosts.put(at(6), mac=mac(1))
        await bench.search()

    run(tmp_path, monkeypatch, first, miners=(entry,))

    async def second(bench):
        for _ in range(2):
            await bench.search()
        assert [row.key for row in bench.db.miners.all()] == [mac(1)]
        assert bench.record(mac(1)).name == "Two"

    run(tmp_path, monkeypatch, second, miners=(FixedMiner(at(1), driver="rig", name="Two"),))


def test_another_device_at_a_fixed_address_takes_the_entry_over(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.put(at(1), mac=mac(2))
        await bench.poll(at(1))
        assert bench.record(mac(1)).address is None
        await bench.search()
        assert (bench.row(mac(2)).fixed, bench.record(mac(2)).up) == (True, True)
        assert (bench.row(mac(1)).fixed, bench.record(mac(1)).up) == (False, False)
        assert (bench.row(mac(1)).name, bench.row(mac(2)).name) == (None, "One")

    run(tmp_path, monkeypatch, story, **fixed(FixedMiner(at(1), name="One")))


# --- commands and life ---


def test_rescan_of_a_miner_polls_it_and_of_an_unknown_one_is_refused(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        miner_id = bench.record(mac(1)).id
        assert await bench.engine.rescan(miner_id) == {"up": True}
        bench.hosts.hosts.clear()
        assert await bench.engine.rescan(miner_id) == {"up": False}
        with pytest.raises(UsageError, match="99"):
            await bench.engine.rescan(99)
        with pytest.raises(UsageError, match="99"):
            await bench.engine.forget(99)

    run(tmp_path, monkeypatch, story)


def test_rescan_of_an_offline_miner_looks_for_it(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        bench.hosts.hosts.clear()
        await bench.flock.clear_address(miner, at(1))
        bench.hosts.put(at(4), mac=mac(1))
        bench.engine.discovery._left_alone[at(4)] = float("inf")
        await bench.engine.rescan(miner.row.id)
        await bench.settle()
        assert bench.record(mac(1)).address == at(4)
        assert (await bench.engine.rescan(None))["found"] == 0

    run(tmp_path, monkeypatch, story)


def test_a_search_that_is_cancelled_ends_its_thread_and_not_those_that_follow(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        held, let_go = threading.Event(), threading.Event()

        def hold(address, stop):
            held.set()
            stop.wait(20)
            let_go.set()

        bench.hosts.held = hold
        task = asyncio.get_running_loop().create_task(bench.engine.search())
        await asyncio.to_thread(held.wait, 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(let_go.wait, 20)
        bench.hosts.held = None
        await bench.search()
        assert bench.record(mac(1)).up is True

    run(tmp_path, monkeypatch, story)


def test_what_a_search_says_of_strangers_is_void_after_a_reload_in_its_middle(tmp_path, monkeypatch):
    class Toasters(RigDriver):
        driver_type = "bread"

    async def story(bench):
        bench.hosts.put(at(5), family="bread", mac=mac(5))
        reloaded = asyncio.Event()

        async def reload_first(address):
            if not reloaded.is_set():
                reloaded.set()
                await bench.engine.apply(bench.settings, driver_set(Toasters(), users=(RigDriver(),)))

        bench.hosts.wait = reload_first
        await bench.search()
        await bench.search()
        assert bench.record(mac(5)).driver == "bread"

    run(tmp_path, monkeypatch, story, drivers=driver_set(users=(RigDriver(),)))


class SignedRig(RigDriver):
    """Tells its MAC only to who signs in."""

    def identify(self, answers):
        found = super().identify(answers)
        return found and type(found)(found.driver_type, found.specificity, Identity())

    def identity_requests(self, context):
        return (HttpRequest("/who", auth=Auth.DIGEST),)

    def decode_identity(self, answers, context):
        return Identity(mac=mac(1))

    def status_requests(self, context):
        return (HttpRequest("/who", auth=Auth.DIGEST),)

    def decode_status(self, answers, context):
        return super().decode_status(type(answers)({"GET /rig": answers.get("GET /who")}), context)


def test_discovery_and_polls_together_try_a_wrong_password_once(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1))
        host = bench.hosts.hosts[at(1)]
        host.update({"GET /who": host["GET /rig"], "password": "right"})
        for _ in range(4):
            await bench.search()
        assert bench.hosts.tried_passwords == ["wrong", "bad"]
        record = bench.record("addr:rig:192.0.2.1")
        assert (record.up, record.auth_failed) == (False, True)
        bench.passwords.append("right")
        await bench.engine.apply(bench.settings, bench.drivers)
        await bench.settle()
        assert bench.hosts.tried_passwords[:3] == ["wrong", "bad", "right"]
        assert set(bench.hosts.tried_passwords[3:]) <= {"right"}
        real = bench.record(mac(1))
        assert (real.id, real.up, real.auth_failed) == (record.id, True, False)

    run(tmp_path, monkeypatch, story, drivers=driver_set(SignedRig()), passwords=["wrong", "bad"])


def test_a_person_may_have_a_refused_password_tried_again(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1))
        host = bench.hosts.hosts[at(1)]
        host.update({"GET /who": host["GET /rig"], "password": "set back on the device"})
        await bench.search()
        host["password"] = "wrong"
        await bench.engine.rescan(bench.record("addr:rig:192.0.2.1").id)
        await bench.settle()
        assert bench.record(mac(1)).up is True

    run(tmp_path, monkeypatch, story, drivers=driver_set(SignedRig()), passwords=["wrong"])


def test_the_engine_tells_how_late_it_is_and_whether_it_runs(tmp_path, monkeypatch):
    async def story(bench):
        assert bench.engine.ready
        assert bench.engine.poll_lag() == 0.0
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        miner.poller.due -= 10_000
        assert bench.engine.poll_lag() > 1000
        return bench

    assert run(tmp_path, monkeypatch, story).engine.ready is False


def test_the_discovery_loop_survives_a_failure_and_hurries_when_track_was_lost(tmp_path, monkeypatch):
    async def story(bench):
        monkeypatch.undo()
        cycles = []

        async def search():
            cycles.append(None)
            if len(cycles) == 1:
                raise ConnectionRefused("odd")
            if len(cycles) == 2:
                raise RuntimeError("a fault of ours")
            if len(cycles) < 5:
                bench.flock.lost_track.set()

        monkeypatch.setattr("exporter.engine.tasks.RESTART_SECONDS", 0.01)
        monkeypatch.setattr("exporter.engine.discover._LEAST_PAUSE", 0.01)
        monkeypatch.setattr(bench.engine.discovery, "search", search)
        bench.flock.lost_track.clear()
        bench.engine.tasks.forever(bench.engine.discovery.run_forever, "discovery")
        async with asyncio.timeout(20):
            while len(cycles) < 5:
                bench.flock.lost_track.set()
                await asyncio.sleep(0.01)
        return len(cycles)

    assert run(tmp_path, monkeypatch, story) == 5


class GeneralDriver(RigDriver):
    """Takes any host that answers, without knowing who it is, as a device that tells half is taken."""

    driver_type = "general"

    def identify(self, answers):
        page = answers.get("GET /rig")
        return Identification(self.driver_type, Specificity.GENERIC, Identity()) if page is not None else None

    def identity_requests(self, context):
        return ()


def test_half_an_answer_of_a_missed_miner_makes_no_other_one_of_it(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts[at(1)] = {"GET /rig": Answer(b'{"rate": "half')}
        await bench.poll(at(1))
        for _ in range(2):
            await bench.search()
        assert [record.key for record in bench.engine.snapshot().miners] == [mac(1)]
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        await bench.poll(at(1))
        record = bench.record(mac(1))
        assert (record.up, record.driver, record.address) == (True, "rig", at(1))

    run(tmp_path, monkeypatch, story, drivers=driver_set(RigDriver(), GeneralDriver()))


def test_a_nameless_device_gets_the_place_of_a_missed_miner_when_it_stays(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts[at(1)] = {"GET /rig": Answer(b"[]")}
        await bench.poll(at(1))
        for _ in range(2):
            await bench.search()
            assert len(bench.page.rows) == 1
        await bench.search()
        assert bench.record("addr:general:192.0.2.1").address == at(1)
        assert bench.record(mac(1)).address is None

    run(tmp_path, monkeypatch, story, drivers=driver_set(RigDriver(), GeneralDriver()))


def test_a_missed_miner_that_answers_nonsense_is_asked_in_every_cycle(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        bench.hosts.hosts[at(1)] = {"GET /rig": Answer(b"<html>starting", 404)}
        await bench.poll(at(1))
        for _ in range(3):
            await bench.search()
            assert at(1) in bench.scanned
        assert bench.record(mac(1)).address is None
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        assert bench.record(mac(1)).up is True

    run(tmp_path, monkeypatch, story, network={"offline_after": 2})
