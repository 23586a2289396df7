"""The tables of wallets and of the pool configurations that link miners to them."""

from __future__ import annotations

import time
from typing import Any, Final

from exporter.store.rows import MinerConfig, Wallet
from exporter.store.table import EditableTable, GroupIndex, Journal, UniqueIndex

#: Configurations that are no more, kept for each miner.
_KEPT: Final = 8


class MinerConfigsTable(EditableTable[MinerConfig]):
    """Pool configurations by miner."""

    def __init__(self, journal: Journal) -> None:
        self._miner_index = GroupIndex[MinerConfig](lambda row: str(row.miner_id))
        self._wallet_index = GroupIndex[MinerConfig](lambda row: None if row.wallet_id is None else str(row.wallet_id))
        super().__init__("miner_configs", MinerConfig, journal, (self._miner_index, self._wallet_index))

    def of(self, miner_id: int) -> tuple[MinerConfig, ...]:
        """The configurations of a miner, oldest first."""
        found = (self._found(row_id) for row_id in self._miner_index.ids_of(str(miner_id)))
        return tuple(row for row in found if row is not None)

    def of_wallet(self, wallet_id: int) -> tuple[MinerConfig, ...]:
        """The configurations that are linked to a wallet."""
        found = (self._found(row_id) for row_id in self._wallet_index.ids_of(str(wallet_id)))
        return tuple(row for row in found if row is not None)

    def add(self, miner_id: int, **fields: Any) -> MinerConfig:
        """Add a configuration; the oldest ones that are no more make room. Raises `TypeError`, `ValueError`."""
        with self._journal.guard():
            fields.setdefault("detected_at", time.time())
            row = self._codec.make(id=self._next_id, miner_id=miner_id, **fields)
            ended = [one for one in self.of(miner_id) if not one.active and not one.manual]
            for one in ended[: max(0, len(ended) - _KEPT + 1)]:
                self._put(one.id, None)
            self._put(self._new_id(), row)
            return row

    def delete_of(self, miner_id: int) -> None:
        """Forget all configurations of a miner."""
        with self._journal.guard():
            for row in self.of(miner_id):
                self._put(row.id, None)


class WalletsTable(EditableTable[Wallet]):
    """Wallets. The name is unique, and so are currency, address and pool together.

    Links to a wallet that is deleted are the caller's to mend, in one transaction.
    """

    def __init__(self, journal: Journal) -> None:
        self._name_index = UniqueIndex[Wallet]("name", lambda row: row.name.casefold())
        self._place_index = UniqueIndex[Wallet]("wallet", lambda row: f"{row.currency} {row.address} {row.pool or ''}")
        super().__init__("wallets", Wallet, journal, (self._name_index, self._place_index))

    def insert(self, **fields: Any) -> Wallet:
        """Add a wallet. Raises `TypeError`, `ValueError`, `DuplicateKey`."""
        with self._journal.guard():
            fields.setdefault("created_at", time.time())
            return self._insert(**fields)
