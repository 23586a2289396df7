"""VNish: what goes out for each command, by the vendor's description, and what a strict device makes of it."""

import asyncio
import dataclasses
import json

import pytest
from openapi_schema_validator import OAS31Validator

from exporter.drivers.api import Answer, Answers, DecodeContext
from exporter.drivers.bundled.vnish_driver import VnishDriver
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, PoolSetting
from exporter.model import Fan, Identity, MinerState, ModelInfo, Pool, Preset, Reading
from exporter.units import ratio, rpm, seconds
from tests.commands.simulated_miner import commanded, written
from tests.simulator.flock import shared

DRIVER = VnishDriver()
SETTINGS = {
    "miner": {
        "cooling": {"mode": {"name": "auto", "param": 65}, "fan_min_count": 4},
        "overclock": {"modded_psu": False, "preset": "3160", "globals": {"volt": 1270, "freq": 555}},
        "pools": [
            {"url": "one.example:3333", "user": "me.rig", "pass": "secret"},
            {"url": "two.example:443", "user": "me.rig", "pass": ""},
            {"url": "", "user": "", "pass": ""},
        ],
    }
}
LISTED = [
    {"name": "disabled", "pretty": "Disabled", "status": "untuned", "modded_psu_required": False},
    {"name": "2800", "pretty": "2800 watt ~ 188 TH", "status": "tuned", "modded_psu_required": False},
    {"name": "3160", "pretty": "3160 watt ~ 212 TH", "status": "untuned", "modded_psu_required": False},
    {"name": "4690", "pretty": "4690 watt ~ 313 TH", "status": "tuned", "modded_psu_required": True},
]
LIMITS = {"cooling": {"min_fan_pwm": 10, "min_target_temp": 20, "max_target_temp": 90}}
POOL = PoolSetting(1, "stratum+tcp://New.example:3335", "me.other", "pw")


FANS = Reading(fans=(Fan("0", rpm(4000.0)),))


def told(**pages):
    names = {"settings": SETTINGS, "autotune/presets": LISTED, "model": LIMITS} | pages
    return Answers({f"GET /api/v1/{name}": Answer(json.dumps(page).encode()) for name, page in names.items()})


def context(version="1.2.7", reading=None, remembered=None, **pages):
    """What is known of a miner that answers with `pages`; its model was told by another one, long ago."""
    decode = DecodeContext(0.0, Identity(firmware="VNish", firmware_version=version), {})
    model = ModelInfo("s21pro", presets=(Preset("1000", tuned=True), Preset("2800", tuned=False)))
    return CommandContext(
        decode, reading=reading or Reading(), model=model, answers=told(**pages), remembered=remembered or {}
    )


def cooled(name, parameter):
    return {"settings": {"miner": {"cooling": {"mode": {"name": name, "param": parameter}}}}}


def out(plan, answers=None):
    return [written(write) for write in plan.writes(told() if answers is None else answers)]


def status(**values):
    defaults = {"miner_state": "mining", "find_miner": False, "restart_required": False, "reboot_required": False}
    return {"status": defaults | values}


# --- what goes out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "path"),
    [("restart", "mining/restart"), ("pause", "mining/stop"), ("resume", "mining/start")],
)
def test_mining_commands_have_no_body(command, path):
    plan = getattr(DRIVER, command)(context())
    assert out(plan) == [("POST", f"/api/v1/{path}", None, "api_key")]
    assert not any(write.repeatable for write in plan.writes(told()))


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("version", "path", "key"),
    [("1.2.6", "find-miner", "on"), ("1.2.7", "find-miner", "on"), ("1.3.4", "locate-miner", "is_enabled")],
)
def test_the_light_is_told_by_version(version, path, key, on):
    plan = DRIVER.identify_light(on, context(version))
    assert out(plan, told(**status(find_miner=not on))) == [("POST", f"/api/v1/{path}", {key: on}, "api_key")]
    assert out(plan, told(**status(find_miner=on))) == []  # 1.2 would toggle


