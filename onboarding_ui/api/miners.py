"""``/api/miners``: the flock, adding, changing and forgetting miners."""

from __future__ import annotations

import time

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from exporter.engine.client import EngineApi
from onboarding_ui.api.miner_shapes import MinerAdd, MinerAnswer, MinerChange, MinerList, MinersQuery
from onboarding_ui.api.selection import selected
from onboarding_ui.api.shapes import COUNTED, LOCATED, MinerPath, answers, blueprint, made, nothing
from onboarding_ui.api.summary import miner_json, one_miner_json, wallet_ids


def miners_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("miners", "Miners", "The miners of the flock.")

    @api.get("/miners", summary="List miners", responses=answers(MinerList, headers=COUNTED))
    def list_miners(query: MinersQuery) -> Response:
        """Miners with their latest figures. Retired ones are left out unless asked for."""
        now = time.monotonic()
        records = selected(engine.snapshot().miners, query, now)
        linked = wallet_ids(engine)
        page = records[query.offset : query.offset + query.limit]
        listed = [miner_json(record, linked.get(record.id, ()), now) for record in page]
        return made(listed, X_Total_Count=str(len(records)))

    @api.post(
        "/miners",
        summary="Add a miner by address",
        responses=answers(MinerAnswer, 201, errors=(409,), description="The new miner.", headers=LOCATED),
    )
    def add_miner(body: MinerAdd) -> Response:
        """The miner is asked who it is at once. One that does not answer is kept where `miner_type` is given.
        Addresses outside private networks are refused unless the configuration allows them."""
        row = engine.miners.add(body.ip_address, port=body.api_port, driver=body.miner_type, name=body.name)
        return made(one_miner_json(engine, row.id), 201, Location=f"/api/miners/{row.id}")

    @api.get("/miners/<int:miner_id>", summary="Show a miner", responses=answers(MinerAnswer))
    def get_miner(path: MinerPath) -> Response:
        """A miner with its latest figures, retired ones too."""
        return made(one_miner_json(engine, path.miner_id))

    @api.patch("/miners/<int:miner_id>", summary="Change a miner", responses=answers(MinerAnswer, errors=(409,)))
    def change_miner(path: MinerPath, body: MinerChange) -> Response:
        """Names are unique: 409 where another miner is shown by it, named or not. A miner that is found later shows the
        name it tells of itself, whoever has it. `managed` false: listed, not polled; `enabled` false: retired and
        hidden."""
        engine.miners.change(path.miner_id, body.model_dump(exclude_unset=True))
        return made(one_miner_json(engine, path.miner_id))

    @api.delete("/miners/<int:miner_id>", summary="Forget a miner", responses=answers(status=204))
    def forget_miner(path: MinerPath) -> Response:
        """It comes back as a new one when it is found again; retire it (`enabled` false) to keep it away."""
        engine.miners.forget(path.miner_id)
        return nothing()

    return api
