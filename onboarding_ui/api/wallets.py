"""``/api/wallets``: wallets, what their pools say of them, and the miners that mine to them."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.api.wallets import WalletView
from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import (
    COUNTED,
    CURRENCY,
    LOCATED,
    Answer,
    Body,
    Id,
    ListQuery,
    Pairs,
    answers,
    blueprint,
    extras,
    found,
    made,
    nothing,
    part,
    told_part,
)


class WalletPath(BaseModel):
    """The wallet."""

    wallet_id: Id = Field(description="Id of a wallet.", json_schema_extra={"example": 1})


class WorkerAnswer(Answer):
    """One worker as a pool sees it."""

    name: str
    hashrate: float | None
    best_share_difficulty: float | None
    last_share: float | None


class StatisticsAnswer(Answer):
    """What a pool says of a wallet."""

    hashrates: Pairs = Field(description="H/s by window: 1m, 1h, 1d.")
    workers_count: int | None
    workers: list[WorkerAnswer]
    best_share_difficulty: float | None
    shares_accepted: float | None
    last_share: float | None
    unpaid: float | None = Field(description="In whole coins; null where the pool keeps no balance.")
    refreshed_at: float | None


class WalletAnswer(Answer):
    """A wallet."""

    id: int
    name: str
    currency: str
    address: str
    pool: str | None = Field(description="Name of a pool, or host:port; null for any.")
    pool_name: str | None = Field(description="How people call the pool.")
    created_at: float | None
    statistics: StatisticsAnswer | None = Field(description="Null before the first answer and ten minutes after one.")
    error: str | None = Field(description="Why the pool was not read.")
    miners: list[int] = Field(description="Ids of the miners that mine to it.")
    asking: bool = Field(description="Whether the pool is being asked now; what it says comes with a later answer.")


class WalletList(RootModel[list[WalletAnswer]]):
    """Wallets."""


class PoolChoiceAnswer(Answer):
    """A pool that statistics can be had from."""

    name: str = Field(description="What the field `pool` of a wallet takes.")
    display_name: str
    currencies: list[str]
    hosts: list[str]


class PoolChoiceList(RootModel[list[PoolChoiceAnswer]]):
    """Pools."""


class WalletAdd(Body):
    """A wallet to track."""

    model_config = extras(
        example={"name": "Savings", "address": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "currency": "BTC"}
    )

    name: str = Field(min_length=1, max_length=64)
    address: str = Field(min_length=1, max_length=256, description="Checked by the rules of its currency.")
    currency: Annotated[str, CURRENCY] = Field(
        min_length=1, max_length=16, description="BTC, BCH, DGB, DOGE, LTC, NMC, XEC or OTHER."
    )
    pool: str | None = Field(
        None, max_length=261, description="Name of a pool (/api/pools), host:port or a URL; null for any."
    )


class WalletChange(Body):
    """What to change; what is left out stays."""

    model_config = extras(example={"name": "Long-term savings"})

    name: str = Field("", min_length=1, max_length=64)
    address: str = Field("", min_length=1, max_length=256)
    currency: Annotated[str, CURRENCY] = Field("", min_length=1, max_length=16)
    pool: str | None = Field(None, max_length=261)


def wallet_json(view: WalletView) -> dict[str, Any]:
    """The document of `WalletAnswer`."""
    wallet = view.wallet
    answer = WalletAnswer.model_validate(
        {
            "id": wallet.id,
            "name": wallet.name,
            "currency": wallet.currency,
            "address": wallet.address,
            "pool": wallet.pool,
            "pool_name": view.pool_name,
            "created_at": wallet.created_at,
            "statistics": view.statistics,
            "error": view.error,
            "miners": view.miners,
            "asking": view.asking,
        }
    )
    return answer.model_dump(mode="json")


def wallets_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("wallets", "Wallets", "Wallets and what their pools say of them.")

    def one(wallet_id: int) -> dict[str, Any]:
        return wallet_json(found(engine.wallets.get(wallet_id), "wallet", wallet_id))

    @api.get("/wallets", summary="List wallets", responses=answers(WalletList, headers=COUNTED))
    def list_wallets(query: ListQuery) -> Response:
        """With the latest statistics of their pools."""
        views = engine.wallets.all()
        return made([wallet_json(view) for view in part(views, query)], X_Total_Count=str(len(views)))

    @api.post(
        "/wallets",
        summary="Track a wallet",
        responses=answers(WalletAnswer, 201, errors=(409,), description="The new wallet.", headers=LOCATED),
    )
    def add_wallet(body: WalletAdd) -> Response:
        """All miners are matched anew."""
        wallet = engine.wallets.add(body.name, body.address, body.currency, body.pool)
        return made(one(wallet.id), 201, Location=f"/api/wallets/{wallet.id}")

    @api.get("/wallets/<int:wallet_id>", summary="Show a wallet", responses=answers(WalletAnswer))
    def get_wallet(path: WalletPath) -> Response:
        """With the latest statistics of its pool."""
        return made(one(path.wallet_id))

    @api.patch("/wallets/<int:wallet_id>", summary="Change a wallet", responses=answers(WalletAnswer, errors=(409,)))
    def change_wallet(path: WalletPath, body: WalletChange) -> Response:
        """All miners are matched anew."""
        engine.wallets.change(path.wallet_id, body.model_dump(exclude_unset=True))
        return made(one(path.wallet_id))

    @api.delete("/wallets/<int:wallet_id>", summary="Track a wallet no more", responses=answers(status=204))
    def delete_wallet(path: WalletPath) -> Response:
        """Links of miners to it end."""
        engine.wallets.delete(path.wallet_id)
        return nothing()

    @api.post("/wallets/<int:wallet_id>/refresh", summary="Ask the pool now", responses=answers(WalletAnswer))
    def refresh_wallet(path: WalletPath) -> Response:
        """At most once a minute; sooner calls answer what is there.

        Waits two seconds at most; the answer of a slower pool comes later, and `asking` is true until then.
        """
        return made(wallet_json(engine.wallets.refresh(path.wallet_id)))

    @api.get("/pools", summary="List pools", responses=answers(PoolChoiceList, headers=COUNTED))
    def list_pools(query: ListQuery) -> Response:
        """Pools that statistics can be had from."""
        return told_part(PoolChoiceAnswer, engine.wallets.pools(), query)

    return api
