"""The page of one miner: what it tells now and lately, who it is, and what can be done with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from exporter.engine.client import EngineApi
from exporter.engine.onboarding import CURRENCIES
from exporter.errors import UnavailableError
from exporter.wallets.reasons import explain
from onboarding_ui.api.summary import hottest, live_reading, record_of, record_of_key, reject_ratio, shares
from onboarding_ui.charts import HEIGHT, WIDTH, Chart, chart_of
from onboarding_ui.chips import chip_boards
from onboarding_ui.flock_query import GROUPS
from onboarding_ui.states import hashrate_part, is_offline, problems, state_of
from onboarding_ui.views.commands import RECENT

#: Ranges of the charts in seconds by their words; those beyond the first two need Prometheus.
RANGES: Final = {"1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800}
_RANGE_WORDS: Final = {"1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d"}
_OWN_RANGES: Final = ("1h", "6h")
_DRAWN: Final = ("hashrate", "temperature", "power", "accepted")


@dataclass(frozen=True, slots=True)
class History:
    """The charts of a miner; `error` says why there are none."""

    chosen: str
    ranges: tuple[tuple[str, str], ...]
    charts: tuple[Chart, ...]
    error: str | None


def history_of(engine: EngineApi, miner_id: int, asked: str) -> History:
    """The charts over the range that was asked for, the shortest where it is not offered."""
    offered = tuple(RANGES) if engine.history.has_prometheus() else _OWN_RANGES
    chosen = asked if asked in offered else offered[0]
    ranges = tuple((name, _RANGE_WORDS[name]) for name in offered)
    seconds, now = RANGES[chosen], time.time()
    try:
        lines = {line.name: line for line in engine.history.series(miner_id, seconds)}
    except UnavailableError as error:
        return History(chosen, ranges, (), str(error))
    charts = [chart_of(lines[name], now, seconds) for name in _DRAWN if name in lines]
    return History(chosen, ranges, tuple(chart for chart in charts if chart is not None), None)


def miner_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("miner", __name__)

    @pages.get("/miners/by-key/<path:key>")
    def by_key(key: str) -> ResponseReturnValue:
        """Where dashboards lead to: they know the label `miner`, not the id."""
        return redirect(url_for("miner.miner", miner_id=record_of_key(engine, key).id))

    @pages.get("/miners/<int:miner_id>")
    def miner(miner_id: int) -> str:
        record = record_of(engine, miner_id)
        reading = live_reading(record)
        accepted, rejected = shares(reading) if reading is not None else (None, None)
        row = engine.miners.row(miner_id)
        configs, wallets = engine.wallets.configs(miner_id), engine.wallets.all()
        return render_template(
            "miner.html",
            record=record,
            row=row,
            reading=reading,
            state=state_of(record, reading),
            offline=is_offline(record),
            problems=problems(record, reading),
            part=hashrate_part(reading) if reading is not None else None,
            hottest=hottest(reading) if reading is not None else None,
            accepted=accepted,
            rejected=rejected,
            reject_ratio=reject_ratio(accepted, rejected),
            chip_boards=chip_boards(reading.boards) if reading is not None else (),
            history=history_of(engine, miner_id, request.args.get("range", "")),
            chart_size=(WIDTH, HEIGHT),
            configs=configs,
            reasons={config.id: explain(config) for config in configs},
            wallets=wallets,
            wallet_choices=[(view.wallet.id, f"{view.wallet.name} ({view.wallet.currency})") for view in wallets],
            own_labels=row.own_labels if row is not None else {},
            configured_labels=row.labels if row is not None else {},
            currencies=CURRENCIES,
            label_names=GROUPS,
            control_enabled=engine.commands.enabled(),
            runs=engine.commands.recent(miner_id, RECENT),
        )

    return pages
