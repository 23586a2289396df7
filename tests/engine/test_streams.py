"""Devices that talk by themselves: datagrams in, readings out, silence noticed."""

import asyncio
import json
import socket
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from exporter.drivers.api import HttpRequest, Identification, Specificity
from exporter.drivers.bundled.nmminer_driver import NMMinerDriver
from exporter.drivers.fields import as_table, count
from exporter.engine import heard as heard_module
from exporter.engine import isolation
from exporter.engine.streams import Streams
from exporter.errors import DecodeError
from exporter.model import Identity, Reading
from exporter.units import hashes_per_second
from tests.engine.bench import RigDriver, at, driver_set, mac, run


async def until(check):
    """Wait until `check()` is true."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)


class Stream:
    period = 5.0

    def feed(self, data, now):
        told = as_table(json.loads(data))
        rate = count(told, "rate")
        if rate is None:
            raise DecodeError("rate: missing")
        self.words = getattr(self, "words", 0) + 1
        identity = Identity(mac=told.get("mac"), model="Talker", hostname=told.get("hostname"))
        return (
            Reading(
                identity=identity, hashrate=hashes_per_second(rate), uptime=told.get("uptime"), blocks_found=self.words
            ),
        )


class Talker(RigDriver):
    """A device that talks by itself, and that can be polled as well."""

    driver_type = "talker"
    stream = Stream

    def new_stream(self):
        return self.stream()

    def identify_datagram(self, data):
        if not data.startswith(b"{"):
            return None
        return Identification("talker", Specificity.CERTAIN, Identity(make="Talker"), {"api": "udp"})

    def status_requests(self, context):
        return (HttpRequest("/rig"),)


def say(rate=7.0, **more):
    return json.dumps({"rate": rate, **more}).encode()


class Ears:
    """Streams without a port."""

    def __init__(self, *drivers, users=()):
        self.readings = []
        self.faults = []
        self.streams = Streams(driver_set(*drivers, users=users), self._take, self.faults.append)

    def _take(self, address, driver, found, reading, expires_in):
        self.readings.append((address, driver.driver_type, reading.hashrate, expires_in))


def test_a_datagram_becomes_a_reading_that_expires_after_three_periods():
    ears = Ears(Talker())
    ears.streams.datagram(say(), at(1))
    assert ears.readings == [(at(1), "talker", 7.0, 15.0)]


@pytest.mark.parametrize("data", [b"", b"garbage", b"\xff" * 2000, b"{", b"{}", b"[1]", b'{"rate": "x"}'])
def test_garbage_is_dropped_and_the_sender_is_heard_again_later(data):
    for driver in (Talker(), NMMinerDriver()):
        ears = Ears(driver)
        ears.streams.datagram(data, at(1))
        assert ears.readings == []
    assert ears.faults == []  # of our own driver the sender is to blame
    ears = Ears(Talker())
    ears.streams.datagram(data, at(1))
    ears.streams.datagram(say(), at(1))
    assert [reading[2] for reading in ears.readings] == [7.0]


def test_a_flood_of_senders_is_bounded(monkeypatch):
    monkeypatch.setattr("exporter.engine.streams._MAX_SENDERS", 10)
    ears = Ears(Talker())
    for number in range(100):
        ears.streams.datagram(say(), f"198.51.100.{number}")
    assert len(ears.streams._senders) == 10
    assert len(ears.readings) == 100


class Failing(Talker):
    driver_type = "failing"

    def identify_datagram(self, data):
        raise ZeroDivisionError


class NoPeriod(Talker):
    driver_type = "no_period"

    def identify_datagram(self, data):
        return Identification("no_period", Specificity.CERTAIN, Identity())

    def new_stream(self):
        return object()


class Liar(Talker):
    driver_type = "liar"

    def identify_datagram(self, data):
        return "one of mine"


def test_a_driver_that_fails_on_a_datagram_does_not_keep_it_from_the_others():
    ears = Ears(Failing(), NoPeriod(), Liar(), Talker())
    ears.streams.datagram(say(), at(1))
    assert [reading[1] for reading in ears.readings] == ["talker"]


def test_a_fault_of_a_driver_counts_and_is_told_once_and_again_when_drivers_are_loaded(caplog):
    ears = Ears(Failing(), Talker())

    def told():
        return [(record.args[0], record.reason) for record in caplog.records if record.levelname == "WARNING"]

    for number in range(3):
        ears.streams.datagram(say(), at(number))
    assert told() == [("failing", "internal")]
    assert caplog.records[0].exc_info[1].__cause__.__class__ is ZeroDivisionError
    ears.streams.datagram(b'{"rate": "garbage"}', at(9))
    assert len(told()) == 1
    ears.streams.use(driver_set(Failing()))
    ears.streams.datagram(say(), at(3))
    assert told() == [("failing", "internal")] * 2
    assert ears.faults == ["failing"] * 5  # with the garbage, which it was asked about first


def test_readings_that_are_none_are_dropped():
    class Odd(Talker):
        class stream(Stream):  # noqa: N801 - the attribute's name
            def feed(self, data, now):
                return [{"rate": 5}]

    ears = Ears(Odd())
    ears.streams.datagram(say(), at(1))
    assert ears.readings == []


def test_a_users_driver_hears_in_a_thread_and_may_hang_there(monkeypatch):
    monkeypatch.setattr(isolation, "DRIVER_SECONDS", 1.0)
    end = threading.Event()

    class Hanging(Talker):
        driver_type = "hanging"

        def identify_datagram(self, data):
            end.wait(20)

    async def story():
        ears = Ears(NMMinerDriver(), users=(Hanging(), Talker()))
        for _ in range(500):
            ears.streams.datagram(say(), at(1))
        assert ears.streams._waiting <= 64
        await until(lambda: ears.streams._waiting == 0)
        assert 0 < len(ears.readings) <= 64
        ears.streams.datagram(say(9.0), at(1))
        await until(lambda: ears.readings[-1][2] == 9.0)
        await ears.streams.stop()

    asyncio.run(story())
    end.set()


def test_replaced_drivers_hear_what_comes_next():
    ears = Ears(Talker())
    ears.streams.datagram(say(), at(1))

    class Newer(Talker):
        class stream(Stream):  # noqa: N801
            period = 1.0

    ears.streams.use(driver_set(Newer()))
    ears.streams.datagram(say(), at(1))
    assert [reading[3] for reading in ears.readings] == [15.0, 3.0]


def test_who_is_heard_by_a_driver_that_stays_is_heard_on_in_the_same_stream():
    talker = Talker()
    ears = Ears(talker)
    ears.streams.datagram(say(), at(1))
    (before,) = ears.streams._senders.values()
    ears.streams.use(driver_set(talker))
    ears.streams.datagram(say(), at(1))
    assert list(ears.streams._senders.values()) == [before]
    assert len(ears.readings) == 2


def test_the_port_is_opened_and_closed():
    async def story():
        ears = Ears(Talker())
        await ears.streams.start(None)
        assert ears.streams.port is None
        await ears.streams.start(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(say(), ("127.0.0.1", ears.streams.port))
        await until(lambda: ears.readings)
        await ears.streams.stop()
        return ears.readings[0][0], ears.streams.port

    assert asyncio.run(story()) == ("127.0.0.1", None)


# --- in the flock ---


def talk(bench, address, rate=7.0, **more):
    bench.engine._streams.datagram(say(rate, **more), address)


async def told(bench, address, rate=7.0, **more):
    """As `talk`, to the end of what follows."""
    talk(bench, address, rate, **more)
    await bench.settle()


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when it is told to, for what is known of the neighbour table and of uptimes."""
    made = SimpleNamespace(passed=0.0)
    made.monotonic = lambda: time.monotonic() + made.passed
    monkeypatch.setattr("exporter.engine.neighbourhood.time", made)
    monkeypatch.setattr("exporter.engine.hands.time", made)
    return made


