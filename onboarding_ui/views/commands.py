"""The pages about commands: what a miner offers, and one command to many miners."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from exporter.engine.api.commands import Offers
from exporter.engine.client import EngineApi
from exporter.errors import ForbiddenError
from exporter.model import Preset
from onboarding_ui.api.summary import live_reading, record_of
from onboarding_ui.command_forms import forms_of
from onboarding_ui.command_words import command_name, is_trouble, order_words, outcome, place_of
from onboarding_ui.views.paging import asked_page, known, page_of, records_by_id

#: Of the commands to one miner that its page lists.
RECENT: Final = 5
_RESULTS_ON_A_PAGE: Final = 200


def presets_of(engine: EngineApi, alias: str | None) -> tuple[Preset, ...]:
    """The presets of a model; none where it is not known or has none."""
    model = next((one for one in engine.models.all() if one.alias == alias), None)
    return tuple(model.presets or ()) if model is not None else ()


def _offers(engine: EngineApi, miner_id: int) -> Offers:
    try:
        return engine.commands.offers(miner_id)
    except ForbiddenError as error:
        return Offers(reason=str(error))


def commands_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the pages."""
    pages = Blueprint("commands", __name__)
    pages.add_app_template_filter(outcome, "outcome")
    pages.add_app_template_global(order_words)
    pages.add_app_template_filter(command_name, "command_name")

    @pages.get("/miners/<int:miner_id>/commands")
    def offered(miner_id: int) -> str:
        """Asks the miner for its ranges, which takes a moment; the miner's page fetches this page when it is shown."""
        record = record_of(engine, miner_id)
        reading = live_reading(record)
        return render_template(
            "commands.html",
            record=record,
            enabled=engine.commands.enabled(),
            forms=forms_of(_offers(engine, miner_id), reading, presets_of(engine, record.model_alias)),
            reading=reading,
            runs=engine.commands.recent(miner_id, RECENT),
        )

    @pages.get("/bulk/<int:bulk_id>")
    def bulk(bulk_id: int) -> str:
        found = known(engine.commands.bulk(bulk_id), "command to many miners", bulk_id)
        results = sorted(found.results, key=lambda result: place_of(result.state))
        ended = [result for result in results if result.state not in ("waiting", "running")]
        return render_template(
            "bulk.html",
            bulk=found,
            page=page_of(results, asked_page(), _RESULTS_ON_A_PAGE),
            counts=sorted(found.counts.items(), key=lambda pair: place_of(pair[0])),
            ended=len(ended),
            troubled=sum(is_trouble(result.state) for result in results),
            records=records_by_id(engine),
        )

    return pages
