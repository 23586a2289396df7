"""The driver of stock Antminers: identification, units, slots, sensors, modes, and both ways to ask."""

import json
from pathlib import Path

import pytest

from exporter.drivers.api import Answer, Answers, Auth, DecodeContext, Specificity
from exporter.drivers.bundled.antminer_driver import AntminerDriver
from exporter.drivers.families import bitmain_cgi as cgi
from exporter.drivers.families.bitmain import decode_stats
from exporter.drivers.families.bitmain_units import dead_chips, rate_unit, sensor_row, work_mode
from exporter.drivers.fixture import load_fixture, replay
from exporter.errors import DecodeError
from exporter.model import DeviceError, Identity, MinerState

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "antminer"
NOW = 1_760_000_000.0
DRIVER = AntminerDriver()
RPC = DecodeContext(NOW, Identity(), {"api": "rpc"})
WEB = DecodeContext(NOW, Identity(), {"api": "cgi"})
DIGEST = {"www-authenticate": 'Digest realm="antMiner Configuration", nonce="1", qop="auth"'}


def answers(**documents):
    return Answers({key: Answer(json.dumps(value).encode()) for key, value in documents.items()})


def version(kind, **more):
    return answers(**{"rpc version": {"VERSION": [{"BMMiner": "2.0.0", "Type": kind, **more}]}})


def stats(kind="Antminer S19", **record):
    return {"STATS": [{"Type": kind}, {"STATS": 0, "Elapsed": 7200, **record}]}


# --- identification ---


def test_a_type_of_antminer_is_stock():
    found = DRIVER.identify(version("Antminer S9\nV1.3.58", CompileTime="Fri Nov 17  2017"))
    assert (found.driver_type, found.specificity, found.details) == ("antminer", Specificity.STOCK, {"api": "rpc"})
    assert found.identity == Identity(
        make="Bitmain", model="Antminer S9", firmware="Bitmain", firmware_version="Fri Nov 17 2017"
    )


@pytest.mark.parametrize(
    "reply",
    [
        version("Antminer S9 (vnish 3.8.6)"),
        version("Antminer S9 Hiveon"),
        version("braiins-am1-s9"),
        version("Antminer S19k Pro", LUXminer="2025.4.8"),
        version("Antminer S19", Firmware="KAONSU"),
        version("S19-88 v.2.6", Note="4.11.1 rwglr"),
        version("Antminer S17 Pro (A.P. 2.0.3)"),
        version("DG-Home1"),
        answers(**{"rpc stats": stats("Antminer D3 Blissz v2.06 beta")}),
        answers(**{"rpc stats": stats("Antminer S21 Pro (Vnish 1.2.7)")}),
        Answers({"GET /": Answer(b"", 401, {"www-authenticate": 'Digest realm="blackMiner Configuration"'})}),
        Answers({"GET /": Answer(b"", 401, {"www-authenticate": 'Digest realm="Daoge Configuration"'})}),
        Answers({"GET /": Answer(b"antMiner Configuration", 200)}),
        Answers({"rpc version": Answer(b"\xff\x00")}),
    ],
)
def test_imitators_and_strangers_are_not_claimed(reply):
    assert DRIVER.identify(reply) is None


def test_the_realm_of_the_web_page_suffices():
    found = DRIVER.identify(Answers({"GET /": Answer(b"", 401, DIGEST)}))
    assert (found.specificity, found.details) == (Specificity.STOCK, {"api": "cgi", "web": "auth"})


def test_the_open_api_is_preferred_to_the_web():
    both = Answers({"rpc stats": Answer(json.dumps(stats()).encode()), "GET /": Answer(b"", 401, DIGEST)})
    assert DRIVER.identify(both).details == {"api": "rpc", "web": "auth"}


def test_identity_is_completed_over_the_web():
    system = {"minertype": "Antminer S21", "macaddr": "02:AB:00:00:00:21", "serinum": "SN1", "hostname": "h1",
              "system_filesystem_version": "FR-1.12"}  # fmt: skip
    requests = DRIVER.identity_requests(RPC)
    assert [request.key for request in requests] == ["rpc version", f"GET {cgi.SYSTEM}"]
    assert requests[1].auth is Auth.DIGEST
    assert requests[1].otherwise.key == f"GET {cgi.NETWORK}"
    found = DRIVER.decode_identity(answers(**{f"GET {cgi.SYSTEM}": system}), RPC)
    assert found == Identity("02:ab:00:00:00:21", "SN1", "Bitmain", "Antminer S21", "Bitmain", "FR-1.12", "h1")


