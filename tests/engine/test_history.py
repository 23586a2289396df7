"""The ring of polls, its memory, and the lines of a chart."""

import dataclasses
import itertools
import statistics
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.engine import charts
from exporter.engine.api.history import StatusPoint
from exporter.engine.history import BUDGET, LONGEST, History, fastest_fan, hottest
from exporter.model import Board, Chip, Fan, MinerState, Pool, Reading, Temperature
from tests.metrics.flock import record

NOW = 1.7e9
READING = Reading(
    state=MinerState.MINING,
    hashrate=1.23e14,
    power=3250.0,
    fans=(Fan("0", 5880.0), Fan("1", 6000.0), Fan("2")),
    boards=(Board("0", chip_temperature_max=71.0), Board("1", chip_temperature_max=76.5)),
    pools=(
        Pool("0", accepted=123456.0, rejected=7.0),
        Pool("1", accepted=4.0, rejected=None),
        Pool("2", accepted=999.0, rejected=99.0, fee=True),
    ),
)


class Flock:
    """Miners that are polled every 15 seconds, and a history that watches."""

    def __init__(self, interval=15.0, **more):
        self.now = NOW
        self.interval = interval
        self.history = History(lambda: self.interval, clock=lambda: self.now, **more)
        self.errors = {}

    def poll(self, miner=1, reading=READING, seconds=15.0):
        self.now += seconds
        self.history.publish(record(miner, reading=reading, last_success=self.now, poll_errors=dict(self.errors)))

    def fail(self, miner=1, seconds=15.0):
        self.now += seconds
        self.errors["timeout"] = self.errors.get("timeout", 0) + 1
        self.publish_down(miner)

    def publish_down(self, miner=1):
        self.history.publish(record(miner, up=False, reading=None, last_success=NOW, poll_errors=dict(self.errors)))


@pytest.fixture
def flock():
    return Flock()


def test_a_point_tells_what_the_poll_told(flock):
    flock.poll()
    (point,) = flock.history.recent(1)
    assert point.at == pytest.approx(NOW + 15.0, abs=0.06)
    assert (point.up, point.state) == (True, "mining")
    assert point.hashrate == pytest.approx(1.23e14, rel=1e-6)
    assert (point.temperature, point.power, point.fan_speed) == (76.5, 3250.0, 6000.0)
    assert (point.accepted, point.rejected) == (123460.0, 7.0)  # not those of the fee pool


def test_what_the_miner_did_not_say_is_none_and_zero_is_zero(flock):
    flock.poll(reading=Reading())
    flock.poll(reading=Reading(hashrate=0.0, power=0.0, pools=(Pool("0", accepted=0.0, rejected=0.0),)))
    silent, idle = flock.history.recent(1)
    assert dataclasses.astuple(silent)[1:] == (True, None, None, None, None, None, None, None)
    assert (idle.hashrate, idle.power, idle.accepted, idle.rejected, idle.temperature) == (0.0, 0.0, 0.0, 0.0, None)


@pytest.mark.parametrize("state", list(MinerState))
def test_every_state_comes_back(flock, state):
    flock.poll(reading=Reading(state=state))
    assert flock.history.recent(1)[0].state == state.value


def test_figures_that_no_point_can_hold_are_unknown(flock):
    broken = Reading(hashrate=1e300, power=float("nan"), pools=(Pool("0", accepted=1e12, rejected=-1.0),))
    flock.poll(reading=broken)
    (point,) = flock.history.recent(1)
    assert (point.hashrate, point.power, point.accepted, point.rejected) == (None, None, None, None)


def test_a_failed_poll_is_a_point_without_figures(flock):
    flock.poll()
    flock.fail()
    flock.publish_down()  # shown again, no new poll
    flock.fail()
    flock.poll()
    assert [point.up for point in flock.history.recent(1)] == [True, False, False, True]
    assert dataclasses.astuple(flock.history.recent(1)[1])[2:] == (None,) * 7


