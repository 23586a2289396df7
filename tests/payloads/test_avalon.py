"""Avalon drivers on the captured answers of real miners."""

import re
from dataclasses import replace

import pytest

from exporter.drivers.api import DecodeContext
from exporter.drivers.bundled.avalon_driver import AvalonDriver
from exporter.drivers.bundled.avalon_nano_driver import AvalonNanoDriver
from exporter.drivers.families.avalon_keys import IGNORED_TOKENS
from exporter.drivers.families.avalon_mm import Module, find_modules
from exporter.drivers.families.avalon_reading import decode_avalon_status, decode_avalon_telemetry
from exporter.errors import DecodeError
from exporter.model import MinerState
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

NOT_REQUESTED = {
    "rpc_ascset*": "an answer to a write",
    "rpc_check.json": "tells which commands exist",
    "rpc_coin.json": "the chain, not the miner",
    "rpc_config.json": "settings of cgminer",
    "rpc_devdetails.json": "names the cgminer driver only",
    "rpc_devs.json": "summary and the module strings tell the same",
    "rpc_minerstats.json": "an unknown command",
    "rpc_estats.json": "the same as stats",
    "mmid0_estats.txt": "the same as stats",
    "rpctext_estats_truncated.txt": "the same as stats",
    "rpc_summary+coin.json": "the single answers are there too",
    "rpc_summary+version.json": "the single answers are there too",
    "rpc_summary+version+stats.json": "the single answers are there too",
    "http_*": "the web pages tell nothing that 4028 does not",
}
TELLS_NOTHING = {"a1047-web-foreman", "asc-replies-a12xx", "avalonq-i350"}


class AnyOf(AvalonDriver):
    """The driver with every request optional: some captures hold a part of the answers only."""

    def status_requests(self, context):
        wanted = super().status_requests(replace(context, details={}))
        return tuple(replace(request, optional=True) for request in wanted)


@pytest.mark.parametrize(("capture", "file"), file_params("avalon"))
def test_every_key_is_read(capture, file):
    result = look(AnyOf(), capture)
    assert_every_key_read(result, file, NOT_REQUESTED)


@pytest.mark.parametrize("capture", capture_params("avalon"))
def test_every_answer_decodes(capture):
    answers = tracked_answers(capture, {})
    if capture.device in TELLS_NOTHING:
        with pytest.raises(DecodeError):
            decode_avalon_status(answers, DecodeContext(RECEIVED_AT))
        return
    reading = decode_avalon_status(answers, DecodeContext(RECEIVED_AT))
    assert reading.hashrate is not None or reading.boards
    assert decode_avalon_telemetry(answers, DecodeContext(RECEIVED_AT)) is not None


@pytest.mark.parametrize("capture", capture_params("avalon"))
def test_a_nano_is_the_nano_drivers(capture):
    ours, nano = look(AvalonDriver(), capture).identification, look(AvalonNanoDriver(), capture).identification
    if ours is None:
        assert nano is None
        assert not {"rpc version", "rpc stats"} & set(capture.raw)
        return
    assert ours.driver_type == ("avalon_nano" if capture.device.startswith("nano3") else "avalon")
    assert nano == (ours if ours.driver_type == "avalon_nano" else None)


@pytest.mark.parametrize("capture", capture_params("avalon"))
def test_every_token_is_read_or_ignored(capture):
    for key in ("rpc stats", "rpc estats", "rpc litestats"):
        if key not in capture.raw or key in capture.truncated:
            continue
        document = tracked_answers(capture, {}).document(key)
        for module in find_modules(document["STATS"]):
            missed = {name for name in module.tokens if not token_known(name)}
            assert not missed, f"{capture.name} {key}"


#: Tokens that the modules of the family read, as a pattern.
READ = re.compile(
    r"Ver|LVer|DNA|HDNA|SYSTEMSTATU|STATE|Elapsed|BOOTBY|MH|HW|Temp|ITemp|OTemp|HBI?O?Temp|TMax|TAvg|TarT|Fan\d?|FanR|"
    r"PS|WALLPOWER|GHSspd|GHSmm|GHSavg|WU|Freq|Led|MGHS|MTmax|MTavg|MVavg|TA|Core|PING|SoftOFF|ECHU|ECMM|PVT_[TV]\d?|"
    r"CRC|COMCRC|HASHS|POWS|FanErr|PCOMM_E|POW_I2C|WORKMODE|MODE|WORKLEVEL|MPO|MEMFREE|RSSI|EEPROM"
)


def token_known(name: str) -> bool:
    return READ.fullmatch(name) is not None or any(re.fullmatch(pattern, name) for pattern, _ in IGNORED_TOKENS)


# --- what the captures are said to hold -------------------------------------------------------------------------


