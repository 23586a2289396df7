"""The flock: loaded, published, moved, forgotten; and what a reload changes."""

import asyncio
import itertools
import json
import logging
import time
from collections import Counter
from dataclasses import replace

import pytest

from exporter.config_schema import Control, Drivers, Intervals
from exporter.drivers.api import Answer, Auth, HttpRequest
from exporter.engine.login import KEY_DESCRIPTION
from exporter.errors import RequestTimeoutError
from exporter.model import Identity, ModelInfo, Preset, Reading
from exporter.store.database import Database
from exporter.store.secret import Secret
from exporter.units import watts
from tests.engine.bench import RigDriver, at, driver_set, mac, run
from tests.engine.test_login import LockedDriver

KEY = mac(1)


def store(folder, *rows):
    """A database as an earlier run left it."""
    with Database.open(folder / "flockwatch.json") as db:
        for number, fields in enumerate(rows, start=1):
            filled = {"key": mac(number), "mac": mac(number), "driver": "rig", "address": at(number), **fields}
            db.miners.insert(last_address=at(number), identity=Identity(mac=filled["mac"]), **filled)


def test_after_a_restart_who_was_down_is_down_and_who_was_up_is_unknown(tmp_path, monkeypatch):
    now = time.time()
    store(
        tmp_path,
        {"last_seen": now - 5},
        {"last_seen": now - 7200},
        {"last_seen": None},
        {"address": None, "last_seen": now - 5},
        {"last_seen": now + 7200},  # the clock was wrong, or is
    )

    async def story(bench):
        states = [bench.record(mac(number)).up for number in range(1, 6)]
        assert states == [None, False, False, False, None]
        assert bench.record(mac(2)).last_success == pytest.approx(now - 7200)
        assert bench.record(mac(3)).last_success is None
        assert sorted(bench.page.rows) == [1, 2, 3, 4, 5]

    run(tmp_path, monkeypatch, story)


def test_a_restart_does_not_search_where_the_first_poll_is_due(tmp_path, monkeypatch):
    store(tmp_path, {"last_seen": time.time()}, {"last_seen": time.time() - 7200})

    async def story(bench):
        await bench.search()
        assert at(1) not in bench.scanned
        assert at(2) in bench.scanned

    run(tmp_path, monkeypatch, story)


def test_who_is_not_managed_or_retired_is_not_polled(tmp_path, monkeypatch):
    store(tmp_path, {}, {"managed": False}, {"enabled": False}, {"address": None})

    async def story(bench):
        polled = [miner.row.key for miner in bench.flock if miner.poller is not None]
        assert polled == [mac(1)]
        assert [bench.record(mac(number)).up for number in (2, 3)] == [None, None]

    run(tmp_path, monkeypatch, story)


def test_first_polls_are_spread_over_the_interval(tmp_path, monkeypatch):
    store(tmp_path, *({} for _ in range(20)))

    async def story(bench):
        dues = sorted(miner.poller.due for miner in bench.flock)
        gaps = [later - earlier for earlier, later in itertools.pairwise(dues)]
        assert max(gaps) < 2.7 * 3600 / 20
        assert dues[-1] - dues[0] <= 3600

    run(tmp_path, monkeypatch, story)


def test_a_miner_whose_driver_is_gone_stays_and_is_down_until_it_returns(tmp_path, monkeypatch):
    class Other(RigDriver):
        driver_type = "other"

    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        bench.hosts.put(at(2), mac=mac(2), family="other")
        await bench.search()
        before = [bench.record(key).id for key in (KEY, mac(2))]
        await bench.engine.apply(bench.settings, driver_set(Other()))
        await bench.settle()
        gone = bench.record(KEY)
        assert (gone.up, gone.reading, gone.address) == (False, None, at(1))
        assert "no driver rig" in gone.last_error
        assert bench.page.rows[gone.id].up is False
        assert bench.record(mac(2)).up is True
        await bench.engine.apply(bench.settings, driver_set(RigDriver(), Other()))
        await bench.flock.get(gone.id).poller.poll_now()
        assert bench.record(KEY).up is True
        assert [bench.record(key).id for key in (KEY, mac(2))] == before

    run(tmp_path, monkeypatch, story, drivers=driver_set(RigDriver(), Other()))


