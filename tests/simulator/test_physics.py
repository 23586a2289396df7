"""The model of a miner: reproducible, bounded, and in agreement with itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.chance import HASHES_PER_DIFFICULTY, best_of, poisson, uniform, wander
from simulator.devices.bitaxe import Bitaxe
from simulator.devices.vnish import Vnish
from simulator.physics import NOISE, STARTING, WINDOW, Mode, Physics, Profile

BOOT = 1_780_000_000.0
SMALL = Bitaxe.models["gamma-2.12"]
LARGE = Vnish.models["s19jpro-1.2.6"]


def running(profile: Profile = SMALL, seed: int = 7, *, since: float = 86400.0) -> Physics:
    """A miner that has been running for a day at BOOT."""
    return Physics(profile, seed, BOOT - since, BOOT)


def test_same_seed_and_time_give_the_same_state() -> None:
    assert running().at(BOOT + 1234.0) == running().at(BOOT + 1234.0)


def test_the_way_to_a_time_does_not_matter() -> None:
    wanderer = running()
    for moment in (10.0, 3000.0, 5.0, 777.0):
        wanderer.at(BOOT + moment)
    assert wanderer.at(BOOT + 500.0) == running().at(BOOT + 500.0)


def test_another_seed_gives_another_miner() -> None:
    assert running(seed=1).at(BOOT + 60.0).hashrate != running(seed=2).at(BOOT + 60.0).hashrate


@given(seed=st.integers(0, 2**63), moment=st.floats(0, 40_000), profile=st.sampled_from([SMALL, LARGE]))
@settings(max_examples=60, deadline=None)
def test_figures_stay_in_bounds(seed: int, moment: float, profile: Profile) -> None:
    state = Physics(profile, seed, BOOT - 3600.0, BOOT).at(BOOT + moment)
    assert state.state == "mining"
    assert abs(state.hashrate - profile.hashrate) <= NOISE * profile.hashrate
    assert abs(state.power - profile.power) <= 0.02 * profile.power
    assert state.ambient < state.chip < 95.0
    assert 0.2 <= state.duty <= 1.0
    assert all(0.0 < speed <= profile.fan_max * 1.03 for speed in state.fans)
    for board in state.boards:
        assert board.chip_min <= board.chip_avg <= board.chip_max
        assert board.inlet <= board.outlet <= board.chip_max
    assert state.hashrate == pytest.approx(sum(board.hashrate for board in state.boards))
    assert state.hardware_errors == sum(board.hardware_errors for board in state.boards)
    assert state.session_best <= state.best
    assert state.last_share <= BOOT + moment


@given(seed=st.integers(0, 2**63), steps=st.lists(st.floats(0.1, 400.0), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_counters_never_fall(seed: int, steps: list[float]) -> None:
    physics = Physics(SMALL, seed, BOOT - 100.0, BOOT)
    moment = BOOT
    before = physics.at(moment)
    for step in steps:
        moment += step
        state = physics.at(moment)
        assert state.accepted >= before.accepted
        assert state.rejected >= before.rejected
        assert state.hardware_errors >= before.hardware_errors
        assert state.hashes >= before.hashes
        assert state.session_best >= before.session_best
        before = state


def test_shares_follow_hash_rate_and_difficulty() -> None:
    physics = running()
    first, last = physics.at(BOOT), physics.at(BOOT + 36_000.0)
    expected = SMALL.hashrate * 36_000.0 / (SMALL.difficulty * HASHES_PER_DIFFICULTY)
    assert last.accepted - first.accepted == pytest.approx(expected, rel=0.05)


def test_a_mode_changes_power_and_hash_rate_and_then_temperature() -> None:
    physics = running()
    before = physics.at(BOOT + 100.0)
    physics.set_mode("eco", BOOT + 100.0)
    at_once = physics.at(BOOT + 101.0)
    later = physics.at(BOOT + 1200.0)
    assert at_once.power < 0.75 * before.power
    assert at_once.expected == pytest.approx(0.8 * before.expected)
    assert at_once.chip == pytest.approx(before.chip, abs=1.0)
    assert later.duty < before.duty or later.chip < before.chip
    assert at_once.accepted >= before.accepted


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no mode 'turbo'; it has normal, eco"):
        running().set_mode("turbo", BOOT)


def test_tuning_hashes_less_until_it_is_done() -> None:
    profile = Profile("X", 1e12, 100.0, modes={"normal": Mode(), "high": Mode(1.2, 1.3, tuning=60.0)})
    physics = running(profile)
    physics.set_mode("high", BOOT)
    assert physics.at(BOOT + 30.0).state == "tuning"
    assert physics.at(BOOT + 30.0).expected == pytest.approx(0.96e12)
    assert physics.at(BOOT + 61.0).state == "mining"
    assert physics.at(BOOT + 61.0).expected == pytest.approx(1.2e12)


def test_pause_stops_hashing_and_saves_power() -> None:
    physics = running()
    physics.pause(BOOT + 50.0)
    state = physics.at(BOOT + 500.0)
    assert (state.state, state.hashrate, state.expected) == ("paused", 0.0, 0.0)
    assert state.power < 0.1 * SMALL.power
    assert state.accepted == physics.at(BOOT + 50.0).accepted
    assert state.average > 0.0
    physics.resume(BOOT + 500.0)
    assert physics.at(BOOT + 501.0).state == "starting"
    assert physics.at(BOOT + 560.0).state == "mining"


def test_reboot_counts_from_zero_but_remembers_the_best() -> None:
    physics = running()
    best = physics.at(BOOT + 10.0).best
    physics.reboot(BOOT + 10.0)
    state = physics.at(BOOT + 12.0)
    assert (state.uptime, state.accepted, state.session_best, state.state) == (2.0, 0, 0.0, "starting")
    assert state.best == best
    assert physics.at(BOOT + 11.0 + STARTING + 10 * WINDOW).accepted > 0


@pytest.mark.parametrize(("fault", "state"), [("fan", "mining"), ("overheat", "fault"), ("board", "mining")])
def test_hardware_faults(fault: str, state: str) -> None:
    physics = running(LARGE)
    healthy = physics.at(BOOT + 900.0)
    physics.fail(fault, BOOT)
    sick = physics.at(BOOT + 900.0)
    assert sick.state == state
    match fault:
        case "fan":
            assert sick.fans[0] == 0.0
            assert all(sick.fans[1:])
            assert sick.duty > healthy.duty
        case "overheat":
            assert sick.hashrate == 0.0
        case _:
            assert sick.boards[0].hashrate == 0.0
            assert sick.expected == pytest.approx(healthy.expected * 2 / 3)
    physics.fail(None, BOOT + 900.0)
    assert physics.at(BOOT + 1000.0).state == "mining"


def test_chance_is_a_function_of_its_keys() -> None:
    assert uniform(1, 2) == uniform(1, 2) != uniform(2, 1)
    assert all(0.0 < uniform(7, number) < 1.0 for number in range(1000))
    assert abs(sum(uniform(3, number) for number in range(4000)) / 4000 - 0.5) < 0.03
    assert all(-1.0 <= wander(number * 0.37, 5.0, 9) <= 1.0 for number in range(500))


@pytest.mark.parametrize("rate", [0.2, 3.0, 25.0, 400.0])
def test_poisson_has_its_mean_and_spread(rate: float) -> None:
    drawn = [poisson(rate, 5, number) for number in range(3000)]
    mean = sum(drawn) / len(drawn)
    spread = sum((value - mean) ** 2 for value in drawn) / len(drawn)
    assert mean == pytest.approx(rate, rel=0.1, abs=0.05)
    assert spread == pytest.approx(rate, rel=0.15, abs=0.05)


def test_best_share_grows_with_the_count() -> None:
    assert best_of(0, 1000.0, 1) == 0.0
    few = sorted(best_of(10, 1000.0, number) for number in range(300))
    many = sorted(best_of(1000, 1000.0, number) for number in range(300))
    assert few[0] >= 1000.0
    # The median of the best of n Pareto shares is about n / ln 2 difficulties.
    assert few[150] == pytest.approx(10 * 1000.0 / 0.693, rel=0.35)
    assert many[150] == pytest.approx(1000 * 1000.0 / 0.693, rel=0.35)