def flock(tmp_path, monkeypatch, story, **options):
    class Rig(RigDriver):
        driver_type = "rig"

    return run(tmp_path, monkeypatch, story, drivers=driver_set(Rig(), Talker()), **options)


def test_who_talks_is_adopted_and_shown_and_asked_nothing(tmp_path, monkeypatch):
    async def story(bench):
        bench.macs = {at(2): mac(2)}
        talk(bench, at(1))
        talk(bench, at(2))
        await bench.settle()
        one, two = bench.record("addr:talker:192.0.2.1"), bench.record(mac(2))
        assert (one.up, one.reading.hashrate, one.provisional, one.labels) == (True, 7.0, True, (("site", "hall"),))
        assert (two.up, two.provisional) == (True, False)
        talk(bench, at(1), 8.0)
        assert bench.record(one.key).reading.hashrate == 8.0
        assert bench.hosts.asked == []
        await bench.search()
        assert at(1) not in bench.scanned

    flock(tmp_path, monkeypatch, story)


def test_a_fault_on_a_datagram_is_counted_by_driver_and_is_no_failure_of_a_poll(tmp_path, monkeypatch):
    async def story(bench):
        talk(bench, at(1))
        talk(bench, at(2))
        assert dict(bench.meter.polls) == {("failing", "stream fault"): 2}

    run(tmp_path, monkeypatch, story, drivers=driver_set(Failing()))


