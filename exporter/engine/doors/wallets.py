"""The door to wallets and to the links of miners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.wallets import PoolChoice, WalletView
from exporter.engine.engine import Engine
from exporter.store.rows import MinerConfig, Wallet


class WalletsDoor:
    """`WalletsApi` over the engine."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._service = engine.wallets

    def all(self) -> tuple[WalletView, ...]:
        """See `WalletsApi`."""
        return self._service.views()

    def get(self, wallet_id: int) -> WalletView | None:
        """See `WalletsApi`."""
        return self._service.view(wallet_id)

    def add(self, name: str, address: str, currency: str, pool: str | None = None) -> Wallet:
        """See `WalletsApi`."""
        fields = {"name": name, "address": address, "currency": currency, "pool": pool}
        return self._caller.call(lambda: self._service.add(fields))

    def change(self, wallet_id: int, changes: Mapping[str, Any]) -> Wallet:
        """See `WalletsApi`."""
        return self._caller.call(lambda: self._service.change(wallet_id, changes))

    def delete(self, wallet_id: int) -> None:
        """See `WalletsApi`."""
        self._caller.call(lambda: self._service.delete(wallet_id))

    def refresh(self, wallet_id: int) -> WalletView:
        """See `WalletsApi`."""
        return self._caller.call_outside(lambda: self._service.refresh(wallet_id))

    def pools(self) -> tuple[PoolChoice, ...]:
        """See `WalletsApi`."""
        return self._service.choices()

    def configs(self, miner_id: int) -> tuple[MinerConfig, ...]:
        """See `WalletsApi`."""
        return self._service.configs(miner_id)

    def link(self, miner_id: int, wallet_id: int | None) -> tuple[MinerConfig, ...]:
        """See `WalletsApi`."""
        return self._caller.call(lambda: self._service.link(miner_id, wallet_id))
