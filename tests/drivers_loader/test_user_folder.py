"""The user's folder: filled at first start, and kept up to date where nobody edited it."""

import json
import logging
import os

import pytest

from exporter.drivers import files
from exporter.drivers.loader import load_drivers
from exporter.drivers.user_folder import RECORD
from tests.drivers_loader.conftest import digest, driver_text

FILLED = [RECORD, "README.md", "TEMPLATE_miner_driver.py", "lamp_driver.py"]


def load(folders):
    return load_drivers(folders.user, bundled_folder=folders.bundled)


def record_of(folders):
    return json.loads((folders.user / RECORD).read_text())["files"]


def test_first_start(folders, caplog):
    caplog.set_level(logging.INFO)
    result = load(folders)
    assert folders.names() == FILLED
    assert (folders.user / "lamp_driver.py").read_text() == driver_text()
    assert (folders.user / "lamp_driver.py").stat().st_mode & 0o777 == 0o644
    assert record_of(folders) == {
        "README.md": digest("read me\n"),
        "TEMPLATE_miner_driver.py": digest(driver_text("template")),
        "lamp_driver.py": digest(driver_text()),
    }
    assert result.loaded[0].source == "bundled"
    assert result.rejected == ()
    assert "does not exist: creating it" in caplog.text
    assert f"copied {folders.user / 'lamp_driver.py'}" in caplog.text


def test_the_copies_load_whatever_the_umask(folders):
    before = os.umask(0)
    try:
        load(folders)
    finally:
        os.umask(before)
    path = folders.user / "lamp_driver.py"
    with path.open("a") as stream:
        stream.write("# edited\n")
    assert load(folders).loaded[0].source == "user"


def test_an_empty_folder_is_filled(folders):
    folders.make()
    load(folders)
    assert folders.names() == FILLED


def test_a_folder_of_the_users_own_is_left_alone(folders):
    folders.write("torch_driver.py", driver_text("torch"))
    load(folders)
    assert folders.names() == ["torch_driver.py"]


def test_a_second_start_changes_nothing(folders):
    load(folders)
    times = [path.stat().st_mtime_ns for path in sorted(folders.user.iterdir())]
    load(folders)
    assert [path.stat().st_mtime_ns for path in sorted(folders.user.iterdir())] == times


def test_an_unedited_copy_follows_the_program(folders, caplog):
    caplog.set_level(logging.INFO)
    load(folders)
    newer = driver_text(version="1.1.0", note="newer")
    folders.bundle("lamp_driver.py", newer)
    result = load(folders)
    assert result.drivers["lamp"].note.text == "newer"
    assert result.loaded[0].source == "bundled"
    assert (folders.user / "lamp_driver.py").read_text() == newer
    assert record_of(folders)["lamp_driver.py"] == digest(newer)
    assert "refreshed an unedited copy" in caplog.text


def test_an_edited_copy_is_kept_and_the_update_is_told(folders, caplog):
    load(folders)
    edited = driver_text(note="mine")
    folders.write("lamp_driver.py", edited)
    assert load(folders).loaded[0].update_available is None
    folders.bundle("lamp_driver.py", driver_text(version="1.1.0", note="newer"))
    result = load(folders)
    assert result.drivers["lamp"].note.text == "mine"
    assert (result.loaded[0].source, result.loaded[0].update_available) == ("user", "1.1.0")
    assert (folders.user / "lamp_driver.py").read_text() == edited
    assert "an update is available, bundled 1.1.0" in caplog.text


def test_a_changed_original_is_told_even_with_the_same_version(folders):
    load(folders)
    folders.write("lamp_driver.py", driver_text(note="mine"))
    folders.bundle("lamp_driver.py", driver_text(note="mended"))
    assert load(folders).loaded[0].update_available == "1.0.0"


def test_an_older_file_of_the_users_own(folders):
    folders.write("mine_driver.py", driver_text(version="0.9.0", note="mine"))
    entry = load(folders).loaded[0]
    assert (entry.version, entry.update_available) == ("0.9.0", "1.0.0")


def test_a_deleted_copy_stays_away(folders):
    load(folders)
    (folders.user / "lamp_driver.py").unlink()
    assert load(folders).loaded[0].source == "bundled"
    assert "lamp_driver.py" not in folders.names()


def test_a_driver_that_is_new_in_this_version_is_added(folders):
    load(folders)
    folders.bundle("torch_driver.py", driver_text("torch"))
    assert list(load(folders).drivers) == ["lamp", "torch"]
    assert "torch_driver.py" in folders.names()
    assert "torch_driver.py" in record_of(folders)


def test_a_copy_under_another_name_with_edits_replaces(folders):
    load(folders)
    folders.write("my_lamp_driver.py", driver_text(note="mine"))
    result = load(folders)
    assert result.drivers["lamp"].note.text == "mine"
    assert result.rejected == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": []}', '{"files": {"a": 1}}', "[" * 100_000, "\xff"])
def test_an_unreadable_record_refreshes_nothing(folders, caplog, text):
    load(folders)
    folders.write(RECORD, text)
    edited = driver_text(note="mine")
    folders.write("lamp_driver.py", edited)
    folders.bundle("lamp_driver.py", driver_text(version="1.1.0"))
    assert load(folders).drivers["lamp"].note.text == "mine"
    assert (folders.user / "lamp_driver.py").read_text() == edited
    assert "cannot be understood" in caplog.text


def test_a_folder_that_cannot_be_written_still_gets_the_newer_driver(folders, monkeypatch, caplog):
    load(folders)
    folders.bundle("lamp_driver.py", driver_text(version="1.1.0", note="newer"))

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "replace", refuse)
    result = load(folders)
    assert result.drivers["lamp"].note.text == "newer"
    assert (folders.user / "lamp_driver.py").read_text() == driver_text()
    assert "cannot be kept up to date: permission denied" in caplog.text
    assert folders.names() == FILLED


def test_a_folder_that_cannot_be_made(folders, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(folders.user), "mkdir", refuse)
    result = load(folders)
    assert list(result.drivers) == ["lamp"]
    assert "check owner and mode" in caplog.text


def test_a_fill_that_breaks_off_is_taken_up_again(folders, monkeypatch):
    real = os.replace

    def fail_for_lamp(source, target):
        if str(target).endswith("lamp_driver.py"):
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", fail_for_lamp)
        load(folders)
    assert "lamp_driver.py" not in folders.names()
    load(folders)
    assert folders.names() == FILLED


def test_the_real_bundled_folder_can_be_copied(tmp_path):
    result = load_drivers(tmp_path / "drivers")
    assert result.rejected == ()
    assert {entry.source for entry in result.loaded} == {"bundled"}
    assert (tmp_path / "drivers" / "README.md").is_file()
