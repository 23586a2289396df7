"""All tables of a database together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from exporter.errors import StoreError
from exporter.store.access_tables import ApiTokensTable, UiPasswordTable, UiSessionsTable
from exporter.store.atomic import RawDocument
from exporter.store.memory_table import MemoriesTable
from exporter.store.migrations import META, MIGRATIONS, Migration, meta_of, migrate
from exporter.store.secret_tables import ApiKeysTable, CredentialsTable, PasswordsTable
from exporter.store.table import Journal, RowTable
from exporter.store.tables import MinersTable, ModelsTable, SettingsTable
from exporter.store.usb_tables import MinerCommandsTable, UnconfiguredDevicesTable
from exporter.store.wallet_tables import MinerConfigsTable, WalletsTable


class TableSet:
    """The tables, empty until `load`."""

    def __init__(self, journal: Journal) -> None:
        self.api_keys: Final = ApiKeysTable(journal)
        self.passwords: Final = PasswordsTable(journal)
        self.memories: Final = MemoriesTable(journal)
        self.miners: Final = MinersTable(journal, (self.api_keys, self.passwords, self.memories))
        self.models: Final = ModelsTable(journal)
        self.credentials: Final = CredentialsTable(journal)
        self.settings: Final = SettingsTable(journal)
        self.unconfigured_devices: Final = UnconfiguredDevicesTable(journal)
        self.miner_commands: Final = MinerCommandsTable(journal)
        self.wallets: Final = WalletsTable(journal)
        self.miner_configs: Final = MinerConfigsTable(journal)
        self.api_tokens: Final = ApiTokensTable(journal)
        self.ui_sessions: Final = UiSessionsTable(journal)
        self.ui_password: Final = UiPasswordTable(journal)

    def __iter__(self) -> Iterator[RowTable[Any]]:
        return iter(
            (
                self.miners,
                self.models,
                self.api_keys,
                self.passwords,
                self.memories,
                self.credentials,
                self.settings,
                self.unconfigured_devices,
                self.miner_commands,
                self.wallets,
                self.miner_configs,
                self.api_tokens,
                self.ui_sessions,
                self.ui_password,
            )
        )

    def load(self, document: RawDocument, source: str) -> None:
        """Fill the tables from a document of the present schema.

        Raises:
            StoreError: an unknown table or a wrong row; names `source` and the place.
        """
        next_ids = meta_of(document, source)["next_ids"]
        if unknown := sorted(document.keys() - {META, *(table.name for table in self)}):
            raise StoreError(f"{source}: unknown table {unknown[0]!r}; restore a backup (flockwatch restore FILE)")
        for table in self:
            rows = sorted((int(row_id), row) for row_id, row in document.get(table.name, {}).items())
            table.load(dict(rows), next_ids.get(table.name, 1), source)


class _Unchanging:
    """The journal of tables that are only read."""

    def guard(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def changed(self, table: RowTable[Any], row_id: int, before: Any) -> None:
        raise StoreError(f"{table.name}: these tables are only read")


def check_document(document: RawDocument, source: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Read a whole document as `Database.open` would, without keeping anything.

    Raises:
        StoreError: it is no database of this or an older schema, or a row is wrong.
    """
    TableSet(_Unchanging()).load(migrate(document, source, migrations), source)
