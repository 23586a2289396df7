"""Commands of Avalon miners: the bytes, the answers that mean no, and the effect on simulated ones."""

import asyncio
import dataclasses

import pytest

from exporter.drivers.api import Answers
from exporter.drivers.bundled.avalon_driver import AvalonDriver
from exporter.drivers.bundled.avalon_nano_driver import AvalonNanoDriver
from exporter.drivers.commands import (
    CommandRefused,
    HasModes,
    Identifies,
    Pauses,
    PoolSetting,
    Restarts,
    SetsFan,
    SetsPool,
)
from exporter.drivers.families.avalon_commands import Product, find_product
from exporter.engine.commanding.offers import offers_of
from exporter.engine.commanding.planning import Limits
from exporter.errors import DecodeError
from exporter.model import Board, Fan
from exporter.units import ratio, seconds
from tests.commands.rpc_miner import RUNNING, commanded, context_of, reply, sent, told
from tests.simulator.flock import shared

Q, NANO3, NANO3S, MINI = "Avalon Q", "Avalon Nano3", "Avalon Nano3s", "Avalon Mini3"
A15, A12, A7 = "AvalonMiner 15-194", "AvalonMiner 1246", "AvalonMiner 741 x2"
HOME_MODES = ("eco", "standard", "super")
LEVELS = ("low", "medium", "high")
POOL = PoolSetting(1, "stratum+tcp://pool.example:3333", "wallet.rig", "pool-secret")
AVALON, NANO = AvalonDriver(), AvalonNanoDriver()


def reading(modes=(), **changes):
    return dataclasses.replace(RUNNING, work_modes=modes, fans=(Fan("1", None, ratio(0.4)),), **changes)


def writes(plan, **documents):
    return plan.writes(Answers({f"rpc {name}": reply(document) for name, document in documents.items()}))


def clock(now):
    return {"STATUS": [{"STATUS": "S", "When": now, "Code": 22, "Msg": "CGMiner versions"}], "VERSION": [{}]}


def error(words, code=120):
    return reply({"STATUS": [{"STATUS": "E", "When": 1, "Code": code, "Msg": words, "Description": "cgminer 4.11.1"}]})


def test_the_drivers_offer_the_commands_by_their_methods():
    for driver in (AVALON, NANO):
        for kind in (Restarts, Pauses, Identifies, HasModes, SetsPool, SetsFan):
            assert isinstance(driver, kind)


# --- the bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [NANO3, NANO3S, Q, MINI, A12, A15])
def test_restart(model):
    plan = AVALON.restart(context_of(model, reading()))
    (write,) = writes(plan)
    assert sent(write) == b"ascset|0,reboot,0"
    assert (write.repeatable, write.answers, plan.goes_away) == (False, False, True)


@pytest.mark.parametrize(
    ("model", "modes", "mode", "expected"),
    [
        (NANO3, LEVELS, "low", [b"ascset|0,worklevel,set,0"]),
        (NANO3, LEVELS, "high", [b"ascset|0,worklevel,set,2"]),
        (NANO3S, HOME_MODES, "eco", [b"ascset|0,workmode,set,0"]),
        (Q, HOME_MODES, "standard", [b"ascset|0,workmode,set,1"]),
        (MINI, HOME_MODES, "super", [b"ascset|0,workmode,set,2"]),
        (A15, ("normal", "high"), "high", [b"ascset|0,workmode,1", b"ascset|0,reboot,0"]),
    ],
)
def test_modes(model, modes, mode, expected):
    context = context_of(model, reading(modes))
    assert AVALON.supported_modes(context) == modes
    assert [sent(write) for write in writes(AVALON.set_mode(mode, context))] == expected


@pytest.mark.parametrize(("now", "due"), [(1753434816, 1753434821), (11849, 11854)])
def test_standby_goes_by_the_miners_own_clock(now, due):
    context = context_of(A15 if now < 1_000_000 else Q, reading())
    (write,) = writes(AVALON.pause(context), version=clock(now))
    assert sent(write) == b"ascset|0,softoff,1:%d" % due
    assert write.answers
    (write,) = writes(AVALON.resume(context), version=clock(now))
    assert sent(write) == b"ascset|0,softon,1:%d" % due
    assert not write.answers


def test_standby_without_a_clock_is_refused():
    with pytest.raises(CommandRefused, match="its time"):
        writes(AVALON.pause(context_of(Q, reading())), version={"STATUS": [{"STATUS": "S"}], "VERSION": [{}]})


