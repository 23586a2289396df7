"""Bundled and user drivers together: what replaces what, and what is rejected."""

import logging
import os
import sys
import threading

import pytest

from exporter.drivers import execution
from exporter.drivers.api import Driver
from exporter.drivers.loader import load_drivers, load_single
from exporter.errors import DriverRejected
from tests.drivers_loader.conftest import changed, driver_text


def load(folders):
    return load_drivers(folders.user, bundled_folder=folders.bundled)


def modules():
    return {name for name in sys.modules if name.startswith("_flockwatch_")}


def only(rejected):
    assert len(rejected) == 1, rejected
    return rejected[0]


def test_the_real_bundled_drivers_load():
    result = load_drivers(None)
    assert result.rejected == ()
    assert len(result.drivers) >= 1
    assert all(isinstance(driver, Driver) for driver in result.drivers.values())
    assert {entry.source for entry in result.loaded} == {"bundled"}


def test_without_a_user_folder(folders):
    result = load_drivers(None, bundled_folder=folders.bundled)
    assert list(result.drivers) == ["lamp"]
    assert not folders.user.exists()


def test_the_set_cannot_be_changed(folders):
    with pytest.raises(TypeError):
        load(folders).drivers["x"] = None


def test_a_user_file_replaces_the_bundled_driver(folders):
    path = folders.write("my_driver.py", driver_text(version="1.0.1", note="mine"))
    result = load(folders)
    entry = result.loaded[0]
    assert (entry.driver_type, entry.version, entry.source, entry.path) == ("lamp", "1.0.1", "user", path)
    assert entry.update_available is None
    assert len(entry.sha256) == 64
    assert result.drivers["lamp"].note.text == "mine"
    assert result.drivers["lamp"] is entry.driver


def test_a_user_file_adds_a_driver(folders):
    folders.write("torch_driver.py", driver_text("torch"))
    result = load(folders)
    assert list(result.drivers) == ["lamp", "torch"]
    assert [entry.source for entry in result.loaded] == ["bundled", "user"]


def test_an_identical_file_is_a_copy(folders):
    folders.write("other_name_driver.py", driver_text(), mode=0o666)
    result = load(folders)
    assert result.loaded[0].source == "bundled"
    assert result.loaded[0].path == folders.bundled / "lamp_driver.py"
    assert result.rejected == ()


