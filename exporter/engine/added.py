"""The miners that a person added by address: stored, so that they stay as entries of targets.yml do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from exporter.config import FixedMiner
from exporter.store.database import Database

_SETTING: Final = "added_miners"


class AddedMiners:
    """The stored entries, in the order in which they were added."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def entries(self) -> tuple[FixedMiner, ...]:
        """All of them; the driver is the one that the person named, if any."""
        return tuple(
            FixedMiner(str(stored["address"]), stored.get("port"), stored.get("driver")) for stored in self._stored()
        )

    def add(self, entry: FixedMiner) -> None:
        """Keep an entry; another one of the same address and port gives way."""
        self._save([*self._without([entry]), {"address": entry.address, "port": entry.port, "driver": entry.driver}])

    def remove(self, entries: Iterable[FixedMiner]) -> None:
        """Keep these no more."""
        kept = self._without(entries)
        if len(kept) != len(self._stored()):
            self._save(kept)

    def _without(self, entries: Iterable[FixedMiner]) -> list[dict[str, Any]]:
        places = {(entry.address, entry.port) for entry in entries}
        return [stored for stored in self._stored() if (stored["address"], stored.get("port")) not in places]

    def _stored(self) -> list[dict[str, Any]]:
        stored: list[dict[str, Any]] = self._db.settings.get(_SETTING, [])
        return stored

    def _save(self, stored: list[dict[str, Any]]) -> None:
        self._db.settings.set(_SETTING, stored)
