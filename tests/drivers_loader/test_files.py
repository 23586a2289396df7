"""Whose files are run: those that nobody else may write or exchange, read in bounds."""

import os
import pwd

import pytest

from exporter.drivers import writers
from exporter.drivers.files import read_driver_file
from exporter.drivers.loader import load_drivers, load_single
from exporter.drivers.manifest import MAX_BYTES
from exporter.errors import DriverRejected
from tests.drivers_loader.conftest import driver_text

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def rejected(folders):
    result = load_drivers(folders.user, bundled_folder=folders.bundled)
    assert result.drivers["lamp"].note.text == "bundled"
    (entry,) = result.rejected
    return entry.reason


def used(folders):
    result = load_drivers(folders.user, bundled_folder=folders.bundled)
    assert result.rejected == ()
    return result.drivers["lamp"].note.text


@pytest.fixture
def mine(folders):
    return folders.write("lamp_driver.py", driver_text(note="mine"))


# --- owners -------------------------------------------------------------------------------------------------------


@needs_root
def test_a_file_of_another_user_is_rejected(folders, mine):
    os.chown(mine, NOBODY, -1)
    reason = rejected(folders)
    assert "belongs to" in reason
    assert reason.endswith(f"run: chown 0 {mine}")
    with pytest.raises(DriverRejected, match="belongs to"):
        load_single(mine)


@needs_root
def test_a_folder_of_another_user_is_rejected(folders, mine):
    os.chown(folders.user, NOBODY, -1)
    reason = rejected(folders)
    assert f"lies in a folder of user {pwd.getpwuid(NOBODY).pw_name}" in reason


@needs_root
def test_root_is_told_to_run_as_the_user_whose_folder_it_is(folders, mine):
    for path in (mine, folders.user):
        os.chown(path, NOBODY, -1)
    name = pwd.getpwuid(NOBODY).pw_name
    reason = rejected(folders)
    assert f"belongs to user {name}, whose folder it lies in" in reason
    assert f"run as that user: sudo -u {name} flockwatch ..." in reason
    assert "chown" not in reason
    with pytest.raises(DriverRejected, match=f"sudo -u {name} flockwatch"):
        load_single(mine)
    os.chown(mine, 0, -1)
    assert f"sudo -u {name} flockwatch" in rejected(folders)


@needs_root
def test_a_user_without_a_name_is_told_by_number(folders, mine):
    for path in (mine, folders.user):
        os.chown(path, 60123, -1)
    assert "sudo -u '#60123' flockwatch" in rejected(folders)


def test_who_is_not_root_is_told_that_root_gives_files_away(mine, monkeypatch):
    read = read_driver_file(mine)
    monkeypatch.setattr(writers.os, "geteuid", lambda: 60123)
    with pytest.raises(DriverRejected, match=f"run as root: chown 60123 {mine}"):
        writers.check_writers(mine, read.mode, NOBODY)


@needs_root
def test_a_link_of_another_user_is_rejected(folders, tmp_path):
    target = tmp_path / "elsewhere.py"
    target.write_text(driver_text(note="mine"))
    target.chmod(0o644)
    folders.make()
    link = folders.user / "lamp_driver.py"
    link.symlink_to(target)
    assert used(folders) == "mine"
    os.chown(link, NOBODY, -1, follow_symlinks=False)
    assert f"chown -h 0 {link}" in rejected(folders)


