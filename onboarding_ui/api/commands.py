"""Commands to one miner, what it offers, and the log of all commands."""

from __future__ import annotations

import threading
from typing import Final

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from exporter.engine.api.commands import (
    CommandRun,
    Identify,
    Offers,
    Order,
    Pause,
    Restart,
    Resume,
    SetFan,
    SetMode,
    SetPool,
    SetPreset,
    SetTuning,
)
from exporter.engine.client import EngineApi
from exporter.store.secret import Secret
from exporter.units import hertz, ratio, volts
from onboarding_ui.api.command_shapes import (
    AuditQuery,
    FanOrder,
    IdentifyOrder,
    ModeMinerPath,
    ModeOrder,
    OffersAnswer,
    PoolOrder,
    PresetMinerPath,
    PresetOrder,
    RunAnswer,
    RunList,
    RunPath,
    TuningOrder,
    WaitQuery,
)
from onboarding_ui.api.shapes import COUNTED, LOCATED, MinerPath, answers, blueprint, found, told, told_all
from onboarding_ui.auth.caller import current_caller

#: Longest time that a request waits for the end of a command.
WAIT_SECONDS: Final = 60.0
#: Requests that may wait at the same time; the others are answered at once, so that threads are left for the pages.
_MOST_WAITING: Final = 3


def who_asks() -> str:
    """Who sent the request, for the log of commands."""
    caller = current_caller()
    return "local" if caller is None else caller.who


def pool_order(body: PoolOrder) -> SetPool:
    """The order; its password is a secret from here on."""
    return SetPool(body.url, body.user, Secret(body.password), body.slot)


def offers_json(enabled: bool, offers: Offers) -> dict[str, object]:
    """The document of `OffersAnswer`."""
    range_names = ("name", "unit", "least", "most", "choices", "current")
    listed = [
        {
            "command": one.command,
            "effect": one.effect,
            "choices": [{"value": value, "reason": reason} for value, reason in one.choices],
            "ranges": [dict(zip(range_names, values, strict=True)) for values in one.ranges],
            "slots": one.slots,
        }
        for one in offers.commands
    ]
    return {"enabled": enabled, "commands": listed, "reason": offers.reason}


class _Sender:
    """Sends an order, and waits for its end where the query says so."""

    def __init__(self, engine: EngineApi) -> None:
        self._engine = engine
        self._waiting = threading.Semaphore(_MOST_WAITING)

    def __call__(self, miner_id: int, order: Order, query: WaitQuery) -> Response:
        run = self._engine.commands.start(miner_id, order, who_asks())
        if query.wait:
            run = self._awaited(run)
        status = 202 if run.state == "running" else 200
        return told(RunAnswer, run, status, Location=f"/api/commands/{run.id}")

    def _awaited(self, run: CommandRun) -> CommandRun:
        if not self._waiting.acquire(blocking=False):
            return run
        try:
            return self._engine.commands.wait(run.id, WAIT_SECONDS) or run
        finally:
            self._waiting.release()


def _begun() -> ResponseDict:
    """The answers of what sends a command: 202, or 200 where it has ended."""
    return {
        **answers(RunAnswer, 202, errors=(409,), description="The command has begun.", headers=LOCATED),
        **answers(RunAnswer, 200, description="It has ended."),
    }


