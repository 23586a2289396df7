"""Which stored miner is the device that was just found? Identity decides, never the address."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.engine.merge import merge_identity
from exporter.model import Identity
from exporter.store.database import Database
from exporter.store.rows import MinerRow

#: What firmwares and assemblers write where a serial number should be.
_PLACEHOLDERS: Final = frozenset(
    ("unknown", "none", "null", "n/a", "default", "serial", "serialnumber", "undefined", "error", "test", "empty")
)
_RUNS: Final = "0123456789012345678901234567890", "abcdefghijklmnopqrstuvwxyz"
_SHORTEST_SERIAL: Final = 4
#: What a person may have told of a provisional miner, kept when it turns out to be a known one.
_BY_A_PERSON: Final = ("name", "currency", "location_notes", "muted_until")


@dataclass(frozen=True, slots=True)
class Found:
    """A device that was identified at an address.

    Attributes:
        driver: the driver that will poll it.
        identity: completed through the driver's identity requests.
        neighbour_mac: what the host's neighbour table says, None where it does not know or another address has it too.
        labels: of the network it was found in and of the fixed entry.
        name: only from a fixed entry.
        answered: False for a fixed entry that nobody answers at yet.
        shared_port: the port that tells it from other fixed miners at the same address (port forwarding); else None.
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
    answered: bool = True
    shared_port: int | None = None


class Taken(enum.Enum):
    """What became of a find."""

    NEW = "new"
    CHANGED = "changed"  # a known miner at another address, with another driver, or known better now
    KNOWN = "known"
    ELSEWHERE = "elsewhere"  # left: the miner it claims to be, or another one at its address, answers


@dataclass(frozen=True, slots=True)
class Adoption:
    """What adopting a device changed: its row, rows that lost their address to it, rows that were merged into it."""

    row: MinerRow
    new: bool
    moved_from: str | None
    displaced: tuple[int, ...]
    merged: tuple[int, ...]


def real_serial(serial: str | None) -> str | None:
    """`serial`, or None where it is a placeholder that many devices share."""
    if serial is None or serial.strip().casefold() in _PLACEHOLDERS:
        return None
    plain = "".join(character for character in serial.casefold() if character.isalnum())
    if len(plain) < _SHORTEST_SERIAL or len(set(plain)) == 1 or any(plain in run for run in _RUNS):
        return None
    return serial


def miner_key(identity: Identity, neighbour_mac: str | None, driver: str, address: str) -> tuple[str, bool]:
    """The label `miner` for a device, and whether it is provisional: MAC, else serial, else driver and address."""
    mac = identity.mac or neighbour_mac
    if mac is not None:
        return mac, False
    serial = real_serial(identity.serial)
    if serial is not None:
        return f"serial:{serial}", False
    return f"addr:{driver}:{address}", True


def is_anonymous(identity: Identity) -> bool:
    """Whether a device tells nothing that identifies it."""
    return identity.mac is None and real_serial(identity.serial) is None


def adopt(db: Database, found: Found, now: float, elsewhere: Collection[int] = ()) -> Adoption:
    """Insert or update the row of a found device; one transaction.

    A known device at a new address keeps its row and key. A provisional row becomes the real one as soon as the
    device tells who it is. Any other row that still claims the address loses it.

    Args:
        elsewhere: rows that are known to answer at another address, so this device is none of them.
    """
    with db.transaction():
        row = match(db, found, elsewhere)
        new = row is None
        moved_from = None
        merged: tuple[int, ...] = ()
        if row is None:
            row = _insert(db, found, now)
        else:
            row, merged = _merge_provisional(db, found, row)
            if row.address != found.address:
                moved_from = row.address or row.last_address
            row = db.miners.update(row.id, **_changes(db, row, found))
        displaced = claimants(db, found, row)
        for other in displaced:
            db.miners.update(other.id, address=None)
    return Adoption(row, new, moved_from, tuple(other.id for other in displaced), merged)


def claimants(db: Database, found: Found, row: MinerRow | None) -> tuple[MinerRow, ...]:
    """The rows that lose the address of a find to `row` (None: to a new one). Provisional ones become part of it."""
    return tuple(
        other
        for other in db.miners.by_address(found.address)
        if (row is None or other.id != row.id)
        and not _shares_address(other, found)
        and not (row is not None and found.shared_port is None and _is_provisional_of(other, found))
    )


def match(db: Database, found: Found, elsewhere: Collection[int] = ()) -> MinerRow | None:
    """The row of a found device, None where it is a new one."""
    for row in _candidates(db, found):
        if row.id not in elsewhere:
            return row
    return None


def _candidates(db: Database, found: Found) -> Iterator[MinerRow]:
    """Rows that may be the device, the best first."""
    told = found.identity
    by_mac = None if told.mac is None else db.miners.by_mac(told.mac)
    if by_mac is not None:
        yield by_mac
    yield from _same_serial(db, found)
    if found.neighbour_mac is not None:
        row = db.miners.by_mac(found.neighbour_mac)
        if row is not None and not _contradicts(row, told):
            yield row
    for key, _ in _keys(found):
        row = db.miners.by_key(key)
        if row is not None and not _is_usb(row) and not _contradicts(row, told):
            yield row
    yield from _same_place(db, found)


def _same_serial(db: Database, found: Found) -> Iterator[MinerRow]:
    """The row with the serial number, also where a re-flashed control board has made itself a new MAC."""
    serial, mac = real_serial(found.identity.serial), found.identity.mac
    if serial is None:
        return
    rows = [
        row
        for row in db.miners.by_serial(serial)
        if not _is_usb(row)
        if mac is None or row.identity.mac is None or row.mac == mac or row.driver == found.driver
    ]
    if len(rows) > 1:  # makers give some numbers twice
        rows = [row for row in rows if row.address == found.address]
    yield from rows[:1]


