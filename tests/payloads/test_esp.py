"""Bitaxe, NerdQAxe and NMMiner drivers against captured answers."""

import json

import pytest

from exporter.drivers.bundled.bitaxe_driver import BitaxeDriver
from exporter.drivers.bundled.nerdqaxe_driver import NerdQAxeDriver
from exporter.drivers.bundled.nmminer_driver import NMMinerDriver, decode_datagram
from tests.payloads.agreement import NotCompared, assert_agrees
from tests.payloads.harness import (
    RECEIVED_AT,
    assert_every_key_read,
    capture_params,
    file_params,
    look,
    track,
    unread,
)

NOT_REQUESTED = {
    "http_system_statistics.json": "a log of what the status tells",
    "http_system_info_truncated.txt": "the cut form of http_system_info.json",
    "http_v2_*.json": "the v1 system information tells the same in one request",
    "http_setting_*.json": "settings; the status tells what is in use",
    "http_alive.json": "addresses of other miners; the scan finds them",
    "http_post_*.json": "an answer to a write",
    "http_patch_*.json": "an answer to a write",
    "udp12345_status.json": "a datagram: test_every_datagram_key_is_read",
    "udp12347_config.json": "a write, with the password of the Wi-Fi network",
}


def only_board(result):
    return result.reading.boards[0]


def active_pool(result):
    return next(pool for pool in result.reading.pools if pool.active)


def supply(result):
    return result.reading.psus[0]


def current(result):
    psu = supply(result)
    return psu.output_current if psu.input_current is None else psu.input_current


def primary(result):
    return result.reading.pools[0]


def pool_port(result):
    url = primary(result).url
    return int(url.rpartition(":")[2]) if url else NotCompared("a port without a host is no pool")


GETTERS = {
    "hashrate_hs": lambda result, _: result.reading.hashrate,
    "hashrate_ghs": lambda result, _: result.reading.hashrate / 1e9,
    "hashrate_ths": lambda result, _: result.reading.hashrate / 1e12,
    "expected_hashrate_hs": lambda result, _: result.reading.hashrate_expected,
    "expected_hashrate_ghs": lambda result, _: result.reading.hashrate_expected / 1e9,
    "power_w": lambda result, _: result.reading.power,
    "input_voltage_v": lambda result, _: supply(result).input_voltage,
    "voltage_mv": lambda result, _: supply(result).input_voltage * 1e3,
    "current_a": lambda result, _: current(result),
    "current_ma": lambda result, _: current(result) * 1e3,
    "core_voltage_set_v": lambda result, _: only_board(result).voltage_target,
    "core_voltage_actual_v": lambda result, _: only_board(result).voltage,
    "chip_temp_c": lambda result, _: only_board(result).chip_temperature_max,
    "temp_c": lambda result, _: only_board(result).chip_temperature_max,
    "vr_temp_c": lambda result, _: only_board(result).vreg_temperature,
    "board_temp_c": lambda result, _: only_board(result).vreg_temperature,
    "fan_rpm": lambda result, _: result.reading.fans[0].speed,
    "fans": lambda result, _: [fan.speed for fan in result.reading.fans],
    "fan_pct": lambda result, _: result.reading.fans[0].duty * 100,
    "frequency_mhz": lambda result, _: only_board(result).frequency / 1e6,
    "shares_accepted": lambda result, _: active_pool(result).accepted,
    "accepted": lambda result, _: active_pool(result).accepted,
    "shares_rejected": lambda result, _: active_pool(result).rejected,
    "rejected": lambda result, _: active_pool(result).rejected,
    "best_difficulty": lambda result, _: result.reading.best_share_difficulty,
    "best_diff": lambda result, _: result.reading.best_share_difficulty,
    "best_session_difficulty": lambda result, _: result.reading.session_best_share_difficulty,
    "best_session_diff": lambda result, _: result.reading.session_best_share_difficulty,
    "uptime_s": lambda result, _: result.reading.uptime,
    "asic": lambda result, _: only_board(result).chip_model,
    "model": lambda result, _: only_board(result).chip_model,
    "board": lambda result, _: result.reading.identity.model.split()[-1],
    "board_version": lambda result, _: result.reading.identity.model.split()[-1],
    "firmware": lambda result, _: result.reading.identity.firmware_version,
    "firmware_version": lambda result, _: result.reading.identity.firmware_version,
    "pool_url": lambda result, _: (primary(result).url or "").rpartition(":")[0],
    "pool_port": lambda result, _: pool_port(result),
    "pool_user": lambda result, _: primary(result).user or "",
    "pool_latency_ms": lambda result, _: active_pool(result).response_time * 1e3,
    "hostname": lambda result, _: result.reading.identity.hostname,
    "mac": lambda result, _: result.reading.identity.mac.upper(),
    "rssi_dbm": lambda result, _: result.reading.wifi_signal,
    "total_chips": lambda result, _: only_board(result).chips_expected,
    "working_chips": lambda *_: NotCompared("asicCount is what the board should have; this release counts no more"),
}
KNOWN_FLAWS = {}