def _modules(result, file: str, name: str) -> Module:
    key = next(key for key, found in result.capture.files.items() if found == file and key.endswith("stats"))
    document = tracked_answers(result.capture, {}).document(key)
    number = name.removeprefix("MM ID")
    found = [module for module in find_modules(document["STATS"]) if module.name.rpartition("-")[2] == number]
    return found[-1]


def _reading_of(result, file: str):
    """The reading of one file alone (an idle capture may hold another moment in litestats)."""
    keys = [key for key, found in result.capture.files.items() if found == file]
    return decode_avalon_status(tracked_answers(result.capture, {}, keys), DecodeContext(RECEIVED_AT))


def derived(file: str):
    """The getter for one file of expected_derived.json."""

    def get(result, expected):
        if file == "rpc_summary+version+stats.json":
            return NotCompared("the single answers are there too, of another moment")
        reading = _reading_of(result, file)
        return {name: _module(result, reading, file, name, wanted) for name, wanted in expected.items()}

    return get


def _module(result, reading, file, name, wanted):
    module = _modules(result, file, name)
    numbers = ("hw_error_pct", "ps_fields", "softoff", "worklevel", "workmode", "state", "dc_power_w", "ping_ms")
    plain = {key: NotCompared("no such value in a reading") for key in numbers}
    if name == "MM ID0":
        plain |= _of_miner(reading)
    else:
        plain |= _of_module(next(board for board in reading.boards if board.serial == module.tokens["DNA"]), reading)
    plain["version"] = module.text("Ver")
    zero_is_unknown = ("temp_max_c", "temp_avg_c", "frequency_mhz", "max_power_w")
    return {
        key: NotCompared("zero is written for: not measured") if key in zero_is_unknown and wanted[key] == 0 else value
        for key, value in plain.items()
        if key in wanted
    }


def _of_miner(reading):
    air = {item.position: item.celsius for item in reading.environment_temperatures}
    boards = reading.boards
    hottest = [board.chip_temperature_max for board in boards if board.chip_temperature_max is not None]
    means = [board.chip_temperature_avg for board in boards if board.chip_temperature_avg is not None]
    return {
        "hashrate_hs": reading.hashrate,
        "hashrate_avg_hs": reading.hashrate_average,
        "theoretical_hs": reading.hashrate_expected,
        "temp_max_c": max(hottest, default=None),
        "temp_avg_c": means[0] if len(means) == 1 else NotCompared("a reading has the mean of each board"),
        "inlet_c": air.get("inlet"),
        "outlet_c": air.get("outlet"),
        "fan_rpm": [fan.speed for fan in reading.fans],
        "fan_pct": None if not reading.fans else reading.fans[0].duty * 100,
        "elapsed_s": reading.uptime,
        "chips": sum(board.chips_working or 0 for board in boards),
        "frequency_mhz": boards[0].frequency / 1e6 if boards and boards[0].frequency else None,
        "hw_errors": reading.hardware_errors,
        "wall_power_w": reading.power,
        "max_power_w": reading.power_limit,
    }


def _of_module(board, reading):
    fan = next(fan for fan in reading.fans if fan.fan == board.board)
    return {
        "theoretical_hs": board.hashrate_expected,
        "temp_max_c": board.chip_temperature_max,
        "fan_pct": fan.duty * 100,
        "elapsed_s": NotCompared("of a module; a controller does not tell its own"),
        "chips": board.chips_working,
        "frequency_mhz": board.frequency / 1e6,
        "hw_errors": board.hardware_errors,
    }


def _foreman_pools(result, expected):
    pools = {pool.priority: pool for pool in result.reading.pools}
    return [_foreman_pool(pools[wanted["priority"]]) for wanted in expected]


def _foreman_pool(pool):
    return {
        "name": pool.url.partition("://")[2],
        "worker": pool.user,
        "priority": pool.priority,
        "enabled": True,
        "up": pool.up,
        "accepted": pool.accepted,
        "rejected": pool.rejected,
        "stale": pool.stale,
    }


def _foreman_asics(result, expected):
    reading = result.reading
    ambient = [item.celsius for item in reading.environment_temperatures]
    if ambient:
        temps = ambient + [board.chip_temperature_avg for board in reading.boards]
    else:
        temps = [
            value for board in reading.boards for value in (board.temperatures[0].celsius, board.chip_temperature_max)
        ]
    wanted = expected[0]
    average = wanted["hashrate_hs"] and reading.identity.model != "AvalonMiner 1047"
    duties = [fan.duty * 100 for fan in reading.fans]
    return [
        {
            "temps_c": temps,
            "hashrate_hs": reading.hashrate_average if average else _average_of_summary(result),
            "boards": len(reading.boards),
            "fan_count": len(duties) if len(duties) == wanted["fan_count"] else NotCompared("foreman counts one level"),
            "fan_unit": NotCompared("the publisher's own word"),
            "fan_pct": duties if len(duties) == wanted["fan_count"] else duties[:1],
        }
    ]


