"""The cgminer driver's readings from answers written after the API's description."""

import json

import pytest

from exporter.drivers.api import Answer, Answers, CgminerRequest, DecodeContext
from exporter.drivers.bundled.cgminer_driver import CgminerDriver
from exporter.errors import DecodeError
from exporter.model import MinerState

STATUS = [{"STATUS": "S", "When": 1_760_000_000, "Code": 11, "Description": "cgminer 4.12.1"}]
POOL = {"POOL": 0, "URL": "stratum+tcp://pool.example.com:3333", "Status": "Alive", "Accepted": 5}


def reading(family: str = "", **records):
    """A reading from records by command: SUMMARY and the like are added around them."""
    names = {"summary": "SUMMARY", "pools": "POOLS", "devs": "DEVS", "edevs": "DEVS", "stats": "STATS", "fan": "Fan"}
    found = {
        f"rpc {command}": Answer(json.dumps({"STATUS": STATUS, names.get(command, command.upper()): value}).encode())
        for command, value in records.items()
    }
    context = DecodeContext(1_760_000_000.0, details={"family": family} if family else {})
    return CgminerDriver().decode_status(Answers(found), context)


@pytest.mark.parametrize(
    ("key", "rate"),
    [("KHS 5s", 2e3), ("MHS 5s", 2e6), ("GHS 5s", 2e9), ("THS 5s", 2e12), ("MHS 30s", 2e6), ("GHS av", 2e9)],
)
def test_the_key_is_the_unit(key, rate):
    found = reading(summary=[{key: "2.0"}], pools=[POOL])
    assert (found.hashrate, found.state) == (rate, MinerState.MINING)


def test_a_key_without_a_unit_is_no_rate():
    found = reading(summary=[{"HS RT": 5.0, "Sol 5s": 4, "Elapsed": 9}], pools=[POOL])
    assert (found.hashrate, found.state, found.mining_uptime) == (None, None, 9.0)


def test_solutions_are_no_rate_anywhere():
    pool = {**POOL, "URL": "stratum+tcp://equihash.example.com:1"}
    found = reading(summary=[{"MHS 5s": 51.0}], pools=[pool], devs=[{"ASC": 0, "MHS 5s": 51.0, "Status": "Alive"}])
    assert (found.hashrate, found.hashrate_average, found.boards[0].hashrate) == (None, None, None)


def test_without_a_summary_the_devices_are_summed():
    devices = [{"ASC": 0, "MHS 5s": 1.0, "MHS av": 2.0}, {"ASC": 1, "MHS 5s": 3.0, "MHS av": 4.0}]
    found = reading(devs=devices)
    assert (found.hashrate, found.hashrate_average) == (4e6, 6e6)


def test_an_average_that_ran_over_spoils_the_sum():
    devices = [{"ASC": 0, "MHS 5s": 1.0, "MHS av": 2e9}, {"ASC": 1, "MHS 5s": 3.0, "MHS av": 4.0}]
    assert reading(devs=devices).hashrate_average is None


@pytest.mark.parametrize(
    ("record", "up"),
    [
        ({"Status": "Alive", "Enabled": "Y", "MHS 5s": 1.0}, True),
        ({"Status": "Alive", "Enabled": "Y", "MHS 5s": 0.0}, False),
        ({"Status": "Alive", "Enabled": "N", "MHS 5s": 1.0}, False),
        ({"Status": "Dead", "Enabled": True, "MHS 5s": 1.0}, False),
        ({"Status": "Alive"}, True),
        ({"MHS 5s": 0.0}, False),
        ({}, None),
    ],
)
def test_a_board_is_up(record, up):
    assert reading(devs=[{"ASC": 0, **record}]).boards[0].up is up


@pytest.mark.parametrize(("value", "expected"), [(0.0, []), (-1, []), (-273.0, []), (41.5, [41.5])])
def test_temperatures_of_sensors_that_are_not_there(value, expected):
    board = reading(devs=[{"ASC": 0, "Temperature": value}]).boards[0]
    assert [item.celsius for item in board.temperatures] == expected


