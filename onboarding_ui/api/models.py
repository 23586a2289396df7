"""``/api/models``: models of miners, their presets and the highest one that may be applied."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import COUNTED, Answer, Body, ListQuery, answers, blueprint, extras, told, told_part


class ModelPath(BaseModel):
    """The model."""

    alias: str = Field(min_length=1, max_length=128, json_schema_extra={"example": "s19jpro"})


class PresetAnswer(Answer):
    """A tuning preset; W and H/s. Which ones a miner has tuned is a fact of that miner: see its `commands-offered`."""

    name: str
    pretty: str | None
    power: float | None
    hashrate: float | None
    modified_psu_required: bool | None


class ModelAnswer(Answer):
    """A model of miner."""

    id: int
    alias: str
    name: str | None
    algorithm: str | None
    boards: int | None
    chips_per_board: int | None
    presets: list[PresetAnswer] | None = Field(description="Null while nobody could read them.")
    max_preset: str | None = Field(description="The highest preset that may be applied; a person's choice.")
    updated_at: float | None


class ModelList(RootModel[list[ModelAnswer]]):
    """Models by alias."""


class ModelChange(Body):
    """The highest preset that may be applied."""

    model_config = extras(example={"max_preset": "3250"})

    max_preset: str | None = Field(max_length=128, description="Name of a preset; null for no ceiling.")


def models_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("models", "Models", "Models of miners and their presets.")

    @api.get("/models", summary="List models", responses=answers(ModelList, headers=COUNTED))
    def list_models(query: ListQuery) -> Response:
        """Models with their presets, by alias."""
        return told_part(ModelAnswer, engine.models.all(), query)

    @api.patch("/models/<alias>", summary="Set the highest preset", responses=answers(ModelAnswer))
    def change_model(path: ModelPath, body: ModelChange) -> Response:
        """Discovery never sets it."""
        return told(ModelAnswer, engine.models.set_max_preset(path.alias, body.max_preset))

    return api
