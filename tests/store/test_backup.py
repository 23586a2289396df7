import errno
import json
import os
import threading

import pytest

from exporter.errors import StoreError, UsageError
from exporter.store import files
from exporter.store.backup import backup_bytes, restore, write_backup
from exporter.store.database import Database
from exporter.store.migrations import MIGRATIONS, SCHEMA_VERSION
from exporter.store.secret import Secret


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flock.json"


@pytest.fixture
def saved(path, tmp_path):
    """A database with one miner, and a backup of it from before it was renamed."""
    with Database.open(path) as database:
        row = database.miners.insert(key="a", driver="vnish", name="before")
        database.passwords.set(row.id, Secret("example"))
        write_backup(tmp_path / "saved.json", backup_bytes(database))
        database.miners.update(row.id, name="after")
    return tmp_path / "saved.json"


def test_a_backup_is_what_the_file_would_be(path):
    with Database.open(path) as database:
        database.miners.insert(key="a", driver="vnish", labels={"site": "hall-1"})
        database.settings.set("x", {"y": [1]})
        data = backup_bytes(database)
        database.commit_now()
        empty = {name: {} for name in json.loads(data)}
        assert json.loads(data) == empty | json.loads(path.read_bytes())


def test_a_backup_while_writing_is_consistent(path):
    with Database.open(path, flush_delay=0.0) as database:
        stop = threading.Event()

        def write():
            number = 0
            while not stop.wait(0.0005):
                number += 1
                with database.transaction():
                    row = database.miners.insert(key=f"serial:{number}", driver="vnish")
                    database.settings.set("newest", row.id)

        writer = threading.Thread(target=write)
        writer.start()
        backups = []
        while len(backups) < 20 or len(json.loads(backups[-1])["miners"]) < 20:
            backups.append(backup_bytes(database))
        stop.set()
        writer.join()
    for data in backups:
        document = json.loads(data)
        newest = [row["value"] for row in document["settings"].values()]
        assert [int(row_id) for row_id in document["miners"]][-1:] == newest
        assert document["meta"]["1"]["next_ids"]["miners"] > max([0, *newest])


def test_restoring_brings_everything_back_and_keeps_the_old_file(path, saved):
    replaced = path.read_bytes()
    kept = restore(saved, path)
    assert kept == path.with_name("flock.json.before-restore")
    assert kept.read_bytes() == replaced
    assert {file.stat().st_mode & 0o777 for file in (kept, path, saved)} == {0o600}
    with Database.open(path) as database:
        assert [row.name for row in database.miners.all()] == ["before"]
        assert database.passwords.get(1).password == Secret("example")
    second = restore(saved, path)
    assert second == path.with_name("flock.json.before-restore.2")
    assert kept.read_bytes() == replaced


def test_restoring_where_there_was_nothing_or_rubbish(saved, tmp_path):
    target = tmp_path / "new" / "flock.json"
    assert restore(saved, target) is None
    target.write_bytes(b"{")
    kept = restore(saved, target)
    assert kept is not None
    assert kept.read_bytes() == b"{"
    with Database.open(target) as database:
        assert len(database.miners) == 1


def test_restoring_is_refused_while_the_program_runs(path, saved):
    before = path.read_bytes()
    with Database.open(path), pytest.raises(StoreError, match=f"in use by process {os.getpid()}; stop it"):
        restore(saved, path)
    assert path.read_bytes() == before
    assert not path.with_name("flock.json.before-restore").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-20], "not readable as JSON"),
        (lambda text: "", "is empty"),
        (lambda text: "{}", "not a Flockwatch database"),
        (lambda text: text.replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":9'), "newer Flockwatch"),
        (lambda text: text.replace('"driver":"vnish"', '"driver":null'), "row 1: driver: text expected"),
        (lambda text: text.replace('"miners"', '"minors"'), "unknown table 'minors'"),
    ],
)
def test_a_bad_backup_replaces_nothing(path, saved, change, reason):
    before = path.read_bytes()
    saved.write_text(change(saved.read_text()))
    with pytest.raises(StoreError, match=rf"saved\.json.*{reason}"):
        restore(saved, path)
    assert path.read_bytes() == before
    assert not path.with_name("flock.json.before-restore").exists()


def test_a_backup_of_an_older_schema_is_migrated_when_it_is_opened(path, saved):
    def rename(document):
        for row in document["miners"].values():
            row["name"] = "migrated"
        return document

    newer = [*MIGRATIONS, rename]
    restore(saved, path, migrations=newer)
    with Database.open(path, migrations=newer) as database:
        assert [row.name for row in database.miners.all()] == ["migrated"]


def test_a_full_disk_while_restoring(path, saved, monkeypatch):
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StoreError, match="no space left"):
            restore(saved, path)
    assert path.read_bytes() == before
    Database.open(path).close()


def test_wrong_names_for_a_restore(path, saved, tmp_path):
    with pytest.raises(StoreError, match="cannot be read: no such file"):
        restore(tmp_path / "none.json", path)
    (tmp_path / "link.json").symlink_to(path)
    with pytest.raises(UsageError, match="the database itself"):
        restore(tmp_path / "link.json", path)


def test_a_backup_overwrites_only_when_asked(tmp_path):
    target = tmp_path / "saved.json"
    write_backup(target, b"one")
    with pytest.raises(UsageError, match="there is a file already"):
        write_backup(target, b"two")
    assert target.read_bytes() == b"one"
    write_backup(target, b"two", overwrite=True)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="not a regular file"):
        write_backup("/dev/null", b"two", overwrite=True)
    with pytest.raises(UsageError, match="no such directory"):
        write_backup(tmp_path / "none" / "saved.json", b"two")
