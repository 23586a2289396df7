"""The tables of USB boards: new ones that wait to be named, and commands for known ones."""

from __future__ import annotations

import time
from typing import Any, Final

from exporter.store.rows import MinerCommand, UnconfiguredDevice
from exporter.store.table import EditableTable, Journal, UniqueIndex

PENDING: Final = "pending"
RUNNING: Final = "running"
COMPLETE: Final = "complete"
ERROR: Final = "error"

#: Ended commands that are kept for each miner.
_KEPT: Final = 20


class UnconfiguredDevicesTable(EditableTable[UnconfiguredDevice]):
    """Boards that wait to be named. `key` is unique."""

    def __init__(self, journal: Journal) -> None:
        self._key_index = UniqueIndex[UnconfiguredDevice]("key", lambda row: row.key)
        super().__init__("unconfigured_devices", UnconfiguredDevice, journal, (self._key_index,))

    def by_key(self, key: str) -> UnconfiguredDevice | None:
        return self._found(self._key_index.id_of(key))

    def insert(self, **fields: Any) -> UnconfiguredDevice:
        """Add a board; `discovered_at` is now unless given. Raises as `MinersTable.insert`."""
        with self._journal.guard():
            fields.setdefault("discovered_at", time.time())
            return self._insert(**fields)


class MinerCommandsTable(EditableTable[MinerCommand]):
    """Commands by id; ended ones are kept for a while, so that a person sees what became of them."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("miner_commands", MinerCommand, journal)

    def of(self, miner_id: int) -> tuple[MinerCommand, ...]:
        """The commands of a miner, oldest first."""
        return tuple(row for row in self.all() if row.miner_id == miner_id)

    def add(self, miner_id: int, command: str, payload: str | None = None) -> MinerCommand:
        """Enqueue a command."""
        with self._journal.guard():
            ended = [row for row in self.of(miner_id) if row.status in (COMPLETE, ERROR)]
            for row in ended[: max(0, len(ended) - _KEPT + 1)]:
                self._put(row.id, None)
            made = self._codec.make(
                id=self._next_id, miner_id=miner_id, command=command, payload=payload, created_at=time.time()
            )
            self._put(self._new_id(), made)
            return made

    def delete_of(self, miner_id: int) -> None:
        """Forget all commands of a miner."""
        with self._journal.guard():
            for row in self.of(miner_id):
                self._put(row.id, None)
