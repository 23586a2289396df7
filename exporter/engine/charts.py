"""Lines of a chart, from the ring of polls or from Prometheus. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from exporter.engine.api.history import Series, StatusPoint

#: Points of a line at most.
MOST_POINTS: Final = 300
#: The shortest distance of points that Prometheus is asked for, in seconds.
_LEAST_STEP: Final = 15.0
#: Prometheus carries a value on for this long by itself; longer steps are averaged, so that none is skipped.
_LOOKBACK: Final = 300.0
#: The label that tells the lines of one answer apart.
LINE_LABEL: Final = "line"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: how it is read and joined within a step, and the same for Prometheus.

    Attributes:
        across: makes one series of all that a miner has; two jobs may scrape one miner, which must not count twice.
    """

    name: str
    unit: str
    read: Callable[[StatusPoint], float | None]
    join: Callable[[Sequence[float]], float]
    metric: str
    across: str
    over: str


def _latest(values: Sequence[float]) -> float:
    return values[-1]


_LINES: Final = (
    _Line(
        "hashrate",
        "H/s",
        attrgetter("hashrate"),
        statistics.fmean,
        "miner_hashrate_hashes_per_second",
        "max({})",
        "avg_over_time",
    ),
    _Line("temperature", "degC", attrgetter("temperature"), statistics.fmean, "", "max({})", "avg_over_time"),
    _Line("power", "W", attrgetter("power"), statistics.fmean, "miner_power_watts", "max({})", "avg_over_time"),
    _Line(
        "fan_speed", "rpm", attrgetter("fan_speed"), statistics.fmean, "miner_fan_speed_rpm", "max({})", "avg_over_time"
    ),
    # A count is not averaged: its last value within a step is true.
    _Line(
        "accepted",
        "1",
        attrgetter("accepted"),
        _latest,
        "miner_pool_shares_accepted_total",
        "sum(max by (pool) ({}))",
        "last_over_time",
    ),
)
#: The hottest chip, where there is none the hottest board sensor.
_TEMPERATURES: Final = (
    "miner_board_chip_temperature_max_celsius",
    "miner_board_chip_temperature_avg_celsius",
    "miner_board_temperature_celsius",
)


def lines_of(points: Sequence[StatusPoint], start: float, end: float, interval: float) -> tuple[Series, ...]:
    """The lines of polls between two Unix times, thinned to `MOST_POINTS` by the mean of what falls together.

    Args:
        points: oldest first.
        interval: seconds between two polls.
    """
    step = max(interval, (end - start) / MOST_POINTS)
    return tuple(
        Series(line.name, line.unit, thinned(_pairs(points, line, start, end), start, step, line.join), step)
        for line in _LINES
    )


def _pairs(points: Iterable[StatusPoint], line: _Line, start: float, end: float) -> Iterable[tuple[float, float]]:
    for point in points:
        if start <= point.at <= end and (value := line.read(point)) is not None:
            yield point.at, value


def thinned(
    pairs: Iterable[tuple[float, float]], start: float, step: float, join: Callable[[Sequence[float]], float]
) -> tuple[tuple[float, float], ...]:
    """One point for each step in which there is any, at the mean of their times. A gap stays a gap."""
    steps: dict[int, tuple[list[float], list[float]]] = {}
    for at, value in pairs:
        times, values = steps.setdefault(int((at - start) // step), ([], []))
        times.append(at)
        values.append(value)
    return tuple((statistics.fmean(times), join(values)) for times, values in steps.values())


# --- Prometheus ---


def step_for(seconds: float) -> float:
    """The distance of points for a range of so many seconds, in whole seconds."""
    return float(max(_LEAST_STEP, -(-seconds // MOST_POINTS)))


def promql(key: str, step: float) -> str:
    """One query for all lines of the miner with the label value `key`; the label `LINE_LABEL` tells them apart."""
    return " or ".join(
        f'label_replace({_expression(line, _quoted(key), step)}, "{LINE_LABEL}", "{line.name}", "", "")'
        for line in _LINES
    )


def _expression(line: _Line, key: str, step: float) -> str:
    names = (line.metric,) if line.metric else _TEMPERATURES
    return "(" + " or ".join(line.across.format(_over(line, name, key, step)) for name in names) + ")"


def _over(line: _Line, name: str, key: str, step: float) -> str:
    selector = f"{name}{{miner={key}}}"
    return f"{line.over}({selector}[{step:.0f}s])" if step > _LOOKBACK else selector


def _quoted(value: str) -> str:
    """A string of PromQL, which has the escapes of Go."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def lines_from(
    answer: Iterable[tuple[Mapping[str, str], tuple[tuple[float, float], ...]]], step: float
) -> tuple[Series, ...]:
    """The lines of an answer to `promql`: pairs of labels and points."""
    told = {labels.get(LINE_LABEL): points for labels, points in answer}
    return tuple(Series(line.name, line.unit, told.get(line.name, ()), step) for line in _LINES)
