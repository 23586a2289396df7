"""Families by the marks in the answers to the probes."""

import json

import pytest

from exporter.drivers.api import Answer, Answers, Specificity
from exporter.drivers.bundled.cgminer_driver import CgminerDriver
from exporter.drivers.families.recognise import can_poll, rates_certain, recognise

SUMMARY = {"STATUS": [{"STATUS": "S", "Description": "x"}], "SUMMARY": [{"Elapsed": 10, "MHS av": 5.0, "MHS 5s": 5.0}]}
POOLS = {"STATUS": [{"STATUS": "S"}], "POOLS": [{"POOL": 0, "URL": "stratum+tcp://pool.example.com:3333"}]}


def rpc(**documents) -> Answers:
    return Answers({f"rpc {name}": Answer(json.dumps(value).encode()) for name, value in documents.items()})


def version(**record):
    return {"STATUS": [{"STATUS": "S", "Code": 22, "Description": "cgminer 1.0"}], "VERSION": [record]}


def stats(**record):
    return {"STATUS": [{"STATUS": "S", "Code": 70}], "STATS": [record]}


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (rpc(version=version(BOSminer="0.2.0")), "Braiins OS"),
        (rpc(version=version(BOSer="boser-buildroot 0.1.0")), "Braiins OS"),
        (rpc(version=version(BMMiner="bOS_am1-s9-2018", Type="braiins-am1-s9")), "Braiins OS"),
        (rpc(version=version(BTMiner="1.0")), "Whatsminer"),
        (rpc(devdetails={"STATUS": [], "DEVDETAILS": [{"Driver": "bitmicro", "Name": "SM"}]}), "Whatsminer"),
        (rpc(version=version(LUXminer="2025.1", Type="Antminer S19")), "LuxOS"),
        (rpc(version=version(BMMiner="2.0.0 rwglr", Type="Antminer S9 Hiveon")), "Hiveon"),
        (rpc(version=version(BMMiner="4.11.1 rwglr", Type="S19-88 v.2.6.0.39 ")), "MSKMiner"),
        (rpc(version=version(CGMiner="kaonsu 1.0", Type="Antminer S19")), "Marathon"),
        (rpc(version=version(GCMiner="0.5")), "Auradine"),
        (rpc(version=version(BDMiner="1.0", Type="SealMiner A2")), "SealMiner"),
        (rpc(version=version(KDAMiner="1.0")), "Goldshell"),
        (rpc(version=version(innominer="a9-1.1.0")), "Innosilicon"),
        (rpc(version=version(Type="Antminer S9 (vnish 3.8.6)")), "VNish"),
        (rpc(stats=stats(Type="Antminer S21 Pro (Vnish 1.2.7)")), "VNish"),
        (rpc(stats=stats(Type="Antminer D3 Blissz v2.06")), "Blissz"),
        (rpc(stats=stats(Type="Antminer S17 Pro (A.P. 2.0.3)")), "A.P."),
        (rpc(stats=stats(Type="Blackminer F1")), "Blackminer"),
        (rpc(stats=stats(Type="Hammer D10")), "Hammer"),
        (rpc(stats=stats(Type="Minerva")), "Minerva"),
        (rpc(stats=stats(ID="IT10")), "HonorKnight"),
        (rpc(stats=stats(ID="AVA100")), "Avalon"),
        (rpc(version=version(PROD="Avalon Q")), "Avalon"),
        (rpc(summary={"SUMMARY": [{"Miner type": "sc"}]}), "StrongU"),
        (rpc(devs={"DEVS": [{"Name": "BKLU"}]}), "Baikal"),
        (rpc(devs={"DEVS": [{"Name": "GSD"}]}), "GridSeed"),
        (rpc(devs={"STATUS": [{"Description": "cpuminer 2.3.2"}], "DEVS": [{"Name": "ttyS1"}]}), "BW"),
        (rpc(version=version(Type="Antminer S19 Pro")), "Antminer"),
        # A stock Antminer whose devices carry a name that another maker uses.
        (rpc(version=version(Type="Antminer S19"), devs={"DEVS": [{"Name": "SM"}]}), "Antminer"),
        (Answers({"rpc version": Answer(b"HTTP/1.1 404 Not Found\r\n\r\n<h1>PowerPlay-BM</h1>")}), "ePIC"),
        # Anybody's web server on that port.
        (Answers({"rpc version": Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")}), None),
        (Answers({"rpc version": Answer(b"HTTP/1.0 400 Bad request version\r\nServer: SimpleHTTP/0.6\r\n\r\n")}), None),
        (Answers({"rpc version": Answer(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\nepicentre")}), None),
        (rpc(version=version(CGMiner="4.12.1")), None),
        (rpc(version={"STATUS": [{"STATUS": "E", "Msg": "Invalid command"}]}), None),
        (Answers({}), None),
    ],
)
def test_answers_on_4028(answers, name):
    found = recognise(answers)
    assert (found and found.name) == name


def page(body: str = "", status: int = 200, **headers: str) -> Answers:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answers({"GET /": Answer(body.encode(), status=status, headers=named)})


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (page(status=401, www_authenticate='Digest realm="antMiner Configuration"'), "Antminer"),
        (page(status=401, www_authenticate='Digest realm="blackMiner Configuration"'), "Hammer or VolcMiner"),
        (page(status=401, www_authenticate='Digest realm="Daoge", nonce="1"'), "Elphapex"),
        (page(status=401, www_authenticate='Digest realm="x", algorithm=MD5'), "Marathon"),
        (page('<meta name="firmware" content="AnthillOS">'), "VNish"),
        (page("<title>AxeOS</title>"), "Bitaxe"),
        (page("<title>NerdQAxe AxeOS</title>"), "NerdQAxe"),
        (page("<title>Avalon Device</title>"), "Avalon"),
        (page("<title>Miner Web Dashboard</title>"), "ePIC"),
        (page("<title>Luxor Firmware</title>"), "LuxOS"),
        (page("<title>Braiins OS+</title>"), "Braiins OS"),
        (page("<title>Proto OS</title>"), "Proto"),
        (page("<title>Miner UI</title>"), "Auradine"),
        (page("<div class='cloud-box'>"), "Goldshell"),
        (page("<TITLE>用户界面</TITLE>"), "IceRiver"),
        (page("<link href='amazeui.css'>"), "SealMiner"),
        (page(status=307, location="https://192.0.2.4/"), "Whatsminer"),
        (page(status=307, location="/cgi-bin/luci"), "Whatsminer"),
        (page(status=308, location="/overview"), "FutureBit"),
        (page("<title>Router</title>"), None),
        (page(status=401, www_authenticate='Basic realm="router"'), None),
        (page(status=302, location="https://192.0.2.4/"), None),
    ],
)
def test_web_pages(answers, name):
    found = recognise(answers)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"ASICModel": "BM1370", "boardVersion": "601"}, "Bitaxe"),
        ({"ASICModel": "BM1370", "deviceModel": "NerdQAxe++"}, "NerdQAxe"),
        ({"identity": {"hwModel": "NMAxe"}, "miner": {}}, "NMAxe"),
        ({"identity": {"hwModel": "NMMiner"}, "miner": {}}, "NMMiner"),
    ],
)
def test_the_path_that_three_families_share(document, name):
    found = recognise(Answers({"GET /api/system/info": Answer(json.dumps(document).encode())}))
    assert found.name == name


