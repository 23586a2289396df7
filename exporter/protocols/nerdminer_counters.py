"""Counters that only grow, out of a device's counters that restart with the board and wrap at 32 bit. Sans-IO.

Serial consoles lose bytes, so a figure that does not follow from the one before it counts only when the next one
confirms it. What happened before we listened is taken as the device counts it and never counted twice.
"""

from __future__ import annotations

from typing import Final

WRAP_32_BIT: Final = 2.0**32


class MonotoneCounter:
    """One counter.

    Args:
        step: the largest growth from one line to the next that is believed at once.
        modulus: where the device's counter wraps to zero.
    """

    __slots__ = ("_held", "_last", "_modulus", "_restarted", "_step", "total")

    def __init__(self, step: float, modulus: float = WRAP_32_BIT) -> None:
        #: The count so far; None until the device has told one.
        self.total: float | None = None
        self._step = step
        self._modulus = modulus
        self._last = 0.0
        self._held: float | None = None
        self._restarted = False

    def restarted(self) -> None:
        """The board was seen to boot: its counter begins anew, or where it was saved."""
        self._restarted = True
        self._held = None

    def observe(self, value: float, *, saved: bool = False) -> float:
        """Take the device's figure; the total. `saved` says that the board keeps its counters over a boot."""
        if self.total is None:
            self.total = self._last = value
            self._restarted = False
            return self.total
        if self._restarted:
            self._restarted = False
            if not saved:
                self._last = 0.0
            elif value < self._last:
                self._last = value  # what was not saved in time is not counted twice
        if 0 <= value - self._last <= self._step:
            self._advance(value - self._last, value)
        elif self._held is not None and 0 <= value - self._held <= self._step:
            self._advance(self._growth(self._held) + value - self._held, value)
        else:
            self._held = value
        return self.total

    def _growth(self, value: float) -> float:
        """The growth up to a confirmed figure that did not follow: a jump, a wrap, or a boot that nobody saw."""
        if value >= self._last:
            return value - self._last
        wrapped = value + self._modulus - self._last
        return wrapped if wrapped <= self._step else value

    def _advance(self, growth: float, value: float) -> None:
        assert self.total is not None
        self.total += growth
        self._last = value
        self._held = None


class BestDifficulty:
    """The best share difficulty told so far. One odd line shows for as long as it stands, and is not kept."""

    __slots__ = ("_confirmed", "_current")

    def __init__(self) -> None:
        self._confirmed: float | None = None
        self._current: float | None = None

    @property
    def value(self) -> float | None:
        known = [value for value in (self._confirmed, self._current) if value is not None]
        return max(known, default=None)

    def observe(self, value: float) -> None:
        """Take the figure the device prints once a second."""
        if value == self._current and (self._confirmed is None or value > self._confirmed):
            self._confirmed = value
        self._current = value

    def restarted(self) -> None:
        """The board booted: its own figure begins anew, what was confirmed stays."""
        self._current = None
