"""Requests and answers about commands to miners, as the document describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from onboarding_ui.api.miner_shapes import State, Status
from onboarding_ui.api.shapes import Answer, Body, Id, PageQuery, Query, extras

_RunState = Literal["running", "confirmed", "refused", "unconfirmed", "failed", "cancelled", "interrupted"]
_Name = Annotated[str, Field(min_length=1, max_length=128)]
_Label = Annotated[str, Field(pattern="^[^:]+:", max_length=128)]


# --- what is asked for ---


class IdentifyOrder(Body):
    """Whether the light shall be on."""

    model_config = extras(example={"on": True})

    on: bool = True


class ModeOrder(Body):
    """One of the modes that the miner offers."""

    model_config = extras(example={"mode": "eco"})

    mode: _Name


class PresetOrder(Body):
    """One of the tuning presets that the miner offers."""

    model_config = extras(example={"preset": "2600"})

    preset: _Name
    confirm_modified_psu: bool = Field(False, description="The power supply was modified, as some presets need.")


class TuningOrder(Body):
    """Within what the miner offers; what is left out stays."""

    model_config = extras(example={"frequency": 525e6})

    frequency: float | None = Field(None, gt=0, le=1e12, description="Hz")
    core_voltage: float | None = Field(None, gt=0, le=1e3, description="V")


class PoolOrder(Body):
    """A pool. Its password is sent to the miner and kept nowhere."""

    model_config = extras(example={"url": "stratum+tcp://solo.ckpool.org:3333", "user": "bc1qexample.garage"})

    url: str = Field(min_length=1, max_length=512, description="scheme://host:port")
    user: str = Field(
        min_length=1,
        max_length=512,
        description="`{name}` in it stands for the miner's name, so that many miners do not share a worker.",
    )
    password: str = Field("x", max_length=128, description="Most pools take anything.")
    slot: int = Field(
        0, ge=0, le=15, description="Which of the miner's pools, from 0: 0 is what pages call Pool 1. The others stay."
    )


class FanOrder(Body):
    """The duty of the fans."""

    model_config = extras(example={"duty": 0.6})

    duty: float | None = Field(ge=0, le=1, description="0 to 1; null: the miner steers them by itself.")


# --- to many miners ---


class MinersFilter(Body):
    """Which miners: as the query of GET /api/miners. At least one of q, status, state, driver, managed and label."""

    q: str | None = Field(None, max_length=128)
    status: Status | None = None
    state: State | None = None
    driver: str | None = Field(None, max_length=64)
    managed: bool | None = None
    label: list[_Label] = Field([], max_length=8)
    enabled_only: bool = True
    include_disabled: bool = False


class BulkOrder(Body):
    """To whom, and how fast. Exactly one of `miners`, `filter` and `all` says to whom."""

    model_config = extras(example={"miners": [1, 2, 5], "dry_run": True})

    miners: list[Id] | None = Field(None, min_length=1, max_length=10_000, description="Ids.")
    filter: MinersFilter | None = None
    all: Literal[True] | None = Field(None, description="Every managed miner.")
    dry_run: bool = Field(False, description="Send nothing; tell for each miner what would happen.")
    parallel: int = Field(
        10,
        ge=1,
        le=100,
        description="Commands under way at the same time at most; one is under way until its effect was seen.",
    )
    stagger_seconds: float | None = Field(
        None,
        ge=0,
        le=600,
        description="s from one start to the next at least; 2 for restarts where it is left out, else 0.",
    )


class BulkMode(BulkOrder, ModeOrder):
    """A mode for many."""

    model_config = extras(example={"miners": [5], "mode": "eco"})


class BulkPreset(BulkOrder, PresetOrder):
    """A preset for many."""

    model_config = extras(example={"filter": {"driver": "vnish"}, "preset": "2600"})


class BulkPool(BulkOrder, PoolOrder):
    """A pool for many."""

    model_config = extras(
        example={"all": True, "url": "stratum+tcp://solo.ckpool.org:3333", "user": "bc1qexample.{name}"}
    )


# --- paths and queries ---


class ModeMinerPath(BaseModel):
    """The miner."""

    miner_id: Id = Field(description="Id of a miner with modes.", json_schema_extra={"example": 5})


class PresetMinerPath(BaseModel):
    """The miner."""

    miner_id: Id = Field(description="Id of a miner with presets.", json_schema_extra={"example": 3})


class RunPath(BaseModel):
    """The command."""

    command_id: Id = Field(description="Id of a command.", json_schema_extra={"example": 1})


class BulkPath(BaseModel):
    """The command to many."""

    bulk_id: Id = Field(description="Id of a command to many miners.", json_schema_extra={"example": 1})


class WaitQuery(Query):
    """Whether to wait."""

    wait: bool = Field(False, description="Answer when the command has ended, or after a minute.")


class BulkQuery(Query):
    """How much to tell."""

    results: Literal["all", "problems", "none"] = Field(
        "all", description="Of the single miners; problems: those where the effect was not, and will not be, seen."
    )


class AuditQuery(PageQuery):
    """Which commands."""

    miner_id: Id | None = None


# --- answers ---


class ChoiceAnswer(Answer):
    """A value that may be chosen."""

    value: str
    reason: str | None = Field(description="Why it cannot be chosen now; null where it can.")


class RangeAnswer(Answer):
    """A number that may be set, base units."""

    name: str
    unit: str
    least: float
    most: float
    choices: list[float] = Field(description="Only these; any number between least and most where there are none.")
    current: float | None


class OfferedAnswer(Answer):
    """A command that a miner offers."""

    command: str
    effect: str = Field(description="What will happen.")
    choices: list[ChoiceAnswer]
    ranges: list[RangeAnswer]
    slots: int | None = Field(description="How many pools it has.")


class OffersAnswer(Answer):
    """What a miner can be told now."""

    enabled: bool = Field(description="Whether the configuration allows commands.")
    commands: list[OfferedAnswer]
    reason: str | None = Field(description="Why there are none.")


class RunAnswer(Answer):
    """A command to a miner, as the log keeps it; no secret is in it."""

    id: int
    miner_id: int
    miner: str
    name: str
    command: str
    values: dict[str, Any] = Field(description="What was asked for.")
    who: str
    state: _RunState = Field(description="confirmed: the effect was seen; unconfirmed: no refusal, and no effect seen.")
    started_at: float
    ended_at: float | None
    words: str | None = Field(description="The device's own, or why it failed.")
    effect: str | None
    before: dict[str, Any] = Field(description="What was seen before it was sent.")
    after: dict[str, Any]
    bulk_id: int | None


class RunList(RootModel[list[RunAnswer]]):
    """Commands, newest first."""


class BulkResultAnswer(Answer):
    """What became of one miner."""

    miner_id: int
    name: str
    state: _RunState | Literal["waiting", "not offered", "not allowed", "not sent", "would send"] = Field(
        description="not sent: the program ended before its turn came."
    )
    words: str | None
    effect: str | None
    command_id: int | None = Field(description="Of GET /api/commands; null where nothing was sent.")


class BulkAnswer(Answer):
    """A command to many miners."""

    id: int
    command: str
    values: dict[str, Any]
    who: str
    dry_run: bool
    state: Literal["running", "finished", "cancelled", "interrupted"] = Field(
        description="interrupted: the program ended meanwhile; nothing more is sent."
    )
    started_at: float
    ended_at: float | None
    miners: int = Field(description="How many there are in all.")
    counts: dict[str, int] = Field(description="How many there are in each state.")
    results: list[BulkResultAnswer]
