"""What can be asked of one miner: live figures, details, pool configurations, history, exchanges, commands."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import ValidationError

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.errors import UnavailableError
from exporter.model import Pool
from exporter.store.rows import MinerConfig
from onboarding_ui.api.details import DetailsAnswer, InfoAnswer
from onboarding_ui.api.miner_shapes import (
    CommandAnswer,
    CommandList,
    ConfigAnswer,
    ConfigList,
    ExchangeAnswer,
    ExchangeList,
    LinkQuery,
    RescanAnswer,
)
from onboarding_ui.api.shapes import (
    COUNTED,
    LOCATED,
    ListQuery,
    MinerPath,
    UsbMinerPath,
    answers,
    blueprint,
    told,
    told_all,
    told_part,
)
from onboarding_ui.api.summary import hottest, live_reading, one_miner_json, record_of, shares

log = logging.getLogger(__name__)


def own_pool(pools: Sequence[Pool]) -> Pool | None:
    """The owner's pool that is mined to; the first of the owner's where the device does not say which."""
    own = [pool for pool in pools if not pool.fee]
    return next((pool for pool in own if pool.active), own[0] if own else None)


def worker_name(pool: Pool | None, configs: Sequence[MinerConfig]) -> str | None:
    """The worker that was split from the user of `pool`; None where nobody split it yet."""
    for config in configs:
        if pool is not None and config.active and config.pool_user == pool.user:
            return config.worker_name
    return None


def info_of(record: MinerRecord, configs: Sequence[MinerConfig]) -> dict[str, object]:
    """The document of `InfoAnswer`.

    Raises:
        UnavailableError: the miner does not answer now; the message says why.
    """
    reading = live_reading(record)
    if reading is None:
        why = f": {record.last_error}" if record.last_error else ""
        raise UnavailableError(f"{record.name} does not answer now{why}")
    pool = own_pool(reading.pools)
    accepted, rejected = shares(reading)
    return {
        "id": record.id,
        "miner_type": record.driver,
        "make": record.identity.make,
        "model": record.identity.model,
        "firmware_version": record.identity.firmware_version,
        "status": "online",
        "state": reading.state.value if reading.state is not None else None,
        "hashrate": reading.hashrate,
        "hashrate_average": reading.hashrate_average,
        "hashrate_expected": reading.hashrate_expected,
        "temperature": hottest(reading),
        "power": reading.power,
        "uptime": reading.uptime,
        "work_mode": reading.work_mode,
        "fans": reading.fans,
        "pool_url": pool.url if pool is not None else None,
        "pool_user": pool.user if pool is not None else None,
        "worker_name": worker_name(pool, configs),
        "shares_accepted": accepted,
        "shares_rejected": rejected,
        "last_success": record.last_success,
    }


@contextmanager
def _readable(record: MinerRecord) -> Iterator[None]:
    try:
        yield
    except (AttributeError, TypeError, ValidationError) as error:
        log.warning("a reading of the wrong kind", extra={"driver": record.driver, "miner": record.key}, exc_info=True)
        raise UnavailableError(
            f"the driver {record.driver} told of {record.name} what cannot be shown; the log says more"
        ) from error


def one_miner_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("one_miner", "Miners", "The miners of the flock.")

    @api.get("/miners/<int:miner_id>/info", summary="Show a miner's live figures", responses=answers(InfoAnswer))
    def miner_info(path: MinerPath) -> Response:
        """503 where the miner does not answer now."""
        record = record_of(engine, path.miner_id)
        with _readable(record):
            return told(InfoAnswer, info_of(record, engine.wallets.configs(path.miner_id)))

    @api.get("/miners/<int:miner_id>/details", summary="Show all that a miner told", responses=answers(DetailsAnswer))
    def miner_details(path: MinerPath) -> Response:
        """Boards, chips, fans, power supplies, pools and errors of the last poll."""
        record = record_of(engine, path.miner_id)
        document = {"miner": one_miner_json(engine, path.miner_id), "reading": live_reading(record)}
        with _readable(record):
            return told(DetailsAnswer, document)

    @api.get(
        "/miners/<int:miner_id>/configs",
        summary="List a miner's pool configurations",
        responses=answers(ConfigList, headers=COUNTED),
    )
    def miner_configs(path: MinerPath, query: ListQuery) -> Response:
        """Each with the wallet it is linked to, or why none was found. Active ones come first."""
        record_of(engine, path.miner_id)
        return told_part(ConfigAnswer, engine.wallets.configs(path.miner_id), query)

    @api.post(
        "/miners/<int:miner_id>/link-wallet",
        summary="Link a miner to a wallet",
        responses=answers(ConfigList, headers=COUNTED),
    )
    def link_wallet(path: MinerPath, query: LinkQuery) -> Response:
        """A link by hand stays; without a wallet the miner is matched automatically again."""
        return told_all(ConfigAnswer, engine.wallets.link(path.miner_id, query.wallet_id))

    @api.post("/miners/<int:miner_id>/rescan", summary="Ask a miner now", responses=answers(RescanAnswer))
    def rescan_miner(path: MinerPath) -> Response:
        """Polls it, or looks for one that has no address."""
        return told(RescanAnswer, {"id": path.miner_id, "answered": engine.miners.rescan(path.miner_id)})

    @api.get(
        "/miners/<int:miner_id>/exchanges",
        summary="List exchanges with a device",
        responses=answers(ExchangeList, headers=COUNTED),
    )
    def miner_exchanges(path: MinerPath, query: ListQuery) -> Response:
        """Kept for ten minutes from the first time somebody asks. Secrets and wallets are taken out."""
        return told_part(ExchangeAnswer, engine.miners.exchanges(path.miner_id), query)

    @api.get(
        "/miners/<int:miner_id>/commands",
        summary="List a miner's commands",
        responses=answers(CommandList, headers=COUNTED),
    )
    def miner_commands(path: MinerPath, query: ListQuery) -> Response:
        """Commands for a miner on USB, oldest first."""
        return told_part(CommandAnswer, engine.miners.commands(path.miner_id), query)

    @api.post(
        "/miner/<int:miner_id>/get_config",
        summary="Read the configuration of a miner on USB",
        responses=answers(CommandAnswer, 202, errors=(409,), description="Begun.", headers=LOCATED),
    )
    def get_config(path: UsbMinerPath) -> Response:
        """The miner restarts, since it tells its configuration only then. `Location` lists its commands."""
        command = engine.miners.get_config(path.miner_id)
        return told(CommandAnswer, command, 202, Location=f"/api/miners/{path.miner_id}/commands")

    return api