def test_a_light_whose_state_is_unknown_is_left_alone():
    with pytest.raises(CommandRefused, match="whether its light blinks"):
        out(DRIVER.identify_light(True, context()), told(status={"miner_state": "mining"}))


def test_a_preset_goes_out_by_its_name_alone():
    plan = DRIVER.apply_preset("2800", context())
    assert out(plan) == [("POST", "/api/v1/settings", {"miner": {"overclock": {"preset": "2800"}}}, "api_key")]
    assert plan.effect == "The miner applies the preset 2800 watt ~ 188 TH; it may stop hashing for some minutes."


@pytest.mark.parametrize(
    ("name", "words"),
    [("3160", "not tuned yet"), ("disabled", "not tuned yet"), ("9999", "the miner has 2800, 4690")],
)
def test_presets_that_cannot_be_used_are_refused(name, words):
    with pytest.raises(CommandRefused, match=words):
        DRIVER.apply_preset(name, context())


def test_a_preset_that_is_no_longer_tuned_is_refused():
    now = [one | {"status": "untuned"} for one in LISTED]
    with pytest.raises(CommandRefused, match="not tuned yet"):
        out(DRIVER.apply_preset("2800", context()), told(**{"autotune/presets": now}))


def test_a_preset_for_a_modified_supply_wants_the_miners_own_word():
    plan = DRIVER.apply_preset("4690", context())
    with pytest.raises(CommandRefused, match="modified power supply"):
        out(plan)
    modified = {"miner": SETTINGS["miner"] | {"overclock": {"modded_psu": True, "preset": "3160"}}}
    assert [body for _, _, body, _ in out(plan, told(settings=modified))] == [
        {"miner": {"overclock": {"preset": "4690"}}}
    ]


def test_a_pool_takes_its_place_and_the_others_stay():
    assert out(DRIVER.set_pool(POOL, context())) == [
        (
            "POST",
            "/api/v1/settings",
            {
                "miner": {
                    "pools": [
                        {"url": "one.example:3333", "user": "me.rig", "pass": "secret"},
                        {"url": "New.example:3335", "user": "me.other", "pass": "pw"},
                        {"url": "", "user": "", "pass": ""},
                    ]
                }
            },
            "api_key",
        )
    ]


@pytest.mark.parametrize(
    ("pools", "words"),
    [([], "does not tell its pools"), ([{"url": "a:1", "user": "u", "pass": "*****"}], "hides the passwords")],
)
def test_pools_that_would_be_lost_are_not_written_over(pools, words):
    with pytest.raises(CommandRefused, match=words):
        out(DRIVER.set_pool(POOL, context()), told(settings={"miner": {"pools": pools}}))


def test_a_duty_is_written_in_percent():
    body = {"miner": {"cooling": {"mode": {"name": "manual", "param": 55}}}}
    assert out(DRIVER.set_fan(ratio(0.55), context())) == [("POST", "/api/v1/settings", body, "api_key")]


@pytest.mark.parametrize(
    ("duty", "mode", "remembered", "words"),
    [
        (0.5, {"name": "immers"}, {}, "without fans"),
        (None, {"name": "manual", "param": 80}, {}, "needs a target temperature"),
        (None, {"name": "manual", "param": 80}, {"fan_target_celsius": "65"}, "needs a target temperature"),
        (None, {"name": "manual", "param": 80}, {"fan_target_celsius": 95.0}, "95 °C any more"),
    ],
)
def test_duties_that_cannot_be_set_are_refused(duty, mode, remembered, words):
    now = context(remembered=remembered, settings={"miner": {"cooling": {"mode": mode}}})
    with pytest.raises(CommandRefused, match=words):
        DRIVER.set_fan(None if duty is None else ratio(duty), now)


