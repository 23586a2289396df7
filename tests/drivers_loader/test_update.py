"""Updates and the way back: each file whole or not at all, the old one kept, the record right."""

import errno
import json
import logging
import os
import shutil

import pytest

from exporter.drivers import files
from exporter.drivers.loader import load_drivers
from exporter.drivers.update import DriverFolder
from exporter.engine.doors.drivers import DriversDoor
from exporter.errors import FieldError, StoreError, UnknownError, UsageError
from tests.drivers_loader.conftest import changed, digest, driver_text

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")

OLD = driver_text(version="0.9.0", note="mine")
NEW = driver_text()


class Bench:
    """A door over folders, with the drivers that a program would have in use."""

    def __init__(self, folders):
        self.folders = folders
        self.loads = 0
        self.load()
        self.folder = DriverFolder(folders.user, folders.bundled)
        self.door = DriversDoor(self.folder, lambda: self.loaded, self.load)

    def load(self):
        self.loads += 1
        self.loaded = load_drivers(self.folders.user, bundled_folder=self.folders.bundled)

    def status(self, driver_type="lamp"):
        (found,) = [one for one in self.door.all() if one.driver_type == driver_type]
        return found

    def note(self):
        return self.loaded.drivers["lamp"].note.text

    def record(self):
        return json.loads((self.folders.user / ".installed.json").read_text())["files"]

    def text(self, name="lamp_driver.py"):
        return (self.folders.user / name).read_text()

    def contents(self):
        return {path.name: path.read_bytes() for path in self.folders.user.iterdir()}


@pytest.fixture
def bench(folders):
    return Bench(folders)


@pytest.fixture
def edited(bench):
    """With an edited, older file of the user's in use."""
    bench.folders.write("lamp_driver.py", OLD)
    bench.door.reload()
    return bench


# --- how drivers stand ------------------------------------------------------------------------------------------


def test_a_copy_is_up_to_date(bench):
    one = bench.status()
    assert (one.status, one.version, one.source, one.file) == ("up-to-date", "1.0.0", "bundled", "lamp_driver.py")
    assert one.sha256 == one.available_sha256 == digest(NEW)
    assert (one.update_available, one.previous_sha256, one.reload_needed, one.error) == (False, None, False, None)


def test_an_older_file_has_an_update(edited):
    one = edited.status()
    assert (one.status, one.version, one.source) == ("update-available", "0.9.0", "user")
    assert (one.available_version, one.available_sha256) == ("1.0.0", digest(NEW))
    assert one.sha256 == digest(OLD)


def test_an_edited_file_of_the_same_version_is_ones_own_until_the_original_changes(bench):
    bench.folders.write("lamp_driver.py", driver_text(note="mine"))
    bench.door.reload()
    assert bench.status().status == "own"
    bench.folders.bundle("lamp_driver.py", driver_text(note="mended"))
    assert (bench.status().status, bench.status().update_available) == ("update-available", True)


def test_a_driver_of_ones_own_has_nothing_to_update_to(bench):
    bench.folders.write("torch_driver.py", driver_text("torch"))
    bench.door.reload()
    one = bench.status("torch")
    assert (one.status, one.available_version, one.update_available) == ("own", None, False)
    with pytest.raises(UnknownError, match="there are lamp"):
        bench.door.update("torch")


def test_what_lies_there_and_is_not_loaded_yet_is_told(bench):
    bench.folders.write("lamp_driver.py", OLD)
    bench.folders.write("torch_driver.py", driver_text("torch"))
    assert bench.status().reload_needed
    assert (bench.status("torch").version, bench.status("torch").reload_needed) == (None, True)
    assert [one.reload_needed for one in bench.door.reload()] == [False, False]


FAULTS = {
    "syntax": ("class X(\n", 0o644, "syntax error"),
    "metadata": (changed(OLD, manufacturer="pass"), 0o644, "manufacturer is missing"),
    "interface": (changed(OLD, interface_version="interface_version = 2"), 0o644, "must be 1"),
    "running": (OLD + "\n1 / 0\n", 0o644, "ZeroDivisionError"),
    "others may write": (OLD, 0o664, "written by others"),
}