# --- NMMiner: its own words -------------------------------------------------------------------------------------------


def as_sent(text, ours):
    """The expectation is the text as sent: that text where our number is the same."""
    return text if float(text) == ours else ours


NMMINER_GETTERS = {
    **GETTERS,
    "raw": lambda result, raw: {
        "hashRate": result.reading.hashrate / 1e9,
        "sAccepted": primary(result).accepted,
        "sRejected": primary(result).rejected,
        "uptimeSeconds": result.reading.uptime,
        "uptimeEver": NotCompared("the sum of all uptimes is left out"),
        "networkDiff": as_sent(raw["networkDiff"], result.reading.network_difficulty),
        "poolDiff": as_sent(raw["poolDiff"], primary(result).difficulty),
        "lastDiff": NotCompared("one share's difficulty is left out"),
        "bestDiffSession": as_sent(raw["bestDiffSession"], result.reading.session_best_share_difficulty),
        "bestDiffEver": as_sent(raw["bestDiffEver"], result.reading.best_share_difficulty),
        "blkhits": result.reading.blocks_found,
        "freeHeap": dict(result.reading.memory_free)["all"],
        "minFreeHeap": NotCompared("a low-water mark is left out"),
    },
    "share_field": lambda result, _: f"{primary(result).rejected:.0f}/{primary(result).accepted:.0f}",
    "share_left": lambda result, _: primary(result).rejected,
    "share_right": lambda result, _: primary(result).accepted,
    "last_difficulty": lambda *_: NotCompared("one share's difficulty is left out"),
    "pool_difficulty": lambda result, _: primary(result).difficulty,
    "network_difficulty": lambda result, _: result.reading.network_difficulty,
    "temp_c": lambda result, _: only_board(result).temperatures[0].celsius,
    "version": lambda result, _: result.reading.identity.firmware_version,
    "board": lambda result, _: result.reading.identity.model,
    "pool": lambda result, _: primary(result).url,
}

NERDQAXE_GETTERS = {**GETTERS, "model": lambda result, _: result.reading.identity.model}
DRIVERS = {
    "bitaxe": (BitaxeDriver, GETTERS),
    "nerdqaxe": (NerdQAxeDriver, NERDQAXE_GETTERS),
    "nmminer": (NMMinerDriver, NMMINER_GETTERS),
    "nmaxe": (NMMinerDriver, NMMINER_GETTERS),
}


def looked_at(capture):
    driver = DRIVERS[capture.family][0]()
    result = look(driver, capture)
    if "udp12345_status.json" in capture.others:
        (result.reading,) = driver.new_stream().feed(capture.body("udp12345_status.json"), RECEIVED_AT)
    return result


@pytest.mark.parametrize(("capture", "file"), file_params(*DRIVERS))
def test_every_key_is_read(capture, file):
    assert_every_key_read(look(DRIVERS[capture.family][0](), capture), file, NOT_REQUESTED)


@pytest.mark.parametrize("capture", capture_params(*DRIVERS))
def test_agrees(capture, record_property):
    assert_agrees(record_property, looked_at(capture), DRIVERS[capture.family][1], KNOWN_FLAWS)


@pytest.mark.parametrize("capture", capture_params("nmminer"))
def test_every_datagram_key_is_read(capture):
    if "udp12345_status.json" not in capture.others:
        assert "GET /api/system/info" in capture.files
        return
    document, seen = json.loads(capture.body("udp12345_status.json")), set()
    decode_datagram(track(document, seen))
    assert unread("udp", document, seen, NMMinerDriver()) == []


@pytest.mark.parametrize("capture", capture_params(*DRIVERS))
def test_identified_by_its_own_driver_only(capture):
    """The first whole system information decides; a folder without one decides nothing."""
    for family, (driver, _) in DRIVERS.items():
        found = look(driver(), capture).identification
        if "GET /api/system/info" not in capture.files or driver is not DRIVERS[capture.family][0]:
            assert found is None, f"{capture.name} taken for {family}"
        else:
            assert found is not None
            assert found.driver_type == driver.driver_type
