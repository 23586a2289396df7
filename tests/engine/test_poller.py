"""One miner's polls: outcomes, retries, back-off, identity, telemetry, expiry."""

import asyncio
import logging
import time

import pytest

from exporter.drivers.api import Auth, ConnectionRules, HttpRequest
from exporter.engine.exchange import Exchange, Session
from exporter.engine.poll_state import PollState
from exporter.engine.poller import MAX_BACKOFF_SECONDS, Poller, PollSettings
from exporter.errors import AuthError, ConnectionRefused, LockedOut, RequestTimeoutError
from exporter.model import Identity, Reading
from exporter.units import watts
from tests.engine.fakes import HERE, FakeDriver, FakeWire, page

MAC = "02:00:00:00:00:01"
GOOD = {"GET /status": page({"rate": 5.0, "mac": MAC}), "GET /who": page({"mac": MAC})}


class Meter:
    def __init__(self):
        self.begun = self.ended = self.dropped = 0
        self.failures = []

    def poll_begun(self, driver):
        self.begun += 1

    def poll_ended(self, driver, seconds):
        self.ended += 1

    def poll_failed(self, driver, reason):
        self.failures.append((driver, reason))

    def poll_dropped(self, driver):
        self.dropped += 1


class Bench:
    """A poller that is driven by hand."""

    def __init__(self, pages, driver=None, login=None, identity=None, status_seconds=1.0):
        self.wire = FakeWire(pages=dict(pages))
        self.meter = Meter()
        self.changes = 0
        self.strangers = 0
        self.state = PollState(identity or Identity(mac=MAC), {})
        self.session = Session(HERE, driver or FakeDriver())
        self.poller = Poller(
            "fake",
            self.session,
            self.state,
            Exchange(self.wire),
            PollSettings(status_seconds, 60.0),
            self.meter,
            asyncio.Semaphore(4),
            trusted=True,
            on_change=self._changed,
            on_wrong_miner=self._stranger,
            login=login(self) if login else None,
        )

    def _changed(self):
        self.changes += 1

    def _stranger(self):
        self.strangers += 1

    def poll(self, times=1):
        async def run():
            for _ in range(times):
                await self.poller.poll_now()
            await self.poller.stop()
            self.poller._stopped = False

        asyncio.run(run())
        return self


def test_a_good_poll_gives_a_reading_that_expires():
    before = time.monotonic()
    bench = Bench(GOOD).poll()
    assert bench.state.up is True
    assert bench.poller.reading().hashrate == 5.0
    assert before < bench.state.expires_at <= time.monotonic() + 3.0
    assert (bench.meter.begun, bench.meter.ended, bench.meter.failures) == (1, 1, [])
    assert bench.changes >= 1


def test_a_failed_poll_takes_the_reading_away_at_once_and_is_counted_by_its_reason():
    bench = Bench(GOOD).poll()
    bench.wire.pages["GET /status"] = RequestTimeoutError("silence")
    bench.wire.pages["GET /who"] = RequestTimeoutError("silence")
    bench.poll()
    assert bench.state.up is False
    assert bench.poller.reading() is None
    assert bench.state.errors == {"timeout": 1}
    assert (bench.meter.begun, bench.meter.ended, bench.meter.failures) == (2, 2, [("fake", "timeout")])
    assert bench.state.last_success is not None


def test_one_lost_answer_is_asked_for_again_inside_the_interval():
    pages = {**GOOD, "GET /status": [ConnectionRefused("rebooting"), page({"rate": 5.0, "mac": MAC})]}
    bench = Bench(pages).poll()
    assert bench.state.up is True
    assert bench.state.errors == {}
    assert bench.wire.asked.count("GET /status") == 2


def test_an_answer_that_cannot_be_read_is_not_asked_for_again():
    bench = Bench({**GOOD, "GET /status": page({"rate": "fast"})}).poll()
    assert bench.state.up is False
    assert bench.state.errors == {"decode": 1}
    assert "rate" in bench.state.last_error
    assert bench.wire.asked.count("GET /status") == 1


class Raising(FakeDriver):
    def decode_status(self, answers, context):
        raise ZeroDivisionError


class Nonsense(FakeDriver):
    def decode_status(self, answers, context):
        return {"hashrate": 5}


