"""The wallets and the share log of `FakeEngine`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.engine.api.shares import Share, SharePage, ShareSums
from exporter.engine.api.wallets import PoolChoice, PoolStatistics, WalletView, WorkerStatistics
from exporter.engine.onboarding import CURRENCIES
from exporter.errors import FieldError, TakenError, UnknownError
from exporter.store.rows import MinerConfig, Wallet
from tests.ui.fake_records import BCH_ADDRESS, BTC_ADDRESS, DAY

POOLS = (
    PoolChoice("ckpool_btc", "Solo CKPool", ("BTC",), ("solo.ckpool.org",)),
    PoolChoice("public_pool", "Public Pool", ("BTC",), ("public-pool.io",)),
)


class FakeWallets:
    """`WalletsApi`: one wallet with statistics, one whose pool does not answer."""

    def __init__(self, engine: Any, *, empty: bool) -> None:
        self._engine = engine
        now = time.time()
        self._wallets = {} if empty else {
            1: Wallet(1, "Solo savings", "BTC", BTC_ADDRESS, "ckpool_btc", now - 30 * DAY),
            2: Wallet(2, "Cash", "BCH", BCH_ADDRESS, None, now - 3 * DAY),
        }  # fmt: skip
        #: Ids of wallets whose pool is slow.
        self.asking: set[int] = set()
        self._configs: list[MinerConfig] = [] if empty else self._seen_configs(now)
        self.statistics = PoolStatistics(
            (("1m", 6.1e12), ("1h", 5.9e12), ("1d", 5.6e12)), 3,
            (WorkerStatistics("garage", 1.07e12, 4.2e9, now - 30), WorkerStatistics("s19", 9.3e13, 8.8e10, now - 4)),
            8.8e10, 1.2e9, now - 4, 0.0125, now - 40,
        )  # fmt: skip

    def _seen_configs(self, now: float) -> list[MinerConfig]:
        url, made = "stratum+tcp://solo.ckpool.org:3333", []
        for row in self._engine.rows.values():
            number = len(made) + 1
            if row.id in (1, 2, 3, 9):
                made.append(
                    MinerConfig(
                        number, row.id, url, f"{BTC_ADDRESS}.w{row.id}", f"w{row.id}", 1, row.id == 2, True, None, now
                    )
                )
            elif row.id == 7:
                made.append(
                    MinerConfig(
                        number,
                        7,
                        "stratum+tcp://btc.f2pool.com:1314",
                        "shepherd.m30s",
                        "m30s",
                        None,
                        False,
                        True,
                        "no_address_in_user",
                        now,
                    )
                )
        return made  # fmt: skip

    def _view(self, wallet: Wallet) -> WalletView:
        names = {pool.name: pool.display_name for pool in POOLS}
        return WalletView(
            wallet,
            names.get(wallet.pool or "", wallet.pool),
            self.statistics if wallet.id == 1 else None,
            "the pool did not answer within 10 s" if wallet.id == 2 else None,
            tuple(sorted({one.miner_id for one in self._configs if one.active and one.wallet_id == wallet.id})),
            wallet.id in self.asking,
            wallet.id == 2 or wallet.pool in names,
        )

    def all(self) -> tuple[WalletView, ...]:
        return tuple(self._view(wallet) for wallet in self._wallets.values())

    def get(self, wallet_id: int) -> WalletView | None:
        wallet = self._wallets.get(wallet_id)
        return None if wallet is None else self._view(wallet)

    def _existing(self, wallet_id: int) -> Wallet:
        if wallet_id not in self._wallets:
            raise UnknownError(f"no wallet has the id {wallet_id}")
        return self._wallets[wallet_id]

    def _check(self, wallet: Wallet) -> Wallet:
        if not 1 <= len(wallet.name.strip()) <= 64 or not wallet.name.isprintable():
            raise FieldError("name: must be 1 to 64 printable characters", "name")
        if wallet.currency not in CURRENCIES:
            raise FieldError(f"currency: must be one of {', '.join(CURRENCIES)}", "currency")
        if len(wallet.address) < 14:
            raise FieldError("address: is too short for any address", "address")
        if wallet.pool is not None and wallet.pool not in [pool.name for pool in POOLS] and ":" not in wallet.pool:
            raise FieldError("pool: must be the name of a pool or host:port", "pool")
        others = [one for one in self._wallets.values() if one.id != wallet.id]
        if any(one.name.casefold() == wallet.name.casefold() for one in others):
            raise TakenError("name: another wallet is called so", "name")
        if any(
            (one.currency, one.address, one.pool) == (wallet.currency, wallet.address, wallet.pool) for one in others
        ):
            raise TakenError("address: this wallet is tracked already", "address")
        return wallet

    def add(self, name: str, address: str, currency: str, pool: str | None = None) -> Wallet:
        self._engine.writes()
        number = max(self._wallets, default=0) + 1
        self._wallets[number] = self._check(Wallet(number, name, currency, address, pool, time.time()))
        return self._wallets[number]

    def change(self, wallet_id: int, changes: Mapping[str, Any]) -> Wallet:
        self._engine.writes()
        self._wallets[wallet_id] = self._check(dataclasses.replace(self._existing(wallet_id), **changes))
        return self._wallets[wallet_id]

    def delete(self, wallet_id: int) -> None:
        self._engine.writes()
        self._existing(wallet_id)
        del self._wallets[wallet_id]
        self._configs = [
            dataclasses.replace(one, wallet_id=None, manual=False, reason="no_wallets")
            if one.wallet_id == wallet_id
            else one
            for one in self._configs
        ]

    def refresh(self, wallet_id: int) -> WalletView:
        self._engine.writes()
        return self._view(self._existing(wallet_id))

    def pools(self) -> tuple[PoolChoice, ...]:
        return POOLS

    def configs(self, miner_id: int) -> tuple[MinerConfig, ...]:
        return tuple(one for one in self._configs if one.miner_id == miner_id)

    def link(self, miner_id: int, wallet_id: int | None) -> tuple[MinerConfig, ...]:
        self._engine.writes()
        self._engine.row(miner_id)
        if wallet_id is not None:
            self._existing(wallet_id)
        changed = {
            "wallet_id": wallet_id,
            "manual": wallet_id is not None,
            "reason": None if wallet_id else "no_wallets",
        }
        if not self.configs(miner_id):
            self._configs.append(MinerConfig(len(self._configs) + 1, miner_id, "pool.example:3333", "user", None))
        self._configs = [
            dataclasses.replace(one, **changed) if one.miner_id == miner_id else one for one in self._configs
        ]
        return self.configs(miner_id)


class FakeShares:
    """`SharesApi`: 150 shares of two miners, every tenth rejected, every third derived."""

    def __init__(self, engine: Any, *, empty: bool) -> None:
        self._engine = engine
        now = time.time()
        self._shares = [] if empty else [
            Share(
                number, now - 600 * (151 - number), 1, 1 if number % 2 else 9, "Solo CKPool", "garage", 1.5e4 * number,
                number % 10 != 0, "derived" if number % 3 == 0 else "event", 4 if number % 3 == 0 else 1,
                "stale" if number % 10 == 0 else None,
            )
            for number in range(1, 151)
        ]  # fmt: skip

    def _matching(
        self, wallet_id: int | None, miner_id: int | None, since: float | None, until: float | None
    ) -> list[Share]:
        return [
            share
            for share in self._shares
            if wallet_id in (None, share.wallet_id)
            and miner_id in (None, share.miner_id)
            and (since is None or share.timestamp >= since)
            and (until is None or share.timestamp < until)
        ]

    def query(
        self, *, wallet_id: int | None = None, miner_id: int | None = None, since: float | None = None,
        until: float | None = None, limit: int = 100, offset: int = 0,
    ) -> SharePage:  # fmt: skip
        found = self._matching(wallet_id, miner_id, since, until)[::-1]
        return SharePage(tuple(found[offset : offset + limit]), len(found))

    def add(
        self, wallet_id: int, *, pool_name: str, difficulty: float, worker_name: str | None = None,
        accepted: bool = True, timestamp: float | None = None, miner_id: int | None = None,
    ) -> Share:  # fmt: skip
        self._engine.writes()
        if self._engine.wallets.get(wallet_id) is None:
            raise UnknownError(f"no wallet has the id {wallet_id}")
        if miner_id is not None:
            self._engine.row(miner_id)
        if difficulty <= 0:
            raise FieldError("difficulty: must be above zero", "difficulty")
        if timestamp is not None and timestamp > time.time() + 60:
            raise FieldError("timestamp: lies in the future", "timestamp")
        number = len(self._shares) + 1
        at = time.time() if timestamp is None else timestamp
        made = Share(number, at, wallet_id, miner_id, pool_name, worker_name, difficulty, accepted, "manual")
        self._shares.append(made)
        return made

    def sums(self, *, wallet_id: int | None = None, miner_id: int | None = None, hours: float = 24.0) -> ShareSums:
        since = time.time() - hours * 3600
        found = self._matching(wallet_id, miner_id, since, None)
        best = [share.difficulty for share in found if share.count == 1 and share.difficulty is not None]
        accepted = sum(share.count for share in found if share.accepted)
        return ShareSums(
            accepted, sum(share.count for share in found if not share.accepted), max(best, default=None), since
        )

    def export(self, since: float | None = None, until: float | None = None) -> Iterator[bytes]:
        for share in self._matching(None, None, since, until):
            yield json.dumps(dataclasses.asdict(share)).encode() + b"\n"
