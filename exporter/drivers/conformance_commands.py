"""What every driver owes where it offers commands: plans that are made of facts, say what they do, and never hold an
unchanged device for a changed one. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from exporter.drivers.api import Answer, Answers, DecodeContext, Driver, Request
from exporter.drivers.commands import (
    CommandContext,
    Evidence,
    HasModes,
    HasPresets,
    Identifies,
    Pauses,
    Plan,
    PoolSetting,
    Restarts,
    SetsFan,
    SetsPool,
    Write,
)
from exporter.drivers.conformance import ESCAPES, may_write
from exporter.drivers.fixture import Fixture, only, replay
from exporter.errors import MinerError
from exporter.model import Reading

_SECRET: Final = "hunter2-not-to-be-shown"  # noqa: S105 - looked for where it must not be
_POOL: Final = PoolSetting(0, "stratum+tcp://pool.example.org:3333", "wallet.worker", _SECRET)
_LONGEST_SECONDS: Final = 3600.0
_GARBAGE: Final = (b"", b"null", b"[]", b'"ok"', b"<html></html>", bytes(range(256)))


@dataclass(frozen=True, slots=True)
class _Order:
    """A command with a value, and how its plan is made."""

    name: str
    plan: Callable[[], Plan]


def check_commands(driver: Driver, fixture: Fixture) -> list[str]:
    """The faults of the commands of `driver` at the device of `fixture`; empty where there are none."""
    try:
        replayed = replay(driver, fixture)
    except MinerError:
        return []  # `check_driver` tells of it
    reading = replayed.status if replayed.status is not None else next(iter(replayed.stream[-1:]), None)
    found = replayed.identification
    details = dict(found.details) if found is not None and found.details else dict(fixture.details)
    identity = replayed.identity or (reading.identity if reading is not None else DecodeContext(0.0).identity)
    context = CommandContext(DecodeContext(fixture.received_at, identity, details), reading)
    faults: list[str] = []
    orders = _guarded(faults, "commands", lambda: tuple(_orders(driver, context))) or ()
    for order in orders:
        plan = _guarded(faults, order.name, order.plan)
        if plan is not None:
            faults += [f"{order.name}: {fault}" for fault in _plan_faults(order.name, plan, fixture, reading)]
    return faults


def _orders(driver: Any, context: CommandContext) -> Iterator[_Order]:
    if isinstance(driver, Restarts):
        yield _Order("restart", partial(driver.restart, context))
    if isinstance(driver, Pauses):
        yield _Order("pause", partial(driver.pause, context))
        yield _Order("resume", partial(driver.resume, context))
    if isinstance(driver, Identifies):
        yield _Order("identify", partial(driver.identify_light, True, context))
    if isinstance(driver, HasModes):
        for mode in _offered(driver.supported_modes, context):
            yield _Order(f"mode {mode}", partial(driver.set_mode, mode, context))
    if isinstance(driver, HasPresets):
        for preset in _offered(driver.list_presets, context):
            yield _Order(f"preset {preset.name}", partial(driver.apply_preset, preset.name, context))
    if isinstance(driver, SetsPool) and _offered(driver.pool_rules, context):
        yield _Order("pool", partial(driver.set_pool, _POOL, context))
    if isinstance(driver, SetsFan):
        for duty in _offered(driver.fan_range, context):
            yield _Order(f"fan {duty:g}", partial(driver.set_fan, duty, context))


def _offered(ask: Callable[[CommandContext], Any], context: CommandContext) -> Any:
    """What a driver offers; nothing where it says that this device does not."""
    try:
        return ask(context) or ()
    except MinerError:
        return ()


def _guarded(faults: list[str], what: str, work: Callable[[], Any]) -> Any:
    """What `work` gives, None where it raises; anything but a `MinerError` is a fault."""
    try:
        return work()
    except MinerError:
        return None
    except ESCAPES as error:
        faults.append(f"{what}: {type(error).__name__} escaped: {error}")
        return None


def _plan_faults(name: str, plan: Any, fixture: Fixture, reading: Reading | None) -> Iterator[str]:
    if not isinstance(plan, Plan):
        yield f"gives {type(plan).__name__} instead of a Plan"
        return
    if not (plan.effect.strip().endswith((".", "!")) and plan.effect.isprintable()):
        yield f"the effect must be a sentence, got {plan.effect!r:.60}"
    if _SECRET in plan.effect or _SECRET in repr(plan):
        yield "shows the pool's password"
    if not 0 < plan.limit_seconds <= _LONGEST_SECONDS or not 0 <= plan.settle_seconds <= plan.limit_seconds:
        yield f"a limit of {plan.limit_seconds} s, a look after {plan.settle_seconds} s"
    for request in (*plan.reads, *plan.confirm_reads):
        if may_write(request):
            yield f"{request.key} may write, and is asked as a read"
    yield from _write_faults(name, plan, fixture)
    yield from _confirm_faults(name, plan, fixture, reading)


def _write_faults(name: str, plan: Plan, fixture: Fixture) -> list[str]:
    faults: list[str] = []
    for answers in (only(fixture, plan.reads), *_broken(plan.reads)):
        writes = _guarded(faults, "writes", partial(plan.writes, answers))
        if writes is None:
            continue
        if not (isinstance(writes, tuple) and all(isinstance(write, Write) for write in writes)):
            faults.append("writes must give a tuple of Write")
        elif name == "restart" and any(write.repeatable for write in writes):
            faults.append("a restart may not be sent twice; its Write must not be repeatable")
    return list(dict.fromkeys(faults))


def _confirm_faults(name: str, plan: Plan, fixture: Fixture, reading: Reading | None) -> list[str]:
    before = Reading() if reading is None else reading
    faults: list[str] = []
    same = Evidence(before, before, only(fixture, plan.confirm_reads))
    if _guarded(faults, "confirmed", partial(plan.confirmed, same)) and name == "restart":
        faults.append("is confirmed where nothing changed at the device")
    for evidence in (
        Evidence(None, Reading()),
        *(Evidence(before, before, one) for one in _broken(plan.confirm_reads)),
    ):
        _guarded(faults, "confirmed", partial(plan.confirmed, evidence))
    _guarded(faults, "check", partial(plan.check, Answers({})))
    return list(dict.fromkeys(faults))


def _broken(requests: tuple[Request, ...]) -> Iterator[Answers]:
    for body in _GARBAGE:
        yield Answers({request.key: Answer(body) for request in requests})
