"""Every bundled driver keeps the contract on every fixture of the repository."""

import importlib
from pathlib import Path

import pytest

import exporter.drivers.bundled
from exporter.drivers.api import Driver
from exporter.drivers.conformance import check_driver, check_foreign
from exporter.drivers.conformance_commands import check_commands
from exporter.drivers.fixture import load_fixture

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
