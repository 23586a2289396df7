"""Status, state and conditions of a USB board: every signal in every state, and what time does."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model_usb import LASTING, MILESTONES, MOMENTARY, UsbCondition, UsbState, UsbStatus, status_of
from exporter.protocols.nerdminer_events import BootMarker, Signal
from exporter.protocols.nerdminer_machine import EFFECTS, LOOP_BOOTS, LOOP_WINDOW, TRANSITIONS, UsbMachine

WORDS = [
    "Booting", "WORKER Started", "MINER HW Task Started", "CONNECTED IP", "DNS Resolved", "Mining Subscribe",
    "Mining Authorize", "Mining", "Not Connected",
]  # fmt: skip
WAY = (
    Signal.WORKER,
    Signal.HARDWARE,
    Signal.CONNECTED,
    Signal.DNS_RESOLVED,
    Signal.SUBSCRIBE,
    Signal.AUTHORIZE,
    Signal.JOB,
)


def booted(now=0.0):
    machine = UsbMachine(now)
    assert machine.boot(BootMarker.BANNER, None, now)
    return machine


def in_state(state):
    """A machine that has come to `state` on the usual way."""
    machine = booted()
    if state is UsbState.NOT_CONNECTED:
        machine.apply(Signal.UNPLUGGED, 1.0)
    for signal in WAY[: MILESTONES.index(state) if state in MILESTONES else 0]:
        machine.apply(signal, 1.0)
    assert machine.view.state is state
    return machine


def test_the_words():
    assert [state.value for state in UsbState] == WORDS
    assert [status.value for status in UsbStatus] == ["Inactive", "Initializing", "Active"]
    assert {*LASTING, *MOMENTARY} == set(UsbCondition)


def test_the_table_is_total():
    assert set(TRANSITIONS) == set(itertools.product(Signal, UsbState))
    assert set(EFFECTS) == set(Signal)
    for begin, end in EFFECTS.values():
        assert not begin & end


def test_nothing_leads_back_but_a_boot_and_the_plug():
    for (signal, state), target in TRANSITIONS.items():
        if signal is Signal.UNPLUGGED:
            assert target is UsbState.NOT_CONNECTED
        elif state is UsbState.NOT_CONNECTED:
            assert target is (UsbState.BOOTING if signal is Signal.PLUGGED else state)
        elif signal in (Signal.BOOT, Signal.DOWNLOAD, Signal.PLUGGED):
            assert target is UsbState.BOOTING
        else:
            assert MILESTONES.index(target) >= MILESTONES.index(state)


@pytest.mark.parametrize(("signal", "state"), TRANSITIONS, ids=lambda part: part.name)
def test_the_machine_obeys_the_table(signal, state):
    machine = in_state(state)
    if signal is Signal.BOOT:
        machine.boot(BootMarker.BANNER, None, 2.0)
    else:
        machine.apply(signal, 2.0)
    target = TRANSITIONS[signal, state]
    if signal is Signal.AUTHORIZE and state in MILESTONES[: MILESTONES.index(UsbState.AUTHORIZE)]:
        target = UsbState.AUTHORIZE
    assert machine.view.state is target
    assert machine.view.status is status_of(target)


def test_the_usual_way():
    machine = booted()
    seen = [machine.view.state.value]
    for moment, signal in enumerate(WAY, 1):
        machine.apply(signal, float(moment))
        seen.append(machine.view.state.value)
        assert machine.view.since == moment
    assert seen == WORDS[:-1]
    assert machine.view.status is UsbStatus.ACTIVE


@settings(deadline=None)
@given(st.permutations(WAY[:-1]))
def test_the_order_of_the_milestones_does_not_matter(order):
    machine = booted()
    for signal in order:
        machine.apply(signal, 1.0)
    assert machine.view.state is UsbState.AUTHORIZE
    machine.apply(Signal.JOB, 2.0)
    assert machine.view.status is UsbStatus.ACTIVE


@pytest.mark.parametrize("state", MILESTONES[:-1])
def test_a_hash_rate_proves_mining_wherever_lines_were_lost(state):
    machine = in_state(state)
    machine.apply(Signal.HASHING, 2.0)
    assert machine.view.status is UsbStatus.ACTIVE


def test_an_authorisation_that_was_sent_is_not_mining():
    machine = in_state(UsbState.AUTHORIZE)
    assert machine.view.status is UsbStatus.INITIALIZING
    machine.apply(Signal.AUTHORIZE_REFUSED, 2.0)
    assert machine.view.status is UsbStatus.INITIALIZING
    assert machine.view.conditions == {UsbCondition.AUTHORIZE_REFUSED}
    machine.apply(Signal.AUTHORIZE_ACCEPTED, 3.0)
    assert machine.view.status is UsbStatus.ACTIVE
    assert not machine.view.conditions


def test_a_job_before_the_authorisation_counts_once_it_was_sent():
    machine = in_state(UsbState.SUBSCRIBE)
    machine.apply(Signal.JOB, 2.0)
    assert machine.view.state is UsbState.SUBSCRIBE
    machine.apply(Signal.AUTHORIZE, 3.0)
    assert machine.view.state is UsbState.MINING


def test_a_job_of_the_last_session_does_not_count():
    machine = in_state(UsbState.SUBSCRIBE)
    machine.apply(Signal.JOB, 2.0)
    machine.apply(Signal.SUBSCRIBE, 3.0)
    machine.apply(Signal.AUTHORIZE, 4.0)
    assert machine.view.state is UsbState.AUTHORIZE


@pytest.mark.parametrize("signal", [Signal.JOB, Signal.SHARE_ACCEPTED, Signal.HASHING, Signal.BLOCK_FOUND])
def test_a_board_that_mined_already_is_active_by_its_evidence(signal):
    machine = UsbMachine(5.0)
    assert (machine.view.status, machine.view.state) == (UsbStatus.INITIALIZING, UsbState.BOOTING)
    machine.apply(signal, 6.0)
    assert machine.view.status is UsbStatus.ACTIVE
    assert machine.view.boots == 0


def test_the_marks_of_one_boot_count_once():
    for marks in ([0, 1, 2], [0, 2], [1, 2], [2], [0], [0, 1]):
        machine = UsbMachine()
        assert [machine.boot(BootMarker(mark), None, 1.0) for mark in marks] == [True] + [False] * (len(marks) - 1)
        assert machine.view.boots == 1


@pytest.mark.parametrize("marks", [[0, 0], [0, 1, 0], [0, 1, 1], [2, 0], [2, 2], [1, 2, 1, 2]])
def test_a_mark_that_comes_again_is_another_boot(marks):
    machine = UsbMachine()
    for mark in marks:
        machine.boot(BootMarker(mark), None, 1.0)
    assert machine.view.boots == 2


def test_a_start_after_work_is_another_boot():
    machine = booted()
    machine.apply(Signal.WORKER, 1.0)
    assert machine.boot(BootMarker.START, None, 2.0)
    assert (machine.view.boots, machine.view.state, machine.view.since) == (2, UsbState.BOOTING, 2.0)


def test_a_boot_ends_everything_but_what_it_may_be_the_sign_of():
    machine = in_state(UsbState.CONNECTED_IP)
    for signal in (Signal.PORTAL, Signal.DNS_FAILED, Signal.POOL_UNREACHABLE, Signal.NO_CONFIG, Signal.CRASH):
        machine.apply(signal, 2.0)
    machine.boot(BootMarker.BANNER, None, 3.0)
    assert machine.view.conditions == {UsbCondition.CRASHED}
    assert {UsbCondition.SETUP_PORTAL, UsbCondition.NO_CONFIG} < machine.view.seen


@pytest.mark.parametrize("reason", ["TG1WDT_SYS_RESET", "RTCWDT_BROWN_OUT_RESET", "RTCWDT_RTC_RESET"])
def test_a_reset_by_a_watchdog_is_a_crash(reason):
    machine = booted()
    machine.boot(BootMarker.RESET, reason, 1.0)
    assert machine.view.conditions == {UsbCondition.CRASHED}
    for signal in WAY:
        machine.apply(signal, 2.0)
    assert not machine.view.conditions


@pytest.mark.parametrize("reason", ["POWERON_RESET", "SW_CPU_RESET", "USB_UART_CHIP_RESET", None])
def test_other_resets_are_none(reason):
    machine = booted()
    machine.boot(BootMarker.RESET, reason, 1.0)
    assert not machine.view.conditions


@pytest.mark.parametrize("signal", [Signal.POOL_ERROR, Signal.SUBSCRIBE_ABORTED, Signal.CONFIG_WIPED])
def test_what_happens_in_a_moment_is_remembered_and_does_not_last(signal):
    machine = booted()
    machine.apply(signal, 1.0)
    assert not machine.view.conditions
    assert {condition.value for condition in machine.view.seen} == {signal.value}


def test_boots_without_mining_are_a_loop_for_as_long_as_the_window():
    machine = booted()
    for moment in range(1, LOOP_BOOTS):
        machine.boot(BootMarker.BANNER, None, float(moment))
        assert not machine.view.conditions
    machine.boot(BootMarker.BANNER, None, 100.0)
    assert machine.view.conditions == {UsbCondition.BOOT_LOOP}
    machine.tick(1.0 + LOOP_WINDOW)
    assert machine.view.conditions == {UsbCondition.BOOT_LOOP}
    machine.tick(1.5 + LOOP_WINDOW)
    assert not machine.view.conditions


def test_slow_boots_are_no_loop():
    machine = booted()
    for number in range(1, 20):
        machine.boot(BootMarker.BANNER, None, number * LOOP_WINDOW / 2 + number)
        assert not machine.view.conditions


def test_a_board_without_its_wifi_is_a_loop():
    """It restarts every 220 seconds."""
    machine = booted()
    for number in range(1, 4):
        machine.boot(BootMarker.BANNER, None, number * 220.0)
    assert UsbCondition.BOOT_LOOP in machine.view.conditions


def test_mining_ends_a_loop():
    machine = booted()
    for moment in range(1, 6):
        machine.boot(BootMarker.BANNER, None, float(moment))
    machine.apply(Signal.HASHING, 7.0)
    assert not machine.view.conditions
    machine.boot(BootMarker.BANNER, None, 8.0)
    machine.boot(BootMarker.BANNER, None, 9.0)
    assert not machine.view.conditions


def test_boots_of_a_mining_board_are_no_loop():
    machine = booted()
    for number in range(10):
        machine.apply(Signal.HASHING, float(number))
        machine.boot(BootMarker.BANNER, None, float(number))
    assert not machine.view.conditions
    assert machine.view.boots == 11


def test_the_plug():
    machine = in_state(UsbState.MINING)
    machine.apply(Signal.CRASH, 2.0)
    machine.apply(Signal.UNPLUGGED, 3.0)
    view = machine.view
    assert (view.status, view.state, view.since) == (UsbStatus.INACTIVE, UsbState.NOT_CONNECTED, 3.0)
    assert not view.conditions
    machine.boot(BootMarker.BANNER, "TG1WDT_SYS_RESET", 4.0)
    machine.apply(Signal.HASHING, 4.0)
    machine.tick(4.0)
    assert machine.view is view
    machine.apply(Signal.PLUGGED, 5.0)
    assert (machine.view.status, machine.view.state) == (UsbStatus.INITIALIZING, UsbState.BOOTING)
    assert (machine.view.since, machine.view.boots, machine.view.seen) == (5.0, 1, frozenset())


def test_the_view_is_the_same_until_something_changes():
    machine = in_state(UsbState.MINING)
    view = machine.view
    for _ in range(3):
        machine.apply(Signal.HASHING, 9.0)
        machine.apply(Signal.JOB, 9.0)
        machine.tick(9.0)
    assert machine.view is view


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([*Signal, *BootMarker]), max_size=60))
def test_any_sequence_keeps_the_view_consistent(sequence):
    machine = UsbMachine()
    for moment, step in enumerate(sequence):
        if isinstance(step, BootMarker):
            machine.boot(step, None, float(moment))
        elif step is not Signal.BOOT:
            machine.apply(step, float(moment))
        view = machine.view
        assert view.status is status_of(view.state)
        assert view.conditions <= view.seen
        assert not view.conditions & MOMENTARY
        assert view.since <= moment
