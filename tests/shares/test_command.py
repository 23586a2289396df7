"""``flockwatch shares export``."""

import datetime
import json

import pytest

from exporter.shares.day_files import DayFiles
from exporter.shares.lines import encode
from exporter.shares.log import folder_of, new_share
from tests.end_to_end.programs import complaints, run_command


@pytest.fixture
def folder(tmp_path):
    """A configuration, and a log with a share of each of ten days, the first five archived."""
    (tmp_path / "targets.yml").write_text(f"database: {{path: {tmp_path}/data/flockwatch.json}}\n")
    files = DayFiles(folder_of(tmp_path / "data" / "flockwatch.json"))
    for number in range(1, 11):
        noon = datetime.datetime(2026, 1, number, 12, tzinfo=datetime.UTC)
        share = new_share(noon.timestamp(), accepted=True, source="derived", count=number)
        files.append(noon.date(), encode(share).replace(b'"id":0', b'"id":%d' % number), sync=False)
    files.pack(datetime.date(2026, 1, 6))
    return tmp_path


def export(folder, *words):
    return run_command("shares", "export", "--config.file", folder / "targets.yml", *words, folder=folder)


def test_everything_goes_into_a_private_file_that_is_not_overwritten(folder):
    done = export(folder, folder / "out.jsonl")
    assert (done.returncode, done.stdout) == (0, f"{folder}/out.jsonl: 10 shares\n")
    lines = (folder / "out.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["count"] for line in lines] == list(range(1, 11))
    assert (folder / "out.jsonl").stat().st_mode & 0o077 == 0
    (said,) = complaints(export(folder, folder / "out.jsonl"))
    assert "--force" in said
    assert export(folder, "--force", folder / "out.jsonl").returncode == 0


def test_a_part_of_it_on_the_terminal(folder):
    done = export(folder, "-", "--since", "2026-01-04", "--until", "2026-01-07")
    assert [json.loads(line)["count"] for line in done.stdout.splitlines()] == [4, 5, 6]


def test_what_is_wrong_is_said(folder):
    (said,) = complaints(export(folder, "out.jsonl", "--since", "yesterday"))
    assert "2026-01-31" in said
    (folder / "targets.yml").write_text(f"database: {{path: {folder}/elsewhere/flockwatch.json}}\n")
    (said,) = complaints(export(folder, "out.jsonl"))
    assert "no shares" in said