@pytest.mark.parametrize(("text", "mode", "words"), FAULTS.values(), ids=FAULTS)
def test_a_file_that_cannot_be_used_is_an_error_and_the_bundled_one_serves(bench, text, mode, words):
    bench.folders.write("lamp_driver.py", text, mode)
    bench.door.reload()
    one = bench.status()
    assert (one.status, one.source, one.version, one.reload_needed) == ("error", "bundled", "1.0.0", False)
    assert words in one.error
    assert "Traceback" in one.traceback
    assert bench.note() == "bundled"
    done = bench.door.update("lamp")
    assert (done.result, done.error, done.kept) == ("updated", None, "lamp_driver.py.previous")
    assert bench.text("lamp_driver.py.previous") == text
    assert bench.status().status == "up-to-date"


def test_one_type_in_two_files_is_an_error_that_no_update_mends(bench):
    bench.folders.write("lamp_driver.py", OLD)
    bench.folders.write("my_driver.py", driver_text(note="other"))
    bench.door.reload()
    assert "2 files" in bench.status().error
    before = bench.contents()
    with pytest.raises(UsageError, match=r"lamp_driver\.py, my_driver\.py"):
        bench.door.update("lamp")
    assert bench.contents() == before


# --- update -----------------------------------------------------------------------------------------------------


def test_an_update_puts_ours_in_place_and_keeps_theirs(edited):
    loads = edited.loads
    done = edited.door.update("lamp", digest(NEW))
    assert (done.result, done.version_before, done.version, done.sha256) == ("updated", "0.9.0", "1.0.0", digest(NEW))
    assert (done.kept, done.error) == ("lamp_driver.py.previous", None)
    assert (edited.text(), edited.text("lamp_driver.py.previous")) == (NEW, OLD)
    assert (edited.note(), edited.loads) == ("bundled", loads + 1)
    assert edited.record()["lamp_driver.py"] == digest(NEW)
    one = edited.status()
    assert (one.status, one.previous_version, one.previous_sha256) == ("up-to-date", "0.9.0", digest(OLD))


def test_an_update_records_the_new_hash_so_that_the_file_follows_the_program_again(edited):
    edited.folders.bundle("lamp_driver.py", driver_text(version="1.1.0", note="newer"))
    edited.door.update("lamp")
    assert edited.record()["lamp_driver.py"] == digest(driver_text(version="1.1.0", note="newer"))
    newest = driver_text(version="1.2.0", note="newest")
    edited.folders.bundle("lamp_driver.py", newest)
    edited.load()
    assert (edited.note(), edited.text()) == ("newest", newest)


def test_what_is_up_to_date_stays_and_what_was_kept_with_it(edited):
    edited.door.update("lamp")
    before, loads = edited.contents(), edited.loads
    done = edited.door.update("lamp")
    assert (done.result, done.version, done.error) == ("unchanged", "1.0.0", None)
    assert (edited.contents(), edited.loads) == (before, loads)


def test_another_hash_than_was_shown_changes_nothing(edited):
    before = edited.contents()
    with pytest.raises(FieldError, match=digest(NEW)) as caught:
        edited.door.update("lamp", "0" * 64)
    assert caught.value.field == "sha256"
    assert edited.contents() == before


def test_a_file_under_another_name_is_kept_under_that_name(bench):
    bench.folders.write("my_lamp_driver.py", OLD)
    bench.door.reload()
    assert bench.note() == "mine"
    assert bench.door.update("lamp").kept == "my_lamp_driver.py.previous"
    assert bench.note() == "bundled"
    assert "my_lamp_driver.py" not in bench.folders.names()
    assert bench.door.rollback("lamp").version == "0.9.0"
    assert (bench.note(), bench.text("my_lamp_driver.py")) == ("mine", OLD)
    assert "my_lamp_driver.py.previous" not in bench.folders.names()


def test_a_file_of_another_driver_is_not_overwritten(bench):
    (bench.folders.user / "lamp_driver.py").write_text(driver_text("torch"))
    bench.folders.write("my_lamp_driver.py", OLD)
    bench.door.reload()
    before = bench.contents()
    with pytest.raises(UsageError, match="holds driver torch"):
        bench.door.update("lamp")
    assert bench.contents() == before


def test_a_folder_in_place_of_the_file_is_left_alone(bench):
    (bench.folders.user / "lamp_driver.py").unlink()
    (bench.folders.user / "lamp_driver.py").mkdir()
    bench.door.reload()
    with pytest.raises(UsageError, match="move it away"):
        bench.door.update("lamp")
    assert (bench.folders.user / "lamp_driver.py").is_dir()


