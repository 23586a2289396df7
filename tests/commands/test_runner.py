"""How a plan is carried out, over a scripted miner."""

import asyncio

import pytest

from exporter.drivers.api import Answer, Answers, HttpRequest
from exporter.drivers.commands import CommandRefused, Plan, Write
from exporter.engine.commanding.runner import Runner
from exporter.errors import AuthError, ConnectionRefused, DecodeError, RequestTimeoutError
from exporter.model import Reading
from exporter.units import seconds

RESTART = HttpRequest("/restart", method="POST")
INFO = HttpRequest("/info")
BEFORE = Reading(uptime=seconds(500.0))
AFTER = Reading(uptime=seconds(3.0))


class ScriptedMiner:
    """Answers writes and looks from lists; an error in a list is raised."""

    def __init__(self, *, writes=(), looks=(), asks=()):
        self.script = {"write": list(writes), "look": list(looks), "ask": list(asks)}
        self.sent = []
        self.looked_for = []

    def _next(self, kind):
        entry = self.script[kind].pop(0)
        if isinstance(entry, Exception):
            raise entry
        return entry

    async def ask(self, requests):
        return Answers({request.key: self._next("ask") for request in requests})

    async def write(self, write):
        self.sent.append(write.request.key)
        return self._next("write")

    async def look(self, reads):
        self.looked_for.append(reads)
        entry = self._next("look") if self.script["look"] else None
        return entry, Answers({})


def plan(**changes):
    defaults = {
        "effect": "It restarts.",
        "writes": lambda _: (Write(RESTART),),
        "confirmed": lambda evidence: evidence.went_away,
        "limit_seconds": 0.05,
        "settle_seconds": 0.0,
    }
    return Plan(**{**defaults, **changes})


def run(miner, a_plan, before=BEFORE):
    return asyncio.run(Runner(miner, None, trusted=True).run(a_plan, before))


def test_an_effect_that_is_seen_confirms():
    miner = ScriptedMiner(writes=[Answer(b"{}")], looks=[AFTER])
    outcome = run(miner, plan(confirm_reads=(INFO,)))
    assert (outcome.state, outcome.after) == ("confirmed", AFTER)
    assert miner.sent == ["POST /restart"]
    assert miner.looked_for == [(INFO,)]


def test_a_miner_that_goes_away_and_comes_back_is_waited_for():
    miner = ScriptedMiner(writes=[None], looks=[None, AFTER])
    outcome = run(miner, plan(goes_away=True, limit_seconds=5.0, writes=lambda _: (Write(RESTART, answers=False),)))
    assert outcome.state == "confirmed"


def test_yes_without_an_effect_is_unconfirmed():
    miner = ScriptedMiner(writes=[Answer(b"{}")], looks=[BEFORE] * 50)
    outcome = run(miner, plan())
    assert outcome.state == "unconfirmed"
    assert "0.05 s" in outcome.words


def test_a_miner_that_stays_away_has_failed():
    outcome = run(ScriptedMiner(writes=[Answer(b"{}")]), plan())
    assert outcome.state == "failed"
    assert "did not answer again" in outcome.words


@pytest.mark.parametrize("status", [400, 409, 500])
def test_a_status_that_is_no_success_is_a_refusal_in_the_devices_words(status):
    miner = ScriptedMiner(writes=[Answer(b'{"err": "not while tuning"}', status=status)])
    outcome = run(miner, plan())
    assert outcome.state == "refused"
    assert "not while tuning" in outcome.words
    assert miner.looked_for == []


def test_the_drivers_check_finds_a_refusal_in_a_success():
    def check(answers):
        raise CommandRefused(answers.document("POST /restart")["msg"])

    miner = ScriptedMiner(writes=[Answer(b'{"msg": "calibrating"}')])
    outcome = run(miner, plan(check=check))
    assert (outcome.state, outcome.words) == ("refused", "calibrating")


def test_a_refused_write_is_not_followed_by_the_next_one():
    def check(answer):
        if b"no" in answer.body:
            raise CommandRefused("the pool was not taken")

    both = plan(writes=lambda _: (Write(HttpRequest("/pool", method="PUT"), check=check), Write(RESTART)))
    miner = ScriptedMiner(writes=[Answer(b"no")])
    outcome = run(miner, both)
    assert (outcome.state, outcome.words) == ("refused", "the pool was not taken")
    assert miner.sent == ["PUT /pool"]
    miner = ScriptedMiner(writes=[Answer(b"yes"), Answer(b"")], looks=[AFTER])
    assert run(miner, both).state == "confirmed"
    assert miner.sent == ["PUT /pool", "POST /restart"]


def test_a_wrong_password_is_a_refusal_and_nothing_more_is_sent():
    miner = ScriptedMiner(writes=[AuthError("wrong password")])
    outcome = run(miner, plan(writes=lambda _: (Write(RESTART, repeatable=True), Write(RESTART))))
    assert (outcome.state, outcome.words) == ("refused", "wrong password")
    assert len(miner.sent) == 1


