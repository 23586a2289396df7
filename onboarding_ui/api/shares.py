"""The log of shares: by wallet, by miner and time, by hand, and as a file."""

from __future__ import annotations

import time
from typing import Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field, RootModel

from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import (
    COUNTED,
    Answer,
    Body,
    Id,
    PageQuery,
    Query,
    UnixTime,
    answers,
    blueprint,
    extras,
    found,
    told,
    told_all,
)
from onboarding_ui.api.wallets import WalletPath

_HOUR = 3600.0


class WalletSharesQuery(PageQuery):
    """Which shares of a wallet."""

    hours: float = Field(24, gt=0, le=24 * 366, description="Of the last hours.")
    miner_id: Id | None = Field(None, description="Of this miner only.")


class SharesQuery(PageQuery):
    """Which shares."""

    wallet_id: Id | None = None
    miner_id: Id | None = None
    since: UnixTime | None = None
    until: UnixTime | None = None


class ExportQuery(Query):
    """Of which time."""

    since: UnixTime | None = None
    until: UnixTime | None = None


class ShareAnswer(Answer):
    """A share, or several that a counter step told of."""

    id: int
    timestamp: float
    wallet_id: int | None
    miner_id: int | None
    pool_name: str | None
    worker_name: str | None
    difficulty: float | None
    accepted: bool
    source: Literal["event", "derived", "manual"] = Field(
        description="The device told of this share; a counter stepped by `count`; or a person logged it."
    )
    count: int
    reason: str | None = Field(description="The pool's words for a rejection.")


class ShareList(RootModel[list[ShareAnswer]]):
    """Shares, newest first."""


class ShareAdd(Body):
    """A share to log by hand."""

    model_config = extras(
        example={"pool_name": "Solo CKPool", "difficulty": 1024.0, "worker_name": "garage", "accepted": True}
    )

    pool_name: str = Field(min_length=1, max_length=128)
    difficulty: float = Field(gt=0, le=1e30)
    worker_name: str | None = Field(None, max_length=128)
    accepted: bool = True
    timestamp: UnixTime | None = Field(None, description="Now where it is left out.")
    miner_id: Id | None = None


def shares_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint. A wallet's shares are found under ``/api/wallet/`` and ``/api/wallets/`` alike."""
    api = blueprint("shares", "Shares", "The log of shares.")

    def list_wallet_shares(path: WalletPath, query: WalletSharesQuery) -> Response:
        """Newest first. Shares marked `derived` stand for a step of the device's counter."""
        found(engine.wallets.get(path.wallet_id), "wallet", path.wallet_id)
        page = engine.shares.query(
            wallet_id=path.wallet_id,
            miner_id=query.miner_id,
            since=time.time() - query.hours * _HOUR,
            limit=query.limit,
            offset=query.offset,
        )
        return told_all(ShareAnswer, page.shares, page.total)

    def add_wallet_share(path: WalletPath, body: ShareAdd) -> Response:
        """For miners that do not tell their shares."""
        share = engine.shares.add(
            path.wallet_id,
            pool_name=body.pool_name,
            difficulty=body.difficulty,
            worker_name=body.worker_name,
            accepted=body.accepted,
            timestamp=body.timestamp,
            miner_id=body.miner_id,
        )
        return told(ShareAnswer, share, 201)

    for place, suffix in (("wallet", ""), ("wallets", "_by_plural")):
        api.get(
            f"/{place}/<int:wallet_id>/shares",
            summary="List a wallet's shares",
            operation_id=f"list_wallet_shares{suffix}",
            endpoint=f"list_wallet_shares{suffix}",
            responses=answers(ShareList, headers=COUNTED),
        )(list_wallet_shares)
        api.post(
            f"/{place}/<int:wallet_id>/shares",
            summary="Log a share by hand",
            operation_id=f"add_wallet_share{suffix}",
            endpoint=f"add_wallet_share{suffix}",
            responses=answers(ShareAnswer, 201, description="The share."),
        )(add_wallet_share)

    @api.get("/shares", summary="List shares", responses=answers(ShareList, headers=COUNTED))
    def list_shares(query: SharesQuery) -> Response:
        """Newest first, by wallet, miner and time."""
        page = engine.shares.query(
            wallet_id=query.wallet_id,
            miner_id=query.miner_id,
            since=query.since,
            until=query.until,
            limit=query.limit,
            offset=query.offset,
        )
        return told_all(ShareAnswer, page.shares, page.total)

    @api.get(
        "/shares/export",
        summary="Download the log",
        responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    )
    def export_shares(query: ExportQuery) -> Response:
        """One line of JSON for each share, oldest first."""
        lines = engine.shares.export(query.since, query.until)
        answer = Response(lines, content_type="application/x-ndjson")
        answer.headers["Content-Disposition"] = 'attachment; filename="shares.jsonl"'
        return answer

    return api