def test_a_folder_without_a_record_stays_ones_own(folders):
    folders.write("lamp_driver.py", OLD)
    bench = Bench(folders)
    bench.door.update("lamp")
    assert folders.names() == ["lamp_driver.py", "lamp_driver.py.previous"]
    assert bench.note() == "bundled"


@pytest.mark.parametrize("at", ["write", "fsync"])
def test_a_full_disk_changes_nothing(edited, monkeypatch, at):
    before = edited.contents()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if at == "fsync":
            patch.setattr(files.os, "fsync", full)
        else:
            patch.setattr(files.os, "fchmod", full)
        with pytest.raises(StoreError, match=r"lamp_driver\.py cannot be written: no space left"):
            edited.door.update("lamp")
    assert edited.contents() == before
    assert edited.note() == "mine"


def test_breaking_off_between_the_two_files_leaves_the_old_one_in_use(edited, monkeypatch):
    real = os.replace

    def fail_for_the_driver(source, target):
        if str(target).endswith("lamp_driver.py"):
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", fail_for_the_driver)
        with pytest.raises(StoreError):
            edited.door.update("lamp")
    assert (edited.text(), edited.text("lamp_driver.py.previous")) == (OLD, OLD)
    assert not [name for name in edited.folders.names() if name.endswith(".tmp")]


def release(bench, version):
    """The program brings another version and starts."""
    text = driver_text(version=version, note=version)
    bench.folders.bundle("lamp_driver.py", text)
    bench.load()
    return text


def edit(bench, note):
    text = driver_text(note=note)
    bench.folders.write("lamp_driver.py", text)
    bench.door.reload()
    return text


def test_a_kept_file_of_the_users_survives_the_next_release(bench, caplog):
    caplog.set_level(logging.INFO)
    mine = edit(bench, "mine")
    second = release(bench, "1.2.0")
    bench.door.update("lamp")
    assert bench.text("lamp_driver.py.previous") == mine
    third = release(bench, "1.3.0")
    assert (bench.text(), bench.text("lamp_driver.py.previous")) == (third, second)
    assert bench.text("lamp_driver.py.previous.1") == mine
    assert "kept before is lamp_driver.py.previous.1 now" in caplog.text
    fourth = release(bench, "1.4.0")
    assert (bench.text(), bench.text("lamp_driver.py.previous")) == (fourth, third)
    assert "lamp_driver.py.previous.2" not in bench.folders.names()
    assert bench.text("lamp_driver.py.previous.1") == mine
    assert [one.driver_type for one in bench.door.all()] == ["lamp"]


def test_each_edited_file_that_was_updated_is_kept(bench):
    first = edit(bench, "first")
    assert bench.door.update("lamp").kept_before is None
    second = edit(bench, "second")
    done = bench.door.update("lamp")
    assert (done.kept, done.kept_before) == ("lamp_driver.py.previous", "lamp_driver.py.previous.1")
    assert bench.text("lamp_driver.py.previous") == second
    assert bench.text("lamp_driver.py.previous.1") == first
    third = edit(bench, "third")
    assert bench.door.update("lamp").kept_before == "lamp_driver.py.previous.2"
    kept = [bench.text(f"lamp_driver.py.previous{end}") for end in ("", ".1", ".2")]
    assert kept == [third, first, second]
    assert bench.door.rollback("lamp").sha256 == digest(third)


def test_a_kept_file_that_is_one_of_ours_or_numbered_already_is_not_kept_twice(bench):
    mine = edit(bench, "mine")
    release(bench, "1.2.0")
    bench.door.update("lamp")
    bench.door.rollback("lamp")
    done = bench.door.update("lamp")
    assert (done.kept_before, bench.text("lamp_driver.py.previous")) == (None, mine)
    release(bench, "1.3.0")
    edit(bench, "mine")
    bench.door.update("lamp")
    edit(bench, "other")
    done = bench.door.update("lamp")
    assert done.kept_before == "lamp_driver.py.previous.1"
    names = [name for name in bench.folders.names() if ".previous." in name]
    assert names == ["lamp_driver.py.previous.1"]
    assert bench.text("lamp_driver.py.previous.1") == mine


