"""The door to the program itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from exporter.config import Listen, Settings
from exporter.config_values import check_driver_word
from exporter.credentials import ANY_DRIVER
from exporter.diagnostics.checks import run_checks
from exporter.diagnostics.gather import gather
from exporter.drivers.loader import LoadedDriver, Rejected
from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.program import Check, DriverView
from exporter.engine.engine import Engine
from exporter.errors import ChangedError, FieldError, ForbiddenError, UsageError
from exporter.store.backup import backup_bytes
from exporter.store.rows import Credential

_MOST_CREDENTIALS: Final = 256
_LONGEST: Final = 256


def _no_reload() -> str | None:
    raise ForbiddenError("this engine runs without a configuration file")


def _no_drivers() -> None:
    raise ForbiddenError("this engine runs with the drivers it was given")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a listener is; `by_command_line` where an option says so, not the configuration."""

    addr: Listen
    by_command_line: bool


def _no_listeners() -> Mapping[str, Listening]:
    return {}


@dataclass(frozen=True, slots=True)
class Outside:
    """What the program around the engine has.

    Attributes:
        config_file: the path of targets.yml.
        reload: reads it again and applies it; returns the fault or None. Called on the thread of who asks.
        drivers_folder: the user's driver files; None for the place that the settings name.
        reload_drivers: loads the driver files that changed and puts them in use. Called on the thread of who asks.
        listening: where the listeners are, by the keys "http.addr" and "metrics.addr"; without those not started yet.
            They stay there until the next start, whatever is configured meanwhile.
    """

    config_file: Path = Path("targets.yml")
    reload: Callable[[], str | None] = _no_reload
    drivers_folder: Path | None = None
    reload_drivers: Callable[[], None] = _no_drivers
    listening: Callable[[], Mapping[str, Listening]] = _no_listeners


class ProgramDoor:
    """`ProgramApi` over the engine."""

    def __init__(self, caller: EngineCaller, engine: Engine, outside: Outside | None = None) -> None:
        self._caller = caller
        self._engine = engine
        self._db = engine.db
        self._outside = outside or Outside()

    def settings(self) -> Settings:
        """See `ProgramApi`."""
        settings, listening = self._engine.settings, self._outside.listening()
        if ui := listening.get("http.addr"):
            settings = replace(settings, http=replace(settings.http, addr=ui.addr))
        if metrics := listening.get("metrics.addr"):
            settings = replace(settings, metrics=replace(settings.metrics, addr=metrics.addr))
        return settings

    def by_command_line(self) -> frozenset[str]:
        """See `ProgramApi`."""
        return frozenset(key for key, one in self._outside.listening().items() if one.by_command_line)

    def config_file(self) -> str:
        """See `ProgramApi`."""
        return str(self._outside.config_file)

    def reload(self) -> None:
        """See `ProgramApi`."""
        fault = self._outside.reload()
        if fault is not None:
            raise UsageError(fault)

    def drivers(self) -> tuple[DriverView, ...]:
        """See `ProgramApi`."""
        found = self._engine.drivers
        return (*map(_loaded, found.loaded), *map(_rejected, found.rejected))

    def checks(self) -> tuple[Check, ...]:
        """See `ProgramApi`."""
        with self._caller.outside():  # it looks whether miners that are offline take a connection
            return run_checks(gather(self._engine, self._outside.config_file))

    def credentials(self) -> tuple[Credential, ...]:
        """See `ProgramApi`."""
        return self._db.credentials.all()

    def set_credentials(
        self, credentials: Sequence[Credential], instead_of: Sequence[Credential] | None = None
    ) -> tuple[Credential, ...]:
        """See `ProgramApi`."""
        if len(credentials) > _MOST_CREDENTIALS:
            raise FieldError(f"credentials: must be at most {_MOST_CREDENTIALS}; devices lock out", "credentials")
        known = self._engine.drivers.drivers
        for place, credential in enumerate(credentials):
            _check(credential, f"credentials.{place}", known)

        async def change() -> tuple[Credential, ...]:
            if instead_of is not None and _ids(instead_of) != _ids(self._db.credentials.all()):
                raise ChangedError("the list was changed meanwhile, maybe by somebody else; load it again", "version")
            try:
                rows = self._db.credentials.replace(credentials)
            except ValueError as error:
                raise FieldError(f"credentials: {error}", "credentials") from error
            await self._db.commit()
            flock, sessions = self._engine.flock, self._engine.sessions
            for miner in flock:
                # Also those that go on with another password: the one they use may have left the list.
                if miner.poller is not None and sessions.has_changed(miner.poller.session, miner.row.id):
                    await flock.sign_in_anew(miner)
            return rows

        return self._caller.call(change)

    def write_error(self) -> str | None:
        """See `ProgramApi`."""
        error = self._db.write_error
        return self._engine.share_log.write_error if error is None else str(error)

    def backup(self) -> bytes:
        """See `ProgramApi`."""
        return backup_bytes(self._db)


def _ids(credentials: Sequence[Credential]) -> list[int]:
    return [credential.id for credential in credentials]


def _check(credential: Credential, place: str, known: Mapping[str, object]) -> None:
    """Raise `FieldError` where an entry cannot be used. No message shows the password."""
    if credential.driver != ANY_DRIVER:
        try:
            check_driver_word(credential.driver)
        except ValueError as error:
            raise FieldError(f"{place}.driver: {error}", f"{place}.driver") from error
        if credential.driver not in known:
            raise FieldError(
                f'{place}.driver: there is no such driver; use "*" for all, or one of {", ".join(known)}',
                f"{place}.driver",
            )
    if credential.cidr is not None:
        try:
            ipaddress.ip_network(credential.cidr)
        except ValueError as error:
            raise FieldError(
                f'{place}.cidr: must be a network such as "10.1.0.0/22" (no bits behind the prefix), or one address',
                f"{place}.cidr",
            ) from error
    for name, text in (("username", credential.username or ""), ("password", credential.password.reveal())):
        if len(text) > _LONGEST or any(ord(char) < 32 or ord(char) == 127 for char in text):
            raise FieldError(
                f"{place}.{name}: must be at most {_LONGEST} characters without control characters", f"{place}.{name}"
            )


def _loaded(entry: LoadedDriver) -> DriverView:
    manifest = entry.manifest
    return DriverView(
        driver_type=entry.driver_type,
        display_name=manifest.display_name,
        driver_version=entry.version,
        manufacturer=manifest.manufacturer,
        connection_type=entry.driver.connection_type,
        supported_models=tuple(manifest.supported_models),
        source=entry.source,
        sha256=entry.sha256,
        default_port=manifest.default_port,
    )


def _rejected(entry: Rejected) -> DriverView:
    return DriverView(
        driver_type=entry.driver_type or entry.path.stem,
        display_name=None,
        driver_version=None,
        manufacturer=None,
        connection_type=None,
        supported_models=(),
        source=entry.source,
        sha256=None,
        error=f"{entry.path.name}: {entry.reason}",
    )