@pytest.mark.parametrize(
    ("duty", "expected"),
    [
        (ratio(0.15), b"ascset|0,fan-spd,15"),
        (ratio(0.57), b"ascset|0,fan-spd,57"),
        (ratio(1.0), b"ascset|0,fan-spd,100"),
        (None, b"ascset|0,fan-spd,-1"),
    ],
)
def test_fan(duty, expected):
    context = context_of(NANO3S, reading())
    assert NANO.fan_range(context) == (0.15, 1.0)
    (write,) = writes(NANO.set_fan(duty, context))
    assert sent(write) == expected


def test_locate_light():
    for on, expected in ((True, b"ascset|0,led,1-1"), (False, b"ascset|0,led,1-0")):
        (write,) = writes(AVALON.identify_light(on, context_of(A12, reading())))
        assert sent(write) == expected
    modules = reading(boards=(Board("1"), Board("2"), Board("1-4")))
    plan = AVALON.identify_light(True, context_of(A7, modules))
    assert [sent(write) for write in writes(plan)] == [
        b"ascset|0,led,1-1",
        b"ascset|0,led,2-1",
        b"ascset|1,led,4-1",
    ]


def test_pool_is_set_with_the_web_password_and_then_restarted():
    context = context_of(NANO3S, reading(), web_username="admin", web_password="web-secret")
    assert (NANO.pool_rules(context).slots, NANO.pool_rules(context).restarts) == (3, True)
    plan = NANO.set_pool(POOL, context)
    first, second = writes(plan)
    assert sent(first) == b"setpool|admin,web-secret,1,stratum+tcp://pool.example:3333,wallet.rig,pool-secret"
    assert sent(second) == b"ascset|0,reboot,0"
    assert first.request.key == "rpc setpool"
    assert "secret" not in plan.effect


def test_a_controller_of_the_a7_to_a9_takes_what_cgminer_takes():
    context = context_of(A7, reading())
    (write,) = writes(AVALON.restart(context))
    assert sent(write) == b'{"command":"restart"}'
    assert AVALON.pool_rules(context).slots == 1
    assert AVALON.fan_range(context) is None
    for command in (AVALON.pause, AVALON.resume):
        with pytest.raises(CommandRefused, match="no standby"):
            command(context)


@pytest.mark.parametrize(
    ("model", "product"),
    [
        (NANO3, Product.NANO),
        (NANO3S, Product.NANO),
        (Q, Product.HOME),
        (MINI, Product.HOME),
        ("Avalon Mini 3", Product.HOME),
        (A12, Product.A_SERIES),
        ("AvalonMiner 1246-81", Product.A_SERIES),
        ("AvalonMiner 1047", Product.A_SERIES),
        (A15, Product.A_SERIES),
        (A7, Product.CONTROLLER),
        ("AvalonMiner 921", Product.CONTROLLER),
        ("Antminer S9", None),
        (None, None),
    ],
)
def test_the_product_is_known_by_its_model(model, product):
    assert find_product(context_of(model)) is product


# --- what is refused before anything is sent ----------------------------------------------------------------------


def test_a_second_restart_within_minutes_is_refused():
    young = dataclasses.replace(reading(("normal", "high")), uptime=seconds(50.0))
    for command in (
        lambda context: AVALON.restart(context),
        lambda context: AVALON.set_mode("high", context),
        lambda context: AVALON.set_pool(POOL, context),
    ):
        with pytest.raises(CommandRefused, match=r"50 s ago.*wait 130 s"):
            command(context_of(A15, young, web_password="admin"))


@pytest.mark.parametrize("model", [NANO3, NANO3S])
def test_nanos_have_no_standby_and_no_locate_light(model):
    context = context_of(model, reading())
    for command in (NANO.pause, NANO.resume, lambda one: NANO.identify_light(True, one)):
        with pytest.raises(CommandRefused):
            command(context)


@pytest.mark.parametrize(
    ("change", "password", "words"),
    [
        ({}, None, "web password only"),
        ({}, "a,b", "web password holds a comma"),
        ({"user": "wallet,rig"}, "admin", "user holds a comma"),
        ({"password": "d=1,x"}, "admin", "password holds a comma"),
        ({"user": "ü" * 65}, "admin", "longer than the 128 bytes"),
    ],
)
def test_what_the_firmware_cannot_part_is_refused(change, password, words):
    setting = dataclasses.replace(POOL, **change)
    with pytest.raises(CommandRefused, match=words) as caught:
        AVALON.set_pool(setting, context_of(Q, reading(), web_password=password))
    assert "secret" not in str(caught.value)
    assert "a,b" not in str(caught.value)


def test_an_avalon_that_does_not_say_what_it_is_is_left_alone():
    context = context_of(None, reading())
    assert AVALON.pool_rules(context).slots == 0
    assert AVALON.fan_range(context) is None
    with pytest.raises(CommandRefused, match="which Avalon"):
        AVALON.pause(context)