def test_devices_of_several_kinds_are_told_apart():
    found = reading(devs=[{"ASC": 0, "MHS 5s": 1.0}, {"PGA": 0, "MHS 5s": 1.0}, {"GPU": 1, "MHS 5s": 1.0}])
    assert [board.board for board in found.boards] == ["asc0", "pga0", "gpu1"]


def test_chains_complete_the_devices():
    chain = {"Chain ID": 0, "Num chips": 12, "Num active chips": 11, "Temp": 60, "Temp max": 70, "Fan duty": 40}
    found = reading(
        devs=[{"ASC": 0, "MHS 5s": 1.0, "Temperature": 50}], stats=[{**chain, "MHS av": 9e9}, {"ID": "POOL0"}]
    )
    board = found.boards[0]
    assert (board.hashrate, board.chips_working, board.chips_expected) == (1e6, 11.0, 12.0)
    assert (board.chip_temperature_avg, board.chip_temperature_max) == (60.0, 70.0)
    assert [(fan.fan, fan.speed, fan.duty) for fan in found.fans] == [("0", None, 0.4)]


def test_more_blocks_than_shares_are_none():
    assert reading(summary=[{"Found Blocks": 25352, "Accepted": 25186}], pools=[POOL]).blocks_found is None
    assert reading(summary=[{"Found Blocks": 1, "Accepted": 9}], pools=[POOL]).blocks_found == 1.0


def test_refused_extras_change_nothing():
    refused = {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied to 'devs' command"}]}
    answers = {
        "rpc summary": Answer(json.dumps({"STATUS": STATUS, "SUMMARY": [{"MHS 5s": 1.0}]}).encode()),
        "rpc devs": Answer(json.dumps(refused).encode()),
        "rpc fans": Answer(json.dumps(refused).encode()),
    }
    found = CgminerDriver().decode_status(Answers(answers), DecodeContext(0.0))
    assert (found.hashrate, found.boards, found.fans) == (1e6, (), ())


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"{}", b'{"STATUS": []}'])
def test_answers_that_tell_nothing_are_an_error(body):
    with pytest.raises(DecodeError):
        CgminerDriver().decode_status(Answers({"rpc summary": Answer(body)}), DecodeContext(0.0))


def test_the_text_form():
    summary = b"STATUS=S,When=1,Code=11,Msg=Summary|SUMMARY,Elapsed=60,MHS av=10.5,MHS 5s=11.5,Hardware Errors=2|"
    pools = b"STATUS=S,When=1,Code=7,Msg=1 Pool(s)|POOL=0,URL=http://pool.example.com:8332,Status=Alive,Accepted=7|"
    devs = b"STATUS=S,When=1,Code=9,Msg=1 PGA(s)|PGA=0,Name=ICA,Enabled=Y,Status=Alive,MHS 5s=11.5,Temperature=41.0|"
    answers = Answers({"rpc summary": Answer(summary), "rpc pools": Answer(pools), "rpc devs": Answer(devs)})
    found = CgminerDriver().decode_status(answers, DecodeContext(0.0, details={"api": "text"}))
    assert (found.hashrate, found.mining_uptime, found.hardware_errors) == (11.5e6, 60.0, 2.0)
    assert [(pool.up, pool.accepted) for pool in found.pools] == [(True, 7.0)]
    assert [(board.board, board.up) for board in found.boards] == [("0", True)]


# --- what families add -------------------------------------------------------------------------------------------


WHATSMINER = {"Fan Speed In": 5400, "Fan Speed Out": 5430, "MHS av": 88e6, "MHS 5s": 96e6, "MHS 1m": 89e6}


@pytest.mark.parametrize(("told", "rate"), [(87.5e6, 87.5e12), (87.5, 96e12), (0, 96e12)])
def test_a_whatsminers_present_rate_must_agree_with_its_average(told, rate):
    assert reading(summary=[{**WHATSMINER, "HS RT": told}], pools=[POOL]).hashrate == pytest.approx(rate)


