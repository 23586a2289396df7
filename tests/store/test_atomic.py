import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tinydb

from exporter.errors import StoreError
from exporter.store import files
from exporter.store.atomic import AtomicJSONStorage, DocumentEncoder, encode_document, parse_document
from exporter.store.files import free_name, make_parents, remove_leftovers, write_atomically

ROOT = Path(__file__).parents[2]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory):
    return sorted(entry.name for entry in directory.iterdir())


def test_a_plain_tinydb_on_the_storage(tmp_path):
    path = tmp_path / "flock.json"
    with tinydb.TinyDB(path, storage=AtomicJSONStorage) as database:
        assert database.storage.read() is None
        row_id = database.table("miners").insert({"key": "a", "labels": {"site": "hall-1"}})
        database.table("miners").update({"key": "b"}, doc_ids=[row_id])
    assert json.loads(path.read_bytes()) == {"miners": {"1": {"key": "b", "labels": {"site": "hall-1"}}}}
    assert mode_of(path) == 0o600
    assert names_in(tmp_path) == ["flock.json"]
    with tinydb.TinyDB(path, storage=AtomicJSONStorage) as database:
        assert database.table("miners").all() == [{"key": "b", "labels": {"site": "hall-1"}}]


def test_reads_come_from_memory(tmp_path):
    path = tmp_path / "flock.json"
    storage = AtomicJSONStorage(path)
    storage.write({"miners": {"1": {"key": "a"}}})
    path.unlink()
    assert storage.read() == {"miners": {"1": {"key": "a"}}}


def test_a_failed_write_leaves_file_and_memory_as_they_were(tmp_path, monkeypatch):
    path = tmp_path / "flock.json"
    database = tinydb.TinyDB(path, storage=AtomicJSONStorage)
    database.table("miners").insert({"key": "a"})
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StoreError, match=r"flock\.json: cannot be written: no space left.*free some space"):
            database.table("miners").update({"key": "b"}, doc_ids=[1])
    assert path.read_bytes() == before
    assert database.table("miners").all() == [{"key": "a"}]
    assert names_in(tmp_path) == ["flock.json"]
    database.table("miners").update({"key": "c"}, doc_ids=[1])
    assert json.loads(path.read_bytes()) == {"miners": {"1": {"key": "c"}}}


def test_a_file_size_limit_is_a_full_disk(tmp_path):
    """The kernel itself refuses here: 64 KiB for each file."""
    script = """
import resource, sys
from exporter.errors import StoreError
from exporter.store.database import Database
database = Database.open(sys.argv[1])
database.settings.set("small", 1)
database.commit_now()
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
database.settings.set("big", "x" * 100_000)
try:
    database.commit_now()
except StoreError as error:
    print(error, "|", database.unsaved, database.write_error is not None, len(database.settings.get("big")))
database.settings.delete("big")
database.commit_now()
print(database.unsaved, database.write_error)
database.close()
"""
    path = tmp_path / "flock.json"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert "flock.json: cannot be written: file too large; free some space | True True 100000" in first
    assert second == "False None"
    assert [row["key"] for row in json.loads(path.read_bytes())["settings"].values()] == ["small"]
    assert names_in(tmp_path) == ["flock.json", "flock.json.lock"]


@pytest.mark.parametrize(
    ("function", "number", "remedy"),
    [
        ("open", errno.EROFS, "write permission"),
        ("open", errno.EACCES, "write permission"),
        ("replace", errno.EBUSY, "mount the directory"),
        ("fsync", errno.EIO, "check the disk"),
    ],
)
def test_every_step_that_can_fail_says_what_to_do(tmp_path, monkeypatch, function, number, remedy):
    path = tmp_path / "flock.json"
    path.write_bytes(b"old")

    def fail(*_arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, function, fail)
        with pytest.raises(StoreError, match=remedy):
            write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["flock.json"]


def test_a_directory_that_cannot_be_synced_is_borne(tmp_path, monkeypatch):
    real = os.fsync

    def no_directories(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", no_directories)
    write_atomically(tmp_path / "flock.json", [b"new"])
    assert (tmp_path / "flock.json").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b'{"miners": {"1": {"key": "a"', "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"[]", "not a Flockwatch database"),
        (b'{"miners": []}', "not a Flockwatch database"),
        (b'{"miners": {"one": {}}}', "not a Flockwatch database"),
        (b'{"miners": {"1": 5}}', "not a Flockwatch database"),
    ],
)
def test_an_unreadable_file_is_refused_and_kept(tmp_path, content, reason):
    path = tmp_path / "flock.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"flock\.json.*{reason}.*restore a backup"):
        AtomicJSONStorage(path)
    assert path.read_bytes() == content


def test_a_directory_in_the_place_of_the_file(tmp_path):
    with pytest.raises(StoreError, match="cannot be read: is a directory"):
        AtomicJSONStorage(tmp_path)


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "flock.json", tmp_path / "real" / "data.json"
    link.symlink_to(target)
    AtomicJSONStorage(link).write({"miners": {}})
    assert link.is_symlink()
    assert json.loads(target.read_bytes()) == {"miners": {}}
    assert names_in(tmp_path / "real") == ["data.json"]


def test_leftovers_of_this_file_only_are_removed(tmp_path):
    keep = [".flock.json.bak.tmp", ".flock.json.b.12.0123456789abcdef.tmp", ".other.json.12.0123456789abcdef.tmp"]
    for name in [".flock.json.12.0123456789abcdef.tmp", ".flock.json.9.ffffffffffffffff.tmp", *keep]:
        (tmp_path / name).write_bytes(b"half")
    remove_leftovers(tmp_path / "flock.json")
    assert names_in(tmp_path) == sorted(keep)


def test_parents_are_private_and_existing_ones_keep_their_mode(tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    make_parents(tmp_path / "data" / "a" / "b" / "flock.json")
    assert [mode_of(tmp_path / part) for part in ("data", "data/a", "data/a/b")] == [0o755, 0o700, 0o700]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="directory cannot be created"):
        make_parents(tmp_path / "file" / "a" / "flock.json")


def test_free_name_never_names_what_is_there(tmp_path):
    wanted = tmp_path / "flock.json.before-v2"
    assert free_name(wanted) == wanted
    wanted.write_bytes(b"")
    (tmp_path / "flock.json.before-v2.2").symlink_to("nowhere")
    assert free_name(wanted).name == "flock.json.before-v2.3"


def test_unchanged_rows_are_not_encoded_again():
    encoder, row = DocumentEncoder(), {"key": "a"}
    first = b"".join(encoder.encode({"miners": {"1": row, "2": {"key": "b"}}}))
    assert json.loads(first) == {"miners": {"1": {"key": "a"}, "2": {"key": "b"}}}
    row["key"] = "changed in place, against the rule"
    assert b"".join(encoder.encode({"miners": {"1": row, "2": {"key": "b"}}})) == first
    replaced = b"".join(encoder.encode({"miners": {"1": {"key": "c"}, "3": {"key": "\udcff\u2028"}}, "models": {}}))
    assert json.loads(replaced) == {"miners": {"1": {"key": "c"}, "3": {"key": "\udcff\u2028"}}, "models": {}}


def test_the_file_is_what_was_encoded():
    document = {"meta": {"1": {"schema_version": 1}}, "miners": {}, "settings": {"7": {"key": "a", "value": [1, {}]}}}
    text = b"".join(encode_document(document))
    assert parse_document(text, "test") == document
    assert text.count(b"\n") > 5  # a row on a line, so that a person can compare two backups
    assert parse_document(b"".join(encode_document({})), "test") == {}
