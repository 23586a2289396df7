"""The parts of the program that a single look from the shell needs: no database, no listeners."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from exporter.config import Settings, load_settings
from exporter.credential_book import CredentialBook
from exporter.drivers.api import Driver
from exporter.drivers.loader import DriverSet, load_drivers, load_single
from exporter.engine.exchange import Exchange
from exporter.engine.isolation import is_trusted
from exporter.engine.search import Searcher
from exporter.engine.sessions import Sessions
from exporter.errors import DriverRejected, UsageError
from exporter.transports.wire import NetworkWire


@dataclass(frozen=True, slots=True)
class Bench:
    """What one look needs."""

    settings: Settings
    drivers: DriverSet
    exchange: Exchange
    sessions: Sessions
    searcher: Searcher

    def driver(self, name: str) -> Driver:
        """The driver of this type. Raises `UsageError` with the known ones."""
        if name == "nerdminer":
            raise UsageError("stock NerdMiners speak over USB only; plug the board in instead of naming an address")
        found = self.drivers.drivers.get(name)
        if found is None:
            raise UsageError(f"no driver is called {name!r}; there are {', '.join(sorted(self.drivers.drivers))}")
        return found


def load_bench_settings(config_file: Path, *, allow_large: bool = False) -> Settings:
    """The configuration, or the defaults where the default file is missing: a first look needs none."""
    if not config_file.exists() and config_file == Path("targets.yml"):
        return Settings()
    return load_settings(config_file, os.environ, allow_large=allow_large)


def bench_drivers(settings: Settings, file: Path | None = None) -> DriverSet:
    """The drivers as the program would load them, without a change to the user's folder.

    Args:
        settings: name the folder.
        file: a driver file from elsewhere that is tried out; it replaces the driver of its type.

    Raises:
        UsageError: the file cannot be used.
    """
    found = load_drivers(settings.drivers.path, refresh=False)
    if file is None:
        return found
    try:
        tried = load_single(file)
    except DriverRejected as error:
        raise UsageError(f"{file}: {error}") from error
    loaded = {entry.driver_type: entry for entry in (*found.loaded, tried)}
    drivers = MappingProxyType({name: loaded[name].driver for name in sorted(loaded)})
    return DriverSet(drivers, tuple(loaded[name] for name in drivers), found.rejected)


@asynccontextmanager
async def open_bench(settings: Settings, driver_file: Path | None = None) -> AsyncIterator[Bench]:
    """Build a bench on the running event loop and close its connections at the end; see `bench_drivers`."""
    drivers = bench_drivers(settings, driver_file)
    wire = NetworkWire()
    exchange = Exchange(wire)
    sessions = Sessions(None, exchange, CredentialBook(os.environ, None).candidates, create_keys=False)
    searcher = Searcher(
        exchange,
        drivers.drivers,
        partial(is_trusted, drivers),
        sessions.prepare,
        http_ports=settings.network.ports.http,
        api_ports=settings.network.ports.cgminer,
        timeout=settings.network.timeout_ms / 1000,
    )
    try:
        yield Bench(settings, drivers, exchange, sessions, searcher)
    finally:
        await wire.close()
