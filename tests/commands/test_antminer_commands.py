"""Bitmain's own firmware: what goes out for each command, and what a strict device makes of it."""

import asyncio
import json

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext
from exporter.drivers.bundled.antminer_driver import AntminerDriver
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, PoolSetting
from exporter.model import Fan, Identity, Reading
from exporter.units import hashes_per_second, ratio, rpm, seconds
from tests.commands.simulated_miner import commanded, written
from tests.simulator.flock import shared

DRIVER = AntminerDriver()
READING = Reading(fault_light=False, work_mode="normal", fans=(Fan("1", rpm(4000.0)),))
POOLS = [
    {"url": "stratum+tcp://pool.example.com:3333", "user": "worker.001", "pass": "abc"},
    {"url": "stratum+tcp://pool2.example.com:3333", "user": "worker.001", "pass": "x"},
    {"url": "", "user": "", "pass": ""},
]
#: As an S19 shows them.
CONF = {
    "pools": POOLS,
    "api-listen": True,
    "api-network": True,
    "api-groups": "A:stats:pools:devs:summary:version",
    "api-allow": "A:0/0,W:*",
    "bitmain-fan-ctrl": False,
    "bitmain-fan-pwm": "100",
    "bitmain-use-vil": True,
    "bitmain-freq": "675",
    "bitmain-voltage": "1400",
    "bitmain-ccdelay": "0",
    "bitmain-pwth": "0",
    "bitmain-work-mode": "0",
    "bitmain-freq-level": "100",
}
#: The same settings as they are written.
PAGE = {
    "pools": POOLS,
    "bitmain-fan-ctrl": False,
    "bitmain-fan-pwm": "100",
    "freq-level": "100",
    "miner-mode": 0,
    "bitmain-work-mode": 0,
}
#: Settings under the names of the page.
PLAIN = {"pools": POOLS, "bitmain-fan-ctrl": True, "bitmain-fan-pwm": "70", "miner-mode": "3", "freq-level": "90"}
POOL = PoolSetting(1, "stratum+tcp://New.example:3335", "me.other", "pw")


def context(reading=READING, firmware="Bitmain", conf=None, remembered=None):
    answers = Answers({}) if conf is None else told(conf)
    decode = DecodeContext(0.0, Identity(firmware=firmware), {"api": "rpc"})
    return CommandContext(decode, reading=reading, answers=answers, remembered=remembered or {})


def told(conf=CONF, **pages):
    documents = {"get_miner_conf": conf, "get_system_info": {"minertype": "Antminer S19"}} | pages
    return Answers({f"GET /cgi-bin/{name}.cgi": Answer(json.dumps(page).encode()) for name, page in documents.items()})


def out(plan, conf=CONF):
    return [written(write) for write in plan.writes(told(conf))]


def conf_write(body):
    return [("POST", "/cgi-bin/set_miner_conf.cgi", body, "digest")]


# --- what goes out ------------------------------------------------------------------------------------------------


def test_a_restart_is_sent_once_to_a_device_that_goes_away():
    plan = DRIVER.restart(context())
    assert [request.key for request in plan.reads] == ["GET /cgi-bin/get_system_info.cgi"]
    assert out(plan) == [("POST", "/cgi-bin/reboot.cgi", None, "digest")]
    (write,) = plan.writes(told())
    assert (write.repeatable, write.answers, plan.goes_away) == (False, False, True)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda: DRIVER.pause(context()), 1),
        (lambda: DRIVER.resume(context(SLEEPING)), 0),
        (lambda: DRIVER.set_mode("normal", context()), 0),
        (lambda: DRIVER.set_mode("sleep", context()), 1),
        (lambda: DRIVER.set_mode("low_power", context()), 3),
    ],
)
def test_a_mode_is_written_with_all_other_settings_as_they_are(command, code):
    assert out(command()) == conf_write({**PAGE, "miner-mode": code, "bitmain-work-mode": code})
    assert out(command(), PLAIN) == conf_write({**PLAIN, "miner-mode": code})
    assert not any(write.repeatable for write in command().writes(told()))