@pytest.mark.parametrize("driver", [Raising(), Nonsense()])
def test_a_broken_driver_ends_at_its_own_miner(driver, caplog):
    with caplog.at_level(logging.WARNING):
        bench = Bench(GOOD, driver).poll()
    assert bench.state.up is False
    assert bench.state.errors == {"internal": 1}


def test_a_miner_that_goes_and_returns_is_logged_once_each(caplog):
    bench = Bench({**GOOD, "GET /status": RequestTimeoutError("silence")})
    with caplog.at_level(logging.INFO, logger="exporter.engine.poller"):
        bench.poll(3)
        bench.wire.pages["GET /status"] = GOOD["GET /status"]
        bench.poll(2)
    messages = [record.message.split(":")[0] for record in caplog.records]
    assert messages == ["miner is gone", "miner is back"]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_miner_that_was_told_to_go_away_is_no_warning(caplog):
    bench = Bench({**GOOD, "GET /status": RequestTimeoutError("silence")})
    bench.state.away_until = time.monotonic() + 60.0
    with caplog.at_level(logging.INFO, logger="exporter.engine.poller"):
        bench.poll()
    assert [(record.levelno, record.message.split(":")[0]) for record in caplog.records] == [
        (logging.INFO, "miner is gone")
    ]


def test_failures_are_backed_off_and_bounded():
    bench = Bench({**GOOD, "GET /status": page({}, 500)}, status_seconds=15.0)
    delays = []
    for failures in (0, 1, 2, 3, 9):
        bench.state.failures = failures
        delays.append(bench.poller._delay())
    assert delays[:2] == [15.0, 15.0]
    assert 27.0 <= delays[2] <= 33.0
    assert 54.0 <= delays[3] <= 66.0
    assert delays[4] <= MAX_BACKOFF_SECONDS * 1.1


def test_another_miner_at_the_address_is_never_taken_for_this_one():
    bench = Bench({**GOOD, "GET /who": page({"mac": "02:00:00:00:00:99"})}).poll()
    assert bench.state.up is False
    assert bench.strangers == 1
    assert "GET /status" not in bench.wire.asked


def test_a_swap_between_two_polls_is_seen_in_the_status_itself():
    bench = Bench(GOOD).poll()
    bench.wire.pages["GET /status"] = page({"rate": 9.0, "mac": "02:00:00:00:00:99"})
    bench.poll()
    assert bench.poller.reading() is None
    assert bench.strangers == 1


def test_who_is_there_is_asked_after_a_failure_and_not_at_every_poll():
    bench = Bench(GOOD).poll(3)
    assert bench.wire.asked.count("GET /who") == 1
    bench.wire.pages["GET /status"] = page({}, 500)
    bench.poll()
    bench.wire.pages["GET /status"] = GOOD["GET /status"]
    bench.poll()
    assert bench.wire.asked.count("GET /who") == 2


class Telemetric(FakeDriver):
    def telemetry_requests(self, context):
        return (HttpRequest("/slow", auth=Auth.API_KEY),)

    def decode_telemetry(self, answers, context):
        return Reading(power=watts(float(answers.document("GET /slow")["watts"])))


def test_telemetry_completes_the_reading_and_expires_after_two_of_its_intervals():
    bench = Bench({**GOOD, "GET /slow": page({"watts": 40})}, Telemetric()).poll()
    assert bench.poller.reading().power == 40.0
    bench.state.telemetry_at -= 121.0
    assert bench.poller.reading().power is None
    assert bench.poller.reading().hashrate == 5.0


def test_failed_telemetry_is_counted_and_leaves_the_miner_up():
    bench = Bench({**GOOD, "GET /slow": page({}, 500)}, Telemetric()).poll()
    assert bench.state.up is True
    assert bench.state.errors == {"protocol": 1}
    assert bench.meter.failures == [("fake", "protocol")]
    assert bench.poller.reading().power is None


