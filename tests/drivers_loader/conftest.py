"""Driver files and folders, made for each test."""

import hashlib
import sys
from pathlib import Path

import pytest

DRIVER = '''\
"""A driver of lamps."""

import dataclasses

from exporter.drivers.api import Driver, HttpRequest
from exporter.model import Reading


@dataclasses.dataclass(frozen=True)
class Note:
    text: str = "{note}"


class LampDriver(Driver):
    driver_type = "{driver_type}"
    driver_version = "{version}"
    display_name = "Lamp"
    manufacturer = "Lamps Inc"
    supported_models = ("Lamp 1",)
    connection_type = "http"
    default_port = 80
    interface_version = 1

    probes = (HttpRequest("/lamp"),)
    note = Note()

    def identify(self, answers):
        return None

    def status_requests(self, context):
        return (HttpRequest("/lamp"),)

    def decode_status(self, answers, context):
        return Reading()
'''


def driver_text(driver_type="lamp", version="1.0.0", note="bundled"):
    return DRIVER.format(driver_type=driver_type, version=version, note=note)


def changed(text, **attributes):
    """`text` with whole lines in place of those that assign `attributes`."""
    for attribute, line in attributes.items():
        lines = text.splitlines(keepends=True)
        text = "".join(f"    {line}\n" if entry.startswith(f"    {attribute} =") else entry for entry in lines)
    return text


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Folders:
    """A bundled folder and the place of a user's one."""

    def __init__(self, root: Path) -> None:
        self.bundled = root / "bundled"
        self.user = root / "data" / "drivers"
        self.bundled.mkdir()
        self.bundle("lamp_driver.py", driver_text())
        self.bundle("README.md", "read me\n")
        self.bundle("TEMPLATE_miner_driver.py", driver_text("template"))
        self.bundle("__init__.py", "")

    def bundle(self, name, text):
        (self.bundled / name).write_text(text)

    def write(self, name, text, mode=0o644):
        self.make()
        path = self.user / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def make(self):
        """The user's folder, which nobody else may write whatever the umask."""
        self.user.mkdir(parents=True, exist_ok=True)
        self.user.chmod(0o755)

    def names(self):
        return sorted(path.name for path in self.user.iterdir())


@pytest.fixture
def folders(tmp_path):
    before = set(sys.modules)
    yield Folders(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("_flockwatch_"):
            del sys.modules[name]
