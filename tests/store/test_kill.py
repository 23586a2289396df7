"""A process killed at any moment leaves a readable file with everything it acknowledged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.store.database import Database

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("FLOCKWATCH_KILL_ROUNDS", "40"))


def start(path: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.killed_writer", str(path), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(lines: str) -> dict[int, str]:
    """Complete lines only: what was cut off had not been told to anybody."""
    whole = [line for line in lines.splitlines(keepends=True) if line.endswith("\n") and line != "open\n"]
    return {int(row_id): key for row_id, key in (line.split() for line in whole)}


def assert_kept(path: Path, expected: dict[int, str]) -> None:
    with Database.open(path) as database:
        found = {row.id: row.key for row in database.miners.all()}
        assert expected.items() <= found.items()
        # Rows and settings of one commit belong together.
        if found:
            assert database.settings.get("last") == max(found)
        assert database.miners.insert(key="probe", driver="bitaxe").id > max([0, *expected])
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".tmp")] == []


def one_round(path: Path, randomness: random.Random) -> int:
    with start(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(randomness.uniform(0.0, 0.03))
        process.kill()
        rest = process.stdout.read()
    expected = acknowledged(rest)
    assert_kept(path, expected)
    return len(expected)


@pytest.mark.timeout(600)
def test_killed_at_random(tmp_path):
    path = tmp_path / "flock.json"
    with Database.open(path) as database:
        for number in range(300):
            database.miners.insert(key=f"addr:cgminer:192.0.2.{number}", driver="cgminer")
        database.settings.set("last", 300)
    randomness = random.Random(20)
    written = 0
    for _round in range(ROUNDS):
        with Database.open(path) as database:
            probe = database.miners.by_key("probe")
            if probe is not None:
                database.miners.delete(probe.id)
        written += one_round(path, randomness)
    assert written > 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("step", "count"), [("fsync", 5), ("fsync", 6), ("replace", 3)])
def test_killed_at_a_chosen_step(tmp_path, step, count, when):
    """Two syncs and one rename each for the new file, the first insert and the one that is fatal."""
    path = tmp_path / "flock.json"
    with start(path, step, str(count), when) as process:
        output, _nothing = process.communicate(timeout=60)
    assert process.returncode == -9
    expected = acknowledged(output)
    assert list(expected) == [1]
    with Database.open(path) as database:
        renamed = (step == "replace" and when == "after") or (step, count) == ("fsync", 6)
        assert [row.id for row in database.miners.all()] == ([1, 2] if renamed else [1])
    assert_kept(path, expected)
