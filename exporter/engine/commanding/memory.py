"""What a plan remembers of its miner: stored before anything is sent, forgotten once it is of no use any more."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from exporter.engine.flock import Flock
from exporter.engine.miner import Miner
from exporter.errors import StoreError
from exporter.store.database import Database

log = logging.getLogger(__name__)


class PlanMemory:
    """The memory of one plan (`Plan.remember`). Lives on the engine's loop.

    Args:
        facts: what the plan remembers; None for what is to be forgotten.
    """

    def __init__(self, db: Database, flock: Flock, miner: Miner, facts: Mapping[str, str | float | None]) -> None:
        self._db = db
        self._flock = flock
        self._miner = miner
        self._told = {name: value for name, value in facts.items() if value is not None}
        self._over = {name: None for name, value in facts.items() if value is None}
        self._before: dict[str, str | float | None] = {}

    async def keep(self) -> None:
        """Store what the miner is about to forget; it is on the disk on return.

        Raises:
            StoreError: it is not, so nothing may be sent.
        """
        known = self._db.memories.of(self._miner.row.id)
        self._before = {name: known.get(name) for name in self._told}
        try:
            await self._remember(self._told)
        except StoreError as error:
            await self.take_back()
            raise StoreError(f"nothing was sent, since what the miner forgets cannot be stored: {error}") from error

    async def take_back(self) -> None:
        """Nothing was sent: what was remembered before is so again."""
        await self._remember_if_possible(self._before)

    async def forget(self) -> None:
        """The effect was seen: the miner knows by itself again what is forgotten now."""
        await self._remember_if_possible(self._over)

    async def _remember_if_possible(self, facts: Mapping[str, str | float | None]) -> None:
        try:
            await self._remember(facts)
        except StoreError as error:  # tried again by the database
            where = {"miner": self._miner.row.key}
            log.error("what is remembered of the miner is not on disk: %s", error, extra=where)  # noqa: TRY400 - a full disk

    async def _remember(self, facts: Mapping[str, str | float | None]) -> None:
        # A miner that was forgotten meanwhile has no row to go with.
        if facts and self._flock.get(self._miner.row.id) is self._miner:
            self._db.memories.remember(self._miner.row.id, facts)
            await self._db.commit()
