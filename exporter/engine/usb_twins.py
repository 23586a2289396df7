"""Boards that share a serial number: they are told apart by their ports, also after a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import is_placeholder, shared_serials
from exporter.store.database import Database

log = logging.getLogger(__name__)

#: Setting with the serial numbers that were once seen on two boards.
_SERIALS: Final = "usb_shared_serials"
#: Setting with the port -> the key of a miner that had been known by such a number.
_PORTS: Final = "usb_ports_of_shared_serials"


class Twins:
    """What is remembered of them, so that one of them alone is never taken for the other."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def serials(self) -> frozenset[str]:
        """Serial numbers that never identify."""
        return frozenset(self._db.settings.get(_SERIALS, []))

    def look(self, devices: Iterable[UsbDevice]) -> bool:
        """Look for shared numbers among all that is plugged in; whether there is a new one."""
        found = {serial for serial in shared_serials(devices) if not is_placeholder(serial)}
        remembered = self.serials
        new = found - remembered
        if not new:
            return False
        log.warning("boards share a serial number and are told apart by their ports: %s", ", ".join(sorted(new)))
        self._db.settings.set(_SERIALS, sorted(remembered | new))
        return True

    def remember(self, port_path: str, key: str) -> None:
        """The miner `key`, known by such a number until now, is the one at this port."""
        ports = dict(self._db.settings.get(_PORTS, {}))
        if ports.get(port_path) != key:
            self._db.settings.set(_PORTS, {**ports, port_path: key})

    def key_of(self, device: UsbDevice) -> str | None:
        """The miner that was told apart at this port."""
        if device.serial_number not in self.serials:
            return None
        key = dict(self._db.settings.get(_PORTS, {})).get(device.port_path)
        return key if isinstance(key, str) else None