def test_captured_settings_are_written_back_whole():
    conf = json.loads(
        shared("payloads", "antminer-stock", "ks5pro-0.0-2.0.0-idle", "http_get_miner_conf.json").read_text()
    )
    assert out(DRIVER.pause(context()), conf) == conf_write(
        {
            "pools": conf["pools"],
            "bitmain-fan-ctrl": False,
            "bitmain-fan-pwm": "100",
            "freq-level": "100",
            "miner-mode": 1,
            "bitmain-work-mode": 1,
        }
    )


ASLEEP = {**CONF, "bitmain-work-mode": "1"}
SLEEPING = Reading(fault_light=False, work_mode="sleep")


def low_power_before(command):
    """The plan of a command to a miner that works in its low power mode."""
    return command(context(Reading(fault_light=False, work_mode="low_power"), conf={**CONF, "bitmain-work-mode": "3"}))


@pytest.mark.parametrize("command", [DRIVER.pause, lambda now: DRIVER.set_mode("sleep", now)])
def test_the_mode_before_a_sleep_is_remembered(command):
    assert low_power_before(command).remember == {"awake_mode": "low_power"}
    assert command(context(SLEEPING, conf=ASLEEP)).remember == {}  # what was remembered before stays


def test_a_mode_without_a_name_takes_the_place_of_an_older_one():
    plan = DRIVER.pause(context(conf={**CONF, "bitmain-work-mode": "7"}, remembered={"awake_mode": "low_power"}))
    later = DRIVER.resume(context(SLEEPING, conf=ASLEEP, remembered={"awake_mode": "low_power"} | plan.remember))
    assert out(later, ASLEEP) == conf_write(PAGE)


@pytest.mark.parametrize(
    ("command", "now"),
    [
        (lambda now: DRIVER.set_mode("low_power", now), (READING, CONF)),
        (lambda now: DRIVER.set_mode("normal", now), (SLEEPING, ASLEEP)),
        (DRIVER.resume, (SLEEPING, ASLEEP)),
        (DRIVER.resume, (READING, CONF)),
    ],
)
def test_a_miner_that_is_awake_tells_its_mode_itself(command, now):
    """What was remembered would be the wrong one after a sleep that was not sent from here."""
    reading, conf = now
    assert command(context(reading, conf=conf, remembered={"awake_mode": "low_power"})).remember == {"awake_mode": None}


@pytest.mark.parametrize(
    ("remembered", "code", "words"),
    [
        ({"awake_mode": "low_power"}, 3, "in its low power mode"),
        ({}, 0, "in its normal mode"),
        ({"awake_mode": "sleep"}, 0, "in its normal mode"),
        ({"awake_mode": 3.0}, 0, "in its normal mode"),
    ],
)
def test_a_miner_wakes_up_in_the_mode_it_had(remembered, code, words):
    plan = DRIVER.resume(context(SLEEPING, conf=ASLEEP, remembered=remembered))
    assert words in plan.effect
    assert out(plan, ASLEEP) == conf_write({**PAGE, "miner-mode": code, "bitmain-work-mode": code})


def test_a_miner_that_is_awake_keeps_its_mode():
    plan = low_power_before(DRIVER.resume)
    assert "awake already" in plan.effect
    assert out(plan, {**CONF, "bitmain-work-mode": "3"}) == []
    assert plan.confirmed(Evidence(None, READING, told({**CONF, "bitmain-work-mode": "3"})))


def test_what_the_settings_say_now_counts_more_than_the_last_reading():
    """The mode is polled with the slow part, so the reading may be a minute old."""
    plan = DRIVER.pause(context(conf={**CONF, "bitmain-work-mode": "3"}))
    assert plan.remember == {"awake_mode": "low_power"}
    assert [one.key for one in DRIVER.offer_reads("pause", context())] == ["GET /cgi-bin/get_miner_conf.cgi"]
    assert DRIVER.offer_reads("pause", context(Reading())) == ()  # its settings cannot be read
    assert DRIVER.offer_reads("restart", context()) == ()


