"""The drivers: how each stands, updates, the way back, and loading them again."""

from __future__ import annotations

from typing import Protocol

from exporter.drivers.status import DriverStatus
from exporter.drivers.update import DriverChange

__all__ = ["DriverChange", "DriverStatus", "DriversApi"]


class DriversApi(Protocol):
    """See the module and the package.

    A change is in use when the call returns: miners of other drivers are polled on as if nothing had happened.
    """

    def all(self) -> tuple[DriverStatus, ...]:
        """How every driver stands, by type; the files are looked at now, and nothing is run."""
        ...

    def update(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """Put the bundled driver in place of the user's file, which is kept beside it.

        Args:
            driver_type: which one.
            sha256: of the bundled file as it was shown to who asks.

        Raises:
            UnknownError: no such bundled driver.
            FieldError: the bundled file is another one than `sha256`.
            UsageError: several files hold the driver, or the place is taken.
            StoreError: the folder cannot be written; it is as it was.
        """
        ...

    def update_all(self) -> tuple[DriverChange, ...]:
        """Update each driver of which the program brings a newer one; what fails stops no other."""
        ...

    def rollback(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """Put the kept file back in its place; the one that is there is kept in its stead. Raises as `update`;
        `UnknownError` where none was kept, `UsageError` also where the kept file cannot be used."""
        ...

    def reload(self) -> tuple[DriverStatus, ...]:
        """Load the files that changed; how every driver stands then."""
        ...
