"""From a `MinerRecord` to the bytes of its samples, one chunk per family. This runs at every poll and must be cheap."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from exporter.engine.fleet import MinerRecord
from exporter.metrics.catalog import RenderOptions, allowed_label_name, families
from exporter.metrics.scopes import MINER
from exporter.metrics.spec import Labelled, MetricSpec, Scope
from exporter.metrics.text_format import LARGEST, quoted, sample_number
from exporter.model import Reading

log = logging.getLogger(__name__)

#: Why a sample was left out: its value function raised (or gave no number), or its labels were there already.
Fault = Literal["raised", "duplicate"]
FAULTS: Final[tuple[Fault, ...]] = ("raised", "duplicate")


class MinerPage(NamedTuple):
    """The samples of one miner as text, and what it was made of.

    Attributes:
        key: the label ``miner``.
        live: a chunk per volatile family in the order of the page, b"" where there is no sample; () without a reading.
        durable: the same for durable families.
        down: the chunk ``miner_up 0``, shown in place of the first durable one after `expires_at`.
        expires_at: `time.monotonic()` after which only the durable chunks may be shown.
        durable_source: what `durable` was made of.
        sources: per volatile family the values its chunk was made of.
        shapes: per scope with several items their labels.
    """

    key: str
    live: tuple[bytes, ...]
    durable: tuple[bytes, ...]
    down: bytes
    expires_at: float
    durable_source: tuple[Any, ...] = ()
    sources: Sequence[Any] = ()
    shapes: Sequence[Sequence[str]] = ()


_NO_PAGE: Final = MinerPage("", (), (), b"", 0.0)


class _Canvas(NamedTuple):
    """One page in the making: chunks and their sources by place, and those of the page before."""

    record: MinerRecord
    chunks: list[bytes]
    sources: list[Any]
    old_chunks: Sequence[bytes]
    old_sources: Sequence[Any]


#: A family of one sample per item, prepared: place on the page, name, value function, least value.
_Plain = tuple[int, str, Callable[[Any], Any], float]


class _Labelled(NamedTuple):
    """A family with labels of its own, prepared; `labels` are written as ``,name=``."""

    place: int
    name: str
    values: Callable[[Any], Sequence[Labelled]]
    lowest: float
    labels: tuple[str, ...]
    configured: bool


class _Group(NamedTuple):
    """The families of one scope; `labels` of its items are written as ``,name=``."""

    scope: Scope[Any]
    labels: tuple[str, ...]
    plain: tuple[_Plain, ...]
    labelled: tuple[_Labelled, ...]


def _group(scope: Scope[Any], specs: Sequence[MetricSpec[Any]]) -> _Group:
    """The families of `scope` among `specs`, whose order is that of the page."""
    plain: list[_Plain] = []
    labelled: list[_Labelled] = []
    for place, spec in enumerate(specs):
        lowest = 0.0 if spec.type == "counter" else -LARGEST
        if spec.scope is not scope:
            continue
        if spec.value is not None:
            plain.append((place, spec.name, spec.value, lowest))
        elif spec.values is not None:
            labels = tuple(f",{label}=" for label in spec.labels)
            labelled.append(_Labelled(place, spec.name, spec.values, lowest, labels, spec.configured_labels))
    return _Group(scope, tuple(f",{label}=" for label in scope.labels), tuple(plain), tuple(labelled))


@functools.lru_cache(maxsize=8192)  # the same boards and chips come with every reading of every miner
def _labels(names: tuple[str, ...], values: tuple[str | None, ...]) -> str:
    """`names` are written as ``,name=``."""
    return "".join([name + quoted(value) for name, value in zip(names, values, strict=True)])


class Renderer:
    """Renders records under one set of options.

    Args:
        options: what of the catalogue is shown.
        specs: the families, for tests; by default those of the catalogue.
        on_fault: told of every sample that is left out.
    """

    def __init__(
        self,
        options: RenderOptions,
        *,
        specs: Sequence[MetricSpec[Any]] | None = None,
        on_fault: Callable[[Fault], None] | None = None,
    ) -> None:
        self.options = options
        shown = families(options) if specs is None else tuple(specs)
        self.durable_specs = tuple(spec for spec in shown if spec.scope.durable)
        self.live_specs = tuple(spec for spec in shown if not spec.scope.durable)
        self._durable = _group(MINER, self.durable_specs)
        scopes = {id(spec.scope): spec.scope for spec in self.live_specs}
        groups = [_group(scope, self.live_specs) for scope in scopes.values()]
        self._single = tuple(group for group in groups if not group.scope.labels)
        self._several = tuple(group for group in groups if group.scope.labels)
        self._no_chunks = [b""] * len(self.live_specs)
        self._no_sources: list[Any] = [None] * len(self.live_specs)
        self._on_fault = on_fault
        self._told: set[tuple[str, Fault]] = set()

    def render(self, record: MinerRecord, previous: MinerPage | None = None) -> MinerPage:
        """The page of `record`; chunks of `previous` (by the same renderer) are used again while nothing changed."""
        if not record.enabled:
            return MinerPage(record.key, (), (b"",) * len(self.durable_specs), b"", 0.0)
        before = previous if previous is not None and previous.key == record.key else _NO_PAGE
        labels = "{miner=" + quoted(record.key)
        durable, down, source = self._render_durable(record, labels, before)
        reading = record.reading
        if reading is None or not record.managed or record.up is not True:
            return MinerPage(record.key, (), durable, down, record.expires_at, source)
        chunks, sources = self._no_chunks.copy(), self._no_sources.copy()
        fresh = _Canvas(record, chunks, sources, self._no_chunks, self._no_sources)
        known = _Canvas(record, chunks, sources, before.live, before.sources) if before.live else fresh
        for scope, _, plain, labelled in self._single:
            item = scope.items(record, reading)[0]
            self._plain(known, plain, item, labels)
            self._labelled(known, labelled, item, labels)
        shapes: list[Sequence[str]] = []
        for group in self._several:
            items, owns = self._items(group, record, reading, labels)
            plain, labelled = group.plain, group.labelled
            canvas = known if before.live and before.shapes[len(shapes)] == owns else fresh
            shapes.append(owns)
            if len(items) == 1:
                self._plain(canvas, plain, items[0], owns[0])
                self._labelled(canvas, labelled, items[0], owns[0])
            elif items:
                self._plain_columns(canvas, plain, items, owns)
                self._labelled_columns(canvas, labelled, items, owns)
        return MinerPage(record.key, tuple(chunks), durable, down, record.expires_at, source, sources, shapes)

    def _render_durable(
        self, record: MinerRecord, labels: str, before: MinerPage
    ) -> tuple[tuple[bytes, ...], bytes, tuple[Any, ...]]:
        source = (
            tuple(record.poll_errors.items()),
            record.up,
            record.name,
            record.address,
            record.driver,
            record.identity,
            record.labels,
            record.managed,
            record.muted,
            record.usb,
        )
        size = len(self.durable_specs)
        if before.durable_source and before.durable_source[0] == source:
            if before.durable_source[1] == record.last_success:
                return before.durable, before.down, before.durable_source
            # Only the time of the last success is new, the usual case: families with labels of their own stay.
            chunks = list(before.durable)
            canvas = _Canvas(record, chunks, [None] * size, before.durable, before.durable_source[2])
            self._plain(canvas, self._durable.plain, record, labels)
            return tuple(chunks), before.down, (source, record.last_success, canvas.sources)
        nothing: list[Any] = [None] * size
        chunks = [b""] * size
        canvas = _Canvas(record, chunks, nothing.copy(), chunks, nothing)
        self._plain(canvas, self._durable.plain, record, labels)
        self._labelled(canvas, self._durable.labelled, record, labels)
        down = f"{self.durable_specs[0].name}{labels}}} 0\n".encode() if record.managed else b""
        return tuple(chunks), down, (source, record.last_success, canvas.sources)

    # --- samples ----------------------------------------------------------------------------------------------

    def _plain(self, canvas: _Canvas, rows: tuple[_Plain, ...], item: Any, labels: str) -> None:
        """One sample per family."""
        record, chunks, sources, old_chunks, old_sources = canvas
        largest = LARGEST
        for place, name, value, lowest in rows:
            try:
                number = value(item)
                if number is None:
                    continue
                sources[place] = number
                if number == old_sources[place]:
                    chunks[place] = old_chunks[place]
                    continue
                if number.__class__ is not float or not lowest <= number <= largest:
                    number = sample_number(number, lowest)
            except Exception as error:  # noqa: BLE001 - a metric of one miner never costs the page
                self._fault("raised", name, record, error)
                continue
            chunks[place] = f"{name}{labels}}} {number!r}\n".encode()

    def _labelled(self, canvas: _Canvas, rows: tuple[_Labelled, ...], item: Any, labels: str) -> None:
        """Families with labels of their own."""
        record, chunks, sources, old_chunks, old_sources = canvas
        for row in rows:
            place = row.place
            try:
                samples = row.values(item)
                if not samples:
                    continue
                sources[place] = samples
                if samples == old_sources[place]:
                    chunks[place] = old_chunks[place]
                    continue
            except Exception as error:  # noqa: BLE001 - as above
                self._fault("raised", row.name, record, error)
                continue
            chunks[place] = self._lines(row, samples, labels, record)

    def _plain_columns(
        self, canvas: _Canvas, rows: tuple[_Plain, ...], items: Sequence[Any], owns: Sequence[str]
    ) -> None:
        """One sample per family and item."""
        record, chunks, sources, old_chunks, old_sources = canvas
        nothing = [None] * len(items)
        for place, name, value, lowest in rows:
            try:
                numbers = list(map(value, items))
            except Exception:  # noqa: BLE001 - told of by the single values
                numbers = [self._value(value, item, name, record) for item in items]
            if numbers == nothing:
                continue
            sources[place] = numbers
            if numbers == old_sources[place]:
                chunks[place] = old_chunks[place]
                continue
            lines = ""
            for number, labels in zip(numbers, owns, strict=True):
                if number is None:
                    continue
                if number.__class__ is not float or not lowest <= number <= LARGEST:
                    try:
                        number = sample_number(number, lowest)
                    except (TypeError, ValueError) as error:
                        self._fault("raised", name, record, error)
                        continue
                lines += f"{name}{labels}}} {number!r}\n"
            chunks[place] = lines.encode()

    def _labelled_columns(
        self, canvas: _Canvas, rows: tuple[_Labelled, ...], items: Sequence[Any], owns: Sequence[str]
    ) -> None:
        """Families with labels of their own, over several items."""
        record, chunks, sources, old_chunks, old_sources = canvas
        for row in rows:
            place = row.place
            samples = [self._value(row.values, item, row.name, record) for item in items]
            if not any(samples):
                continue
            sources[place] = samples
            if samples == old_sources[place]:
                chunks[place] = old_chunks[place]
            else:
                lines = [self._lines(row, some, labels, record) for some, labels in zip(samples, owns, strict=True)]
                chunks[place] = b"".join(lines)

    def _value(self, value: Callable[[Any], Any], item: Any, name: str, record: MinerRecord) -> Any:
        """What `value` says of one item; None where it raises."""
        try:
            return value(item)
        except Exception as error:  # noqa: BLE001 - as above
            self._fault("raised", name, record, error)
            return None

    def _lines(self, row: _Labelled, samples: Sequence[Labelled] | None, labels: str, record: MinerRecord) -> bytes:
        """The samples of a family with labels of its own; of two with the same labels the first is kept."""
        single = row.labels[0] if len(row.labels) == 1 else None
        lines: dict[str, str] = {}
        for values, number in samples or ():
            if number is None:
                continue
            try:
                if number.__class__ is not float or not row.lowest <= number <= LARGEST:
                    number = sample_number(number, row.lowest)
                if single is None:
                    own = labels + _labels(row.labels, values)
                else:
                    (only,) = values
                    own = f"{labels}{single}{quoted(only)}"
            except Exception as error:  # noqa: BLE001 - as above
                self._fault("raised", row.name, record, error)
                continue
            if row.configured:
                own += self._configured(record)
            if own in lines:
                self._fault("duplicate", row.name, record, own)
            else:
                lines[own] = f"{row.name}{own}}} {number!r}\n"
        return "".join(lines.values()).encode()

    def _items(
        self, group: _Group, record: MinerRecord, reading: Reading, labels: str
    ) -> tuple[Sequence[Any], Sequence[str]]:
        """The items of a scope and the labels of each; of two with the same labels the first is kept."""
        scope, names = group.scope, group.labels
        try:
            items = scope.items(record, reading)
            if not items:
                return (), ()
            if len(names) == 1:
                stem = labels + names[0]
                owns = [stem + quoted(scope.label_values(item)[0]) for item in items]
            else:
                owns = [labels + _labels(names, scope.label_values(item)) for item in items]
        except Exception as error:  # noqa: BLE001 - as above
            self._fault("raised", scope.name, record, error)
            return (), ()
        if len(owns) == 1 or len(set(owns)) == len(owns):
            return items, owns
        kept: dict[str, Any] = {}
        for item, own in zip(items, owns, strict=True):
            if own in kept:
                self._fault("duplicate", scope.name, record, own)
            else:
                kept[own] = item
        return list(kept.values()), list(kept)

    def _configured(self, record: MinerRecord) -> str:
        """The configured labels: the union over the flock, "" where this miner has none, then its own beyond it."""
        own = dict(record.labels)
        names = dict.fromkeys(self.options.label_names)
        names.update(dict.fromkeys(name for name in own if allowed_label_name(name)))
        return "".join(f",{name}={quoted(own.get(name))}" for name in names)

    def _fault(self, fault: Fault, name: str, record: MinerRecord, cause: object) -> None:
        """Count a sample that is left out; log each family and kind once."""
        if self._on_fault is not None:
            self._on_fault(fault)
        if (name, fault) in self._told:
            return
        self._told.add((name, fault))
        if isinstance(cause, Exception):
            log.error("miner %s: no sample of %s: %s", record.key, name, cause, exc_info=cause)
        else:
            log.warning("miner %s: %s: left out a second sample with the labels %s}", record.key, name, cause)
