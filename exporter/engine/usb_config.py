"""GET_CONFIG: a board is restarted and tells its configuration while it boots; it reads nothing from the port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from exporter.engine.usb_board import Board
from exporter.errors import UsageError
from exporter.store.database import Database
from exporter.store.rows import MinerCommand
from exporter.store.usb_tables import COMPLETE, ERROR, PENDING, RUNNING
from exporter.transports.serial_errors import PortError, PortVanished

log = logging.getLogger(__name__)

GET_CONFIG: Final = "GET_CONFIG"
#: A board tells its configuration within a few seconds of its reset.
CONFIG_SECONDS: Final = 30.0


class ConfigCommands:
    """Runs the commands, each in a task of its own.

    Args:
        board_of: the board of a miner while it is plugged in.
        is_usb: whether a miner is one on USB.
        on_config: told when a board has told its configuration.
        seconds: how long it may take.
    """

    def __init__(
        self,
        db: Database,
        board_of: Callable[[int], Board | None],
        is_usb: Callable[[int], bool],
        on_config: Callable[[Board], None],
        seconds: float = CONFIG_SECONDS,
    ) -> None:
        self._db = db
        self._board_of = board_of
        self._is_usb = is_usb
        self._on_config = on_config
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def settle(self) -> None:
        """Nothing runs: what was under way is in error."""
        for command in self._db.miner_commands.all():
            if command.status in (PENDING, RUNNING):
                self._end(command, ERROR, "the program was stopped meanwhile")

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get_config(self, miner_id: int) -> MinerCommand:
        """Have a miner tell its configuration. Returns the pending command, or the one that is under way already.

        Raises:
            UsageError: no such USB miner.
        """
        if not self._is_usb(miner_id):
            raise UsageError(f"no miner on USB has the id {miner_id}")
        for command in self._db.miner_commands.of(miner_id):
            if command.command == GET_CONFIG and command.status in (PENDING, RUNNING):
                return command
        command = self._db.miner_commands.add(miner_id, GET_CONFIG)
        task = asyncio.get_running_loop().create_task(self._run(command), name=f"config of miner {miner_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return command

    async def _run(self, command: MinerCommand) -> None:
        if self._db.miner_commands.get(command.id) is None:  # the miner was forgotten
            return
        board = self._board_of(command.miner_id)
        if board is None:
            self._end(command, ERROR, "the board is not plugged in")
        elif not board.is_open:
            self._end(command, ERROR, f"the port is not open: {board.trouble or 'it is being opened'}")
        else:
            self._db.miner_commands.update(command.id, status=RUNNING)
            self._end(command, *await self._capture(command, board))

    async def _capture(self, command: MinerCommand, board: Board) -> tuple[str, str | None]:
        """Status and error. The console outlives a board that leaves USB for a moment when it restarts."""
        console = board.console
        before = console.config_at
        try:
            async with asyncio.timeout(self._seconds):
                try:
                    await board.reset()
                except PortVanished as error:
                    log.debug("gone at the reset, it may come back: %s", error)
                while console.config_at == before:  # noqa: ASYNC110 - the console is sans-IO and has no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            if self._board_of(command.miner_id) is None:
                return ERROR, "the board was unplugged meanwhile"
            return ERROR, f"the board told no configuration within {self._seconds:g} s"
        except PortError as error:
            return ERROR, str(error)
        present = self._board_of(command.miner_id)
        if present is not None:
            self._on_config(present)
        return COMPLETE, None

    def _end(self, command: MinerCommand, status: str, error: str | None) -> None:
        if self._db.miner_commands.get(command.id) is not None:
            self._db.miner_commands.update(command.id, status=status, error=error, ended_at=time.time())
