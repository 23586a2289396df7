"""The log: what is in memory, on disk, after a crash, and with a disk that is full."""

import datetime
import errno
import gzip
import json
import os
import stat
import threading

import pytest

from exporter.engine.api.shares import Share
from exporter.errors import StoreError
from exporter.shares import day_files
from exporter.shares.day_files import DayFiles
from exporter.shares.lines import BadLine, decode, encode
from exporter.shares.log import KEPT_SECONDS, ShareLog, folder_of, new_share

NOW = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86400.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """Opens logs on one folder; what is open at the end is closed."""
    logs = []

    def make(**more):
        log = ShareLog(tmp_path / "miners.shares", clock=clock, **{"delay": 3600.0, **more})
        log.open()
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


def share(at=NOW, accepted=True, source="derived", **more):
    return new_share(at, accepted=accepted, source=source, **more)


def files(log):
    return sorted(path.name for path in log.folder.iterdir() if path.is_file())


def numbers(page):
    return [each.id for each in page.shares]


# --- lines ---


@pytest.mark.parametrize(
    "one",
    [
        Share(1, 12.5, None, None, None, None, None, accepted=True, source="derived"),
        Share(2**40, NOW, 3, 4, "pool", "wörker", 0.0014, accepted=False, source="event", count=7, reason="low"),
    ],
)
def test_a_line_gives_the_share_back(one):
    line = encode(one)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == one


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0\0\0\0",
        b"[]",
        b'{"id":1',
        b'{"id":1}',
        b'{"id":true,"timestamp":1,"accepted":true,"source":"event","count":1}',
        b'{"id":1,"timestamp":"now","accepted":true,"source":"event","count":1}',
        b'{"id":1,"timestamp":1e999,"accepted":true,"source":"event","count":1}',
        b'{"id":1,"timestamp":1,"accepted":1,"source":"event","count":1}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":"guess","count":1}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":["event"],"count":1}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":"event","count":0}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":"event","count":1,"pool_name":5}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":"event","count":1,"wallet_id":-1}',
        b'{"id":1,"timestamp":1,"accepted":true,"source":"event","count":1,"difficulty":NaN}',
    ],
)
def test_a_line_that_holds_no_share_is_refused(line):
    with pytest.raises(BadLine):
        decode(line)


# --- queries ---


def test_queries_by_wallet_miner_and_time_newest_first_in_pages(opened, clock):
    log = opened()
    for number in range(1, 11):
        log.add(share(NOW - 100 + number, wallet_id=number % 2, miner_id=number % 3))
    everything = log.query()
    assert numbers(everything) == list(range(10, 0, -1))
    assert everything.total == 10
    assert numbers(log.query(wallet_id=1)) == [9, 7, 5, 3, 1]
    assert numbers(log.query(wallet_id=0)) == [10, 8, 6, 4, 2]
    assert numbers(log.query(miner_id=0)) == [9, 6, 3]
    assert numbers(log.query(wallet_id=1, miner_id=0)) == [9, 3]
    assert numbers(log.query(since=NOW - 95, until=NOW - 92)) == [7, 6, 5]
    pages = [log.query(limit=4, offset=offset) for offset in (0, 4, 8, 12)]
    assert [numbers(page) for page in pages] == [[10, 9, 8, 7], [6, 5, 4, 3], [2, 1], []]
    assert {page.total for page in pages} == {10}
    assert log.query(wallet_id=77).total == log.query(wallet_id=-1).total == log.query(miner_id=-1).total == 0


def test_a_share_of_earlier_stands_at_its_time(opened):
    log = opened()
    log.add(share(NOW - 10))
    log.add(share(NOW))
    late = log.add_durably(share(NOW - 5, source="manual", difficulty=9.0))
    assert [each.timestamp for each in log.query().shares] == [NOW, NOW - 5, NOW - 10]
    assert log.query().shares[1] == late


