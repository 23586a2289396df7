"""What a machine without Docker is given: the systemd unit, the user, the udev rule."""

import re
import subprocess

import pytest

from exporter.config import load_settings
from exporter.discovery.usb_rules import CHIPS
from tests.end_to_end.programs import ROOT
from tests.stack.servers import binary

UNIT = ROOT / "deploy/systemd/flockwatch.service"
SYSUSERS = ROOT / "deploy/systemd/flockwatch.sysusers"
RULES = ROOT / "deploy/udev/60-flockwatch.rules"


def analyze(*words):
    command = [binary("systemd-analyze"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def keys():
    """(key, value) of each line of the unit."""
    return [tuple(line.split("=", 1)) for line in UNIT.read_text().splitlines() if re.match(r"[A-Z]\w*=", line)]


@pytest.fixture
def here(tmp_path):
    """The unit with a program that exists."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/flockwatch/bin/flockwatch", "/bin/true"))
    return copy


def test_systemd_understands_every_line(here):
    done = analyze("verify", here)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_find_a_fault(here):
    here.write_text(here.read_text().replace("ProtectSystem=", "ProtectSysten="))
    assert "ProtectSysten" in analyze("verify", here).stderr


def test_the_service_may_do_little(here):
    """systemd's own measure, from 0 (safe) to 100 (exposed)."""
    done = analyze("security", "--offline=true", "--threshold=30", here)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_variables_of_the_unit_are_settings():
    variables = dict(value.split("=", 1) for key, value in keys() if key == "Environment")
    settings = load_settings(ROOT / "targets.yml", variables)
    state = f"/var/lib/{dict(keys())['StateDirectory']}"
    assert str(settings.database.path).startswith(f"{state}/")
    assert str(settings.drivers.path).startswith(f"{state}/")


def test_the_user_of_the_unit_is_made():
    kind, name, *_ = next(line for line in SYSUSERS.read_text().splitlines() if not line.startswith("#")).split()
    assert (kind, name) == ("u", dict(keys())["User"])


def test_the_rule_names_the_boards_that_flockwatch_knows():
    pairs = re.findall(r'idVendor}=="(\w+)", ATTRS{idProduct}=="([\w|]+)"', RULES.read_text())
    assert {f"{vendor}:{product}" for vendor, products in pairs for product in products.split("|")} == set(CHIPS)


def test_each_jump_of_the_rule_has_its_label():
    text = RULES.read_text()
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))
