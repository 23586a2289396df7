"""The door to the history: polls of late from memory, longer ranges from Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from exporter.config import Settings
from exporter.engine import charts
from exporter.engine.api.history import Series, StatusPoint
from exporter.engine.history import History
from exporter.errors import FieldError, UnknownError
from exporter.store.database import Database
from exporter.transports.prometheus import query_range

#: Ranges that make sense, in seconds: a minute to five years.
_SHORTEST: Final = 60.0
_LONGEST: Final = 5 * 366 * 86400.0
#: A ring that reaches back over this part of a range tells enough of it.
_ENOUGH: Final = 0.9


class HistoryDoor:
    """`HistoryApi` over the ring in memory. Prometheus is asked on the caller's thread.

    Args:
        settings: the configuration that runs.
        outside: gives a place among those who wait for what is outside; see `EngineCaller.outside`.
    """

    def __init__(
        self,
        db: Database,
        history: History,
        settings: Callable[[], Settings],
        outside: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._outside = outside
        self._db = db
        self._history = history
        self._settings = settings

    def recent(self, miner_id: int, since: float | None = None, limit: int | None = 1000) -> tuple[StatusPoint, ...]:
        """See `HistoryApi`."""
        return self._history.recent(miner_id, since, limit)

    def has_prometheus(self) -> bool:
        """Whether `prometheus.url` is set."""
        return self._settings().prometheus.url is not None

    def series(self, miner_id: int, seconds: float) -> tuple[Series, ...]:
        """Lines over the last `seconds`; see `HistoryApi.series`.

        Raises:
            FieldError: a range that is no number of seconds between a minute and five years.
            UnknownError: no such miner.
            UnavailableError: Prometheus does not answer, or too many wait for what is outside already.
        """
        if not _SHORTEST <= seconds <= _LONGEST:
            raise FieldError(f"a chart shows between {_SHORTEST:g} and {_LONGEST:g} seconds", "seconds")
        row = self._db.miners.get(miner_id)
        if row is None:
            raise UnknownError(f"no miner has the id {miner_id}")
        settings, end = self._settings(), time.time()
        start = end - seconds
        points = self._history.recent(miner_id)
        url = settings.prometheus.url
        if url is None or (points and points[0].at <= end - _ENOUGH * seconds):
            return charts.lines_of(points, start, end, settings.intervals.status_seconds)
        step = charts.step_for(seconds)
        with self._outside():
            answer = query_range(url, charts.promql(row.key, step), start, end, step)
        return charts.lines_from(answer, step)