def test_a_fault_of_the_driver_in_telemetry_is_counted_each_time_and_logged_once_with_its_trace(caplog):
    class Broken(Telemetric):
        def decode_telemetry(self, answers, context):
            return {}["gone"]

    bench = Bench({**GOOD, "GET /slow": page({"watts": 40})}, Broken())
    with caplog.at_level(logging.WARNING, logger="exporter.engine.poller"):
        for _ in range(3):
            bench.state.telemetry_due = 0.0
            bench.poll()
    assert bench.state.up is True
    assert bench.state.errors == {"internal": 3}
    assert bench.meter.failures == [("fake", "internal")] * 3
    (record,) = caplog.records
    assert "telemetry failed" in record.message
    assert record.miner == "fake"
    assert "gone" in caplog.text
    assert "Traceback" in caplog.text


def test_a_reading_that_cannot_be_used_is_a_fault_of_ours(caplog):
    bench = Bench(GOOD)

    def refuse_readings():
        if bench.state.up:
            raise ValueError("not for the database")

    bench.poller._on_change = refuse_readings
    bench.poll()
    assert bench.state.up is False
    assert bench.state.errors == {"internal": 1}
    assert (bench.meter.begun, bench.meter.ended, bench.meter.failures) == (1, 1, [("fake", "internal")])
    assert "not for the database" in caplog.text


@pytest.mark.parametrize(("status", "limit"), [(0.5, 2.0), (15.0, 22.5), (60.0, 60.0)])
def test_slow_telemetry_leaves_time_for_the_status_before_it_expires(status, limit):
    assert Bench(GOOD, status_seconds=status).poller._telemetry_limit() == limit


@pytest.mark.parametrize(
    ("status", "spacing", "limit"), [(0.5, 0.0, 2.0), (15.0, 0.0, 15.0), (2.0, 1.0, 8.0), (15.0, 1.0, 15.0)]
)
def test_a_status_has_time_for_the_spacing_that_a_device_wants(status, spacing, limit):
    class Spaced(FakeDriver):
        rules = ConnectionRules(spacing_seconds=spacing)

    assert Bench(GOOD, Spaced(), status_seconds=status).poller._status_limit() == limit


def logging_in(outcomes):
    """A login that takes its outcomes in turn: a key, or an error."""

    def make(bench):
        async def login():
            bench.logins = getattr(bench, "logins", 0) + 1
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            bench.session.key_headers = (("x-api-key", outcome),)

        return login

    return make


def test_a_revoked_key_is_made_anew_once():
    pages = {**GOOD, "GET /slow": [page({}, 401), page({"watts": 40})]}
    bench = Bench(pages, Telemetric(), logging_in(["new"]))
    bench.session.key_headers = (("x-api-key", "revoked"),)
    bench.poll()
    assert bench.logins == 1
    assert bench.session.key_headers == (("x-api-key", "new"),)
    assert bench.poller.reading().power == 40.0


def test_a_status_that_needs_a_key_gets_one_and_a_wrong_password_is_tried_once():
    class Closed(FakeDriver):
        def status_requests(self, context):
            return (HttpRequest("/status", auth=Auth.API_KEY),)

    pages = {**GOOD, "GET /status": page({}, 401)}
    bench = Bench(pages, Closed(), logging_in([AuthError("wrong password")])).poll()
    assert bench.logins == 1
    assert bench.state.auth_failed is True
    assert bench.state.errors == {"auth": 1}
    bench.wire.pages["GET /status"] = GOOD["GET /status"]
    bench.poll(3)
    assert bench.logins == 1
    assert bench.state.up is True


def test_a_device_that_refused_every_password_is_left_alone():
    bench = Bench({**GOOD, "GET /status": AuthError("wrong password")})
    bench.session.auth_blocked = True
    bench.poll()
    assert bench.state.blocked_until == float("inf")
    assert bench.state.auth_failed is True


def test_a_lock_out_is_waited_for():
    bench = Bench({**GOOD, "GET /status": LockedOut("too many", 120.0)}).poll()
    assert 110.0 < bench.state.blocked_until - time.monotonic() <= 120.0
    assert bench.poller._delay() > 100.0
    assert bench.state.auth_failed is False


def test_polls_repeat_on_their_own_and_end_with_stop():
    async def run():
        bench = Bench(GOOD, status_seconds=0.03)
        bench.poller.start(0.0)
        async with asyncio.timeout(20):
            while bench.meter.begun < 3:  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.01)
        await bench.poller.stop()
        done = bench.meter.begun
        await asyncio.sleep(0.1)
        return done, bench.meter.begun

    done, after = asyncio.run(run())
    assert done >= 3
    assert after == done
