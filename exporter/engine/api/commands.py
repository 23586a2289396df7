"""Commands to miners: what one offers, sending one, sending one to many, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from exporter.store.secret import Secret
from exporter.units import Hertz, Ratio, UnixSeconds, Volts


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the miner."""

    command: ClassVar[str] = "restart"


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop mining until told to resume."""

    command: ClassVar[str] = "pause"


@dataclass(frozen=True, slots=True)
class Resume:
    """Mine again after a pause."""

    command: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True)
class Identify:
    """Switch the light on or off that tells the miner apart in a rack."""

    command: ClassVar[str] = "identify"
    on: bool = True


@dataclass(frozen=True, slots=True)
class SetMode:
    """Work in one of the modes the miner offers."""

    command: ClassVar[str] = "mode"
    mode: str


@dataclass(frozen=True, slots=True)
class SetPreset:
    """Apply a tuning preset.

    `confirm_modified_psu`: a person knows that the power supply was modified for it.
    """

    command: ClassVar[str] = "preset"
    preset: str
    confirm_modified_psu: bool = False


@dataclass(frozen=True, slots=True)
class SetTuning:
    """Set frequency (Hz), core voltage (V), or both."""

    command: ClassVar[str] = "tuning"
    frequency: Hertz | None = None
    core_voltage: Volts | None = None


@dataclass(frozen=True, slots=True)
class SetPool:
    """Set one of the miner's pools; `slot` counts from 0. The password is sent, never kept.

    ``{name}`` in `user` stands for the miner's name, so that many miners do not share a worker.
    """

    command: ClassVar[str] = "pool"
    url: str
    user: str
    password: Secret = field(default_factory=lambda: Secret("x"))
    slot: int = 0


@dataclass(frozen=True, slots=True)
class SetFan:
    """Set the duty of the fans; None gives them back to the miner's own control."""

    command: ClassVar[str] = "fan"
    duty: Ratio | None = None


Order = Restart | Pause | Resume | Identify | SetMode | SetPreset | SetTuning | SetPool | SetFan


@dataclass(frozen=True, slots=True)
class OfferedCommand:
    """A command that a miner offers now.

    Attributes:
        effect: what will happen, one sentence.
        choices: values with why one cannot be chosen (None: it can): modes and presets.
        ranges: (name, unit, least, most, choices, current) of each number that may be set.
        slots: how many pools it has (command "pool").
    """

    command: str
    effect: str
    choices: tuple[tuple[str, str | None], ...] = ()
    ranges: tuple[tuple[str, str, float, float, tuple[float, ...], float | None], ...] = ()
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class Offers:
    """What can be commanded now; `reason` says why nothing can."""

    commands: tuple[OfferedCommand, ...] = ()
    reason: str | None = None


#: See `CommandRun.state`.
STATES: Final = ("running", "confirmed", "refused", "unconfirmed", "failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One command to one miner, as the audit log keeps it; no secret is in it.

    Attributes:
        miner: the label `miner`; `name` as it was called then.
        values: what was asked for.
        who: who asked, in words, for example 'token "grafana"' or "a signed-in browser".
        state: "running", "confirmed" (the effect was seen), "refused" (the device said no), "unconfirmed" (it did
            not, and the effect was not seen in time), "failed" (not sent, or the miner went away), "cancelled"
            (before anything was sent), "interrupted" (the program ended meanwhile).
        words: the device's own words, or why it failed.
        before, after: what was seen before and after (state, mode, hash rate, pool, ...).
        bulk_id: of the bulk command it belongs to.
    """

    id: int
    miner_id: int
    miner: str
    name: str
    command: str
    values: Mapping[str, Any]
    who: str
    state: str
    started_at: UnixSeconds
    ended_at: UnixSeconds | None = None
    words: str | None = None
    effect: str | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    bulk_id: int | None = None


#: See `Bulk.state` and `BulkResult.state`.
BULK_STATES: Final = ("running", "finished", "cancelled", "interrupted")
BULK_RESULT_STATES: Final = (*STATES, "waiting", "not offered", "not allowed", "not sent", "would send")


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one miner of a bulk command.

    Attributes:
        state: as `CommandRun.state`, or "waiting", or "not offered" / "not allowed" (then `words` says why; nothing was
            sent), or "not sent" (the program ended before its turn came), or for a dry run "would send".
        command_id: of the `CommandRun`; None where nothing was sent.
    """

    miner_id: int
    name: str
    state: str
    words: str | None = None
    effect: str | None = None
    command_id: int | None = None


@dataclass(frozen=True, slots=True)
class Bulk:
    """A command to many miners. The last twenty are known, also after a restart of the program; dry runs until then.

    Attributes:
        state: "running", "finished", "cancelled" or "interrupted" (the program ended meanwhile).
        counts: results by state.
    """

    id: int
    command: str
    values: Mapping[str, Any]
    who: str
    dry_run: bool
    state: str
    started_at: UnixSeconds
    ended_at: UnixSeconds | None
    results: tuple[BulkResult, ...]
    counts: Mapping[str, int]


class CommandsApi(Protocol):
    """See the module and the package."""

    def enabled(self) -> bool:
        """Whether `control.enabled` is set; where it is not every command raises `ForbiddenError`."""
        ...

    def offers(self, miner_id: int) -> Offers:
        """What a miner offers now; asks the device for its ranges. Where it offers nothing, `reason` says why.

        Raises:
            UnknownError: no such miner.
        """
        ...

    def start(self, miner_id: int, order: Order, who: str) -> CommandRun:
        """Begin a command; returns once it was found possible and was noted, before the device has answered.

        Raises:
            UnknownError: no such miner.
            ForbiddenError: control is off, or the miner is not managed, retired, or a preset needs a ceiling first.
            NotOfferedError: the miner does not offer the command (409); the message names what it does offer.
            TakenError: another command runs on the miner.
            FieldError: a value outside the miner's own range.
            UnavailableError: the miner does not answer now.
        """
        ...

    def get(self, command_id: int) -> CommandRun | None: ...

    def wait(self, command_id: int, seconds: float) -> CommandRun | None:
        """As `get`, once the command has ended or `seconds` have passed."""
        ...

    def recent(self, miner_id: int | None = None, limit: int = 100, offset: int = 0) -> tuple[CommandRun, ...]:
        """Commands, newest first."""
        ...

    def count(self, miner_id: int | None = None) -> int:
        """How many commands `recent` can give."""
        ...

    def start_bulk(
        self,
        miner_ids: Sequence[int],
        order: Order,
        who: str,
        *,
        dry_run: bool = False,
        parallel: int = 10,
        stagger_seconds: float = 0.0,
    ) -> Bulk:
        """Send a command to many miners, `parallel` at once, starts at least `stagger_seconds` apart.

        What one miner cannot do is one result among the others. A miner that waits or runs in another such command is
        not told again: its result is "failed" from the start. Dry runs hold nobody back, and tell the same.

        Raises:
            ForbiddenError: control is off.
            FieldError: nobody was chosen, a number is out of bounds, or the address of a pool is none.
            TakenError: too many such commands run, or each of the miners waits or runs in another one.
            StoreError: it cannot be noted, so nothing is sent.
        """
        ...

    def bulk(self, bulk_id: int) -> Bulk | None: ...

    def cancel_bulk(self, bulk_id: int) -> Bulk:
        """Send nothing more; commands that run end by themselves. Raises `UnknownError`."""
        ...
