"""What a driver owes where it says what may be tuned: ranges that make sense, from whatever the device answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from exporter.drivers.api import Answer, Answers, Request
from exporter.drivers.commands import CommandContext, Tunes, TuningRange
from exporter.drivers.conformance import broken_bodies
from exporter.drivers.conformance_plans import garbage, guarded, read_faults
from exporter.drivers.fixture import Fixture, only, request_keys

_UNITS: Final = {"frequency": "Hz", "core_voltage": "V"}


def ranges_of(driver: Tunes, fixture: Fixture, context: CommandContext, faults: list[str]) -> tuple[TuningRange, ...]:
    """What the device of `fixture` lets a person tune; what is wrong with how the driver finds it goes to `faults`."""
    reads = guarded(faults, "tuning", partial(driver.tuning_reads, context))
    if reads is None:
        return ()
    wrong = read_faults(reads)
    faults += [f"tuning: {fault}" for fault in wrong]
    if wrong:
        return ()
    found: list[str] = []
    for answers in (*garbage(reads), *_broken(reads, fixture)):
        _decoded(driver, answers, context, found)
    ranges = _decoded(driver, only(fixture, reads), context, found)
    faults += dict.fromkeys(found)
    return ranges


def _decoded(driver: Tunes, answers: Answers, context: CommandContext, faults: list[str]) -> tuple[TuningRange, ...]:
    """The ranges in some answers; none where they are wrong."""
    found = guarded(faults, "tuning", lambda: (driver.decode_tuning(answers, context),))
    if found is None:
        return ()
    (ranges,) = found
    wrong = _range_faults(ranges)
    faults += wrong
    return () if wrong else ranges


def _broken(reads: tuple[Request, ...], fixture: Fixture) -> Iterator[Answers]:
    """The device's answers with one of them broken."""
    keys = request_keys(reads)
    known = {key: answer for key, answer in fixture.answers.items() if key in keys}
    for key, answer in known.items():
        for _, body in broken_bodies(answer.body):
            yield Answers({**_fresh(known), key: Answer(body, answer.status, answer.headers)})


def _fresh(answers: dict[str, Answer]) -> dict[str, Answer]:
    return {key: Answer(answer.body, answer.status, answer.headers) for key, answer in answers.items()}


def _range_faults(ranges: Any) -> list[str]:
    if not (isinstance(ranges, tuple) and all(isinstance(one, TuningRange) for one in ranges)):
        return [f"tuning: ranges must be a tuple of TuningRange, got {ranges!r:.60}"]
    return [f"tuning: {one.name}: {fault}" for one in ranges for fault in _faults(one)]


def _faults(one: TuningRange) -> Iterator[str]:
    if _UNITS.get(one.name) != one.unit:
        yield f"is not known with the unit {one.unit!r:.20}"
    if not all(math.isfinite(value) for value in (one.least, one.most, *one.choices, one.current or 0.0)):
        yield "holds a figure that is not finite"
    elif not 0.0 < one.least <= one.most or not all(one.least <= choice <= one.most for choice in one.choices):
        yield f"from {one.least:g} to {one.most:g} with choices {one.choices!r:.60} is no range"