def commands_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("commands", "Commands", "What miners are told to do, and what became of it.")
    send = _Sender(engine)
    _add_plain(api, send)
    _add_settings(api, send)

    @api.get(
        "/miners/<int:miner_id>/commands-offered", summary="List what a miner offers", responses=answers(OffersAnswer)
    )
    def offered_commands(path: MinerPath) -> Response:
        """What it can be told now, what will happen, and the values it takes. The miner is asked for its ranges."""
        commands = engine.commands
        return told(OffersAnswer, offers_json(commands.enabled(), commands.offers(path.miner_id)))

    @api.get("/commands/<int:command_id>", summary="Show a command", responses=answers(RunAnswer))
    def get_command(path: RunPath) -> Response:
        """How far it is, and what became of it."""
        return told(RunAnswer, found(engine.commands.get(path.command_id), "command", path.command_id))

    @api.get("/audit", summary="List commands", responses=answers(RunList, headers=COUNTED))
    def list_commands(query: AuditQuery) -> Response:
        """Who told which miner what and when, and what was seen before and after. Newest first."""
        commands = engine.commands
        page = commands.recent(query.miner_id, query.limit, query.offset)
        return told_all(RunAnswer, page, commands.count(query.miner_id))

    return api


def _add_plain(api: APIBlueprint, send: _Sender) -> None:
    """Commands that only happen."""

    @api.post("/miners/<int:miner_id>/restart", summary="Restart a miner", responses=_begun())
    def restart_miner(path: MinerPath, query: WaitQuery) -> Response:
        """Its whole control board, or its mining alone where that is what its firmware restarts (VNish, CGMiner):
        `commands-offered` says which. It is never sent twice.
        """
        return send(path.miner_id, Restart(), query)

    @api.post("/miners/<int:miner_id>/pause", summary="Stop mining", responses=_begun())
    def pause_miner(path: MinerPath, query: WaitQuery) -> Response:
        """Until it is resumed."""
        return send(path.miner_id, Pause(), query)

    @api.post("/miners/<int:miner_id>/resume", summary="Mine again", responses=_begun())
    def resume_miner(path: MinerPath, query: WaitQuery) -> Response:
        """After a pause."""
        return send(path.miner_id, Resume(), query)

    @api.post("/miners/<int:miner_id>/identify", summary="Switch a miner's light", responses=_begun())
    def identify_miner(path: MinerPath, query: WaitQuery, body: IdentifyOrder) -> Response:
        """The light (or screen) that tells it apart in a rack."""
        return send(path.miner_id, Identify(body.on), query)


def _add_settings(api: APIBlueprint, send: _Sender) -> None:
    """Commands that set something."""

    @api.post("/miners/<int:miner_id>/mode", summary="Set a miner's mode", responses=_begun())
    def set_mode(path: ModeMinerPath, query: WaitQuery, body: ModeOrder) -> Response:
        """One of those that `commands-offered` lists."""
        return send(path.miner_id, SetMode(body.mode), query)

    @api.post("/miners/<int:miner_id>/preset", summary="Apply a tuning preset", responses=_begun())
    def set_preset(path: PresetMinerPath, query: WaitQuery, body: PresetOrder) -> Response:
        """Tuned ones only, never above the ceiling of the miner's model."""
        return send(path.miner_id, SetPreset(body.preset, body.confirm_modified_psu), query)

    @api.post("/miners/<int:miner_id>/tuning", summary="Set frequency and voltage", responses=_begun())
    def set_tuning(path: MinerPath, query: WaitQuery, body: TuningOrder) -> Response:
        """Within the range that the miner itself tells."""
        frequency = None if body.frequency is None else hertz(body.frequency)
        voltage = None if body.core_voltage is None else volts(body.core_voltage)
        return send(path.miner_id, SetTuning(frequency, voltage), query)

    @api.post("/miners/<int:miner_id>/pool", summary="Set one of a miner's pools", responses=_begun())
    def set_pool(path: MinerPath, query: WaitQuery, body: PoolOrder) -> Response:
        """The other pools stay. Some miners restart for it; `commands-offered` says so."""
        return send(path.miner_id, pool_order(body), query)

    @api.post("/miners/<int:miner_id>/fan", summary="Set the duty of a miner's fans", responses=_begun())
    def set_fan(path: MinerPath, query: WaitQuery, body: FanOrder) -> Response:
        """Or give them back to the miner's own control."""
        return send(path.miner_id, SetFan(None if body.duty is None else ratio(body.duty)), query)
