"""What counters stepped by, and when nothing may be told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Pool, Reading
from exporter.shares.steps import look

URL = "stratum+tcp://pool.example:3333"


def pool(accepted=None, rejected=None, number="0", **more):
    return Pool(number, **{"url": URL, "user": "bc1q.worker", **more}, accepted=accepted, rejected=rejected)


def steps(first, second, seconds=15.0, uptime=(1000.0, 1015.0), gap=False):
    """The (accepted, rejected, difficulty) of each step between two readings of these pools."""
    seen, told = look(None, Reading(pools=first, uptime=uptime[0]), 5000.0)
    assert told == ()
    if gap:
        seen = seen.__class__(seen.at, seen.uptimes, seen.pools, seen.told, gap=True)
    _, told = look(seen, Reading(pools=second, uptime=uptime[1]), 5000.0 + seconds)
    return [(step.accepted, step.rejected, step.difficulty) for step in told]


def test_a_step_is_counted_pool_by_pool():
    before = (pool(10.0, 1.0), pool(5.0, 0.0, "1"), pool(7.0, 7.0, "2"))
    after = (pool(13.0, 1.0), pool(5.0, 2.0, "1"), pool(7.0, 7.0, "2"))
    assert steps(before, after) == [(3, 0, None), (0, 2, None)]


def test_the_credited_difficulty_is_that_of_the_step():
    before = (pool(10.0, 0.0, difficulty_accepted=1000.0),)
    assert steps(before, (pool(12.0, 0.0, difficulty_accepted=3048.0),)) == [(2, 0, 2048.0)]
    assert steps(before, (pool(12.0, 0.0, difficulty_accepted=1000.0),)) == [(2, 0, None)]
    assert steps(before, (pool(12.0, 0.0),)) == [(2, 0, None)]
    assert steps(before, (pool(10.0, 1.0, difficulty_accepted=3048.0),)) == [(0, 1, None)]


@pytest.mark.parametrize(
    ("after", "uptimes"),
    [
        ((pool(3.0, 1.0),), (1000.0, 1015.0)),  # the counter fell
        ((pool(12.0, 0.0),), (1000.0, 1015.0)),  # one of two fell
        ((pool(14.0, 1.0),), (1000.0, 4.0)),  # the device restarted
        ((pool(14.0, 1.0),), (3.0, 9.0)),  # it restarted again, and runs for longer than it had then
        ((pool(14.0, 1.0, url="stratum+tcp://other.example:3333"),), (1000.0, 1015.0)),
        ((pool(14.0, 1.0, user="bc1q.other"),), (1000.0, 1015.0)),
        ((pool(14.0, 1.0, "1"),), (1000.0, 1015.0)),  # a pool that was not there
        ((), (1000.0, 1015.0)),
        ((pool(),), (1000.0, 1015.0)),
        ((pool(1e12, 1.0),), (1000.0, 1015.0)),  # no miner does that
        ((pool(math.inf, 1.0),), (1000.0, 1015.0)),
        ((pool(math.nan, 1.0),), (1000.0, 1015.0)),
    ],
)
def test_what_cannot_be_known_is_left_out(after, uptimes):
    assert steps((pool(10.0, 1.0),), after, uptime=uptimes) == []


def test_the_pool_of_the_firmwares_developer_never_counts():
    assert steps((pool(10.0, fee=True),), (pool(20.0, fee=True),)) == []


def test_shares_of_an_outage_of_the_network_count_where_the_uptime_shows_that_the_device_ran_on():
    assert steps((pool(10.0),), (pool(90.0),), 3600.0, (1000.0, 4600.0), gap=True) == [(80, 0, None)]
    assert steps((pool(10.0),), (pool(90.0),), 3600.0, (1000.0, 3000.0), gap=True) == []
    assert steps((pool(10.0),), (pool(90.0),), 3600.0, (None, None), gap=True) == []
    assert steps((pool(10.0),), (pool(12.0),), 15.0, (None, None)) == [(2, 0, None)]


def test_a_restart_of_the_mining_program_alone_is_a_reset():
    seen, _ = look(None, Reading(pools=(pool(10.0),), uptime=9000.0, mining_uptime=800.0), 5000.0)
    _, told = look(seen, Reading(pools=(pool(11.0),), uptime=9015.0, mining_uptime=5.0), 5015.0)
    assert told == ()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5), st.booleans()), max_size=30))
def test_the_steps_of_a_run_add_up_to_what_was_submitted_between_looks_without_a_reset(polls):
    """A model of a device: each poll it has some more shares, or it has restarted meanwhile."""
    seen, at, uptime, accepted, rejected = None, 1000.0, 100.0, 0.0, 0.0
    wanted = told = (0, 0)
    for more, bad, restarted in polls:
        at += 15.0
        if restarted:
            uptime, accepted, rejected = 3.0, float(more), float(bad)
        else:
            uptime, accepted, rejected = uptime + 15.0, accepted + more, rejected + bad
            if seen is not None:
                wanted = (wanted[0] + more, wanted[1] + bad)
        seen, found = look(seen, Reading(pools=(pool(accepted, rejected),), uptime=uptime), at)
        for step in found:
            told = (told[0] + step.accepted, told[1] + step.rejected)
    assert told == wanted
