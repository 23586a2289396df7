"""The pages of the wallets: what pools say of them, the miners that mine to them, their shares."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template

from exporter.engine.api.shares import Share
from exporter.engine.api.wallets import WalletView
from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.engine.onboarding import CURRENCIES
from exporter.store.rows import MinerConfig
from exporter.wallets.reasons import Explanation, explain
from onboarding_ui.api.summary import live_reading
from onboarding_ui.views.paging import Page, asked_page, known, page_of, part, records_by_id
from onboarding_ui.wallet_figures import Comparison, coins, compare

_UNMATCHED_ON_A_PAGE: Final = 25
_SHARES_ON_A_PAGE: Final = 25


@dataclass(frozen=True, slots=True)
class WalletCard:
    """A wallet with its miners of the flock."""

    view: WalletView
    miners: tuple[MinerRecord, ...]
    compared: Comparison


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A miner that mines to no tracked wallet, its active pool configurations, and why they did not match."""

    record: MinerRecord
    configs: tuple[MinerConfig, ...]
    why: tuple[Explanation, ...]


def wallet_card(view: WalletView, records: Mapping[int, MinerRecord]) -> WalletCard:
    """A wallet for the pages."""
    miners = tuple(records[number] for number in view.miners if number in records)
    return WalletCard(view, miners, compare(view, miners))


def unlinked(records: Collection[MinerRecord], views: Collection[WalletView]) -> list[MinerRecord]:
    """The miners of the flock, retired ones aside, that no wallet has."""
    linked = {number for view in views for number in view.miners}
    return [record for record in records if record.enabled and record.id not in linked]


def _unmatched(engine: EngineApi, record: MinerRecord) -> Unmatched:
    active = tuple(config for config in engine.wallets.configs(record.id) if config.active)
    why = [explanation for config in active or (None,) if (explanation := explain(config)) is not None]
    return Unmatched(record, active, tuple(dict.fromkeys(why)))


def _shares(engine: EngineApi, wallet_id: int) -> Page[Share]:
    """The page of the share log that is asked for; the last one where the log is shorter."""

    def fetch(number: int) -> Page[Share]:
        offset = (number - 1) * _SHARES_ON_A_PAGE
        found = engine.shares.query(wallet_id=wallet_id, limit=_SHARES_ON_A_PAGE, offset=offset)
        return part(found.shares, number, _SHARES_ON_A_PAGE, found.total)

    page = fetch(asked_page())
    return fetch(page.pages) if page.total and not page.items else page


def wallets_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the pages."""
    pages = Blueprint("wallets", __name__)

    @pages.get("/wallets")
    def wallets() -> str:
        views, records = engine.wallets.all(), records_by_id(engine)
        without = page_of(unlinked(records.values(), views), asked_page("unmatched"), _UNMATCHED_ON_A_PAGE)
        return render_template(
            "wallets.html",
            cards=[wallet_card(view, records) for view in views],
            pools=engine.wallets.pools(),
            currencies=CURRENCIES,
            without=without,
            unmatched=[_unmatched(engine, record) for record in without.items],
            statistics_on=engine.program.settings().pools.statistics,
        )

    @pages.get("/wallets/<int:wallet_id>")
    def wallet(wallet_id: int) -> str:
        view = known(engine.wallets.get(wallet_id), "wallet", wallet_id)
        records, pools = records_by_id(engine), engine.wallets.pools()
        return render_template(
            "wallet.html",
            card=wallet_card(view, records),
            records=records,
            live=live_reading,
            coins=coins,
            pools=pools,
            tellers=[pool.display_name for pool in pools if view.wallet.currency in pool.currencies],
            currencies=CURRENCIES,
            shares=_shares(engine, wallet_id),
            sums=engine.shares.sums(wallet_id=wallet_id, hours=24.0),
            statistics_on=engine.program.settings().pools.statistics,
        )

    return pages