def test_a_reload_that_changes_nothing_leaves_the_polls_alone(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        poller = miner.poller
        intervals = Intervals(discovery_seconds=3600, status_seconds=1800)
        await bench.engine.apply(replace(bench.settings, intervals=intervals), driver_set(RigDriver()))
        assert miner.poller is poller
        assert poller.settings.status_seconds == 1800
        await bench.engine.apply(bench.settings, driver_set(RigDriver(), sha256="1"))
        assert miner.poller is not poller

    run(tmp_path, monkeypatch, story)


def test_every_change_is_published_and_a_failed_poll_takes_the_reading_off_the_page(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        miner_id = bench.record(KEY).id
        assert bench.page.rows[miner_id].reading.hashrate == 5.0
        bench.hosts.put(at(1), mac=KEY, rate=6.0)
        await bench.poll(at(1))
        assert bench.page.rows[miner_id].reading.hashrate == 6.0
        bench.hosts.hosts[at(1)] = RequestTimeoutError("silence")
        await bench.poll(at(1))
        shown = bench.page.rows[miner_id]
        assert (shown.up, shown.reading, shown.poll_errors) == (False, None, {"timeout": 1})
        assert bench.engine.snapshot().miners == (shown,)

    run(tmp_path, monkeypatch, story)


def test_another_miner_at_the_address_clears_it_and_wakes_the_search(tmp_path, monkeypatch, caplog):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        bench.flock.lost_track.clear()
        bench.hosts.put(at(1), mac=mac(9), rate=9.0)
        with caplog.at_level(logging.INFO):
            await bench.poll(at(1))
        record = bench.record(KEY)
        assert (record.address, record.up, record.reading) == (None, False, None)
        assert bench.flock.lost_track.is_set()
        assert all(r.reading is None or r.reading.hashrate == 5.0 for r in bench.page.published)
        gone = [r for r in caplog.records if r.message.startswith("miner is gone")]
        assert len(gone) == 1
        await bench.search()
        assert bench.record(mac(9)).reading.hashrate == 9.0
        assert bench.row(KEY).last_address == at(1)

    run(tmp_path, monkeypatch, story)


def test_an_address_that_was_given_anew_meanwhile_is_not_cleared(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        await bench.flock.clear_address(miner, at(7))
        assert bench.record(KEY).address == at(1)

    run(tmp_path, monkeypatch, story)


def test_a_miner_that_loses_its_address_to_another_one_falls_silent(tmp_path, monkeypatch, caplog):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        bench.hosts.put(at(1), mac=mac(2))
        bench.flock.at(at(1))[0].state.up = False  # between two polls nobody knows
        with caplog.at_level(logging.WARNING):
            await bench.search()
        assert (bench.record(KEY).address, bench.record(KEY).up) == (None, False)
        assert (bench.record(mac(2)).address, bench.record(mac(2)).up) == (at(1), True)
        assert len(bench.hosts.hosts) == 1

    run(tmp_path, monkeypatch, story)


def test_an_address_may_change_while_a_poll_is_under_way(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        reached, released = asyncio.Event(), asyncio.Event()

        async def hold(address):
            if address == at(1):
                reached.set()
                await released.wait()

        bench.hosts.wait = hold
        poll = asyncio.get_running_loop().create_task(miner.poller.poll_now())
        await reached.wait()
        miner.state.up = False
        bench.hosts.put(at(2), mac=KEY, rate=2.0)
        await bench.search((type(bench.flock.networks[0])(bench.flock.networks[0].network),), everything=True)
        await asyncio.wait_for(poll, 10)  # who waited for the old poll is not cancelled with it
        released.set()
        await bench.settle()
        record = bench.record(KEY)
        assert (record.address, record.up, record.reading.hashrate) == (at(2), True, 2.0)

    run(tmp_path, monkeypatch, story)


def test_a_miner_with_a_new_mac_is_believed_by_its_own_polls(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY, serial="SN-4711")
        await bench.search()
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        bench.hosts.put(at(1), mac=mac(2), serial="SN-4711")
        await bench.search()
        record = bench.record(KEY)
        assert (record.up, record.address, record.identity.mac) == (True, at(1), mac(2))
        assert bench.row(KEY).mac == mac(2)

    run(tmp_path, monkeypatch, story)


def test_a_find_does_not_wake_a_miner_that_is_there_and_fails_for_another_reason(tmp_path, monkeypatch):
    class Broken(RigDriver):
        def decode_status(self, answers, context):
            raise KeyError("rate")

    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        for _ in range(3):
            await bench.poll(at(1))
        polls = bench.meter.polls["rig"]
        for _ in range(5):
            await bench.search()
        assert bench.meter.polls["rig"] == polls
        assert bench.flock.at(at(1))[0].state.failures == 4

    run(tmp_path, monkeypatch, story, drivers=driver_set(Broken()))


def test_what_was_seen_last_is_stored_at_the_end(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        return bench.record(KEY).last_success

    seen = run(tmp_path, monkeypatch, story)
    with Database.open(tmp_path / "flockwatch.json") as db:
        assert db.miners.by_key(KEY).last_seen == seen


def test_nothing_is_polled_or_adopted_after_the_end(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        await bench.engine.stop()
        polls = bench.meter.polls["rig"]
        bench.hosts.put(at(2), mac=mac(2))
        await bench.search()
        assert len(bench.db.miners.all()) == 1
        assert bench.meter.polls["rig"] == polls

    run(tmp_path, monkeypatch, story)


def test_failures_in_the_background_are_logged(tmp_path, monkeypatch, caplog):
    async def fail():
        raise ZeroDivisionError

    async def story(bench):
        bench.flock.tasks.spawn(fail(), "odd work")
        await bench.settle()
        (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert record.message == "odd work failed"
        assert record.exc_info[0] is ZeroDivisionError

    run(tmp_path, monkeypatch, story)


def test_a_reading_that_cannot_be_used_is_a_failed_poll_and_the_next_one_follows(tmp_path, monkeypatch, caplog):
    class Odd(RigDriver):
        def decode_status(self, answers, context):
            reading = super().decode_status(answers, context)
            if reading.hashrate == 13.0:
                return replace(reading, identity=replace(reading.identity, model=13))
            return reading

    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        bench.hosts.put(at(1), mac=KEY, rate=13.0)
        await bench.poll(at(1))
        assert (bench.record(KEY).up, bench.record(KEY).reading) == (False, None)
        assert "internal" in bench.record(KEY).poll_errors
        assert bench.flock.at(at(1))[0].poller.due is not None

    run(tmp_path, monkeypatch, story, drivers=driver_set(Odd()))


# --- keys, models, forgetting ---


class Keyed(LockedDriver, RigDriver):
    """A rig with API keys, slow figures behind them, and a description of its model."""

    driver_type = "rig"
    probes = RigDriver.probes
    identify = RigDriver.identify
    identity_requests = RigDriver.identity_requests
    decode_identity = RigDriver.decode_identity
    status_requests = RigDriver.status_requests
    decode_status = RigDriver.decode_status
    default_passwords = ("right",)

    def telemetry_requests(self, context):
        return (HttpRequest("/slow", auth=Auth.API_KEY, optional=True),)

    def decode_telemetry(self, answers, context):
        return Reading(power=watts(40.0) if "GET /slow" in answers else None)

    def model_requests(self, context):
        return (HttpRequest("/model"),)

    def decode_model(self, answers, context):
        document = answers.document("GET /model")
        return ModelInfo(document["alias"], presets=(Preset("100"),))


class KeyedHosts:
    """Puts a keyed device with its keys at an address."""

    def __init__(self, bench, address, key=KEY):
        self.bench, self.address = bench, address
        bench.hosts.put(address, mac=key)
        self.host = bench.hosts.hosts[address]
        self.host["GET /slow"] = Answer(b"{}")
        self.host["GET /model"] = Answer(b'{"alias": "r1"}')
        self.keys = {}
        self.unlocks = 0
        self.old_http = bench.hosts.http
        bench.hosts.http = self.http

    async def http(self, endpoint, request, headers, timeout, keep_alive):
        if request.key == "POST /unlock":
            self.unlocks += 1
            return Answer(b'"token"')
        if request.key == "GET /keys":
            return Answer(json.dumps(self.keys).encode())
        if request.key == "POST /keys":
            name, key = json.loads(request.body)
            self.keys[name] = key
            return Answer(b"{}")
        if request.key == "POST /keys/delete":
            self.keys.clear()
            return Answer(b"{}")
        if request.key == "GET /slow" and dict(headers).get("x-api-key") not in self.keys.values():
            return Answer(b"{}", 401)
        return await self.old_http(endpoint, request, headers, timeout, keep_alive)


def keyed(tmp_path, monkeypatch, story, **options):
    run(tmp_path, monkeypatch, story, drivers=driver_set(Keyed()), **options)


def test_a_key_is_made_stored_and_deleted_when_the_miner_is_forgotten(tmp_path, monkeypatch):
    async def story(bench):
        device = KeyedHosts(bench, at(1))
        await bench.search()
        miner_id = bench.record(KEY).id
        assert bench.db.api_keys.get(miner_id).key.reveal() == device.keys[KEY_DESCRIPTION]
        assert bench.record(KEY).reading.power == 40.0
        bench.db.passwords.set(miner_id, Secret("right"))
        await bench.engine.forget(miner_id)
        assert device.keys == {}
        assert bench.db.miners.all() == ()
        assert (bench.db.api_keys.get(miner_id), bench.db.passwords.get(miner_id)) == (None, None)
        assert bench.page.rows == {}
        assert bench.engine.snapshot().miners == ()
        assert not any(handle for handle in bench.flock)
        await bench.search()
        assert bench.record(KEY).id != miner_id

    keyed(tmp_path, monkeypatch, story)


def test_a_miner_that_cannot_be_signed_in_to_is_forgotten_all_the_same(tmp_path, monkeypatch, caplog):
    async def story(bench):
        device = KeyedHosts(bench, at(1))
        await bench.search()
        unlocks = device.unlocks
        (miner,) = bench.flock.at(at(1))
        miner.state.auth_failed = True
        await bench.engine.forget(miner.row.id)
        assert device.unlocks == unlocks  # no password is tried again
        assert bench.db.miners.all() == ()
        assert any("API key stays" in r.message for r in caplog.records)

    keyed(tmp_path, monkeypatch, story)


def test_a_model_is_described_once_and_its_presets_are_stored(tmp_path, monkeypatch):
    async def story(bench):
        KeyedHosts(bench, at(1))
        await bench.search()
        for _ in range(3):
            await bench.poll(at(1))
        model = bench.db.models.get("r1")
        assert model.presets == (Preset("100"),)
        assert bench.row(KEY).model_alias == "r1"
        assert Counter(key for _, key in bench.hosts.asked)["GET /model"] == 1

    keyed(tmp_path, monkeypatch, story)


@pytest.mark.parametrize("answer", [Answer(b"[]"), Answer(b'{"alias": 5}'), Answer(b"{}", 500)])
def test_a_model_that_cannot_be_read_is_asked_for_again_later(tmp_path, monkeypatch, answer):
    async def story(bench):
        device = KeyedHosts(bench, at(1))
        good = device.host["GET /model"]
        device.host["GET /model"] = answer
        await bench.search()
        await bench.poll(at(1))
        (miner,) = bench.flock.at(at(1))
        assert bench.record(KEY).up is True
        assert bench.db.models.all() == ()
        assert time.monotonic() < miner.model_due < float("inf")
        device.host["GET /model"] = good
        miner.model_due = 0.0
        await bench.poll(at(1))
        assert bench.row(KEY).model_alias == "r1"

    keyed(tmp_path, monkeypatch, story)


def test_keys_are_not_made_where_that_is_switched_off_also_by_a_reload(tmp_path, monkeypatch):
    async def story(bench):
        device = KeyedHosts(bench, at(1))
        bench.sessions.create_keys = False
        await bench.search()
        assert (device.unlocks, bench.record(KEY).up) == (0, True)
        allowed = replace(bench.settings, drivers=Drivers(vnish_create_api_key=True))
        await bench.engine.apply(allowed, driver_set(Keyed()))
        await bench.flock.at(at(1))[0].poller.poll_now()
        assert (device.unlocks, list(device.keys)) == (1, [KEY_DESCRIPTION])

    keyed(tmp_path, monkeypatch, story)


def test_a_program_that_only_watches_makes_and_removes_no_key_but_uses_the_one_it_has(tmp_path, monkeypatch):
    async def story(bench):
        device = KeyedHosts(bench, at(1))
        watching = replace(bench.settings, control=Control(enabled=False))
        await bench.engine.apply(watching, driver_set(Keyed()))
        await bench.search()
        assert (device.unlocks, bench.record(KEY).up) == (0, True)
        await bench.engine.apply(replace(watching, control=Control()), driver_set(Keyed()))
        await bench.flock.at(at(1))[0].poller.poll_now()
        assert (device.unlocks, list(device.keys)) == (1, [KEY_DESCRIPTION])
        await bench.engine.apply(watching, driver_set(Keyed()))
        await bench.poll(at(1))
        assert (device.unlocks, bench.record(KEY).reading.power) == (1, 40.0)
        device.keys.clear()  # revoked on the device
        await bench.poll(at(1))
        assert device.unlocks == 1
        device.keys[KEY_DESCRIPTION] = bench.db.api_keys.get(bench.record(KEY).id).key.reveal()
        await bench.engine.forget(bench.record(KEY).id)
        assert (device.unlocks, list(device.keys)) == (1, [KEY_DESCRIPTION])

    keyed(tmp_path, monkeypatch, story)


def test_a_reload_and_an_adoption_at_the_same_time_leave_one_poller(tmp_path, monkeypatch):
    async def story(bench):
        bench.hosts.put(at(1), mac=KEY)
        await bench.search()
        (miner,) = bench.flock.at(at(1))
        bench.hosts.hosts.clear()
        await bench.poll(at(1))
        bench.hosts.put(at(1), mac=KEY, details={"variant": "b"})
        reload = bench.engine.apply(bench.settings, driver_set(RigDriver(), sha256="1"))
        await asyncio.gather(reload, bench.search())
        await bench.settle()
        poller = miner.poller
        bench.flock._start_polling(miner, 0.0)
        assert miner.poller is poller
        polls = bench.meter.polls["rig"]
        await poller.poll_now()
        assert bench.meter.polls["rig"] == polls + 1
        await bench.flock.drop(miner)
        bench.flock._start_polling(miner, 0.0)
        assert miner.poller is None

    run(tmp_path, monkeypatch, story)
