"""``/api/bulk``: one command to many miners."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from exporter.engine.api.commands import Bulk, Order, Pause, Restart, Resume, SetMode, SetPreset
from exporter.engine.client import EngineApi
from exporter.errors import FieldError
from onboarding_ui.api.command_shapes import (
    BulkAnswer,
    BulkMode,
    BulkOrder,
    BulkPath,
    BulkPool,
    BulkPreset,
    BulkQuery,
    MinersFilter,
)
from onboarding_ui.api.commands import pool_order, who_asks
from onboarding_ui.api.miner_shapes import MinersQuery
from onboarding_ui.api.selection import selected
from onboarding_ui.api.shapes import LOCATED, answers, blueprint, found, told

#: Miners that restart together pull the most current together, and are all missed by the pool at once.
RESTART_STAGGER_SECONDS: Final = 2.0
#: What tells some miners of a flock from the others.
CRITERIA: Final = ("q", "status", "state", "driver", "managed", "label")
#: Results that need no look by a person.
_WELL: Final = frozenset({"confirmed", "running", "waiting", "would send"})


def chosen(engine: EngineApi, order: BulkOrder) -> tuple[int, ...]:
    """The ids of the miners that an order is for.

    Raises:
        FieldError: it does not say to whom (a filter without a criterion does not), or nobody fits.
    """
    given = [name for name in ("miners", "filter", "all") if getattr(order, name) is not None]
    if len(given) != 1:
        raise FieldError("miners: say to whom with exactly one of miners, filter and all", "miners")
    if order.miners is not None:
        return tuple(dict.fromkeys(order.miners))
    if order.filter is not None and not _narrows(order.filter):
        names = ", ".join(CRITERIA)
        raise FieldError(f'filter: name at least one of {names}; every managed miner is "all": true', "filter")
    wanted = order.filter or MinersFilter.model_validate({"managed": True})
    query = MinersQuery(**wanted.model_dump())
    ids = tuple(record.id for record in selected(engine.snapshot().miners, query, time.monotonic()))
    if not ids:
        raise FieldError(f"{given[0]}: no miner fits", given[0])
    return ids


def _narrows(wanted: MinersFilter) -> bool:
    """Whether a filter has a criterion; without one it would mean the whole flock by mistake."""
    values = (getattr(wanted, name) for name in CRITERIA)
    return any(bool(value.strip()) if isinstance(value, str) else value not in (None, []) for value in values)


def bulk_json(bulk: Bulk, results: str) -> dict[str, Any]:
    """The document of `BulkAnswer`; `results` as in `BulkQuery`."""
    names = ("id", "command", "values", "who", "dry_run", "state", "started_at", "ended_at", "counts")
    shown = {"all": bulk.results, "none": ()}.get(
        results, tuple(result for result in bulk.results if result.state not in _WELL)
    )
    return {name: getattr(bulk, name) for name in names} | {"miners": len(bulk.results), "results": shown}


def bulk_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("bulk", "Commands", "What miners are told to do, and what became of it.")
    begun = answers(BulkAnswer, 202, errors=(409,), description="It has begun.", headers=LOCATED)

    def send(body: BulkOrder, order: Order, stagger: float = 0.0) -> Response:
        bulk = engine.commands.start_bulk(
            chosen(engine, body),
            order,
            who_asks(),
            dry_run=body.dry_run,
            parallel=body.parallel,
            stagger_seconds=stagger if body.stagger_seconds is None else body.stagger_seconds,
        )
        return told(BulkAnswer, bulk_json(bulk, "all"), 202, Location=f"/api/bulk/{bulk.id}")

    @api.post("/bulk/restart", summary="Restart many miners", responses=begun)
    def bulk_restart(body: BulkOrder) -> Response:
        """One after the other, so that they do not all start at once."""
        return send(body, Restart(), RESTART_STAGGER_SECONDS)

    @api.post("/bulk/pause", summary="Stop mining on many", responses=begun)
    def bulk_pause(body: BulkOrder) -> Response:
        """Until they are resumed."""
        return send(body, Pause())

    @api.post("/bulk/resume", summary="Mine again on many", responses=begun)
    def bulk_resume(body: BulkOrder) -> Response:
        """After a pause."""
        return send(body, Resume())

    @api.post("/bulk/mode", summary="Set the mode of many miners", responses=begun)
    def bulk_mode(body: BulkMode) -> Response:
        """Those that do not offer it are told of in the results."""
        return send(body, SetMode(body.mode))

    @api.post("/bulk/preset", summary="Apply a preset to many miners", responses=begun)
    def bulk_preset(body: BulkPreset) -> Response:
        """Each by the rules for one."""
        return send(body, SetPreset(body.preset, body.confirm_modified_psu))

    @api.post("/bulk/pool", summary="Set a pool of many miners", responses=begun)
    def bulk_pool(body: BulkPool) -> Response:
        """In the same slot of each."""
        return send(body, pool_order(body))

    @api.get("/bulk/<int:bulk_id>", summary="Show a command to many", responses=answers(BulkAnswer))
    def get_bulk(path: BulkPath, query: BulkQuery) -> Response:
        """Each miner's result. The last twenty such commands are known, also after a restart of the program."""
        bulk = found(engine.commands.bulk(path.bulk_id), "command to many miners", path.bulk_id)
        return told(BulkAnswer, bulk_json(bulk, query.results))

    @api.post("/bulk/<int:bulk_id>/cancel", summary="Cancel a command to many", responses=answers(BulkAnswer))
    def cancel_bulk(path: BulkPath) -> Response:
        """Nothing more is sent; commands that run end by themselves."""
        return told(BulkAnswer, bulk_json(engine.commands.cancel_bulk(path.bulk_id), "all"))

    return api
