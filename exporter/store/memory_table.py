"""What miners forget and commands want again, by id of the miner (see `Plan.remember`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.store.rows import MinerMemory
from exporter.store.table import Journal, RowTable


class MemoriesTable(RowTable[MinerMemory]):
    """Facts by name for each miner."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("memories", MinerMemory, journal)

    def of(self, miner_id: int) -> Mapping[str, str | float]:
        """What is remembered of a miner; empty where nothing is."""
        row = self._found(miner_id)
        return MappingProxyType({}) if row is None else row.facts

    def remember(self, miner_id: int, facts: Mapping[str, str | float | None]) -> None:
        """Add facts to those of a miner, in place of former ones of the same names; None forgets one.

        Raises:
            TypeError, ValueError: a value that is neither text nor a finite number.
        """
        with self._journal.guard():
            known = {name: value for name, value in {**self.of(miner_id), **facts}.items() if value is not None}
            self._put(miner_id, self._codec.make(id=miner_id, facts=known) if known else None)

    def delete(self, miner_id: int) -> None:
        """Forget all of a miner, if there is anything."""
        with self._journal.guard():
            self._put(miner_id, None)
