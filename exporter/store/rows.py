"""The rows of the tables: immutable, safe to read from any thread.

Times are Unix seconds. None is "unknown". Every mapping in a row is read-only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from exporter.model import Identity, Preset
from exporter.store.secret import Secret
from exporter.units import UnixSeconds

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def _nothing() -> Mapping[str, str]:
    return _NOTHING


class DuplicateKey(ValueError):
    """A row with this key is there already. `row_id` is its id."""

    def __init__(self, message: str, row_id: int) -> None:
        super().__init__(message)
        self.row_id = row_id


@dataclass(frozen=True, slots=True)
class MinerRow:
    """A miner that is known, whether or not it answers now. No measured value is stored.

    Attributes:
        id: given by the database, never used again after a delete.
        key: the label `miner`; unique.
        driver: the `driver_type` that polls it.
        mac: lower case with colons; unique where known.
        name: given by a person; None until then.
        address: None while offline; `last_address` is where it was last.
        managed: False = listed, not polled. enabled: False = retired.
        provisional: the key is of the form ``addr:<driver>:<address>`` until a real identity is known.
        fixed: comes from `miners:` in targets.yml, so its address is never cleared.
        identity: what the device said of itself last; its MAC is repeated in `mac`, its serial number in `serial`.
        model_alias: row of the table `models`.
        details: facts the driver wants back (`Identification.details`).
        labels: configured labels (site, rack, group).
        own_labels: labels a person gave the miner; each wins over the configured one of its name.
        muted_until: no alarms until then.
        dev_path, attrs_*, status, state, pool_url, wallet_address, nerdminer_*: of USB miners.
        last_config_json: the configuration read last, as JSON text.
    """

    id: int
    key: str
    driver: str
    mac: str | None = None
    serial: str | None = None
    port_path: str | None = None
    name: str | None = None
    chipset: str | None = None
    location_notes: str | None = None
    currency: str | None = None
    address: str | None = None
    last_address: str | None = None
    http_port: int | None = None
    api_port: int | None = None
    managed: bool = True
    enabled: bool = True
    auto_discovered: bool = True
    provisional: bool = False
    fixed: bool = False
    created_at: UnixSeconds | None = None
    last_seen: UnixSeconds | None = None
    identity: Identity = Identity()
    model_alias: str | None = None
    details: Mapping[str, str] = field(default_factory=_nothing)
    labels: Mapping[str, str] = field(default_factory=_nothing)
    own_labels: Mapping[str, str] = field(default_factory=_nothing)
    muted_until: UnixSeconds | None = None
    dev_path: str | None = None
    attrs_idVendor: str | None = None  # noqa: N815 - the name the USB requirements give it
    attrs_idProduct: str | None = None  # noqa: N815
    attrs_serial: str | None = None
    status: str | None = None
    state: str | None = None
    pool_url: str | None = None
    wallet_address: str | None = None
    nerdminer_vrs: str | None = None
    nerdminer_rom: str | None = None
    last_config_json: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of miner. `presets` is None while nobody could read them; `max_preset` is a person's choice only."""

    id: int
    alias: str
    name: str | None = None
    algorithm: str | None = None
    boards: int | None = None
    chips_per_board: int | None = None
    presets: tuple[Preset, ...] | None = None
    max_preset: str | None = None
    updated_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """The API key of one miner; `id` is the miner's id, `description` how the device lists it."""

    id: int
    key: Secret
    description: str | None = None
    created_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class PasswordRow:
    """The device password of one miner; `id` is the miner's id, `username` None where the driver's own applies."""

    id: int
    password: Secret
    username: str | None = None


@dataclass(frozen=True, slots=True)
class MinerMemory:
    """What one miner forgets and its driver wants again; `id` is the miner's id, the names are the driver's own."""

    id: int
    facts: Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Credential:
    """A password to try on devices: by driver ("*" for all) and network (None for all), in the order of the list.

    `id` is set by the table and rises along the list; all are new whenever the list changes.
    """

    driver: str
    password: Secret
    cidr: str | None = None
    username: str | None = None
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting; `value` is anything JSON can hold."""

    id: int
    key: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class UnconfiguredDevice:
    """A USB board that was plugged in and that nobody has named yet (staging).

    Attributes:
        key: the label `miner` it will have.
        status, state: the words of the boot states.
        dumped_*: from the boot dump of its configuration; secrets are masked before they come here.
        config_json: the whole dumped configuration, secrets masked.
    """

    id: int
    key: str
    vendor_id: str
    product_id: str
    dev_path: str | None = None
    port_path: str | None = None
    serial_number: str | None = None
    mac: str | None = None
    discovered_at: UnixSeconds | None = None
    status: str | None = None
    state: str | None = None
    dumped_pool_url: str | None = None
    dumped_wallet_address: str | None = None
    dumped_firmware_version: str | None = None
    config_json: str | None = None


@dataclass(frozen=True, slots=True)
class MinerCommand:
    """A command for a USB miner; `status` is pending, running, complete or error (then `error` says why)."""

    id: int
    miner_id: int
    command: str
    status: str = "pending"
    payload: str | None = None
    error: str | None = None
    created_at: UnixSeconds | None = None
    ended_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet that is tracked.

    Attributes:
        currency: one of `CURRENCIES` of onboarding.
        address: as its currency writes it, checked; unique together with currency and pool.
        pool: `name` of a pool adapter ("ckpool_btc") or "host:port" of a pool without one; None for any pool.
    """

    id: int
    name: str
    currency: str
    address: str
    pool: str | None = None
    created_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class MinerConfig:
    """A pool configuration that was seen on a miner, and the wallet it belongs to.

    Attributes:
        pool_url: without any user or password.
        pool_user: as the miner tells it; `worker_name` is the part after the wallet.
        wallet_id: the linked wallet; `manual` where a person chose it, and it stays.
        active: whether the miner has this configuration now.
        reason: why no wallet matched, one of the words of `exporter.wallets.matching`; None where one did.
    """

    id: int
    miner_id: int
    pool_url: str | None = None
    pool_user: str | None = None
    worker_name: str | None = None
    wallet_id: int | None = None
    manual: bool = False
    active: bool = True
    reason: str | None = None
    detected_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token for the REST API; only its hash is kept.

    Attributes:
        token_hash: SHA-256 of the token, hexadecimal (tokens are long and random, so that needs no salt).
        scope: "read" or "full".
    """

    id: int
    name: str
    token_hash: Secret
    scope: str
    created_at: UnixSeconds | None = None
    expires_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class UiSession:
    """A signed-in browser; only the hash of its cookie is kept."""

    id: int
    token_hash: Secret
    created_at: UnixSeconds
    expires_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class UiPassword:
    """The password of the web UI, hashed; at most one row."""

    id: int
    password_hash: Secret
    changed_at: UnixSeconds | None = None
