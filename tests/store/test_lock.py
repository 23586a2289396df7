import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.errors import StoreError, UsageError
from exporter.store import lock as lock_module
from exporter.store.database import Database
from exporter.store.lock import DatabaseLock

ROOT = Path(__file__).parents[2]

OPEN_AND_SHOW = """
import sys
from exporter.errors import UsageError
from exporter.store.database import Database
try:
    Database.open(sys.argv[1]).close()
except UsageError as error:
    print(error)
    sys.exit(2)
"""


def open_elsewhere(path):
    return subprocess.run(
        [sys.executable, "-c", OPEN_AND_SHOW, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_second_process_is_refused_until_the_first_one_ends(tmp_path):
    path = tmp_path / "flock.json"
    database = Database.open(path)
    refused = open_elsewhere(path)
    assert refused.returncode == 2
    assert refused.stdout == (
        f"{path} is in use by process {os.getpid()}; stop it or choose another database.path in targets.yml\n"
    )
    database.close()
    assert open_elsewhere(path).returncode == 0


def test_the_same_file_by_another_name_is_locked_too(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "flock.json")
    with Database.open(tmp_path / "flock.json"), pytest.raises(UsageError, match="in use by process"):
        Database.open(tmp_path / "link.json")


def test_the_file_of_a_dead_process_is_no_hindrance(tmp_path):
    path = tmp_path / "flock.json"
    (tmp_path / "flock.json.lock").write_text("1\n")
    lock = DatabaseLock.acquire(path)
    assert lock.held
    assert lock.path.read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()
    assert not lock.held
    assert lock.path.exists()


def test_an_owner_without_a_number(tmp_path):
    lock = DatabaseLock.acquire(tmp_path / "flock.json")
    lock.path.write_text("")
    with pytest.raises(StoreError, match="in use by another process"):
        DatabaseLock.acquire(tmp_path / "flock.json")
    lock.release()


def test_a_failed_open_gives_the_lock_back(tmp_path):
    path = tmp_path / "flock.json"
    path.write_bytes(b"{")
    for _attempt in range(2):
        with pytest.raises(StoreError, match="not readable as JSON"):
            Database.open(path)
    path.unlink()
    Database.open(path).close()


def test_a_file_system_without_locks_and_one_without_room(tmp_path, monkeypatch):
    def no_locks(*_arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(lock_module.fcntl, "flock", no_locks)
        with pytest.raises(StoreError, match="put the database on a local disk"):
            DatabaseLock.acquire(tmp_path / "flock.json")
    with monkeypatch.context() as patch:
        patch.setattr(lock_module.os, "pwrite", full)
        lock = DatabaseLock.acquire(tmp_path / "flock.json")
    with pytest.raises(StoreError, match="in use by another process"):
        DatabaseLock.acquire(tmp_path / "flock.json")
    lock.release()


def test_a_lock_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "flock.json.lock").mkdir()
    with pytest.raises(StoreError, match=r"flock\.json\.lock: cannot be opened"):
        DatabaseLock.acquire(tmp_path / "flock.json")
