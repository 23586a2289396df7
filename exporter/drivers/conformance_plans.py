"""What the plan of a command owes: it says what it does, reads by reading only, bears any answer, and never holds an
unchanged device for a changed one. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from exporter.drivers.api import Answer, Answers, Request, may_write
from exporter.drivers.commands import Evidence, Plan, Write
from exporter.drivers.conformance import ESCAPES
from exporter.drivers.fixture import Fixture, only
from exporter.errors import MinerError
from exporter.model import Reading

#: A pool's password, looked for where it must not be.
SECRET: Final = "hunter2-not-to-be-shown"  # noqa: S105 - of no pool
_LONGEST_SECONDS: Final = 3600.0
_GARBAGE: Final = (b"", b"null", b"[]", b'"ok"', b"<html></html>", bytes(range(256)))


def guarded(faults: list[str], what: str, work: Callable[[], Any]) -> Any:
    """What `work` gives, None where it raises; anything but a `MinerError` is a fault."""
    try:
        return work()
    except MinerError:
        return None
    except ESCAPES as error:
        faults.append(f"{what}: {type(error).__name__} escaped: {error}")
        return None


def read_faults(requests: Any) -> list[str]:
    """Of requests that only ask."""
    if not isinstance(requests, tuple):
        return [f"reads must be a tuple of requests, got {type(requests).__name__}"]
    return [f"{request.key} may write, and is asked as a read" for request in requests if may_write(request)]


def garbage(requests: tuple[Request, ...]) -> Iterator[Answers]:
    """No answer, and answers that are none, to each request."""
    yield Answers({})
    for body in _GARBAGE:
        yield Answers({request.key: Answer(body) for request in requests})


def plan_faults(name: str, plan: Any, fixture: Fixture, reading: Reading | None) -> Iterator[str]:
    """The faults of a plan, made for the device of `fixture` that told `reading`."""
    if not isinstance(plan, Plan):
        yield f"gives {type(plan).__name__} instead of a Plan"
        return
    if not (plan.effect.strip().endswith((".", "!")) and plan.effect.isprintable()):
        yield f"the effect must be a sentence, got {plan.effect!r:.60}"
    if SECRET in plan.effect or SECRET in repr(plan):
        yield "shows the pool's password"
    if not 0 < plan.limit_seconds <= _LONGEST_SECONDS or not 0 <= plan.settle_seconds <= plan.limit_seconds:
        yield f"a limit of {plan.limit_seconds} s, a look after {plan.settle_seconds} s"
    yield from read_faults(plan.reads)
    yield from read_faults(plan.confirm_reads)
    yield from _write_faults(name, plan, fixture)
    yield from _confirm_faults(plan, reading)


def confirmed_unchanged(plan: Any, fixture: Fixture, reading: Reading | None, faults: list[str]) -> bool:
    """Whether a plan holds the device of `fixture` for changed although nothing happened to it.

    Where nothing tells of the effect (`Plan.visible`), that says nothing.
    """
    if not isinstance(plan, Plan) or not plan.visible:
        return False
    before = Reading() if reading is None else reading
    same = Evidence(before, before, only(fixture, plan.confirm_reads))
    return bool(guarded(faults, "confirmed", partial(plan.confirmed, same)))


def _write_faults(name: str, plan: Plan, fixture: Fixture) -> list[str]:
    faults: list[str] = []
    for answers in (only(fixture, plan.reads), *garbage(plan.reads)):
        writes = guarded(faults, "writes", partial(plan.writes, answers))
        if writes is None:
            continue
        if not (isinstance(writes, tuple) and all(isinstance(write, Write) for write in writes)):
            faults.append("writes must give a tuple of Write")
        elif name == "restart" and any(write.repeatable for write in writes):
            faults.append("a restart may not be sent twice; its Write must not be repeatable")
    return list(dict.fromkeys(faults))


def _confirm_faults(plan: Plan, reading: Reading | None) -> list[str]:
    before = Reading() if reading is None else reading
    faults: list[str] = []
    for evidence in (
        Evidence(None, Reading()),
        *(Evidence(before, before, one) for one in garbage(plan.confirm_reads)),
    ):
        guarded(faults, "confirmed", partial(plan.confirmed, evidence))
    guarded(faults, "check", partial(plan.check, Answers({})))
    return list(dict.fromkeys(faults))