def test_a_refused_password_leaves_what_4028_tells():
    found = DRIVER.decode_identity(version("Antminer S19", CompileTime="2022"), RPC)
    assert (found.mac, found.model, found.firmware_version) == (None, "Antminer S19", "2022")


def test_a_broken_mac_is_none():
    found = DRIVER.decode_identity(answers(**{f"GET {cgi.SYSTEM}": {"macaddr": "02:55:97:22:3M:72"}}), RPC)
    assert found.mac is None


def test_vnish_3_keeps_its_name():
    known = Identity(model="Antminer S9", firmware="VNish", firmware_version="3.8.6")
    found = DRIVER.decode_identity(version("Antminer S9 (vnish 3.8.6)", CompileTime="2020"), DecodeContext(NOW, known))
    assert (found.firmware, found.firmware_version, found.model) == ("VNish", "3.8.6", "Antminer S9")


# --- units ---


@pytest.mark.parametrize(
    ("told", "model", "expected"),
    [
        ("GH/s", None, 1e9),
        ("GH", "Antminer S19", 1e9),
        ("TH/s", "Antminer S21", 1e12),
        ("MH/s", "Antminer L7", 1e6),
        ("KH/s", None, 1e3),
        ("H/s", "Antminer KS5", 1.0),
        (None, "Antminer S9", 1e9),
        (None, "Antminer T17+", 1e9),
        (None, "Antminer L3+", 1e6),
        (None, "Antminer D3", 1e6),
        (None, "Antminer E3", 1e6),
        (None, "Antminer Z11", None),
        ("GH", "Antminer Z15", None),
        ("kSol/s", "Antminer X9", None),
        (None, "Antminer B3", None),
        (None, None, None),
    ],
)
def test_rate_units(told, model, expected):
    unit = rate_unit(told, model)
    assert (None if unit is None else unit(1.0)) == expected


def test_a_rate_of_an_unknown_unit_still_tells_the_state():
    reading = decode_stats(stats("Antminer Z11", **{"GHS 5s": "151.38", "chain_rate1": "48.49"})).reading
    assert (reading.state, reading.hashrate, reading.boards[0].up, reading.boards[0].hashrate) == (
        MinerState.MINING,
        None,
        True,
        None,
    )


# --- stats on 4028 ---


def test_an_s19_with_a_bad_chip_and_a_still_fan():
    result = replay(DRIVER, load_fixture(FIXTURES / "s19-2022"))
    reading = result.status
    assert (reading.state, reading.hashrate, reading.hashrate_expected) == (MinerState.MINING, 95000.5e9, 96e12)
    assert (reading.power, reading.hardware_errors, reading.mining_uptime) == (3250, 28, 7200)
    assert reading.hashes == pytest.approx(6.8256e17)
    assert [(fan.fan, fan.speed) for fan in reading.fans] == [("1", 5400), ("2", 5460), ("3", 0), ("4", 5520)]
    assert reading.fans_expected == 4
    assert [board.board for board in reading.boards] == ["1", "3"]
    first, third = reading.boards
    assert [sensor.celsius for sensor in first.temperatures] == [51, 40, 52, 53]
    assert (first.chip_temperature_min, first.chip_temperature_avg, first.chip_temperature_max) == (55, 64, 68)
    assert (first.frequency, first.hashrate, first.chips_working) == (675e6, 47500.25e9, 12)
    assert (first.chips_bad, third.chips_bad) == ((("dead", 0),), (("dead", 2),))
    assert [(pool.up, pool.active) for pool in reading.pools] == [(True, True), (True, False), (False, False)]
    assert reading.identity == Identity()


def test_the_web_adds_mode_lamp_and_complaints():
    reading = replay(DRIVER, load_fixture(FIXTURES / "s19-2022")).telemetry
    assert (reading.work_mode, reading.expected_mining, reading.fault_light) == ("low_power", True, True)
    assert reading.overheat is False
    assert reading.errors == (
        DeviceError("network", "warning", "network"),
        DeviceError("fans_2", "error", "fan"),
    )


