"""`DriversApi` in memory: one driver of each status."""

from __future__ import annotations

import dataclasses
from typing import Any

from exporter.engine.api.drivers import DriverChange, DriverStatus
from exporter.errors import FieldError, UnknownError, UsageError
from tests.ui.fake_records import HOSTILE


def status(driver_type: str, **changes: Any) -> DriverStatus:
    """A driver of which an unedited copy lies in the folder."""
    usual = DriverStatus(
        driver_type, driver_type.title(), "Maker", "1.1.0", "bundled", "ab" * 32, f"{driver_type}_driver.py",
        "up-to-date", "1.1.0", "ab" * 32, False, None, None, False,
    )  # fmt: skip
    return dataclasses.replace(usual, **changes)


STATUSES = (
    status("antminer"),
    status("avalon", previous_version="1.0.0", previous_sha256="de" * 32),
    status(
        "bitaxe", version="1.0.0", source="user", sha256="cd" * 32, status="update-available", update_available=True,
        previous_version="0.9.0", previous_sha256="dd" * 32,
    ),
    status("cgminer", version="1.2.0", source="user", sha256="ce" * 32, status="own"),
    status(
        "goldshell", display_name=None, manufacturer=None, version=None, source=None, sha256=None, status="error",
        available_version=None, available_sha256=None, error=f"goldshell_driver.py: line 3: invalid syntax {HOSTILE}",
        traceback=f"Traceback (most recent call last): {HOSTILE}",
    ),
    status("torch", source="user", sha256="cf" * 32, status="own", available_version=None, available_sha256=None),
    status(
        "vnish", status="error", update_available=True, error="vnish_driver.py: interface_version must be 1, got 0",
        traceback="Traceback ...", previous_version=None, previous_sha256="df" * 32, reload_needed=True,
    ),
)  # fmt: skip


class FakeDrivers:
    """`DriversApi`; updates and ways back show in `all`. `failing` are types whose files cannot be written."""

    def __init__(self, engine: Any, *, empty: bool) -> None:
        self._engine = engine
        self._statuses = {one.driver_type: one for one in STATUSES if not empty or one.status == "up-to-date"}
        self.failing: set[str] = set()
        self.reloads = 0

    def all(self) -> tuple[DriverStatus, ...]:
        return tuple(self._statuses[name] for name in sorted(self._statuses))

    def update(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        self._engine.writes()
        one = self._statuses.get(driver_type)
        if one is None or one.available_sha256 is None:
            raise UnknownError(f"no bundled driver is called {driver_type!r}")
        if sha256 not in (None, one.available_sha256):
            raise FieldError("sha256: the bundled file is another one by now; look at it again", "sha256")
        if one.status == "up-to-date":
            return DriverChange(driver_type, "unchanged", one.version, one.version, one.sha256)
        if driver_type in self.failing:
            raise UsageError(f"{one.file} cannot be written: no space left on device")
        self._statuses[driver_type] = status(driver_type, previous_version=one.version, previous_sha256=one.sha256)
        return DriverChange(
            driver_type, "updated", one.version, one.available_version, one.available_sha256, f"{one.file}.previous"
        )

    def update_all(self) -> tuple[DriverChange, ...]:
        self._engine.writes()
        return tuple(self._tried(one) for one in self.all() if one.update_available)

    def _tried(self, one: DriverStatus) -> DriverChange:
        try:
            return self.update(one.driver_type)
        except UsageError as error:
            return DriverChange(one.driver_type, "failed", one.version, error=str(error))

    def rollback(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        self._engine.writes()
        one = self._statuses.get(driver_type)
        if one is None or one.previous_sha256 is None:
            raise UnknownError(f"no earlier file of driver {driver_type!r} was kept")
        if sha256 not in (None, one.previous_sha256):
            raise FieldError("sha256: the kept file is another one by now; look at it again", "sha256")
        if one.previous_version is None:
            raise UsageError(f"{one.file}.previous cannot be used: syntax error in line 1; mend it, or delete it")
        self._statuses[driver_type] = dataclasses.replace(
            one, version=one.previous_version, sha256=one.previous_sha256, source="user", status="update-available",
            update_available=True, previous_version=one.version, previous_sha256=one.sha256,
        )  # fmt: skip
        kept = f"{one.file}.previous"
        return DriverChange(driver_type, "rolled-back", one.version, one.previous_version, one.previous_sha256, kept)

    def reload(self) -> tuple[DriverStatus, ...]:
        self._engine.writes()
        self.reloads += 1
        self._statuses = {
            name: dataclasses.replace(one, reload_needed=False) for name, one in self._statuses.items()
        }  # fmt: skip
        return self.all()
