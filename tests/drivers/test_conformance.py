"""Every bundled driver keeps the contract on every fixture of the repository."""

import importlib
import math
from pathlib import Path

import pytest

import exporter.drivers.bundled
from exporter.drivers.api import CgminerRequest, Driver, HttpRequest
from exporter.drivers.commands import Plan, TuningRange
from exporter.drivers.conformance import check_driver, check_foreign
from exporter.drivers.conformance_commands import check_commands
from exporter.drivers.fixture import load_fixture
from exporter.model import Preset

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
BUNDLED = Path(exporter.drivers.bundled.__file__).parent


def bundled_drivers() -> dict[str, Driver]:
    """One driver of each bundled file, by driver_type."""
    found = {}
    for path in sorted(BUNDLED.glob("*_driver.py")):
        if path.name.startswith("TEMPLATE"):
            continue
        module = importlib.import_module(f"exporter.drivers.bundled.{path.stem}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Driver) and item.__module__ == module.__name__
        ]
        assert len(classes) == 1, f"{path.name} must hold exactly one driver class"
        assert f"{classes[0].driver_type}_driver.py" == path.name
        found[classes[0].driver_type] = classes[0]()
    return found


DRIVERS = bundled_drivers()
FOLDERS = sorted(FIXTURES.glob("*/*/fixture.json"))


@pytest.mark.parametrize("driver_type", DRIVERS)
def test_has_a_fixture(driver_type):
    assert any(place.parts[-3] == driver_type for place in FOLDERS), f"tests/fixtures/{driver_type}/ is empty"


@pytest.mark.parametrize("place", FOLDERS, ids=lambda place: "/".join(place.parts[-3:-1]))
def test_keeps_the_contract(place):
    fixture = load_fixture(place.parent)
    assert fixture.driver == place.parts[-3]
    faults = check_driver(DRIVERS[fixture.driver], fixture)
    assert not faults, f"{len(faults)} faults:\n  " + "\n  ".join(faults[:20])


@pytest.mark.parametrize("driver_type", DRIVERS)
def test_leaves_the_devices_of_others_alone(driver_type):
    others = [load_fixture(place.parent) for place in FOLDERS if place.parts[-3] != driver_type]
    faults = [
        fault for fixture in others for fault in check_foreign(DRIVERS[driver_type], DRIVERS[fixture.driver], fixture)
    ]
    assert not faults


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_plans_of_commands_keep_the_contract(folder):
    fixture = load_fixture(folder.parent)
    assert check_commands(DRIVERS[fixture.driver], fixture) == []


# --- what a wrong driver is told ----------------------------------------------------------------------------------


class Wrong(type(DRIVERS["bitaxe"])):
    """A driver of a Bitaxe whose commands are dangerous or do not work; each test takes the parts that it is about."""

    @staticmethod
    def says_yes(effect="It does so."):
        return Plan(effect, lambda _: (), lambda _: True)


def faults_of(**methods):
    """The faults of a driver with these methods at a Bitaxe that mines."""
    folder = next(place.parent for place in FOLDERS if place.parts[-3] == "bitaxe" and "2.15" in place.parts[-2])
    driver = type("Planted", (Wrong,), methods)()
    return check_commands(driver, load_fixture(folder))


def test_the_driver_they_are_planted_in_is_right():
    assert faults_of() == []


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("/api/system/restart", method="POST"),
        HttpRequest("/api/system/info", otherwise=HttpRequest("/api/system/restart", method="POST")),
        HttpRequest("/cgi-bin/reboot.cgi"),
        CgminerRequest("summary+restart"),
    ],
)
def test_a_look_at_the_ranges_must_not_write(request_):
    faults = faults_of(tuning_reads=lambda self, context: (request_,))
    assert any(fault.startswith("tuning: ") and "may write" in fault for fault in faults)
    faults = faults_of(offer_reads=lambda self, command, context: (request_,))
    assert any(fault.startswith("fan: ") and "may write" in fault for fault in faults)


def breaks(*arguments):
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize(
    "method",
    ["tuning_reads", "decode_tuning", "set_tuning", "offer_reads", "fan_range", "pool_rules", "set_fan", "pause"],
)
def test_a_method_that_breaks_is_told(method):
    assert any("ZeroDivisionError escaped: planted" in fault for fault in faults_of(**{method: breaks}))


def test_ranges_that_break_on_a_wrong_answer_are_told():
    def decode(self, answers, context):
        wanted = answers.document("GET /api/system/info")["frequency"]
        return (TuningRange("frequency", "Hz", wanted * 1e6, wanted * 1e6 * 2.0),)

    faults = faults_of(decode_tuning=decode)
    assert any("KeyError escaped" in fault for fault in faults)
    assert any("TypeError escaped" in fault for fault in faults)


@pytest.mark.parametrize(
    "found",
    [
        (TuningRange("frequency", "Hz", 5e8, 4e8),),
        (TuningRange("frequency", "Hz", 4e8, math.inf),),
        (TuningRange("frequency", "Hz", 4e8, 5e8, choices=(6e8,)),),
        (TuningRange("frequency", "MHz", 4e8, 5e8),),
        (TuningRange("speed", "Hz", 4e8, 5e8),),
        ("frequency",),
        None,
    ],
)
def test_ranges_that_are_none_are_told(found):
    assert any(fault.startswith("tuning: ") for fault in faults_of(decode_tuning=lambda *_: found))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("restart", "restart"),
        ("pause", "pause"),
        ("set_tuning", "tuning"),
        ("set_pool", "pool"),
        ("set_fan", "fan"),
    ],
)
def test_a_command_that_is_confirmed_where_nothing_changed_is_told(method, name):
    faults = faults_of(**{method: lambda *_: Wrong.says_yes()})
    assert any(fault.startswith(name) and "nothing changed" in fault for fault in faults)


def test_modes_and_presets_that_are_always_confirmed_are_told():
    faults = faults_of(
        supported_modes=lambda self, context: ("eco", "turbo"),
        set_mode=lambda self, mode, context: Wrong.says_yes(),
        list_presets=lambda self, context: (Preset("a"), Preset("b")),
        apply_preset=lambda self, name, context: Wrong.says_yes(),
    )
    assert any(fault.startswith("mode") and "nothing changed" in fault for fault in faults)
    assert any(fault.startswith("preset") and "nothing changed" in fault for fault in faults)


def test_a_command_that_nothing_tells_of_need_not_be_confirmed():
    def pause(self, context):
        return Plan("It stops.", lambda _: (), lambda _: True, visible=False)

    assert faults_of(pause=pause) == []
