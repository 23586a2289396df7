"""``flockwatch drivers`` for root, on the folder of the user that the program runs as."""

import os
import pwd

import pytest

from tests.drivers_loader.conftest import driver_text
from tests.end_to_end.programs import run_command

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def run(folders, tmp_path):
    """Runs the command on the user's folder, where no program runs: its status, and what it wrote."""
    config = tmp_path / "targets.yml"
    config.write_text(f"drivers: {{path: {folders.user}}}\ndatabase: {{path: {tmp_path}/data/flockwatch.db}}\n")

    def call(*words):
        done = run_command("drivers", *words, "--config.file", config, folder=tmp_path)
        assert "Traceback" not in done.stdout
        return done.returncode, done.stdout or done.stderr

    return call


@pytest.fixture
def theirs(folders):
    path = folders.write("lamp_driver.py", driver_text(note="theirs"))
    for place in (path, folders.user):
        os.chown(place, NOBODY, -1)
    return path


@pytest.mark.parametrize("arguments", [("update", "bitaxe"), ("update", "--all"), ("rollback", "lamp")])
def test_root_leaves_no_file_of_its_own_in_the_folder_of_another_user(folders, theirs, run, arguments):
    status, output = run(*arguments)
    assert status == 2
    assert f"{folders.user} belongs to another user" in output
    assert f"run as that user: sudo -u {pwd.getpwuid(NOBODY).pw_name} flockwatch drivers" in output
    assert folders.names() == ["lamp_driver.py"]
    assert theirs.stat().st_uid == NOBODY


def test_root_may_look_and_is_told_whom_to_be(theirs, run):
    status, output = run("list")
    assert status == 1
    assert f"sudo -u {pwd.getpwuid(NOBODY).pw_name} flockwatch ..." in output
    assert "chown" not in output


def test_a_folder_that_is_not_there_yet_belongs_to_nobody(folders, run):
    status, output = run("update", "--all")
    assert (status, output) == (0, "every driver is up to date\n")
    assert not folders.user.exists()
