"""Commands of AxeOS: the bytes that go out, the vendor's description of them, and their effect on simulated boards."""

import asyncio
import dataclasses
import json

import jsonschema
import pytest
import yaml

from exporter.drivers.api import Answer, Answers
from exporter.drivers.bundled.bitaxe_driver import BitaxeDriver
from exporter.drivers.commands import CommandRefused, Evidence, PoolSetting
from exporter.engine.api.commands import Identify, Pause, Restart, Resume, SetFan, SetPool, SetTuning
from exporter.errors import FieldError, NotOfferedError
from exporter.model import MinerState, Reading
from exporter.store.secret import Secret
from exporter.units import hertz, ratio, seconds, volts
from tests.commands.simulated import about, answers, commander, sent
from tests.simulator.flock import shared

DRIVER = BitaxeDriver()
INFO = "GET /api/system/info"
FIRST = PoolSetting(0, "stratum+tcp://solo.example:4444", "bc1qexample.rig", "p4ss")
SECOND = PoolSetting(1, "stratum+tcp://solo.example:4444", "bc1qexample.rig", "p4ss")
ENCRYPTED = PoolSetting(0, "stratum+ssl://solo.example:443", "bc1qexample.rig", "p4ss")
RESTART = ("POST", "/api/system/restart", None)
#: As a board with 2.15 tells its pools, the password starred out.
POOLS = {
    "primaryPoolIndex": 3,
    "secondaryPoolIndex": 0,
    "stratumURL": "old.example",
    "pools": [
        {
            "id": 0,
            "stratumProtocol": "SV1",
            "stratumURL": "backup.example",
            "stratumPort": 3333,
            "stratumUser": "someone",
            "stratumPassword": "*****",
        },
        {
            "id": 3,
            "stratumProtocol": "SV2",
            "stratumURL": "old.example",
            "stratumPort": 3334,
            "stratumUser": "someone",
            "stratumPassword": "*****",
            "stratumSuggestedDifficulty": 512,
            "stratumExtranonceSubscribe": True,
            "stratumTLS": 2,
            "stratumCert": "PEM",
            "stratumDecodeCoinbase": False,
            "stratumV2ChannelType": "standard",
            "stratumV2AuthorityPubkey": "9au",
            "stratumV2RequireAuth": True,
        },
    ],
}


@pytest.fixture(scope="module")
def description():
    return yaml.safe_load(shared("schemas", "esp-miner-openapi-2.15.yaml").read_text())


def check_settings(description, body):
    """A body against the vendor's schema of settings; what the schema lists may come, and nothing else."""
    schemas = description["components"]["schemas"]
    document = json.loads(body)
    schema = {"$ref": "#/components/schemas/Settings", "components": description["components"]}
    jsonschema.Draft202012Validator(schema).validate(document)
    for pool in document.get("pools", []):
        assert set(pool) <= set(schemas["Pool"]["properties"])


def pool(url="stratum+tcp://solo.example:4444", slot=0):
    return SetPool(url, "bc1qexample.rig", Secret("p4ss"), slot)


# --- the bytes --------------------------------------------------------------------------------------------------


def test_requests_without_a_body(description):
    context = about("v2.15.0")
    plans = {
        "/api/system/restart": DRIVER.restart(context),
        "/api/system/pause": DRIVER.pause(context),
        "/api/system/resume": DRIVER.resume(context),
        "/api/system/identify": DRIVER.identify_light(True, context),
    }
    for path, plan in plans.items():
        assert sent(plan) == [("POST", path, None)]
        assert "requestBody" not in description["paths"][path]["post"]
    assert not DRIVER.restart(context).writes(answers())[0].repeatable
    # The second one would switch the greeting off.
    assert not DRIVER.identify_light(True, context).writes(answers())[0].repeatable


def test_frequency_and_voltage(description):
    plan = DRIVER.set_tuning({"frequency": 575e6, "core_voltage": 1.15}, about("v2.15.0"))
    assert sent(plan, (INFO, {})) == [("PATCH", "/api/system", b'{"frequency": 575, "coreVoltage": 1150}')]
    check_settings(description, b'{"frequency": 575, "coreVoltage": 1150}')
    assert (
        sent(DRIVER.set_tuning({"frequency": 512.5e6}, about("v2.15.0")), (INFO, {}))[0][2] == b'{"frequency": 512.5}'
    )