def _average_of_summary(result):
    """The A10 tells an average of its module and one of the program; foreman reads the latter."""
    alone = tracked_answers(result.capture, {}, ["rpc summary"])
    reading = decode_avalon_status(alone, DecodeContext(RECEIVED_AT))
    return reading.hashrate if reading.hashrate == 0 else reading.hashrate_average


GETTERS = {
    "pools": lambda result, expected: (
        _foreman_pools(result, expected) if isinstance(expected, list) else len(result.reading.pools)
    ),
    "asics": _foreman_asics,
    "uptime_s": lambda result, expected: NotCompared("foreign suite reads the record's Elapsed, not the module's"),
    "expected_hashrate_ths": lambda result, expected: result.reading.hashrate_expected / 1e12,
    "wattage": lambda result, expected: result.reading.power,
    "wattage_limit": lambda result, expected: result.reading.power_limit,
    "power_limit_w": lambda result, expected: result.reading.power_limit,
    "fans": lambda result, expected: (
        len(result.reading.fans) if isinstance(expected, int) else [fan.speed for fan in result.reading.fans]
    ),
    "board0": lambda result, expected: {
        "chips": result.reading.boards[0].chips_working,
        "outlet_chip_temp_c": result.reading.boards[0].chip_temperature_max,
        "frequency_mhz": NotCompared("cut to whole MHz there, 502.41 here"),
    },
    "avg_temp_c": lambda result, expected: (
        sum(board.chip_temperature_avg for board in result.reading.boards) / len(result.reading.boards)
    ),
    "mac": lambda result, expected: result.reading.identity.mac,
    "api_version": lambda result, expected: NotCompared("no such value in a reading"),
    "fw_ver": lambda result, expected: NotCompared("the version of cgminer there, of the firmware here"),
    "hashrate_ths_rounded": lambda result, expected: round(result.reading.hashrate_average / 1e12),
    "total_chips": lambda result, expected: NotCompared("from the publisher's list of models"),
    "fan_rpm": lambda result, expected: result.reading.fans[0].speed,
    "temp_max_c": lambda result, expected: result.reading.boards[0].chip_temperature_max,
    "hw_error_pct": lambda result, expected: NotCompared("a ratio of counters"),
    "chips_active": lambda result, expected: result.reading.boards[0].chips_working,
    "uptime": lambda result, expected: NotCompared("of devs there, of summary here"),
    "boards": lambda result, expected: len(result.reading.boards),
    "chips": lambda result, expected: result.reading.boards[0].chips_expected,
    "working_chips": lambda result, expected: result.reading.boards[0].chips_working,
    "from_litestats": lambda result, expected: NotCompared("of another moment than the captured litestats (idle)"),
    **{
        file: derived(file)
        for file in (
            "rpc_stats.json",
            "rpc_estats.json",
            "rpc_litestats.json",
            "mmid0_estats.txt",
            "rpc_pools+summary+stats.json",
            "rpc_pools+summary+stats.txt",
            "rpc_summary+version+stats.json",
        )
    },
}
KNOWN_FLAWS = {
    ("a1246-24102401", "wattage"): "index 4 is the DC output; the wall draw is index 6",
}


@pytest.mark.parametrize("capture", capture_params("avalon"))
def test_agrees(capture, record_property):
    if not capture.expected:
        assert capture.device in {*TELLS_NOTHING, "nano3-24071801-i199"}
        return
    assert_agrees(record_property, look(AnyOf(), capture), GETTERS, KNOWN_FLAWS)


# --- single facts --------------------------------------------------------------------------------------------------


def _reading(device: str):
    found = [capture for capture in captures("avalon") if capture.device == device]
    if not found:
        pytest.skip("no captured answers")
    return decode_avalon_status(tracked_answers(found[0], {}), DecodeContext(RECEIVED_AT))


def test_an_idle_q_does_not_mine():
    reading = _reading("avalonq-25052801")
    assert (reading.hashrate, reading.state, reading.expected_mining) == (0.0, MinerState.IDLE, False)
    assert reading.hashrate_average > 40e12
    assert reading.power == 146.0
    assert [(board.up, board.hashrate) for board in reading.boards] == [(False, 0.0)]


def test_ten_modules_on_two_buses_keep_apart():
    reading = _reading("a7xx-10units-foreman")
    assert len({board.board for board in reading.boards}) == 10
    assert len({board.serial for board in reading.boards}) == 10
    assert len({fan.fan for fan in reading.fans}) == 10


def test_a_missing_board_is_down():
    reading = _reading("a1166pro-21030201")
    assert [board.up for board in reading.boards] == [True, True, False]
    assert reading.boards[2].chip_temperature_max is None
    assert reading.power is None
    assert "hash_board_status" in {error.code for error in reading.errors}


def test_a_start_without_figures_is_no_error():
    reading = _reading("a10xx-zero-foreman")
    assert reading.hashrate == 0.0
