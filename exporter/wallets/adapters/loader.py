"""Finds the adapters: every ``<name>_pool.py`` of this folder, each checked before it is used."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Final

from exporter.drivers.manifest import version_key
from exporter.errors import DriverRejected
from exporter.wallets.adapters.api import INTERFACE_VERSION, PoolAdapter
from exporter.wallets.currencies import COINS, OTHER
from exporter.wallets.pool_place import read_place

_SUFFIX: Final = "_pool.py"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_BASE_URL: Final = re.compile(r"https?://[^/?#\s]+", re.ASCII)


def load_adapters() -> tuple[PoolAdapter, ...]:
    """The bundled adapters in order of name.

    Raises:
        DriverRejected: a file does not keep to the contract. They are part of the program, so that nobody meets it.
    """
    names = sorted(path.name for path in Path(__file__).parent.glob(f"*{_SUFFIX}"))
    found = [adapter_of(importlib.import_module(f"{__package__}.{name.removesuffix('.py')}")) for name in names]
    return tuple(sorted(found, key=lambda adapter: adapter.name))


def adapter_of(module: ModuleType) -> PoolAdapter:
    """The adapter that a module holds.

    Raises:
        DriverRejected: it holds none or several, or the metadata is missing or wrong; the message names all of it.
    """
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, PoolAdapter) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise DriverRejected(f"{module.__name__}: must hold one class derived from PoolAdapter, holds {len(classes)}")
    faults = adapter_faults(classes[0])
    if faults:
        raise DriverRejected(f"{module.__name__}: {'; '.join(faults)}")
    return classes[0]()


def adapter_faults(kind: type[PoolAdapter]) -> list[str]:
    """What is wrong with an adapter's metadata and methods."""
    faults = []
    if not _NAME.fullmatch(getattr(kind, "name", "")):
        faults.append("name must be one lower-case word")
    try:
        version_key(getattr(kind, "adapter_version", ""))
    except ValueError as error:
        faults.append(f"adapter_version {error}")
    if not getattr(kind, "display_name", ""):
        faults.append("display_name is missing")
    currencies = getattr(kind, "currencies", ())
    if not currencies or not set(currencies) <= {*COINS, OTHER}:
        faults.append("currencies must be some that wallets can have")
    servers = getattr(kind, "servers", None)
    if servers is None or (not servers and not kind.any_host):
        faults.append("servers must name at least one host")
    for host, url in (servers or {}).items():
        place = read_place(host)
        if place is None or place.host != host or not _BASE_URL.fullmatch(url):
            faults.append(f"servers[{host}] must be a host in its normal form with the base URL of its statistics")
    if kind.interface_version != INTERFACE_VERSION:
        faults.append(f"interface_version must be {INTERFACE_VERSION}")
    faults += [f"{name} is missing" for name in ("path", "decode") if getattr(kind, name) is getattr(PoolAdapter, name)]
    return faults
