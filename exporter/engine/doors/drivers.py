"""The door to the drivers. Files are read and written on the thread of who asks, never on the engine's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from exporter.drivers.loader import DriverSet
from exporter.drivers.status import DriverStatus
from exporter.drivers.update import FAILED, UNCHANGED, DriverChange, DriverFolder


class DriversDoor:
    """`DriversApi` over a folder of drivers and the program that uses them.

    Args:
        folder: the user's folder and the bundled one.
        loaded: the drivers in use now.
        load: loads the files that changed and puts them in use; returns when they are.
    """

    def __init__(self, folder: DriverFolder, loaded: Callable[[], DriverSet], load: Callable[[], None]) -> None:
        self._folder = folder
        self._loaded = loaded
        self._load = load
        self._turn = threading.Lock()

    def all(self) -> tuple[DriverStatus, ...]:
        """See `DriversApi`."""
        return self._folder.statuses(self._loaded())

    def update(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """See `DriversApi`."""
        with self._turn:
            return self._used((self._folder.update(driver_type, sha256),))[0]

    def update_all(self) -> tuple[DriverChange, ...]:
        """See `DriversApi`."""
        with self._turn:
            return self._used(self._folder.update_all())

    def rollback(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """See `DriversApi`."""
        with self._turn:
            return self._used((self._folder.rollback(driver_type, sha256),))[0]

    def reload(self) -> tuple[DriverStatus, ...]:
        """See `DriversApi`."""
        with self._turn:
            self._load()
        return self.all()

    def _used(self, changes: tuple[DriverChange, ...]) -> tuple[DriverChange, ...]:
        """Put what was changed in use, and note where the program rejects a file that is in place now."""
        if all(change.result in (FAILED, UNCHANGED) for change in changes):
            return changes
        self._load()
        faults = {status.driver_type: status.error for status in self.all()}
        return tuple(
            change if change.error is not None else replace(change, error=faults.get(change.driver_type))
            for change in changes
        )
