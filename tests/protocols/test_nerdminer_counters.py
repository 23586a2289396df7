"""Counters over boots, wraps and lost bytes; shares by their request numbers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.protocols.nerdminer_counters import WRAP_32_BIT, BestDifficulty, MonotoneCounter
from exporter.protocols.nerdminer_events import Method, PoolError, Reply, Sent, Signal
from exporter.protocols.nerdminer_shares import ShareEvent, ShareLedger

BOOT = "boot"


def totals(*values, saved=False, step=1000.0):
    counter = MonotoneCounter(step)
    found = []
    for value in values:
        if value == BOOT:
            counter.restarted()
        else:
            found.append(counter.observe(float(value), saved=saved))
    return found


def test_the_first_figure_is_the_devices_own():
    assert MonotoneCounter(10.0).total is None
    assert totals(123456) == [123456]


def test_it_grows_with_the_device():
    assert totals(100, 100, 350, 351) == [100, 100, 350, 351]


def test_a_boot_begins_at_zero():
    assert totals(900, BOOT, 5, 20) == [900, 905, 920]
    assert totals(5, BOOT, 500, 600) == [5, 505, 605]


def test_a_board_that_saves_goes_on_where_it_saved():
    assert totals(900, BOOT, 910, 920, saved=True) == [900, 910, 920]
    assert totals(900, BOOT, 850, 870, saved=True) == [900, 900, 920]


def test_a_boot_that_nobody_saw_counts_once_it_is_sure():
    assert totals(900, 3, 10, 11) == [900, 900, 910, 911]


def test_digits_that_were_lost_do_not_count():
    assert totals(143903, 1439, 144003) == [143903, 143903, 144003]
    assert totals(143903, 143944003, 144003) == [143903, 143903, 144003]


def test_a_long_silence_counts_once_it_is_sure():
    assert totals(100, 90000, 90050) == [100, 100, 90050]


def test_it_wraps_at_32_bit():
    before = WRAP_32_BIT - 100
    assert totals(before, 50, 80, 400) == [before, before, before + 180, before + 500]


def test_a_boot_near_the_wrap_is_a_boot():
    before = WRAP_32_BIT - 100
    assert totals(before, BOOT, 50) == [before, before + 50]


@settings(deadline=None)
@given(st.lists(st.one_of(st.just(BOOT), st.floats(0, 2**32)), max_size=40), st.booleans())
def test_it_never_falls(values, saved):
    found = totals(*values, saved=saved)
    assert found == sorted(found)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 1000), max_size=40))
def test_it_follows_an_honest_counter_over_every_wrap(start, steps):
    """Each figure stands for two seconds, so that a wrap is confirmed."""
    counter, value, real = MonotoneCounter(1000.0), start, start
    counter.observe(float(start))
    for step in steps:
        value, real = (value + step) % 2**32, real + step
        counter.observe(float(value))
        assert counter.observe(float(value)) == real


def test_the_best_difficulty_is_kept_once_it_stood():
    best = BestDifficulty()
    assert best.value is None
    for value in (0.5, 0.5, 2.0):
        best.observe(value)
    assert best.value == 2.0
    best.observe(2000.0)
    assert best.value == 2000.0
    best.observe(2.0)
    best.observe(2.0)
    assert best.value == 2.0
    best.restarted()
    best.observe(0.1)
    assert best.value == 2.0


# --- shares ----------------------------------------------------------------------------------------------------------


def submitted(*numbers):
    ledger = ShareLedger()
    ledger.session_began()
    ledger.pool_difficulty = 0.5
    for number in numbers:
        ledger.sent(Sent(Method.SUBMIT, number))
        ledger.share_difficulty(number / 10)
    return ledger


def test_a_share_is_accepted():
    ledger = submitted(4)
    assert ledger.reply(Reply(4, True), 100.0) == (Signal.SHARE_ACCEPTED,)
    assert ledger.take() == (ShareEvent(100.0, 0.4, True),)
    assert ledger.take() == ()
    assert (ledger.accepted, ledger.rejected, ledger.last_accepted, ledger.difficulty_accepted) == (1, 0, 100.0, 0.5)


def test_a_share_is_rejected_once():
    ledger = submitted(4)
    assert ledger.reply(Reply(4, False, 21, "Job not found"), 100.0) == (Signal.POOL_ERROR,)
    assert ledger.error(PoolError(21, "Job not found")) == (Signal.POOL_ERROR,)
    ledger.refused(4, 100.0)
    assert ledger.take() == (ShareEvent(100.0, 0.4, False, "Job not found"),)
    assert (ledger.accepted, ledger.rejected, ledger.last_reason) == (0, 1, "Job not found")
    assert ledger.last_accepted is None


def test_a_reply_that_was_lost_is_replaced_by_the_firmwares_words():
    ledger = submitted(4)
    ledger.error(PoolError(23, "Low difficulty"))
    ledger.refused(4, 100.0)
    assert ledger.take() == (ShareEvent(100.0, 0.4, False, "Low difficulty"),)


def test_replies_to_other_requests_are_no_shares():
    ledger = submitted(4)
    ledger.sent(Sent(Method.OTHER, 5))
    assert ledger.reply(Reply(5, True), 1.0) == ()
    assert ledger.reply(Reply(77, False), 1.0) == ()
    assert (ledger.accepted, ledger.rejected, ledger.take()) == (0, 0, ())


def test_a_submission_whose_line_was_lost_is_known_by_its_difficulty():
    ledger = submitted()
    ledger.sent(Sent(Method.OTHER, 5))
    ledger.share_difficulty(0.7)
    assert ledger.reply(Reply(1, True), 1.0) == ()
    assert ledger.reply(Reply(5, True), 1.0) == ()
    assert ledger.reply(Reply(6, True), 1.0) == (Signal.SHARE_ACCEPTED,)
    assert ledger.reply(Reply(6, True), 1.0) == ()
    assert ledger.reply(Reply(7, True), 1.0) == ()
    assert ledger.take() == (ShareEvent(1.0, 0.7, True),)


def test_a_false_result_is_no_acceptance():
    """The firmware counts it as one."""
    ledger = submitted(4)
    ledger.reply(Reply(4, False), 1.0)
    assert ledger.rejected == 1


def test_two_open_shares_keep_their_difficulties():
    ledger = submitted(4, 5)
    ledger.reply(Reply(5, True), 1.0)
    ledger.reply(Reply(4, True), 2.0)
    assert [share.difficulty for share in ledger.take()] == [0.5, 0.4]


def test_the_authorisation_is_the_second_request():
    ledger = ShareLedger()
    assert ledger.reply(Reply(2, True), 1.0) == ()
    ledger.session_began()
    assert ledger.reply(Reply(1, True), 1.0) == ()
    assert ledger.reply(Reply(2, True), 1.0) == (Signal.AUTHORIZE_ACCEPTED,)
    assert ledger.reply(Reply(2, True), 1.0) == ()
    ledger.sent(Sent(Method.AUTHORIZE, 7, user="w"))
    assert ledger.reply(Reply(7, False, 24, "Unauthorized"), 1.0) == (Signal.AUTHORIZE_REFUSED,)


def test_a_worker_refused_with_its_share():
    ledger = submitted(4)
    assert ledger.reply(Reply(4, False, 24, "Unauthorized worker"), 1.0) == (
        Signal.POOL_ERROR,
        Signal.AUTHORIZE_REFUSED,
    )
    assert ledger.error(PoolError(24, "Unauthorized worker")) == (Signal.POOL_ERROR, Signal.AUTHORIZE_REFUSED)


def test_a_new_session_forgets_open_shares():
    ledger = submitted(4)
    ledger.session_began()
    ledger.reply(Reply(4, True), 1.0)
    assert ledger.accepted == 0


@pytest.mark.parametrize("method", [Method.SUBMIT, Method.AUTHORIZE])
def test_a_request_without_a_number_is_nothing(method):
    ledger = submitted()
    ledger.sent(Sent(method))
    assert ledger.reply(Reply(0, True), 1.0) == ()


def test_an_unknown_target_makes_the_sum_unknown():
    ledger = submitted(4, 5)
    ledger.pool_difficulty = None
    ledger.reply(Reply(4, True), 1.0)
    ledger.pool_difficulty = 1.0
    ledger.reply(Reply(5, True), 1.0)
    assert (ledger.accepted, ledger.difficulty_accepted) == (2, None)


def test_what_nobody_takes_stays_bounded():
    ledger = ShareLedger()
    for number in range(5000):
        ledger.sent(Sent(Method.SUBMIT, number))
    for number in range(5000):
        ledger.reply(Reply(number, True), 1.0)
    assert ledger.accepted == 64
    for number in range(5000, 9000):
        ledger.sent(Sent(Method.SUBMIT, number))
        ledger.reply(Reply(number, True), 1.0)
    assert len(ledger.take()) == 1000