def test_sums_count_what_a_row_stands_for_and_know_the_best_single_share(opened):
    log = opened()
    log.add(share(wallet_id=1, count=5, difficulty=1e6))  # a sum, no share's own
    log.add(share(wallet_id=1, source="event", difficulty=3.5))
    log.add(share(wallet_id=1, source="event", difficulty=77.0, accepted=False, reason="low"))
    log.add(share(wallet_id=1, count=2, accepted=False))
    log.add(share(wallet_id=2, source="event", difficulty=9.0))
    log.add(share(NOW - 2 * 3600, wallet_id=1, source="event", difficulty=8.0))
    sums = log.sums(wallet_id=1, hours=1.0)
    assert (sums.accepted, sums.rejected, sums.best_difficulty, sums.since) == (6, 3, 3.5, NOW - 3600)
    assert log.sums(wallet_id=1, hours=3.0).best_difficulty == 8.0
    assert log.sums(wallet_id=3).best_difficulty is None
    assert log.counts() == {(1, True): 7, (1, False): 3, (2, True): 1}


def test_the_oldest_leave_memory_and_sums_say_since_when_they_count(opened):
    log = opened(limit=1000)
    for number in range(6000):
        log.add(share(NOW - 6000 + number))
    page = log.query(limit=10_000)
    assert 1000 <= page.total <= 1000 + 4096
    assert page.shares[0].timestamp == NOW - 1
    oldest = page.shares[-1].timestamp
    assert oldest - 1 <= log.sums(hours=24.0).since <= oldest


# --- disk ---


def test_what_is_logged_is_there_after_a_restart_and_ids_go_on(opened):
    first = opened()
    first.add(share(wallet_id=1, worker_name="a", reason="b", accepted=False, difficulty=2.0))
    first.add(share(count=4))
    before = first.query().shares
    first.close()
    second = opened()
    assert second.query().shares == before
    assert second.add(share()).id == 3
    assert second.counts() == {}  # since the start of the program


def test_the_files_are_the_owners_alone(opened):
    log = opened()
    log.add_durably(share())
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in log.folder.iterdir()] == [0o600]
    assert files(log) == ["2026-03-10.jsonl"]


def test_a_share_by_hand_is_on_disk_when_it_is_acknowledged(opened):
    log = opened()
    log.add(share(count=2))
    assert not log.folder.exists()
    log.add_durably(share(source="manual"))
    lines = (log.folder / "2026-03-10.jsonl").read_bytes().splitlines()
    assert [decode(line).id for line in lines] == [1, 2]  # what waited went before it


def test_what_nobody_waits_for_is_written_soon(opened):
    log = opened(delay=0.01)
    log.add(share())
    arrived = threading.Event()
    path = log.folder / "2026-03-10.jsonl"
    for _ in range(1000):
        if path.exists() and path.read_bytes().endswith(b"\n"):
            break
        arrived.wait(0.01)
    assert decode(path.read_bytes()).id == 1


@pytest.mark.parametrize("torn", [b'{"id":3,"timest', b"\0\0\0\0\0\0", b"\xff\xfe"])
def test_a_line_torn_by_a_crash_is_cut_off(opened, torn):
    first = opened()
    first.add(share())
    first.add(share())
    first.close()
    path = first.folder / "2026-03-10.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    second = opened()
    assert second.query().total == 2
    assert second.add_durably(share()).id == 3
    assert path.read_bytes().startswith(whole)
    assert [decode(line).id for line in path.read_bytes().splitlines()] == [1, 2, 3]


def test_a_last_line_that_lacks_its_end_only_is_kept(opened):
    first = opened()
    first.add(share())
    first.close()
    path = first.folder / "2026-03-10.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    second = opened()
    second.add_durably(share())
    assert [decode(line).id for line in path.read_bytes().splitlines()] == [1, 2]


