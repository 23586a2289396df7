"""A user's driver that hangs, fails or leaves: its own miner suffers, and nobody else."""

import asyncio
import gc
import threading
import time

import pytest

from exporter.drivers.api import HttpRequest
from exporter.engine import isolation
from exporter.engine.isolation import DriverHangs, call_driver, is_trusted, run_driver
from exporter.errors import DecodeError, InternalError
from tests.engine.bench import RigDriver, at, driver_set, mac, run

#: Seconds for a call: little, and enough for those that do not hang on a busy machine.
LIMIT = 1.0


class Driver:
    """Functions that behave badly until `end` is set."""

    def __init__(self):
        self.end = threading.Event()
        self.threads = []

    def hang(self):
        self.threads.append(threading.current_thread())
        self.end.wait(20)
        return "late"

    def fail(self):
        raise KeyError("missing")

    def refuse(self):
        raise DecodeError("rate: no number")

    def leave(self):
        raise SystemExit(3)

    def good(self, value):
        self.threads.append(threading.current_thread())
        return value + 1


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr(isolation, "DRIVER_SECONDS", LIMIT)
    made = Driver()
    yield made
    made.end.set()


@pytest.mark.parametrize("trusted", [True, False])
def test_what_a_driver_returns_and_raises_comes_out(driver, trusted):
    async def story():
        assert await run_driver(driver.good, 1, trusted=trusted) == 2
        with pytest.raises(DecodeError, match="no number"):
            await run_driver(driver.refuse, trusted=trusted)
        with pytest.raises(InternalError, match="KeyError"):
            await run_driver(driver.fail, trusted=trusted)

    asyncio.run(story())
    assert (driver.threads[0] is threading.current_thread()) is trusted


def test_a_driver_that_wants_to_end_the_program_ends_its_call_only(driver):
    with pytest.raises(InternalError, match="SystemExit"):
        asyncio.run(run_driver(driver.leave, trusted=False))


def test_a_driver_that_hangs_is_left_after_the_limit_and_holds_up_no_other(driver):
    async def story():
        with pytest.raises(DriverHangs, match=rf"{LIMIT:g} s") as caught:
            await run_driver(driver.hang, trusted=False)
        assert not caught.value.call.done()
        other = Driver()
        calls = [run_driver(driver.hang, trusted=False) for _ in range(12)]
        failed = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, DriverHangs) for error in failed)
        assert await run_driver(other.good, 1, trusted=False) == 2
        driver.end.set()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await run_driver(driver.good, 1, trusted=False) == 2
                except DriverHangs:
                    continue
                break

    asyncio.run(story())
    assert len({thread.ident for thread in driver.threads[:5]}) <= 5
    assert all(thread.daemon for thread in driver.threads)  # the program can end


def test_the_workers_of_a_driver_that_is_replaced_end(driver):
    replaced = Driver()
    asyncio.run(run_driver(replaced.good, 1, trusted=False))
    (thread,) = replaced.threads
    del replaced
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_call_driver_turns_faults_into_internal_errors(driver):
    assert call_driver(driver.good, 1) == 2
    with pytest.raises(InternalError, match=r"Driver\.fail failed"):
        call_driver(driver.fail)


def test_only_bundled_drivers_are_trusted():
    drivers = driver_set(RigDriver())
    assert is_trusted(drivers, "rig")
    assert not is_trusted(driver_set(users=(RigDriver(),)), "rig")
    assert not is_trusted(drivers, "unknown")


def test_one_miners_poison_spares_the_other_miners_of_the_same_driver(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(isolation, "DRIVER_SECONDS", LIMIT)
    end = threading.Event()
    hangs = []

    class Poisoned(RigDriver):
        def decode_status(self, answers, context):
            reading = super().decode_status(answers, context)
            if reading.hashrate == 13.0:
                hangs.append(None)
                end.wait(20)
            return reading

        def telemetry_requests(self, context):
            return (HttpRequest("/rig"),)

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1), rate=13.0)
        bench.hosts.put(at(2), mac=mac(2))
        await bench.search()
        for _ in range(6):
            await bench.poll(at(1))
        assert len(hangs) == 1  # it is not called again before it has come back
        one, two = bench.record(mac(1)), bench.record(mac(2))
        assert (one.up, one.reading) == (False, None)
        assert set(one.poll_errors) == {"internal"}
        await bench.poll(at(2))
        assert (two.up, two.reading.hashrate) == (True, 5.0)
        end.set()
        bench.hosts.put(at(1), mac=mac(1), rate=5.0)
        async with asyncio.timeout(10):
            while bench.record(mac(1)).up is not True:
                await bench.poll(at(1))

    run(tmp_path, monkeypatch, story, drivers=driver_set(users=(Poisoned(),)))


@pytest.mark.parametrize("function", ["status_requests", "telemetry_requests", "identity_requests", "decode_telemetry"])
def test_every_function_of_a_users_driver_has_the_time_limit(tmp_path, monkeypatch, function):
    monkeypatch.setattr(isolation, "DRIVER_SECONDS", LIMIT)
    end = threading.Event()

    def hang(self, *arguments):
        end.wait(20)

    hanging = type("Hanging", (RigDriver,), {"telemetry_requests": lambda self, context: (HttpRequest("/rig"),)})
    monkeypatch.setattr(hanging, function, hang)

    class Good(RigDriver):
        driver_type = "good"

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        bench.hosts.put(at(2), mac=mac(2), family="good")
        begun = time.monotonic()
        await bench.search()
        assert time.monotonic() - begun < 15
        assert "internal" in bench.record(mac(1)).poll_errors
        assert bench.record(mac(2)).up is True
        end.set()

    run(tmp_path, monkeypatch, story, drivers=driver_set(users=(hanging(), Good())))


def test_a_broken_driver_shows_its_traceback_once(tmp_path, monkeypatch, caplog):
    class Broken(RigDriver):
        def decode_status(self, answers, context):
            return {}["rate"]

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        for _ in range(3):
            await bench.poll(at(1))
        gone = [record for record in caplog.records if record.message.startswith("miner is gone")]
        assert len(gone) == 1
        assert gone[0].exc_info is not None
        assert bench.record(mac(1)).poll_errors == {"internal": 4}

    run(tmp_path, monkeypatch, story, drivers=driver_set(Broken()))