def test_who_falls_silent_is_down_and_returns_with_its_next_word(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Stream, "period", 0.5)  # three of them are enough to settle on a busy machine

    async def story(bench):
        caplog.set_level("INFO")
        for _ in range(50):
            talk(bench, at(1))
        await bench.settle()
        assert len(bench.engine._heard._timers) == 1
        await until(lambda: bench.record("addr:talker:192.0.2.1").up is False)
        record = bench.record("addr:talker:192.0.2.1")
        assert (record.reading, record.poll_errors, record.address) == (None, {"timeout": 1}, at(1))
        assert record.last_success is not None
        talk(bench, at(1))
        assert bench.record(record.key).up is True
        words = [r.message.split(":")[0] for r in caplog.records if r.message.startswith("miner is")]
        assert words == ["miner is gone", "miner is back"]

    flock(tmp_path, monkeypatch, story)


def test_another_device_that_has_the_address_by_now_is_not_shown_under_the_old_name(
    tmp_path, monkeypatch, caplog, clock
):
    async def story(bench):
        bench.macs = {at(1): mac(1)}
        await told(bench, at(1), 7.0)
        before = bench.record(mac(1))
        bench.macs = {at(1): mac(2)}
        for seconds in (20, 5):  # seen once, and a moment later: the table is not asked again so soon
            clock.passed += seconds
            await told(bench, at(1), 9.0)
            assert bench.record(mac(1)).reading.hashrate == 7.0
        clock.passed += 20
        await told(bench, at(1), 9.0)
        await told(bench, at(1), 9.0)
        old, new = bench.record(mac(1)), bench.record(mac(2))
        assert (old.id, old.up, old.reading, old.address) == (before.id, False, None, None)
        assert (new.up, new.reading.hashrate, new.address) == (True, 9.0, at(1))
        assert new.reading.blocks_found == 1  # in a stream of its own
        assert f"another device, {mac(2)}, talks at the address" in caplog.text
        bench.macs = {at(1): mac(2), at(3): mac(1)}  # and the old one has got another
        clock.passed += 20
        await told(bench, at(3), 8.0)
        old = bench.record(mac(1))
        assert (old.id, old.up, old.reading.hashrate, old.address) == (before.id, True, 8.0, at(3))
        assert len(bench.db.miners.all()) == 2

    flock(tmp_path, monkeypatch, story)


def test_a_device_that_tells_another_mac_itself_is_another_at_once(tmp_path, monkeypatch):
    async def story(bench):
        await told(bench, at(1), 7.0, mac=mac(1))
        await told(bench, at(1), 9.0, mac=mac(2))
        await told(bench, at(1), 9.0, mac=mac(2))
        assert (bench.record(mac(1)).up, bench.record(mac(1)).address) == (False, None)
        new = bench.record(mac(2))
        assert (new.up, new.reading.hashrate, new.reading.blocks_found) == (True, 9.0, 1)

    flock(tmp_path, monkeypatch, story)


