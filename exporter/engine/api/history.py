"""What miners told lately: a bounded ring in memory, and Prometheus for longer where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class StatusPoint:
    """One poll of a miner, base units; None where the miner did not say.

    Attributes:
        state: a word of `MinerState`, or None.
        temperature: hottest chip, else board, degC. `fan_speed`: the fastest fan, rpm.
        accepted, rejected: shares over the owner's pools since the device's start.
    """

    at: UnixSeconds
    up: bool
    state: str | None
    hashrate: float | None
    temperature: float | None
    power: float | None
    fan_speed: float | None
    accepted: float | None
    rejected: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
        name: hashrate, temperature, power, fan_speed, accepted.
        unit: of the values: H/s, degC, W, rpm, 1.
        points: (Unix seconds, value) pairs, oldest first, at most about 300. Where nothing is known there is no point.
        step: seconds from one point to the next; where two are further apart than three steps the line is broken.
    """

    name: str
    unit: str
    points: tuple[tuple[float, float], ...]
    step: float = 0.0


class HistoryApi(Protocol):
    """See the module and the package."""

    def recent(self, miner_id: int, since: float | None = None, limit: int | None = 1000) -> tuple[StatusPoint, ...]:
        """The polls after `since`, oldest first, the newest `limit` of them (all where None); empty for an unknown
        miner."""
        ...

    def has_prometheus(self) -> bool:
        """Whether `prometheus.url` is set, so that ranges longer than the ring can be had."""
        ...

    def series(self, miner_id: int, seconds: float) -> tuple[Series, ...]:
        """Lines for charts over the last `seconds`: from the ring, or where it is too short, from Prometheus.

        Raises:
            UnknownError: no such miner.
            UnavailableError: Prometheus does not answer; the message says what it was asked and why it failed.
        """
        ...
