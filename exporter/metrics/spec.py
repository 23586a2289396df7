"""One declaration per metric; a wrong one does not survive the import.

A `MetricSpec` names a family, its type, unit and help, the `Scope` it belongs to and a typed function that takes the
scope's item (a reading, a board, a fan, ...) and returns the value. The scope also decides whether the family is
*durable*: durable families stay for every enabled and managed miner, volatile ones need a live reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from exporter.engine.fleet import MinerRecord
from exporter.model import Reading

MetricType = Literal["gauge", "counter", "histogram"]
#: What a value function may return; None gives no sample, a truth value becomes 1 or 0.
Value = float | bool | None
#: Label values and the value of one sample of a family that has labels of its own.
Labelled = tuple[tuple[str | None, ...], Value]

Item = TypeVar("Item")


class SpecError(ValueError):
    """A metric declared against the naming rules. Raised at import, so it never reaches an operator."""


# --- units ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unit:
    """A base unit: how the reference shows it, the suffix that names must end in, and OpenMetrics' UNIT (or "")."""

    shown: str
    suffix: str
    openmetrics: str


SECONDS: Final = Unit("seconds", "_seconds", "seconds")
UNIX_SECONDS: Final = Unit("seconds (unix)", "_timestamp_seconds", "seconds")
HASHES_PER_SECOND: Final = Unit("hashes/s", "_hashes_per_second", "hashes_per_second")
HASHES: Final = Unit("hashes", "_hashes", "hashes")
WATTS: Final = Unit("watts", "_watts", "watts")
JOULES: Final = Unit("joules", "_joules", "joules")
VOLTS: Final = Unit("volts", "_volts", "volts")
AMPERES: Final = Unit("amperes", "_amperes", "amperes")
HERTZ: Final = Unit("hertz", "_hertz", "hertz")
CELSIUS: Final = Unit("celsius", "_celsius", "celsius")
RPM: Final = Unit("rpm", "_rpm", "rpm")
RATIO: Final = Unit("ratio 0-1", "_ratio", "ratio")
BYTES: Final = Unit("bytes", "_bytes", "bytes")
DBM: Final = Unit("dBm", "_dbm", "dbm")
INFO: Final = Unit("info", "_info", "")
BOOL: Final = Unit("bool", "", "")
STATES: Final = Unit("stateset", "", "")
COUNT: Final = Unit("1", "", "")

_WORDS: Final = """
    accepted active bad boots chips commands condition difficulty errors expected failures faults flight found light
    managed mining mode muted nonces overheat polls ports priority probed received refused rejected rejections shares
    stale state status successful targets templates up waiting workers
"""
#: The only words a name without a unit may end in (before ``_total``). promtool lets ``_mhz``, ``_ghs``, ``_mv`` and
#: ``_percent`` pass, so the list is ours, and a new word is added on purpose.
CLOSING_WORDS: Final = frozenset(_WORDS.split())
_NAME: Final = re.compile(r"miner(?:_[a-z0-9]+)+")
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]*")
#: Names that Prometheus, its formats or an operator's own site-wide labels use.
RESERVED_LABELS: Final = frozenset({"job", "instance", "le", "quantile", "type", "zone", "cluster", "env"})


def check_declaration(name: str, kind: MetricType, unit: Unit, help_text: str, labels: Sequence[str]) -> None:
    """Raise `SpecError` where a family breaks the naming rules (prefix, base unit, ``_total``, labels, help)."""
    if not _NAME.fullmatch(name):
        raise SpecError(f"{name}: a name is lower case, with single underscores, and begins with miner_")
    if (kind == "counter") != name.endswith("_total"):
        raise SpecError(f"{name}: counters end in _total, and nothing else does")
    if not help_text.strip().endswith(".") or "\n" in help_text:
        raise SpecError(f"{name}: help is one sentence on one line")
    stem = name.removesuffix("_total")
    if unit.suffix:
        if not stem.endswith(unit.suffix):
            raise SpecError(f"{name}: unit {unit.shown} wants the suffix {unit.suffix}")
        if unit is SECONDS and stem.endswith(UNIX_SECONDS.suffix):
            raise SpecError(f"{name}: a time stamp has the unit {UNIX_SECONDS.shown}")
    elif stem.rpartition("_")[2] not in CLOSING_WORDS:
        raise SpecError(f"{name}: ends in no base unit and in no word of CLOSING_WORDS")
    if unit is INFO and kind != "gauge":
        raise SpecError(f"{name}: an _info family is a gauge of value 1")
    if len(set(labels)) != len(labels):
        raise SpecError(f"{name}: a label is named twice")
    for label in labels:
        if not _LABEL.fullmatch(label) or label in RESERVED_LABELS:
            raise SpecError(f"{name}: label {label!r} is not allowed")


# --- scopes and metrics ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope(Generic[Item]):
    """What a family counts: items of one kind, each told apart by labels beside ``miner``.

    Attributes:
        name: for the reference ("board").
        durable: whether the families stay without a live reading.
        labels: label names that tell two items of one miner apart.
        items: the items in a record and its reading. The reading of a durable scope is never looked at.
        label_values: one value per name in `labels`.
    """

    name: str
    durable: bool
    labels: tuple[str, ...]
    items: Callable[[MinerRecord, Reading], Sequence[Item]]
    label_values: Callable[[Item], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MetricSpec(Generic[Item]):
    """One family.

    Exactly one of `value` and `values` is given: `value` for one sample per item, `values` for several, told apart
    by `labels`. In an ``_info`` family every value is 1.

    Attributes:
        values: may return a shared tuple; the page is not rendered again while it stays equal.
        configured_labels: adds the labels configured for the miner (site, rack, group, ...).
        optional: the collector that must be switched on for it, or "".

    Raises:
        SpecError: at construction, see `check_declaration`.
    """

    name: str
    type: Literal["gauge", "counter"]
    unit: Unit
    help: str
    scope: Scope[Item]
    value: Callable[[Item], Value] | None = None
    labels: tuple[str, ...] = ()
    values: Callable[[Item], Sequence[Labelled]] | None = None
    configured_labels: bool = False
    optional: str = ""

    def __post_init__(self) -> None:
        check_declaration(self.name, self.type, self.unit, self.help, self.all_labels)
        if (self.value is None) == (self.values is None):
            raise SpecError(f"{self.name}: give either value or values")
        if (self.values is None) != (not self.labels):
            raise SpecError(f"{self.name}: values and labels go together")

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Every label name in the order of the page, without the configured ones."""
        return ("miner", *self.scope.labels, *self.labels)


# --- headers --------------------------------------------------------------------------------------------------


def text_header(name: str, kind: MetricType, help_text: str) -> bytes:
    """HELP and TYPE lines of the text format 0.0.4."""
    shown = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {shown}\n# TYPE {name} {kind}\n".encode()


def openmetrics_header(name: str, kind: MetricType, unit: Unit, help_text: str) -> bytes:
    """TYPE, UNIT and HELP lines of OpenMetrics 1.0.0, where a counter's family has no ``_total``."""
    family = name.removesuffix("_total") if kind == "counter" else name
    shown = help_text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    unit_line = f"# UNIT {family} {unit.openmetrics}\n" if unit.openmetrics else ""
    return f"# TYPE {family} {kind}\n{unit_line}# HELP {family} {shown}\n".encode()
