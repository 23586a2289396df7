import asyncio
import errno
import json
import logging
import os
import threading

import pytest

from exporter.errors import StoreError
from exporter.store import files
from exporter.store.database import Database
from exporter.store.secret import Secret


@pytest.fixture
def database(tmp_path):
    # Without awaiting anything nothing reaches the disk here: the delay is longer than any test.
    with Database.open(tmp_path / "flock.json", flush_delay=3600.0) as opened:
        yield opened


def on_disk(database, table="miners"):
    return json.loads(database.path.read_bytes()).get(table, {})


@pytest.fixture
def broken_disk(monkeypatch):
    """A switch: while it is set every sync fails."""
    real, broken = os.fsync, threading.Event()

    def fsync(descriptor):
        if broken.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    yield broken
    broken.clear()


class Gate:
    """Holds every write up until it is opened, and counts them."""

    def __init__(self, monkeypatch):
        self.entered, self.opened, self.count = threading.Semaphore(0), threading.Event(), 0
        real = os.replace

        def replace(source, target):
            self.count += 1
            self.entered.release()
            assert self.opened.wait(30)
            real(source, target)

        monkeypatch.setattr(files.os, "replace", replace)


def test_commit_returns_when_the_change_is_on_disk(database):
    async def work():
        row = database.miners.insert(key="a", driver="bitaxe")
        assert database.unsaved
        assert on_disk(database) == {}
        await database.commit()
        assert on_disk(database)[str(row.id)]["key"] == "a"
        assert not database.unsaved
        await database.commit()

    asyncio.run(work())