def test_files_of_root_and_of_the_program_are_used_and_no_others(folders, mine, monkeypatch):
    assert used(folders) == "mine"
    owner = mine.stat().st_uid
    monkeypatch.setattr(writers.os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert used(folders) == "mine"
    else:
        assert "belongs to" in rejected(folders)


# --- folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_file_in_a_folder_that_others_may_write_is_rejected(folders, mine, mode):
    folders.user.chmod(mode)
    reason = rejected(folders)
    assert f"mode {mode:04o}" in reason
    assert reason.endswith(f"run: chmod go-w {folders.user}")


@pytest.mark.parametrize(("file", "folder"), [(0o664, 0o775), (0o664, 0o755), (0o644, 0o2775), (0o660, 0o770)])
def test_a_file_that_a_person_names_may_be_their_groups(mine, file, folder):
    mine.chmod(file)
    mine.parent.chmod(folder)
    assert load_single(mine).driver.note.text == "mine"


@pytest.mark.parametrize(("file", "folder"), [(0o666, 0o755), (0o646, 0o755), (0o644, 0o777), (0o644, 0o757)])
def test_a_file_that_a_person_names_may_be_written_by_no_others(mine, file, folder):
    mine.chmod(file)
    mine.parent.chmod(folder)
    place = mine if file != 0o644 else mine.parent
    with pytest.raises(DriverRejected, match=f"chmod o-w {place}$"):
        load_single(mine)


def test_a_folder_where_each_may_change_only_what_is_his_is_fine(folders, mine):
    folders.user.chmod(0o1777)
    assert used(folders) == "mine"


def test_the_folder_of_a_links_target_counts_too(folders, tmp_path):
    place = tmp_path / "elsewhere"
    place.mkdir()
    target = place / "lamp.py"
    target.write_text(driver_text(note="mine"))
    target.chmod(0o644)
    folders.make()
    between = tmp_path / "between"
    between.symlink_to(target)
    (folders.user / "lamp_driver.py").symlink_to(between)
    place.chmod(0o755)
    assert used(folders) == "mine"
    place.chmod(0o777)
    assert f"chmod go-w {place}" in rejected(folders)


def test_the_folder_between_two_links_counts_too(folders, tmp_path):
    target = tmp_path / "lamp.py"
    target.write_text(driver_text(note="mine"))
    target.chmod(0o644)
    between = tmp_path / "between"
    between.mkdir()
    (between / "link").symlink_to(target)
    between.chmod(0o777)
    folders.make()
    (folders.user / "lamp_driver.py").symlink_to("../../between/link")
    assert "chmod go-w" in rejected(folders)


def test_a_folder_without_a_file_of_ones_own_rejects_nothing(folders):
    load_drivers(folders.user, bundled_folder=folders.bundled)
    folders.user.chmod(0o777)
    assert used(folders) == "bundled"


# --- size and kind ------------------------------------------------------------------------------------------------


def test_a_huge_file_is_not_read(folders, mine):
    os.truncate(mine, 1 << 40)  # sparse: it takes no space, and reading it would take all memory
    assert f"larger than {MAX_BYTES} bytes" in rejected(folders)
    with pytest.raises(DriverRejected, match="larger than"):
        read_driver_file(mine)


@pytest.mark.parametrize("name", ["lamp_driver.py", "README.md", ".installed.json"])
def test_a_pipe_with_the_name_of_one_of_ours_holds_up_nothing(folders, name):
    load_drivers(folders.user, bundled_folder=folders.bundled)
    (folders.user / name).unlink()
    os.mkfifo(folders.user / name)
    folders.bundle("lamp_driver.py", driver_text(version="1.1.0"))
    result = load_drivers(folders.user, bundled_folder=folders.bundled)
    assert list(result.drivers) == ["lamp"]
    assert [entry.reason for entry in result.rejected] == ["is no regular file"] * (name == "lamp_driver.py")
    load_drivers(folders.user, bundled_folder=folders.bundled, refresh=False)
    assert (folders.user / name).is_fifo()


@pytest.mark.parametrize("name", ["lamp_driver.py", "README.md", ".installed.json"])
def test_a_huge_file_with_the_name_of_one_of_ours_is_not_read(folders, name):
    load_drivers(folders.user, bundled_folder=folders.bundled)
    os.truncate(folders.user / name, 1 << 40)
    load_drivers(folders.user, bundled_folder=folders.bundled)
    assert (folders.user / name).stat().st_size == 1 << 40