def test_without_a_record_every_kept_file_counts_as_the_users(folders):
    folders.write("lamp_driver.py", OLD)
    bench = Bench(folders)
    bench.door.update("lamp")
    bench.folders.write("lamp_driver.py", driver_text(note="second"))
    bench.door.update("lamp")
    assert folders.names() == ["lamp_driver.py", "lamp_driver.py.previous", "lamp_driver.py.previous.1"]
    assert bench.text("lamp_driver.py.previous.1") == OLD


def test_a_full_disk_leaves_what_was_kept_before_in_its_place(bench, monkeypatch):
    edit(bench, "first")
    bench.door.update("lamp")
    edit(bench, "second")
    before = bench.contents()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StoreError):
            bench.door.update("lamp")
    assert bench.contents() == before


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge"])
def test_what_is_no_file_in_the_place_of_the_kept_one_is_told_and_left_alone(edited, kind):
    place = edited.folders.user / "lamp_driver.py.previous"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.touch()
        os.truncate(place, 1 << 40)
    before = place.lstat()
    with pytest.raises(UsageError, match=r"lamp_driver\.py\.previous .*move it away"):
        edited.door.update("lamp")
    assert edited.text() == OLD
    assert (place.lstat().st_ino, place.lstat().st_size) == (before.st_ino, before.st_size)


def test_a_pipe_in_the_place_of_a_kept_file_stops_no_start(bench, caplog):
    os.mkfifo(bench.folders.user / "lamp_driver.py.previous")
    release(bench, "1.2.0")
    assert bench.note() == "1.2.0"
    assert bench.text() == NEW
    assert "lamp_driver.py.previous is no regular file" in caplog.text


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_the_way_back_over_what_is_no_file_is_refused(edited, kind):
    edited.door.update("lamp")
    place = edited.folders.user / "lamp_driver.py"
    if kind == "pipe":
        place.unlink()
        os.mkfifo(place)
    else:
        os.truncate(place, 1 << 40)
    with pytest.raises(UsageError, match="move it away"):
        edited.door.rollback("lamp")
    assert place.exists()
    assert edited.text("lamp_driver.py.previous") == OLD


# --- files of other users ---------------------------------------------------------------------------------------


NOBODY = 65534


@pytest.fixture
def foreign(edited, monkeypatch):
    """With the user's file owned by somebody else, in a process that, as the service, may give no file away."""

    def refuse(*arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    os.chown(edited.folders.user / "lamp_driver.py", NOBODY, -1)
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "chown", refuse)
    return edited


def owners(bench):
    names = [name for name in bench.folders.names() if name.startswith("lamp_driver")]
    return {name: (bench.folders.user / name).stat().st_uid for name in names}


@needs_root
def test_a_file_of_another_user_is_kept_as_his_so_that_the_way_back_refuses_it(foreign):
    done = foreign.door.update("lamp")
    assert (done.result, done.kept, done.error) == ("updated", "lamp_driver.py.previous", None)
    assert (foreign.text(), foreign.text("lamp_driver.py.previous")) == (NEW, OLD)
    assert owners(foreign) == {"lamp_driver.py": os.geteuid(), "lamp_driver.py.previous": NOBODY}
    with pytest.raises(UsageError, match="belongs to"):
        foreign.door.rollback("lamp")
    assert (foreign.text(), foreign.text("lamp_driver.py.previous")) == (NEW, OLD)


@needs_root
def test_a_kept_file_of_another_user_stays_his_under_its_number(foreign):
    foreign.door.update("lamp")
    mine = edit(foreign, "mine again")
    done = foreign.door.update("lamp")
    assert (done.kept, done.kept_before) == ("lamp_driver.py.previous", "lamp_driver.py.previous.1")
    assert (foreign.text("lamp_driver.py.previous"), foreign.text("lamp_driver.py.previous.1")) == (mine, OLD)
    assert owners(foreign)["lamp_driver.py.previous.1"] == NOBODY


@needs_root
def test_the_way_back_keeps_a_file_of_another_user_as_his(edited, monkeypatch):
    edited.door.update("lamp")
    theirs = driver_text(note="theirs")
    edited.folders.write("lamp_driver.py", theirs)
    os.chown(edited.folders.user / "lamp_driver.py", NOBODY, -1)
    monkeypatch.delattr(os, "fchown")
    assert edited.door.rollback("lamp").result == "rolled-back"
    assert (edited.text(), edited.text("lamp_driver.py.previous")) == (OLD, theirs)
    assert owners(edited) == {"lamp_driver.py": os.geteuid(), "lamp_driver.py.previous": NOBODY}


