"""The door to the miners: stored rows, adding, changing, asking anew, forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.miners import ExchangeSeen
from exporter.engine.engine import Engine
from exporter.engine.recording import RawExchange, Recordings, console_seen, exchanges_seen
from exporter.engine.usb import DRIVER
from exporter.errors import ForbiddenError, TakenError, UnknownError
from exporter.store.rows import MinerCommand, MinerRow
from exporter.store.usb_tables import PENDING, RUNNING

#: Seconds for what asks a device, or a whole network, first.
_LONG: Final = 300.0


class MinersDoor:
    """`MinersApi` over the engine."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._engine = engine
        self._db = engine.db
        self._recordings = Recordings(engine.exchange)

    def row(self, miner_id: int) -> MinerRow | None:
        """See `MinersApi`."""
        return self._db.miners.get(miner_id)

    def add(
        self, address: str, *, port: int | None = None, driver: str | None = None, name: str | None = None
    ) -> MinerRow:
        """See `MinersApi`; a host name is looked up once, and its address is what is kept."""
        return self._caller.call_outside(lambda: self._engine.add(address, port, driver, name))

    def change(self, miner_id: int, changes: Mapping[str, Any]) -> MinerRow:
        """See `MinersApi`."""
        return self._caller.call(lambda: self._engine.change(miner_id, changes))

    def forget(self, miner_id: int) -> None:
        """See `MinersApi`."""
        self._caller.call(lambda: self._engine.forget(miner_id))

    def rescan(self, miner_id: int) -> bool:
        """See `MinersApi`. Raises `ForbiddenError` where the miner is not managed or retired."""

        async def rescan() -> bool:
            return bool((await self._engine.rescan(miner_id))["up"])

        return self._caller.call_outside(rescan, _LONG)

    def exchanges(self, miner_id: int) -> tuple[ExchangeSeen, ...]:
        """See `MinersApi`."""

        async def watch() -> tuple[tuple[tuple[float, bytes], ...], tuple[RawExchange, ...]]:
            miner = self._engine.known(miner_id)
            board = self._engine.usb.board_of(miner_id)
            if miner.poller is not None and self._recordings.watch(miner_id, miner.poller):
                await miner.poller.poll_now()
            return () if board is None else tuple(board.recent), self._recordings.kept(miner_id)

        printed, recorded = self._caller.call_outside(watch)
        return (*console_seen(printed), *exchanges_seen(recorded))

    def get_config(self, miner_id: int) -> MinerCommand:
        """See `MinersApi`."""

        async def begin() -> MinerCommand:
            miner = self._engine.known(miner_id)
            if miner.row.driver != DRIVER:
                raise ForbiddenError("only a miner on USB tells its configuration")
            self._engine.check_control()
            if self._engine.usb.board_of(miner_id) is None:
                raise ForbiddenError("the board is not plugged in")
            if any(command.status in (PENDING, RUNNING) for command in self._db.miner_commands.of(miner_id)):
                raise TakenError("the miner is being asked for its configuration already; wait until that has ended")
            command = await self._engine.get_config(miner_id)
            await self._db.commit()
            return command

        return self._caller.call(begin)

    def commands(self, miner_id: int) -> tuple[MinerCommand, ...]:
        """See `MinersApi`."""
        if self._db.miners.get(miner_id) is None:
            raise UnknownError(f"no miner has the id {miner_id}")
        return self._db.miner_commands.of(miner_id)
