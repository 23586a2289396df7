"""From records of the flock to rows of the log."""

import dataclasses
from collections import Counter

import pytest

from exporter.model import Pool, Reading
from exporter.protocols.nerdminer_shares import ShareEvent
from exporter.shares.log import ShareLog
from exporter.shares.origin import Origin, origin_of
from exporter.shares.tracker import MOST_SINGLE, ROWS_PER_MINUTE, ShareTracker
from exporter.store.rows import MinerConfig
from tests.metrics.flock import USB, record

URL = "stratum+tcp://Solo.Pool.example:3333"
NOW = 1.7e9


class Flock:
    """A tracker over a real log, with a clock, and miners that submit shares."""

    def __init__(self, folder, clients=(), interval=30.0):
        self.now = 0.0
        self.configs = {}
        self.log = ShareLog(folder / "log.shares", clock=lambda: NOW + self.now, delay=3600.0)
        self.tracker = ShareTracker(
            self.log, lambda miner: self.configs.get(miner, ()), lambda: interval, clock=lambda: self.now
        )

    def poll(self, miner, accepted, rejected=0.0, **more):
        pool = Pool("0", url=URL, user="bc1qowner.rig", active=True, accepted=accepted, rejected=rejected, **more)
        reading = Reading(pools=(pool,), uptime=5000.0 + self.now)
        self.tracker.publish(record(miner, reading=reading, last_success=NOW + self.now))

    def fail(self, miner):
        self.tracker.publish(record(miner, up=False, reading=None, last_success=NOW + self.now))

    def pass_time(self, seconds):
        for _ in range(int(seconds)):
            self.now += 1.0
            self.tracker.tick()

    def rows(self):
        return list(reversed(self.log.query(limit=100_000).shares))


@pytest.fixture
def flock(tmp_path):
    return Flock(tmp_path)


def config(wallet_id=None, url="solo.pool.example:3333", **more):
    return MinerConfig(
        1, 1, **{"pool_url": url, "pool_user": "bc1qowner.rig", "worker_name": "rig", **more}, wallet_id=wallet_id
    )


def test_steps_are_joined_to_one_row_for_each_verdict(flock):
    flock.configs[1] = (config(7),)
    flock.poll(1, 100.0, 5.0)
    for accepted in (103.0, 104.0, 104.0):
        flock.pass_time(15)
        flock.poll(1, accepted, 5.0 + (accepted > 103))
    flock.pass_time(30)
    rows = flock.rows()
    assert [(row.accepted, row.count, row.source) for row in rows] == [(True, 4, "derived"), (False, 1, "derived")]
    assert {(row.wallet_id, row.miner_id, row.pool_name, row.worker_name) for row in rows} == {
        (7, 1, "solo.pool.example", "rig")
    }
    assert rows[0].timestamp == NOW + 30  # of the last step


def test_a_miner_writes_one_row_in_an_interval(flock):
    flock.poll(1, 0.0)
    for number in range(1, 41):
        flock.pass_time(5)
        flock.poll(1, float(number))
    flock.pass_time(40)
    rows = flock.rows()
    assert sum(row.count for row in rows) == 40
    assert 1 < len(rows) <= 200 / 30 + 1


def test_the_same_reading_again_counts_once(flock):
    flock.poll(1, 10.0)
    reading = Reading(pools=(Pool("0", url=URL, user="bc1qowner.rig", accepted=12.0, rejected=0.0),), uptime=9000.0)
    shown = record(1, reading=reading, last_success=NOW + 15)
    for _ in range(3):
        flock.tracker.publish(shown)
        flock.tracker.publish(dataclasses.replace(shown, name="renamed"))
    flock.pass_time(60)
    assert [row.count for row in flock.rows()] == [2]


def test_nothing_is_invented_at_the_first_look_after_a_reset_or_while_not_managed(flock):
    flock.poll(1, 1000.0)
    flock.pass_time(60)
    flock.tracker.publish(record(1, reading=Reading(pools=(Pool("0", url=URL, accepted=4.0),), uptime=9.0)))
    flock.poll(2, 50.0)
    flock.tracker.publish(record(2, managed=False, up=None, reading=None))
    flock.pass_time(60)
    flock.poll(2, 90.0)
    flock.pass_time(60)
    assert flock.rows() == []


def test_an_outage_of_the_network_loses_nothing(flock):
    flock.poll(1, 10.0)
    flock.pass_time(60)
    flock.fail(1)
    flock.pass_time(600)
    flock.poll(1, 40.0)
    flock.pass_time(60)
    assert [row.count for row in flock.rows()] == [30]


def test_a_step_belongs_to_the_wallet_of_its_time(flock):
    flock.poll(1, 0.0)
    flock.configs[1] = (config(7),)
    flock.poll(1, 2.0)
    flock.configs[1] = (config(8),)
    flock.poll(1, 5.0)
    flock.pass_time(60)
    assert [(row.wallet_id, row.count) for row in flock.rows()] == [(7, 2), (8, 3)]


