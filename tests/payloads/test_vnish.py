"""Captured VNish answers: 1.2.0-beta10, 1.2.0-rc3, 1.2.6 (in failure) and 1.2.7."""

import pytest

from exporter.drivers.api import Specificity
from exporter.drivers.bundled.vnish_driver import VnishDriver
from exporter.model import MinerState
from tests.payloads.agreement import NotCompared, assert_agrees
from tests.payloads.harness import assert_every_key_read, capture_params, file_params, look

NOT_REQUESTED = {
    "http_settings.json": "holds pool passwords; /perf-summary tells the preset",
    "http_metrics.json": "the device's own history; Prometheus keeps ours",
    "http_notes*": "free text of the operator",
    "http_apikeys.json": "asked with a token when an API key is obtained",
    "http_unlock.json": "the answer to a write",
    "http_post_*": "an answer to a write",
    "privileged_*": "an answer to a write",
    "rpc_summary.json": "/api/v1/summary tells more",
    "rpc_pools.json": "/api/v1/summary tells more",
    "rpc_devdetails.json": "tells the driver's name only",
}
KNOWN_FLAWS = {
    **{
        ("s19-1.2.0-beta10", f"chains[{index}].power_w"): "power_usage is in watts: the chains add up to the miner's"
        for index in range(3)
    },
}
STATES = {"mining": MinerState.MINING, "auto-tuning": MinerState.TUNING, "failure": MinerState.FAULT}
NO_VALUE = NotCompared("no such value in a reading")


def extremes(low, high):
    return None if low is None and high is None else {"min": low, "max": high}


def chains(look, expected):
    found = []
    for board in look.reading.boards:
        sensors = {sensor.position: sensor.celsius for sensor in board.temperatures}
        found.append(
            {
                "id": int(board.board),
                "hashrate_hs": board.hashrate,
                "power_w": board.power,
                "voltage_v": board.voltage,
                "frequency_mhz": board.frequency / 1e6,
                "pcb_temp": extremes(sensors.get("min"), sensors.get("max")),
                "chip_temp": extremes(board.chip_temperature_min, board.chip_temperature_max),
                "hw_errors": board.hardware_errors,
            }
        )
    return found


GETTERS = {
    "state": lambda look, expected: expected if look.reading.state is STATES[expected] else str(look.reading.state),
    "hashrate_hs": lambda look, expected: look.reading.hashrate,
    "hashrate_avg_hs": lambda look, expected: look.reading.hashrate_average,
    "hashrate_nominal_hs": lambda look, expected: look.reading.hashrate_expected,
    "hashrate_stock_hs": lambda look, expected: look.reading.hashrate_nameplate,
    "power_w": lambda look, expected: look.reading.power,
    "fans": lambda look, expected: [
        {"id": int(fan.fan), "rpm": fan.speed, "ok": NotCompared("a lost fan is an error"), "max_rpm": NO_VALUE}
        for fan in look.reading.fans
    ],
    "chains": chains,
    "pools": lambda look, expected: [
        {
            "id": int(pool.pool),
            "url": pool.url,
            "user": pool.user,
            "status": NotCompared("becomes up and active"),
            "accepted": pool.accepted,
            "rejected": pool.rejected,
            "stale": pool.stale,
            "devfee": pool.fee,
        }
        for pool in look.reading.pools
    ],
    "best_share": lambda look, expected: look.reading.best_share_difficulty,
    "hw_errors": lambda look, expected: look.reading.hardware_errors,
    "type": lambda look, expected: (
        f"{look.reading.identity.model} ({look.reading.identity.firmware.capitalize()} "
        f"{look.reading.identity.firmware_version})"
    ),
}


@pytest.mark.parametrize(("capture", "file"), file_params("vnish"))
def test_every_key_is_read(capture, file):
    if file == "http_root.html":
        assert b"AnthillOS" in capture.body(file)
        return
    assert_every_key_read(look(VnishDriver(), capture), file, NOT_REQUESTED)


@pytest.mark.parametrize("capture", capture_params("vnish"))
def test_agrees(capture, record_property):
    assert_agrees(record_property, look(VnishDriver(), capture), GETTERS, KNOWN_FLAWS)


@pytest.mark.parametrize("capture", capture_params("vnish"))
def test_identity_comes_with_the_first_answers(capture):
    result = look(VnishDriver(), capture)
    assert result.reading.identity.mac is not None
    assert result.reading.identity.serial is None
    assert result.reading.identity.make == "Bitmain"
    if result.identification is not None:
        assert result.identification.specificity is Specificity.CERTAIN


@pytest.mark.parametrize("capture", capture_params("antminer-stock", "braiins", "cgminer-generic", "elphapex", "luxos"))
def test_claims_no_other_device(capture):
    result = look(VnishDriver(), capture)
    assert result.identification is None or result.identification.driver_type == "antminer"
