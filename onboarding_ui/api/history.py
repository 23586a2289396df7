"""What a miner told lately: its status history and the lines of its charts."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field, RootModel

from exporter.engine.client import EngineApi
from onboarding_ui.api.miner_shapes import State
from onboarding_ui.api.shapes import (
    COUNTED,
    LARGEST_ID,
    Answer,
    MinerPath,
    Query,
    UnixTime,
    answers,
    blueprint,
    told_all,
)
from onboarding_ui.api.summary import record_of


class StatusesQuery(Query):
    """How much of the history."""

    since: UnixTime | None = Field(None, description="Only what is newer.")
    limit: int = Field(1000, ge=1, le=5000, description="At most so many, the newest.")
    offset: int = Field(0, ge=0, le=LARGEST_ID, description="Leave out so many of the newest.")


class HistoryQuery(Query):
    """How far back."""

    seconds: float = Field(3600, ge=60, le=366 * 86400, description="From now back.")


class StatusAnswer(Answer):
    """One poll of a miner; H/s, °C, W, rpm."""

    at: float
    up: bool
    state: State | None
    hashrate: float | None
    temperature: float | None
    power: float | None
    fan_speed: float | None
    accepted: float | None
    rejected: float | None


class StatusList(RootModel[list[StatusAnswer]]):
    """Polls, oldest first."""


class SeriesAnswer(Answer):
    """One line of a chart."""

    name: str
    unit: str
    points: list[tuple[float, float]] = Field(description="Pairs of Unix seconds and value, oldest first.")
    step: float = Field(description="s from one point to the next; the line is broken where three steps are missing.")


class SeriesList(RootModel[list[SeriesAnswer]]):
    """Lines of charts."""


def history_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("history", "History", "What miners told lately.")

    @api.get(
        "/statuses/<int:miner_id>", summary="List a miner's last polls", responses=answers(StatusList, headers=COUNTED)
    )
    def list_statuses(path: MinerPath, query: StatusesQuery) -> Response:
        """Of a bounded ring in memory, oldest first; Prometheus keeps more."""
        record_of(engine, path.miner_id)
        points = engine.history.recent(path.miner_id, query.since, None)
        end = max(0, len(points) - query.offset)
        return told_all(StatusAnswer, points[max(0, end - query.limit) : end], len(points))

    @api.get(
        "/miners/<int:miner_id>/history", summary="Show the lines of a miner's charts", responses=answers(SeriesList)
    )
    def miner_history(path: MinerPath, query: HistoryQuery) -> Response:
        """From memory, or for longer times from Prometheus where its address is configured."""
        record_of(engine, path.miner_id)
        return told_all(SeriesAnswer, engine.history.series(path.miner_id, query.seconds))

    return api
