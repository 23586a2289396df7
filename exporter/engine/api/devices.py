"""USB boards that wait to be named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.store.rows import MinerRow
from exporter.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class WaitingDevice:
    """A board that was plugged in and that nobody has named yet; secrets were masked before it was stored.

    Attributes:
        id: of the staging row; None for a port that is held shut until a person says that it is a miner.
        status, state: the words of the boot states; `state` is live.
        suggested_name: the worker of the dumped pool user.
        held: the port is not opened (see `serial.open`), `held_reason` says why.
    """

    id: int | None
    miner: str
    dev_path: str | None
    port_path: str | None
    vendor_id: str
    product_id: str
    serial_number: str | None
    discovered_at: UnixSeconds | None
    status: str | None
    state: str | None
    dumped_pool_url: str | None
    dumped_wallet_address: str | None
    dumped_firmware_version: str | None
    suggested_name: str | None
    held: bool = False
    held_reason: str | None = None


class DevicesApi(Protocol):
    """See the module and the package."""

    def waiting(self) -> tuple[WaitingDevice, ...]:
        """Boards that wait, in order of discovery, then ports that are held shut."""
        ...

    def onboard(
        self, device_id: int, name: str, currency: str, chipset: str | None = None, location_notes: str | None = None
    ) -> MinerRow:
        """Move a board into the flock."""
        ...

    def dismiss(self, device_id: int) -> None:
        """Forget a board that waits; it comes back when it is plugged in again."""
        ...

    def open_port(self, dev_path: str) -> None:
        """ "This is a miner": open a port that is held shut, now and at later starts. Raises `UnknownError`."""
        ...

    def capture(self, device_id: int) -> None:
        """Restart a waiting board to see its boot dump again. Raises `UnknownError`, `ForbiddenError`."""
        ...
