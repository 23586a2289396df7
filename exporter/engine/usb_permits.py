"""Boards of which a person said "this is a miner": their ports are opened, now and at later starts."""

from __future__ import annotations

from typing import Final

from exporter.discovery.usb_devices import UsbDevice
from exporter.discovery.usb_identity import UsbIdentity
from exporter.store.database import Database

_SETTING: Final = "usb_ports_opened_by_person"
#: The oldest ones give way; nobody has that many boards.
_MOST: Final = 1024


class Permits:
    """What is remembered of them. A board is known by its serial number, else by its place, and by its USB id, so that
    another kind of device at the same place is not opened."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def has(self, device: UsbDevice, identity: UsbIdentity) -> bool:
        """Whether a person said so of this board."""
        return _word(device, identity) in self._all()

    def give(self, device: UsbDevice, identity: UsbIdentity) -> None:
        """Remember that this board is a miner."""
        if not self.has(device, identity):
            self._db.settings.set(_SETTING, [*self._all(), _word(device, identity)][-_MOST:])

    def withdraw(self, device: UsbDevice, identity: UsbIdentity) -> None:
        """Forget what was said of this board."""
        if self.has(device, identity):
            word = _word(device, identity)
            self._db.settings.set(_SETTING, [known for known in self._all() if known != word])

    def _all(self) -> list[str]:
        return [str(word) for word in self._db.settings.get(_SETTING, [])]


def _word(device: UsbDevice, identity: UsbIdentity) -> str:
    return f"{device.usb_id} {identity.key}"
