"""The cgminer driver on the captured answers of families without a driver of their own."""

from dataclasses import replace

import pytest

from exporter.drivers.api import Answer, Answers, CgminerRequest, DecodeContext
from exporter.drivers.bundled.cgminer_driver import CgminerDriver
from exporter.drivers.families.cgminer_reading import decode_cgminer_status
from exporter.errors import DecodeError
from tests.payloads.agreement import NotCompared, assert_agrees
from tests.payloads.harness import (
    RECEIVED_AT,
    assert_every_key_read,
    capture_params,
    captures,
    file_params,
    look,
    tracked_answers,
)

FAMILIES = ("cgminer-generic", "whatsminer", "luxos", "auradine")
NOT_REQUESTED = {
    "http_*": "the web pages of families that 4028 tells enough of",
    "rpc_multi.json": "a joined command that was refused",
    "rpc_get_*": "needs the key cmd instead of command",
    "rpc_status.json": "needs the key cmd instead of command",
    "rpc_summary_with_errors.json": "a second summary, decoded below",
    "privileged_*": "an answer to a write",
    "rpc_healthchipget_*": "single chips of LuxOS, 29 KB per board",
    "rpc_voltageget_*": "one command per board",
    "rpc_profiles.json": "presets of LuxOS, changed by hand only",
    "rpc_events.json": "a log of LuxOS",
    "rpc_asccount.json": "the boards are counted",
    "rpc_frequency.json": "Auradine's own commands are not asked",
    "rpc_led.json": "Auradine's own commands are not asked",
    "rpc_mode.json": "Auradine's own commands are not asked",
    "rpc_psu.json": "Auradine's own commands are not asked",
    "rpc_temperature.json": "Auradine's own commands are not asked",
    "rpc_voltage.json": "Auradine's own commands are not asked",
}
#: Captures that hold no answer which the CGMiner API could give.
NO_CGMINER = {
    "blackminer-f2": "web pages only",
    "hammer-status-i231": "web pages only",
    "s17pro-ap2.0.3-i44": "a Python literal, cut",
    "l3-devs-i235": "a joined answer under the name of one command",
    "v3-20251209": "Whatsminer's protocol on port 4433",
}


class AnyOf(CgminerDriver):
    """The driver with every request optional: some captures hold a part of the answers only."""

    def status_requests(self, context):
        wanted = (*super().status_requests(context), CgminerRequest("edevs"), CgminerRequest("stats"))
        return tuple(replace(request, optional=True) for request in wanted)


@pytest.mark.parametrize(("capture", "file"), file_params(*FAMILIES))
def test_every_key_is_read(capture, file):
    if capture.device in NO_CGMINER:
        assert not tracked_answers(capture, {}, ["rpc summary", "rpc pools"]).keys()
        return
    assert_every_key_read(look(AnyOf(), capture), file, NOT_REQUESTED)


@pytest.mark.parametrize("capture", capture_params(*FAMILIES))
def test_every_answer_decodes(capture):
    answers = tracked_answers(capture, {})
    if capture.device in NO_CGMINER:
        with pytest.raises(DecodeError):
            decode_cgminer_status(answers, DecodeContext(RECEIVED_AT))
        return
    reading = decode_cgminer_status(answers, DecodeContext(RECEIVED_AT))
    assert reading.hashrate is not None or reading.boards or reading.pools


# --- what the captures are said to hold -------------------------------------------------------------------------


def _pools(result, expected):
    if not isinstance(expected, list):
        return len(result.reading.pools)
    told = {(pool.priority, pool.url.rpartition("://")[2].rstrip("/")): pool for pool in result.reading.pools}
    return [_pool(told.get((wanted["priority"], wanted["name"])), wanted) for wanted in expected]


def _pool(pool, wanted):
    if pool is None:
        return "(no such pool)"
    values = {
        "name": wanted["name"],
        "worker": pool.user,
        "priority": pool.priority,
        "enabled": True,
        "up": pool.up,
        "accepted": pool.accepted,
        "rejected": pool.rejected,
        "stale": pool.stale,
    }
    return {key: values[key] for key in wanted}


