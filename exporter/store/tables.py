"""The tables and what can be done to each.

Every method that changes rows is called from one thread at a time (the engine's); it is complete when it returns or
has no effect when it raises. Durable is what `Database.commit` returned for.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Iterable
from typing import Any

from exporter.model import ModelInfo
from exporter.store.memory_table import MemoriesTable
from exporter.store.rows import MinerRow, ModelRow, SettingRow
from exporter.store.secret_tables import ApiKeysTable, PasswordsTable
from exporter.store.table import EditableTable, GroupIndex, Journal, RowTable, UniqueIndex


class MinersTable(EditableTable[MinerRow]):
    """The flock. `key` is unique, and so is `mac` where it is known."""

    def __init__(
        self, journal: Journal, belongings: Iterable[ApiKeysTable | PasswordsTable | MemoriesTable] = ()
    ) -> None:
        self._key_index = UniqueIndex[MinerRow]("key", lambda row: row.key)
        self._mac_index = UniqueIndex[MinerRow]("MAC", lambda row: row.mac)
        self._address_index = GroupIndex[MinerRow](lambda row: row.address)
        self._serial_index = GroupIndex[MinerRow](lambda row: row.serial)
        indexes = (self._key_index, self._mac_index, self._address_index, self._serial_index)
        super().__init__("miners", MinerRow, journal, indexes)
        self._belongings = tuple(belongings)

    def by_key(self, key: str) -> MinerRow | None:
        """The miner with this label `miner`."""
        return self._found(self._key_index.id_of(key))

    def by_mac(self, mac: str) -> MinerRow | None:
        """The miner with this MAC (lower case, colons)."""
        return self._found(self._mac_index.id_of(mac))

    def by_address(self, address: str) -> tuple[MinerRow, ...]:
        """The miners whose address this is now; more than one only while they change places."""
        return self._present(self._address_index.ids_of(address))

    def by_serial(self, serial: str) -> tuple[MinerRow, ...]:
        """The miners with this serial number; makers give some numbers twice."""
        return self._present(self._serial_index.ids_of(serial))

    def _present(self, ids: Iterable[int]) -> tuple[MinerRow, ...]:
        return tuple(row for row in map(self._found, ids) if row is not None)

    def insert(self, **fields: Any) -> MinerRow:
        """Add a miner; `key` and `driver` are required, `created_at` is now unless given.

        Raises:
            TypeError, ValueError: unknown field or wrong value.
            DuplicateKey: `key` or `mac` is another miner's.
        """
        if "id" in fields:
            raise TypeError("the database gives the id")
        with self._journal.guard():
            fields.setdefault("created_at", time.time())
            return self._insert(**fields)

    def update(self, row_id: int, **changes: Any) -> MinerRow:
        """Change fields of a miner and return the new row. Equal values cost no write.

        Raises:
            KeyError: no such miner.
            TypeError, ValueError, DuplicateKey: as for `insert`.
        """
        if "id" in changes:
            raise TypeError("the id of a miner never changes")
        return super().update(row_id, **changes)

    def delete(self, row_id: int) -> None:
        """Remove a miner together with its API key, its password and what was remembered of it.

        Its id is never given again.

        Raises:
            KeyError: no such miner.
        """
        with self._journal.guard():
            self._existing(row_id)
            for table in self._belongings:
                table.delete(row_id)
            super().delete(row_id)


class ModelsTable(RowTable[ModelRow]):
    """Models by alias."""

    def __init__(self, journal: Journal) -> None:
        self._alias_index = UniqueIndex[ModelRow]("alias", lambda row: row.alias)
        super().__init__("models", ModelRow, journal, (self._alias_index,))

    def get(self, alias: str) -> ModelRow | None:
        return self._found(self._alias_index.id_of(alias))

    def upsert(self, info: ModelInfo) -> ModelRow:
        """Add or refresh a model. What `info` does not know keeps its value; `max_preset` is never touched.

        Raises:
            TypeError, ValueError: a wrong value.
        """
        known = {name: value for name in _MODEL_FIELDS if (value := getattr(info, name)) is not None}
        with self._journal.guard():
            before = self.get(info.alias)
            if before is None:
                row = self._codec.make(id=self._next_id, updated_at=time.time(), **known)
                self._put(self._new_id(), row)
                return row
            row = self._codec.change(before, known)
            if row == before:
                return before
            row = self._codec.change(row, {"updated_at": time.time()})
            self._put(row.id, row)
            return row

    def set_max_preset(self, alias: str, max_preset: str | None) -> ModelRow:
        """Set a person's ceiling for presets, or take it away.

        Raises:
            KeyError: no such model.
            TypeError: not text.
        """
        with self._journal.guard():
            before = self.get(alias)
            if before is None:
                raise KeyError(f"{self.name}: no model {alias!r}")
            row = self._codec.change(before, {"max_preset": max_preset})
            self._put(row.id, row)
            return row


_MODEL_FIELDS = tuple(field.name for field in dataclasses.fields(ModelInfo))


class SettingsTable(RowTable[SettingRow]):
    """JSON values by name."""

    def __init__(self, journal: Journal) -> None:
        self._key_index = UniqueIndex[SettingRow]("setting", lambda row: row.key)
        super().__init__("settings", SettingRow, journal, (self._key_index,))

    def get(self, key: str, default: Any = None) -> Any:
        """A copy of the value of `key`, or `default` where it was never set."""
        row = self._found(self._key_index.id_of(key))
        return default if row is None else copy.deepcopy(row.value)

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value (None is one).

        Raises:
            TypeError, ValueError: JSON cannot hold it.
        """
        with self._journal.guard():
            row_id = self._key_index.id_of(key)
            row = self._codec.make(id=self._next_id if row_id is None else row_id, key=key, value=value)
            self._put(self._new_id() if row_id is None else row_id, row)

    def delete(self, key: str) -> None:
        """Forget a setting, if it is there."""
        with self._journal.guard():
            row_id = self._key_index.id_of(key)
            if row_id is not None:
                self._put(row_id, None)

    def _differ(self, before: SettingRow | None, row: SettingRow | None) -> bool:
        return before != row or json.dumps(before and before.value) != json.dumps(row and row.value)  # 1 is not true
