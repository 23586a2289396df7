"""Commands over the plain CGMiner API: the bytes, the answers that mean no, and the effect on simulated programs."""

import asyncio
import dataclasses

import pytest

from exporter.drivers.api import Answers
from exporter.drivers.bundled.cgminer_driver import CgminerDriver
from exporter.drivers.commands import CommandRefused, Evidence, PoolSetting, Restarts, SetsPool
from exporter.errors import DecodeError, ProtocolError
from exporter.model import Pool, Reading
from exporter.units import seconds
from tests.commands.rpc_miner import RUNNING, commanded, context_of, reply, sent, told

DRIVER = CgminerDriver()
POOL = PoolSetting(0, "stratum+tcp://pool.example:3333", "wallet.rig", "pool-secret")
TEXT = {"api": "text"}


def answers(*pools):
    rows = [{"POOL": number, "URL": url, "User": user} for number, (url, user) in enumerate(pools)]
    status = [{"STATUS": "S", "When": 1, "Code": 7, "Msg": f"{len(rows)} Pool(s)", "Description": "cgminer 4.12.0"}]
    return Answers({"rpc pools": reply({"STATUS": status, "POOLS": rows, "id": 1})})


def writes(setting, found, **details):
    return DRIVER.set_pool(setting, context_of(details=details)).writes(found)


def status(letter, code, words):
    return reply({"STATUS": [{"STATUS": letter, "When": 1, "Code": code, "Msg": words, "Description": "x"}], "id": 1})


ONE_POOL = answers(("stratum+tcp://old.example:3333", "wallet.rig"))


def test_the_driver_offers_its_commands_by_its_methods():
    assert isinstance(DRIVER, Restarts)
    assert isinstance(DRIVER, SetsPool)
    assert DRIVER.pool_rules(context_of()).slots == 1


# --- the bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("details", "expected"), [({}, b'{"command":"restart"}'), (TEXT, b"restart")])
def test_restart(details, expected):
    plan = DRIVER.restart(context_of(details=details))
    (write,) = plan.writes(Answers({}))
    assert sent(write) == expected
    assert (write.repeatable, write.answers) == (False, False)


def test_a_new_pool_is_added_and_switched_to():
    add, switch = writes(POOL, ONE_POOL)
    assert sent(add) == (b'{"command":"addpool","parameter":"stratum+tcp://pool.example:3333,wallet.rig,pool-secret"}')
    assert sent(switch) == b'{"command":"switchpool","parameter":"1"}'
    assert (add.repeatable, switch.repeatable) == (False, True)
    assert add.request.key == "rpc addpool"


def test_the_text_form_for_programs_that_know_no_other():
    add, switch = writes(POOL, ONE_POOL, **TEXT)
    assert sent(add) == b"addpool|stratum+tcp://pool.example:3333,wallet.rig,pool-secret"
    assert sent(switch) == b"switchpool|1"


def test_commas_and_backslashes_are_escaped_as_the_api_wants_it():
    add, _ = writes(dataclasses.replace(POOL, user="dom\\wallet,1", password="d=1,c"), ONE_POOL, **TEXT)
    assert sent(add) == rb"addpool|stratum+tcp://pool.example:3333,dom\\wallet\,1,d=1\,c"
    add, _ = writes(dataclasses.replace(POOL, user="dom\\wallet,1", password="x"), ONE_POOL)
    assert sent(add) == (rb'{"command":"addpool","parameter":"stratum+tcp://pool.example:3333,dom\\\\wallet\\,1,x"}')


def test_a_pool_that_is_there_is_switched_to_and_not_added_again():
    found = answers(("stratum+tcp://old.example:3333", "wallet.rig"), (POOL.url, POOL.user))
    (switch,) = writes(POOL, found)
    assert sent(switch) == b'{"command":"switchpool","parameter":"1"}'


def test_the_first_pool_of_a_program_without_any():
    found = Answers({"rpc pools": status("E", 8, "No pools")})
    assert sent(writes(POOL, found)[1]) == b'{"command":"switchpool","parameter":"0"}'


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["Whatsminer", "LuxOS", "Braiins OS", "Auradine"])
def test_families_with_a_way_of_their_own_are_left_alone(family):
    context = context_of(details={"family": family})
    assert DRIVER.pool_rules(context).slots == 0
    for command in (DRIVER.restart, lambda one: DRIVER.set_pool(POOL, one)):
        with pytest.raises(CommandRefused, match=family):
            command(context)


def test_an_empty_pool_password_and_overlong_values_are_refused():
    with pytest.raises(CommandRefused, match="empty pool password"):
        DRIVER.set_pool(dataclasses.replace(POOL, password=""), context_of())
    with pytest.raises(CommandRefused, match="too long"):
        DRIVER.set_pool(dataclasses.replace(POOL, user="," * 2500), context_of())


def test_without_a_reading_nothing_is_begun():
    for command in (DRIVER.restart, lambda one: DRIVER.set_pool(POOL, one)):
        with pytest.raises(CommandRefused, match="not been read"):
            command(context_of(reading=None))


def test_denied_access_says_how_it_is_given():
    for write in (*writes(POOL, ONE_POOL), *DRIVER.restart(context_of()).writes(Answers({}))):
        with pytest.raises(CommandRefused, match="--api-allow W:"):
            write.check(status("E", 45, "Access denied to 'addpool' command"))


