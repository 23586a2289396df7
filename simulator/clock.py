"""The simulator's clock: real time, or a time that tests freeze and push forward."""

from __future__ import annotations

import time


class Clock:
    """Unix seconds. A frozen clock stands still until `advance`; faults that wait always use real seconds."""

    def __init__(self, start: float | None = None) -> None:
        self._offset = 0.0
        self._frozen = start

    def now(self) -> float:
        """Unix seconds now."""
        return time.time() + self._offset if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen is not None

    def freeze(self, at: float | None = None) -> None:
        """Stop at `at` (Unix seconds), or at the present moment."""
        self._frozen = self.now() if at is None else at

    def run(self) -> None:
        """Go on from where the clock stood."""
        if self._frozen is not None:
            self._offset = self._frozen - time.time()
            self._frozen = None

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        if self._frozen is not None:
            self._frozen += seconds
        else:
            self._offset += seconds
