"""What all tables share: rows in memory, changes noted for the disk, and going back when a transaction fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import tinydb.table

from exporter.errors import StoreError
from exporter.store.codec import RowCodec
from exporter.store.rows import DuplicateKey


class HasId(Protocol):
    @property
    def id(self) -> int: ...


Row = TypeVar("Row", bound=HasId)


class DocumentTable(tinydb.table.Table):
    """A TinyDB table whose documents are replaced as a whole, many in one pass."""

    def put(self, changes: Mapping[int, Mapping[str, Any] | None]) -> None:
        """Insert, replace or (None) remove documents by id."""

        def apply(documents: dict[int, Mapping[str, Any]]) -> None:
            for row_id, document in changes.items():
                if document is None:
                    documents.pop(row_id, None)
                else:
                    documents[row_id] = document

        self._update_table(apply)


class Journal(Protocol):
    """What a table tells the database that owns it."""

    def guard(self) -> AbstractContextManager[Any]:
        """A context manager that keeps other threads from changing rows meanwhile."""
        ...

    def changed(self, table: RowTable[Any], row_id: int, before: Any) -> None:
        """Row `row_id` is about to change from `before` (None: not there). Raises `StoreError` to prevent it."""
        ...


class UniqueIndex(Generic[Row]):
    """Finds a row by a value that no other row of the table has; rows without the value are not in it."""

    def __init__(self, what: str, value_of: Callable[[Row], str | None]) -> None:
        self._what = what
        self._value_of = value_of
        self._ids: dict[str, int] = {}

    def id_of(self, value: str) -> int | None:
        return self._ids.get(value)

    def check(self, row_id: int, row: Row) -> None:
        """Raise `DuplicateKey` where another row has the value."""
        value = self._value_of(row)
        owner = None if value is None else self._ids.get(value)
        if owner is not None and owner != row_id:
            raise DuplicateKey(f"{self._what} {value} belongs to row {owner} already", owner)

    def move(self, row_id: int, before: Row | None, row: Row | None) -> None:
        """Bring the entry of one row up to date."""
        old = None if before is None else self._value_of(before)
        new = None if row is None else self._value_of(row)
        if new is not None:
            self._ids[new] = row_id
        if old is not None and old != new and self._ids.get(old) == row_id:
            del self._ids[old]


class GroupIndex(Generic[Row]):
    """Finds the rows that share a value; rows without the value are not in it."""

    def __init__(self, value_of: Callable[[Row], str | None]) -> None:
        self._value_of = value_of
        self._ids: dict[str, dict[int, None]] = {}

    def ids_of(self, value: str) -> tuple[int, ...]:
        return tuple(self._ids.get(value, ()))

    def check(self, row_id: int, row: Row) -> None:
        """Any value is welcome."""

    def move(self, row_id: int, before: Row | None, row: Row | None) -> None:
        """Bring the entry of one row up to date."""
        old = None if before is None else self._value_of(before)
        new = None if row is None else self._value_of(row)
        if old is not None and old != new:
            self._ids[old].pop(row_id, None)
            if not self._ids[old]:
                del self._ids[old]
        if new is not None:
            self._ids.setdefault(new, {})[row_id] = None


class RowTable(Generic[Row]):
    """Typed rows by id. Reading needs no lock; rows are immutable and the mapping is changed one entry at a time."""

    def __init__(
        self,
        name: str,
        row_class: type[Row],
        journal: Journal,
        indexes: tuple[UniqueIndex[Row] | GroupIndex[Row], ...] = (),
    ) -> None:
        self.name = name
        self._indexes = indexes
        self._codec: RowCodec[Row] = RowCodec(row_class)
        self._journal = journal
        self._rows: dict[int, Row] = {}
        self._all: tuple[Row, ...] | None = ()
        self._next_id = 1
        self._dirty: set[int] = set()

    # --- reading

    def all(self) -> tuple[Row, ...]:
        """All rows in order of id; the same tuple until a row changes."""
        rows = self._all
        if rows is None:
            with self._journal.guard():
                rows = self._all = tuple(self._rows.values())
        return rows

    def _found(self, row_id: int | None) -> Row | None:
        return None if row_id is None else self._rows.get(row_id)

    def __len__(self) -> int:
        return len(self._rows)

    # --- changing; `_put` is the only place that does

    def _new_id(self) -> int:
        row_id, self._next_id = self._next_id, self._next_id + 1
        return row_id

    def _existing(self, row_id: int) -> Row:
        row = self._rows.get(row_id)
        if row is None:
            raise KeyError(f"{self.name}: no row {row_id}")
        return row

    def _put(self, row_id: int, row: Row | None) -> None:
        """Store `row` under `row_id`, or remove what is there. An equal row changes nothing."""
        before = self._rows.get(row_id)
        if self._differ(before, row):
            self._check(row_id, row)
            self._journal.changed(self, row_id, before)
            self._set(row_id, before, row)

    def _differ(self, before: Row | None, row: Row | None) -> bool:
        return before != row

    def put_back(self, row_id: int, row: Row | None) -> None:
        """Undo: the row is as it was, without a new entry in the journal. `restore_order` follows the last one."""
        self._set(row_id, self._rows.get(row_id), row)

    def restore_order(self) -> None:
        """Sort by id again after rows were put back."""
        self._rows = dict(sorted(self._rows.items()))
        self._all = None

    def _set(self, row_id: int, before: Row | None, row: Row | None) -> None:
        for index in self._indexes:
            index.move(row_id, before, row)
        if row is None:
            self._rows.pop(row_id, None)
        else:
            self._rows[row_id] = row
        self._dirty.add(row_id)
        self._all = None

    def _check(self, row_id: int, row: Row | None) -> None:
        """Raise `DuplicateKey` before anything changes."""
        if row is not None:
            for index in self._indexes:
                index.check(row_id, row)

    # --- loading and saving

    def load(self, documents: Mapping[int, Mapping[str, Any]], next_id: int, source: str) -> None:
        """Fill the empty table.

        Raises:
            StoreError: a document is no row of this table; names the file, the table, the id and the field.
        """
        for row_id, document in documents.items():
            try:
                row = self._codec.from_document(document, id=row_id)
                self._check(row_id, row)
            except (TypeError, ValueError) as error:
                raise StoreError(
                    f"{source}: table {self.name}, row {row_id}: {error}; restore a backup (flockwatch restore FILE)"
                ) from error
            self._set(row_id, None, row)
        self._dirty.clear()
        self._next_id = max(next_id, max(documents, default=0) + 1)

    @property
    def next_id(self) -> int:
        """The id of the next new row: greater than any that was ever given."""
        return self._next_id

    def take_changes(self) -> dict[int, Row | None]:
        """All rows changed since the last call, as they are now (None: removed)."""
        dirty, self._dirty = self._dirty, set()
        return {row_id: self._rows.get(row_id) for row_id in sorted(dirty)}

    def document(self, row: Row) -> dict[str, Any]:
        """The fields of `row` as they are stored, secrets in clear."""
        return self._codec.to_document(row)


class EditableTable(RowTable[Row]):
    """Rows that are found, changed and removed by their id; how they are added is the subclass's own."""

    def get(self, row_id: int) -> Row | None:
        return self._found(row_id)

    def update(self, row_id: int, **changes: Any) -> Row:
        """Change fields and return the new row. Raises `KeyError`, `TypeError`, `ValueError`, `DuplicateKey`."""
        with self._journal.guard():
            row = self._codec.change(self._existing(row_id), changes)
            self._put(row_id, row)
            return row

    def delete(self, row_id: int) -> None:
        """Remove a row. Raises `KeyError`."""
        with self._journal.guard():
            self._existing(row_id)
            self._put(row_id, None)

    def _insert(self, **fields: Any) -> Row:
        """Add a row under a new id; called with the guard held. Raises `TypeError`, `ValueError`, `DuplicateKey`."""
        row = self._codec.make(id=self._next_id, **fields)
        self._check(row.id, row)
        self._put(self._new_id(), row)
        return row