def test_the_credited_difficulty_is_summed_and_is_unknown_once_a_part_is(flock):
    for accepted, credited in ((0.0, 0.0), (1.0, 500.0), (3.0, 1500.0)):
        flock.poll(1, accepted, difficulty_accepted=credited)
        flock.poll(2, accepted, difficulty_accepted=credited if accepted < 3 else None)
    flock.pass_time(60)
    assert [(row.miner_id, row.difficulty) for row in flock.rows()] == [(1, 1500.0), (2, None)]


def test_a_large_flock_writes_a_bounded_number_of_rows_and_loses_no_share(tmp_path):
    flock = Flock(tmp_path)
    miners, polls = 1000, 40
    for miner in range(1, miners + 1):
        flock.poll(miner, 0.0)
    for number in range(1, polls + 1):
        flock.pass_time(15)
        for miner in range(1, miners + 1):
            flock.poll(miner, float(number))
    minutes = polls * 15 / 60
    written = flock.log.query(limit=1).total
    assert written <= ROWS_PER_MINUTE * (minutes + 1)
    assert written >= ROWS_PER_MINUTE * (minutes - 1)
    per_miner = Counter(row.miner_id for row in flock.rows())
    assert len(per_miner) == miners  # nobody waits for ever
    assert max(per_miner.values()) - min(per_miner.values()) <= 1
    flock.tracker.write_all()
    assert sum(row.count for row in flock.rows()) == miners * polls


def test_what_waits_of_a_miner_that_is_forgotten_is_logged(flock):
    flock.poll(1, 0.0)
    flock.poll(1, 3.0)
    flock.tracker.remove(1)
    assert [row.count for row in flock.rows()] == [3]
    flock.pass_time(60)
    assert len(flock.rows()) == 1


# --- single shares ---


def usb(**more):
    pool = Pool("0", url=URL, user="bc1qowner.rig", active=True, accepted=99.0, rejected=1.0)
    return record(1, usb=USB, reading=Reading(pools=(pool,)), **more)


def test_single_shares_are_rows_of_their_own_and_counters_beside_them_do_not_count(flock):
    flock.configs[1] = (config(7),)
    flock.tracker.publish(usb())
    flock.tracker.events(usb(), (ShareEvent(NOW, 0.0021, True), ShareEvent(NOW + 1, None, False, "low difficulty")))
    flock.tracker.publish(usb())
    flock.pass_time(60)
    one, two = flock.rows()
    assert (one.source, one.count, one.difficulty, one.accepted, one.reason) == ("event", 1, 0.0021, True, None)
    assert (two.source, two.difficulty, two.accepted, two.reason) == ("event", None, False, "low difficulty")
    assert (one.wallet_id, one.pool_name, one.worker_name) == (7, "solo.pool.example", "rig")


def test_a_flood_of_single_shares_is_joined(flock):
    flock.tracker.events(usb(), [ShareEvent(NOW, 1.0, True)] * (MOST_SINGLE + 70))
    flock.pass_time(60)
    rows = flock.rows()
    assert [row.source for row in rows].count("event") == MOST_SINGLE
    assert [(row.count, row.difficulty) for row in rows if row.source == "derived"] == [(70, None)]
    flock.tracker.events(usb(), [ShareEvent(NOW + 60, 1.0, True)])
    assert flock.rows()[-1].source == "event"


@pytest.mark.parametrize("change", [{"managed": False}, {"enabled": False}])
def test_single_shares_of_what_is_not_managed_do_not_count(flock, change):
    flock.tracker.events(usb(**change), (ShareEvent(NOW, 1.0, True),))
    assert flock.rows() == []


def test_text_of_a_pool_is_made_harmless(flock):
    flock.tracker.events(usb(), (ShareEvent(NOW, 1e400, False, "<b>\n\x00" + "x" * 5000),))
    (row,) = flock.rows()
    assert row.difficulty is None
    assert row.reason.startswith("<b> x")
    assert len(row.reason) == 128


# --- whose they are ---


@pytest.mark.parametrize(
    ("pool", "configs", "origin"),
    [
        (Pool("0", url=URL, user="bc1qowner.rig"), (), Origin(None, "solo.pool.example", None)),
        (Pool("0", url=URL, user="bc1qowner.rig"), (config(7),), Origin(7, "solo.pool.example", "rig")),
        (Pool("0", url=URL, user="bc1qowner.rig"), (config(7, active=False),), Origin(None, "solo.pool.example", None)),
        (
            Pool("0", url=URL, user="bc1qowner.rig"),
            (config(6, pool_user="other.x"), config(7)),
            Origin(7, "solo.pool.example", "rig"),
        ),
        (
            Pool("0", url="stratum+tcp://else.example:3333", user="bc1qowner.rig"),
            (config(7),),
            Origin(None, "else.example", None),
        ),
        (Pool("0"), (config(7),), Origin(7, "solo.pool.example", "rig")),
        (None, (config(7),), Origin(7, "solo.pool.example", "rig")),
        (None, (config(7), config(8, url="b.example:1")), Origin(None, None, None)),
        (Pool("0", url="user:secret@pool.example:3333"), (), Origin(None, "pool.example", None)),
        (Pool("0", url="[::1"), (), Origin(None, None, None)),
        (Pool("0", url="x" * 10_000), (), Origin(None, None, None)),
    ],
)
def test_the_origin_of_shares(pool, configs, origin):
    assert origin_of(pool, configs) == origin
