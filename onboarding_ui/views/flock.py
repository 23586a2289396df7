"""The page Flock: every miner and how it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from flask import Blueprint, render_template, request

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from onboarding_ui.flock_query import GROUPS, FlockQuery, flock_query
from onboarding_ui.flock_table import groups_of, rows_of
from onboarding_ui.flock_totals import totals_of
from onboarding_ui.states import STATES
from onboarding_ui.views.paging import page_of

#: Column of the order, its words, and whether it holds figures.
_HEADS: Final = (
    ("name", "Name", False),
    ("address", "Address", False),
    ("driver", "Model and driver", False),
    ("state", "State", False),
    ("hashrate", "Hash rate", True),
    ("temperature", "Hottest", True),
    ("power", "Power", True),
    ("rejects", "Shares", True),
    ("seen", "Last seen", True),
)
_SHOWN: Final = (
    ("active", "All in use"), ("problems", "With problems"), ("new", "To be named"), ("retired", "Retired"),
    ("all", "Retired too"),
)  # fmt: skip


def _labels(records: Sequence[MinerRecord]) -> list[tuple[str, str]]:
    """Labels that are there, as (value of the filter, words)."""
    pairs = {pair for record in records for pair in record.labels if pair[0] in GROUPS}
    return [(f"{name}:{value}", f"{name}: {value}") for name, value in sorted(pairs)]


def _drivers(records: Sequence[MinerRecord]) -> list[tuple[str, str]]:
    return [(driver, f"{driver} ({count})") for driver, count in sorted(Counter(r.driver for r in records).items())]


def _aria_sort(query: FlockQuery, column: str) -> str | None:
    """The order of a column; the MAC stands in the one of the names."""
    if query.column != column and (query.column, column) != ("mac", "name"):
        return None
    return "descending" if query.descending else "ascending"


def flock_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("flock", __name__)

    @pages.get("/")
    def flock() -> str:
        snapshot, settings = engine.snapshot(), engine.program.settings()
        query = flock_query(request.args)
        rows = rows_of(snapshot.miners, query)
        page = page_of(rows, query.page, query.size)
        group_totals = {}
        if query.group:
            group_totals = {group.value: totals_of(group.rows) for group in groups_of(rows, query.group)}
        return render_template(
            "flock.html",
            query=query,
            page=page,
            groups=groups_of(page.items, query.group),
            group_totals=group_totals,
            totals=totals_of(rows),
            anything=bool(snapshot.miners),
            network=settings.network,
            search_seconds=settings.intervals.discovery_seconds,
            heads=[(*head, _aria_sort(query, head[0])) for head in _HEADS],
            seen=snapshot.seen,
            waiting=len(engine.devices.waiting()),
            states=STATES,
            shown=_SHOWN,
            drivers=_drivers(snapshot.miners),
            labels=_labels(snapshot.miners),
            group_names=GROUPS,
            matching=[row.record.id for row in rows] if page.pages > 1 else (),
            control_enabled=engine.commands.enabled(),
            driver_choices=[view for view in engine.program.drivers() if view.error is None],
        )

    return pages