# --- what the driver makes of it ----------------------------------------------------------------------------------


def test_a_named_family_that_can_be_polled():
    found = CgminerDriver().identify(rpc(version=version(GCMiner="0.5"), summary=SUMMARY, pools=POOLS))
    assert (found.driver_type, found.specificity, found.identity.make) == ("cgminer", Specificity.SPECIFIC, "Auradine")
    assert found.details == {"family": "Auradine"}


def test_a_named_family_that_cannot_be_polled_is_seen():
    found = CgminerDriver().identify(rpc(version=version(BOSer="boser-buildroot 0.1.0")))
    assert (found.driver_type, found.specificity, found.identity.firmware) == (None, Specificity.SPECIFIC, "Braiins")


def test_a_family_without_the_protocol_is_seen_whatever_it_answers():
    found = CgminerDriver().identify(page("<TITLE>用户界面</TITLE>"))
    assert (found.driver_type, found.identity.make) == (None, "IceRiver")


def test_a_plain_cgminer_is_generic():
    found = CgminerDriver().identify(rpc(version=version(CGMiner="4.12.1"), summary=SUMMARY, pools=POOLS))
    assert (found.driver_type, found.specificity, found.details) == ("cgminer", Specificity.GENERIC, {})
    assert CgminerDriver().identify(rpc(version=version(CGMiner="4.12.1"))) is None


@pytest.mark.parametrize(
    "record", [{"Type": "Antminer S19"}, {"Type": "Antminer S9 (vnish 3.8.6)"}, {"PROD": "Avalon Nano3s"}]
)
def test_devices_of_other_drivers_are_left_alone(record):
    assert CgminerDriver().identify(rpc(version=version(**record), summary=SUMMARY, pools=POOLS)) is None


def test_a_device_that_knows_text_only():
    answers = Answers({"rpc version": Answer(b"STATUS=E,When=1,Code=14,Msg=Invalid command,Description=cgminer 1.4|")})
    found = CgminerDriver().identify(answers)
    assert (found.driver_type, found.specificity, found.details) == ("cgminer", Specificity.GENERIC, {"api": "text"})


@pytest.mark.parametrize(
    ("summary", "pools", "expected"),
    [
        (SUMMARY, POOLS, True),
        (SUMMARY, {}, False),
        ({}, POOLS, False),
        ({"SUMMARY": [{"Elapsed": 1}]}, POOLS, False),
        ({"SUMMARY": [{"MHS av": [1]}]}, POOLS, False),
        ({"SUMMARY": [{"HS RT": 5}]}, POOLS, False),
        (SUMMARY, {"POOLS": [{"URL": "stratum+tcp://equihash.example.com:1"}]}, False),
        (SUMMARY, {"POOLS": [{"URL": "x", "Algorithm": "cuckatoo32"}]}, False),
        (SUMMARY, {"POOL0": [{"URL": "stratum+tcp://pool.example.com:1"}]}, True),
    ],
)
def test_what_can_be_polled(summary, pools, expected):
    assert can_poll(rpc(summary=summary, pools=pools)) is expected


def test_the_firmwares_name_tells_of_solutions():
    assert rates_certain(SUMMARY, POOLS)
    assert not rates_certain({"STATUS": [{"Description": "innominer a9-1.1.0"}]})
    assert not rates_certain(version(Type="Antminer Z11"))


def test_unreadable_answers_are_no_marks():
    answers = Answers({key: Answer(b"\xff\x00{") for key in ("rpc version", "rpc stats", "rpc summary", "rpc pools")})
    assert recognise(answers) is None
    assert CgminerDriver().identify(answers) is None
