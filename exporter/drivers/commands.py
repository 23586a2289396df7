"""What a driver may offer beyond reading: commands, as plans that the engine carries out.

A driver sends nothing. For each command it makes a `Plan`: what to read first, what to write, how to see that the
device refused, and how to see in later readings that it obeyed. Which commands a driver offers is found from the
methods it has (the protocols below); what a device offers of them now, from the `CommandContext`.

    command -> driver.<command>(..., context) -> Plan -> engine: reads, writes, check, polls until confirmed -> Outcome
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from exporter.drivers.api import Answer, Answers, DecodeContext, Request
from exporter.errors import MinerError
from exporter.model import ModelInfo, Preset, Reading
from exporter.units import Ratio


class CommandRefused(MinerError):
    """The device (or the driver, before anything was sent) says no. The message is the device's own words."""

    reason = "unsupported"


@dataclass(frozen=True, slots=True)
class UdpRequest:
    """One datagram to the miner's own address; nothing comes back.

    Attributes:
        repeat: how often it is sent, `spacing_seconds` apart (datagrams get lost; the same one does no harm twice).
    """

    port: int
    body: bytes
    repeat: int = 1
    spacing_seconds: float = 0.1

    @property
    def key(self) -> str:
        return f"udp {self.port}"


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes the device.

    Attributes:
        repeatable: may be sent again after a failure in which the device may have acted already. Never for restarts.
        answers: False where the device goes away without an answer (a reboot): then silence is no failure.
        check: raises `CommandRefused` where the answer says no; the writes behind it are not sent then.
    """

    request: Request | UdpRequest
    repeatable: bool = False
    answers: bool = True
    check: Callable[[Answer], None] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known while a command is being confirmed.

    Attributes:
        before: the last reading before the command; None where there was none.
        after: a reading that was asked for after the command.
        answers: the answers to `Plan.confirm_reads`; empty where it has none.
        went_away: whether the device was seen not to answer, or with a smaller uptime, since the command.
    """

    before: Reading | None
    after: Reading
    answers: Answers = field(default_factory=lambda: Answers({}))
    went_away: bool = False


