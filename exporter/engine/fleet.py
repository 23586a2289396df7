"""What the rest of the program sees of the flock: immutable records, published by reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import Identity, Reading
from exporter.model_usb import UsbView
from exporter.units import Seconds, UnixSeconds


@dataclass(frozen=True, slots=True)
class UsbRecord:
    """What a miner on USB shows beside its reading. `dev_path` and `port_path` are None while it is unplugged."""

    view: UsbView
    dev_path: str | None = None
    port_path: str | None = None


@dataclass(frozen=True, slots=True)
class MinerRecord:
    """One miner as the page, the UI and the API see it.

    Attributes:
        id: the database's own integer.
        key: the label `miner` (MAC, ``serial:..``, ``port:..`` or provisional ``addr:<driver>:<address>``).
        name: given by a person, else the host name, else the model and key.
        address: None while the miner is offline; `http_port` and `api_port` where it listens; `port` is the one
            of them that its driver asks, None where it asks none (USB).
        labels: labels (site, rack, group) as sorted pairs; what a person gave the miner wins over the configuration.
        named: whether a person named it. `currency`, `chipset`, `location_notes`: what a person said of it.
        model_alias: row of the table `models`; None while its model was not read.
        muted: no alarms now; `muted_until` is when that ends, None where it was never muted or has ended.
        up: whether the last poll succeeded; None before the first one.
        reading: the merged live reading; None where there is none (failed poll, not managed).
        expires_at: `time.monotonic()` after which `reading` may not be shown any more, even if nobody replaces it.
        poll_errors: failed polls by reason since the program started.
        last_success: Unix time of the last successful poll.
        auth_failed: a wrong device password stopped the polls until it is changed.
        sign_in_refused: `auth_failed`, or the last poll failed because the device wants a (different) password.
        pools_expected: number of each active pool, and whether it is the linked wallet's; empty without a link.
        usb: only for miners on USB.
    """

    id: int
    key: str
    name: str
    driver: str
    identity: Identity
    address: str | None = None
    http_port: int | None = None
    api_port: int | None = None
    port: int | None = None
    labels: tuple[tuple[str, str], ...] = ()
    managed: bool = True
    enabled: bool = True
    auto_discovered: bool = True
    provisional: bool = False
    named: bool = False
    muted: bool = False
    muted_until: UnixSeconds | None = None
    currency: str | None = None
    chipset: str | None = None
    location_notes: str | None = None
    model_alias: str | None = None
    auth_failed: bool = False
    sign_in_refused: bool = False
    up: bool | None = None
    reading: Reading | None = None
    expires_at: float = 0.0
    poll_duration: Seconds | None = None
    poll_errors: Mapping[str, int] = field(default_factory=dict)
    last_success: UnixSeconds | None = None
    last_error: str | None = None
    created_at: UnixSeconds | None = None
    last_seen: UnixSeconds | None = None
    pools_expected: tuple[tuple[tuple[str], bool], ...] = ()
    usb: UsbRecord | None = None


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host that is a miner of a family that no driver can poll yet."""

    address: str
    make: str | None
    model: str | None
    firmware: str | None
    mac: str | None
    seen_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """The flock at one moment: records in order of id, and hosts seen without a driver."""

    miners: tuple[MinerRecord, ...] = ()
    seen: tuple[SeenHost, ...] = ()
    taken_at: UnixSeconds | None = None
