"""The kinds of things the page counts, and short forms to declare metrics of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from exporter.engine.fleet import MinerRecord
from exporter.metrics.spec import Item, Labelled, MetricSpec, Scope, Unit, Value
from exporter.model import Board, Chip, Fan, Pool, Psu, Reading

#: The miner as a database row: known without asking it.
MINER: Final[Scope[MinerRecord]] = Scope("miner", True, (), lambda record, _: (record,), lambda _: ())
#: The last poll of the miner; as volatile as its reading.
POLL: Final[Scope[MinerRecord]] = Scope("poll", False, (), lambda record, _: (record,), lambda _: ())
READING: Final[Scope[Reading]] = Scope("reading", False, (), lambda _, reading: (reading,), lambda _: ())
PSU: Final[Scope[Psu]] = Scope("psu", False, ("psu",), lambda _, reading: reading.psus, lambda psu: (psu.psu,))
FAN: Final[Scope[Fan]] = Scope("fan", False, ("fan",), lambda _, reading: reading.fans, lambda fan: (fan.fan,))
BOARD: Final[Scope[Board]] = Scope(
    "board", False, ("board",), lambda _, reading: reading.boards, lambda board: (board.board,)
)


def _chips(_: MinerRecord, reading: Reading) -> list[tuple[str, Chip]]:
    return [(board.board, chip) for board in reading.boards for chip in board.chips]


CHIP: Final[Scope[tuple[str, Chip]]] = Scope(
    "chip", False, ("board", "chip"), _chips, lambda item: (item[0], item[1].chip)
)


def _own_pools(_: MinerRecord, reading: Reading) -> tuple[Pool, ...]:
    """Pools the owner mines for: a firmware's fee pool (DevFee) gives no series at all."""
    pools = reading.pools
    for pool in pools:
        if pool.fee:
            return tuple(own for own in pools if not own.fee)
    return pools


POOL: Final[Scope[Pool]] = Scope("pool", False, ("pool",), _own_pools, lambda pool: (pool.pool,))


def gauge(
    name: str, unit: Unit, help_text: str, scope: Scope[Item], value: Callable[[Item], Value], *, optional: str = ""
) -> MetricSpec[Item]:
    """A gauge of one sample per item of `scope`."""
    return MetricSpec(name, "gauge", unit, help_text, scope, value, optional=optional)


def counter(
    name: str, unit: Unit, help_text: str, scope: Scope[Item], value: Callable[[Item], Value], *, optional: str = ""
) -> MetricSpec[Item]:
    """A counter of one sample per item of `scope`."""
    return MetricSpec(name, "counter", unit, help_text, scope, value, optional=optional)


def gauges(
    name: str,
    unit: Unit,
    help_text: str,
    scope: Scope[Item],
    labels: tuple[str, ...],
    values: Callable[[Item], Sequence[Labelled]],
    *,
    configured_labels: bool = False,
) -> MetricSpec[Item]:
    """A gauge with `labels` of its own: several samples per item of `scope`."""
    return MetricSpec(
        name,
        "gauge",
        unit,
        help_text,
        scope,
        labels=labels,
        values=values,
        configured_labels=configured_labels,
    )


def counters(
    name: str,
    unit: Unit,
    help_text: str,
    scope: Scope[Item],
    labels: tuple[str, ...],
    values: Callable[[Item], Sequence[Labelled]],
) -> MetricSpec[Item]:
    """A counter with `labels` of its own: several samples per item of `scope`."""
    return MetricSpec(name, "counter", unit, help_text, scope, labels=labels, values=values)