def test_commits_at_the_same_time_share_a_write(database, monkeypatch):
    gate = Gate(monkeypatch)

    async def change(number):
        database.miners.insert(key=f"serial:{number}", driver="bitaxe")
        await database.commit()

    async def work():
        tasks = [asyncio.create_task(change(number)) for number in range(50)]
        await asyncio.to_thread(gate.entered.acquire)
        tasks += [asyncio.create_task(change(number)) for number in range(50, 100)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        gate.opened.set()
        await asyncio.gather(*tasks)

    asyncio.run(work())
    assert gate.count <= 3
    assert len(on_disk(database)) == 100


def test_a_cancelled_commit_disturbs_nobody(database, monkeypatch):
    gate = Gate(monkeypatch)

    async def work():
        database.miners.insert(key="a", driver="bitaxe")
        impatient, patient = asyncio.create_task(database.commit()), asyncio.create_task(database.commit())
        await asyncio.to_thread(gate.entered.acquire)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        gate.opened.set()
        await patient

    asyncio.run(work())
    assert len(on_disk(database)) == 1


def test_what_nobody_awaits_is_written_soon(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    gate.opened.set()
    with Database.open(tmp_path / "flock.json", flush_delay=0.01) as database:
        assert gate.entered.acquire(timeout=30)
        database.miners.insert(key="a", driver="bitaxe")
        assert gate.entered.acquire(timeout=30)
        database.commit_now()
        assert len(on_disk(database)) == 1
        assert gate.count == 2


def test_closing_writes_what_is_left(database):
    database.miners.insert(key="a", driver="bitaxe")
    database.close()
    database.close()
    assert len(on_disk(database)) == 1
    assert not database.lock_held
    with pytest.raises(StoreError, match="database is closed"):
        database.miners.insert(key="b", driver="bitaxe")
    assert [row.key for row in database.miners.all()] == ["a"]


def test_a_full_disk_is_told_and_mended(database, broken_disk, caplog):
    database.miners.insert(key="a", driver="bitaxe")
    database.commit_now()
    before = database.path.read_bytes()
    broken_disk.set()
    row = database.miners.insert(key="b", driver="bitaxe")
    with caplog.at_level(logging.INFO, logger="exporter.store.writer"):
        for _attempt in range(2):
            with pytest.raises(StoreError, match="no space left"):
                database.commit_now()
        with pytest.raises(StoreError, match="no space left"):
            asyncio.run(database.commit())
        assert database.path.read_bytes() == before
        assert database.unsaved
        assert "free some space" in str(database.write_error)
        assert database.miners.get(row.id) == row
        broken_disk.clear()
        database.commit_now()
    assert database.write_error is None
    assert not database.unsaved
    assert len(on_disk(database)) == 2
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR, logging.INFO]  # once, not for each attempt


def test_closing_on_a_full_disk_tells_and_gives_the_lock_back(tmp_path, broken_disk):
    database = Database.open(tmp_path / "flock.json", flush_delay=3600.0)
    database.miners.insert(key="a", driver="bitaxe")
    broken_disk.set()
    with pytest.raises(StoreError, match="no space left"):
        database.close()
    assert not database.lock_held
    broken_disk.clear()
    with Database.open(tmp_path / "flock.json") as again:
        assert again.miners.all() == ()


def test_a_new_database_on_a_full_disk_is_no_database(tmp_path, broken_disk):
    broken_disk.set()
    with pytest.raises(StoreError, match="no space left"):
        Database.open(tmp_path / "flock.json")
    broken_disk.clear()
    Database.open(tmp_path / "flock.json").close()


def test_a_transaction_is_all_or_nothing(database):
    first = database.miners.insert(key="a", driver="bitaxe")
    database.passwords.set(first.id, Secret("example"))
    database.commit_now()

    def half():
        with database.transaction():
            database.miners.delete(first.id)
            second = database.miners.insert(key="a", driver="vnish")
            database.settings.set("x", 1)
            assert database.miners.all() == (second,)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        half()
    assert database.miners.all() == (first,)
    assert database.miners.by_key("a") is first
    assert database.passwords.get(first.id).password == Secret("example")
    assert database.settings.get("x") is None
    database.commit_now()
    assert list(on_disk(database)) == ["1"]
    assert on_disk(database, "settings") == {}
    assert database.miners.insert(key="b", driver="vnish").id == 3  # 2 was shown to the transaction


def test_an_inner_transaction_takes_back_its_own_changes_only(database):
    def inner():
        with database.transaction():
            database.settings.set("inner", 1)
            database.miners.delete(9)

    with database.transaction():
        database.settings.set("outer", 1)
        with pytest.raises(KeyError):
            inner()
        database.settings.set("later", 1)
    assert [row.key for row in database.settings.all()] == ["outer", "later"]


def test_order_of_ids_survives_a_rollback(database):
    rows = [database.miners.insert(key=key, driver="bitaxe") for key in "abc"]

    def half():
        with database.transaction():
            database.miners.delete(rows[0].id)
            database.miners.delete(99)

    with pytest.raises(KeyError):
        half()
    assert database.miners.all() == tuple(rows)


def test_the_disk_never_sees_half_a_transaction(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    gate.opened.set()
    with Database.open(tmp_path / "flock.json", flush_delay=0.0) as database:
        for number in range(20):
            with database.transaction():
                database.settings.set("one", number)
                database.settings.set("two", number)
            document = on_disk(database, "settings")
            assert len({row["value"] for row in document.values()}) <= 1


def test_saving_inside_a_transaction_is_a_mistake(database):
    with database.transaction():
        with pytest.raises(RuntimeError, match="not inside"):
            database.commit_now()
        with pytest.raises(RuntimeError, match="not inside"):
            asyncio.run(database.commit())
        with pytest.raises(RuntimeError, match="not inside"):
            database.encoded()


def test_a_file_readable_by_others_is_closed_to_them(tmp_path, caplog):
    Database.open(tmp_path / "flock.json").close()
    (tmp_path / "flock.json").chmod(0o644)
    Database.open(tmp_path / "flock.json").close()
    assert (tmp_path / "flock.json").stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in caplog.text


def test_secrets_are_in_the_file_and_nowhere_in_the_log(database, caplog):
    with caplog.at_level(logging.DEBUG):
        database.api_keys.set(1, Secret("0123456789abcdef0123456789abcdef"))
        database.commit_now()
    assert on_disk(database, "api_keys")["1"]["key"] == "0123456789abcdef0123456789abcdef"
    assert "0123456789abcdef" not in caplog.text


def test_readers_in_other_threads_see_whole_rows(database):
    stop, faults = threading.Event(), []

    def read():
        while not stop.is_set():
            faults.extend(row for row in database.miners.all() if row.name != row.key)

    readers = [threading.Thread(target=read) for _number in range(3)]
    for reader in readers:
        reader.start()
    for number in range(300):
        row = database.miners.insert(key=f"{number}", name=f"{number}", driver="bitaxe")
        database.miners.update(row.id, key=f"{number}x", name=f"{number}x")
        if number % 3 == 0:
            database.miners.delete(row.id)
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len(database.miners) == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_failed(database, monkeypatch):
    def broken(_document):
        raise MemoryError

    database.miners.insert(key="a", driver="bitaxe")
    thread = database._writer._thread
    with monkeypatch.context() as patch:
        patch.setattr(database._storage._encoder, "encode", broken)
        with pytest.raises(StoreError, match="the log says why"):
            database.commit_now()
        thread.join()
    assert "the log says why" in str(database.write_error)
    database.miners.insert(key="b", driver="bitaxe")
    database.commit_now()
    assert len(on_disk(database)) == 2