def test_an_s9_counts_boards_from_six():
    result = replay(DRIVER, load_fixture(FIXTURES / "s9-2017"))
    reading = result.status
    assert result.identification.identity.model == "Antminer S9"
    assert [board.board for board in reading.boards] == ["6", "8"]
    assert [(fan.fan, fan.speed) for fan in reading.fans] == [("3", 5880), ("6", 5760)]
    assert reading.boards[0].chips_bad == (("dead", 1),)
    assert [sensor.celsius for sensor in reading.boards[0].temperatures] == [66]
    assert (reading.boards[0].chip_temperature_min, reading.boards[0].chip_temperature_max) == (None, 81)
    assert (reading.boards[0].frequency, reading.hashrate) == (642.06e6, 13604.84e9)
    assert len(reading.pools) == 1


@pytest.mark.parametrize(
    ("record", "state", "expected"),
    [
        ({"GHS 5s": "95000"}, MinerState.MINING, None),
        ({"GHS 5s": 0.0}, MinerState.IDLE, None),
        ({"GHS 5s": 0.0, "Elapsed": 20}, MinerState.STARTING, None),
        ({"GHS 5s": "0.00", "Mode": 254}, MinerState.CURTAILED, False),
        ({"GHS 5s": "0.00", "Mode": "H"}, MinerState.IDLE, None),
        ({}, MinerState.UNKNOWN, None),
    ],
)
def test_states(record, state, expected):
    reading = decode_stats(stats(**record)).reading
    assert (reading.state, reading.expected_mining) == (state, expected)


@pytest.mark.parametrize(
    ("fans", "expected"),
    [
        ({"fan_num": 4, "fan1": 0, "fan2": 0, "fan3": 0, "fan4": 0}, []),
        ({"fan_num": 0}, []),
        ({"fan_num": 2, **{f"fan{n}": 0 for n in range(1, 9)}, "fan3": 5880}, [("3", 5880)]),
    ],
)
def test_fans_that_are_not_fitted(fans, expected):
    reading = decode_stats(stats(**fans)).reading
    assert [(fan.fan, fan.speed) for fan in reading.fans] == expected
    assert reading.fans_expected == (fans["fan_num"] if expected else None)


def test_the_memory_clock_of_an_ethash_model_is_no_chip_clock():
    reading = decode_stats(stats("Antminer E3", frequency="1600M", chain_acn1=2)).reading
    assert reading.boards[0].frequency is None
    assert decode_stats(stats("Antminer D3", frequency="450", chain_acn1=2)).reading.boards[0].frequency == 450e6


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("78-50-69-70", [78, 50, 69, 70]),
        ("0-0-0-0", [None] * 4),
        ("-", []),
        ("", []),
        ("-83-61--1-60", [None, 61, None, 60]),
        ("-5-10", [-5, 10]),
        (["", "", 95, "97"], [None, None, 95, 97]),
        ([-273, 0, 40.5], [None, None, 40.5]),
        ([], []),
    ],
)
def test_sensors_in_a_row(words, expected):
    assert sensor_row({"temp_chip1": words}, "temp_chip1", "here") == expected


@pytest.mark.parametrize(
    ("marks", "hashing", "expected"),
    [
        (" ooo oxo", True, 1),
        (" ooo ooo", True, 0),
        ("ooo-", True, 1),
        ("xxx xxx", False, None),
        ("xxx xxx", True, 6),
        ("", True, None),
        ("garbage", True, None),
        (None, True, None),
    ],
)
def test_dead_chips(marks, hashing, expected):
    assert dead_chips(marks, hashing=hashing) == expected


def test_stats_refused_leaves_the_summary():
    summary = {"SUMMARY": [{"Elapsed": 50, "GHS 5s": "7903.7", "GHS av": 7902.7, "Hardware Errors": 3}]}
    context = DecodeContext(NOW, Identity(model="Antminer S9"), {"api": "rpc"})
    reading = DRIVER.decode_status(answers(**{"rpc summary": summary, "rpc pools": {"POOLS": []}}), context)
    assert (reading.hashrate, reading.hardware_errors, reading.mining_uptime) == (7903.7e9, 3, 50)


def test_neither_stats_nor_summary_is_an_error():
    with pytest.raises(DecodeError, match="neither"):
        DRIVER.decode_status(answers(**{"rpc pools": {"POOLS": []}}), RPC)


# --- web interface ---


def test_4028_closed_means_the_web_for_both_loops():
    assert [request.key for request in DRIVER.status_requests(WEB)] == [
        f"GET {cgi.STATS}",
        f"GET {cgi.SUMMARY}",
        f"GET {cgi.POOLS}",
    ]
    assert DRIVER.status_requests(WEB)[0].otherwise.key == f"GET {cgi.OLD_STATUS}"
    assert all(request.auth is Auth.DIGEST for request in DRIVER.status_requests(WEB))
    assert [request.key for request in DRIVER.status_requests(RPC)] == ["rpc stats", "rpc summary", "rpc pools"]


