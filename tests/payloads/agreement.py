"""Readings beside what the captures are said to hold: expected.json and expected_derived.json.

One row per expected value. A value that differs fails the test unless it is listed as a known flaw of the
expectation, with the reason; a listed flaw that agrees fails too, so that the list cannot rot.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.payloads.harness import Look

PROPERTY: Final = "agreement"

#: From the driver's result and the expected value to our value, in the same shape and unit.
Getter = Callable[[Look, Any], Any]


@dataclass(frozen=True)
class NotCompared:
    """Stands for a value that no part of a reading corresponds to."""

    reason: str


@dataclass(frozen=True)
class Row:
    """One line of the table; `note` is the reason for a flaw or for not comparing."""

    device: str
    source: str
    key: str
    expected: str
    got: str
    verdict: str  # "agrees", "differs", "known flaw", "not compared"
    note: str = ""


def same(expected: Any, got: Any) -> bool:
    """Equal, numbers to one part in a million; a truth value equals no number."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)
    return bool(expected == got)


def _walk(key: str, expected: Any, got: Any) -> Iterator[tuple[str, Any, Any]]:
    """Pairs of plain values. Where the shapes differ, the whole part is one pair."""
    if isinstance(got, NotCompared):
        yield key, expected, got
    elif isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            yield from _walk(f"{key}.{name}", value, got.get(name, "(missing)"))
    elif isinstance(expected, list) and isinstance(got, (list, tuple)) and len(expected) == len(got):
        if not expected:
            yield key, expected, list(got)
        for index, (value, ours) in enumerate(zip(expected, got, strict=True)):
            yield from _walk(f"{key}[{index}]", value, ours)
    else:
        yield key, expected, list(got) if isinstance(got, tuple) else got


def compare(
    look: Look, source: str, getters: Mapping[str, Getter], known_flaws: Mapping[tuple[str, str], str]
) -> list[Row]:
    """The rows of one expectation file. `known_flaws` maps (device, key) to the reason why the expectation is wrong."""
    rows: list[Row] = []
    for name, expected in look.capture.expected[source].items():
        if name == "source" or name.startswith("_"):
            continue
        getter = getters.get(name)
        assert getter is not None, f"{look.capture.name}/{source}: no getter for {name!r}"
        for key, wanted, got in _walk(name, expected, getter(look, expected)):
            rows.append(_row(look, source, key, wanted, got, known_flaws))
    return rows


def _row(look: Look, source: str, key: str, expected: Any, got: Any, known_flaws: Mapping[tuple[str, str], str]) -> Row:
    flaw = known_flaws.get((look.capture.device, key), "")
    if isinstance(got, NotCompared):
        verdict, note = "not compared", got.reason
    elif same(expected, got):
        verdict, note = "agrees", f"listed as a flaw: {flaw}" if flaw else ""
    else:
        verdict, note = ("known flaw", flaw) if flaw else ("differs", "")
    shown = "-" if isinstance(got, NotCompared) else repr(got)
    return Row(look.capture.name, source, key, repr(expected)[:60], shown[:60], verdict, note)


def assert_agrees(
    record_property: Callable[[str, object], None],
    look: Look,
    getters: Mapping[str, Getter],
    known_flaws: Mapping[tuple[str, str], str],
) -> None:
    """Compare with both expectation files, hand the rows to the summary, and fail on what differs."""
    rows = [row for source in look.capture.expected for row in compare(look, source, getters, known_flaws)]
    record_property(PROPERTY, json.dumps([asdict(row) for row in rows]))
    differing = [row for row in rows if row.verdict == "differs" or (row.verdict == "agrees" and row.note)]
    assert not differing, "\n".join(
        f"{row.device} {row.source} {row.key}: expected {row.expected}, got {row.got} {row.note}" for row in differing
    )


# --- the table at the end of a run ---------------------------------------------------------------------------------


def rows_of(reports: Iterator[Any]) -> list[Row]:
    """The rows that the test reports carry (they travel with a report between processes)."""
    return [
        Row(**row)
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
        for row in json.loads(value)
    ]


def summary_lines(rows: list[Row], *, every_row: bool) -> list[str]:
    """One line per device and source, then what differs; all rows where asked for."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        of_device = counts.setdefault((row.device, row.source), {})
        of_device[row.verdict] = of_device.get(row.verdict, 0) + 1
    verdicts = ("agrees", "differs", "known flaw", "not compared")
    lines = [f"{'device':44} {'source':22} " + " ".join(f"{verdict:>12}" for verdict in verdicts)]
    for (device, source), found in sorted(counts.items()):
        lines.append(f"{device:44} {source:22} " + " ".join(f"{found.get(verdict, 0):12d}" for verdict in verdicts))
    total = " ".join(f"{sum(found.get(verdict, 0) for found in counts.values()):12d}" for verdict in verdicts)
    lines.append(f"{'all':67} {total}")
    for row in sorted(rows, key=lambda row: (row.device, row.source, row.key)):
        if every_row or row.verdict in ("differs", "known flaw"):
            note = f" ({row.note})" if row.note else ""
            lines.append(f"{row.verdict}: {row.device} {row.key}: expected {row.expected}, got {row.got}{note}")
    return lines


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table (hook for a conftest); ``-v`` prints every row."""
    reports = (report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when"))
    rows = rows_of(report for report in reports if report.when == "call")
    if rows:
        terminalreporter.section("agreement with the expectations of the captures")
        for line in summary_lines(rows, every_row=terminalreporter.config.get_verbosity() > 0):
            terminalreporter.write_line(line)
