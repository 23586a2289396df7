"""Wallets as the engine holds them: kept, matched and refreshed. On the engine's loop, except where said otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exporter.config import Pools
from exporter.engine.api.wallets import PoolChoice, PoolStatistics, WalletView
from exporter.errors import UnknownError
from exporter.store.database import Database
from exporter.store.rows import MinerConfig, Wallet
from exporter.wallets.adapters.loader import load_adapters
from exporter.wallets.directory import PoolDirectory, Source
from exporter.wallets.matcher import Expected, Matcher
from exporter.wallets.pool_place import PoolPlace, read_place
from exporter.wallets.statistics import StatisticsService
from exporter.wallets.tracked import FIELDS, checked_wallet, refuse_taken

log = logging.getLogger(__name__)


class WalletService:
    """See the module. `views`, `view`, `told`, `choices` and `configs` may be called from any thread.

    Args:
        pools: the section of that name of the configuration.
        on_expected: see `Matcher`.
    """

    def __init__(self, db: Database, pools: Pools, on_expected: Callable[[int, Expected], None]) -> None:
        self._db = db
        self._adapters = load_adapters()
        self._pools = pools
        self._directory = self._new_directory(pools)
        #: To be put among the watchers of the flock, before those that look at `Database.miner_configs`.
        self.matcher = Matcher(db, self._directory, on_expected)
        self.statistics = StatisticsService(db.wallets.all, self._sources)
        self.statistics.enabled = pools.statistics

    # --- life ---

    def start(self) -> None:
        """Begin to refresh the pools' statistics."""
        self.statistics.start()

    async def stop(self) -> None:
        await self.statistics.stop()

    async def apply(self, pools: Pools) -> None:
        """Use a re-read configuration."""
        self.statistics.enabled = pools.statistics
        if pools != self._pools:
            self._pools, self._directory = pools, self._new_directory(pools)
            self.matcher.use(self._directory)
            await self.matcher.match_all()

    def _new_directory(self, pools: Pools) -> PoolDirectory:
        directory = PoolDirectory(self._adapters, pools.hosts)
        for fault in directory.unknown:
            log.warning("%s; the entry is left out", fault)
        return directory

    # --- read side ---

    def views(self) -> tuple[WalletView, ...]:
        """Every wallet in order of its name."""
        return tuple(
            self._view(wallet) for wallet in sorted(self._db.wallets.all(), key=lambda one: one.name.casefold())
        )

    def view(self, wallet_id: int) -> WalletView | None:
        wallet = self._db.wallets.get(wallet_id)
        return None if wallet is None else self._view(wallet)

    def told(self) -> Iterator[tuple[Wallet, str | None, PoolStatistics | None]]:
        """Each wallet with the name of its pool and what the pool said; from any thread."""
        for wallet in self._db.wallets.all():
            yield wallet, self._directory.display_name(wallet.pool), self.statistics.view(wallet.id)[0]

    def linked(self, wallet_id: int) -> tuple[int, ...]:
        """The ids of the miners whose present configuration is of a wallet, in order; from any thread."""
        return tuple(sorted({one.miner_id for one in self._db.miner_configs.of_wallet(wallet_id) if one.active}))

    def choices(self) -> tuple[PoolChoice, ...]:
        return self._directory.choices()

    def configs(self, miner_id: int) -> tuple[MinerConfig, ...]:
        """A miner's configurations: active ones as the miner lists its pools, then those of before, latest first."""
        configs = self._db.miner_configs.of(miner_id)
        active = self.matcher.in_order(miner_id, (one for one in configs if one.active))
        return (*active, *(one for one in reversed(configs) if not one.active))

    def _view(self, wallet: Wallet) -> WalletView:
        statistics, error = self.statistics.view(wallet.id)
        pool = self._directory.display_name(wallet.pool)
        asking, askable = self.statistics.asking(wallet.id), bool(self._sources(wallet))
        return WalletView(wallet, pool, statistics, error, self.linked(wallet.id), asking, askable)

    def _sources(self, wallet: Wallet) -> tuple[Source, ...]:
        configs = self._db.miner_configs.of_wallet(wallet.id)
        places = (read_place(config.pool_url) for config in configs if self.matcher.in_use(config))
        return self._directory.sources(wallet, dict.fromkeys(place for place in places if isinstance(place, PoolPlace)))

    # --- changes; each is on disk when it returns ---

    async def add(self, fields: Mapping[str, Any]) -> Wallet:
        """Track a wallet. Raises `FieldError`, `TakenError`."""
        checked = checked_wallet(fields, self._directory)
        refuse_taken(checked, self._db.wallets.all())
        wallet = self._db.wallets.insert(**checked)
        await self._matched()
        return wallet

    async def change(self, wallet_id: int, changes: Mapping[str, Any]) -> Wallet:
        """Change a wallet. Raises `UnknownError`, `FieldError`, `TakenError`."""
        before = self._known(wallet_id)
        checked = checked_wallet({**{name: getattr(before, name) for name in FIELDS}, **changes}, self._directory)
        refuse_taken(checked, (other for other in self._db.wallets.all() if other.id != wallet_id))
        with self._db.transaction():
            wallet = self._db.wallets.update(wallet_id, **checked)
            if (wallet.currency, wallet.address) != (before.currency, before.address):
                self._unlink(wallet_id, lambda config: not config.active)
        if (wallet.currency, wallet.address, wallet.pool) != (before.currency, before.address, before.pool):
            self.statistics.forget(wallet_id)
        await self._matched()
        return wallet

    async def delete(self, wallet_id: int) -> None:
        """Track a wallet no more. Raises `UnknownError`."""
        self._known(wallet_id)
        with self._db.transaction():
            self._unlink(wallet_id, lambda _: True)
            self._db.wallets.delete(wallet_id)
        self.statistics.forget(wallet_id)
        await self._matched()

    async def link(self, miner_id: int, wallet_id: int | None) -> tuple[MinerConfig, ...]:
        """Link a miner by hand, or give it back to matching. Raises `UnknownError`."""
        if self._db.miners.get(miner_id) is None:
            raise UnknownError(f"no miner has the id {miner_id}; GET /api/miners lists them")
        table = self._db.miner_configs
        with self._db.transaction():
            configs = table.of(miner_id)
            if wallet_id is None:
                for config in configs:
                    if config.manual:
                        table.update(config.id, manual=False, wallet_id=None)
            else:
                self._known(wallet_id)
                active = [config for config in configs if config.active]
                for config in active:
                    table.update(config.id, manual=True, wallet_id=wallet_id, reason=None)
                if not active:
                    table.add(miner_id, manual=True, wallet_id=wallet_id)
            self.matcher.match_miner(miner_id)
        await self._db.commit()
        return self.configs(miner_id)

    async def refresh(self, wallet_id: int) -> WalletView:
        """Ask the wallet's pool now, where it was not asked within the last minute; see `StatisticsService.refresh`.

        Raises `UnknownError`, also where the wallet is deleted meanwhile.
        """
        await self.statistics.refresh(self._known(wallet_id))
        return self._view(self._known(wallet_id))

    def _known(self, wallet_id: int) -> Wallet:
        wallet = self._db.wallets.get(wallet_id)
        if wallet is None:
            raise UnknownError(f"no wallet has the id {wallet_id}; GET /api/wallets lists them")
        return wallet

    def _unlink(self, wallet_id: int, which: Callable[[MinerConfig], bool]) -> None:
        for config in self._db.miner_configs.of_wallet(wallet_id):
            if which(config):
                self._db.miner_configs.update(config.id, wallet_id=None, manual=False)

    async def _matched(self) -> None:
        await self.matcher.match_all()
        await self._db.commit()
