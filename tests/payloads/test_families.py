"""What every captured host is taken for when all bundled drivers look at it."""

import importlib
import json
from pathlib import Path

import pytest

import exporter.drivers.bundled
from exporter.drivers.api import Answer, Answers, Driver
from tests.payloads.harness import capture_params, captures, load_capture, shared_folder, tracked_answers

BUNDLED = Path(exporter.drivers.bundled.__file__).parent
VERSIONS = shared_folder() / "payloads" / "antminer-stock" / "detect-versions-foreman"


def bundled_drivers() -> list[Driver]:
    drivers = []
    for path in sorted(BUNDLED.glob("*_driver.py")):
        if path.name.startswith("TEMPLATE"):
            continue
        module = importlib.import_module(f"exporter.drivers.bundled.{path.stem}")
        drivers += [
            item()
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Driver) and item.__module__ == module.__name__
        ]
    return drivers


DRIVERS = bundled_drivers()


def judged(answers: Answers):
    """The most specific identification of all drivers; where several are alike, they must agree on the driver."""
    found = [item for driver in DRIVERS if (item := driver.identify(answers)) is not None]
    if not found:
        return None
    best = max(item.specificity for item in found)
    winners = [item for item in found if item.specificity == best]
    assert len({item.driver_type for item in winners}) == 1, winners
    return winners[0]


def kind(answers: Answers) -> tuple[str | None, str | None]:
    """(driver, family named by the cgminer driver) of the winner."""
    found = judged(answers)
    return (None, None) if found is None else (found.driver_type, found.details.get("family"))


#: Folder -> family that the host must be recognised as.
NAMED = {
    "whatsminer": "Whatsminer",
    "luxos": "LuxOS",
    "auradine": "Auradine",
    "braiins": "Braiins OS",
    "epic": "ePIC",
    "goldshell": "Goldshell",
    "elphapex": "Elphapex",
}
#: Where the captured answers are none that discovery asks for: the page of the same device as pyasic and asic-rs
#: recognise it.
ROOT_PAGES = {
    "goldshell": b"<html><body><div class='cloud-box'></div></body></html>",
    "braiins": b"<html><head><title>Braiins OS+</title></head></html>",
    "whatsminer": b"",
}


def probed(capture) -> Answers:
    answers = {key: capture.raw[key] for key in capture.raw}
    family = capture.family
    if family == "epic":
        answers["rpc version"] = Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    if family == "elphapex":
        answers["GET /cgi-bin/get_system_info.cgi"] = Answer(capture.body("http_get_system_info.json"))
    if family == "whatsminer" and not {"rpc summary", "rpc version"} & set(answers):
        answers["GET /"] = Answer(b"", status=307, headers={"location": "https://192.0.2.7/"})
    elif family in ROOT_PAGES and "rpc version" not in answers and "rpc summary" not in answers:
        answers["GET /"] = Answer(ROOT_PAGES[family])
    return Answers({key: Answer(item.body, item.status, item.headers) for key, item in answers.items()})


@pytest.mark.parametrize("capture", capture_params(*NAMED))
def test_a_named_family_is_what_it_is(capture):
    driver, family = kind(probed(capture))
    assert family == NAMED[capture.family]
    assert driver in ("cgminer", None)
    pollable = {"rpc summary", "rpc pools"} <= set(capture.raw)
    assert (driver == "cgminer") is pollable


#: Device -> (driver, family).
GENERIC = {
    "baikal-giantn-minermedic": ("cgminer", "Baikal"),
    "baikal-x10-minermedic": ("cgminer", "Baikal"),
    "blackminer-f1": ("cgminer", "Blackminer"),
    "blackminer-f1mini": ("cgminer", "Blackminer"),
    "strongu-stu2": ("cgminer", "StrongU"),
    "innosilicon-a9-new": (None, "Innosilicon"),
    "innosilicon-a9-old": (None, "Innosilicon"),
    # Without the summary that nobody published they cannot be polled.
    "baikal-giant-foreman": (None, "Baikal"),
    "baikal-x10-foreman": (None, "Baikal"),
    "bw-l21": (None, "BW"),
    "gridseed-3.7.2-i125": (None, "GridSeed"),
    "honorknight": (None, "HonorKnight"),
    "minerva-c3012": (None, "Minerva"),
    "mskminer-2.6.0.39": (None, "MSKMiner"),
    "s9-hiveon": (None, "Hiveon"),
    "d3-blissz-2.06": (None, "Blissz"),
}


@pytest.mark.parametrize("capture", capture_params("cgminer-generic"))
def test_generic_devices(capture):
    found = kind(probed(capture))
    assert found == GENERIC.get(capture.device, (None, None))


OTHERS = ("antminer-stock", "vnish", "avalon", "bitaxe", "nerdqaxe", "nmminer", "nmaxe")
OWNERS = {
    "nmaxe": "nmminer",
    "vnish": "vnish",
    "antminer-stock": "antminer",
    "bitaxe": "bitaxe",
    "nerdqaxe": "nerdqaxe",
}


@pytest.mark.parametrize("capture", capture_params(*OTHERS))
def test_no_device_is_given_to_another_familys_driver(capture):
    found = judged(probed(capture))
    if found is None:
        return
    owner = OWNERS.get(capture.family, capture.family)
    if capture.family == "avalon" and capture.device.startswith("nano3"):
        owner = "avalon_nano"
    assert found.driver_type == owner


def _versions():
    if not VERSIONS.is_dir():
        return [pytest.param(None, None, marks=pytest.mark.skip(reason=f"no captured answers at {VERSIONS}"))]
    table = json.loads((VERSIONS / "expected.json").read_text())["map"]
    return [pytest.param(name, wanted, id=name) for name, wanted in table.items()]


FIRMWARE = {"braiins": "Braiins", "hiveon": "Hiveon"}


@pytest.mark.parametrize(("name", "wanted"), _versions())
def test_replies_to_version(name, wanted):
    found = judged(Answers({"rpc version": Answer(load_capture(VERSIONS).body(name))}))
    if wanted in FIRMWARE:
        assert found.identity.firmware == FIRMWARE[wanted]
        assert found.driver_type is None
    elif wanted == "vnish":
        assert found is None or found.identity.firmware == "VNish"
    else:
        assert found.driver_type == "antminer"


def test_consoles_are_no_network_devices():
    folder = captures("nerdminer")
    if not folder:
        pytest.skip("no captured answers")
    assert all(judged(tracked_answers(capture, {})) is None for capture in folder)
