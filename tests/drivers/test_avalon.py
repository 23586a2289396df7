"""Avalon readings and identities from answers written after the protocol's description."""

import json

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext, Specificity
from exporter.drivers.bundled.avalon_driver import AvalonDriver
from exporter.drivers.bundled.avalon_nano_driver import AvalonNanoDriver
from exporter.drivers.families.avalon_reading import decode_avalon_status, decode_avalon_telemetry
from exporter.errors import DecodeError
from exporter.model import Identity, MinerState

CONTEXT = DecodeContext(1_760_000_000.0)
STATUS = [{"STATUS": "S", "When": 1_760_000_000, "Code": 11}]


def answers(**documents):
    """Answers to 4028 by command; text is taken as an MM string."""
    found = {}
    for command, value in documents.items():
        if isinstance(value, str):
            value = {"STATUS": STATUS, "STATS": [{"STATS": 0, "ID": "AVALON0", "MM ID0": value}]}
        found[f"rpc {command}"] = Answer(json.dumps(value).encode())
    return Answers(found)


def reading(text: str, **summary):
    documents = {"stats": text}
    if summary:
        documents["summary"] = {
            "STATUS": STATUS,
            "SUMMARY": [{name.replace("_", " "): value for name, value in summary.items()}],
        }
    return decode_avalon_status(answers(**documents), CONTEXT)


def version(**record):
    return {"STATUS": STATUS, "VERSION": [{"CGMiner": "4.11.1", "API": "3.7", **record}]}


# --- state -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("SYSTEMSTATU[Work: In Work, Hash Board: 3 ] SoftOFF[0]", MinerState.MINING, True),
        ("SYSTEMSTATU[Work: In Init, Hash Board: 0] SoftOFF[0]", MinerState.STARTING, True),
        ("SYSTEMSTATU[Work: In Idle, Hash Board: 1] SoftOFF[4]", MinerState.IDLE, False),
        ("SYSTEMSTATU[Work: In Idle, Hash Board: 1] SoftOFF[0]", MinerState.IDLE, True),
        ("SYSTEMSTATU[Work: In Fault, Hash Board: 1]", MinerState.FAULT, None),
        ("SYSTEMSTATU[Work: In Space, Hash Board: 1]", MinerState.UNKNOWN, None),
        ("STATE[1]", MinerState.MINING, True),
        ("STATE[2]", MinerState.IDLE, None),
        ("STATE[9]", MinerState.UNKNOWN, None),
        ("GHSspd[10]", MinerState.MINING, True),
        ("GHSspd[0] SoftOFF[2]", MinerState.IDLE, False),
        ("GHSspd[0] SoftOFF[0]", MinerState.UNKNOWN, True),
    ],
)
def test_state(text, state, expected):
    found = reading(f"Ver[Nano3s-25010101_a] {text}")
    assert (found.state, found.expected_mining) == (state, expected)


def test_now_is_not_the_average():
    found = reading("Ver[Q-25010101_a] GHSspd[0.00] GHSavg[44000.5] GHSmm[55000.0]", MHS_av=44000000.5, MHS_5s=12.0)
    assert (found.hashrate, found.hashrate_average, found.hashrate_expected) == (0.0, 44000.5e9, 55000.0e9)


def test_without_a_present_rate_the_shortest_window_counts():
    found = reading("Ver[1047-20010101_a] GHSavg[25000.0]", MHS_av=25000000.0, MHS_30s=32000000.0, MHS_1m=28000000.0)
    assert found.hashrate == 32000000.0e6


def test_an_idle_miner_without_a_present_rate_hashes_nothing():
    assert reading("SYSTEMSTATU[Work: In Idle, Hash Board: 1]", MHS_av=44000000.0).hashrate == 0.0


