"""The chips of a board as a grid: their grades, and how far each is from the board's mean. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.model import Board, Chip, ChipGrade
from onboarding_ui.figures import percent, plain, scaled

#: Letters of the grades in the grid, so that they differ by more than colour.
LETTERS: Final = {ChipGrade.GOOD: "", ChipGrade.SLOW: "S", ChipGrade.HOT: "H", ChipGrade.DEAD: "✕"}
#: Limits of the deviation's steps: of the hash rate as a ratio, of the temperature in degC.
_RATE_STEPS: Final = (0.03, 0.10, 0.25)
_HEAT_STEPS: Final = (2.0, 5.0, 10.0)
_BELOW: Final = ("mid", "low-1", "low-2", "low-3")
_ABOVE: Final = ("mid", "high-1", "high-2", "high-3")
_BELOW_SIGNS: Final = ("", "", "−", "−−")
_ABOVE_SIGNS: Final = ("", "", "+", "++")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a chip is from the mean: the colour's class, a sign and the deviation in words."""

    style: str
    sign: str
    words: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A chip in the grid. `rate` and `heat` are None where the chip or the others tell nothing to compare."""

    chip: Chip
    grade: str | None
    letter: str
    rate: Step | None
    heat: Step | None
    title: str


@dataclass(frozen=True, slots=True)
class ChipBoard:
    """A board with its chips.

    Attributes:
        graded: whether any chip has a grade.
        anomalies: cells that are graded bad or far from the mean.
        mean_rate, mean_heat: over its chips that tell, dead ones aside; H/s and degC.
        summary: the grid in one sentence.
    """

    board: str
    cells: tuple[Cell, ...]
    graded: bool
    anomalies: tuple[Cell, ...]
    mean_rate: float | None
    mean_heat: float | None
    summary: str


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _step(deviation: float, steps: tuple[float, ...], words: str) -> Step:
    size = sum(abs(deviation) >= limit for limit in steps)
    styles, signs = (_BELOW, _BELOW_SIGNS) if deviation < 0 else (_ABOVE, _ABOVE_SIGNS)
    return Step(styles[size], signs[size], words)


def _signed(words: str, deviation: float) -> str:
    return f"+{words}" if deviation > 0 and any(digit in "123456789" for digit in words) else words


def _cell(chip: Chip, mean_rate: float | None, mean_heat: float | None) -> Cell:
    rate = heat = None
    if chip.hashrate is not None and mean_rate:
        part = chip.hashrate / mean_rate - 1
        rate = _step(part, _RATE_STEPS, _signed(percent(part), part))
    if chip.temperature is not None and mean_heat is not None:
        off = chip.temperature - mean_heat
        heat = _step(off, _HEAT_STEPS, _signed(plain(off, "°C", 1), off))
    told = [
        chip.grade.value if chip.grade else None,
        scaled(chip.hashrate, "H/s") if chip.hashrate is not None else None,
        plain(chip.temperature, "°C") if chip.temperature is not None else None,
        plain(chip.hardware_errors, "errors") if chip.hardware_errors else None,
    ]
    title = f"Chip {chip.chip}: {', '.join(word for word in told if word) or 'no values'}"
    return Cell(
        chip, chip.grade.value if chip.grade else None, LETTERS[chip.grade] if chip.grade else "", rate, heat, title
    )


def _odd(cell: Cell) -> bool:
    if cell.chip.grade not in (None, ChipGrade.GOOD):
        return True
    slow = cell.rate is not None and cell.rate.style == "low-3"
    return slow or (cell.heat is not None and cell.heat.style == "high-3")


def chip_board(board: Board) -> ChipBoard:
    """The grid of a board."""
    alive = [chip for chip in board.chips if chip.grade is not ChipGrade.DEAD]
    mean_rate = _mean([chip.hashrate for chip in alive if chip.hashrate is not None])
    mean_heat = _mean([chip.temperature for chip in alive if chip.temperature is not None])
    cells = tuple(_cell(chip, mean_rate, mean_heat) for chip in board.chips)
    odd = tuple(cell for cell in cells if _odd(cell))
    graded = any(chip.grade is not None for chip in board.chips)
    if odd:
        names = ", ".join(cell.chip.chip for cell in odd[:20])
        summary = f"{len(cells)} chips, {len(odd)} with anomalies: {names}{' and more' if len(odd) > 20 else ''}."
    else:
        summary = f"{len(cells)} chips, none with anomalies."
    return ChipBoard(board.board, cells, graded, odd, mean_rate, mean_heat, f"Board {board.board}: {summary}")


def chip_boards(boards: Sequence[Board]) -> tuple[ChipBoard, ...]:
    """The grids of the boards that tell of single chips."""
    return tuple(chip_board(board) for board in boards if board.chips)
