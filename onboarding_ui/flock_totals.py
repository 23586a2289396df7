"""What the miners of a list do together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.units import HashesPerSecond, Ratio, Watts
from onboarding_ui.api.summary import reject_ratio
from onboarding_ui.flock_table import Row


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over miners. None where no miner tells; a ratio counts only those that tell both of its parts.

    Attributes:
        up, managed: miners that answer, of those that should.
        part: hash rate of what is expected.
        efficiency: joules per hash.
        bad_chips: None where no miner grades its chips; `anomalies` are the miners with some, the most first.
    """

    count: int
    managed: int
    up: int
    troubled: int
    hashrate: HashesPerSecond | None
    part: Ratio | None
    power: Watts | None
    efficiency: float | None
    reject_ratio: Ratio | None
    bad_chips: int | None
    anomalies: tuple[Row, ...]


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def totals_of(rows: Iterable[Row]) -> Totals:
    """The sums over `rows`."""
    rows = list(rows)
    active = [row for row in rows if row.record.enabled and row.record.managed]
    rates = [row.hashrate for row in rows if row.hashrate is not None]
    powers = [row.power for row in rows if row.power is not None]
    compared = [(row.hashrate, row.expected) for row in rows if row.hashrate is not None and row.expected]
    measured = [(row.power, row.hashrate) for row in rows if row.power is not None and row.hashrate is not None]
    judged = [(row.accepted, row.rejected) for row in rows if row.accepted is not None and row.rejected is not None]
    chips = [row.bad_chips for row in rows if row.bad_chips is not None]
    part = _ratio(sum(rate for rate, _ in compared), sum(expected for _, expected in compared))
    rejects = reject_ratio(sum(done for done, _ in judged), sum(refused for _, refused in judged))
    return Totals(
        count=len(rows),
        managed=len(active),
        up=sum(row.record.up is True for row in active),
        troubled=sum(bool(row.problems) for row in rows),
        hashrate=HashesPerSecond(sum(rates)) if rates else None,
        part=None if part is None else Ratio(part),
        power=Watts(sum(powers)) if powers else None,
        efficiency=_ratio(sum(power for power, _ in measured), sum(rate for _, rate in measured)),
        reject_ratio=None if rejects is None else Ratio(rejects),
        bad_chips=sum(chips) if chips else None,
        anomalies=tuple(sorted((row for row in rows if row.bad_chips), key=lambda row: -(row.bad_chips or 0))),
    )