def test_without_a_reading_nothing_is_begun():
    context = context_of(Q, None)
    assert AVALON.supported_modes(context) == ()
    for command in (AVALON.restart, lambda one: AVALON.set_pool(POOL, one)):
        with pytest.raises(CommandRefused, match="not been read"):
            command(context)


def test_a_mode_that_the_device_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(CommandRefused, match="low, medium, high"):
        NANO.set_mode("eco", context_of(NANO3, reading(LEVELS)))


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "capture",
    [
        "avalonq-25052801/rpc_ascset_workmode.json",
        "avalonq-25052801/rpc_ascset_softoff.json",
        "avalonq-25052801/rpc_ascset_softon.json",
        "nano3s-iobroker/rpc_ascset-workmode.json",
    ],
)
def test_captured_answers_are_a_yes(capture):
    answer = told(shared("payloads", "avalon", capture).read_bytes())
    (write,) = writes(AVALON.set_mode("eco", context_of(Q, reading(HOME_MODES))))
    write.check(answer)


@pytest.mark.parametrize(
    ("words", "told_words"),
    [
        ("ASC 0 set failed: current mode 1 is caling Don't permit switch mode", "calibrates"),
        ("ASC 0 set failed: current level 1 is caling,Don't permit switch level", "calibrates"),
        ("ASC 0 set failed: Unknown option: softoff", "Unknown option: softoff"),
        ("ASC 0 set failed: error:1 not support set workmode max_mode[1]", "max_mode"),
    ],
)
def test_a_refusal_is_told_in_the_devices_words(words, told_words):
    (write,) = writes(AVALON.set_mode("eco", context_of(Q, reading(HOME_MODES))))
    with pytest.raises(CommandRefused, match=told_words):
        write.check(error(words))


def test_a_refused_pool_tells_no_password_and_is_not_followed_by_a_restart():
    context = context_of(Q, reading(), web_password="web-secret")
    first, _ = writes(AVALON.set_pool(POOL, context))
    for answer, words in (
        (error("Pool set error: userpass err", 132), "its web password"),
        (error("Pool set error: bad web-secret pool-secret", 132), r"bad \*\*\* \*\*\*"),
        (reply({"anything": "else"}), "cannot be read"),
    ):
        with pytest.raises(CommandRefused, match=words) as caught:
            first.check(answer)
        assert "secret" not in str(caught.value)
    first.check(reply({"STATUS": [{"STATUS": "S", "Code": 133, "Msg": "Pool set info: ..."}]}))


# --- effects on simulated devices ---------------------------------------------------------------------------------


def story(driver_class, model, steps, **more):
    async def run():
        async with commanded(driver_class, "avalon", model, **more) as miner:
            await steps(miner)

    asyncio.run(run())


def test_simulated_modes_are_seen_in_the_next_reading_and_refused_while_it_calibrates():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.set_mode("super", context))
        assert (outcome.state, outcome.after.work_mode) == ("confirmed", "super")
        outcome = await miner.run(lambda driver, context: driver.set_mode("eco", context))
        assert outcome.state == "refused"
        assert "caling" in outcome.words
        assert miner.truth["mode"] == "2"
        assert miner.truth["writes"] == ["rpc ascset|0,workmode,set,2", "rpc ascset|0,workmode,set,0"]
        assert miner.truth["unexpected_writes"] == []

    story(AvalonNanoDriver, "nano3s", steps)


def test_simulated_level_of_a_nano_3():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.set_mode("low", context))
        assert (outcome.state, outcome.after.work_mode) == ("confirmed", "low")
        assert miner.truth["writes"] == ["rpc ascset|0,worklevel,set,0"]

    story(AvalonNanoDriver, "nano3", steps)


def test_simulated_restart_goes_away_and_counts_from_zero_and_is_not_done_twice():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.restart(context))
        assert outcome.state == "confirmed"
        assert outcome.after.uptime < 60
        with pytest.raises(CommandRefused, match="loop"):
            await miner.run(lambda driver, context: driver.restart(context))
        assert miner.truth["writes"] == ["rpc ascset|0,reboot,0"]

    story(AvalonNanoDriver, "nano3s", steps)


def test_simulated_standby_begins_and_ends():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.pause(context))
        assert (outcome.state, outcome.after.expected_mining) == ("confirmed", False)
        assert miner.truth["state"] == "paused"
        outcome = await miner.run(lambda driver, context: driver.resume(context))
        assert (outcome.state, outcome.after.expected_mining) == ("confirmed", True)
        assert miner.truth["state"] in ("starting", "mining")

    story(AvalonDriver, "q", steps, details={"stats": "litestats"})