@pytest.mark.parametrize("password", ["pool-secret", "pool,secret", "pool\\secret"])
def test_a_refusal_that_quotes_the_request_tells_no_password(password):
    add, _ = writes(dataclasses.replace(POOL, password=password), ONE_POOL)
    quoted = add.request.parameter
    for words in (f"Invalid addpool details '{quoted}'", f"bad password {password}"):
        with pytest.raises(CommandRefused) as caught:
            add.check(status("E", 53, words))
        assert "secret" not in str(caught.value)
        assert "***" in str(caught.value)


def test_a_pool_under_an_unexpected_number_is_not_switched_to():
    add, _ = writes(POOL, ONE_POOL)
    add.check(status("S", 55, "Added pool 1: 'stratum+tcp://pool.example:3333'"))
    with pytest.raises(DecodeError, match="number 2 where 1"):
        add.check(status("S", 55, "Added pool 2: 'stratum+tcp://pool.example:3333'"))
    with pytest.raises(ProtocolError, match="nothing was switched"):
        add.check(reply({"id": 1}))


def test_the_answer_to_a_restart_is_no_refusal():
    (write,) = DRIVER.restart(context_of()).writes(Answers({}))
    write.check(told(b'{"STATUS":"RESTART","id":1}'))


# --- effects on simulated programs ---------------------------------------------------------------------------------


def story(model, steps, **details):
    async def run():
        async with commanded(CgminerDriver, "cgminer", model, details=details) as miner:
            await steps(miner)

    asyncio.run(run())


@pytest.mark.parametrize("details", [{}, TEXT])
def test_simulated_restart_counts_from_zero(details):
    async def steps(miner):
        before = (await miner.look()).mining_uptime
        outcome = await miner.run(lambda driver, context: driver.restart(context))
        assert outcome.state == "confirmed"
        assert outcome.after.mining_uptime < before
        assert (miner.truth["writes"], miner.truth["unexpected_writes"]) == (["rpc restart"], [])

    story("cgminer-open", steps, **details)


@pytest.mark.parametrize("details", [{}, TEXT])
def test_simulated_pool_becomes_the_first_and_the_others_stay(details):
    async def steps(miner):
        before = (await miner.look()).pools
        outcome = await miner.run(lambda driver, context: driver.set_pool(POOL, context))
        assert outcome.state == "confirmed"
        assert [pool.url for pool in outcome.after.pools] == [*(pool.url for pool in before), POOL.url]
        (active,) = (pool for pool in outcome.after.pools if pool.active)
        assert (active.url, active.user) == (POOL.url, POOL.user)
        again = PoolSetting(0, before[1].url, before[1].user)
        assert (await miner.run(lambda driver, context: driver.set_pool(again, context))).state == "confirmed"
        assert miner.truth["writes"] == [
            "rpc addpool|stratum+tcp://pool.example:3333,wallet.rig,***",
            "rpc switchpool|2",
            "rpc switchpool|1",
        ]
        assert miner.truth["unexpected_writes"] == []

    story("cgminer-open", steps, **details)


def test_simulated_pool_with_a_comma_arrives_whole():
    setting = dataclasses.replace(POOL, user="wallet\\a,rig", password="d=1,x")

    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.set_pool(setting, context))
        assert outcome.state == "confirmed"
        assert outcome.after.pools[-1].user == setting.user

    story("cgminer-open", steps)


def test_a_program_that_grants_no_access_changes_nothing():
    async def steps(miner):
        for command in (
            lambda driver, context: driver.set_pool(POOL, context),
            lambda driver, context: driver.restart(context),
        ):
            outcome = await miner.run(command)
            assert outcome.state == "refused"
            assert "--api-allow" in outcome.words
        assert len((await miner.look()).pools) == 2
        assert miner.truth["writes"] == []
        assert [line.partition("|")[0] for line in miner.truth["unexpected_writes"]] == ["rpc addpool", "rpc restart"]

    story("cgminer", steps)


def test_a_program_that_says_yes_and_changes_nothing_is_unconfirmed():
    async def steps(miner):
        await miner.simulation.set_fault(miner.host.address, "ignores_writes")
        outcome = await miner.run(lambda driver, context: driver.restart(context), limit_seconds=1.5)
        assert outcome.state == "unconfirmed"

    story("cgminer-open", steps)


def test_only_the_pool_that_is_tried_first_counts():
    plan = DRIVER.set_pool(POOL, context_of())
    ours = Pool("1", POOL.url, POOL.user, priority=1.0)
    other = Pool("0", "stratum+tcp://old.example:3333", "wallet.rig", priority=0.0)

    def seen(*pools):
        return plan.confirmed(_evidence(dataclasses.replace(RUNNING, pools=pools)))

    assert not seen(other, ours)
    assert seen(dataclasses.replace(other, priority=2.0), ours)
    assert seen(other, dataclasses.replace(ours, active=True))
    assert not seen()


def _evidence(after):
    return Evidence(RUNNING, after)


@pytest.mark.parametrize(
    ("before", "after", "away", "seen"),
    [
        (500.0, 5.0, False, True),
        (500.0, 510.0, True, False),
        (2.0, 5.0, True, True),  # it had only just started, and counted past that before it was looked at
        (2.0, 5.0, False, False),
        (2.0, 900.0, True, False),
        (None, 5.0, True, True),
        (None, 5.0, False, False),
        (500.0, None, True, False),
    ],
)
def test_a_restart_is_seen_by_the_time_the_program_runs(before, after, away, seen):
    def reading(running):
        return Reading(mining_uptime=None if running is None else seconds(running))

    evidence = Evidence(reading(before), reading(after), went_away=away)
    assert DRIVER.restart(context_of()).confirmed(evidence) is seen