GOOD = driver_text()
BROKEN = {
    "syntax": ("class X(\n", "syntax error", "SyntaxError"),
    "no class": ("x = 1\n", "no class that derives from Driver", "DriverRejected"),
    "metadata": (changed(GOOD, manufacturer="pass"), "manufacturer is missing", "Rejected"),
    "interface": (changed(GOOD, interface_version="interface_version = 2"), "interface_version", "DriverRejected"),
    "import": ("import no_such_module\n" + GOOD, "ModuleNotFoundError", "no_such_module"),
    "error": (GOOD + "\n1 / 0\n", "ZeroDivisionError", "1 / 0"),
    "cancelled": (GOOD + "\nimport asyncio\nraise asyncio.CancelledError\n", "CancelledError", "raise asyncio"),
    "interrupt": (GOOD + "\nraise KeyboardInterrupt\n", "KeyboardInterrupt", "raise KeyboardInterrupt"),
    "generator exit": (GOOD + "\nraise GeneratorExit\n", "GeneratorExit", "raise GeneratorExit"),
    "error of its own": (GOOD + "\nclass Odd(BaseException): ...\nraise Odd('so')\n", "loaded: Odd: so", "raise Odd"),
    "error without words": (
        GOOD + "\nclass Odd(Exception):\n    def __str__(self):\n        return 1\nraise Odd\n", "Odd", "raise Odd"
    ),
    "constructor that exits": (GOOD + "\n    def __init__(self):\n        exit()\n", "SystemExit", "__init__"),
    "exit": (GOOD + "\nraise SystemExit(3)\n", "SystemExit", "SystemExit(3)"),
    "constructor": (GOOD + "\n    def __init__(self):\n        1 / 0\n", "ZeroDivisionError", "__init__"),
    "other base": (GOOD.replace("(Driver)", "(object)"), "does not derive from", "DriverRejected"),
    "lies": (GOOD + '\n    locals()["manufacturer"] = "Other"\n', "manufacturer is 'Lamps Inc'", "Other"),
    "methods": (GOOD.replace("def decode_status", "def decode_state"), "lacks decode_status", "DriverRejected"),
    "probes": (changed(GOOD, probes='probes = ("/lamp",)'), "probes must be", "DriverRejected"),
    "acting": (changed(GOOD, probes='probes = (HttpRequest("/x", method="POST"),)'), "POST /x may write", "a probe"),
    "rules": (changed(GOOD, probes="rules = None"), "rules must be", "DriverRejected"),
    "vanishing": (GOOD + "\nimport sys\ndel sys.modules[__name__]\n1 / 0\n", "ZeroDivisionError", "1 / 0"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words", "trace"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_rejected_and_the_bundled_driver_serves(folders, caplog, text, words, trace):
    path = folders.write("lamp_driver.py", text)
    before = modules()
    result = load(folders)
    entry = only(result.rejected)
    assert (entry.path, entry.source, entry.driver_type) == (path, "user", "lamp")
    assert words in entry.reason
    assert "\n" not in entry.reason
    assert trace in entry.traceback
    assert "Traceback" in entry.traceback
    assert result.drivers["lamp"].note.text == "bundled"
    record = only([each for each in caplog.records if each.levelno == logging.ERROR])
    assert "the bundled driver serves in its place" in record.getMessage()
    assert record.exc_info is not None
    assert {name for name in modules() - before if "_user_" in name} == set()
    assert sorted(path.name for path in folders.user.iterdir()) == ["lamp_driver.py"]


def test_a_broken_file_leaves_the_others_alone(folders):
    folders.write("broken_driver.py", "import no_such_module\n" + driver_text("broken"))
    folders.write("torch_driver.py", driver_text("torch"))
    result = load(folders)
    assert list(result.drivers) == ["lamp", "torch"]
    assert only(result.rejected).driver_type == "broken"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_rejected(folders, mode):
    folders.write("lamp_driver.py", driver_text(note="mine"), mode)
    result = load(folders)
    assert f"mode {mode:04o}" in only(result.rejected).reason
    assert "chmod go-w" in only(result.rejected).reason
    assert result.drivers["lamp"].note.text == "bundled"


def test_one_type_in_two_files(folders):
    folders.write("a_driver.py", driver_text(note="a"))
    folders.write("b_driver.py", driver_text(note="b"))
    folders.write("torch_driver.py", driver_text("torch"))
    result = load(folders)
    assert [entry.path.name for entry in result.rejected] == ["a_driver.py", "b_driver.py"]
    assert all("in 2 files (a_driver.py, b_driver.py)" in entry.reason for entry in result.rejected)
    assert result.drivers["lamp"].note.text == "bundled"
    assert "torch" in result.drivers


def test_a_broken_bundled_file_stops_nothing(folders):
    folders.bundle("torch_driver.py", "import no_such_module\n" + driver_text("torch"))
    result = load_drivers(None, bundled_folder=folders.bundled)
    assert list(result.drivers) == ["lamp"]
    assert (only(result.rejected).source, only(result.rejected).driver_type) == ("bundled", "torch")


def test_a_user_file_stands_in_for_a_broken_bundled_one(folders):
    folders.bundle("torch_driver.py", "import no_such_module\n" + driver_text("torch"))
    folders.write("torch_driver.py", driver_text("torch", note="mine"))
    assert load(folders).drivers["torch"].note.text == "mine"


def test_names_that_are_not_loaded(folders, caplog):
    for name in ("_draft_driver.py", ".hidden_driver.py", "TEMPLATE_miner_driver.py", "helper.py"):
        folders.write(name, "1 / 0\n")
    result = load(folders)
    assert result.rejected == ()
    warning = only([each for each in caplog.records if each.levelno == logging.WARNING]).getMessage()
    assert "helper.py" in warning
    assert "_draft_driver.py" in warning
    assert "TEMPLATE" not in warning


def test_a_folder_instead_of_a_file(folders):
    folders.make()
    (folders.user / "odd_driver.py").mkdir()
    assert "cannot be read: is a directory" in only(load(folders).rejected).reason


def test_a_pipe_instead_of_a_file(folders):
    folders.make()
    os.mkfifo(folders.user / "odd_driver.py")
    assert "no regular file" in only(load(folders).rejected).reason


HANGS = """

import pathlib
import time

while not pathlib.Path({release!r}).exists():
    time.sleep(0.01)
"""


@pytest.fixture
def hanging(folders, tmp_path):
    """A driver file that does not end by itself, and what lets it end."""
    release = tmp_path / "release"
    folders.write("lamp_driver.py", driver_text(note="mine") + HANGS.format(release=str(release)))
    yield release
    release.touch()
    for thread in threading.enumerate():
        if thread.name == execution.THREAD:
            thread.join(30)


def test_a_file_that_does_not_finish_loading_is_rejected_and_the_others_serve(folders, hanging, monkeypatch):
    monkeypatch.setattr(execution, "LOAD_SECONDS", 0.5)
    folders.write("torch_driver.py", driver_text("torch"))
    before = modules()
    result = load(folders)
    assert "did not finish loading within 0.5 s" in only(result.rejected).reason
    assert result.drivers["lamp"].note.text == "bundled"
    assert "torch" in result.drivers
    assert not [name for name in modules() - before if "lamp_driver" in name and "_user_" in name]
    with pytest.raises(DriverRejected, match="finish"):
        load_single(folders.user / "lamp_driver.py")


def test_a_file_that_still_loads_is_not_begun_once_more(folders, hanging, monkeypatch):
    monkeypatch.setattr(execution, "LOAD_SECONDS", 0.5)
    load(folders)
    begun = [thread for thread in threading.enumerate() if thread.name == execution.THREAD]
    result = load(folders)
    assert "not finished loading" in only(result.rejected).reason
    assert [thread for thread in threading.enumerate() if thread.name == execution.THREAD] == begun
    hanging.touch()
    begun[0].join(30)
    assert load(folders).drivers["lamp"].note.text == "mine"


def test_a_file_that_is_mended_loads_while_the_old_one_hangs(folders, hanging, monkeypatch):
    monkeypatch.setattr(execution, "LOAD_SECONDS", 0.5)
    load(folders)
    monkeypatch.setattr(execution, "LOAD_SECONDS", 60.0)
    folders.write("lamp_driver.py", driver_text(note="mended"))
    assert load(folders).drivers["lamp"].note.text == "mended"


def test_a_link_to_nowhere(folders):
    folders.make()
    (folders.user / "odd_driver.py").symlink_to("nowhere")
    assert "cannot be read" in only(load(folders).rejected).reason


def test_a_file_instead_of_the_folder(folders, caplog):
    folders.user.parent.mkdir(parents=True)
    folders.user.write_text("no folder")
    result = load(folders)
    assert list(result.drivers) == ["lamp"]
    assert "cannot be read" in caplog.text


def test_modules_have_names_of_their_own(folders):
    folders.write("lamp_driver.py", driver_text(note="one"))
    first = load(folders)
    folders.write("lamp_driver.py", driver_text(note="two"))
    second = load(folders)
    names = [type(result.drivers["lamp"]).__module__ for result in (first, second)]
    assert len(set(names)) == 2
    assert all(name in sys.modules for name in names)
    assert [result.drivers["lamp"].note.text for result in (first, second)] == ["one", "two"]


def test_the_same_size_and_time_still_loads_anew(folders):
    path = folders.write("lamp_driver.py", driver_text(note="one"))
    os.utime(path, (1, 1))
    assert load(folders).drivers["lamp"].note.text == "one"
    folders.write("lamp_driver.py", driver_text(note="two"))
    os.utime(path, (1, 1))
    assert load(folders).drivers["lamp"].note.text == "two"
    assert not (folders.user / "__pycache__").exists()


def test_a_failure_brings_back_the_module_of_before(folders, monkeypatch):
    flag = "FLOCKWATCH_TEST_LAMP_FAILS"
    monkeypatch.delenv(flag, raising=False)
    folders.write("lamp_driver.py", driver_text() + f"\n\nimport os\nif os.environ.get({flag!r}):\n    1 / 0\n")
    driver = load(folders).drivers["lamp"]
    module = sys.modules[type(driver).__module__]
    monkeypatch.setenv(flag, "1")
    assert "ZeroDivisionError" in only(load(folders).rejected).reason
    assert sys.modules[type(driver).__module__] is module


def test_a_device_that_talks_by_itself_needs_no_polls(folders):
    text = changed(driver_text("talker"), connection_type='connection_type = "udp"')
    text = text[: text.index("    def identify")] + "    def new_stream(self):\n        return None\n"
    folders.write("talker_driver.py", text)
    assert "talker" in load(folders).drivers
    folders.write("talker_driver.py", text.replace('"udp"', '"http"'))
    assert "lacks identify, status_requests, decode_status" in only(load(folders).rejected).reason


def test_each_driver_and_the_total_are_logged(folders, caplog):
    caplog.set_level(logging.INFO)
    folders.write("torch_driver.py", driver_text("torch", version="2.0.0"))
    load(folders)
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("driver torch 2.0.0 loaded (user, ") and "torch_driver.py" in line for line in lines)
    assert any(line.startswith("driver lamp 1.0.0 loaded (bundled, ") for line in lines)
    assert lines[-1] == "2 drivers loaded: lamp, torch; 0 files rejected"