@pytest.mark.parametrize("on", [True, False])
def test_the_light(on):
    plan = DRIVER.identify_light(on, context())
    assert out(plan) == [("POST", "/cgi-bin/blink.cgi", {"blink": on}, "digest")]
    assert plan.confirmed(Evidence(None, READING, told(get_blink_status={"blink": on})))
    assert not plan.confirmed(Evidence(None, READING, told(get_blink_status={"blink": not on})))


def test_a_pool_takes_its_place_and_the_others_stay():
    pools = [POOLS[0], {"url": "stratum+tcp://New.example:3335", "user": "me.other", "pass": "pw"}, POOLS[2]]
    plan = DRIVER.set_pool(POOL, context())
    assert out(plan) == conf_write({**PAGE, "pools": pools})
    assert out(plan, {**CONF, "pools": POOLS[:1]}) == conf_write({**PAGE, "pools": pools[:2]})
    assert plan.confirmed(Evidence(None, READING, told({**CONF, "pools": pools})))
    assert not plan.confirmed(Evidence(None, READING, told()))


def test_fans_by_duty_and_by_themselves():
    by_hand = DRIVER.set_fan(ratio(0.55), context())
    assert out(by_hand) == conf_write({**PAGE, "bitmain-fan-ctrl": True, "bitmain-fan-pwm": "55"})
    alone = DRIVER.set_fan(None, context())
    assert out(alone, PLAIN) == conf_write({**PLAIN, "bitmain-fan-ctrl": False, "miner-mode": 3})
    now = told({**CONF, "bitmain-fan-ctrl": True, "bitmain-fan-pwm": "55"})
    assert by_hand.confirmed(Evidence(None, READING, now))
    assert not by_hand.confirmed(Evidence(None, READING, told()))
    assert not alone.confirmed(Evidence(None, READING, now))
    assert alone.confirmed(Evidence(None, READING, told()))


# --- what cannot be -----------------------------------------------------------------------------------------------

OTHERS = {
    "restart": lambda now: DRIVER.restart(now),
    "pause": lambda now: DRIVER.pause(now),
    "light": lambda now: DRIVER.identify_light(True, now),
    "pool": lambda now: DRIVER.set_pool(POOL, now),
    "fan": lambda now: DRIVER.set_fan(ratio(0.5), now),
}


@pytest.mark.parametrize("command", OTHERS)
def test_vnish_3_takes_no_commands(command):
    with pytest.raises(CommandRefused, match="VNish is only read"):
        OTHERS[command](context(firmware="VNish"))


@pytest.mark.parametrize("command", sorted(set(OTHERS) - {"restart"}))
@pytest.mark.parametrize("reading", [None, Reading(), Reading(work_mode="normal"), Reading(fault_light=False)])
def test_without_the_newer_web_interface_only_a_restart_is_offered(command, reading):
    with pytest.raises(CommandRefused, match="older than that of the S19"):
        OTHERS[command](context(reading))
    now = context(reading)
    assert (DRIVER.supported_modes(now), DRIVER.pool_rules(now).slots, DRIVER.fan_range(now)) == ((), 0, None)
    assert out(DRIVER.restart(now))


def test_what_is_offered_where_the_settings_are_known():
    now = context()
    assert DRIVER.supported_modes(now) == ("normal", "sleep", "low_power")
    assert (DRIVER.pool_rules(now).slots, DRIVER.fan_range(now)) == (3, (0.1, 1.0))
    assert DRIVER.fan_range(context(Reading(fault_light=False, work_mode="sleep"))) is None
    with pytest.raises(CommandRefused, match="normal, sleep, low_power"):
        DRIVER.set_mode("turbo", now)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pools": []}, "does not tell its pools"),
        ({"pools": [{"url": "a:1", "user": "u", "pass": "******"}]}, "hides the passwords"),
        ({"bitmain-work-mode": None}, "older kind"),
    ],
)
def test_settings_that_would_be_lost_are_not_written_over(changes, words):
    with pytest.raises(CommandRefused, match=words):
        out(DRIVER.pause(context()), {**CONF, **changes})