@needs_root
def test_a_file_of_another_user_under_another_name_makes_room(edited):
    (edited.folders.user / "lamp_driver.py").rename(edited.folders.user / "my_driver.py")
    os.chown(edited.folders.user / "my_driver.py", NOBODY, -1)
    assert edited.door.update("lamp").kept == "my_driver.py.previous"
    assert not (edited.folders.user / "my_driver.py").exists()
    assert (edited.text(), edited.text("my_driver.py.previous")) == (NEW, OLD)


@needs_root
def test_an_unedited_copy_of_another_user_follows_the_program(bench):
    os.chown(bench.folders.user / "lamp_driver.py", NOBODY, -1)
    newer = release(bench, "1.2.0")
    assert (bench.text(), bench.text("lamp_driver.py.previous")) == (newer, NEW)
    assert owners(bench) == {"lamp_driver.py": os.geteuid(), "lamp_driver.py.previous": NOBODY}


@needs_root
@pytest.mark.parametrize("at", range(3))
def test_breaking_off_leaves_a_file_of_another_user_where_it_was(foreign, monkeypatch, at):
    before = foreign.contents()
    real, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == at + 1:  # moved aside, kept, and the new one in place
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", fail)
        with pytest.raises(StoreError):
            foreign.door.update("lamp")
    assert foreign.contents() == before
    assert owners(foreign) == {"lamp_driver.py": NOBODY}


# --- all --------------------------------------------------------------------------------------------------------


def test_all_updates_are_those_that_are_newer_and_one_failure_stops_no_other(edited, monkeypatch):
    for name in ("torch", "candle", "flare"):
        edited.folders.bundle(f"{name}_driver.py", driver_text(name))
    edited.load()
    edited.folders.write("torch_driver.py", driver_text("torch", version="0.1.0"))
    edited.folders.write("candle_driver.py", driver_text("candle", note="own, no older"))
    edited.folders.write("flare_driver.py", "class X(\n")
    edited.door.reload()
    assert [one.driver_type for one in edited.door.all() if one.update_available] == ["lamp", "torch"]
    real = os.replace

    def fail_for_the_lamp(source, target):
        if "lamp_driver" in str(target):
            raise OSError(errno.EACCES, "Permission denied")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", fail_for_the_lamp)
    failed, updated = edited.door.update_all()
    assert (failed.driver_type, failed.result, failed.version_before) == ("lamp", "failed", "0.9.0")
    assert "permission denied" in failed.error
    assert (updated.driver_type, updated.result, updated.version) == ("torch", "updated", "1.0.0")
    assert edited.note() == "mine"
    assert edited.status("torch").source == "bundled"
    assert edited.status("candle").status == "own"


def test_a_broken_file_made_of_an_older_original_is_updated_too(bench):
    bench.folders.write("lamp_driver.py", changed(NEW, interface_version="interface_version = 0"))
    bench.folders.bundle("lamp_driver.py", driver_text(version="2.0.0", note="newer"))
    bench.door.reload()
    assert (bench.status().status, bench.status().update_available) == ("error", True)
    assert [change.result for change in bench.door.update_all()] == ["updated"]
    assert bench.note() == "newer"


def test_nothing_to_update_loads_nothing(bench):
    loads = bench.loads
    assert bench.door.update_all() == ()
    assert bench.loads == loads


# --- the way back -----------------------------------------------------------------------------------------------


def test_the_way_back_and_forth(edited):
    edited.door.update("lamp")
    record = edited.record()
    back = edited.door.rollback("lamp", digest(OLD))
    assert (back.result, back.version_before, back.version) == ("rolled-back", "1.0.0", "0.9.0")
    assert (back.sha256, back.kept, back.error) == (digest(OLD), "lamp_driver.py.previous", None)
    assert (edited.text(), edited.text("lamp_driver.py.previous")) == (OLD, NEW)
    assert edited.note() == "mine"
    assert edited.record() == record
    edited.load()  # as the next start does: what a person went back to is not refreshed
    assert (edited.note(), edited.text()) == ("mine", OLD)
    assert edited.status().status == "update-available"
    forth = edited.door.rollback("lamp")
    assert (forth.version, edited.note(), edited.status().status) == ("1.0.0", "bundled", "up-to-date")


