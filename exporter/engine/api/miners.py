"""Miners: what is stored of them, adding one by address, changing, asking anew, forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exporter.store.rows import MinerCommand, MinerRow
from exporter.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class ExchangeSeen:
    """One request to a device and what came back, secrets and wallets redacted, bodies cut to 16 KiB.

    Attributes:
        request: as one line, for example "GET /api/system/info" or "summary+pools".
        status: HTTP status; None for other protocols and where no answer came.
        body: the answer as text; None where none came, then `error` says why.
        seconds: how long it took.
    """

    at: UnixSeconds
    request: str
    status: int | None
    body: str | None
    error: str | None
    seconds: float | None


class MinersApi(Protocol):
    """See the module and the package."""

    def row(self, miner_id: int) -> MinerRow | None:
        """What is stored of a miner; None for an unknown id."""
        ...

    def add(
        self,
        address: str,
        *,
        port: int | None = None,
        driver: str | None = None,
        name: str | None = None,
    ) -> MinerRow:
        """Add a miner by address: it is asked who it is at once.

        One that does not answer is kept as offline where `driver` is given (a provisional identity), else refused.

        Raises:
            FieldError: no address, a public one without `network.allow_public`, a bad port, name or driver, `nerdminer`
                by address, or nobody answers and no driver was given.
            TakenError: the address, MAC or name is in the flock already.
        """
        ...

    def change(self, miner_id: int, changes: Mapping[str, Any]) -> MinerRow:
        """Change what a person decides.

        Args:
            changes: any of ``name`` (text or None), ``currency`` (of `CURRENCIES` or None), ``managed``, ``enabled``
                (bools), ``chipset``, ``location_notes`` (text or None), ``labels`` (mapping of site, rack, group to
                text; None or "" takes one away), ``muted_until`` (Unix seconds in the future, or None),
                ``unlock_pass`` (text: the device's password from now on; None or "" forgets it; refused sign-ins are
                forgiven), ``username`` (with ``unlock_pass``).
        """
        ...

    def forget(self, miner_id: int) -> None:
        """Delete a miner; it comes back as a new one when it is found again."""
        ...

    def rescan(self, miner_id: int) -> bool:
        """Ask a miner at once, or look for one without an address. Whether it answers."""
        ...

    def exchanges(self, miner_id: int) -> tuple[ExchangeSeen, ...]:
        """The last exchanges with the device, newest last; from the first call on they are kept for ten minutes."""
        ...

    def get_config(self, miner_id: int) -> MinerCommand:
        """Have a miner on USB tell its configuration (it restarts); returns the pending command at once.

        Raises:
            TakenError: one is under way already.
            ForbiddenError: it is no miner on USB, is not plugged in, or `control.enabled` is false.
        """
        ...

    def commands(self, miner_id: int) -> tuple[MinerCommand, ...]:
        """Commands of a miner, oldest first. Raises `UnknownError`."""
        ...
