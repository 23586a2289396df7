"""Wallets, what their pools say of them, and which miners mine to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exporter.store.rows import MinerConfig, Wallet
from exporter.units import Difficulty, HashesPerSecond, UnixSeconds


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker as a pool sees it."""

    name: str
    hashrate: HashesPerSecond | None = None
    best_share_difficulty: Difficulty | None = None
    last_share: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool says of a wallet.

    Attributes:
        hashrates: (window, H/s) pairs, windows as Prometheus durations ("1m", "1h", "1d").
        workers_count: how many the pool sees; `workers` may be fewer or empty.
        unpaid: in whole coins, None where the pool keeps no balance.
        refreshed_at: when the pool answered.
    """

    hashrates: tuple[tuple[str, HashesPerSecond], ...] = ()
    workers_count: int | None = None
    workers: tuple[WorkerStatistics, ...] = ()
    best_share_difficulty: Difficulty | None = None
    shares_accepted: float | None = None
    last_share: UnixSeconds | None = None
    unpaid: float | None = None
    refreshed_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet with all that is known of it now.

    Attributes:
        pool_name: how people call the pool; None for any.
        statistics: None before the first answer, ten minutes after the last one, or where switched off.
        error: why the last refresh failed, None after a success.
        miners: ids of the miners linked by an active configuration.
        asking: whether the pool is being asked now.
        askable: whether a server is known that can be asked about it.
    """

    wallet: Wallet
    pool_name: str | None
    statistics: PoolStatistics | None
    error: str | None
    miners: tuple[int, ...]
    asking: bool = False
    askable: bool = True


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """A pool that statistics can be had from. `name` is what `Wallet.pool` holds."""

    name: str
    display_name: str
    currencies: tuple[str, ...]
    hosts: tuple[str, ...]


class WalletsApi(Protocol):
    """See the module and the package."""

    def all(self) -> tuple[WalletView, ...]: ...

    def get(self, wallet_id: int) -> WalletView | None: ...

    def add(self, name: str, address: str, currency: str, pool: str | None = None) -> Wallet:
        """Track a wallet and match all miners anew.

        Raises:
            FieldError: an empty or long name; an unknown currency; an address that its checksum refuses, with
                the reason; a pool that is neither an adapter nor host:port.
            TakenError: the name is taken, or the wallet is tracked already.
        """
        ...

    def change(self, wallet_id: int, changes: Mapping[str, Any]) -> Wallet:
        """Change name, address, currency or pool; raises as `add`, and `UnknownError`."""
        ...

    def delete(self, wallet_id: int) -> None:
        """Track a wallet no more; links to it end."""
        ...

    def refresh(self, wallet_id: int) -> WalletView:
        """Ask the pool now, at most once a minute for each wallet; sooner calls give what is there.

        Waits two seconds at most; a pool that takes longer is asked on, and `asking` of the view is true.
        """
        ...

    def pools(self) -> tuple[PoolChoice, ...]: ...

    def configs(self, miner_id: int) -> tuple[MinerConfig, ...]:
        """The pool configurations seen on a miner: active ones in the miner's order, then the latest first."""
        ...

    def link(self, miner_id: int, wallet_id: int | None) -> tuple[MinerConfig, ...]:
        """Link a miner's active configurations to a wallet by hand; None gives it back to matching.

        Raises:
            UnknownError: no such miner or wallet.
        """
        ...
