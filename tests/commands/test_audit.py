"""The log of commands on disk and in memory."""

import asyncio
import dataclasses
import json
import os
import stat

import pytest

from exporter.engine.api.commands import Bulk, BulkResult
from exporter.engine.commanding.audit import KEPT, AuditLog
from exporter.errors import StoreError

ABOUT = {
    "miner_id": 1,
    "miner": "02:00:00:00:00:01",
    "name": "garage",
    "command": "restart",
    "values": {},
    "who": "local",
    "effect": "It restarts.",
    "before": {"state": "mining"},
    "bulk_id": None,
}


def test_a_command_is_on_disk_before_it_is_sent_and_again_when_it_has_ended(tmp_path):
    async def scenario():
        log = AuditLog(tmp_path / "commands.jsonl")
        run = await log.begin(**ABOUT)
        assert json.loads((tmp_path / "commands.jsonl").read_text())["state"] == "running"
        await log.end(run, "confirmed", None, {"state": "mining"})

    asyncio.run(scenario())
    path = tmp_path / "commands.jsonl"
    assert [json.loads(line)["state"] for line in path.read_text().splitlines()] == ["running", "confirmed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_next_run_of_the_program_knows_them_and_what_was_interrupted(tmp_path):
    async def first():
        log = AuditLog(tmp_path / "commands.jsonl")
        ended = await log.begin(**ABOUT)
        await log.end(ended, "refused", "not now", {})
        await log.begin(**{**ABOUT, "miner_id": 2})

    async def second():
        log = AuditLog(tmp_path / "commands.jsonl")
        log.load()
        assert [(run.id, run.state) for run in log.recent()] == [(2, "interrupted"), (1, "refused")]
        assert log.get(1).words == "not now"
        assert [run.id for run in log.recent(miner_id=1)] == [1]
        assert (await log.begin(**ABOUT)).id == 3

    asyncio.run(first())
    asyncio.run(second())


def test_a_torn_line_costs_itself_only(tmp_path, caplog):
    path = tmp_path / "commands.jsonl"
    asyncio.run(AuditLog(path).begin(**ABOUT))
    path.write_bytes(path.read_bytes() + b'{"id": 2, "mi')
    log = AuditLog(path)
    log.load()
    assert [run.id for run in log.recent()] == [1]
    assert "commands.jsonl:2" in caplog.text
    asyncio.run(log.begin(**ABOUT))
    again = AuditLog(path)
    again.load()
    assert [run.id for run in again.recent()] == [2, 1]


def test_what_cannot_be_logged_is_not_begun(tmp_path):
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "commands.jsonl")
    with pytest.raises(StoreError, match="cannot be"):
        asyncio.run(log.begin(**ABOUT))
    assert log.recent() == ()


def test_memory_and_file_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 4000)

    async def scenario():
        log = AuditLog(tmp_path / "commands.jsonl")
        for _ in range(60):
            await log.begin(**ABOUT)
        return log

    asyncio.run(scenario())
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 4000
    log = AuditLog(tmp_path / "other.jsonl")
    lines = (json.dumps({**ABOUT, "id": number, "state": "confirmed", "started_at": 1.0}) for number in range(KEPT + 5))
    (tmp_path / "other.jsonl").write_text("\n".join(lines))
    log.load()
    assert len(log.recent()) == KEPT


@pytest.mark.parametrize(
    "change", [{"id": "7"}, {"miner_id": None}, {"state": "done"}, {"before": 3}, {"started_at": "now"}, {"words": 1}]
)
def test_a_line_of_the_wrong_kind_is_left_out(tmp_path, caplog, change):
    good = {**ABOUT, "id": 7, "state": "confirmed", "started_at": 1.0}
    (tmp_path / "commands.jsonl").write_text(json.dumps({**good, **change}) + "\n" + json.dumps({**good, "id": 8}))
    log = AuditLog(tmp_path / "commands.jsonl")
    log.load()
    assert [run.id for run in log.recent()] == [8]
    assert "commands.jsonl:1" in caplog.text


def test_what_runs_is_not_forgotten_before_it_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.KEPT", 3)

    async def scenario():
        log = AuditLog(tmp_path / "commands.jsonl")
        slow = await log.begin(**ABOUT)
        for _ in range(5):
            await log.end(await log.begin(**ABOUT), "confirmed", None, {})
        assert log.get(slow.id).state == "running"
        assert [run.id for run in log.recent()] == [6, 5, 1]

    asyncio.run(scenario())


# --- commands to many miners --------------------------------------------------------------------------------------


def bulk(number=1, **changes):
    results = tuple(BulkResult(miner, f"m{miner}", "waiting") for miner in (1, 2, 3))
    begun = Bulk(number, "restart", {}, "local", False, "running", 5.0, None, results, {"waiting": 3})
    return dataclasses.replace(begun, **changes)


