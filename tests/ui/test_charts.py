"""Charts and chip grids as geometry."""

import math
import random

import pytest

from exporter.engine.api.history import Series
from exporter.model import Board, Chip, ChipGrade
from onboarding_ui.charts import HEIGHT, WIDTH, axis_words, chart_of, pieces, scale, thinned
from onboarding_ui.chips import chip_board, chip_boards

NOW = 1_700_000_000.0


def series(values, name="hashrate", unit="H/s", step=15.0):
    """One value each `step` seconds, the last one now; None is a poll that told nothing."""
    start = NOW - step * (len(values) - 1)
    points = [(start + step * place, value) for place, value in enumerate(values) if value is not None]
    return Series(name, unit, tuple(points))


def points_of(line):
    return [tuple(map(float, pair.split(","))) for pair in line.split()]


def test_a_chart_spans_its_range_and_its_values():
    chart = chart_of(series([1.0e12, 1.5e12, 2.0e12] * 20), NOW, 885.0)
    (line,) = chart.lines
    points = points_of(line)
    assert points[0][0] == 0
    assert points[-1][0] == WIDTH
    assert all(0 <= y <= HEIGHT for _, y in points)
    assert chart.latest == "2.00\u00a0TH/s"
    assert (chart.lowest, chart.highest) == ("1.00\u00a0TH/s", "2.00\u00a0TH/s")
    assert chart.x_words[-1] == "now"
    assert len(chart.x_words) == len(chart.y_words) == 5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600.0, ("−60 min", "−45 min", "−30 min", "−15 min", "now")),
        (21600.0, ("−6 h", "−4.5 h", "−3 h", "−1.5 h", "now")),
        (604800.0, ("−7 d", "−5.25 d", "−3.5 d", "−1.75 d", "now")),
    ],
)
def test_the_words_of_the_time_axis_stand_at_their_times(seconds, words):
    assert chart_of(series([1.0] * 20), NOW, seconds).x_words == words


def test_a_value_from_before_a_hole_at_the_end_is_not_called_that_of_now():
    told = series([1.0] * 20)
    assert chart_of(told, NOW, 600.0).current
    assert chart_of(told, NOW + 30.0, 600.0).current
    assert not chart_of(told, NOW + 60.0, 600.0).current
    by_minutes = Series(told.name, told.unit, told.points, step=60.0)
    assert chart_of(by_minutes, NOW + 60.0, 600.0).current


def test_a_gap_stays_a_gap():
    values = [1.0e12] * 20 + [None] * 12 + [1.1e12] * 20 + [None] * 8 + [1.2e12]
    chart = chart_of(series(values), NOW, 3600.0)
    assert len(chart.lines) == 2
    assert len(chart.dots) == 1, "a single value between gaps is a dot"
    assert "2 gaps" in chart.description
    assert all(points_of(area)[0][1] == points_of(area)[-1][1] == HEIGHT for area in chart.areas)


def test_nothing_in_the_range_is_no_chart():
    old = Series("power", "W", ((NOW - 7200, 5.0),))
    assert chart_of(old, NOW, 3600.0) is None
    assert chart_of(Series("power", "W", ()), NOW, 3600.0) is None
    assert chart_of(Series("power", "W", ((NOW, math.nan),)), NOW, 3600.0) is None


@pytest.mark.parametrize("value", [0.0, 1e-9, 18.0, -3.5, 9.3e13, 1e300])
def test_a_straight_line_can_be_drawn(value):
    chart = chart_of(series([value] * 5), NOW, 60.0)
    assert all(0 <= y <= HEIGHT for _, y in points_of(chart.lines[0]))


def test_axes_hold_their_values_at_round_steps():
    chance = random.Random(7)
    for _ in range(500):
        lowest = chance.uniform(-1, 1) * 10 ** chance.randint(-3, 14)
        highest = lowest + chance.random() * 10 ** chance.randint(-3, 14)
        bottom, top = scale(lowest, highest)
        slack = (top - bottom) * 1e-6
        assert bottom - slack <= lowest
        assert top + slack >= highest