def test_two_that_swapped_their_addresses_keep_their_names(tmp_path, monkeypatch, clock):
    async def story(bench):
        bench.macs = {at(1): mac(1), at(2): mac(2)}
        await told(bench, at(1), 1.0)
        await told(bench, at(2), 2.0)
        bench.macs = {at(1): mac(2), at(2): mac(1)}
        for _ in range(4):
            clock.passed += 20
            await told(bench, at(1), 2.0)
            await told(bench, at(2), 1.0)
        for number, other in ((1, 2), (2, 1)):
            record = bench.record(mac(number))
            assert (record.up, record.address, record.reading.hashrate) == (True, at(other), float(number))
        assert len(bench.db.miners.all()) == 2

    flock(tmp_path, monkeypatch, story)


def nothing(passed):
    return {}


def uptime(passed):
    return {"uptime": 1000.0 + passed}


def hostname(passed):
    return {"hostname": "shelf"}


@pytest.mark.parametrize(("facts", "words"), [(uptime, 2), (hostname, 2), (nothing, 1)])
def test_one_that_roams_between_an_access_point_and_a_repeater_stays_one(
    tmp_path, monkeypatch, clock, caplog, facts, words
):
    """One that tells nothing of itself is let be as long as the table does not say twice that it is another."""

    async def story(bench):
        for turn in range(6):
            bench.macs = {at(1): mac(1 + turn % 2)}
            for _ in range(words):
                clock.passed += 12
                await told(bench, at(1), float(turn), **facts(clock.passed))
                assert bench.record(mac(1)).reading.hashrate in (turn, turn - 1)
        bench.macs = {at(1): mac(1)}
        clock.passed += 12
        await told(bench, at(1), 9.0, **facts(clock.passed))
        assert (bench.record(mac(1)).up, bench.record(mac(1)).reading.hashrate) == (True, 9.0)
        assert [row.key for row in bench.db.miners.all()] == [mac(1)]
        assert "miner is gone" not in caplog.text

    flock(tmp_path, monkeypatch, story)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"uptime": 1000.0}, {"uptime": 50.0}),
        ({"uptime": 1000.0}, {"uptime": 90000.0}),
        ({"hostname": "shelf", "uptime": 1000.0}, {"hostname": "rack", "uptime": 1020.0}),
    ],
    ids=["runs for less", "runs for longer", "another name"],
)
def test_one_that_tells_something_else_under_another_mac_is_another(tmp_path, monkeypatch, clock, before, after):
    async def story(bench):
        bench.macs = {at(1): mac(1)}
        await told(bench, at(1), 1.0, **before)
        bench.macs = {at(1): mac(2)}
        for _ in range(2):
            clock.passed += 20
            await told(bench, at(1), 2.0, **after)
        await told(bench, at(1), 2.0, **after)
        assert bench.record(mac(1)).address is None
        assert bench.record(mac(2)).reading.hashrate == 2.0

    flock(tmp_path, monkeypatch, story)


@pytest.mark.parametrize(
    "table", [{}, {at(1): mac(9), at(7): mac(9)}], ids=["knows nothing", "a router answers for all"]
)
def test_a_neighbour_table_that_does_not_tell_takes_no_name_away(tmp_path, monkeypatch, clock, table):
    async def story(bench):
        bench.macs = {at(1): mac(1)}
        await told(bench, at(1))
        bench.macs = table
        for rate in (8.0, 9.0):
            clock.passed += 20
            await told(bench, at(1), rate)
            assert bench.record(mac(1)).reading.hashrate == rate
        assert len(bench.db.miners.all()) == 1

    flock(tmp_path, monkeypatch, story)


def test_the_neighbour_table_is_read_seldom_and_never_on_the_loop(tmp_path, monkeypatch, clock):
    async def story(bench):
        readers = []

        def read():
            readers.append(threading.current_thread())
            return {at(number): mac(number) for number in range(1, 9)}

        monkeypatch.setattr("exporter.engine.neighbourhood.neighbour_macs", read)
        for number in range(1, 9):
            talk(bench, at(number))
        await bench.settle()
        assert len(bench.db.miners.all()) == 8
        clock.passed += 20
        for rate in range(50):
            for number in range(1, 9):
                talk(bench, at(number), float(rate))
        await bench.settle()
        assert len(readers) == 2
        assert threading.current_thread() not in readers
        assert {record.reading.hashrate for record in bench.engine.snapshot().miners} == {49.0}

    flock(tmp_path, monkeypatch, story)


