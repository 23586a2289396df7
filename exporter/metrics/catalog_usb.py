"""Metrics of miners on USB: where they are on the way from power-on to mining, and what is wrong with them.

They stay while a board is unplugged (`Inactive`, `Not Connected`), so that an alarm does not resolve by pulling it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from exporter.engine.fleet import MinerRecord, UsbRecord
from exporter.metrics import spec
from exporter.metrics.scopes import MINER, counter, gauge, gauges
from exporter.metrics.spec import Labelled, MetricSpec
from exporter.model_usb import LASTING, UsbState, UsbStatus


def _board(record: MinerRecord) -> UsbRecord | None:
    """The USB side of a managed miner; None for all others."""
    return record.usb if record.managed else None


def _statuses(record: MinerRecord) -> Sequence[Labelled]:
    usb = _board(record)
    return () if usb is None else [((status.value,), usb.view.status is status) for status in UsbStatus]


def _states(record: MinerRecord) -> Sequence[Labelled]:
    usb = _board(record)
    return () if usb is None else [((state.value,), usb.view.state is state) for state in UsbState]


def _conditions(record: MinerRecord) -> Sequence[Labelled]:
    usb = _board(record)
    return () if usb is None else [((condition.value,), condition in usb.view.conditions) for condition in LASTING]


def _since(record: MinerRecord) -> float | None:
    usb = _board(record)
    return None if usb is None else usb.view.since


def _boots(record: MinerRecord) -> float | None:
    usb = _board(record)
    return None if usb is None else usb.view.boots


USB_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauges(
        "miner_usb_status",
        spec.STATES,
        f"1 for the present status of a USB miner, 0 for the others ({', '.join(s.value for s in UsbStatus)}).",
        MINER,
        ("status",),
        _statuses,
    ),
    gauges(
        "miner_usb_state",
        spec.STATES,
        f"1 for the present boot state of a USB miner, 0 for the others ({', '.join(s.value for s in UsbState)}).",
        MINER,
        ("state",),
        _states,
    ),
    gauge(
        "miner_usb_state_since_timestamp_seconds",
        spec.UNIX_SECONDS,
        "Unix time at which the present boot state began.",
        MINER,
        _since,
    ),
    gauges(
        "miner_usb_condition",
        spec.STATES,
        f"1 while a condition holds, 0 while it does not ({', '.join(c.value for c in LASTING)}).",
        MINER,
        ("condition",),
        _conditions,
    ),
    counter(
        "miner_usb_boots_total",
        spec.COUNT,
        "Resets of the board that were seen.",
        MINER,
        _boots,
    ),
)
