"""Commands of NerdQAxe: the bytes that go out, the one-time password, and their effect on simulated boards."""

import asyncio
import json

import pytest

from exporter.drivers.bundled.nerdqaxe_driver import NerdQAxeDriver
from exporter.drivers.commands import CommandRefused, Evidence, PoolSetting
from exporter.engine.api.commands import Pause, Restart, Resume, SetFan, SetPool, SetTuning
from exporter.errors import FieldError, NotOfferedError
from exporter.model import MinerState, Reading
from exporter.store.secret import Secret
from exporter.units import hertz, ratio, volts
from tests.commands.simulated import about, answers, commander, sent

DRIVER = NerdQAxeDriver()
INFO = "GET /api/system/info"
NEW, OLD = about("v1.0.38-alpha9"), about("v1.0.27")
FIRST = PoolSetting(0, "stratum+tcp://solo.example:4444", "bc1qexample.rig", "p4ss")
SECOND = PoolSetting(1, "stratum+tcp://solo.example:4444", "bc1qexample.rig", "p4ss")
RESTART = ("POST", "/api/system/restart", None)
#: What 1.0.38 tells of pools and fans.
TOLD = {
    "otp": False,
    "autofanspeed": 0,
    "manualFanSpeed": 70,
    "pidTargetTemp": 55,
    "stratumTLS": True,
    "stratumProtocol": 1,
    "fallbackStratumTLS": False,
    "fallbackStratumProtocol": 0,
}
REFUSED = "one-time password"


def pool(slot=0):
    return SetPool("stratum+tcp://solo.example:4444", "bc1qexample.rig", Secret("p4ss"), slot)


# --- the bytes --------------------------------------------------------------------------------------------------


def test_requests_without_a_body():
    info = (INFO, {"otp": False})
    assert sent(DRIVER.restart(NEW), info) == [RESTART]
    assert sent(DRIVER.pause(NEW), info) == [("POST", "/api/system/shutdown", None)]
    assert sent(DRIVER.resume(NEW), info) == [RESTART]


def test_frequency_and_voltage():
    plan = DRIVER.set_tuning({"frequency": 600e6, "core_voltage": 1.15}, NEW)
    assert sent(plan, (INFO, TOLD)) == [("PATCH", "/api/system", b'{"frequency": 600, "coreVoltage": 1150}')]


@pytest.mark.parametrize(
    ("context", "info", "manual", "automatic"),
    [
        (OLD, {"autofanspeed": 1}, b'{"autofanspeed": false, "fanspeed": 60}', b'{"autofanspeed": true}'),
        (about("v1.0.32"), {"autofanspeed": 1}, b'{"autofanspeed": 0, "fanspeed": 60}', b'{"autofanspeed": 1}'),
        (NEW, TOLD, b'{"autofanspeed": 0, "manualFanSpeed": 60}', b'{"autofanspeed": 2}'),
        (
            NEW,
            {**TOLD, "pidTargetTemp": -1},
            b'{"autofanspeed": 0, "manualFanSpeed": 60}',
            b'{"autofanspeed": 1}',
        ),
    ],
    ids=["a flag", "a number", "a target", "a curve"],
)
def test_the_fan_in_the_types_that_the_release_reads(context, info, manual, automatic):
    assert sent(DRIVER.set_fan(ratio(0.6), context), (INFO, info)) == [("PATCH", "/api/system", manual)]
    assert sent(DRIVER.set_fan(None, context), (INFO, info)) == [("PATCH", "/api/system", automatic)]


def test_a_pool_of_new_firmware_is_used_without_a_restart():
    body = (
        b'{"stratumURL": "solo.example", "stratumPort": 4444, "stratumUser": "bc1qexample.rig", '
        b'"stratumPassword": "p4ss", "stratumTLS": false, "stratumProtocol": 0}'
    )
    assert sent(DRIVER.set_pool(FIRST, NEW), (INFO, TOLD)) == [("PATCH", "/api/system", body)]
    assert not DRIVER.pool_rules(NEW).restarts
    body = (
        b'{"fallbackStratumURL": "solo.example", "fallbackStratumPort": 4444, '
        b'"fallbackStratumUser": "bc1qexample.rig", "fallbackStratumPassword": "p4ss", '
        b'"fallbackStratumTLS": false, "fallbackStratumProtocol": 0}'
    )
    assert sent(DRIVER.set_pool(SECOND, NEW), (INFO, TOLD)) == [("PATCH", "/api/system", body)]