def again(path):
    log = AuditLog(path)
    log.load()
    return log


def states(one):
    return one.state, [result.state for result in one.results]


def test_a_bulk_without_an_end_has_the_outcomes_that_were_logged(tmp_path):
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk(4))
        await log.end(await log.begin(**{**ABOUT, "bulk_id": 4}), "refused", "not now", {})
        await log.begin(**{**ABOUT, "bulk_id": 4, "miner_id": 2})
        await log.begin(**{**ABOUT, "bulk_id": 3, "miner_id": 3})  # its bulk is in no file any more

    asyncio.run(first())
    log = again(path)
    (one,) = log.earlier_bulks()
    assert states(one) == ("running", ["refused", "interrupted", "not sent"])
    assert one.results[0] == BulkResult(1, "m1", "refused", "not now", "It restarts.", 1)
    assert one.counts == {"refused": 1, "interrupted": 1, "not sent": 1}
    assert log.next_bulk_id() == 5


def test_the_end_of_a_bulk_holds_those_that_no_command_was_sent_to(tmp_path):
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        begun = bulk()
        await log.begin_bulk(begun)
        run = await log.end(await log.begin(**{**ABOUT, "bulk_id": 1}), "confirmed", None, {})
        ended = (
            BulkResult(1, "m1", "confirmed", None, run.effect, run.id),
            BulkResult(2, "m2", "not offered", "it offers no commands"),
            BulkResult(3, "m3", "cancelled", "nothing was sent"),
        )
        counts = {"confirmed": 1, "not offered": 1, "cancelled": 1}
        whole = dataclasses.replace(begun, state="cancelled", ended_at=9.0, results=ended, counts=counts)
        await log.end_bulk(whole)
        return whole

    whole = asyncio.run(first())
    assert again(path).earlier_bulks() == (whole,)


def test_a_log_of_before_bulks_were_noted_reads_as_ever(tmp_path, caplog):
    path = tmp_path / "commands.jsonl"
    path.write_text(json.dumps({**ABOUT, "id": 7, "state": "confirmed", "started_at": 1.0, "bulk_id": 2}) + "\n")
    log = again(path)
    assert [run.id for run in log.recent()] == [7]
    assert (log.earlier_bulks(), log.next_bulk_id(), caplog.text) == ((), 3, "")


@pytest.mark.parametrize(
    "line",
    [
        3, [], {}, {"id": 1}, {"id": "2", "miners": []}, {"id": 2, "miners": [[1]]}, {"id": 2, "miners": 5},
        {"id": 2, "miners": [[1, 2]], "command": "restart", "values": {}, "who": "local", "started_at": 1.0},
        {"id": 2, "miners": [[1, "a"]], "command": "restart", "values": [], "who": "local", "started_at": 1.0},
        {"id": 2, "miners": [[1, "a"]], "command": "restart", "values": {}, "who": "local", "started_at": "now"},
        {"id": 1, "state": "done", "ended_at": 1.0, "untold": []},
        {"id": 1, "state": "finished", "ended_at": 1.0, "untold": [{"state": "odd", "words": None, "miners": [1]}]},
        {"id": 1, "state": "finished", "ended_at": 1.0, "untold": [{"state": "failed", "words": 3, "miners": [1]}]},
        {"id": 1, "state": "finished", "ended_at": [], "untold": []},
        {"id": 1, "miners": [[1, "a"]], "command": "pause", "values": {}, "who": "local", "started_at": 1.0, "told": 3},
        *(
            {
                "id": 1, "miners": [[1, "a"]], "command": "restart", "values": {}, "who": "local", "started_at": 1.0,
                "told": [{"state": "confirmed", "words": None, "effect": None, "miners": [[2, 1]]}, group],
            }
            for group in (
                {"state": "odd", "words": None, "effect": None, "miners": [[1, 2]]},
                {"state": "failed", "words": 3, "effect": None, "miners": [[1, 2]]},
                {"state": "failed", "words": None, "miners": [[1, 2]]},
                {"state": "failed", "words": None, "effect": None, "miners": [1]},
                {"state": "failed", "words": None, "effect": None, "miners": [[1, "2"]]},
            )
        ),
    ],
)  # fmt: skip
def test_a_line_about_a_bulk_of_the_wrong_kind_is_left_out(tmp_path, caplog, line):
    path = tmp_path / "commands.jsonl"
    asyncio.run(AuditLog(path).begin_bulk(bulk()))
    path.write_text(path.read_text() + json.dumps({"bulk": line}) + "\n")
    (one,) = again(path).earlier_bulks()
    assert states(one) == ("running", ["not sent"] * 3)
    assert "commands.jsonl:2" in caplog.text


