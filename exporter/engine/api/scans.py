"""Scans that a person asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan and how far it is. The last twenty are kept until the program stops.

    Attributes:
        networks: CIDRs that are searched.
        state: "waiting" (another one runs), "running", "finished" or "failed" (then `error`).
        addresses: to be tried in all; `tried` of them are done.
        found: hosts identified; `new` of them were not known; `unknown` are of families without a driver.
        matched: pool configurations of found miners that were linked to a wallet.
        miners: ids of the miners found.
    """

    id: int
    networks: tuple[str, ...]
    state: str
    started_at: UnixSeconds
    ended_at: UnixSeconds | None = None
    addresses: int = 0
    tried: int = 0
    found: int = 0
    new: int = 0
    unknown: int = 0
    matched: int = 0
    miners: tuple[int, ...] = ()
    error: str | None = None


class ScansApi(Protocol):
    """See the module and the package."""

    def start(self, network_cidr: str | None = None) -> Scan:
        """Begin a scan of a network, or of the configured ones; returns at once.

        Raises:
            FieldError: no network, too large, or public without `network.allow_public`. Field "network_cidr".
            TakenError: twenty scans wait already.
        """
        ...

    def get(self, scan_id: int) -> Scan | None: ...

    def all(self) -> tuple[Scan, ...]:
        """The scans that are kept, newest first."""
        ...