def test_a_write_that_may_have_acted_is_not_repeated_but_its_effect_is_looked_for():
    miner = ScriptedMiner(writes=[RequestTimeoutError("no answer")], looks=[AFTER])
    assert run(miner, plan()).state == "confirmed"
    assert len(miner.sent) == 1
    miner = ScriptedMiner(writes=[RequestTimeoutError("no answer")], looks=[BEFORE] * 50)
    outcome = run(miner, plan())
    assert (outcome.state, outcome.words) == ("failed", "no answer")
    assert len(miner.sent) == 1


def test_a_write_that_is_safe_to_repeat_is_repeated_once():
    miner = ScriptedMiner(writes=[RequestTimeoutError("lost"), Answer(b"{}")], looks=[AFTER])
    outcome = run(miner, plan(writes=lambda _: (Write(RESTART, repeatable=True),)))
    assert outcome.state == "confirmed"
    assert len(miner.sent) == 2


def test_a_write_that_was_not_sent_has_failed_at_once():
    miner = ScriptedMiner(writes=[ConnectionRefused("nobody listens")])
    outcome = run(miner, plan())
    assert (outcome.state, outcome.words) == ("failed", "nobody listens")
    assert miner.looked_for == []


def test_what_is_written_may_depend_on_what_was_read():
    def writes(answers):
        assert answers.document("GET /info") == {"slot": 2}
        return (Write(HttpRequest("/pools/2", method="PUT")),)

    miner = ScriptedMiner(asks=[Answer(b'{"slot": 2}')], writes=[Answer(b"{}")], looks=[AFTER])
    assert run(miner, plan(reads=(INFO,), writes=writes)).state == "confirmed"
    assert miner.sent == ["PUT /pools/2"]


def test_a_failed_read_sends_nothing():
    miner = ScriptedMiner(asks=[DecodeError("garbage")])
    outcome = run(miner, plan(reads=(INFO,)))
    assert (outcome.state, outcome.words) == ("failed", "garbage")
    assert miner.sent == []


def test_a_driver_that_fails_while_confirming_ends_its_own_command():
    def confirmed(evidence):
        raise ZeroDivisionError

    miner = ScriptedMiner(writes=[Answer(b"{}")], looks=[AFTER])
    outcome = run(miner, plan(confirmed=confirmed))
    assert outcome.state == "failed"
    assert "ZeroDivisionError" in outcome.words


def test_an_answer_that_is_cut_short_meanwhile_is_no_end():
    told = iter([DecodeError("cut short"), None])

    def confirmed(evidence):
        error = next(told)
        if error is not None:
            raise error
        return True

    miner = ScriptedMiner(writes=[Answer(b"{}")], looks=[AFTER, AFTER])
    assert run(miner, plan(confirmed=confirmed, limit_seconds=5.0)).state == "confirmed"


def test_where_nothing_shows_the_effect_only_the_devices_yes_counts():
    blind = plan(confirmed=lambda _: True, visible=False)
    assert run(ScriptedMiner(writes=[Answer(b"{}")], looks=[AFTER]), blind).state == "confirmed"
    outcome = run(ScriptedMiner(writes=[RequestTimeoutError("no answer")], looks=[AFTER]), blind)
    assert (outcome.state, outcome.words) == ("failed", "no answer")


CHANGE = HttpRequest("/settings", method="PATCH")


def two_writes(**changes):
    return plan(writes=lambda _: (Write(CHANGE), Write(RESTART)), **changes)


def test_a_refused_write_keeps_back_those_behind_it():
    miner = ScriptedMiner(writes=[Answer(b"no such pool", status=400), Answer(b"{}")])
    outcome = run(miner, two_writes())
    assert (outcome.state, outcome.words) == ("refused", "no such pool")
    assert miner.sent == ["PATCH /settings"]


def test_a_write_in_doubt_keeps_back_those_behind_it():
    miner = ScriptedMiner(writes=[RequestTimeoutError("no answer"), Answer(b"{}")], looks=[BEFORE] * 50)
    assert run(miner, two_writes()).state == "failed"
    assert miner.sent == ["PATCH /settings"]


def test_the_check_of_a_plan_is_not_asked_about_answers_that_never_came():
    def check(answers):
        answers.document("POST /restart")

    miner = ScriptedMiner(writes=[RequestTimeoutError("no answer")], looks=[AFTER])
    assert run(miner, plan(check=check)).state == "confirmed"


@pytest.mark.parametrize("writes", [None, "POST /restart", ("POST /restart",)])
def test_writes_that_are_none_are_not_sent(writes):
    miner = ScriptedMiner()
    outcome = run(miner, plan(writes=lambda _: writes))
    assert (outcome.state, miner.sent) == ("failed", [])