def test_the_target_temperature_is_remembered_and_given_back():
    """The miner forgets it while its fans are set by hand."""
    by_hand = DRIVER.set_fan(ratio(0.8), context(**cooled("auto", 65)))
    assert by_hand.remember == {"fan_target_celsius": 65.0}
    again = DRIVER.set_fan(ratio(0.5), context(**cooled("manual", 80)))
    assert again.remember == {}  # what was remembered stays
    back = DRIVER.set_fan(None, context(remembered={"fan_target_celsius": 65.0}, **cooled("manual", 50)))
    body = {"miner": {"cooling": {"mode": {"name": "auto", "param": 65}}}}
    assert out(back) == [("POST", "/api/v1/settings", body, "api_key")]
    assert "65 °C" in back.effect
    assert back.confirmed(Evidence(None, Reading(), told(**cooled("auto", 65))))
    for unlike in (cooled("auto", 60), cooled("manual", 65)):
        assert not back.confirmed(Evidence(None, Reading(), told(**unlike)))
    assert back.remember == {"fan_target_celsius": None}


def test_a_target_that_the_miner_does_not_tell_takes_the_place_of_an_older_one():
    plan = DRIVER.set_fan(ratio(0.8), context(remembered={"fan_target_celsius": 65.0}, **cooled("auto", None)))
    assert plan.remember == {"fan_target_celsius": None}


def test_automatic_control_that_is_on_is_left_alone():
    plan = DRIVER.set_fan(None, context(**cooled("auto", 65)))
    assert out(plan) == []
    assert plan.confirmed(Evidence(None, Reading(), told(**cooled("auto", 65))))
    assert plan.remember == {"fan_target_celsius": None}


def test_fans_can_be_set_only_where_some_turn_and_no_slower_than_the_miner_says():
    assert DRIVER.fan_range(context()) is None
    assert DRIVER.fan_range(context(reading=FANS)) == (0.1, 1.0)
    with pytest.raises(CommandRefused, match="how slow its fans may run"):
        DRIVER.fan_range(context(reading=FANS, model={"cooling": {"min_target_temp": 20, "max_target_temp": 90}}))


def test_what_the_miner_is_asked_before_it_is_known_what_it_offers():
    def asked(command, reading=FANS):
        return [(one.key, one.auth.value) for one in DRIVER.offer_reads(command, context(reading=reading))]

    assert asked("preset") == [("GET /api/v1/autotune/presets", "api_key")]
    assert asked("fan") == [("GET /api/v1/model", "none"), ("GET /api/v1/settings", "api_key")]
    assert asked("fan", Reading()) == asked("restart") == []


def test_a_captured_model_tells_its_least_duty_and_its_presets_are_no_facts_of_the_model():
    folder = shared("payloads", "vnish", "s19-1.2.6-failure")
    told_model = json.loads((folder / "http_model.json").read_text())
    now = context(reading=FANS, model=told_model)
    assert DRIVER.fan_range(now) == (0.1, 1.0)
    assert [(one.name, one.tuned) for one in DRIVER.list_presets(now)] == [
        ("disabled", False), ("2800", True), ("3160", False), ("4690", True)
    ]  # fmt: skip
    silent = CommandContext(now.decode, reading=FANS, model=now.model)
    assert DRIVER.list_presets(silent) == ()


