"""The VNish driver: units, states, sign-in, presets and what identifies the firmware."""

import json
from pathlib import Path

import pytest

from exporter.drivers.api import Answer, Answers, ApiKeyLogin, Auth, DecodeContext, DescribesModel, Specificity
from exporter.drivers.bundled.vnish_driver import VnishDriver
from exporter.drivers.families.vnish_units import preset_figures
from exporter.drivers.fixture import load_fixture, replay
from exporter.errors import AuthError, DecodeError, InternalError, LockedOut, ProtocolError, Unsupported
from exporter.model import ChipGrade, DeviceError, Identity, MinerState

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "vnish"
NOW = 1_760_000_000.0
DRIVER = VnishDriver()
SUMMARY = "GET /api/v1/summary"


def answers(**documents):
    return Answers({key: Answer(json.dumps(value).encode()) for key, value in documents.items()})


def status(miner, details=None, **more):
    context = DecodeContext(NOW, Identity(), {"hr_measure": "GH/s"} if details is None else details)
    return DRIVER.decode_status(answers(**{SUMMARY: {"miner": miner}}, **more), context)


def at(state, **more):
    return {"miner_status": {"miner_state": state, "miner_state_time": 90, **more}}


# --- identification ---


def test_info_decides():
    found = DRIVER.identify(load_and_answer("s19jpro-1.2.6", "GET /api/v1/info"))
    assert (found.driver_type, found.specificity) == ("vnish", Specificity.CERTAIN)
    assert found.identity == Identity(
        "02:11:22:33:44:55", None, "Bitmain", "Antminer S19j Pro", "VNish", "1.2.6", "rack1-07"
    )
    assert found.details == {"api": "http", "hr_measure": "GH/s", "model": "s19jpro", "algorithm": "sha256d"}


def load_and_answer(name, *keys):
    fixture = load_fixture(FIXTURES / name)
    return Answers({key: fixture.answers[key] for key in keys})


def test_the_page_and_the_type_name_the_firmware():
    page = Answers({"GET /": Answer(b'<meta name="firmware" content="AnthillOS">')})
    assert DRIVER.identify(page).specificity is Specificity.SPECIFIC
    stats = answers(**{"rpc stats": {"STATS": [{"Type": "Antminer S21 Pro (Vnish 1.2.7)"}]}})
    found = DRIVER.identify(stats)
    assert (found.driver_type, found.identity.model, found.identity.firmware_version) == (
        "vnish",
        "Antminer S21 Pro",
        "1.2.7",
    )


def test_vnish_3_is_polled_like_the_stock_firmware():
    found = DRIVER.identify(answers(**{"rpc version": {"VERSION": [{"Type": "Antminer S9 (vnish 3.8.6)"}]}}))
    assert (found.driver_type, found.identity.firmware, found.details) == ("antminer", "VNish", {"api": "rpc"})


@pytest.mark.parametrize(
    "reply",
    [
        Answers({"GET /api/v1/info": Answer(b"<html>AxeOS</html>")}),
        Answers({"GET /": Answer(b"AnthillOS", status=404)}),
        answers(**{"GET /api/v1/info": {"fw_version": "25.07"}}),
        answers(**{"rpc stats": {"STATS": [{"Type": "Antminer S19"}]}}),
        answers(**{"rpc stats": {"STATS": []}}),
    ],
)
def test_other_firmwares_are_not_claimed(reply):
    assert DRIVER.identify(reply) is None


# --- status ---


def test_the_summary_of_a_working_miner():
    result = replay(DRIVER, load_fixture(FIXTURES / "s19jpro-1.2.6"))
    reading = result.status
    assert (reading.state, reading.expected_mining, reading.mining_uptime) == (MinerState.MINING, True, 86400)
    assert (reading.hashrate, reading.hashrate_average) == (99.1e12, 98.5e12)
    assert (reading.hashrate_expected, reading.hashrate_nameplate) == (99e12, 100e12)
    assert (reading.power, reading.temperature_target, reading.fans_expected) == (2850, 60, 4)
    assert [(fan.fan, fan.speed, fan.duty) for fan in reading.fans][2] == ("2", 0, 0.7)
    assert reading.errors == (DeviceError("fan_lost", "error", "fan"),)
    assert [sensor.position for sensor in reading.psus[0].temperatures] == ["pfc", "llc1"]
    board = reading.boards[2]
    assert (board.voltage, board.frequency, board.power, board.hardware_errors) == (13.4, 510e6, 950, 9)
    assert board.chips_bad == (("dead", 1), ("slow", 1))
    assert board.chips_working == 125
    assert [pool.fee for pool in reading.pools] == [False, False, False, True]
    assert [(pool.up, pool.active) for pool in reading.pools] == [
        (True, True),
        (True, False),
        (False, False),
        (True, True),
    ]
    assert [pool.last_share for pool in reading.pools] == [NOW - 11, None, NOW - 11400, NOW - 40]
    assert (reading.pools[0].difficulty, reading.pools[0].response_time) == (131000, 0.012)
    assert (reading.best_share_difficulty, reading.blocks_found) == (198e6, 0)


