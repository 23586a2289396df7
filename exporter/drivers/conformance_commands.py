"""What every driver owes where it offers commands: that it can say what a device offers, whatever that answers, and
plans that are made of facts. Nothing is sent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from exporter.drivers.api import DecodeContext, Driver, Request
from exporter.drivers.commands import (
    AsksFirst,
    CommandContext,
    HasModes,
    HasPresets,
    Identifies,
    Pauses,
    Plan,
    PoolSetting,
    Restarts,
    SetsFan,
    SetsPool,
    Tunes,
    TuningRange,
)
from exporter.drivers.conformance_plans import SECRET, confirmed_unchanged, garbage, guarded, plan_faults, read_faults
from exporter.drivers.conformance_tuning import ranges_of
from exporter.drivers.fixture import Fixture, only, replay
from exporter.errors import MinerError
from exporter.model import Reading

_POOL: Final = PoolSetting(0, "stratum+tcp://pool.example.org:3333", "wallet.worker", SECRET)
#: A tuned value as near as this to the present one may be taken for it.
_NEAR: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Order:
    """A command with a value.

    Attributes:
        name: of both, for messages.
        plan: makes its plan.
        present: whether the device has this value already; None where its reading does not tell.
        group: a device has one of the values of a group at a time; None where that does not hold.
    """

    name: str
    plan: Callable[[], Plan]
    present: bool | None = None
    group: str | None = None


#: What makes the orders of a command from driver, context and ranges.
_Orders = Callable[[Any, CommandContext, Any], Iterator[_Order]]


def check_commands(driver: Driver, fixture: Fixture) -> list[str]:
    """The faults of the commands of `driver` at the device of `fixture`; empty where there are none."""
    context = _context_of(driver, fixture)
    if context is None:
        return []  # `check_driver` tells of it
    faults: list[str] = []
    seen: dict[str, list[str]] = defaultdict(list)
    ranges = ranges_of(driver, fixture, context, faults) if isinstance(driver, Tunes) else ()
    for command, (protocol, orders) in _COMMANDS.items():
        if not isinstance(driver, protocol):
            continue
        reads = _reads(driver, command, context, faults)
        made = partial(_made, orders, driver, ranges)
        for order in guarded(faults, command, partial(made, replace(context, answers=only(fixture, reads)))) or ():
            found = _order_faults(order, fixture, context.reading, seen)
            faults += [f"{order.name}: {fault}" for fault in found]
        faults += _faults_on_garbage(command, reads, made, context)
    faults += [
        f"{group}: {', '.join(names)} are all confirmed where nothing changed at the device"
        for group, names in seen.items()
        if len(names) > 1
    ]
    return list(dict.fromkeys(faults))


def _context_of(driver: Driver, fixture: Fixture) -> CommandContext | None:
    try:
        replayed = replay(driver, fixture)
    except MinerError:
        return None
    reading = replayed.status if replayed.status is not None else next(iter(replayed.stream[-1:]), None)
    found = replayed.identification
    details = dict(found.details) if found is not None and found.details else dict(fixture.details)
    identity = replayed.identity or (reading.identity if reading is not None else DecodeContext(0.0).identity)
    return CommandContext(DecodeContext(fixture.received_at, identity, details), reading)


def _reads(driver: Driver, command: str, context: CommandContext, faults: list[str]) -> tuple[Request, ...]:
    """What the driver asks before it offers a command."""
    if not isinstance(driver, AsksFirst):
        return ()
    reads = guarded(faults, command, partial(driver.offer_reads, command, context)) or ()
    wrong = read_faults(reads)
    faults += [f"{command}: {fault}" for fault in wrong]
    return () if wrong else reads


def _made(
    orders: _Orders, driver: Driver, ranges: tuple[TuningRange, ...], context: CommandContext
) -> tuple[_Order, ...]:
    return tuple(orders(driver, context, ranges))


def _order_faults(order: _Order, fixture: Fixture, reading: Reading | None, seen: dict[str, list[str]]) -> list[str]:
    """`seen` gathers, by group, what is confirmed at the unchanged device where that may be right."""
    faults: list[str] = []
    plan = guarded(faults, "its plan", order.plan)
    if plan is None:
        return faults
    faults += plan_faults(order.name, plan, fixture, reading)
    if confirmed_unchanged(plan, fixture, reading, faults):
        if order.present is False:
            faults.append("is confirmed where nothing changed at the device")
        elif order.group is not None:
            seen[order.group].append(order.name)
    return faults


def _faults_on_garbage(
    command: str,
    reads: tuple[Request, ...],
    made: Callable[[CommandContext], tuple[_Order, ...]],
    context: CommandContext,
) -> list[str]:
    """What a device answers before a command is offered may be anything."""
    faults: list[str] = []
    for answers in garbage(reads) if reads else ():
        for order in guarded(faults, command, partial(made, replace(context, answers=answers))) or ():
            guarded(faults, order.name, order.plan)
    return faults


# --- the commands with the values they are tried with -----------------------------------------------------------------


def _restart(driver: Restarts, context: CommandContext, _: object) -> Iterator[_Order]:
    yield _Order("restart", partial(driver.restart, context), False)


def _pause(driver: Pauses, context: CommandContext, _: object) -> Iterator[_Order]:
    mining = None if context.reading is None else context.reading.expected_mining
    yield _Order("pause", partial(driver.pause, context), None if mining is None else not mining, "pause and resume")


def _resume(driver: Pauses, context: CommandContext, _: object) -> Iterator[_Order]:
    mining = None if context.reading is None else context.reading.expected_mining
    yield _Order("resume", partial(driver.resume, context), mining, "pause and resume")


def _identify(driver: Identifies, context: CommandContext, _: object) -> Iterator[_Order]:
    lit = None if context.reading is None else context.reading.fault_light
    for on in (True, False):
        name = f"identify {'on' if on else 'off'}"
        yield _Order(name, partial(driver.identify_light, on, context), None if lit is None else lit is on, "identify")


def _modes(driver: HasModes, context: CommandContext, _: object) -> Iterator[_Order]:
    for mode in driver.supported_modes(context):
        yield _Order(f"mode {mode}", partial(driver.set_mode, mode, context), _is_mode(mode, context), "mode")


def _presets(driver: HasPresets, context: CommandContext, _: object) -> Iterator[_Order]:
    for preset in driver.list_presets(context):
        plan = partial(driver.apply_preset, preset.name, context)
        yield _Order(f"preset {preset.name}", plan, _is_mode(preset.name, context), "preset")


def _is_mode(name: str, context: CommandContext) -> bool | None:
    mode = None if context.reading is None else context.reading.work_mode
    return None if mode is None else name == mode


def _pool(driver: SetsPool, context: CommandContext, _: object) -> Iterator[_Order]:
    if driver.pool_rules(context).slots > 0:
        yield _Order("pool", partial(driver.set_pool, _POOL, context), False)


def _fan(driver: SetsFan, context: CommandContext, _: object) -> Iterator[_Order]:
    duties = driver.fan_range(context)
    if duties is None:
        return
    for duty in dict.fromkeys(duties):
        yield _Order(f"fan {duty:g}", partial(driver.set_fan, duty, context), None, "fan")
    yield _Order("fan automatic", partial(driver.set_fan, None, context))


def _tuning(driver: Tunes, context: CommandContext, ranges: Sequence[TuningRange]) -> Iterator[_Order]:
    for one in ranges:
        for value in dict.fromkeys((one.least, one.most)):
            near = one.current is None or math.isclose(value, one.current, rel_tol=_NEAR)
            plan = partial(driver.set_tuning, {one.name: value}, context)
            yield _Order(f"tuning {one.name} {value:g}", plan, None if near else False, f"tuning {one.name}")


#: By name: the protocol of a driver that has it, and what makes its orders.
_COMMANDS: Final[dict[str, tuple[type[Any], _Orders]]] = {
    "restart": (Restarts, _restart),
    "pause": (Pauses, _pause),
    "resume": (Pauses, _resume),
    "identify": (Identifies, _identify),
    "mode": (HasModes, _modes),
    "preset": (HasPresets, _presets),
    "tuning": (Tunes, _tuning),
    "pool": (SetsPool, _pool),
    "fan": (SetsFan, _fan),
}