@pytest.mark.parametrize("version", ["v1.2.6", "v1.2.7", "v1.3.4"])
def test_every_request_is_one_that_the_vendor_describes(version):
    document = json.loads(shared("schemas", "vnish", version, "api-doc.json").read_text())
    number = version.removeprefix("v")
    plans = [
        DRIVER.restart(context(number)),
        DRIVER.pause(context(number)),
        DRIVER.resume(context(number)),
        DRIVER.identify_light(True, context(number)),
        DRIVER.apply_preset("2800", context(number)),
        DRIVER.set_pool(POOL, context(number)),
        DRIVER.set_fan(ratio(0.5), context(number)),
    ]
    sent = [one for plan in plans for one in out(plan, told(**status()))]
    assert len(sent) == 7
    for method, path, body, sign_in in sent:
        described = document["paths"][path.removeprefix("/api/v1")][method.lower()]
        assert {"apikeyAuth": []} in described.get("security", [{"apikeyAuth": []}])
        assert sign_in == "api_key"
        wanted = described.get("requestBody")
        if wanted is not None:
            schema = wanted["content"]["application/json"]["schema"]
            OAS31Validator(schema | {"components": document["components"]}).validate(body)
        elif path.endswith("-miner"):  # its body is described as its answer
            name = "LocateMinerStatus" if "locate" in path else "FindMinerStatus"
            OAS31Validator(document["components"]["schemas"][name]).validate(body)
        else:
            assert body is None


# --- what the answers mean ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status_code", "body", "words"),
    [(500, b'{"err":"CGMiner err: not ready"}', "CGMiner err: not ready"), (200, b'{"success":false}', "says no")],
)
def test_a_refusal_is_told_in_the_devices_words(status_code, body, words):
    plan = DRIVER.pause(context())
    with pytest.raises(CommandRefused, match=words):
        plan.check(Answers({"POST /api/v1/mining/stop": Answer(body, status_code)}))


@pytest.mark.parametrize("body", [b"", b'{"success":true}', b'{"restart_required":false,"reboot_required":false}'])
def test_a_success_needs_no_body(body):
    DRIVER.pause(context()).check(Answers({"POST /api/v1/mining/stop": Answer(body)}))


@pytest.mark.parametrize(
    ("before", "after", "word", "seen"),
    [
        ((MinerState.MINING, 500.0), (MinerState.MINING, 510.0), "mining", False),
        ((MinerState.MINING, 500.0), (MinerState.MINING, 4.0), "mining", True),
        ((MinerState.MINING, 500.0), (MinerState.STARTING, None), "initializing", True),
        ((MinerState.STARTING, None), (MinerState.STARTING, None), "starting", False),
        ((MinerState.STARTING, None), (MinerState.STARTING, None), "restarting", True),
        ((MinerState.FAULT, None), (MinerState.FAULT, None), "failure", False),
        # It was starting when it was told, and the word "restarting" was not caught.
        ((MinerState.STARTING, None), (MinerState.MINING, 6.0), "mining", True),
        ((MinerState.STARTING, None), (MinerState.MINING, 900.0), "mining", False),
        ((MinerState.TUNING, None), (MinerState.MINING, 6.0), "mining", False),
    ],
)
def test_a_restart_is_seen_by_the_state_or_by_the_time_of_mining(before, after, word, seen):
    def reading(state, mined):
        return Reading(state=state, mining_uptime=None if mined is None else seconds(mined))

    evidence = Evidence(reading(*before), reading(*after), told(**status(miner_state=word)))
    assert DRIVER.restart(context()).confirmed(evidence) is seen


def in_use(name, *, switching=False):
    current = {"name": name, "pretty": f"{name} watt", "status": "tuned", "modded_psu_required": False}
    return {"perf-summary": {"current_preset": current, "preset_switcher": {"enabled": switching}}}


def stored(name):
    return {"settings": {"miner": {"overclock": {"preset": name}}}}


@pytest.mark.parametrize(
    ("pages", "seen"),
    [
        (stored("3160") | in_use("2800"), False),
        (stored("2800") | in_use("3160"), False),
        (stored("2800") | in_use("2800"), True),
        (stored("2800") | in_use("3160", switching=True), True),
    ],
)
def test_a_preset_must_be_stored_and_in_use(pages, seen):
    plan = DRIVER.apply_preset("2800", context())
    assert plan.confirmed(Evidence(None, Reading(), told(**pages, **status()))) is seen


