"""Keeps the table of pool configurations in step with what the miners tell, and with the wallets.

Lives on the engine's loop as a watcher of the flock. A record whose pools are as they were costs one comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from exporter.engine.fleet import MinerRecord
from exporter.store.database import Database
from exporter.store.rows import MinerConfig
from exporter.text import clean_text
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.matching import Match, WalletBook, match
from exporter.wallets.pool_place import without_user
from exporter.wallets.pool_user import split_user

#: Pools of one miner that are looked at; no firmware has more.
_MOST_POOLS: Final = 16
_LONGEST: Final = 512
#: Miners that are matched anew before others on the loop have their turn.
_AT_ONCE: Final = 25

#: Per active pool its number (as the labels of a sample) and whether it is the linked wallet's.
Expected = tuple[tuple[tuple[str], bool], ...]


class _Told(NamedTuple):
    """A pool as a miner told it."""

    pool: str
    url: str | None
    user: str | None
    active: bool | None


_Plain = tuple[str, str | None, str | None, bool | None]


class Matcher:
    """See the module.

    Args:
        on_expected: told when it changes whether a miner's active pools are those of its linked wallet.
    """

    def __init__(self, db: Database, pools: PoolDirectory, on_expected: Callable[[int, Expected], None]) -> None:
        self._db = db
        self._pools = pools
        self._on_expected = on_expected
        self._book = WalletBook(db.wallets.all())
        self._seen: dict[int, tuple[str | None, list[_Plain]]] = {}
        self._turn = asyncio.Lock()

    # --- as a watcher of the flock ---

    def publish(self, record: MinerRecord) -> None:
        """Match a miner's pools where they are others than before; what it does not tell now stays as it was."""
        reading = record.reading
        pools = () if reading is None else reading.pools
        # Plain tuples: this runs at every poll of every miner.
        told = [
            (pool.pool, pool.url, pool.user, pool.active)
            for pool in pools
            if not pool.fee and (pool.url is not None or pool.user is not None)
        ]
        if record.usb is not None:
            told = self._of_board(record.id, told)
        before = self._seen.get(record.id)
        now = (record.currency, told) if told or before is None else (record.currency, before[1])
        if now != before:
            self._seen[record.id] = now
            if told or before is not None:
                self._match(record.id)

    def remove(self, miner_id: int) -> None:
        """The miner is forgotten, and so are its configurations."""
        self._seen.pop(miner_id, None)
        self._db.miner_configs.delete_of(miner_id)

    def _of_board(self, miner_id: int, told: list[_Plain]) -> list[_Plain]:
        """The pool of a board on USB, which prints it once, at its start; the row keeps what it said."""
        row = self._db.miners.get(miner_id)
        number, url, user, active = told[0] if told else ("0", None, None, None)
        if row is not None:
            url, user = row.pool_url or url, row.wallet_address or user
        return [(number, url, user, active)] if url is not None or user is not None else []

    def _told(self, miner_id: int) -> tuple[_Told, ...]:
        """The pools that a miner told last; none where it told of none since the program started."""
        return tuple(map(_Told._make, self._seen.get(miner_id, (None, []))[1][:_MOST_POOLS]))

    def in_use(self, config: MinerConfig) -> bool:
        """Whether work may be taken from this pool now: not where the miner says that it is another one's turn."""
        told = self._told(config.miner_id)
        working = {(_stored_url(pool.url), _stored_user(pool.user)) for pool in told if pool.active}
        return config.active and (not working or (config.pool_url, config.pool_user) in working)

    def in_order(self, miner_id: int, configs: Iterable[MinerConfig]) -> list[MinerConfig]:
        """A miner's configurations as it lists its pools; those that it has not told of last. From any thread."""
        told = [(_stored_url(pool.url), _stored_user(pool.user)) for pool in self._told(miner_id)]

        def place(config: MinerConfig) -> tuple[int, int]:
            here = (config.pool_url, config.pool_user)
            return (told.index(here) if here in told else len(told), config.id)

        return sorted(configs, key=place)

    # --- when wallets or pools change ---

    def use(self, pools: PoolDirectory) -> None:
        """Use another directory of pools; `match_all` follows."""
        self._pools = pools

    async def match_all(self) -> None:
        """Match every miner anew: a wallet or the directory of pools has changed. The caller commits."""
        async with self._turn:
            self._book = WalletBook(self._db.wallets.all())
            miners = tuple(dict.fromkeys(config.miner_id for config in self._db.miner_configs.all()))
            for start in range(0, len(miners), _AT_ONCE):
                with self._db.transaction():
                    for miner_id in miners[start : start + _AT_ONCE]:
                        self._match(miner_id)
                await asyncio.sleep(0)

    # --- matching ---

    def match_miner(self, miner_id: int) -> None:
        """Match one miner anew: it was linked by hand, or given back."""
        self._match(miner_id)

    def _match(self, miner_id: int) -> None:
        """Bring one miner's rows up to date; nothing is written where nothing changed."""
        configs = self._db.miner_configs.of(miner_id)
        told = self._told(miner_id)
        active = {(config.pool_url, config.pool_user) for config in configs if config.active}
        wanted = dict.fromkeys((_stored_url(pool.url), _stored_user(pool.user)) for pool in told) if told else active
        with self._db.transaction():
            self._store(miner_id, configs, tuple(wanted))
        self._on_expected(miner_id, self._expected(miner_id, told))

    def _store(
        self,
        miner_id: int,
        configs: tuple[MinerConfig, ...],
        wanted: tuple[tuple[str | None, str | None], ...],
    ) -> None:
        table = self._db.miner_configs
        row = self._db.miners.get(miner_id)
        currency = None if row is None else row.currency
        by_hand = next((config.wallet_id for config in configs if config.manual and config.wallet_id is not None), None)
        known = {(config.pool_url, config.pool_user): config for config in configs}
        for url, user in wanted:
            if url is None and user is None and by_hand is None:
                continue
            found = (
                match(url, user, currency, self._book, self._pools)
                if by_hand is None
                else Match(by_hand, split_user(user).worker, None)
            )
            fields = {
                "worker_name": found.worker,
                "wallet_id": found.wallet_id,
                "manual": by_hand is not None,
                "active": True,
                "reason": found.reason,
            }
            config = known.pop((url, user), None)
            if config is None:
                table.add(miner_id, pool_url=url, pool_user=user, **fields)
            elif any(getattr(config, name) != value for name, value in fields.items()):
                table.update(config.id, **fields)
        self._end(known.values())

    def _end(self, configs: Iterable[MinerConfig]) -> None:
        """Configurations that a miner has no more. They keep the wallet they had, for the shares of that time."""
        for config in configs:
            if config.pool_url is None and config.pool_user is None:
                self._db.miner_configs.delete(config.id)  # held a link while the miner had told of no pool
            elif config.active or config.manual:
                self._db.miner_configs.update(config.id, active=False, manual=False)

    # --- is it the pool that it should be? ---

    def _expected(self, miner_id: int, told: tuple[_Told, ...]) -> Expected:
        """Per active pool whether its host and address are those of the linked wallet; nothing without a link.

        A miner that has left its wallet's pool for a place of no tracked wallet still has its link here: that is what
        an alarm waits for.
        """
        configs = self._db.miner_configs.of(miner_id)
        linked = _linked(configs, self._book)
        if not linked:
            return ()
        row = self._db.miners.get(miner_id)
        currency = None if row is None else row.currency
        active = (one for one in configs if one.active and not one.manual)
        matched = {(one.pool_url, one.pool_user) for one in active if one.wallet_id is not None}

        def fits(pool: _Told) -> bool:
            if (_stored_url(pool.url), _stored_user(pool.user)) in matched:
                return True
            books = (self._book.only(wallet_id) for wallet_id in linked)
            return any(match(pool.url, pool.user, currency, book, self._pools).reason is None for book in books)

        return tuple(((pool.pool,), fits(pool)) for pool in _active(told))


def _linked(configs: tuple[MinerConfig, ...], book: WalletBook) -> tuple[int, ...]:
    """The wallets that a miner is linked to: by its present configurations, else by the last one that had a wallet."""
    now = [config.wallet_id for config in configs if config.active and config.wallet_id is not None]
    before = [config.wallet_id for config in configs if config.wallet_id is not None][-1:]
    return tuple(dict.fromkeys(wallet_id for wallet_id in now or before if wallet_id in book))


def _active(told: tuple[_Told, ...]) -> tuple[_Told, ...]:
    """The pools that work is taken from; the only one where the miner does not say which."""
    active = tuple(pool for pool in told if pool.active)
    return told if not active and len(told) == 1 and told[0].active is None else active


def _stored_url(url: str | None) -> str | None:
    return clean_text(without_user(url), _LONGEST)


def _stored_user(user: str | None) -> str | None:
    return clean_text(user, _LONGEST)