def test_simulated_fan_and_locate_light():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.set_fan(ratio(0.9), context))
        assert outcome.state == "confirmed"
        assert miner.truth["fan_duty_ratio"] == 0.9
        outcome = await miner.run(lambda driver, context: driver.set_fan(None, context))
        assert outcome.state == "confirmed"
        assert miner.truth["fan_duty_ratio"] != 0.9
        outcome = await miner.run(lambda driver, context: driver.identify_light(True, context))
        assert (outcome.state, outcome.after.fault_light) == ("confirmed", True)

    story(AvalonDriver, "a1246", steps)


def test_simulated_mode_of_the_a_series_holds_after_the_restart():
    async def steps(miner):
        outcome = await miner.run(lambda driver, context: driver.set_mode("normal", context))
        assert (outcome.state, outcome.after.work_mode) == ("confirmed", "normal")
        assert miner.truth["writes"] == ["rpc ascset|0,workmode,0", "rpc ascset|0,reboot,0"]

    story(AvalonDriver, "a1566", steps)


def test_simulated_pool_is_there_after_the_restart_and_the_others_stay():
    async def steps(miner):
        before = (await miner.look()).pools
        miner.web_password = "admin"
        outcome = await miner.run(lambda driver, context: driver.set_pool(POOL, context))
        assert outcome.state == "confirmed"
        pools = outcome.after.pools
        assert (pools[1].url, pools[1].user) == (POOL.url, POOL.user)
        assert [pool.url for pool in (pools[0], pools[2])] == [before[0].url, before[2].url]
        assert miner.truth["writes"] == [
            "rpc setpool|admin,***,1,stratum+tcp://pool.example:3333,wallet.rig,***",
            "rpc ascset|0,reboot,0",
        ]

    story(AvalonNanoDriver, "nano3s", steps)


def test_a_wrong_web_password_is_tried_once_and_nothing_restarts():
    async def steps(miner):
        miner.web_password = "wrong-secret"
        outcome = await miner.run(lambda driver, context: driver.set_pool(POOL, context))
        assert outcome.state == "refused"
        assert "web password" in outcome.words
        assert "secret" not in outcome.words
        assert len(miner.truth["writes"]) == 1
        assert (await miner.look()).uptime > 180

    story(AvalonNanoDriver, "nano3s", steps)


def test_garbage_instead_of_an_answer_tells_no_password():
    async def steps(miner):
        miner.web_password = "web-secret"
        plan = miner.driver.set_pool(POOL, await miner.context())
        await miner.simulation.set_fault(miner.host.address, "html")
        write = plan.writes(Answers({}))[0]
        with pytest.raises(DecodeError) as caught:
            await miner._device.write(write)
        assert "secret" not in str(caught.value)

    story(AvalonNanoDriver, "nano3s", steps)


def test_a_miner_that_says_yes_and_changes_nothing_is_unconfirmed():
    async def steps(miner):
        await miner.simulation.set_fault(miner.host.address, "ignores_writes")
        outcome = await miner.run(lambda driver, context: driver.set_mode("eco", context), limit_seconds=1.5)
        assert outcome.state == "unconfirmed"
        assert miner.truth["mode"] == "1"

    story(AvalonNanoDriver, "nano3s", steps)


@pytest.mark.parametrize(
    ("driver_class", "model", "commands", "modes"),
    [
        (AvalonNanoDriver, "nano3", {"restart", "mode", "pool", "fan"}, LEVELS),
        (AvalonNanoDriver, "nano3s", {"restart", "mode", "pool", "fan"}, HOME_MODES),
        (AvalonDriver, "q", {"restart", "pause", "resume", "mode", "pool", "fan"}, HOME_MODES),
        (AvalonDriver, "mini3", {"restart", "pause", "resume", "mode", "pool", "fan"}, HOME_MODES),
        (
            AvalonDriver,
            "a1566",
            {"restart", "pause", "resume", "identify", "mode", "pool", "fan"},
            ("normal", "high"),
        ),
        (AvalonDriver, "a1166pro", {"restart", "pause", "resume", "identify", "pool", "fan"}, None),
    ],
)
def test_what_each_product_offers(driver_class, model, commands, modes):
    async def steps(miner):
        offers = offers_of(miner.driver, await miner.context(), (), Limits())
        assert {one.command for one in offers.commands} == commands
        offered = next((one for one in offers.commands if one.command == "mode"), None)
        assert (None if offered is None else tuple(name for name, _ in offered.choices)) == modes
        assert miner.truth["writes"] == miner.truth["unexpected_writes"] == []

    story(driver_class, model, steps)
