"""The tables that hold secrets: API keys and passwords."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from exporter.store.rows import ApiKeyRow, Credential, PasswordRow
from exporter.store.secret import Secret
from exporter.store.table import Journal, RowTable


class ApiKeysTable(RowTable[ApiKeyRow]):
    """API keys by id of the miner."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("api_keys", ApiKeyRow, journal)

    def get(self, miner_id: int) -> ApiKeyRow | None:
        return self._found(miner_id)

    def set(self, miner_id: int, key: Secret, description: str | None = None) -> ApiKeyRow:
        """Store a miner's key. The same key again keeps its date."""
        with self._journal.guard():
            before = self.get(miner_id)
            kept = before is not None and before.key == key
            created_at = before.created_at if before is not None and kept else time.time()
            row = self._codec.make(id=miner_id, key=key, description=description, created_at=created_at)
            self._put(miner_id, row)
            return row

    def delete(self, miner_id: int) -> None:
        """Forget a miner's key, if there is one."""
        with self._journal.guard():
            self._put(miner_id, None)


class PasswordsTable(RowTable[PasswordRow]):
    """Device passwords by id of the miner."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("passwords", PasswordRow, journal)

    def get(self, miner_id: int) -> PasswordRow | None:
        return self._found(miner_id)

    def set(self, miner_id: int, password: Secret, username: str | None = None) -> PasswordRow:
        with self._journal.guard():
            row = self._codec.make(id=miner_id, password=password, username=username)
            self._put(miner_id, row)
            return row

    def delete(self, miner_id: int) -> None:
        """Forget a miner's password, if there is one."""
        with self._journal.guard():
            self._put(miner_id, None)


class CredentialsTable(RowTable[Credential]):
    """The ordered list of passwords to try."""

    def __init__(self, journal: Journal) -> None:
        super().__init__("credentials", Credential, journal)

    def replace(self, credentials: Iterable[Credential]) -> tuple[Credential, ...]:
        """Put a new list in the place of the old one. The same list again changes nothing.

        Raises:
            TypeError, ValueError: a wrong value, for example a `cidr` that is no network. The old list stays.
        """
        with self._journal.guard():
            rows = tuple(self._numbered(row_id, one) for row_id, one in enumerate(credentials, start=self._next_id))
            if rows != self.all():
                for former in self.all():
                    self._put(former.id, None)
                # New ids for all: an id that somebody read before names no other password now.
                for row in rows:
                    self._put(self._new_id(), row)
            return self.all()

    def _numbered(self, row_id: int, credential: Credential) -> Credential:
        if credential.cidr is not None:
            ipaddress.ip_network(credential.cidr)
        return self._codec.make(
            id=row_id,
            driver=credential.driver,
            password=credential.password,
            cidr=credential.cidr,
            username=credential.username,
        )