def test_the_last_bulks_are_kept_and_none_before_it_has_ended(tmp_path):
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk(1))
        for number in range(2, 30):
            await log.begin_bulk(bulk(number))
            await log.end_bulk(bulk(number, state="finished", ended_at=9.0))

    asyncio.run(first())
    assert [one.id for one in again(path).earlier_bulks()] == [1, *range(11, 30)]


def test_a_bulk_whose_begin_is_in_no_file_any_more_is_forgotten_and_not_told_wrongly(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 4000)
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        begun = bulk()
        await log.begin_bulk(begun)
        for number in range(40):
            await log.begin(**{**ABOUT, "bulk_id": 1, "miner_id": number})
        await log.end_bulk(begun)

    asyncio.run(first())
    lines = path.read_text().splitlines(keepends=True)
    path.with_name(f"{path.name}.1").unlink()
    path.write_text("".join(line for line in lines if '"miners": [[' not in line))
    log = again(path)
    assert (log.earlier_bulks(), log.next_bulk_id()) == ((), 2)


def test_a_bulk_that_runs_is_in_the_log_however_often_its_file_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 4000)
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk(7))
        await log.end(await log.begin(**{**ABOUT, "bulk_id": 7}), "refused", "not now", {})
        await log.begin(**{**ABOUT, "bulk_id": 7, "miner_id": 2})  # runs all the time
        for number in range(4):
            await others(log)
            if number == 2:
                await log.end(await log.begin(**{**ABOUT, "bulk_id": 7, "miner_id": 3}), "confirmed", None, {})
        await log.begin_bulk(bulk(8))
        await log.end_bulk(bulk(8, state="finished", ended_at=9.0))
        await others(log)

    async def others(log):
        for _ in range(20):
            await log.end(await log.begin(**ABOUT), "confirmed", None, {})

    asyncio.run(first())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["commands.jsonl", "commands.jsonl.1"]
    log = again(path)
    (one,) = log.earlier_bulks()  # the other one has ended, and its begin is in no file any more
    assert states(one) == ("running", ["refused", "interrupted", "confirmed"])
    assert one.results[0] == BulkResult(1, "m1", "refused", "not now", "It restarts.", 1)
    assert (one.results[1].command_id, one.started_at) == (2, 5.0)


def test_a_begin_that_is_told_again_changes_no_outcome_and_no_end(tmp_path):
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk())
        (begun,) = path.read_text().splitlines()
        await log.end(await log.begin(**{**ABOUT, "bulk_id": 1}), "confirmed", None, {})
        with path.open("a") as file:
            file.write(begun + "\n")
        before = again(path).earlier_bulks()
        await log.end_bulk(bulk(state="cancelled", ended_at=9.0))
        ended = again(path).earlier_bulks()
        with path.open("a") as file:
            file.write(begun + "\n")
        return before, ended

    (before,), (ended,) = asyncio.run(first())
    assert states(before) == ("running", ["confirmed", "not sent", "not sent"])
    assert again(path).earlier_bulks() == (ended,)


def test_a_bulk_that_fills_a_file_by_itself_does_not_begin_a_new_one_with_each_command(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 4000)
    path = tmp_path / "commands.jsonl"
    many = tuple(BulkResult(miner, f"miner {miner}", "waiting") for miner in range(1, 401))

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk(results=many))
        for number in range(1, 31):
            await log.end(await log.begin(**{**ABOUT, "bulk_id": 1, "miner_id": number}), "confirmed", None, {})

    asyncio.run(first())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert ["bulk" in line for line in lines].count(True) == 1
    assert "bulk" in lines[0]
    assert len(lines) > 3
    (one,) = again(path).earlier_bulks()
    assert [result.state for result in one.results] == ["confirmed"] * 30 + ["not sent"] * 370


def test_a_file_that_could_not_be_begun_is_begun_again(tmp_path, monkeypatch):
    """What runs is told in the file after that one."""
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 4000)
    path = tmp_path / "commands.jsonl"

    async def first():
        log = AuditLog(path)
        await log.begin_bulk(bulk())
        while path.stat().st_size < 3700:
            await log.begin(**ABOUT)
        with monkeypatch.context() as patch:
            patch.setattr("exporter.engine.commanding.audit.os.write", full)
            for _ in range(2):
                with pytest.raises(StoreError):
                    await log.begin(**{**ABOUT, "who": "x" * 300})
        for _ in range(30):
            await log.begin(**ABOUT)

    def full(where, data):
        raise OSError(28, "No space left on device")

    asyncio.run(first())
    (one,) = again(path).earlier_bulks()
    assert states(one) == ("running", ["not sent"] * 3)


def test_a_line_that_the_disk_takes_in_parts_is_whole(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr("exporter.engine.commanding.audit.os.write", lambda where, data: write(where, data[:7]))
    asyncio.run(AuditLog(tmp_path / "commands.jsonl").begin_bulk(bulk()))
    assert len(again(tmp_path / "commands.jsonl").earlier_bulks()) == 1
