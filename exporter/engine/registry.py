"""Which stored miner is the device that was just found? Identity decides, never the address."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.api import Identification
from exporter.engine.merge import merge_identity
from exporter.model import Identity
from exporter.store.database import Database
from exporter.store.rows import MinerRow

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A device that was identified at an address.

    Attributes:
        driver: the driver that will poll it.
        identity: completed through the driver's identity requests.
        neighbour_mac: what the host's neighbour table says, None where it does not know or another address has it too.
        labels: of the network it was found in, or of the fixed entry.
        name: only from a fixed entry.
    """

    address: str
    http_port: int
    api_port: int
    driver: str
    identity: Identity
    details: Mapping[str, str] = field(default_factory=dict)
    neighbour_mac: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    fixed: bool = False
    managed: bool = True


@dataclass(frozen=True, slots=True)
class Adoption:
    """What adopting a device changed: its row, rows that lost their address to it, rows that were merged into it."""

    row: MinerRow
    new: bool
    moved_from: str | None
    displaced: tuple[int, ...]
    merged: tuple[int, ...]


def miner_key(identity: Identity, neighbour_mac: str | None, driver: str, address: str) -> tuple[str, bool]:
    """The label `miner` for a device, and whether it is provisional: MAC, else serial, else driver and address."""
    mac = identity.mac or neighbour_mac
    if mac is not None:
        return mac, False
    if identity.serial is not None:
        return f"serial:{identity.serial}", False
    return f"addr:{driver}:{address}", True


def found_of(identification: Identification, **fields: Any) -> Found:
    """A `Found` of an identification that names a driver."""
    if identification.driver_type is None:
        raise ValueError("a device without a driver is not adopted")
    return Found(driver=identification.driver_type, details=dict(identification.details), **fields)


def adopt(db: Database, found: Found, now: float) -> Adoption:
    """Insert or update the row of a found device; one transaction.

    A known device at a new address keeps its row and key. A provisional row becomes the real one as soon as the
    device tells who it is. Any other row that still claims the address loses it.
    """
    key, provisional = miner_key(found.identity, found.neighbour_mac, found.driver, found.address)
    with db.transaction():
        row = _match(db, found, key)
        merged = _merge_provisional(db, found, row, provisional)
        new = row is None
        moved_from = None
        if row is None:
            row = _insert(db, found, key, provisional=provisional, now=now)
        else:
            if row.address != found.address:
                moved_from = row.address or row.last_address
            row = db.miners.update(row.id, **_changes(row, found, key, provisional=provisional, now=now))
        displaced = []
        for other in db.miners.by_address(found.address):
            if other.id != row.id:
                db.miners.update(other.id, address=None)
                displaced.append(other.id)
    return Adoption(row, new, moved_from, tuple(displaced), merged)


def _match(db: Database, found: Found, key: str) -> MinerRow | None:
    identity = found.identity
    if identity.mac is not None:
        row = db.miners.by_mac(identity.mac)
        if row is not None:
            return row
    if identity.serial is not None:
        for row in db.miners.by_serial(identity.serial):
            if row.mac is None or identity.mac is None or row.driver == found.driver:
                return row
    if identity.mac is None and found.neighbour_mac is not None:
        row = db.miners.by_mac(found.neighbour_mac)
        if row is not None:
            return row
    row = db.miners.by_key(key)
    if row is not None:
        return row
    return next(iter(_provisional_at(db, found)), None)


def _provisional_at(db: Database, found: Found) -> tuple[MinerRow, ...]:
    return tuple(row for row in db.miners.by_address(found.address) if row.provisional and row.driver == found.driver)


def _merge_provisional(db: Database, found: Found, row: MinerRow | None, provisional: bool) -> tuple[int, ...]:
    """Drop a provisional row at the same place once the real one is known; a name given meanwhile is kept."""
    if row is None or provisional:
        return ()
    gone = []
    for other in _provisional_at(db, found):
        if other.id != row.id:
            if row.name is None and other.name is not None:
                db.miners.update(row.id, name=other.name)
            db.miners.delete(other.id)
            gone.append(other.id)
    return tuple(gone)


def _insert(db: Database, found: Found, key: str, *, provisional: bool, now: float) -> MinerRow:
    return db.miners.insert(
        key=key,
        mac=found.identity.mac or found.neighbour_mac,
        serial=found.identity.serial,
        driver=found.driver,
        name=found.name,
        address=found.address,
        last_address=found.address,
        http_port=found.http_port,
        api_port=found.api_port,
        managed=found.managed,
        enabled=True,
        auto_discovered=not found.fixed,
        fixed=found.fixed,
        provisional=provisional,
        created_at=now,
        last_seen=now,
        identity=found.identity,
        details=dict(found.details),
        labels=dict(found.labels),
    )


def _changes(row: MinerRow, found: Found, key: str, *, provisional: bool, now: float) -> dict[str, Any]:
    identity = merge_identity(found.identity, row.identity)
    changes: dict[str, Any] = {
        "address": found.address,
        "last_address": found.address,
        "http_port": found.http_port,
        "api_port": found.api_port,
        "driver": found.driver,
        "identity": identity,
        "details": dict(found.details),
        "last_seen": now,
    }
    if row.provisional and not provisional:
        changes.update(key=key, provisional=False)
    if row.mac is None and (mac := found.identity.mac or found.neighbour_mac) is not None:
        changes["mac"] = mac
    elif found.identity.mac is not None and row.mac != found.identity.mac:
        # Matched by its serial: a re-flashed control board may have made itself a new MAC. The key stays.
        changes["mac"] = found.identity.mac
    if found.identity.serial is not None:
        changes["serial"] = found.identity.serial
    if found.labels:
        changes["labels"] = {**row.labels, **found.labels}
    if found.fixed:
        changes["fixed"] = True
    if found.name is not None and row.name is None:
        changes["name"] = found.name
    return {name: value for name, value in changes.items() if getattr(row, name) != value}