@pytest.mark.parametrize(
    ("info", "body"),
    [
        ({"fanspeed": 44}, b'{"autofanspeed": 0, "fanspeed": 60}'),
        ({"fanspeed": 44.2, "manualFanSpeed": 100}, b'{"autofanspeed": 0, "manualFanSpeed": 60}'),
    ],
    ids=["before 2.11", "since 2.11"],
)
def test_the_fan_by_the_key_that_the_release_reads(info, body, description):
    assert sent(DRIVER.set_fan(ratio(0.6), about(None)), (INFO, info)) == [("PATCH", "/api/system", body)]
    assert sent(DRIVER.set_fan(None, about(None)), (INFO, info)) == [("PATCH", "/api/system", b'{"autofanspeed": 1}')]
    check_settings(description, body)


def test_a_pool_before_2_15(description):
    info = {"stratumURL": "old.example", "fallbackStratumURL": ""}
    body = (
        b'{"stratumURL": "solo.example", "stratumPort": 4444, "stratumUser": "bc1qexample.rig", '
        b'"stratumPassword": "p4ss"}'
    )
    assert sent(DRIVER.set_pool(FIRST, about("v2.9.0")), (INFO, info)) == [("PATCH", "/api/system", body), RESTART]
    body = (
        b'{"fallbackStratumURL": "solo.example", "fallbackStratumPort": 4444, '
        b'"fallbackStratumUser": "bc1qexample.rig", "fallbackStratumPassword": "p4ss"}'
    )
    assert sent(DRIVER.set_pool(SECOND, about("v2.9.0")), (INFO, info))[0] == ("PATCH", "/api/system", body)
    check_settings(description, body)


def test_a_pool_of_2_14_takes_encryption_and_protocol_from_the_url():
    info = {"stratumURL": "old.example", "stratumTLS": 1, "stratumProtocol": "SV2"}
    body = json.loads(sent(DRIVER.set_pool(FIRST, about("v2.14.0")), (INFO, info))[0][2])
    assert (body["stratumTLS"], body["stratumProtocol"]) == (0, "SV1")
    body = json.loads(sent(DRIVER.set_pool(ENCRYPTED, about("v2.14.0")), (INFO, info))[0][2])
    assert (body["stratumTLS"], body["stratumProtocol"]) == (1, "SV1")


def test_a_pool_from_2_15_is_written_whole_by_its_slot(description):
    (method, path, body), restart = sent(DRIVER.set_pool(FIRST, about("v2.15.0")), (INFO, POOLS))
    assert (method, path, restart) == ("PATCH", "/api/system", RESTART)
    assert body == (
        b'{"pools": [{"id": 3, "stratumURL": "solo.example", "stratumPort": 4444, '
        b'"stratumUser": "bc1qexample.rig", "stratumPassword": "p4ss", "stratumProtocol": "SV1", "stratumTLS": 0, '
        b'"stratumSuggestedDifficulty": 512, "stratumExtranonceSubscribe": true, "stratumCert": "PEM", '
        b'"stratumDecodeCoinbase": false, "stratumV2ChannelType": "standard", "stratumV2AuthorityPubkey": "9au", '
        b'"stratumV2RequireAuth": true}]}'
    )
    check_settings(description, body)


def test_a_certificate_stays_in_use_for_the_host_it_was_made_for():
    info = {**POOLS, "primaryPoolIndex": 3}
    same = PoolSetting(0, "stratum+ssl://old.example:3334", "someone", "x")
    assert json.loads(sent(DRIVER.set_pool(same, about("v2.15.0")), (INFO, info))[0][2])["pools"][0]["stratumTLS"] == 2
    (other,) = json.loads(sent(DRIVER.set_pool(ENCRYPTED, about("v2.15.0")), (INFO, info))[0][2])["pools"]
    assert other["stratumTLS"] == 1


def test_the_stars_of_a_password_are_never_written_back():
    for setting in (FIRST, SECOND):
        for _, _, body in sent(DRIVER.set_pool(setting, about("v2.15.0")), (INFO, POOLS)):
            assert b"*****" not in (body or b"")
            assert body is None or b'"stratumPassword": "p4ss"' in body


