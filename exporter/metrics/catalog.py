"""The metric table: every family of the page that comes from a `MinerRecord`, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from exporter.engine.fleet import MinerRecord
from exporter.metrics.catalog_board import BOARD_METRICS, CHIP_METRICS
from exporter.metrics.catalog_miner import MINER_METRICS, SYSTEM_METRICS
from exporter.metrics.catalog_pool import POOL_METRICS, pool_info
from exporter.metrics.catalog_usb import USB_METRICS
from exporter.metrics.spec import RESERVED_LABELS, MetricSpec, SpecError


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What of the table is shown.

    Attributes:
        chips: series of single chips (``collectors.chips``).
        pool_user: the pool user as told, instead of "" (``collectors.pool_user``).
        label_names: configured label names of the whole flock, sorted; see `label_names`.
    """

    chips: bool = False
    pool_user: bool = False
    label_names: tuple[str, ...] = ()


def families(options: RenderOptions) -> tuple[MetricSpec[Any], ...]:
    """The families shown under `options`, durable ones first, in the order of the page."""
    return (
        *(metric for metric in MINER_METRICS if metric.scope.durable),
        *USB_METRICS,
        *(metric for metric in MINER_METRICS if not metric.scope.durable),
        *BOARD_METRICS,
        *(CHIP_METRICS if options.chips else ()),
        pool_info(show_user=options.pool_user),
        *POOL_METRICS,
        *SYSTEM_METRICS,
    )


#: Every family there is, for the reference and the checks.
CATALOGUE: Final = families(RenderOptions(chips=True, pool_user=True))


def _checked() -> frozenset[str]:
    names = [family.name for family in CATALOGUE]
    if len(set(names)) != len(names):
        raise SpecError("the catalogue names a family twice")
    durable = [family.scope.durable for family in CATALOGUE]
    if durable != sorted(durable, reverse=True) or CATALOGUE[0].name != "miner_up":
        raise SpecError("the catalogue must begin with miner_up and the other durable families")
    return frozenset(names)


#: Names of all families.
NAMES: Final = _checked()

_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_LABELS: Final = frozenset(next(family for family in CATALOGUE if family.name == "miner_info").all_labels)


def allowed_label_name(name: str) -> bool:
    """Whether an operator may configure a label of this name (site, rack, group, ...)."""
    if name in _OWN_LABELS or name in RESERVED_LABELS - {"zone", "cluster", "env", "type"}:
        return False
    return _LABEL_NAME.fullmatch(name) is not None and not name.startswith("__")


def label_names(records: Iterable[MinerRecord]) -> tuple[str, ...]:
    """The union of the configured label names over `records`, sorted; names that may not be used are left out."""
    names = {name for record in records for name, _ in record.labels}
    return tuple(sorted(name for name in names if allowed_label_name(name)))
