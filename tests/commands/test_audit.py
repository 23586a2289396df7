"""The log of commands on disk and in memory."""

import asyncio
import json
import stat

import pytest

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