def test_the_ground_is_zero_where_values_come_near_it():
    assert scale(10.0, 100.0)[0] == 0
    assert scale(95.0, 100.0)[0] > 0


def test_no_two_words_of_an_axis_are_the_same():
    for lowest, highest, unit in ((18.0, 18.2, "W"), (1.0e12, 1.08e12, "H/s"), (58.0, 61.0, "°C"), (0.0, 0.0, "")):
        words = axis_words(*scale(lowest, highest), unit)
        assert len(set(words)) == 5, words
    assert axis_words(0.0, 4000.0, "W") == tuple(f"{number}\u00a0kW" for number in (4, 3, 2, 1, 0))


def test_many_points_are_thinned_and_their_extremes_stay():
    points = [(float(place), math.sin(place / 50)) for place in range(10_000)]
    points[5000] = (5000.0, 9.0)
    points[7000] = (7000.0, -9.0)
    kept = thinned(points)
    assert len(kept) <= 602
    assert points[5000] in kept
    assert points[7000] in kept
    assert kept == sorted(kept)


def test_pieces_of_nothing_and_of_one_point():
    assert pieces([]) == []
    assert pieces([(1.0, 2.0)]) == [[(1.0, 2.0)]]


def board(*chips):
    return Board("0", chips=chips)


def test_chips_are_compared_with_the_mean_of_those_that_live():
    chips = [Chip(str(number), 60.0, 1e11, grade=ChipGrade.GOOD) for number in range(8)]
    grid = chip_board(
        board(*chips, Chip("8", 75.0, 6e10, grade=ChipGrade.SLOW), Chip("9", 20.0, 0.0, grade=ChipGrade.DEAD))
    )
    slow, dead = grid.cells[8], grid.cells[9]
    assert grid.mean_rate == pytest.approx((8e11 + 6e10) / 9)
    assert slow.letter == "S"
    assert (slow.rate.style, slow.rate.sign) == ("low-3", "−−")
    assert (slow.heat.style, slow.heat.sign) == ("high-3", "++")
    assert dead.grade == "dead"
    assert dead.rate.words == "-100 %"
    assert [cell.chip.chip for cell in grid.anomalies] == ["8", "9"]
    assert "2 with anomalies: 8, 9" in grid.summary


def test_an_odd_chip_is_found_without_grades():
    chips = [Chip(str(number), None, 1e11) for number in range(9)]
    grid = chip_board(board(*chips, Chip("9", None, 1e9)))
    assert not grid.graded
    assert [cell.chip.chip for cell in grid.anomalies] == ["9"]
    assert grid.cells[9].heat is None


def test_chips_that_tell_nothing_have_no_deviation():
    grid = chip_board(board(Chip("0"), Chip("1")))
    assert grid.mean_rate is None
    assert grid.mean_heat is None
    assert all(cell.rate is None and cell.heat is None for cell in grid.cells)
    assert grid.cells[0].title == "Chip 0: no values"
    assert chip_boards((board(), Board("1"))) == ()


def test_units_are_written_as_people_write_them():
    heat = chart_of(series([72.0] * 5, "temperature", "degC"), NOW, 600.0)
    assert heat.latest == "72.0\u00a0°C"
    shares = chart_of(series([129_619.0, 129_661.0], "accepted", "1"), NOW, 600.0)
    assert shares.latest == "129\u202f661"
    assert not any(words.endswith(" 1") for words in shares.y_words)


def test_a_level_line_stays_in_the_middle():
    bottom, top = scale(72.0, 72.0)
    assert bottom < 72.0 < top
    assert scale(0.0, 0.0)[0] <= 0.0


def test_the_distance_a_series_tells_decides_what_a_gap_is():
    points = tuple((NOW - 300.0 + at, 1.0) for at in (0.0, 1.0, 2.0, 3.0, 40.0, 80.0))
    assert len(pieces(points)) == 3
    assert len(pieces(points, 15.0)) == 1
