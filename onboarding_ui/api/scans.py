"""``/api/miners/scan``: search networks for miners."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.api.scans import Scan
from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import (
    COUNTED,
    LOCATED,
    Answer,
    Id,
    ListQuery,
    Query,
    answers,
    blueprint,
    found,
    made,
    part,
)


class ScanQuery(Query):
    """Where to search."""

    network_cidr: str | None = Field(
        None,
        max_length=64,
        description="A network such as 192.168.1.0/24; the configured ones where it is left out.",
        json_schema_extra={"example": "192.0.2.0/24"},
    )


class ScanPath(BaseModel):
    """The scan."""

    scan_id: Id = Field(description="Id of a scan.", json_schema_extra={"example": 1})


class ScanAnswer(Answer):
    """A scan and how far it is."""

    scan_id: int
    networks: list[str]
    state: Literal["waiting", "running", "finished", "failed"]
    started_at: float
    ended_at: float | None
    addresses: int = Field(description="To be tried in all.")
    tried: int
    found: int = Field(description="Hosts that are miners.")
    new: int = Field(description="Of them, not known before.")
    unknown: int = Field(description="Of them, of families without a driver.")
    matched: int = Field(description="Pool configurations linked to a wallet.")
    miners: list[int] = Field(description="Ids of the miners found.")
    error: str | None


class ScanList(RootModel[list[ScanAnswer]]):
    """Scans, newest first."""


def scan_json(scan: Scan) -> dict[str, Any]:
    """The document of `ScanAnswer`."""
    names = ("networks", "state", "started_at", "ended_at", "addresses", "tried", "found", "new", "unknown", "matched")
    values = {name: getattr(scan, name) for name in (*names, "miners", "error")}
    return ScanAnswer(scan_id=scan.id, **values).model_dump(mode="json")


def scans_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("scans", "Scans", "Searching networks for miners.")

    @api.post(
        "/miners/scan",
        summary="Search for miners",
        responses=answers(ScanAnswer, 202, errors=(409,), description="The scan has begun.", headers=LOCATED),
    )
    def start_scan(query: ScanQuery) -> Response:
        """Answers at once; `Location` is where its progress and result are. Only private networks are searched unless
        the configuration allows others."""
        scan = engine.scans.start(query.network_cidr or None)
        return made(scan_json(scan), 202, Location=f"/api/miners/scan/{scan.id}")

    @api.get("/miners/scan", summary="List scans", responses=answers(ScanList, headers=COUNTED))
    def list_scans(query: ListQuery) -> Response:
        """The last twenty, newest first."""
        scans = engine.scans.all()
        return made([scan_json(scan) for scan in part(scans, query)], X_Total_Count=str(len(scans)))

    @api.get("/miners/scan/<int:scan_id>", summary="Show a scan", responses=answers(ScanAnswer))
    def get_scan(path: ScanPath) -> Response:
        """Its progress and what it found."""
        return made(scan_json(found(engine.scans.get(path.scan_id), "scan", path.scan_id)))

    return api