# --- power -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("Ver[nano3-24010101_a] PS[0 0 0 3 2780 92 314]", 92.0),
        ("Ver[Nano3s-25010101_a] PS[0 0 27697 4 0 3678 132]", 132.0),
        ("Ver[Q-25010101_a] PS[0 1221 4 0 0 2245 146]", 146.0),
        ("Ver[15-194-24010101_a] PS[0 1209 1187 297 3526 1188 3731]", 3731.0),
        ("Ver[15-194-24010101_a] PS[0 1209 1187 297 3526 1188 3700] WALLPOWER[3731]", 3731.0),
        ("Ver[1246-81-21010101_a] PS[0 1197 1240 261 3239 1240]", None),
        ("Ver[1047-20010101_a] PS[0 0 0 0 0 0]", None),
        ("Ver[Nano3s-25010101_a] PS[0 0 0 0 0 0 0]", None),
        ("Ver[Nano3s-25010101_a]", None),
    ],
)
def test_wall_power_by_product(text, watts):
    assert reading(text).power == watts


def test_the_supplys_output():
    assert reading("Ver[15-194-24010101_a] PS[0 1209 1187 297 3526 1188 3731]").psus[0].output_voltage == 11.87
    assert reading("Ver[Nano3s-25010101_a] PS[0 0 27697 4 0 3678 132]").psus[0].output_voltage == 27.697
    assert reading("Ver[1166Pro-75-21010101_a] PS[0 1214 1310 -91 2161 1308]").psus[0].output_current is None
    assert reading("Ver[nano3-24010101_a] PS[0 0 0 3 2780 92 314]").psus == ()


# --- the rest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("Ver[Q-25010101_a] LVer[1] WORKMODE[0] WORKLEVEL[0]", "eco"),
        ("Ver[Nano3s-25010101_a] LVer[1] WORKMODE[2]", "super"),
        ("LVer[1] MODE[1]", "standard"),
        ("Ver[nano3-24010101_a] WORKLEVEL[2]", "high"),
        ("Ver[1246-81-21010101_a] WORKMODE[1]", "high"),
        ("Ver[Q-25010101_a] LVer[1] WORKMODE[7]", "mode_7"),
        ("Ver[1047-20010101_a]", None),
    ],
)
def test_work_mode(text, mode):
    assert reading(text).work_mode == mode


def test_surroundings():
    found = reading(
        "Ver[1246-81-21010101_a] Temp[0] ITemp[-273] OTemp[41] Fan1[5000] Fan2[0] FanR[72%] Led[1] BOOTBY[0x02.0]"
    )
    assert [(item.position, item.celsius) for item in found.environment_temperatures] == [
        ("outlet", 41.0),
        ("ambient", 0.0),
    ]
    assert [(fan.fan, fan.speed, fan.duty) for fan in found.fans] == [("1", 5000.0, 0.72), ("2", 0.0, 0.72)]
    assert (found.fault_light, found.reset_reason) == (True, "overheat")


def test_a_home_miners_light_is_no_fault_light():
    found = reading("Ver[Nano3s-25010101_a] LVer[1] LED[0-1] Led[1] BOOTBY[0x01.00000000] MEMFREE[1000] Temp[52]")
    assert (found.fault_light, found.reset_reason) == (None, "0x01")
    assert found.memory_free == (("system", 1024000.0),)
    assert found.environment_temperatures == ()


def test_ping_belongs_to_the_pool_in_use():
    pools = {
        "STATUS": STATUS,
        "POOLS": [
            {"POOL": 0, "URL": "stratum+tcp://a.example:1", "Status": "Alive", "Stratum Active": True},
            {"POOL": 1, "URL": "stratum+tcp://b.example:1", "Status": "Alive", "Stratum Active": False},
        ],
    }
    found = decode_avalon_status(answers(stats="Ver[Q-1] PING[17]", pools=pools), CONTEXT)
    assert [pool.response_time for pool in found.pools] == [0.017, None]


def test_a_clock_that_counts_from_the_start():
    pool = {"POOL": 0, "URL": "stratum+tcp://a.example:1", "Status": "Alive", "Accepted": 3, "Last Share Time": 975}
    pools = {"STATUS": [{"STATUS": "S", "When": 986, "Code": 7}], "POOLS": [pool]}
    found = decode_avalon_status(answers(stats="Ver[15-194-1]", pools=pools), CONTEXT)
    assert found.pools[0].last_share == CONTEXT.received_at - 11


def test_stats_may_be_empty():
    empty = {"STATUS": STATUS, "STATS": []}
    found = decode_avalon_status(answers(stats=empty, litestats="STATE[1] GHSspd[90000] RSSI[-70]"), CONTEXT)
    assert (found.hashrate, found.wifi_signal) == (90000e9, -70.0)


