"""The operator's device passwords together: those of one miner, the list in the database, the credentials file."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from exporter.credentials import Credential, candidates, load_credentials
from exporter.engine.login import Candidate
from exporter.store.database import Database


class CredentialBook:
    """Looks candidates up; `reload` re-reads the file."""

    def __init__(self, environ: Mapping[str, str], db: Database | None) -> None:
        """Raises `ConfigError` where the credentials file cannot be used."""
        self._environ = environ
        self._db = db
        self._file: tuple[Credential, ...] = load_credentials(environ)

    def reload(self) -> None:
        """Re-read the credentials file. Raises `ConfigError`; the old list stays."""
        self._file = load_credentials(self._environ)

    def candidates(self, driver_type: str, address: str, miner_id: int | None) -> tuple[Candidate, ...]:
        """What to try, in order: the miner's own password, the list in the database, the file."""
        found: list[Candidate] = []
        if self._db is not None:
            own = self._db.passwords.get(miner_id) if miner_id is not None else None
            if own is not None:
                found.append(Candidate(own.username, own.password))
            stored = (
                Credential(row.driver, _network(row.cidr), row.username, row.password)
                for row in self._db.credentials.all()
            )
            found.extend(Candidate(c.username, c.password) for c in candidates(stored, driver_type, address))
        found.extend(Candidate(c.username, c.password) for c in candidates(self._file, driver_type, address))
        return tuple(found)


def _network(cidr: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    return None if cidr is None else ipaddress.ip_network(cidr)