def test_a_whatsminers_summary():
    record = {**WHATSMINER, "Power": 3400, "Power Limit": 3600, "Env Temp": 25.5, "Power Mode": "High", "Uptime": 99}
    record |= {"Error Code 0": 110, "Error Code 5": 2010, "Factory Error Code 0": 208, "Power Fanspeed": 8000}
    found = reading(summary=[{**record, "MAC": "C4:11:04:00:00:01", "Target MHS": 90e6, "Factory GHS": 89000}])
    assert (found.power, found.power_limit, found.work_mode, found.uptime) == (3400.0, 3600.0, "high", 99.0)
    assert [(error.code, error.component) for error in found.errors] == [("110", "fan"), ("2010", "network")]
    assert (found.hashrate_expected, found.hashrate_nameplate) == (90e12, 89e12)
    assert [(fan.fan, fan.speed) for fan in found.fans] == [("in", 5400.0), ("out", 5430.0)]
    assert found.psus[0].fan_speed == 8000.0
    assert found.identity.mac == "c4:11:04:00:00:01"


def test_a_whatsminer_without_a_meter_tells_no_power():
    assert reading(summary=[{**WHATSMINER, "Power": 0, "Power_RT": 0}]).power is None


def test_fans_that_a_whatsminer_has_not():
    still = {**WHATSMINER, "Fan Speed Out": 0}
    assert [fan.fan for fan in reading(summary=[still]).fans] == ["in"]
    stopped = {**WHATSMINER, "Fan Speed In": 0, "Fan Speed Out": 0}
    assert [fan.speed for fan in reading(summary=[stopped]).fans] == [0.0, 0.0]
    assert reading(summary=[{**stopped, "Liquid Cooling": True}]).fans == ()


def test_sockets_without_a_fan():
    fans = [{"FAN": 0, "RPM": 3000, "Speed": 40}, {"FAN": 1, "RPM": 0, "Speed": 40}]
    assert [fan.fan for fan in reading("Braiins OS", summary=[{"MHS 5s": 1}], fans=fans).fans] == ["0"]
    assert [fan.fan for fan in reading("LuxOS", summary=[{"MHS 5s": 1}], fans=fans).fans] == ["0", "1"]


def test_bitmains_own_models_keep_their_unit():
    figures = {"Elapsed": 1, "fan_num": 2, "temp_num": 3, "GHS 5s": "500.5", "GHS av": 501.0}
    found = reading(summary=[{"GHS 5s": "500.5"}], pools=[POOL], stats=[{"Type": "Antminer L3+"}, figures])
    assert found.hashrate == 500.5e6


def test_requests_by_family():
    driver = CgminerDriver()

    def commands(family: str, **details: str):
        return [request.command for request in driver.status_requests(DecodeContext(0.0, details={"family": family}))]

    assert commands("Whatsminer") == ["summary", "pools", "devs", "edevs"]
    assert commands("LuxOS") == ["summary", "pools", "devs", "stats", "fans", "temps", "power"]
    assert commands("") == ["summary", "pools", "devs", "stats"]
    text = driver.status_requests(DecodeContext(0.0, details={"api": "text"}))
    assert text[0] == CgminerRequest("summary", text=True)
    assert [request.optional for request in text] == [False, False, True, True]


def test_luxos_config():
    config = {"Hostname": "rig-1", "MACAddr": "02:00:5e:00:53:01", "NameplateTHS": 120, "CurtailMode": "Sleep"}
    answers = Answers({"rpc config": Answer(json.dumps({"STATUS": STATUS, "CONFIG": [config]}).encode())})
    found = CgminerDriver().decode_telemetry(answers, DecodeContext(0.0, details={"family": "LuxOS"}))
    assert (found.hashrate_nameplate, found.expected_mining) == (120e12, False)
    identity = CgminerDriver().decode_identity(answers, DecodeContext(0.0))
    assert (identity.hostname, identity.mac) == ("rig-1", "02:00:5e:00:53:01")
