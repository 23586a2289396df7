"""The database: one file, one process, typed tables in memory."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

import tinydb

from exporter.errors import StoreError
from exporter.store.atomic import AtomicJSONStorage, encode_document
from exporter.store.files import PRIVATE_MODE, free_name, make_parents, write_atomically
from exporter.store.lock import DatabaseLock
from exporter.store.migrations import META, MIGRATIONS, Migration, migrate, new_document
from exporter.store.table import DocumentTable, RowTable
from exporter.store.tableset import TableSet
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

#: Changes that nobody waits for reach the disk within about this time.
FLUSH_DELAY: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Changes:
    rows: Mapping[RowTable[Any], Mapping[int, Any]]
    next_ids: Mapping[str, int]


class _TinyDB(tinydb.TinyDB):
    table_class = DocumentTable


class Database:
    """Inventory, settings and credentials. No measured value is stored.

    Tables: `miners`, `models`, `api_keys`, `passwords`, `memories`, `credentials`, `settings`,
    `unconfigured_devices`, `miner_commands`, `wallets`, `miner_configs`,
    `api_tokens`, `ui_sessions`, `ui_password`. All changes come from one thread
    (the engine's); rows may be read from any thread. A change is in memory at once and on disk after about
    `FLUSH_DELAY`; who must be sure awaits `commit`. Use `open` to make one.
    """

    def __init__(self, tiny: _TinyDB, lock: DatabaseLock, delay: float, migrations: Sequence[Migration]) -> None:
        self._tiny = tiny
        self._storage = cast(AtomicJSONStorage, tiny.storage)
        self._lock = lock
        self._schema_version = 1 + len(migrations)
        self._guard = threading.RLock()
        self._undo: list[tuple[RowTable[Any], int, Any]] = []
        self._depth = 0
        self._writer: Writer[_Changes] = Writer(self._guard, self._take_changes, self._save, delay)
        self._tables = tables = TableSet(self)
        self.miners: Final = tables.miners
        self.models: Final = tables.models
        self.api_keys: Final = tables.api_keys
        self.passwords: Final = tables.passwords
        self.memories: Final = tables.memories
        self.credentials: Final = tables.credentials
        self.settings: Final = tables.settings
        self.unconfigured_devices: Final = tables.unconfigured_devices
        self.miner_commands: Final = tables.miner_commands
        self.wallets: Final = tables.wallets
        self.miner_configs: Final = tables.miner_configs
        self.api_tokens: Final = tables.api_tokens
        self.ui_sessions: Final = tables.ui_sessions
        self.ui_password: Final = tables.ui_password

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        flush_delay: float = FLUSH_DELAY,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> Self:
        """Lock and read the database at `path`, or make an empty one (and its directory, mode 0700).

        An older schema is migrated after a copy ``<name>.before-v<N>`` was made. The file gets mode 0600.

        Raises:
            StoreError: in use by another process, unreadable, of a newer schema, or not writable.
        """
        resolved = Path(path).resolve()
        make_parents(resolved)
        lock = DatabaseLock.acquire(resolved)
        try:
            tiny = _TinyDB(resolved, storage=AtomicJSONStorage, deferred=True)
            database = cls(tiny, lock, flush_delay, migrations)
            database._bring_up_to_date(migrations)
        except BaseException:
            lock.release()
            raise
        return database

    @property
    def path(self) -> Path:
        """The file, symbolic links resolved."""
        return self._storage.path

    @property
    def lock_held(self) -> bool:
        """Whether this process still owns the file."""
        return self._lock.held

    @property
    def write_error(self) -> StoreError | None:
        """Why changes in memory are not on disk, while writing fails. They are tried again."""
        return self._writer.error

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not on disk yet."""
        return self._writer.pending

    # --- changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group changes: on an exception all of them are taken back, and the disk gets all or none.

        May be nested: an inner one takes back its own changes only. Do not await inside: what other coroutines
        change meanwhile would belong to the transaction. Rows of an unfinished transaction are visible to readers.
        """
        with self._guard:
            mark = len(self._undo)
            self._depth += 1
            try:
                yield
            except BaseException:
                self._roll_back(mark)
                raise
            finally:
                self._depth -= 1
                if not self._depth:
                    self._undo.clear()

    async def commit(self) -> None:
        """Return when every change made before this call is on disk. Calls at the same time share one write.

        Raises:
            StoreError: it could not be written. The change stays in memory and is tried again (see `write_error`).
        """
        self._refuse_in_transaction()
        await asyncio.wrap_future(self._writer.request())

    def commit_now(self) -> None:
        """As `commit`, but blocks the caller."""
        self._refuse_in_transaction()
        self._writer.request().result()

    def close(self) -> None:
        """Write what is left and give the lock back. A second call does nothing.

        Raises:
            StoreError: the last changes could not be written; the lock is given back all the same.
        """
        try:
            self._writer.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def encoded(self) -> bytes:
        """The content of the file as of this moment, as for a backup. Takes a while for a large flock; any thread."""
        with self._guard:
            self._refuse_in_transaction()
            tables = {table: table.all() for table in self._tables}
            next_ids = self._next_ids()
        document = new_document(self._schema_version, next_ids)
        for table, rows in tables.items():
            document[table.name] = {str(row.id): table.document(row) for row in rows}
        return b"".join(encode_document(document))

    # --- for the tables (`table.Journal`)

    def guard(self) -> AbstractContextManager[Any]:
        return self._guard

    def changed(self, table: RowTable[Any], row_id: int, before: Any) -> None:
        self._writer.changed()
        if self._depth:
            self._undo.append((table, row_id, before))

    # --- inside

    def _bring_up_to_date(self, migrations: Sequence[Migration]) -> None:
        """Make, migrate, read and protect the file, so that trouble with the disk shows at the start."""
        storage, path, newest = self._storage, self.path, self._schema_version
        stored = storage.read()
        document = new_document(newest) if stored is None else migrate(stored, str(path), migrations)
        storage.write(document)
        self._tables.load(document, str(path))
        if stored is None:
            storage.save(storage.snapshot())
        elif document is not stored:
            kept = free_name(path.with_name(f"{path.name}.before-v{newest}"))
            write_atomically(kept, [path.read_bytes()])
            storage.save(storage.snapshot())
            log.info("%s: migrated to schema %d; the file as it was is kept as %s", path, newest, kept)
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            log.warning("%s could be read by others, and it holds passwords; its mode is now 0600", path)
            path.chmod(PRIVATE_MODE)

    def _documents(self, name: str) -> DocumentTable:
        return cast(DocumentTable, self._tiny.table(name))

    def _next_ids(self) -> dict[str, int]:
        return {table.name: table.next_id for table in self._tables}

    def _take_changes(self) -> _Changes:
        """What the writer is to save. Called with the guard held, so it is quick."""
        changes = {table: changed for table in self._tables if (changed := table.take_changes())}
        return _Changes(changes, self._next_ids())

    def _save(self, changes: _Changes) -> None:
        """Bring changes into TinyDB's document and that to the disk. The writer's thread only."""
        for table, rows in changes.rows.items():
            documents = {row_id: None if row is None else table.document(row) for row_id, row in rows.items()}
            self._documents(table.name).put(documents)
        meta = new_document(self._schema_version, changes.next_ids)[META]
        self._documents(META).put({int(row_id): row for row_id, row in meta.items()})
        self._storage.save(self._storage.snapshot())

    def _roll_back(self, mark: int) -> None:
        undone, self._undo[mark:] = self._undo[mark:], []
        for table, row_id, before in reversed(undone):
            table.put_back(row_id, before)
        for table in {table for table, _row_id, _before in undone}:
            table.restore_order()

    def _refuse_in_transaction(self) -> None:
        # The guard is re-entrant, so only the thread inside the transaction can get here while `_depth` is set.
        with self._guard:
            if self._depth:
                raise RuntimeError("a transaction is saved after it has ended, not inside")
