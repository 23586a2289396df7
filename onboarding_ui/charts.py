"""Line charts as geometry: what a template needs to draw one as SVG. Pure functions, no mark-up.

The drawing is `WIDTH` by `HEIGHT` units and stretched by the page; the words of both axes stand beside it as text, so
that they stay readable at any size. Gaps stay gaps: a line ends where no value was told.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.engine.api.history import Series
from onboarding_ui.figures import duration, plain, scaled

WIDTH: Final = 600
HEIGHT: Final = 120
#: A line is broken where the next value is later than this many times the usual distance, or the series' own step.
_GAP: Final = 2.5
_GAP_STEPS: Final = 3.0
#: More points than a chart has room for are thinned, keeping the extremes.
_MOST_POINTS: Final = 600
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_INTERVALS: Final = 4
_TITLES: Final = {
    "hashrate": "Hash rate",
    "temperature": "Hottest",
    "power": "Power",
    "fan_speed": "Fastest fan",
    "accepted": "Shares accepted",
}

#: How the units of series are written.
_WRITTEN: Final = {"degC": "°C", "1": ""}
#: Units that take a prefix.
_PREFIXED: Final = ("H/s", "W", "J")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart.

    Attributes:
        lines: each an unbroken piece as the `points` of a polyline; `areas` the same down to the ground.
        dots: pieces of a single value, as (x, y).
        y_words: of the horizontal lines, from top to bottom, at equal distances. `x_words`: from left to right.
        latest, lowest, highest: values as text. `current`: whether `latest` is of now, or of before a hole at the end.
        description: the whole in one sentence, for those who do not see it.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    areas: tuple[str, ...]
    dots: tuple[Point, ...]
    y_words: tuple[str, ...]
    x_words: tuple[str, ...]
    latest: str
    current: bool
    lowest: str
    highest: str
    description: str


def value_words(value: float, unit: str) -> str:
    """A value of a series as text: with a prefix where the unit takes one."""
    if unit in _PREFIXED and abs(value) >= 1000:
        return scaled(value, unit)
    return plain(value, unit, 0 if unit in ("", "rpm") else 1)


def _longest_step(points: Sequence[Point], step: float) -> float:
    """Seconds from one point to the next beyond which there is a hole; `step` as in `pieces`."""
    steps = sorted(later[0] - earlier[0] for earlier, later in itertools.pairwise(points))
    usual = steps[len(steps) // 2] if steps else 0.0
    return step * _GAP_STEPS or usual * _GAP


def pieces(points: Sequence[Point], step: float = 0.0) -> list[list[Point]]:
    """Points in order of time, cut where there is a hole; `step` is their distance in seconds, 0 where not known."""
    if not points:
        return []
    longest = _longest_step(points, step)
    parts = [[points[0]]]
    for earlier, later in itertools.pairwise(points):
        if later[0] - earlier[0] > longest:
            parts.append([])
        parts[-1].append(later)
    return parts


def thinned(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most about `most` points that look the same: the lowest and the highest of each stretch."""
    if len(points) <= most:
        return list(points)
    stretch = math.ceil(len(points) / (most / 2))
    kept: list[Point] = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        extremes = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(extremes)
    return kept


def scale(lowest: float, highest: float, intervals: int = _INTERVALS) -> tuple[float, float]:
    """The bottom and top of an axis with round words at equal distances: they hold both values.

    Zero is the bottom where the values come near it, so that a small wobble does not look like a fall.
    """
    if lowest >= 0 and (lowest <= highest * 0.5 or highest == 0):
        lowest = 0.0
    span = highest - lowest
    if span <= abs(highest) * 0.02:  # a straight line stays in the middle
        middle, span = (lowest + highest) / 2, abs(highest) * 0.02 or 1.0
        lowest, highest = middle - span / 2, middle + span / 2
    power = 10.0 ** math.floor(math.log10(span / intervals))
    for factor in (*_STEPS, 20.0):
        step = factor * power
        bottom = math.floor(lowest / step + 1e-9) * step
        if bottom + step * intervals >= highest - step * 1e-9:
            return bottom, bottom + step * intervals
    return lowest, highest


def axis_words(bottom: float, top: float, unit: str, intervals: int = _INTERVALS) -> tuple[str, ...]:
    """The words of an axis from top to bottom: one prefix and as many digits for all, so that no two are the same."""
    size, prefix = 1.0, ""
    if unit in _PREFIXED:
        for letter in "kMGTPEZ":
            if max(abs(bottom), abs(top)) < size * 1000:
                break
            size, prefix = size * 1000, letter
    step = (top - bottom) / intervals / size
    digits = next((count for count in range(4) if abs(step * 10**count - round(step * 10**count)) < 1e-6), 4)
    values = (top / size - step * line for line in range(intervals + 1))
    return tuple(plain(value if abs(value) > step * 1e-6 else 0.0, prefix + unit, digits) for value in values)


def _time_words(seconds: float) -> tuple[str, ...]:
    """Of the vertical places of a chart: all in the unit of the first, so that none is rounded to another place."""
    count, unit = duration(seconds).split()
    words = [f"−{float(count) * part / 4:g} {unit}" for part in (4, 3, 2, 1)]
    return (*words, "now")


def chart_of(series: Series, now: float, seconds: float) -> Chart | None:
    """The chart of a series over the last `seconds` before `now`; None where it has no value in that time."""
    start = now - seconds
    points = [(at, value) for at, value in series.points if start <= at <= now and math.isfinite(value)]
    if not points:
        return None
    values = [value for _, value in points]
    lowest, highest, latest = min(values), max(values), values[-1]
    bottom, top = scale(lowest, highest)

    def place(point: Point) -> Point:
        x, y = (point[0] - start) / seconds * WIDTH, HEIGHT - (point[1] - bottom) / (top - bottom) * HEIGHT
        return round(x, 1), round(y, 1)

    parts = [[place(point) for point in thinned(piece)] for piece in pieces(points, series.step)]
    drawn = [" ".join(f"{x},{y}" for x, y in part) for part in parts if len(part) > 1]
    ends = [(part[0][0], part[-1][0]) for part in parts if len(part) > 1]
    title = _TITLES.get(series.name, series.name)
    unit = _WRITTEN.get(series.unit, series.unit)
    low, high, last = (value_words(value, unit) for value in (lowest, highest, latest))
    holes = f", with {len(parts) - 1} gap{'s' if len(parts) > 2 else ''}" if len(parts) > 1 else ""
    return Chart(
        name=series.name,
        title=title,
        lines=tuple(drawn),
        areas=tuple(f"{first},{HEIGHT} {line} {end},{HEIGHT}" for line, (first, end) in zip(drawn, ends, strict=True)),
        dots=tuple(part[0] for part in parts if len(part) == 1),
        y_words=axis_words(bottom, top, unit),
        x_words=_time_words(seconds),
        latest=last,
        current=now - points[-1][0] <= _longest_step(points, series.step),
        lowest=low,
        highest=high,
        description=f"{title} over the last {duration(seconds)}: between {low} and {high}, last {last}{holes}.",
    )