def test_a_record_that_is_shown_again_is_no_new_point(flock):
    flock.poll()
    shown = record(1, reading=READING, last_success=flock.now)
    for name in ("a", "b", "c"):
        flock.now += 1.0
        flock.history.publish(dataclasses.replace(shown, name=name))
    assert len(flock.history.recent(1)) == 1


def test_telemetry_that_comes_behind_its_status_completes_the_point(flock):
    flock.poll(reading=Reading(hashrate=1.0))
    flock.now += 0.5
    full = record(1, reading=Reading(hashrate=1.0, power=9.0), last_success=flock.now - 0.5)
    flock.history.publish(full)
    assert [point.power for point in flock.history.recent(1)] == [9.0]


def test_a_console_that_tells_every_second_takes_no_more_room_than_a_poll(flock):
    for number in range(600):
        flock.poll(reading=Reading(hashrate=float(number)), seconds=1.0)
    points = flock.history.recent(1)
    assert 600 / 15 - 2 <= len(points) <= 600 / 13 + 2
    assert points[-1].hashrate == 599.0  # the newest is always there
    gaps = [after.at - before.at for before, after in itertools.pairwise(points[:-1])]
    assert all(gap >= 13.0 for gap in gaps)


def test_a_miner_that_is_not_managed_or_was_never_polled_has_no_points(flock):
    flock.history.publish(record(1, up=None, reading=None))
    flock.history.publish(record(2, managed=False, up=None, reading=None))
    assert flock.history.recent(1) == flock.history.recent(2) == flock.history.recent(99) == ()


def test_a_forgotten_miner_leaves_nothing(flock):
    flock.poll()
    flock.history.remove(1)
    flock.history.remove(1)
    assert flock.history.recent(1) == ()
    assert flock.history.memory() == 0


def test_points_since_a_time_and_the_newest_of_them(flock):
    for _ in range(10):
        flock.poll()
    points = flock.history.recent(1)
    assert flock.history.recent(1, limit=3) == points[-3:]
    assert flock.history.recent(1, limit=0) == ()
    assert flock.history.recent(1, since=points[6].at) == points[7:]
    assert flock.history.recent(1, since=points[2].at, limit=2) == points[-2:]


@given(polls=st.lists(st.integers(1, 6), max_size=200), budget=st.integers(3000, 40_000))
def test_each_ring_holds_the_newest_polls_in_order_whatever_the_flock_does(polls, budget):
    """Against a model: a list of each miner's polls, of which the newest are kept."""
    flock = Flock(budget=budget)
    told: dict[int, list[float]] = {}
    for number, miner in enumerate(polls):
        flock.poll(miner, Reading(power=float(number)), seconds=20.0)
        told.setdefault(miner, []).append(float(number))
    for miner, values in told.items():
        kept = [point.power for point in flock.history.recent(miner)]
        assert kept == values[len(values) - len(kept) :]
        assert len(kept) >= min(len(values), 2)
    if told:
        newest = polls[-1]
        capacity = flock.history.capacity
        assert len(flock.history.recent(newest)) <= capacity
        assert flock.history.memory() <= max(budget, 6 * 2 * 29 * len(told))


def test_no_ring_holds_more_than_a_day(flock):
    flock.interval = 60.0
    for _ in range(2000):
        flock.poll(seconds=60.0)
    points = flock.history.recent(1)
    assert len(points) == LONGEST / 60
    assert points[-1].at - points[0].at == pytest.approx(LONGEST - 60)