def test_the_slow_loop():
    reading = replay(DRIVER, load_fixture(FIXTURES / "s19jpro-1.2.6")).telemetry
    assert (reading.uptime, reading.fault_light, reading.boards_expected) == (2 * 86400 + 4 * 3600 + 300, True, 3)
    assert (reading.work_mode, reading.power_limit) == ("2850", 2850)
    assert reading.memory_free == (("system", 180000 * 1024),)
    assert [board.serial for board in reading.boards] == ["BOARD0001", "BOARD0002", "BOARD0003"]
    board = reading.boards[0]
    assert board.chips_expected == 126
    assert [chip.grade for chip in board.chips][:4] == [
        ChipGrade.GOOD,
        ChipGrade.SLOW,
        ChipGrade.DEAD,
        ChipGrade.HOT,
    ]
    assert board.chips[2].temperature is None
    assert board.chip_temperature_avg == pytest.approx((60 + 61 + 63 + 64 + 65) / 5)
    assert (board.chips[0].hashrate, board.chips[0].voltage) == (260.5e9, 0.33)


def test_scrypt_1_3_stopped_in_a_liquid():
    result = replay(DRIVER, load_fixture(FIXTURES / "l9-1.3.4"))
    reading = result.status
    assert result.identity.serial == "SN000123456789"
    assert (reading.state, reading.expected_mining) == (MinerState.CURTAILED, False)
    assert (reading.fans, reading.fans_expected, reading.errors) == ((), None, ())
    assert (reading.hashrate_nameplate, reading.power) == (16e9, 0)
    assert [(place.position, place.celsius) for place in reading.boards[0].coolant_temperatures] == [
        ("inlet", 31),
        ("outlet", 38),
    ]
    assert (reading.boards[0].temperatures, reading.boards[0].chip_temperature_max) == ((), None)
    assert result.telemetry.work_mode == "3260"
    assert len(result.telemetry.boards[0].chips) == 4


@pytest.mark.parametrize(
    ("word", "state", "expected"),
    [
        ("mining", MinerState.MINING, True),
        ("initializing", MinerState.STARTING, True),
        ("starting", MinerState.STARTING, True),
        ("auto-tuning", MinerState.TUNING, True),
        ("restarting", MinerState.STARTING, True),
        ("shutting-down", MinerState.IDLE, None),
        ("stopped", MinerState.CURTAILED, False),
        ("failure", MinerState.FAULT, True),
        ("dreaming", MinerState.UNKNOWN, None),
    ],
)
def test_states(word, state, expected):
    reading = status(at(word))
    assert (reading.state, reading.expected_mining) == (state, expected)
    assert reading.mining_uptime == (90 if word == "mining" else None)


def test_a_failure_is_named_by_its_code():
    reading = status(at("failure", failure_code=1002, description="Failed to parse miner configuration"))
    assert reading.errors == (DeviceError("failure_1002", "error", "firmware"),)
    assert reading.overheat is None
    hot = status(at("failure", failure_code=5, description="Chip temperature is too high"))
    assert hot.overheat is True
    assert hot.errors[0].component == "temperature"


def test_nothing_is_invented_while_the_mining_process_is_silent():
    reading = status(None)
    assert (reading.state, reading.hashrate, reading.pools, reading.boards) == (MinerState.UNKNOWN, None, (), ())


def test_an_answer_without_miner_is_an_error():
    with pytest.raises(DecodeError, match="miner"):
        DRIVER.decode_status(answers(**{SUMMARY: {"err": "busy"}}), DecodeContext(NOW))


