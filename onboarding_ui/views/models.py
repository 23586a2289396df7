"""The page Models and presets: what each model can be told to do, and the ceiling a person sets."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from flask import Blueprint, render_template

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.store.rows import ModelRow


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model, the miners of it that are not retired, and whether its ceiling is a preset it still offers."""

    row: ModelRow
    miners: tuple[MinerRecord, ...]
    ceiling_offered: bool


def model_view(row: ModelRow, miners: tuple[MinerRecord, ...]) -> ModelView:
    """A model for the page."""
    names = {preset.name for preset in row.presets or ()}
    return ModelView(row, miners, row.max_preset is None or row.max_preset in names)


def models_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("models", __name__)

    @pages.get("/models")
    def models() -> str:
        by_alias: dict[str | None, list[MinerRecord]] = defaultdict(list)
        for record in engine.snapshot().miners:
            if record.enabled:
                by_alias[record.model_alias].append(record)
        views = [model_view(row, tuple(by_alias[row.alias])) for row in engine.models.all()]
        return render_template("models.html", models=views)

    return pages