@pytest.mark.parametrize("document", [[], "text", 5, {"STATUS": STATUS}])
def test_no_module_and_no_summary_is_an_error(document):
    with pytest.raises(DecodeError):
        decode_avalon_status(Answers({"rpc stats": Answer(json.dumps(document).encode())}), CONTEXT)


def test_telemetry_is_chips_and_signal():
    found = decode_avalon_telemetry(answers(stats="TA[1] PVT_T0[60] PVT_V0[290]", litestats="RSSI[-61]"), CONTEXT)
    assert (found.boards[0].chips[0].temperature, found.wifi_signal) == (60.0, -61.0)
    assert decode_avalon_telemetry(answers(summary={"STATUS": STATUS}), CONTEXT).boards == ()


# --- who ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "driver", "command"),
    [
        ({"PROD": "Avalon Nano3s", "MODEL": "Nano3s"}, "avalon_nano", "stats"),
        ({"PROD": "Avalon Nano", "MODEL": "Nano3"}, "avalon_nano", "stats"),
        ({"PROD": "Avalon Q", "MODEL": "Q"}, "avalon", "litestats"),
        ({"PROD": "Avalon Mini 3", "MODEL": "Mini3"}, "avalon", "stats"),
        ({"PROD": "AvalonMiner 15-194", "MODEL": "15-194"}, "avalon", "stats"),
    ],
)
def test_version_alone_is_enough(record, driver, command):
    found = AvalonDriver().identify(answers(version=version(**record)))
    assert (found.driver_type, found.specificity, found.details) == (driver, Specificity.CERTAIN, {"stats": command})
    assert (AvalonNanoDriver().identify(answers(version=version(**record))) is not None) is (driver == "avalon_nano")


def test_older_firmwares_are_known_by_their_modules():
    found = AvalonDriver().identify(
        answers(stats="Ver[nano3-24010101_abc] DNA[0000000000000000] HDNA[02010000d89a0000]")
    )
    assert found.driver_type == "avalon_nano"
    assert (found.identity.serial, found.identity.model) == ("02010000d89a0000", "Avalon Nano3")
    assert found.identity.firmware_version == "24010101_abc"


def test_a_controller_has_no_serial_of_its_own():
    document = {
        "STATUS": STATUS,
        "STATS": [{"ID": "AV70", "MM ID1": "Ver[7411706-31] DNA[013c]", "MM ID2": "Ver[7411706-31]"}],
    }
    found = AvalonDriver().identify(answers(stats=document))
    assert (found.driver_type, found.identity.serial, found.identity.model) == ("avalon", None, "AvalonMiner 741 x2")


@pytest.mark.parametrize(
    "document", [version(Type="Antminer S9"), {"STATUS": STATUS}, [], "Avalon", version(PROD=["Avalon"])]
)
def test_other_devices_are_left_alone(document):
    body = json.dumps(document).encode()
    assert AvalonDriver().identify(Answers({"rpc version": Answer(body), "rpc stats": Answer(body)})) is None


def test_identity():
    documents = {
        "version": version(PROD="Avalon Q", MODEL="Q", MAC="e0e1a93e0001", DNA="<DELETED>", LVERSION="25010101_a")
    }
    identity = AvalonDriver().decode_identity(answers(**documents), CONTEXT)
    assert identity == Identity(
        mac="e0:e1:a9:3e:00:01", make="Canaan", model="Avalon Q", firmware="Canaan", firmware_version="25010101_a"
    )


def test_requests():
    driver = AvalonDriver()
    commands = [
        request.command for request in driver.status_requests(DecodeContext(0.0, details={"stats": "litestats"}))
    ]
    assert commands == ["summary", "litestats", "pools"]
    unknown = driver.status_requests(DecodeContext(0.0))
    assert [(request.command, request.optional) for request in unknown] == [
        ("summary", False),
        ("stats", True),
        ("litestats", True),
        ("pools", False),
    ]
    rules = driver.rules
    assert (rules.one_at_a_time, rules.keep_alive, rules.join_commands) == (True, False, True)
    assert rules.spacing_seconds == 1.0
    assert 2 * rules.timeout_seconds < 15