def _asics(result, expected):
    reading, wanted = result.reading, expected[0]
    family = (result.identification.details if result.identification else {}).get("family")
    rates = [rate for rate in (reading.hashrate, reading.hashrate_average) if rate is not None]
    rate = next((rate for rate in rates if abs(rate - wanted["hashrate_hs"]) < 1), reading.hashrate)
    if family == "Innosilicon":
        rate = NotCompared("solutions per second are no hash rate")
    speeds = [fan.speed for fan in reading.fans] + [psu.fan_speed for psu in reading.psus]
    duties = [fan.duty * 100 for fan in reading.fans if fan.duty is not None]
    values = {
        "temps_c": _temperatures(reading, wanted["temps_c"]),
        "hashrate_hs": rate,
        "boards": len(reading.boards),
        "fan_count": len(wanted.get("fans", duties)),
        "fan_unit": NotCompared("the publisher's own word"),
        "fans": [speed for speed in speeds if speed],
        "fan_pct": duties,
        "powerstate": NotCompared("the coin"),
        "powermode": reading.work_mode.upper() if reading.work_mode else None,
        "has_errors": NotCompared("their rule: dead chips"),
        "minertype": NotCompared("decoded by another driver, or with the firmware's name"),
        "compiletime": NotCompared("not kept"),
    }
    if values["powermode"]:
        values["powermode"] = f"Asic.PowerMode.{values['powermode']}"
    return [{key: values[key] for key in wanted}]


def _temperatures(reading, wanted):
    """Ours in the order of theirs, cut to whole degrees; sensors they leave out are left out."""
    ours = [int(item.celsius) for item in reading.environment_temperatures]
    for board in reading.boards:
        ours += [int(item.celsius) for item in board.temperatures]
        ours += [int(value) for value in (board.chip_temperature_avg, board.chip_temperature_max) if value is not None]
    missing = list(ours)
    for value in wanted:
        if value in missing:
            missing.remove(value)
        else:
            return ours
    return wanted


GETTERS = {
    "pools": _pools,
    "asics": _asics,
    "temp_c": lambda result, expected: NotCompared("a mean of a part of the boards"),
    "chips": lambda result, expected: NotCompared("from the publisher's list of models"),
    "uptime": lambda result, expected: NotCompared("of devs there, of summary here"),
    "mac": lambda result, expected: (
        NotCompared("told on the web page only")
        if result.capture.device.startswith("mskminer")
        else (result.reading.identity.mac or "").upper()
        if expected.isupper()
        else result.reading.identity.mac
    ),
    "api_version": lambda result, expected: NotCompared("not kept"),
    "fw_ver": lambda result, expected: NotCompared("the time of the build"),
    "hashrate_ths_rounded": lambda result, expected: round(result.reading.hashrate / 1e12),
    "fans": lambda result, expected: (
        len(result.reading.fans) if isinstance(expected, int) else [fan.speed for fan in result.reading.fans]
    ),
    "control_board": lambda result, expected: NotCompared("not kept"),
    "hashrate_ths": lambda result, expected: result.reading.hashrate / 1e12,
    "expected_hashrate_ths": lambda result, expected: (
        NotCompared("Auradine's mode is not asked")
        if result.capture.family == "auradine"
        else result.reading.hashrate_nameplate / 1e12
    ),
    "wattage": lambda result, expected: result.reading.power,
    "power_limit_w": lambda result, expected: result.reading.power_limit,
    "uptime_s": lambda result, expected: result.reading.mining_uptime,
    "is_mining": lambda result, expected: result.reading.state.value == "mining",
    "errors_from_summary_with_errors": lambda result, expected: NotCompared("see below"),
    "serial": lambda result, expected: result.reading.identity.serial,
    "hostname": lambda result, expected: result.reading.identity.hostname,
    "firmware_version": lambda result, expected: result.reading.identity.firmware_version[: len(expected)],
    "power_target_w": lambda result, expected: NotCompared("of the profile; config tells its name only"),
    "board0_chips": lambda result, expected: result.reading.boards[0].chips_working,
    "pool_groups": lambda result, expected: NotCompared("groups are not kept"),
    "pools_per_group": lambda result, expected: NotCompared("groups are not kept"),
    "messages": lambda result, expected: NotCompared("a log"),
    **{
        key: (lambda result, expected: NotCompared("Auradine's own commands are not asked"))
        for key in ("total_chips", "psu_fans", "wattage_asserted", "light_flashing", "comment", "first_errors")
    },
    "boards": lambda result, expected: len(result.reading.boards),
    "board0": lambda result, expected: NotCompared("Auradine's own commands are not asked"),
}
KNOWN_FLAWS = {}