def test_power_of_zero_after_a_start_is_no_measurement():
    assert status({**at("mining"), "power_consumption": 0}).power is None
    assert status({**at("initializing"), "power_consumption": 0}).power is None
    assert status({**at("failure"), "power_consumption": 0}).power == 0


def test_power_usage_is_taken_from_the_betas_only():
    assert status({**at("mining"), "power_usage": 3733.0}).power == 3733
    assert status({**at("mining"), "power_usage": 55}).power is None
    assert status({**at("mining"), "power_usage": 2631, "power_consumption": 0}).power is None


@pytest.mark.parametrize(
    ("details", "kind", "expected"),
    [
        ({"hr_measure": "GH/s"}, "anything", 5e9),
        ({"hr_measure": "MH/s"}, "Antminer L9 (Vnish 1.2.7)", 5e6),
        ({}, "Antminer S19 (Vnish 1.2.0-rc3)", 5e9),
        ({}, "Antminer L7 (Vnish 1.2.0-rc3)", 5e6),
        ({}, "Avalon 1246", None),
        ({"hr_measure": "N/A"}, "Antminer S19 (Vnish 1.3.4)", None),
    ],
)
def test_the_unit_of_rates(details, kind, expected):
    assert status({**at("mining"), "miner_type": kind, "hr_realtime": 5.0}, details).hashrate == expected


def test_the_deprecated_rates_are_terahashes():
    miner = {**at("mining"), "instant_hashrate": 66.5, "average_hashrate": 67.0}
    reading = status({**miner, "miner_type": "Antminer S19 (Vnish 1.2.0-beta10)"}, {})
    assert (reading.hashrate, reading.hashrate_average) == (66.5e12, 67e12)
    assert status(miner, {"hr_measure": "MH/s"}).hashrate is None


def test_a_fan_that_is_not_fitted_raises_no_alarm():
    cooling = {"fan_num": 4, "fans": [{"id": 0, "rpm": 0, "status": "ok"}], "settings": {"mode": {"name": "manual"}}}
    reading = status({**at("mining"), "cooling": cooling})
    assert (reading.fans, reading.fans_expected, reading.errors) == ((), None, ())


def test_info_is_asked_along_where_the_unit_is_not_known():
    known = DecodeContext(NOW, Identity(), {"hr_measure": "GH/s"})
    assert [request.key for request in DRIVER.status_requests(known)] == [SUMMARY]
    assert DRIVER.status_requests(known)[0].auth is Auth.API_KEY
    assert [r.key for r in DRIVER.status_requests(DecodeContext(NOW))] == [SUMMARY, "GET /api/v1/info"]


def test_chips_are_looked_for_under_three_paths():
    chips = next(r for r in DRIVER.telemetry_requests(DecodeContext(NOW)) if r.path == "/api/v1/chains")
    assert (chips.otherwise.path, chips.otherwise.otherwise.path) == ("/api/v1/boards", "/api/v1/chips")
    assert all(request.optional for request in DRIVER.telemetry_requests(DecodeContext(NOW)))


def test_the_older_chips_answer():
    chip = {"id": 7, "status": "orange", "hashrate": 81.5, "freq": 500, "temp": 0.0, "errors": 2, "sensor": None}
    document = {"chips_per_chain": 1, "chains": [{"id": 1, "chips": [chip]}]}
    context = DecodeContext(NOW, Identity(), {"hr_measure": "GH/s"})
    board = DRIVER.decode_telemetry(answers(**{"GET /api/v1/chips": document}), context).boards[0]
    assert board.board == "1"
    assert (board.chips[0].chip, board.chips[0].hashrate, board.chips[0].hardware_errors) == ("7", 81.5e9, 2)
    assert (board.chips[0].grade, board.chips[0].temperature) == (ChipGrade.SLOW, None)


# --- sign-in ---


def test_is_a_device_with_keys_and_models():
    assert isinstance(DRIVER, ApiKeyLogin)
    assert isinstance(DRIVER, DescribesModel)