def test_on_the_wire_it_is_a_plain_request_without_an_origin(monkeypatch):
    """AxeOS refuses requests whose Origin is none of its own network."""
    heard = []

    async def hear(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0)
        heard.append((lines[0], {line.lower() for line in lines[1:] if line}, await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario():
        async with commander(DRIVER, "bitaxe", "gamma-2.15", monkeypatch) as miner:
            server = await asyncio.start_server(hear, miner._host.address, 0)
            async with server:
                endpoint = miner._session.endpoint
                miner._session.endpoint = type(endpoint)(endpoint.address, server.sockets[0].getsockname()[1])
                plan = DRIVER.set_tuning({"frequency": 575e6}, miner.context())
                await miner._device.write(plan.writes(answers((INFO, {})))[0])
                await miner._device.write(DRIVER.restart(miner.context()).writes(answers())[0])

    asyncio.run(scenario())
    (change, headers, body), (restart, bare, nothing) = heard
    assert (change, body) == ("PATCH /api/system HTTP/1.1", b'{"frequency": 575}')
    assert "content-type: application/json" in headers
    assert (restart, nothing) == ("POST /api/system/restart HTTP/1.1", b"")
    for names in (headers, bare):
        assert not any(line.startswith(("origin:", "authorization:", "transfer-encoding:")) for line in names)


# --- what is offered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "refused"),
    [("v2.11.1", {"pause", "identify"}), ("v2.13.2", {"pause"}), ("v2.14.0b4", set()), ("beta", {"pause", "identify"})],
)
def test_what_a_release_cannot_do_is_refused_with_words(version, refused):
    context = about(version)
    made = {
        "pause": lambda: DRIVER.pause(context),
        "identify": lambda: DRIVER.identify_light(True, context),
    }
    for name, make in made.items():
        if name in refused:
            with pytest.raises(CommandRefused, match=r"from 2\.1"):
                make()
        else:
            assert make().effect
    with pytest.raises(CommandRefused, match="by itself"):
        DRIVER.identify_light(False, about("v2.15.0"))


def test_firmware_that_crashes_at_single_settings_is_restarted_only():
    context = about("v2.0.3")
    assert DRIVER.pool_rules(context).slots == 0
    assert DRIVER.fan_range(context) is None
    with pytest.raises(CommandRefused, match=r"2\.0\.5"):
        DRIVER.tuning_reads(context)


@pytest.mark.parametrize(
    ("info", "least"),
    [({"minFanSpeed": 25}, 0.25), ({"minFanSpeed": 0}, 0.15), ({}, 0.15), ({"minFanSpeed": 250}, 1.0), (None, 0.15)],
)
def test_the_fan_is_not_set_below_what_the_board_keeps_to_itself(info, least):
    context = about("v2.12.1")
    told = answers() if info is None else answers((INFO, info))
    assert DRIVER.fan_range(dataclasses.replace(context, answers=told)) == (least, 1.0)
    assert [one.key for one in DRIVER.offer_reads("fan", context)] == [INFO]
    assert DRIVER.offer_reads("restart", context) == DRIVER.offer_reads("fan", about("v2.0.3")) == ()


def test_pools_by_release():
    assert DRIVER.pool_rules(about("v2.2.2")).slots == 1
    assert DRIVER.pool_rules(about("v2.9.0")).schemes == ("stratum+tcp",)
    rules = DRIVER.pool_rules(about("v2.13.0"))
    assert (rules.slots, rules.schemes, rules.restarts) == (2, ("stratum+tcp", "stratum+ssl"), True)
    with pytest.raises(CommandRefused, match="cannot encrypt"):
        sent(DRIVER.set_pool(ENCRYPTED, about(None)), (INFO, {"stratumURL": "old.example"}))
    with pytest.raises(CommandRefused, match="IPv6"):
        DRIVER.set_pool(PoolSetting(0, "stratum+tcp://[2001:db8::1]:3333", "a", "b"), about("v2.15.0"))


def test_ranges_come_from_the_device():
    info = {"frequency": 525, "coreVoltage": 1150}
    asic = {"frequencyOptions": [600, 400, 525], "voltageOptions": [1000, 1150]}
    told = answers((INFO, info), ("GET /api/system/asic", asic))
    frequency, voltage = DRIVER.decode_tuning(told, about("v2.12.1"))
    assert (frequency.least, frequency.most, frequency.current) == (400e6, 600e6, 525e6)
    assert frequency.choices == (400e6, 525e6, 600e6)
    assert voltage.choices == (1.0, 1.15)  # not 1.1500000000000001
    unlocked = answers((INFO, {**info, "overclockEnabled": 1}), ("GET /api/system/asic", asic))
    assert [one.choices for one in DRIVER.decode_tuning(unlocked, about("v2.12.1"))] == [(), ()]
    assert DRIVER.decode_tuning(answers((INFO, info)), about("v2.4.5")) == ()


def test_a_captured_board_offers_what_its_own_page_does():
    folder = shared("payloads", "bitaxe", "gamma601-v2.12.2-docs")
    info = json.loads((folder / "http_system_info.json").read_text())
    body = json.loads(sent(DRIVER.set_pool(FIRST, about(info["version"])), (INFO, info))[0][2])
    assert body["stratumURL"] == "solo.example"
    assert set(body) == {"stratumURL", "stratumPort", "stratumUser", "stratumPassword"}


# --- confirmation -----------------------------------------------------------------------------------------------


def test_a_frequency_that_the_chips_do_not_run_at_yet_is_not_confirmed():
    plan = DRIVER.set_tuning({"frequency": 600e6}, about("v2.15.0"))

    def seen(info):
        return plan.confirmed(Evidence(None, Reading(), answers((INFO, info))))

    assert seen({"frequency": 600, "actualFrequency": 598.4})
    assert not seen({"frequency": 600, "actualFrequency": 525})
    assert not seen({"frequency": 525, "actualFrequency": 525})
    assert seen({"frequency": 600, "actualFrequency": 0})
    assert seen({"frequency": 600})


def test_a_restart_is_seen_by_the_uptime():
    plan = DRIVER.restart(about("v2.12.1"))

    def seen(before, after, went_away=False):
        old = None if before is None else Reading(uptime=seconds(before))
        return plan.confirmed(
            Evidence(old, Reading(uptime=None if after is None else seconds(after)), went_away=went_away)
        )

    assert seen(500.0, 3.0)
    assert not seen(500.0, 505.0, went_away=True)
    assert seen(2.0, 5.0, went_away=True)
    assert not seen(2.0, 5.0)
    assert not seen(500.0, None)


def test_a_greeting_that_was_switched_off_is_told():
    plan = DRIVER.identify_light(True, about("v2.12.1"))
    key = "POST /api/system/identify"
    plan.check(Answers({key: Answer(b'The device says "Hi!" for 30 seconds.')}))
    with pytest.raises(CommandRefused, match="already"):
        plan.check(Answers({key: Answer(b'{"message":"The device no longer says \\"Hi!\\"."}')}))


# --- simulated boards -------------------------------------------------------------------------------------------

MODELS = ("gamma-2.15", "gamma-2.12", "supra-2.9", "supra-2.4", "ultra-2.1")


def commanded(model, monkeypatch, scenario):
    async def run():
        async with commander(DRIVER, "bitaxe", model, monkeypatch) as miner:
            await scenario(miner)
            assert miner.device.records.unexpected_writes == []

    asyncio.run(run())


@pytest.mark.parametrize("model", MODELS)
def test_a_board_restarts(model, monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(Restart())
        assert (outcome.state, miner.device.records.writes) == ("confirmed", ["POST /api/system/restart"])
        assert outcome.after.uptime < 300.0

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("slot", [0, 1])
def test_a_board_takes_a_pool_and_its_password(model, slot, monkeypatch):
    async def scenario(miner):
        if slot and model == "ultra-2.1":
            with pytest.raises(FieldError, match="slot"):
                await miner.order(pool(slot=slot))
            return
        before = dict(miner.device.settings.pools[1 - slot])
        outcome = await miner.order(pool(slot=slot))
        assert outcome.state == "confirmed", outcome
        change, restart = miner.device.records.writes
        assert (change[:17], restart) == ("PATCH /api/system", "POST /api/system/restart")
        assert "p4ss" not in change
        assert miner.device.settings.passwords[slot] == "p4ss"
        assert miner.device.settings.pools[1 - slot] == before
        told = next(one for one in outcome.after.pools if one.priority == slot or one.pool == str(slot))
        assert (told.url, told.user) == ("solo.example:4444", "bc1qexample.rig")

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize("model", MODELS)
def test_a_board_takes_a_fan_speed_and_its_own_control_back(model, monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(SetFan(ratio(0.85)))
        assert outcome.state == "confirmed", outcome
        assert outcome.after.fans[0].duty == pytest.approx(0.85)
        assert (await miner.order(SetFan(None))).state == "confirmed"
        assert miner.device.settings.auto_fan

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize(("model", "least"), [("gamma-2.15", 0.25), ("ultra-2.1", 0.15)])
def test_a_board_that_mines_keeps_its_fan_running(model, least, monkeypatch):
    async def scenario(miner):
        (told,) = (await miner.offers())["fan"].ranges
        assert told[:4] == ("duty", "ratio", least, 1.0)
        for duty in (0.0, least - 0.01):
            with pytest.raises(FieldError, match=f"duty: must be from {least:g} to 1"):
                await miner.order(SetFan(ratio(duty)))
        assert miner.device.records.writes == []
        assert (await miner.order(SetFan(ratio(least)))).state == "confirmed"

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize("model", ["gamma-2.15", "gamma-2.12", "supra-2.9"])
def test_a_board_is_tuned_within_its_own_options(model, monkeypatch):
    async def scenario(miner):
        frequency, voltage = await miner.ranges()
        order = SetTuning(hertz(frequency.choices[0]), volts(voltage.choices[0]))
        outcome = await miner.order(order)
        assert outcome.state == "confirmed", outcome
        assert outcome.after.boards[0].frequency == frequency.choices[0]
        assert outcome.after.boards[0].voltage_target == pytest.approx(voltage.choices[0])
        with pytest.raises(FieldError, match="frequency: must be one of"):
            await miner.order(SetTuning(hertz(frequency.most + 1e6)))
        assert len(miner.device.records.writes) == 1

    commanded(model, monkeypatch, scenario)


def test_a_board_without_options_is_not_tuned(monkeypatch):
    async def scenario(miner):
        assert await miner.offered() == {"restart", "pool", "fan"}
        with pytest.raises(NotOfferedError, match="restart"):
            await miner.order(SetTuning(hertz(500e6)))

    commanded("supra-2.4", monkeypatch, scenario)


def test_a_board_pauses_resumes_and_says_hello(monkeypatch):
    async def scenario(miner):
        assert await miner.offered() == {"restart", "pause", "resume", "identify", "tuning", "pool", "fan"}
        outcome = await miner.order(Pause())
        assert (outcome.state, outcome.after.state) == ("confirmed", MinerState.IDLE)
        assert (await miner.order(Resume())).state == "confirmed"
        assert (await miner.order(Identify(True))).state == "confirmed"
        again = await miner.order(Identify(True))
        assert (again.state, "already" in again.words) == ("refused", True)
        paths = [line.rpartition("/")[2] for line in miner.device.records.writes]
        assert paths == ["pause", "resume", "identify", "identify"]

    commanded("gamma-2.15", monkeypatch, scenario)


@pytest.mark.parametrize("order", [Restart(), SetFan(ratio(0.5)), pool(), Pause()], ids=lambda order: order.command)
def test_a_board_that_says_yes_and_changes_nothing_is_unconfirmed(order, monkeypatch):
    async def scenario(miner):
        miner.device.obeys = False
        outcome = await miner.order(order, limit_seconds=0.3)
        assert outcome.state == "unconfirmed"
        assert "effect was not seen" in outcome.words

    commanded("gamma-2.15", monkeypatch, scenario)


def test_the_words_of_a_refusal_are_told(monkeypatch):
    async def scenario(miner):
        miner.device.settings.fits = lambda body: False
        outcome = await miner.order(SetFan(ratio(0.5)))
        assert (outcome.state, outcome.words) == ("refused", "Wrong API input")
        miner.device.records.unexpected_writes.clear()

    commanded("gamma-2.12", monkeypatch, scenario)


def test_a_board_that_refuses_a_pool_is_not_restarted(monkeypatch):
    async def scenario(miner):
        miner.device.settings.fits = lambda body: False
        outcome = await miner.order(pool())
        assert (outcome.state, outcome.words) == ("refused", "Wrong API input")
        assert miner.device.records.writes == []
        miner.device.records.unexpected_writes.clear()

    commanded("gamma-2.15", monkeypatch, scenario)


def test_the_strict_board_notes_what_a_release_ignores(monkeypatch):
    """The traps: the old fan key, "voltage", and flat pools on 2.15 are answered with 200 and do nothing."""
    device = None

    async def scenario():
        nonlocal device
        async with commander(DRIVER, "bitaxe", "gamma-2.15", monkeypatch) as miner:
            device = miner.device
            for body in (b'{"fanspeed": 50}', b'{"voltage": 1100}', b'{"stratumURL": "a", "stratumPort": 1}'):
                request = DRIVER.set_fan(None, miner.context()).writes(answers((INFO, {})))[0].request
                write = type(request)(request.path, method="PATCH", body=body)
                answer = await miner._exchange.fetch(miner._session, write)
                assert answer.status == 200

    asyncio.run(scenario())
    assert len(device.records.unexpected_writes) == 3
    assert device.records.writes == []
    assert device.settings.pools[0]["stratumURL"] == "pool.example.com"