def test_a_hidden_password_is_no_obstacle_where_its_pool_is_replaced():
    hidden = [POOLS[0], POOLS[1] | {"pass": "*****"}, POOLS[2]]
    ((_, _, body, _),) = out(DRIVER.set_pool(POOL, context()), {**CONF, "pools": hidden})
    assert body["pools"][1]["pass"] == "pw"


def test_fans_without_a_setting_of_their_own():
    conf = {key: value for key, value in CONF.items() if not key.startswith("bitmain-fan")}
    with pytest.raises(CommandRefused, match="no bitmain-fan-ctrl"):
        out(DRIVER.set_fan(ratio(0.5), context()), conf)
    assert "bitmain-fan-ctrl" not in out(DRIVER.pause(context()), conf)[0][2]


# --- what the answers mean ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"stats":"error","code":"M001","msg":"Invalid configuration"}', "Invalid configuration M001"),
        (b'{"success": false}', "says no"),
    ],
)
def test_a_refusal_is_told_in_the_devices_words(body, words):
    with pytest.raises(CommandRefused, match=words):
        DRIVER.pause(context()).check(Answers({"POST /cgi-bin/set_miner_conf.cgi": Answer(body)}))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"stats":"success","code":"M000","msg":"OK!"}', b'{"success": true}', b'{"code":"B000"}']
)
def test_other_answers_leave_it_to_the_effect(body):
    DRIVER.pause(context()).check(Answers({"POST /cgi-bin/set_miner_conf.cgi": Answer(body)}))


def test_sleep_is_seen_by_the_setting_and_the_rate():
    plan = DRIVER.pause(context())
    asleep = told({**CONF, "bitmain-work-mode": "1"})
    hashing = Reading(hashrate=hashes_per_second(1e12))
    assert plan.confirmed(Evidence(None, Reading(hashrate=hashes_per_second(0.0)), asleep))
    assert not plan.confirmed(Evidence(None, hashing, asleep))
    assert not plan.confirmed(Evidence(None, Reading(hashrate=hashes_per_second(0.0)), told()))
    cut = Answers({"GET /cgi-bin/get_miner_conf.cgi": Answer(b'{"pools": [')})
    assert not plan.confirmed(Evidence(None, Reading(), cut))


@pytest.mark.parametrize(
    ("before", "after", "away", "seen"),
    [
        (500.0, 510.0, True, False),
        (500.0, 5.0, False, True),
        (None, 5.0, True, True),
        (None, 5.0, False, False),
        (2.0, 5.0, True, True),  # it had only just started, and counted past that before it was looked at
        (2.0, 5.0, False, False),
        (2.0, 900.0, True, False),
    ],
)
def test_a_restart_is_seen_by_the_time_of_mining(before, after, away, seen):
    def reading(mined):
        return Reading(mining_uptime=None if mined is None else seconds(mined))

    evidence = Evidence(reading(before), reading(after), went_away=away)
    assert DRIVER.restart(context()).confirmed(evidence) is seen


# --- a strict device ----------------------------------------------------------------------------------------------


def with_miner(story, model="s19", api="rpc", password="root"):
    async def run():
        options = {"details": {"api": api}, "firmware": "Bitmain", "password": password}
        async with commanded(DRIVER, "antminer", model, **options) as miner:
            await story(miner)
            assert miner.truth["unexpected_writes"] == []

    asyncio.run(run())


@pytest.mark.parametrize(("model", "api"), [("s19", "rpc"), ("s21", "cgi"), ("s9-web", "rpc")])
def test_a_miner_reboots_and_comes_back(model, api):
    async def story(miner):
        outcome = await miner.run(lambda driver, now: driver.restart(now), limit_seconds=20.0)
        assert outcome.state == "confirmed"
        assert outcome.after.mining_uptime < 60.0
        assert miner.truth["writes"] == ["POST /cgi-bin/reboot.cgi"]

    with_miner(story, model, api)