def test_lines_in_the_middle_that_hold_no_share_are_left_out_and_told(opened, caplog):
    first = opened()
    first.add(share())
    first.close()
    path = first.folder / "2026-03-10.jsonl"
    path.write_bytes(b"<html>\n" + path.read_bytes() + b'{"id":"x"}\n' + b"x" * 40_000 + b"\n")
    second = opened()
    assert second.query().total == 1
    assert "hold no share" in caplog.text
    assert b"".join(second.export()).count(b"\n") == 1


class FullDisk:
    """Writes to the log fail after some bytes until `full` is false."""

    def __init__(self, monkeypatch, room=0):
        self.full, self.room = True, room
        self.write = os.write
        monkeypatch.setattr(day_files.os, "write", self)

    def __call__(self, descriptor, data):
        if not self.full:
            return self.write(descriptor, data)
        if self.room:
            taken = min(self.room, len(data))
            self.room -= taken
            return self.write(descriptor, bytes(data[:taken]))
        raise OSError(errno.ENOSPC, "No space left on device")


def test_with_a_full_disk_shares_stay_in_memory_and_reach_the_disk_later(opened, monkeypatch, caplog):
    log = opened()
    log.add_durably(share())
    whole = (log.folder / "2026-03-10.jsonl").read_bytes()
    disk = FullDisk(monkeypatch, room=20)
    for _ in range(3):
        log.add(share())
        log._writer.flush()
    assert log.query().total == 4
    assert "no space left" in log.write_error
    assert caplog.text.count("kept in memory") == 1
    assert (log.folder / "2026-03-10.jsonl").read_bytes() == whole  # no part of a line stays
    disk.full = False
    log._writer.flush()
    assert log.write_error is None
    assert [decode(line).id for line in (log.folder / "2026-03-10.jsonl").read_bytes().splitlines()] == [1, 2, 3, 4]


def test_a_share_by_hand_that_the_disk_refuses_is_not_logged(opened, monkeypatch):
    log = opened()
    disk = FullDisk(monkeypatch)
    with pytest.raises(StoreError, match="free space"):
        log.add_durably(share(source="manual"))
    assert log.query().total == 0
    assert log.counts() == {}
    disk.full = False
    kept = log.add_durably(share(source="manual"))
    assert [decode(line).id for line in (log.folder / "2026-03-10.jsonl").read_bytes().splitlines()] == [kept.id]


def test_what_waits_for_a_full_disk_is_bounded(opened, monkeypatch):
    monkeypatch.setattr("exporter.shares.writer.MOST_WAITING", 50)
    log = opened()
    disk = FullDisk(monkeypatch)
    for _ in range(80):
        log.add(share())
    log._writer.flush()
    for _ in range(20):
        log.add(share())
    disk.full = False
    log._writer.flush()
    ids = [decode(line).id for line in (log.folder / "2026-03-10.jsonl").read_bytes().splitlines()]
    assert ids == list(range(51, 101))
    assert log.query().total == 100  # memory has them all


def test_a_folder_that_nobody_may_write_does_not_stop_the_program(tmp_path, clock):
    (tmp_path / "miners.shares").write_text("a file where the folder should be")
    log = ShareLog(tmp_path / "miners.shares", clock=clock)
    log.open()
    log.add(share())
    log._writer.flush()
    assert log.query().total == 1
    assert "miners.shares" in log.write_error
    log.close()


def test_nothing_can_be_logged_by_hand_when_the_log_is_closed(opened):
    log = opened()
    log.close()
    with pytest.raises(StoreError, match="stopping"):
        log.add_durably(share())


# --- days, archive, export ---


def days_of_shares(log, clock, days):
    for back in range(days, -1, -1):
        clock.now = NOW - back * DAY
        log.add(share(clock.now, count=back + 1))
        log._writer.flush()


def test_days_that_are_over_move_to_the_archive_and_leave_memory(opened, clock):
    log = opened()
    days_of_shares(log, clock, 33)
    log._writer._tidy_up()
    assert log.query(limit=1000).total == 31
    assert len(files(log)) == 31
    packed = sorted(path.name for path in (log.folder / "archive").iterdir())
    assert packed == ["2026-02-05.jsonl.gz", "2026-02-06.jsonl.gz", "2026-02-07.jsonl.gz"]
    oldest = gzip.decompress((log.folder / "archive" / packed[0]).read_bytes())
    assert decode(oldest).count == 34
    log.close()
    assert opened().query(limit=1000).total == 31