def _no_words(answers: Answers) -> None:
    """A device whose HTTP status or CGMiner STATUS says it all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one command is carried out. Functions are pure.

    Attributes:
        effect: what a person is told will happen, one sentence ("The miner restarts and mines again in two minutes.").
        writes: makes the writes, in order, from the answers to `reads`. May raise `CommandRefused`.
        reads: asked first; every one is required unless it is `optional`.
        check: raises `CommandRefused` with the device's words where the answers to the writes say no.
        confirm_reads: asked beside the status poll each time the effect is looked for.
        confirmed: whether the effect is seen. A `MinerError` is no effect yet (an answer may be cut short meanwhile).
        remember: what the device itself forgets by the command and another command will want, by names of the driver's
            own (at most 16; a text of at most 200 characters, or a number). It is stored with the miner before
            anything is sent, beside what was stored under other names, and comes back as
            `CommandContext.remembered`. None forgets what was stored under that name, once the effect is seen: the
            device knows it again, so that what was stored would grow old. Never a secret.
        visible: False where nothing tells of the effect afterwards: then the device's yes counts, and only that.
        limit_seconds: how long the effect is looked for before the command ends as unconfirmed.
        settle_seconds: time before the first look.
        goes_away: the device does not answer for a while: failed polls meanwhile are expected.
    """

    effect: str
    writes: Callable[[Answers], tuple[Write, ...]]
    confirmed: Callable[[Evidence], bool]
    reads: tuple[Request, ...] = ()
    check: Callable[[Answers], None] = _no_words
    confirm_reads: tuple[Request, ...] = ()
    limit_seconds: float = 30.0
    settle_seconds: float = 1.0
    goes_away: bool = False
    visible: bool = True
    remember: Mapping[str, str | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a driver may know when it makes a plan.

    Attributes:
        decode: as for reading.
        reading: the last reading; None where the miner does not answer now (then most commands are refused).
        model: what the miner's model offers; None where it is not known.
        address: where the miner is, for messages that must name it; None where it is not known.
        web_password: of the device, for the few commands that carry it inside (Avalon `setpool`); None where not known.
        answers: to `AsksFirst.offer_reads`; what the device did not answer is missing.
        remembered: what earlier plans for this miner told to `remember`; it outlives the program, not the miner's row.
    """

    decode: DecodeContext
    reading: Reading | None = None
    model: ModelInfo | None = None
    address: str | None = None
    web_username: str | None = None
    web_password: str | None = field(default=None, repr=False)
    answers: Answers = field(default_factory=lambda: Answers({}), repr=False)
    remembered: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolSetting:
    """A pool to be set.

    Attributes:
        slot: which of the device's pools, from 0; other slots keep what they have.
        url: ``stratum+tcp://host:port`` (or ``stratum+ssl``); checked before a driver sees it.
        password: what the pool wants beside the user; most want anything.
    """

    slot: int
    url: str
    user: str
    password: str = field(default="x", repr=False)


@dataclass(frozen=True, slots=True)
class PoolRules:
    """What a device takes: how many slots, which schemes, whether it restarts for it."""

    slots: int
    schemes: tuple[str, ...] = ("stratum+tcp",)
    longest_url: int = 255
    longest_user: int = 255
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class TuningRange:
    """One value a person may set, within what the device itself offers.

    Attributes:
        name: "frequency" (Hz), "core_voltage" (V).
        unit: base unit.
        choices: the values the device offers; empty where any between `least` and `most` will do.
        current: None where it does not say.
    """

    name: str
    unit: str
    least: float
    most: float
    choices: tuple[float, ...] = ()
    current: float | None = None


@runtime_checkable
class AsksFirst(Protocol):
    """Has to ask the device what it offers, where no poll tells that: its least fan duty, the presets it has tuned."""

    def offer_reads(self, command: str, context: CommandContext) -> tuple[Request, ...]:
        """What `CommandContext.answers` must hold when a command ("restart", "pause", "resume", "identify", "mode",
        "preset", "tuning", "pool", "fan") is offered or planned; empty where the context tells enough.

        Where one that is not `optional` fails, the command cannot be planned now.
        """
        ...


@runtime_checkable
class Restarts(Protocol):
    """Can be restarted."""

    def restart(self, context: CommandContext) -> Plan: ...


@runtime_checkable
class Pauses(Protocol):
    """Can stop mining and take it up again."""

    def pause(self, context: CommandContext) -> Plan: ...

    def resume(self, context: CommandContext) -> Plan: ...


@runtime_checkable
class Identifies(Protocol):
    """Has a light (or a screen) that tells it apart in a rack."""

    def identify_light(self, on: bool, context: CommandContext) -> Plan: ...


@runtime_checkable
class HasModes(Protocol):
    """Has a few named modes of work."""

    def supported_modes(self, context: CommandContext) -> tuple[str, ...]:
        """Their names; empty where this device has none."""
        ...

    def set_mode(self, mode: str, context: CommandContext) -> Plan: ...


@runtime_checkable
class HasPresets(Protocol):
    """Has tuning presets."""

    def list_presets(self, context: CommandContext) -> tuple[Preset, ...]: ...

    def apply_preset(self, name: str, context: CommandContext) -> Plan: ...


@runtime_checkable
class Tunes(Protocol):
    """Takes a frequency or a voltage within its own range."""

    def tuning_reads(self, context: CommandContext) -> tuple[Request, ...]:
        """Requests whose answers tell the ranges; empty where the context does."""
        ...

    def decode_tuning(self, answers: Answers, context: CommandContext) -> tuple[TuningRange, ...]:
        """What may be set, within the device's own range; empty where nothing can."""
        ...

    def set_tuning(self, values: Mapping[str, float], context: CommandContext) -> Plan: ...


@runtime_checkable
class SetsPool(Protocol):
    """Takes pools."""

    def pool_rules(self, context: CommandContext) -> PoolRules: ...

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan: ...


@runtime_checkable
class SetsFan(Protocol):
    """Takes a fan duty, or None for its own control."""

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        """Least and greatest duty; None where this device's fans cannot be set."""
        ...

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan: ...
