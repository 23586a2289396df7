"""From an order to the driver's plan, checked against what the device offers and what a person allowed. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from exporter.drivers.api import Driver
from exporter.drivers.commands import (
    CommandContext,
    CommandRefused,
    HasModes,
    HasPresets,
    Identifies,
    Pauses,
    Plan,
    Restarts,
    SetsFan,
    SetsPool,
    Tunes,
    TuningRange,
)
from exporter.engine.api.commands import (
    Identify,
    Order,
    SetFan,
    SetMode,
    SetPool,
    SetPreset,
    SetTuning,
)
from exporter.engine.commanding.bounds import checked_plan
from exporter.engine.commanding.values import (
    Limits,
    check_choice,
    check_duty,
    check_preset,
    checked_pool,
    checked_tuning,
)
from exporter.errors import InternalError, MinerError, NotOfferedError

#: What pools do not take in the name of a worker.
_NO_WORKER: Final = re.compile(r"[^A-Za-z0-9_-]+")
#: What a command's protocol is.
_KINDS: Final[tuple[tuple[str, type], ...]] = (
    ("restart", Restarts),
    ("pause", Pauses),
    ("resume", Pauses),
    ("identify", Identifies),
    ("mode", HasModes),
    ("preset", HasPresets),
    ("tuning", Tunes),
    ("pool", SetsPool),
    ("fan", SetsFan),
)

#: What a plan may remember of a miner.
_MOST_FACTS: Final = 16
_LONGEST_FACT: Final = 200
#: Commands without a value.
PLAIN: Final = ("restart", "pause", "resume", "identify")
#: A login before the host of a pool's address.
_LOGIN: Final = re.compile(r"^([A-Za-z0-9+.-]*://)?.*@", re.DOTALL)
#: What stands for the miner's name in a pool user.
_NAME_PLACE: Final = "{name}"


def commands_of(driver: Driver) -> tuple[str, ...]:
    """The names of the commands that a driver knows, whether this miner offers them or not."""
    return tuple(name for name, kind in _KINDS if isinstance(driver, kind))


def offered_commands(driver: Driver, context: CommandContext, ranges: tuple[TuningRange, ...]) -> tuple[str, ...]:
    """The names of the commands that a miner offers now. User drivers may lie about values, not about methods."""
    return tuple(name for name in commands_of(driver) if _takes(name, driver, context, ranges))


def _takes(name: str, driver: Any, context: CommandContext, ranges: tuple[TuningRange, ...]) -> bool:
    try:
        return _has_any(name, driver, context, ranges)
    except InternalError:
        raise
    except MinerError:
        return False  # this firmware lacks it, or does not tell what the driver must know


def _has_any(name: str, driver: Any, context: CommandContext, ranges: tuple[TuningRange, ...]) -> bool:
    if name in PLAIN:
        return plain_plan(name, driver, context) is not None
    if name == "mode":
        return bool(driver.supported_modes(context))
    if name == "preset":
        return bool(driver.list_presets(context))
    if name == "tuning":
        return bool(ranges)
    if name == "fan":
        return driver.fan_range(context) is not None
    return bool(driver.pool_rules(context).slots > 0)


def make_plan(
    driver: Driver, order: Order, context: CommandContext, ranges: tuple[TuningRange, ...], limits: Limits
) -> Plan:
    """The driver's plan for an order.

    Raises:
        NotOfferedError: the miner does not offer the command, or the driver knows that it would say no now.
        FieldError, ForbiddenError: a value is outside of what it offers, or is not allowed.
        InternalError: the driver made no usable plan.
    """
    try:
        if isinstance(driver, _kind_of(order)):
            plan = _plan(driver, order, context, ranges, limits)
            if plan is not None:
                return _with_memory(checked_plan(plan))
    except CommandRefused as error:  # the driver's own words tell enough
        raise NotOfferedError(str(error), offered_commands(driver, context, ranges)) from None
    offered = offered_commands(driver, context, ranges)
    rest = f"it offers {', '.join(offered)}" if offered else "it offers no commands"
    raise NotOfferedError(f"this miner does not offer {order.command!r}; {rest}", offered)


def _with_memory(plan: Plan) -> Plan:
    """The plan, with what it wants to remember read once and found to fit into a row of the database."""
    facts = plan.remember
    if not isinstance(facts, Mapping) or len(facts) > _MOST_FACTS or not all(map(_is_fact, facts.items())):
        raise InternalError(
            f"the driver's plan may remember {_MOST_FACTS} facts at most, each a text of {_LONGEST_FACT} characters, "
            "a number or None"
        )
    return replace(plan, remember=dict(facts))


def _is_fact(item: tuple[object, object]) -> bool:
    for part in item:
        if isinstance(part, str) and len(part) > _LONGEST_FACT:
            return False
    name, value = item
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(name, str) and (number or value is None or isinstance(value, str))


def _kind_of(order: Order) -> type:
    return dict(_KINDS)[order.command]


def plain_plan(name: str, subject: Any, context: CommandContext, *, on: bool = True) -> Plan:
    """The plan of one of `PLAIN`; `on` is for the light. Raises `CommandRefused` where the firmware lacks it."""
    if name == "identify":
        return checked_plan(subject.identify_light(on, context))
    return checked_plan(getattr(subject, name)(context))


def _plan(
    subject: Any, order: Order, context: CommandContext, ranges: tuple[TuningRange, ...], limits: Limits
) -> Plan | None:
    """The driver's plan; None where the miner does not offer the command."""
    plan: Plan | None = None
    match order:
        case SetMode(mode=mode):
            if modes := tuple(subject.supported_modes(context)):
                check_choice("mode", mode, modes)
                plan = subject.set_mode(mode, context)
        case SetPreset():
            if presets := tuple(subject.list_presets(context)):
                check_preset(order, presets, limits)
                plan = subject.apply_preset(order.preset, context)
        case SetTuning():
            if ranges:
                plan = subject.set_tuning(checked_tuning(order, ranges), context)
        case SetPool():
            rules = subject.pool_rules(context)
            if rules.slots > 0:
                plan = subject.set_pool(checked_pool(order, rules), context)
        case SetFan(duty=duty):
            allowed = subject.fan_range(context)
            if allowed is not None:
                check_duty(duty, *allowed)
                plan = subject.set_fan(duty, context)
        case _:
            plan = plain_plan(order.command, subject, context, on=not isinstance(order, Identify) or order.on)
    return plan