@pytest.mark.parametrize(("model", "api"), [("s19", "rpc"), ("s21", "cgi")])
def test_a_miner_sleeps_wakes_and_saves_power(model, api):
    async def story(miner):
        for command, mode in (("sleep", "sleep"), ("normal", "normal"), ("low_power", "low_power")):
            outcome = await miner.run(lambda driver, now, name=command: driver.set_mode(name, now), limit_seconds=20.0)
            assert (outcome.state, outcome.after.work_mode) == ("confirmed", mode)
        assert [json.loads(line.split(" ", 2)[2])["miner-mode"] for line in miner.truth["writes"]] == [1, 0, 3]
        assert miner.truth["mode"] == "3"

    with_miner(story, model, api)


@pytest.mark.parametrize(("model", "api"), [("s19", "rpc"), ("s21", "cgi")])
def test_a_miner_that_was_put_to_sleep_in_low_power_wakes_up_in_it(model, api):
    async def story(miner):
        commands = (
            lambda driver, now: driver.set_mode("low_power", now),
            lambda driver, now: driver.pause(now),
            lambda driver, now: driver.resume(now),
            lambda driver, now: driver.resume(now),  # it is awake: nothing is sent
        )
        for command in commands:
            outcome = await miner.run(command, limit_seconds=20.0)
            assert outcome.state == "confirmed"
        assert outcome.after.work_mode == "low_power"
        assert [json.loads(line.split(" ", 2)[2])["miner-mode"] for line in miner.truth["writes"]] == [3, 1, 3]
        assert miner.remembered == {}

    with_miner(story, model, api)


def test_a_miner_that_reboots_right_after_a_reboot_is_seen_to():
    async def story(miner):
        for _ in range(2):
            outcome = await miner.run(lambda driver, now: driver.restart(now), limit_seconds=20.0)
            assert outcome.state == "confirmed"

    with_miner(story)


def test_the_light_blinks_and_stops():
    async def story(miner):
        for on in (True, False):
            outcome = await miner.run(lambda driver, now, on=on: driver.identify_light(on, now))
            assert (outcome.state, outcome.after.fault_light) == ("confirmed", on)

    with_miner(story)


def test_a_pool_is_set_and_its_password_seen_nowhere():
    async def story(miner):
        setting = PoolSetting(0, "stratum+tcp://new.example:3335", "me.other", "hunter2")
        outcome = await miner.run(lambda driver, now: driver.set_pool(setting, now), limit_seconds=20.0)
        assert outcome.state == "confirmed"
        assert outcome.after.pools[0].url == "stratum+tcp://new.example:3335"
        assert miner.host.device.control.pools[1]["pass"] == "secret"
        assert "hunter2" not in str(miner.truth)
        assert "hunter2" not in repr(outcome)

    with_miner(story)


def test_fans_run_as_they_are_told():
    async def story(miner):
        outcome = await miner.run(lambda driver, now: driver.set_fan(ratio(0.6), now), limit_seconds=20.0)
        assert outcome.state == "confirmed"
        miner.simulation.clock.advance(2.0)
        assert {fan.speed for fan in (await miner.look()).fans} == {3600.0}  # of 6000

    with_miner(story)


@pytest.mark.parametrize("command", OTHERS)
def test_a_device_that_says_yes_and_changes_nothing_is_found_out(command):
    async def story(miner):
        await miner.simulation.set_fault(miner.host.address, "ignores_writes")
        outcome = await miner.run(lambda _, now: OTHERS[command](now), limit_seconds=0.2)
        assert outcome.state == "unconfirmed"
        assert len(miner.truth["writes"]) == 1

    with_miner(story)


def test_a_wrong_password_ends_a_command_before_anything_is_sent():
    async def story(miner):
        outcome = await miner.run(lambda driver, now: driver.restart(now))
        assert outcome.state == "refused"
        assert (miner.truth["writes"], miner.truth["state"]) == ([], "mining")

    with_miner(story, password="wrong")
