"""What a person may do with boards that wait to be named: open a port that is held shut, dismiss, read again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import UsbIdentity
from exporter.engine.usb_board import Board
from exporter.engine.usb_permits import Permits
from exporter.errors import ForbiddenError, UnavailableError, UnknownError
from exporter.store.database import Database
from exporter.transports.serial_errors import PortError, PortVanished

log = logging.getLogger(__name__)


class WaitingBoards:
    """The waiting ones among the boards that are plugged in.

    Args:
        boards: all boards by device file; another module's, which changes it.
        let_go: lets go of a board.
        count: told when the number of boards has changed.
    """

    def __init__(
        self, db: Database, boards: Mapping[str, Board], let_go: Callable[[Board], None], count: Callable[[], None]
    ) -> None:
        self._db = db
        self._boards = boards
        self._let_go = let_go
        self._count = count
        self._permits = Permits(db)
        #: Ports of boards that were dismissed and have not been unplugged since.
        self._dismissed: set[str] = set()
        #: Staging row -> why the board's port is held shut; replaced whole, so that other threads may read.
        self.held: Mapping[int, str] = MappingProxyType({})

    def is_permitted(self, device: UsbDevice, identity: UsbIdentity) -> bool:
        """Whether a person said of this board that it is a miner."""
        return self._permits.has(device, identity)

    def is_dismissed(self, device: UsbDevice) -> bool:
        return device.port_path in self._dismissed

    def unplugged(self, device: UsbDevice) -> None:
        """What is plugged in at this port next is listed."""
        self._dismissed.discard(device.port_path)

    def look(self) -> None:
        """The boards or their ports have changed."""
        self.held = MappingProxyType(
            {
                board.waiting_id: board.held_reason
                for board in self._boards.values()
                if board.waiting_id is not None and board.held_reason is not None
            }
        )

    def open_port(self, dev_path: str) -> None:
        """A person says that the board behind a port that is held shut is a miner; this is remembered.

        Raises:
            UnknownError: no such port is held shut.
        """
        for board in self._boards.values():
            if board.held_reason is not None and dev_path in (board.device.dev_path, *board.device.aliases):
                self._permits.give(board.device, board.identity)
                board.open()
                self._count()
                return
        raise UnknownError("no port of this name is held shut; the page New devices lists those that are")

    def dismiss(self, device_id: int) -> None:
        """List a waiting device no more, until it is plugged in again or the program is started.

        Raises:
            UnknownError: no such device waits.
        """
        board = self._board_of(device_id)
        if board is not None:
            self._dismissed.add(board.device.port_path)
            self._permits.withdraw(board.device, board.identity)
            self._let_go(board)
        self._db.unconfigured_devices.delete(device_id)
        self._count()

    async def capture(self, device_id: int) -> None:
        """Restart a waiting device, so that it tells its configuration again.

        Raises:
            UnknownError: no such device waits.
            ForbiddenError: it is not plugged in, or its port is not open.
            UnavailableError: the port failed.
        """
        board = self._board_of(device_id)
        if board is None:
            raise ForbiddenError("the board is not plugged in; it tells its configuration when it is plugged in again")
        if not board.is_open:
            raise ForbiddenError(f"its port is not open: {board.held_reason or board.trouble or 'it is being opened'}")
        try:
            await board.reset()
        except PortVanished as error:
            log.debug("gone at the reset, it may come back: %s", error)
        except PortError as error:
            raise UnavailableError(str(error)) from error

    def _board_of(self, device_id: int) -> Board | None:
        """The board of a waiting device while it is plugged in. Raises `UnknownError`."""
        if self._db.unconfigured_devices.get(device_id) is None:
            raise UnknownError(f"no device with the id {device_id} waits; the page New devices lists those that do")
        return next((board for board in self._boards.values() if board.waiting_id == device_id), None)
