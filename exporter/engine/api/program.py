"""The program itself: settings, drivers, device passwords, and live answers to "why does it not work?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter.config import Settings
from exporter.store.rows import Credential


@dataclass(frozen=True, slots=True)
class Check:
    """One live check of the page Diagnostics.

    Attributes:
        group: "discovery", "usb", "wallets", "shares", "offline", "program".
        title: what is checked, as a person asks it ("Do miners answer in 192.168.1.0/24?").
        state: "ok", "warning", "problem" or "unknown".
        found: what was seen, with figures.
        remedy: what to do; None where nothing is wrong.
        miner_id: where it is about one miner.
    """

    group: str
    title: str
    state: str
    found: str
    remedy: str | None = None
    miner_id: int | None = None


@dataclass(frozen=True, slots=True)
class DriverView:
    """A driver that is loaded, or a file that was rejected (then `error`)."""

    driver_type: str
    display_name: str | None
    driver_version: str | None
    manufacturer: str | None
    connection_type: str | None
    supported_models: tuple[str, ...]
    source: str
    sha256: str | None
    error: str | None = None
    default_port: int | None = None


class ProgramApi(Protocol):
    """See the module and the package."""

    def settings(self) -> Settings:
        """The configuration that runs, with the addresses that are really listened on; it holds no secret."""
        ...

    def by_command_line(self) -> frozenset[str]:
        """The keys of settings that come from the command line, such as "http.addr"."""
        ...

    def config_file(self) -> str:
        """The path of targets.yml."""
        ...

    def reload(self) -> None:
        """Read targets.yml, credentials and drivers again. Raises `UsageError` with the fault; what ran stays."""
        ...

    def drivers(self) -> tuple[DriverView, ...]:
        """Loaded drivers by type, then rejected files."""
        ...

    def checks(self) -> tuple[Check, ...]:
        """Run all live checks; takes some seconds at most."""
        ...

    def credentials(self) -> tuple[Credential, ...]:
        """The ordered list of device passwords to try; `password` never leaves as text."""
        ...

    def set_credentials(
        self, credentials: Sequence[Credential], instead_of: Sequence[Credential] | None = None
    ) -> tuple[Credential, ...]:
        """Put a new list in place; miners that refused their password are tried again.

        Args:
            instead_of: the list that `credentials` were made of; None replaces whatever is there.

        Raises:
            FieldError: an entry cannot be used.
            ChangedError: another list than `instead_of` is stored by now.
        """
        ...

    def write_error(self) -> str | None:
        """Why changes are not on disk, while writing fails; for a banner on every page."""
        ...

    def backup(self) -> bytes:
        """The whole database as `flockwatch backup` writes it; it holds secrets."""
        ...