def test_a_copy_that_followed_the_program_can_be_gone_back_to(bench):
    newer = driver_text(version="1.1.0", note="newer")
    bench.folders.bundle("lamp_driver.py", newer)
    bench.load()
    assert (bench.note(), bench.text("lamp_driver.py.previous")) == ("newer", NEW)
    assert bench.door.rollback("lamp").version == "1.0.0"
    bench.load()
    assert (bench.note(), bench.text()) == ("bundled", NEW)
    assert bench.status().source == "user"
    bench.folders.bundle("lamp_driver.py", driver_text(version="1.2.0", note="newest"))
    bench.load()
    assert (bench.note(), bench.status().status) == ("bundled", "update-available")


def test_without_a_kept_file_there_is_no_way_back(edited):
    for name in ("lamp", "nobody"):
        with pytest.raises(UnknownError, match="was kept"):
            edited.door.rollback(name)


def test_the_kept_file_must_be_the_one_that_was_shown(edited):
    edited.door.update("lamp")
    with pytest.raises(FieldError, match=digest(OLD)):
        edited.door.rollback("lamp", digest(NEW))
    assert edited.text() == NEW


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [("class X(\n", 0o644, "syntax error"), (OLD, 0o666, "written by others")],
)
def test_a_kept_file_that_cannot_be_used_is_refused(bench, text, mode, words):
    bench.folders.write("lamp_driver.py", text, mode)
    bench.door.update("lamp")
    before = bench.contents()
    with pytest.raises(UsageError, match=words):
        bench.door.rollback("lamp")
    assert bench.contents() == before
    assert (bench.folders.user / "lamp_driver.py.previous").stat().st_mode & 0o777 == mode


def test_a_kept_file_that_fails_when_it_runs_is_told_and_the_bundled_one_serves(bench):
    bench.folders.write("lamp_driver.py", OLD + "\n1 / 0\n")
    bench.door.update("lamp")
    done = bench.door.rollback("lamp")
    assert done.result == "rolled-back"
    assert "ZeroDivisionError" in done.error
    assert bench.note() == "bundled"
    assert bench.status().status == "error"


def test_another_file_of_the_driver_is_in_the_way_of_the_way_back(edited):
    edited.door.update("lamp")
    edited.folders.write("my_driver.py", driver_text(note="other"))
    with pytest.raises(UsageError, match=r"my_driver\.py holds driver lamp too"):
        edited.door.rollback("lamp")


def test_a_full_disk_on_the_way_back_changes_nothing(edited, monkeypatch):
    edited.door.update("lamp")
    before = edited.contents()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StoreError):
        edited.door.rollback("lamp")
    assert edited.contents() == before


# --- loading again ----------------------------------------------------------------------------------------------


def test_a_driver_whose_file_stayed_is_used_on(folders):
    folders.bundle("torch_driver.py", driver_text("torch"))
    first = load_drivers(folders.user, bundled_folder=folders.bundled)
    folders.write("lamp_driver.py", OLD)
    second = load_drivers(folders.user, bundled_folder=folders.bundled, before=first)
    assert second.drivers["torch"] is first.drivers["torch"]
    assert second.drivers["lamp"] is not first.drivers["lamp"]
    third = load_drivers(folders.user, bundled_folder=folders.bundled, before=second)
    assert third.drivers["lamp"] is second.drivers["lamp"]


def test_looking_changes_no_folder(folders):
    assert list(load_drivers(folders.user, bundled_folder=folders.bundled, refresh=False).drivers) == ["lamp"]
    assert not folders.user.exists()
    load_drivers(folders.user, bundled_folder=folders.bundled)
    folders.bundle("lamp_driver.py", driver_text(version="1.1.0", note="newer"))
    folders.bundle("torch_driver.py", driver_text("torch"))
    before = {path.name: path.read_bytes() for path in folders.user.iterdir()}
    found = load_drivers(folders.user, bundled_folder=folders.bundled, refresh=False)
    assert (found.drivers["lamp"].note.text, sorted(found.drivers)) == ("newer", ["lamp", "torch"])
    assert {path.name: path.read_bytes() for path in folders.user.iterdir()} == before


def test_a_folder_that_is_gone_is_empty(bench):
    shutil.rmtree(bench.folders.user)
    assert [(one.driver_type, one.status, one.file) for one in bench.door.all()] == [("lamp", "up-to-date", None)]