def _is_usb(row: MinerRow) -> bool:
    """The serial number of a USB board is that of its bridge, which is another thing."""
    return row.port_path is not None or row.attrs_serial is not None


def _same_place(db: Database, found: Found) -> Iterator[MinerRow]:
    """A row that is about the same place: a provisional one, or a known one whose device tells nothing just now."""
    if found.shared_port is not None:
        return
    here = db.miners.by_address(found.address)
    yield from (row for row in here if _is_provisional_of(row, found))
    if is_anonymous(found.identity):
        # Where sign-in fails or a page times out the same device tells less than before.
        for row in here:
            if row.driver == found.driver and found.neighbour_mac in (None, row.mac):
                yield row


def _is_provisional_of(row: MinerRow, found: Found) -> bool:
    """A fixed entry stays itself when its driver turns out to be another one than targets.yml says."""
    return row.provisional and (row.driver == found.driver or (row.fixed and found.fixed))


def _contradicts(row: MinerRow, told: Identity) -> bool:
    """Whether the device tells another MAC or serial number than the row's device told."""
    known = row.identity
    if told.mac is not None and known.mac is not None:
        return told.mac != known.mac
    ours, theirs = real_serial(known.serial), real_serial(told.serial)
    return ours is not None and theirs is not None and ours != theirs


def _shares_address(other: MinerRow, found: Found) -> bool:
    return found.shared_port is not None and other.fixed and found.shared_port not in (other.http_port, other.api_port)


def _merge_provisional(db: Database, found: Found, row: MinerRow) -> tuple[MinerRow, tuple[int, ...]]:
    """Drop a provisional row at the same place once the real one is known; what a person told of it is kept."""
    gone = []
    if found.shared_port is None:
        for other in db.miners.by_address(found.address):
            if other.id != row.id and _is_provisional_of(other, found):
                kept = {name: getattr(other, name) for name in _BY_A_PERSON if getattr(row, name) is None}
                row = db.miners.update(row.id, **kept)
                password = db.passwords.get(other.id)
                if password is not None and db.passwords.get(row.id) is None:
                    db.passwords.set(row.id, password.password, password.username)
                _carry_memories(db, other, row)
                db.miners.delete(other.id)
                gone.append(other.id)
    return row, tuple(gone)


def _carry_memories(db: Database, other: MinerRow, row: MinerRow) -> None:
    """`row` remembers what `other` does; where both do, what the one that was seen last told holds."""
    older, newer = sorted((other, row), key=lambda one: one.last_seen or 0.0)
    db.memories.remember(row.id, {**db.memories.of(older.id), **db.memories.of(newer.id)})


def _keys(found: Found) -> Iterator[tuple[str, bool]]:
    """Keys the device may have, the best first, and whether each is provisional."""
    told = found.identity
    mac = told.mac or found.neighbour_mac
    if mac is not None:
        yield mac, False
    serial = real_serial(told.serial)
    if serial is not None:
        yield f"serial:{serial}", False
    place = found.address if found.shared_port is None else f"{found.address}:{found.shared_port}"
    yield f"addr:{found.driver}:{place}", True


def _free_key(db: Database, found: Found) -> tuple[str, bool]:
    """The best key that no other row has: a MAC that moved to another control board is still its old miner's key."""
    for key, provisional in _keys(found):
        if db.miners.by_key(key) is None:
            return key, provisional
    return f"addr:{found.driver}:{found.address}:{found.http_port}:{found.api_port}", True


def _free_mac(db: Database, found: Found, row: MinerRow | None) -> str | None:
    """The MAC to store: what the device tells, else what the neighbour table says; None where it is another row's."""
    mac = found.identity.mac or (found.neighbour_mac if row is None or row.mac is None else None)
    owner = None if mac is None else db.miners.by_mac(mac)
    return mac if owner is None or (row is not None and owner.id == row.id) else None


def _insert(db: Database, found: Found, now: float) -> MinerRow:
    key, provisional = _free_key(db, found)
    return db.miners.insert(
        key=key,
        mac=_free_mac(db, found, None),
        serial=real_serial(found.identity.serial),
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
        last_seen=now if found.answered else None,
        identity=found.identity,
        details=dict(found.details),
        labels=dict(found.labels),
    )


def _changes(db: Database, row: MinerRow, found: Found) -> dict[str, Any]:
    """What a find changes of a known miner. When it was seen last is told by its polls."""
    changes: dict[str, Any] = {
        "address": found.address,
        "last_address": found.address,
        "http_port": found.http_port,
        "api_port": found.api_port,
        "driver": found.driver,
        "identity": merge_identity(found.identity, row.identity),
        "details": dict(found.details),
        "labels": dict(found.labels),
    }
    if row.provisional:
        key, provisional = _free_key(db, found)
        if not provisional:
            changes.update(key=key, provisional=False)
    mac = _free_mac(db, found, row)
    if mac is not None:
        # Also where it was matched by its serial number. The key stays.
        changes["mac"] = mac
    serial = real_serial(found.identity.serial)
    if serial is not None:
        changes["serial"] = serial
    if found.fixed:
        changes["fixed"] = True
    if found.name is not None and row.name is None:
        changes["name"] = found.name
    return {name: value for name, value in changes.items() if getattr(row, name) != value}
