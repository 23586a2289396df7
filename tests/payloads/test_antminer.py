"""Captured answers of stock Antminers: S9 to S19 Pro, D3, E3, L3, Z11, KS5 Pro; awake, asleep and overheated."""

import pytest

from exporter.drivers.api import Answer, Answers, Specificity
from exporter.drivers.bundled.antminer_driver import AntminerDriver
from exporter.drivers.bundled.vnish_driver import VnishDriver
from exporter.drivers.families.cgminer_records import decode_summary
from exporter.model import MinerState
from exporter.protocols.tolerant_json import parse_json
from tests.payloads.agreement import NotCompared, assert_agrees
from tests.payloads.harness import assert_every_key_read, capture_params, file_params, look

NOT_REQUESTED = {
    "rpc_devs.json": "its MHS key holds GH/s (S21) or 0; stats tells the boards",
    "rpc_config.json": "a refusal: access denied",
    "http_blink.json": "an answer to a write",
    "http_reboot.json": "an answer to a write",
    "http_set_*": "an answer to a write",
    "http_upgrade*": "an answer to a write",
    "*_truncated.txt": "only the beginning was published",
}
#: Devices of which only some answers were published, so that a whole poll cannot be made of them.
PARTS = {
    "detect-versions-foreman": "version replies of many, see test_tells_imitators_apart",
    "s9-i49": "summary alone, see test_summary_of_an_s9",
    "s15-joined-i236": "truncated",
}


def chosen(parameters, choose):
    """The parameters whose device is chosen; the skipped one that stands for absent captures stays."""
    return [entry for entry in parameters if entry.values[0] is None or choose(entry.values[0].device)]


def whole(device):
    return device not in PARTS


def details_for(capture, file=None):
    """The variant a file belongs to: the S19 answers both, the KS5 Pro was captured over the web alone."""
    web = file in ("http_stats.json", "http_summary.json", "http_pools.json")
    return {"api": "cgi"} if web or capture.device.startswith("ks5") else {"api": "rpc"}


class Webbed(AntminerDriver):
    """The driver as it polls a device whose 4028 is closed."""

    def identify(self, answers):
        return None


def seen(capture, file=None):
    details = details_for(capture, file)
    driver = Webbed() if details["api"] == "cgi" else AntminerDriver()
    return look(driver, capture, details=details)


@pytest.mark.parametrize(("capture", "file"), chosen(file_params("antminer-stock"), whole))
def test_every_key_is_read(capture, file):
    assert_every_key_read(seen(capture, file), file, NOT_REQUESTED)


def asics(look, expected):
    reading = look.reading
    found = []
    for wanted in expected:
        known = {
            "temps_c": temperatures(reading, wanted["temps_c"]),
            "hashrate_hs": reading.hashrate,
            "boards": len(reading.boards),
            "powermode": power_mode(reading),
            "fan_count": len(reading.fans),
            "fan_unit": "RPM",
            "has_errors": NotCompared("that suite takes chips that rest for errors; the firmware tells none here"),
            "minertype": reading.identity.model,
            "compiletime": same_text(wanted["compiletime"], reading.identity.firmware_version),
            "fans": [fan.speed for fan in reading.fans],
        }
        found.append({name: known[name] for name in wanted})
    return found


def same_text(expected, got):
    """`expected` where it differs in runs of blanks alone (ctime pads the day)."""
    return expected if expected.split() == got.split() else got


def power_mode(reading):
    if reading.expected_mining is False:
        return "Asic.PowerMode.SLEEPING"
    return "Asic.PowerMode.NORMAL" if reading.state is MinerState.MINING else "Asic.PowerMode.IDLE"


def temperatures(reading, expected):
    """The boards' sensors in order, then the chips': of those a reading keeps the extremes."""
    boards = [sensor.celsius for board in reading.boards for sensor in board.temperatures]
    chips = expected[len(boards) :]
    each = len(chips) // len(reading.boards) if reading.boards else 0
    for index, board in enumerate(reading.boards):
        part = chips[index * each : (index + 1) * each]
        if part and max(part) != board.chip_temperature_max:
            return "other chip temperatures"
    return boards + chips


