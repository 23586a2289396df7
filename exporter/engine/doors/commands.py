"""The door to commands."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.commands import Bulk, CommandRun, Offers, Order
from exporter.engine.engine import Engine

#: A look at a device's ranges, a sign-in and the log's disk take this long at most, in seconds.
_PATIENCE = 90.0


class CommandsDoor:
    """See `exporter.engine.api.commands.CommandsApi`."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._engine = engine

    def enabled(self) -> bool:
        return self._engine.commands.enabled

    def offers(self, miner_id: int) -> Offers:
        return self._caller.call_outside(lambda: self._engine.commands.offers(miner_id), _PATIENCE)

    def start(self, miner_id: int, order: Order, who: str) -> CommandRun:
        return self._caller.call_outside(lambda: self._engine.commands.start(miner_id, order, who), _PATIENCE)

    def get(self, command_id: int) -> CommandRun | None:
        return self._engine.commands.audit.get(command_id)

    def wait(self, command_id: int, seconds: float) -> CommandRun | None:
        return self._caller.call(lambda: self._engine.commands.wait(command_id, seconds), seconds + 10.0)

    def recent(self, miner_id: int | None = None, limit: int = 100, offset: int = 0) -> tuple[CommandRun, ...]:
        return self._engine.commands.audit.recent(miner_id)[offset : offset + limit]

    def count(self, miner_id: int | None = None) -> int:
        return len(self._engine.commands.audit.recent(miner_id))

    def start_bulk(
        self,
        miner_ids: Sequence[int],
        order: Order,
        who: str,
        *,
        dry_run: bool = False,
        parallel: int = 10,
        stagger_seconds: float = 0.0,
    ) -> Bulk:
        async def begin() -> Bulk:
            names = {record.id: record.name for record in self._engine.flock.records.values()}
            targets = [(miner_id, names.get(miner_id, f"miner {miner_id}")) for miner_id in miner_ids]
            return await self._engine.bulk_commands.start(
                targets, order, who, dry_run=dry_run, parallel=parallel, stagger_seconds=stagger_seconds
            )

        return self._caller.call(begin)

    def bulk(self, bulk_id: int) -> Bulk | None:
        async def look() -> Bulk | None:
            return self._engine.bulk_commands.get(bulk_id)

        return self._caller.call(look)

    def cancel_bulk(self, bulk_id: int) -> Bulk:
        async def cancel() -> Bulk:
            return self._engine.bulk_commands.cancel(bulk_id)

        return self._caller.call(cancel)
