"""The page Commands: who told which miner what and when, and what came of it."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template, request

from exporter.engine.client import EngineApi
from onboarding_ui.command_words import changes
from onboarding_ui.views.paging import asked_page, pages_of, part, records_by_id

_ON_A_PAGE: Final = 50


def _asked_miner() -> int | None:
    """The miner that the query string asks for; None where it asks for none or for nonsense."""
    text = request.args.get("miner_id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def audit_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("audit", __name__)

    @pages.get("/audit")
    def audit() -> str:
        miner_id = _asked_miner()
        total = engine.commands.count(miner_id)
        number = min(asked_page(), pages_of(total, _ON_A_PAGE))
        runs = engine.commands.recent(miner_id, _ON_A_PAGE, (number - 1) * _ON_A_PAGE)
        return render_template(
            "audit.html",
            page=part(runs, number, _ON_A_PAGE, total),
            changes=changes,
            records=records_by_id(engine),
            miner_id=miner_id,
            enabled=engine.commands.enabled(),
        )

    return pages
