"""Requests and answers about miners, as the document describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, RootModel, WithJsonSchema

from onboarding_ui.api.shapes import CURRENCY, LARGEST_ID, Answer, Body, Id, Labels, Query, UnixTime, extras

Status = Literal["online", "offline"]
State = Literal["mining", "idle", "starting", "tuning", "curtailed", "fault", "unknown"]
Sort = Literal[
    "id", "name", "ip_address", "mac_address", "miner_type", "status", "state", "hashrate", "power", "temperature",
    "reject_ratio", "chips_bad", "last_seen", "created_at",
    "-id", "-name", "-ip_address", "-mac_address", "-miner_type", "-status", "-state", "-hashrate", "-power",
    "-temperature", "-reject_ratio", "-chips_bad", "-last_seen", "-created_at",
]  # fmt: skip

_Note = Annotated[str, Field(max_length=256)]
_LabelWanted = Annotated[str, Field(pattern="^[^:]+:", max_length=128)]
#: Empty, as a form sends it, means none; the schema says so too, since the value is changed before it is checked.
_WalletWanted = Annotated[
    Id | None,
    BeforeValidator(lambda given: None if given == "" else given),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": LARGEST_ID}, {"const": ""}, {"type": "null"}]}
    ),
]
_LabelText = Annotated[str, Field(max_length=64)]


class MinersQuery(Query):
    """Which miners, in which order."""

    limit: int = Field(1000, ge=1, le=5000, description="At most so many.")
    offset: int = Field(0, ge=0, le=2**53 - 1, description="Leave out so many first.")
    enabled_only: bool = Field(True, description="Without retired miners.")
    include_disabled: bool = Field(False, description="With retired miners; wins over enabled_only.")
    q: str | None = Field(None, max_length=128, description="Text in the name, key, address, MAC, make or model.")
    status: Status | None = None
    state: State | None = None
    driver: str | None = Field(None, max_length=64, description="The `miner_type`.")
    managed: bool | None = None
    label: list[_LabelWanted] = Field([], max_length=8, description="name:text, for example site:hall-1; all must fit.")
    sort: Sort = Field("id", description="A field; a minus turns the order round. Unknown values come last.")


class UsbAnswer(Answer):
    """What a miner on USB shows beside its reading."""

    status: Literal["Inactive", "Initializing", "Active"]
    state: str = Field(description="How far it has come from power-on to mining, or Not Connected.")
    dev_path: str | None
    port_path: str | None
    conditions: list[str] = Field(description="What is wrong with it now.")


class MinerAnswer(Answer):
    """A miner. What was measured is null where it does not answer now or did not say."""

    id: int
    name: str = Field(description="Given by a person; else the host name, else the model and key.")
    named: bool = Field(description="Whether a person named it.")
    miner: str = Field(description="The label `miner` of its metrics.")
    miner_type: str = Field(description="The driver that polls it.")
    ip_address: str | None = Field(description="Null while it is offline.")
    mac_address: str | None
    api_port: int | None = Field(description="Where its driver asks it; null for a miner on USB.")
    status: Status
    state: State | None
    managed: bool = Field(description="Whether it is polled.")
    enabled: bool = Field(description="False for a retired miner.")
    auto_discovered: bool
    provisional: bool = Field(description="Whether it is known by its address only.")
    created_at: float | None
    last_seen: float | None
    make: str | None
    model: str | None
    model_alias: str | None = Field(description="Row of /api/models.")
    firmware: str | None
    firmware_version: str | None
    currency: str | None
    chipset: str | None
    location_notes: str | None
    labels: Labels
    muted_until: float | None = Field(description="No alarms until then.")
    auth_failed: bool = Field(description="It refused its password; it is left alone until that is changed.")
    last_error: str | None = Field(description="Why the last poll failed.")
    wallet_ids: list[int] = Field(description="The wallets it mines to.")
    hashrate: float | None = Field(description="H/s, the shortest window that the firmware tells.")
    hashrate_expected: float | None = Field(description="H/s")
    power: float | None = Field(description="W")
    temperature: float | None = Field(description="°C, the hottest chip, else the hottest board.")
    shares_accepted: float | None = Field(description="Since the device's start, over the owner's pools.")
    shares_rejected: float | None
    reject_ratio: float | None = Field(description="Rejected shares of all, 0 to 1.")
    chips_bad: int | None = Field(description="Dead, slow and too hot chips.")
    usb: UsbAnswer | None = Field(None, description="Only for a miner on USB.")


class MinerList(RootModel[list[MinerAnswer]]):
    """Miners."""


class MinerAdd(Body):
    """A miner by its address."""

    model_config = extras(example={"ip_address": "192.0.2.100", "name": "shed", "miner_type": "bitaxe", "api_port": 80})

    ip_address: str = Field(min_length=1, max_length=253, description="An address, or a name of one.")
    name: str | None = Field(None, min_length=1, max_length=64)
    miner_type: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="The driver. With it a miner is kept that does not answer now; without it the miner is asked.",
    )
    api_port: int | None = Field(None, ge=1, le=65535, description="The driver's own port where it is left out.")


class LabelChanges(Body):
    """Labels to set; null or empty takes one away, one that is left out stays."""

    site: _LabelText | None = None
    rack: _LabelText | None = None
    group: _LabelText | None = None


class MinerChange(Body):
    """What to change; what is left out stays."""

    model_config = extras(example={"name": "garage 2", "managed": True, "labels": {"site": "home"}})

    name: str | None = Field(None, min_length=1, max_length=64, description="Null takes it away.")
    currency: Annotated[str | None, CURRENCY] = Field(None, max_length=16)
    managed: bool = Field(True, description="Whether it is polled.")
    enabled: bool = Field(True, description="False retires it.")
    chipset: _Note | None = None
    location_notes: _Note | None = None
    labels: LabelChanges = Field(default_factory=LabelChanges)
    muted_until: UnixTime | None = Field(None, description="No alarms until then; null ends that.")
    unlock_pass: str | None = Field(
        None, max_length=256, description="The device's password from now on; never shown. Null or empty forgets it."
    )
    username: str | None = Field(None, max_length=64, description="Goes with unlock_pass.")


class ConfigAnswer(Answer):
    """A pool configuration that was seen on a miner, and the wallet it is linked to."""

    id: int
    miner_id: int
    wallet_id: int | None
    pool_url: str | None
    pool_user: str | None
    worker_name: str | None
    active: bool = Field(description="Whether the miner has it now.")
    manual: bool = Field(description="Whether a person chose the wallet.")
    reason: str | None = Field(description="Why no wallet was found for it.")
    detected_at: float | None


class ConfigList(RootModel[list[ConfigAnswer]]):
    """Pool configurations, active ones first."""


class LinkQuery(Query):
    """The wallet."""

    wallet_id: _WalletWanted = Field(
        None,
        description="Without it, or empty, the wallet is found automatically again.",
        json_schema_extra={"example": 1},
    )


class ExchangeAnswer(Answer):
    """A request to a device and what came back, secrets taken out."""

    at: float
    request: str
    status: int | None
    body: str | None
    error: str | None
    seconds: float | None


class ExchangeList(RootModel[list[ExchangeAnswer]]):
    """The last exchanges, newest last."""


class CommandAnswer(Answer):
    """A command for a miner on USB."""

    model_config = ConfigDict(extra="ignore")

    id: int
    miner_id: int
    command: str
    status: Literal["pending", "running", "complete", "error"]
    error: str | None
    created_at: float | None
    ended_at: float | None


class CommandList(RootModel[list[CommandAnswer]]):
    """Commands, oldest first."""


class RescanAnswer(Answer):
    """Whether a miner answered."""

    id: int
    answered: bool