def named_for(order: Order, name: str) -> Order:
    """The order for the miner called `name`: ``{name}`` in a pool user becomes its name, as pools take it."""
    if isinstance(order, SetPool) and _NAME_PLACE in order.user:
        worker = _NO_WORKER.sub("-", name).strip("-") or "worker"
        return replace(order, user=order.user.replace(_NAME_PLACE, worker))
    return order


def public_values(order: Order) -> Mapping[str, Any]:
    """What was asked for, without secrets, for the log. A wallet in a pool user is shortened."""
    match order:
        case Identify(on=on):
            return {"on": on}
        case SetMode(mode=mode):
            return {"mode": mode}
        case SetPreset():
            return {"preset": order.preset, "confirm_modified_psu": order.confirm_modified_psu}
        case SetTuning():
            values = {"frequency": order.frequency, "core_voltage": order.core_voltage}
            return {name: value for name, value in values.items() if value is not None}
        case SetPool():
            return {"slot": order.slot, "url": _without_login(order.url), "user": short_user(order.user)}
        case SetFan(duty=duty):
            return {"duty": duty}
        case _:
            return {}


def _without_login(url: str) -> str:
    return _LOGIN.sub(lambda match: match[1] or "", url)


def short_user(user: str) -> str:
    """A pool user with its wallet shortened: enough to tell it apart, not to copy it."""
    wallet, dot, worker = user.partition(".")
    shown = wallet if len(wallet) <= 16 else f"{wallet[:6]}…{wallet[-4:]}"
    return f"{shown}{dot}{worker}"
