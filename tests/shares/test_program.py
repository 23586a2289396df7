"""The whole program on a simulated flock: what it logs is what the miners counted."""

import json

import pytest

from tests.end_to_end.programs import Program, Simulator, wait_for


@pytest.fixture
def simulator():
    running = Simulator()
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    running = Program(tmp_path, simulator, {"FLOCKWATCH_INTERVALS_SHARES_SECONDS": "1"}, status=1)
    yield running
    running.stop()


def logged(program):
    lines = [
        line
        for path in sorted((program.folder / "data" / "flockwatch.shares").glob("*.jsonl"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def counted(page, miner):
    """Shares that a miner's own pools have accepted since its start."""
    return sum(page.values("miner_pool_shares_accepted_total", miner=miner).values())


def test_rows_add_up_to_what_the_counters_stepped_by_and_ids_go_on_after_a_restart(program):
    program.start()
    program.until_found(8)
    rows = wait_for(lambda: len(found := logged(program)) >= 5 and found, "five rows")
    assert {row["source"] for row in rows} == {"derived"}
    assert program.stop() == 0
    rows = logged(program)
    ids = [row["id"] for row in rows]
    assert ids == list(range(1, len(rows) + 1))
    assert len({row["miner_id"] for row in rows}) > 1
    assert all(row["count"] >= 1 for row in rows)

    program.start()
    program.until_found(8)
    grown = wait_for(lambda: len(found := logged(program)) > len(rows) and found, "rows after the restart")
    assert [row["id"] for row in grown] == list(range(1, len(grown) + 1))
    # No row is invented: all of them together are no more than what the counters stepped by meanwhile.
    last = program.page()
    stepped = sum(
        counted(last, key)
        for key in {dict(labels)["miner"] for labels in last.values("miner_pool_shares_accepted_total")}
    )
    assert sum(row["count"] for row in grown if row["accepted"]) <= stepped