def test_an_encrypted_pool():
    setting = PoolSetting(0, "stratum+ssl://solo.example:443", "a", "x")
    assert json.loads(sent(DRIVER.set_pool(setting, NEW), (INFO, TOLD))[0][2])["stratumTLS"] is True
    with pytest.raises(CommandRefused, match="cannot encrypt"):
        sent(DRIVER.set_pool(setting, NEW), (INFO, {"otp": False}))
    assert DRIVER.pool_rules(about("v1.0.35")).schemes == ("stratum+tcp",)


def test_a_pool_of_old_firmware_needs_a_restart():
    body = (
        b'{"stratumURL": "solo.example", "stratumPort": 4444, "stratumUser": "bc1qexample.rig", '
        b'"stratumPassword": "p4ss"}'
    )
    assert sent(DRIVER.set_pool(FIRST, OLD), (INFO, {})) == [("PATCH", "/api/system", body), RESTART]
    assert DRIVER.pool_rules(OLD).restarts
    assert DRIVER.pool_rules(about("v1.0.20")).slots == 1


# --- the one-time password --------------------------------------------------------------------------------------


def test_nothing_is_sent_where_the_miner_says_that_it_wants_a_one_time_password():
    info = (INFO, {**TOLD, "otp": True})
    for plan in (DRIVER.set_fan(None, NEW), DRIVER.set_tuning({"frequency": 5e8}, NEW), DRIVER.set_pool(FIRST, NEW)):
        with pytest.raises(CommandRefused, match=REFUSED):
            sent(plan, info)
    middle = about("v1.0.36")
    for plan in (DRIVER.restart(middle), DRIVER.pause(middle), DRIVER.resume(middle)):
        with pytest.raises(CommandRefused, match=REFUSED):
            sent(plan, info)
    assert sent(DRIVER.restart(NEW), info) == [RESTART]


# --- what is offered and seen -----------------------------------------------------------------------------------


def test_old_firmware_cannot_pause():
    for make in (DRIVER.pause, DRIVER.resume):
        with pytest.raises(CommandRefused, match=r"from 1\.0\.36"):
            make(about("v1.0.35"))


def test_a_setting_counts_when_it_is_told():
    plan = DRIVER.set_fan(ratio(0.6), NEW)

    def seen(**changes):
        return plan.confirmed(Evidence(None, Reading(), answers((INFO, {**TOLD, **changes}))))

    assert seen(autofanspeed=0, manualFanSpeed=60)
    assert not seen(autofanspeed=2, manualFanSpeed=60)
    assert not seen(autofanspeed=0)


# --- simulated boards -------------------------------------------------------------------------------------------

MODELS = ("nerdqaxe++", "nerdqaxe++-1.0.38", "nerdqaxe+-old", "nerdoctaxe")


def commanded(model, monkeypatch, scenario):
    async def run():
        async with commander(DRIVER, "nerdqaxe", model, monkeypatch) as miner:
            await scenario(miner)
            assert miner.device.records.unexpected_writes == []

    asyncio.run(run())