def test_what_a_users_driver_still_reads_in_a_forgotten_stream_is_nobodys(monkeypatch):
    begun, end = threading.Event(), threading.Event()

    class Slow(Talker):
        class stream(Stream):  # noqa: N801 - the attribute's name
            def feed(self, data, now):
                begun.set()
                end.wait(20)
                return super().feed(data, now)

    async def story():
        ears = Ears(users=(Slow(),))
        ears.streams.datagram(say(), at(1))
        assert await asyncio.to_thread(begun.wait, 20)
        ears.streams.forget(at(1))
        ears.streams.forget(at(2))  # nobody's
        end.set()
        await until(lambda: ears.streams._waiting == 0)
        assert ears.readings == []
        ears.streams.datagram(say(9.0), at(1))
        await until(lambda: ears.readings)
        assert ears.readings[0][2] == 9.0
        await ears.streams.stop()

    asyncio.run(story())


def test_a_device_that_is_polled_gets_no_second_series_by_talking(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1), family="talker")
        bench.hosts.put(at(2), mac=mac(2))
        await bench.search()
        talk(bench, at(1))
        talk(bench, at(2))
        await bench.settle()
        assert {row.key for row in bench.db.miners.all()} == {mac(1), mac(2)}
        bench.hosts.hosts.clear()
        for _ in range(2):  # one or two failed polls are no reason either
            await bench.poll(at(1))
            talk(bench, at(1))
            await bench.settle()
        assert bench.record(mac(1)).up is False
        await bench.poll(at(1))
        talk(bench, at(1))
        await bench.settle()
        assert len(bench.db.miners.all()) == 2
        assert (bench.record(mac(1)).up, bench.record(mac(1)).reading.hashrate) == (True, 7.0)

    flock(tmp_path, monkeypatch, story)


def test_who_talked_before_a_restart_and_stays_silent_is_down(tmp_path, monkeypatch):
    async def first(bench):
        talk(bench, at(1))
        talk(bench, at(2))
        await bench.settle()

    flock(tmp_path, monkeypatch, first)

    async def second(bench):
        key = "addr:talker:192.0.2.1"
        assert bench.record(key).up is None
        bench.engine._heard.stop()
        intervals = replace(bench.settings.intervals, status_seconds=0.01)
        bench.flock.settings = replace(bench.settings, intervals=intervals)
        bench.engine._heard.expect()
        talk(bench, at(2))
        await until(lambda: bench.record(key).up is not None)
        assert bench.record(key).up is False
        assert bench.record("addr:talker:192.0.2.2").up is True

    flock(tmp_path, monkeypatch, second)


@pytest.mark.parametrize("at_once", [False, True])
def test_forged_senders_do_not_fill_the_flock(tmp_path, monkeypatch, caplog, at_once):
    monkeypatch.setattr(heard_module, "MOST_DEVICES", 3)

    async def story(bench):
        for number in range(10):
            talk(bench, f"10.0.0.{number}")
            if not at_once:
                await bench.settle()
        await told(bench, "8.8.8.8")
        await told(bench, "not an address")
        assert len(bench.db.miners.all()) == 3
        assert caplog.text.count("too many devices") == 1
        await told(bench, "10.0.0.1", 9.0)
        assert bench.record("addr:talker:10.0.0.1").reading.hashrate == 9.0
        await bench.engine.forget(bench.record("addr:talker:10.0.0.1").id)
        await told(bench, "10.0.0.7")
        assert bench.record("addr:talker:10.0.0.7").up is True

    flock(tmp_path, monkeypatch, story)


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200"])
def test_a_metadata_service_of_clouds_is_no_miner_whatever_is_set(tmp_path, monkeypatch, address):
    async def story(bench):
        await told(bench, address)
        await told(bench, "8.8.8.8")
        assert [row.address for row in bench.db.miners.all()] == ["8.8.8.8"]

    flock(tmp_path, monkeypatch, story, network={"allow_public": True})


def test_a_talker_that_is_not_managed_is_listed_without_a_reading(tmp_path, monkeypatch):
    async def story(bench):
        talk(bench, at(1))
        await bench.settle()
        record = bench.record("addr:talker:192.0.2.1")
        assert (record.managed, record.up, record.reading) == (False, None, None)

    flock(tmp_path, monkeypatch, story, network={"manage_discovered": False})