def test_a_preset_that_waits_for_a_restart_says_so():
    pages = stored("2800") | in_use("3160") | status(restart_required=True)
    with pytest.raises(CommandRefused, match="waits for a restart of the mining"):
        DRIVER.apply_preset("2800", context()).confirmed(Evidence(None, Reading(), told(**pages)))


def test_a_pool_must_be_stored_and_used():
    entry = {"url": "stratum+tcp://new.example:3335", "user": "me.other", "pass": "*****"}
    pages = {"settings": {"miner": {"pools": [entry, entry, entry]}}} | status()
    mining = Reading(state=MinerState.MINING, pools=(Pool("1", "new.example:3335", user="me.other"),))
    plan = DRIVER.set_pool(POOL, context())
    assert plan.confirmed(Evidence(None, mining, told(**pages)))
    assert plan.confirmed(Evidence(None, Reading(state=MinerState.CURTAILED), told(**pages)))
    assert not plan.confirmed(Evidence(None, Reading(state=MinerState.MINING), told(**pages)))
    assert not plan.confirmed(Evidence(None, mining, told(**status())))


# --- a strict device ----------------------------------------------------------------------------------------------

MODELS = {"s19jpro-1.2.6": "1.2.6", "s21-1.3.4": "1.3.4"}


def with_miner(story, model="s19jpro-1.2.6", driver=DRIVER):
    async def run():
        details = {"api": "http", "hr_measure": "GH/s"}
        version = MODELS[model]
        async with commanded(driver, "vnish", model, details=details, firmware="VNish", version=version) as miner:
            await story(miner)
            assert miner.truth["unexpected_writes"] == []

    asyncio.run(run())


@pytest.mark.parametrize("model", MODELS)
def test_mining_stops_starts_and_restarts(model):
    async def story(miner):
        stopped = await miner.run(lambda driver, now: driver.pause(now))
        assert (stopped.state, stopped.after.state) == ("confirmed", MinerState.CURTAILED)
        assert miner.truth["state"] == "paused"
        started = await miner.run(lambda driver, now: driver.resume(now))
        assert (started.state, started.after.state) == ("confirmed", MinerState.STARTING)
        miner.simulation.clock.advance(60.0)
        again = await miner.run(lambda driver, now: driver.restart(now))
        assert (again.state, again.after.state) == ("confirmed", MinerState.STARTING)
        assert miner.truth["writes"] == [f"POST /api/v1/mining/{word}" for word in ("stop", "start", "restart")]

    with_miner(story, model)


@pytest.mark.parametrize("model", MODELS)
def test_the_light_blinks_and_stops(model):
    async def story(miner):
        for on, sent in ((True, 1), (True, 1), (False, 2)):  # asked twice, written once
            outcome = await miner.run(lambda driver, now, on=on: driver.identify_light(on, now))
            assert (outcome.state, outcome.after.fault_light) == ("confirmed", on)
            assert len(miner.truth["writes"]) == sent

    with_miner(story, model)


@pytest.mark.parametrize(("model", "preset"), [("s19jpro-1.2.6", "2750"), ("s21-1.3.4", "3200")])
def test_a_tuned_preset_is_applied(model, preset):
    async def story(miner):
        before = await miner.look()
        outcome = await miner.run(lambda driver, now: driver.apply_preset(preset, now))
        assert (outcome.state, outcome.after.work_mode) == ("confirmed", preset)
        assert outcome.after.hashrate_expected < before.hashrate_expected
        assert miner.truth["writes"] == [
            f'POST /api/v1/settings {{"miner": {{"overclock": {{"preset": "{preset}"}}}}}}'
        ]

    with_miner(story, model)