@pytest.mark.parametrize("capture", capture_params(*FAMILIES))
def test_agrees(capture, record_property):
    if not capture.expected or capture.device in NO_CGMINER:
        assert capture.device in NO_CGMINER or "expected.json" not in capture.expected
        return
    assert_agrees(record_property, look(AnyOf(), capture), GETTERS, KNOWN_FLAWS)


# --- single facts --------------------------------------------------------------------------------------------------


def _capture(family: str, device: str):
    found = [capture for capture in captures(family) if capture.device == device]
    if not found:
        pytest.skip("no captured answers")
    return found[0]


def _reading(maker: str, device: str, **details: str):
    answers = tracked_answers(_capture(maker, device), {})
    return decode_cgminer_status(answers, DecodeContext(RECEIVED_AT, details=details))


@pytest.mark.parametrize("device", ["innosilicon-a9-new", "innosilicon-a9-old"])
def test_solutions_are_no_hash_rate(device):
    reading = _reading("cgminer-generic", device)
    assert reading.hashrate is None
    assert reading.hashrate_average is None
    assert all(board.hashrate is None for board in reading.boards)
    assert [board.chips_working for board in reading.boards] == [12.0, 12.0, 12.0]


def test_an_average_that_ran_over_is_no_value():
    reading = _reading("cgminer-generic", "baikal-giant-foreman")
    assert reading.hashrate == pytest.approx(6774904700.0)
    assert reading.hashrate_average is None


def test_a_whatsminers_present_rate_is_not_the_raw_count():
    assert _reading("whatsminer", "m31s-2021-foreman").hashrate == pytest.approx(76.690808e12, rel=1e-6)


def test_a_whatsminers_rate_in_another_unit_is_left_out():
    assert _reading("whatsminer", "contract-v2").hashrate == pytest.approx(110.52e12)


def test_error_codes_of_a_whatsminer():
    capture = _capture("whatsminer", "v1-20210322")
    answers = tracked_answers(capture, {})
    assert decode_cgminer_status(answers, DecodeContext(RECEIVED_AT)).errors == ()
    body = capture.body("rpc_summary_with_errors.json")
    reading = decode_cgminer_status(Answers({"rpc summary": Answer(body)}), DecodeContext(RECEIVED_AT))
    assert [error.code for error in reading.errors] == ["110", "600"]


def test_luxos_boards_are_the_same_in_every_answer():
    reading = _reading("luxos", "s19kpro-2025.4.8", family="LuxOS")
    assert sorted(board.board for board in reading.boards) == ["0", "1", "2"]
    assert all(board.serial and board.chips_working == 77.0 for board in reading.boards)


def test_empty_sockets_of_bosminer_are_no_fans():
    reading = _reading("braiins", "s9-bosminerplus-0.2.0", family="Braiins OS")
    assert [fan.speed for fan in reading.fans] == [2820.0, 3780.0]
    assert [board.board for board in reading.boards] == ["6", "7", "8"]
    assert all(board.chip_temperature_max is None for board in reading.boards)
