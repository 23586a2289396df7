"""The tables of the web UI's access: its password, sessions and API tokens. None holds a secret in clear."""

from __future__ import annotations

import time

from exporter.store.rows import ApiToken, UiPassword, UiSession
from exporter.store.secret import Secret
from exporter.store.table import EditableTable, Journal, RowTable, UniqueIndex
from exporter.units import UnixSeconds

_THE_ROW = 1


class ApiTokensTable(EditableTable[ApiToken]):
    """Tokens by id and by hash; names are unique."""

    def __init__(self, journal: Journal) -> None:
        self._hash_index = UniqueIndex[ApiToken]("token", lambda row: row.token_hash.reveal())
        self._name_index = UniqueIndex[ApiToken]("name", lambda row: row.name.casefold())
        super().__init__("api_tokens", ApiToken, journal, (self._hash_index, self._name_index))

    def by_hash(self, token_hash: str) -> ApiToken | None:
        return self._found(self._hash_index.id_of(token_hash))

    def add(self, name: str, token_hash: Secret, scope: str, expires_at: float | None = None) -> ApiToken:
        """Add a token. Raises `TypeError`, `ValueError`, `DuplicateKey`."""
        with self._journal.guard():
            return self._insert(
                name=name,
                token_hash=token_hash,
                scope=scope,
                created_at=time.time(),
                expires_at=None if expires_at is None else UnixSeconds(expires_at),
            )


class UiSessionsTable(RowTable[UiSession]):
    """Signed-in browsers by hash of their cookie."""

    def __init__(self, journal: Journal) -> None:
        self._hash_index = UniqueIndex[UiSession]("session", lambda row: row.token_hash.reveal())
        super().__init__("ui_sessions", UiSession, journal, (self._hash_index,))

    def by_hash(self, token_hash: str) -> UiSession | None:
        return self._found(self._hash_index.id_of(token_hash))

    def add(self, token_hash: Secret, created_at: float, expires_at: float) -> UiSession:
        """Add a session; those whose time is over are removed."""
        with self._journal.guard():
            for old in self.all():
                if old.expires_at <= created_at:
                    self._put(old.id, None)
            row = self._codec.make(
                id=self._next_id, token_hash=token_hash, created_at=created_at, expires_at=expires_at
            )
            self._check(row.id, row)
            self._put(self._new_id(), row)
            return row

    def extend(self, row_id: int, expires_at: float) -> None:
        """Give a session another end. Raises `KeyError`."""
        with self._journal.guard():
            self._put(row_id, self._codec.change(self._existing(row_id), {"expires_at": expires_at}))

    def delete(self, row_id: int) -> None:
        """End a session, if it is there."""
        with self._journal.guard():
            self._put(row_id, None)

    def clear(self) -> None:
        """End all sessions."""
        with self._journal.guard():
            for row in self.all():
                self._put(row.id, None)


class UiPasswordTable(RowTable[UiPassword]):
    """The one password of the web UI."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("ui_password", UiPassword, journal)

    def get(self) -> UiPassword | None:
        return self._found(_THE_ROW)

    def set(self, password_hash: Secret) -> UiPassword:
        with self._journal.guard():
            row = self._codec.make(id=_THE_ROW, password_hash=password_hash, changed_at=time.time())
            self._put(_THE_ROW, row)
            return row

    def delete(self) -> None:
        """The UI has no password any more."""
        with self._journal.guard():
            self._put(_THE_ROW, None)