def test_a_large_flock_stays_within_the_memory():
    """One in fifty of ten thousand miners, in that part of the memory."""
    flock = Flock(budget=BUDGET // 50)
    shown = [record(miner % 250, reading=Reading(hashrate=1e14)) for miner in range(200)]
    shown = [dataclasses.replace(each, id=miner) for miner, each in enumerate(shown)]
    for _ in range(100):
        flock.now += 15.0
        for each in shown:
            flock.history.publish(dataclasses.replace(each, last_success=flock.now))
    rings = flock.history._rings.values()
    taken = sum(sys.getsizeof(ring) + sys.getsizeof(ring.data) + 100 for ring in rings)  # 100: number and place
    assert taken <= BUDGET // 50
    assert flock.history.capacity >= 60  # a quarter of an hour
    assert len(flock.history.recent(100)) == flock.history.capacity


def test_a_clock_that_is_set_leaves_no_point_at_a_wrong_time(flock):
    flock.poll()
    flock.poll(2)
    flock.now += 40 * 365 * 86400.0
    flock.poll()
    assert [point.at for point in flock.history.recent(1)] == [pytest.approx(flock.now, abs=0.06)]
    assert flock.history.recent(2) == ()
    flock.poll()
    flock.poll(seconds=-7200.0)
    assert [point.at for point in flock.history.recent(1)] == [pytest.approx(flock.now, abs=0.06)]
    flock.poll(seconds=-3.0)
    times = [point.at for point in flock.history.recent(1)]
    assert times == sorted(times)


# --- one figure of many ---


@pytest.mark.parametrize(
    ("boards", "degrees"),
    [
        ((), None),
        ((Board("0"),), None),
        ((Board("0", temperatures=(Temperature("pcb", 50.0), Temperature("pcb2", 55.0))),), 55.0),
        ((Board("0", temperatures=(Temperature("pcb", 90.0),), chip_temperature_avg=60.0),), 60.0),
        ((Board("0", chip_temperature_max=70.0), Board("1", chip_temperature_max=81.0)), 81.0),
        ((Board("0", chips=(Chip("0", temperature=66.0), Chip("1"), Chip("2", temperature=64.0))),), 66.0),
    ],
)
def test_the_hottest_chip_else_board(boards, degrees):
    assert hottest(Reading(boards=boards)) == degrees


def test_the_fastest_fan():
    assert fastest_fan(READING) == 6000.0
    assert fastest_fan(Reading(fans=(Fan("0"),))) is None


# --- lines ---


def point(at, hashrate=None, accepted=None, up=True):
    return StatusPoint(at, up, None, hashrate, None, None, None, accepted, None)


def line(points, seconds, name="hashrate", interval=15.0):
    found = charts.lines_of(points, NOW, NOW + seconds, interval)
    assert [each.name for each in found] == ["hashrate", "temperature", "power", "fan_speed", "accepted"]
    assert [each.unit for each in found] == ["H/s", "degC", "W", "rpm", "1"]
    return next(each for each in found if each.name == name)


def test_few_points_are_shown_as_they_are():
    points = [point(NOW + 15.0 * number, float(number)) for number in range(60)]
    shown = line(points, 900.0)
    assert shown.points == tuple((each.at, each.hashrate) for each in points)
    assert shown.step == 15.0


def test_many_points_are_thinned_by_their_mean():
    points = [point(NOW + 15.0 * number, float(number)) for number in range(5760)]
    shown = line(points, 86400.0)
    assert len(shown.points) <= 300
    assert shown.step == 288.0
    assert statistics.fmean(value for _, value in shown.points) == pytest.approx(5759 / 2, rel=0.01)
    assert shown.points[0][1] == pytest.approx(9.0, abs=1.0)


def test_a_counter_is_thinned_to_its_last_value():
    points = [point(NOW + 15.0 * number, accepted=float(number)) for number in range(5760)]
    shown = line(points, 86400.0, "accepted")
    assert all(value == int(value) for _, value in shown.points)
    assert shown.points[-1][1] == 5759.0


@pytest.mark.parametrize("count", [100, 4000])
def test_a_gap_stays_a_gap(count):
    points = [point(NOW + 15.0 * number, 5.0) for number in range(count)]
    third = count // 3
    points[third : 2 * third] = [point(each.at, up=False) for each in points[third : 2 * third]]
    shown = line(points, 15.0 * count)
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(shown.points)]
    assert sum(gap > 3 * shown.step for gap in gaps) == 1
    assert {value for _, value in shown.points} == {5.0}


def test_what_lies_outside_the_range_is_left_out():
    points = [point(NOW - 10, 1.0), point(NOW + 10, 2.0), point(NOW + 5000, 3.0)]
    assert line(points, 900.0).points == ((NOW + 10, 2.0),)
    assert line([], 900.0).points == ()