GETTERS = {
    "asics": asics,
    "pools": lambda look, expected: [
        {
            "name": pool.url.removeprefix("stratum+tcp://"),
            "worker": pool.user,
            "enabled": True,
            "up": pool.up,
            "priority": pool.priority,
            "accepted": pool.accepted,
            "rejected": pool.rejected,
            "stale": pool.stale,
        }
        for pool in look.reading.pools
    ],
    "map": lambda look, expected: NotCompared("see test_tells_imitators_apart"),
    "fan_avg_rpm": lambda look, expected: sum(fan.speed for fan in look.reading.fans) / len(look.reading.fans),
    "temp_c": lambda look, expected: NotCompared("a mean over sensors of different kinds"),
    "hw_error_pct": lambda look, expected: NotCompared("a ratio of two counters"),
    "chips": lambda look, expected: sum(board.chips_working for board in look.reading.boards),
    "uptime": lambda look, expected: NotCompared("compared in seconds elsewhere"),
    "hashrate_ths": lambda look, expected: look.reading.hashrate / 1e12,
    "expected_hashrate_ths": lambda look, expected: look.reading.hashrate_expected / 1e12,
    "boards": lambda look, expected: len(look.reading.boards),
    "fans": lambda look, expected: len(look.reading.fans),
    "firmware_version": lambda look, expected: look.identity.firmware_version,
}


@pytest.mark.parametrize("capture", chosen(capture_params("antminer-stock"), whole))
def test_agrees(capture, record_property):
    assert_agrees(record_property, seen(capture), GETTERS, {})


@pytest.mark.parametrize("capture", chosen(capture_params("antminer-stock"), "detect-versions-foreman".__eq__))
def test_tells_imitators_apart(capture):
    expected = capture.expected["expected.json"]["map"]
    for file, family in expected.items():
        answers = Answers({"rpc version": Answer(capture.body(file))})
        stock, vnish = AntminerDriver().identify(answers), VnishDriver().identify(answers)
        if family == "antminer-stock":
            assert stock is not None, file
            assert (stock.driver_type, stock.specificity) == ("antminer", Specificity.STOCK)
            assert vnish is None, file
        else:
            assert stock is None, file
        if family == "vnish":
            assert vnish is not None, file
            assert (vnish.driver_type, vnish.identity.firmware) == ("antminer", "VNish")
            assert vnish.identity.firmware_version == "3.8.6"
            assert vnish.specificity > Specificity.STOCK


@pytest.mark.parametrize(
    "capture", capture_params("vnish", "braiins", "cgminer-generic", "elphapex", "luxos", "avalon")
)
def test_claims_no_other_device(capture):
    assert look(AntminerDriver(), capture).identification is None


@pytest.mark.parametrize("capture", chosen(capture_params("antminer-stock"), "s9-i49".__eq__))
def test_summary_of_an_s9(capture):
    reading = decode_summary(parse_json(capture.body("rpc_summary.json")))
    assert reading.hashrate == pytest.approx(7903.729e9)
    assert reading.mining_uptime == 50731
    assert reading.hardware_errors == 390
    assert reading.hashes == pytest.approx(400918103643e6)
    assert reading.best_share_difficulty == 31539419


@pytest.mark.parametrize("capture", chosen(capture_params("antminer-stock"), lambda device: "z11" in device))
def test_solutions_are_no_hashes(capture):
    reading = seen(capture).reading
    assert reading.state is MinerState.MINING
    assert reading.hashrate is None
    assert reading.hashes is None
    assert [board.hashrate for board in reading.boards] == [None, None, None]


@pytest.mark.parametrize("capture", chosen(capture_params("antminer-stock"), lambda device: "sleeping" in device))
def test_sleep_is_no_fault(capture):
    reading = seen(capture).reading
    assert reading.state in (MinerState.IDLE, MinerState.CURTAILED)
    assert reading.expected_mining is False
    assert reading.errors == ()
    assert all(board.chips_bad is None for board in reading.boards)