def test_an_overheated_s21_over_the_web():
    result = replay(DRIVER, load_fixture(FIXTURES / "s21-web-2025"))
    reading = result.status
    assert result.identity.mac == "02:ab:00:00:00:21"
    assert (reading.state, reading.overheat, reading.expected_mining) == (MinerState.FAULT, True, True)
    assert DeviceError("temp_1", "error", "temperature") in reading.errors
    assert (reading.hashrate, reading.hashrate_expected) == (0, 200e12)
    board = reading.boards[1]
    assert (board.board, board.serial, board.up, board.chips_bad) == ("1", "EXAMPLEBOARD1", False, None)
    assert [sensor.position for sensor in board.temperatures] == ["0", "2", "3"]
    assert (board.chip_temperature_min, board.chip_temperature_max) == (95, 97)
    assert [(fan.fan, fan.speed) for fan in reading.fans] == [("1", 6000), ("2", 6060), ("3", 6000), ("4", 0)]
    pool = reading.pools[0]
    assert (pool.accepted, pool.stale, pool.difficulty, pool.last_share) == (77, 2, 262000, NOW - 600)
    assert pool.active is None


def web_stats(**record):
    return cgi.decode_stats({"STATS": [{"elapsed": 900, "rate_5s": 0.0, "rate_unit": "H/s", **record}]})


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [(0, "normal", True), (1, "sleep", False), (3, "low_power", True), (2, "mode_2", True)],
)
def test_modes(mode, name, expected):
    reading = web_stats(**{"miner-mode": mode})
    assert (reading.work_mode, reading.expected_mining) == (name, expected)
    assert reading.state is (MinerState.CURTAILED if name == "sleep" else MinerState.IDLE)
    assert work_mode({"bitmain-work-mode": str(mode)}, "here") == name


def test_an_idle_miner_says_hashes():
    reading = web_stats(elapsed=0, rate_ideal=0.0, fan=[], chain=[])
    assert (reading.state, reading.hashrate, reading.hashrate_expected) == (MinerState.IDLE, 0, None)
    assert web_stats(rate_unit="TH/s", rate_5s=200.5).hashrate == 200.5e12
    assert web_stats(rate_unit="GH", rate_5s=88422.0).hashrate == 88422e9


def test_passwords_in_the_settings_are_not_read():
    class Guarded(dict):
        def get(self, key, default=None):
            assert key != "pools"
            return super().get(key, default)

    reading = cgi.decode_conf(Guarded({"pools": [{"pass": "secret"}], "bitmain-work-mode": "1"}))
    assert (reading.work_mode, reading.expected_mining) == ("sleep", False)


def test_the_page_of_older_firmwares():
    document = {
        "summary": {"elapsed": "1d2h3m4s", "ghs5s": "13,604.84", "ghsav": "13884.11", "hw": "5", "bestshare": "845408"},
        "pools": [
            {"index": "0", "url": "stratum+tcp://pool.example.com:3333", "user": "bc1qexample.s9", "status": "Alive",
             "accepted": "12", "rejected": "1", "diff": "8.19K", "lstime": "0:00:09"},
            {"index": "1", "url": "*", "status": "Alive"},
        ],
        "devs": [{"index": "6", "chain_acn": "63", "chain_acs": "oooo ooox", "temp": "62", "temp2": "77",
                  "rate": "4631.20", "hw": "2", "fan3": "5880", "fan6": "5760", "freq": "a=1,b=2"}],
    }  # fmt: skip
    context = DecodeContext(NOW, Identity(model="Antminer S9"), {"api": "cgi"})
    reading = DRIVER.decode_status(answers(**{f"GET {cgi.OLD_STATUS}": document}), context)
    assert (reading.hashrate, reading.hashrate_average) == (13604.84e9, 13884.11e9)
    assert reading.mining_uptime == 86400 + 7200 + 180 + 4
    assert [(fan.fan, fan.speed) for fan in reading.fans] == [("3", 5880), ("6", 5760)]
    board = reading.boards[0]
    assert (board.board, board.hashrate, board.chips_working, board.chips_bad) == ("6", 4631.2e9, 63, (("dead", 1),))
    assert (board.temperatures[0].celsius, board.chip_temperature_max) == (62, 77)
    assert [(pool.accepted, pool.last_share) for pool in reading.pools] == [(12, NOW - 9)]