def test_unlock():
    request = DRIVER.unlock_request("admin")
    assert (request.key, json.loads(request.body)) == ("POST /api/v1/unlock", {"pw": "admin"})
    assert DRIVER.decode_unlock(Answer(b'{"token":"OwpExampleToken"}')) == "OwpExampleToken"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(b"{}", status=403), AuthError),
        (Answer(b"", status=401), AuthError),
        (Answer(b"{}", status=500), ProtocolError),
        (Answer(b"{}", status=404), Unsupported),
        (Answer(b"{}"), DecodeError),
        (Answer(b"<html>"), DecodeError),
    ],
)
def test_refused_unlock(answer, error):
    with pytest.raises(error) as caught:
        DRIVER.decode_unlock(answer)
    assert not isinstance(caught.value, LockedOut)


@pytest.mark.parametrize(("body", "wait"), [(b'{"unlock_timeout":240}', 240), (b"{}", None), (b"slow down", None)])
def test_lock_out(body, wait):
    with pytest.raises(LockedOut) as caught:
        DRIVER.decode_unlock(Answer(body, status=429))
    assert caught.value.retry_after == wait


def test_keys():
    ours, other = "0123456789abcdef" * 2, "f" * 32
    listed = Answer(
        json.dumps([{"key": other, "description": "somebody"}, {"key": ours, "description": "FLOCKWATCH"}]).encode()
    )
    assert DRIVER.find_key(listed, "Flockwatch") == ours
    assert DRIVER.find_key(Answer(b"[]"), "Flockwatch") is None
    created = DRIVER.create_key_request("token", ours, "Flockwatch")
    assert json.loads(created.body) == {"key": ours, "description": "Flockwatch"}
    assert created.headers == (("Authorization", "Bearer token"),)
    deleted = DRIVER.delete_key_request("token", ours)
    assert (deleted.key, json.loads(deleted.body)) == ("POST /api/v1/apikeys/delete", {"key": ours})
    assert DRIVER.list_keys_request("token").key == "GET /api/v1/apikeys"
    assert DRIVER.key_headers(ours) == (("x-api-key", ours),)


def test_a_key_the_device_would_refuse_is_not_sent():
    with pytest.raises(InternalError):
        DRIVER.create_key_request("token", "short", "Flockwatch")


def test_keys_in_another_shape_are_an_error():
    with pytest.raises(DecodeError):
        DRIVER.find_key(Answer(b'{"keys":[]}'), "Flockwatch")


# --- model and presets ---


@pytest.mark.parametrize(
    ("pretty", "power", "rate"),
    [
        ("2350 watt ~ 85 TH", 2350, 85e12),
        ("3460 watt ~ 106 Th LC", 3460, 106e12),
        ("3250 watt ~ 11500 MH", 3250, 11500e6),
        ("3250 watt ~ 11500 M", 3250, 11500e6),
        ("3425 W ~ 9.5 GH/s", 3425, 9.5e9),
        ("Disabled", None, None),
        (None, None, None),
    ],
)
def test_preset_names(pretty, power, rate):
    assert preset_figures(pretty) == (power, None if rate is None else pytest.approx(rate))


def test_a_model_with_its_presets():
    presets = [
        {"name": "disabled", "pretty": "Disabled", "status": "untuned", "modded_psu_required": False},
        {"name": "2350", "pretty": "2350 watt ~ 85 TH", "status": "tuned", "modded_psu_required": True},
    ]
    model = {"model": "s19jpro", "full_name": "Antminer S19j Pro", "algorithm": "sha256d",
             "chain": {"num_chains": 3, "chips_per_chain": 126}}  # fmt: skip
    found = DRIVER.decode_model(
        answers(**{"GET /api/v1/model": model, "GET /api/v1/autotune/presets": presets}), DecodeContext(NOW)
    )
    assert (found.alias, found.name, found.boards, found.chips_per_board) == ("s19jpro", "Antminer S19j Pro", 3, 126)
    assert (found.presets[0].tuned, found.presets[0].power) == (False, None)
    assert (found.presets[1].tuned, found.presets[1].modified_psu_required) == (True, True)
    assert (found.presets[1].power, found.presets[1].hashrate) == (2350, 85e12)


def test_a_model_without_a_key_has_unknown_presets():
    found = DRIVER.decode_model(answers(**{"GET /api/v1/model": {"model": "s19"}}), DecodeContext(NOW))
    assert (found.alias, found.presets) == ("s19", None)
    assert DRIVER.decode_model(Answers({}), DecodeContext(NOW)) is None
    assert DRIVER.model_requests(DecodeContext(NOW))[1].auth is Auth.API_KEY