@pytest.mark.parametrize("model", MODELS)
def test_a_board_restarts(model, monkeypatch):
    async def scenario(miner):
        assert (await miner.order(Restart())).state == "confirmed"
        assert miner.device.records.writes == ["POST /api/system/restart"]

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("slot", [0, 1])
def test_a_board_takes_a_pool_and_its_password(model, slot, monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(pool(slot))
        assert outcome.state == "confirmed", outcome
        restarted = model == "nerdqaxe+-old"
        assert len(miner.device.records.writes) == 1 + restarted
        assert "p4ss" not in miner.device.records.writes[0]
        assert miner.device.settings.passwords == {slot: "p4ss", 1 - slot: "x"}
        told = outcome.after.pools[slot]
        assert (told.url, told.user) == ("solo.example:4444", "bc1qexample.rig")
        assert outcome.after.pools[1 - slot].url in ("pool.example.com:3333", "backup.example.com:3334")

    commanded(model, monkeypatch, scenario)


@pytest.mark.parametrize("model", MODELS)
def test_a_board_takes_a_fan_speed_and_its_own_control_back(model, monkeypatch):
    async def scenario(miner):
        with pytest.raises(FieldError, match=r"duty: must be from 0\.15 to 1"):
            await miner.order(SetFan(ratio(0.0)))
        outcome = await miner.order(SetFan(ratio(0.85)))
        assert outcome.state == "confirmed", outcome
        assert outcome.after.fans[0].duty == pytest.approx(0.85)
        assert (await miner.order(SetFan(None))).state == "confirmed"
        assert miner.device.settings.fan_mode == (1 if model == "nerdqaxe+-old" else 2)

    commanded(model, monkeypatch, scenario)


def test_a_board_is_tuned_within_its_own_options(monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(SetTuning(hertz(550e6), volts(1.1)))
        assert outcome.state == "confirmed", outcome
        board = outcome.after.boards[0]
        assert (board.frequency, board.voltage_target) == (550e6, pytest.approx(1.1))
        with pytest.raises(FieldError, match="core_voltage"):
            await miner.order(SetTuning(core_voltage=volts(1.4)))

    commanded("nerdqaxe++", monkeypatch, scenario)


def test_a_board_without_options_is_not_tuned(monkeypatch):
    async def scenario(miner):
        assert await miner.offered() == {"restart", "pool", "fan"}
        with pytest.raises(NotOfferedError):
            await miner.order(SetTuning(hertz(500e6)))

    commanded("nerdqaxe+-old", monkeypatch, scenario)


def test_a_board_is_shut_down_and_comes_back_by_a_restart(monkeypatch):
    async def scenario(miner):
        assert await miner.offered() == {"restart", "pause", "resume", "tuning", "pool", "fan"}
        outcome = await miner.order(Pause())
        assert (outcome.state, outcome.after.state) == ("confirmed", MinerState.IDLE)
        outcome = await miner.order(Resume())
        assert outcome.state == "confirmed"
        assert outcome.after.expected_mining
        assert miner.device.records.writes == ["POST /api/system/shutdown", "POST /api/system/restart"]

    commanded("nerdqaxe++", monkeypatch, scenario)


def test_a_board_with_a_one_time_password_hears_nothing(monkeypatch):
    async def scenario(miner):
        miner.device.otp.enabled = True
        for order in (pool(), SetFan(None), SetTuning(hertz(550e6)), Restart()):
            outcome = await miner.order(order)
            assert (outcome.state, REFUSED in outcome.words) == ("refused", True)
        assert miner.device.otp.refusals == []
        assert miner.device.records.writes == []

    commanded("nerdqaxe++", monkeypatch, scenario)


def test_a_refusal_that_was_not_foreseen_is_told_and_not_tried_again(monkeypatch):
    """The password was switched on between the question and the change."""

    async def scenario(miner):
        tells = miner.device.info
        miner.device.info = lambda state: {**tells(state), "otp": False}
        miner.device.otp.enabled = True
        outcome = await miner.order(pool())
        assert (outcome.state, outcome.words) == ("refused", "OTP/Session required")
        assert len(miner.device.otp.refusals) == 1

    commanded("nerdqaxe++", monkeypatch, scenario)


def test_newer_firmware_restarts_without_the_one_time_password(monkeypatch):
    async def scenario(miner):
        miner.device.otp.enabled = True
        assert (await miner.order(Restart())).state == "confirmed"

    commanded("nerdqaxe++-1.0.38", monkeypatch, scenario)


@pytest.mark.parametrize("order", [Restart(), SetFan(ratio(0.5)), pool(), Pause()], ids=lambda order: order.command)
def test_a_board_that_says_yes_and_changes_nothing_is_unconfirmed(order, monkeypatch):
    async def scenario(miner):
        miner.device.obeys = False
        assert (await miner.order(order, limit_seconds=0.3)).state == "unconfirmed"

    commanded("nerdqaxe++", monkeypatch, scenario)