def test_a_preset_that_the_miner_has_tuned_meanwhile_is_applied():
    async def story(miner):
        device = miner.host.device
        untuned = next(name for name, mode in device.profile.modes.items() if mode.tuning and name != "disabled")
        with pytest.raises(CommandRefused, match="not tuned yet"):
            await miner.run(lambda driver, now: driver.apply_preset(untuned, now))
        tuned = {name: dataclasses.replace(mode, tuning=False) for name, mode in device.profile.modes.items()}
        device.profile = dataclasses.replace(device.profile, modes=tuned)
        outcome = await miner.run(lambda driver, now: driver.apply_preset(untuned, now))
        assert (outcome.state, outcome.after.work_mode) == ("confirmed", untuned)

    with_miner(story)


def test_a_pool_is_set_and_its_password_seen_nowhere():
    async def story(miner):
        setting = PoolSetting(1, "stratum+tcp://new.example:3335", "me.other", "hunter2")
        outcome = await miner.run(lambda driver, now: driver.set_pool(setting, now))
        assert outcome.state == "confirmed"
        assert [pool.url for pool in outcome.after.pools if not pool.fee] == [
            "pool.example.com:3333",
            "new.example:3335",
        ]
        assert miner.host.device.control.pools[0]["pass"] == "secret"
        assert "hunter2" not in str(miner.truth)
        assert "hunter2" not in repr(outcome)

    with_miner(story)


@pytest.mark.parametrize("model", MODELS)
def test_fans_run_as_they_are_told_and_go_back_to_their_own_control(model):
    async def story(miner):
        target = miner.host.device.control.cooling["param"]
        outcome = await miner.run(lambda driver, now: driver.set_fan(ratio(0.7), now))
        assert outcome.state == "confirmed"
        assert {fan.duty for fan in outcome.after.fans} == {0.7}
        back = await miner.run(lambda driver, now: driver.set_fan(None, now))
        assert (back.state, miner.host.device.control.cooling) == ("confirmed", {"name": "auto", "param": target})
        # By its owner, on its own page: the target that was given back is not theirs any more.
        miner.host.device.control.cooling = {"name": "manual", "param": 80}
        with pytest.raises(CommandRefused, match="they were not set from here"):
            await miner.run(lambda driver, now: driver.set_fan(None, now))

    with_miner(story, model)


def test_a_restart_right_after_a_restart_is_seen():
    async def story(miner):
        for _ in range(2):
            outcome = await miner.run(lambda driver, now: driver.restart(now), limit_seconds=40.0)
            assert outcome.state == "confirmed"
        assert outcome.after.state is MinerState.MINING

    with_miner(story)


@pytest.mark.parametrize(
    "command",
    [
        lambda driver, now: driver.restart(now),
        lambda driver, now: driver.pause(now),
        lambda driver, now: driver.identify_light(True, now),
        lambda driver, now: driver.apply_preset("2750", now),
        lambda driver, now: driver.set_pool(POOL, now),
        lambda driver, now: driver.set_fan(ratio(0.7), now),
    ],
    ids=["restart", "pause", "light", "preset", "pool", "fan"],
)
def test_a_device_that_says_yes_and_changes_nothing_is_found_out(command):
    async def story(miner):
        await miner.simulation.set_fault(miner.host.address, "ignores_writes")
        outcome = await miner.run(command, limit_seconds=0.2)
        assert outcome.state == "unconfirmed"
        assert len(miner.truth["writes"]) == 1

    with_miner(story)


def test_a_device_in_failure_refuses_in_its_own_words():
    async def story(miner):
        miner.host.device.physics.fail("overheat", miner.simulation.clock.now())
        miner.simulation.clock.advance(2.0)
        outcome = await miner.run(lambda driver, now: driver.resume(now))
        assert outcome.state == "refused"
        assert outcome.words == "CGMiner err: Connection refused (os error 111)"

    with_miner(story)


def test_a_key_that_is_not_known_is_refused_before_anything_changes():
    async def story(miner):
        await miner.context()
        miner.host.device.keys.clear()
        outcome = await miner.run(lambda driver, now: driver.pause(now))
        assert outcome.state == "refused"
        assert (miner.truth["writes"], miner.truth["state"]) == ([], "mining")

    with_miner(story)