def test_the_export_has_the_archive_too_and_keeps_to_its_bounds(opened, clock):
    log = opened()
    days_of_shares(log, clock, 33)
    log._writer._tidy_up()
    lines = b"".join(log.export()).splitlines()
    assert [json.loads(line)["count"] for line in lines] == list(range(34, 0, -1))
    some = b"".join(log.export(NOW - 32 * DAY, NOW - 30 * DAY)).splitlines()
    assert [json.loads(line)["count"] for line in some] == [33, 32]
    assert b"".join(log.export(NOW + 1)) == b""


def test_the_export_has_what_is_not_written_yet(opened):
    log = opened()
    log.add(share(count=3))
    assert decode(b"".join(log.export())).count == 3


def test_a_day_is_archived_once_also_where_the_program_was_killed_in_between(tmp_path):
    folder = DayFiles(tmp_path / "log")
    day = datetime.date(2026, 1, 1)
    line = encode(share())
    folder.append(day, line, sync=True)
    copy = folder.path(day).read_bytes()
    folder.pack(datetime.date(2026, 2, 1))
    folder.path(day).write_bytes(copy)  # as if it had not been removed
    folder.pack(datetime.date(2026, 2, 1))
    assert [path.name for path in folder.archive.iterdir()] == ["2026-01-01.jsonl.gz"]
    folder.append(day, line, sync=False)  # the clock was wrong: another file of that day
    folder.append(day, line, sync=False)
    folder.pack(datetime.date(2026, 2, 1))
    assert sorted(path.name for path in folder.archive.iterdir()) == ["2026-01-01.jsonl.gz", "2026-01-01.jsonl.gz.2"]
    assert b"".join(folder.all_lines()) == line * 3


def test_the_archive_is_bounded_and_its_oldest_days_leave_first(tmp_path):
    folder = DayFiles(tmp_path / "log", archive_bytes=300)
    for number in range(1, 8):
        folder.append(datetime.date(2026, 1, number), encode(share(NOW + number)), sync=False)
    folder.pack(datetime.date(2026, 2, 1))
    left = sorted(path.name for path in folder.archive.iterdir())
    assert left
    assert left[-1] == "2026-01-07.jsonl.gz"
    assert "2026-01-01.jsonl.gz" not in left
    assert sum(path.stat().st_size for path in folder.archive.iterdir()) <= 300


def test_other_files_in_the_folder_are_left_alone(opened, clock):
    log = opened()
    log.add_durably(share())
    (log.folder / "notes.txt").write_text("mine")
    (log.folder / "2026-13-99.jsonl").write_text("mine")
    clock.now = NOW + KEPT_SECONDS + 2 * DAY
    log._writer._tidy_up()
    assert files(log) == ["2026-13-99.jsonl", "notes.txt"]
    assert log.write_error is None


def test_two_databases_in_one_folder_have_logs_of_their_own(tmp_path):
    assert folder_of(tmp_path / "flockwatch.json") == tmp_path / "flockwatch.shares"
    assert folder_of(tmp_path / "other.json") != folder_of(tmp_path / "flockwatch.json")


def test_many_threads_log_and_ask_at_once(opened):
    log = opened(delay=0.001)
    faults = []

    def work(number):
        try:
            for count in range(1, 101):
                log.add(share(NOW - count, wallet_id=number))
                if count % 20 == 0:
                    log.add_durably(share(wallet_id=number, source="manual"))
                    assert log.query(wallet_id=number, limit=500).total == count + count // 20
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    log.close()
    lines = (log.folder / "2026-03-10.jsonl").read_bytes().splitlines()
    assert sorted(decode(line).id for line in lines) == list(range(1, 526))
