"""From an order to the driver's plan, checked against what the device offers and what a person allowed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from exporter.drivers.api import Driver
from exporter.drivers.commands import (
    CommandContext,
    HasModes,
    HasPresets,
    Identifies,
    Pauses,
    Plan,
    PoolRules,
    PoolSetting,
    Restarts,
    SetsFan,
    SetsPool,
    Tunes,
    TuningRange,
)
from exporter.engine.api.commands import (
    Identify,
    Order,
    Pause,
    Restart,
    Resume,
    SetFan,
    SetMode,
    SetPool,
    SetPreset,
    SetTuning,
)
from exporter.errors import FieldError, ForbiddenError, NotOfferedError
from exporter.model import Preset
from exporter.text import clean_text

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
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


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person allowed: the ceiling for presets of the miner's model, and whether there must be one."""

    max_preset: str | None = None
    require_max_preset: bool = False


def offered_commands(driver: Driver, context: CommandContext, ranges: tuple[TuningRange, ...]) -> tuple[str, ...]:
    """The names of the commands that a miner offers now. User drivers may lie about values, not about methods."""
    return tuple(name for name, kind in _KINDS if isinstance(driver, kind) and _has_any(name, driver, context, ranges))


def _has_any(name: str, driver: Any, context: CommandContext, ranges: tuple[TuningRange, ...]) -> bool:
    if name == "mode":
        return bool(driver.supported_modes(context))
    if name == "preset":
        return bool(driver.list_presets(context))
    if name == "tuning":
        return bool(ranges)
    if name == "fan":
        return driver.fan_range(context) is not None
    if name == "pool":
        return bool(driver.pool_rules(context).slots > 0)
    return True


def make_plan(
    driver: Driver, order: Order, context: CommandContext, ranges: tuple[TuningRange, ...], limits: Limits
) -> Plan:
    """The driver's plan for an order.

    Raises:
        NotOfferedError: the miner does not offer the command.
        FieldError, ForbiddenError: a value is outside of what it offers, or is not allowed.
        CommandRefused: the driver knows that the device would say no.
    """
    offered = offered_commands(driver, context, ranges)
    if order.command not in offered:
        rest = f"it offers {', '.join(offered)}" if offered else "it offers no commands"
        raise NotOfferedError(f"this miner does not offer {order.command!r}; {rest}", offered)
    subject: Any = driver
    plan: Plan
    match order:
        case Restart():
            plan = subject.restart(context)
        case Pause():
            plan = subject.pause(context)
        case Resume():
            plan = subject.resume(context)
        case Identify(on=on):
            plan = subject.identify_light(on, context)
        case SetMode(mode=mode):
            _one_of("mode", mode, subject.supported_modes(context))
            plan = subject.set_mode(mode, context)
        case SetPreset():
            _check_preset(order, subject.list_presets(context), limits)
            plan = subject.apply_preset(order.preset, context)
        case SetTuning():
            plan = subject.set_tuning(_tuned(order, ranges), context)
        case SetPool():
            plan = subject.set_pool(_pool(order, subject.pool_rules(context)), context)
        case SetFan(duty=duty):
            least, most = subject.fan_range(context)
            if duty is not None and not least <= duty <= most:
                raise FieldError(f"duty: must be from {least:g} to {most:g}, or null for automatic", "duty")
            plan = subject.set_fan(duty, context)
    return plan


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
            return {"slot": order.slot, "url": order.url, "user": short_user(order.user)}
        case SetFan(duty=duty):
            return {"duty": duty}
        case _:
            return {}


def short_user(user: str) -> str:
    """A pool user with its wallet shortened: enough to tell it apart, not to copy it."""
    wallet, dot, worker = user.partition(".")
    shown = wallet if len(wallet) <= 16 else f"{wallet[:6]}…{wallet[-4:]}"
    return f"{shown}{dot}{worker}"


def _one_of(field: str, value: str, offered: tuple[str, ...]) -> None:
    if value not in offered:
        raise FieldError(f"{field}: must be one of {', '.join(offered)}", field)


def preset_obstacle(preset: Preset, presets: tuple[Preset, ...], limits: Limits, *, modified_psu: bool) -> str | None:
    """Why a preset may not be applied now; None where it may."""
    if preset.tuned is False:
        return "it is not tuned yet, and the firmware applies tuned presets only"
    ceiling = next((one for one in presets if one.name == limits.max_preset), None)
    if limits.max_preset is not None and ceiling is None:
        return f"the ceiling {limits.max_preset!r} is none of this model's presets; set it anew"
    if ceiling is not None and _is_above(preset, ceiling, presets):
        return f"it is above the ceiling {ceiling.name!r} that was set for this model"
    if preset.modified_psu_required and not modified_psu:
        return "it needs a modified power supply; confirm that this miner has one"
    return None


def _is_above(preset: Preset, ceiling: Preset, presets: tuple[Preset, ...]) -> bool:
    """By power where both are known, else by the order in which the firmware lists them."""
    if preset.power is not None and ceiling.power is not None:
        return preset.power > ceiling.power
    return presets.index(preset) > presets.index(ceiling)


def _check_preset(order: SetPreset, presets: tuple[Preset, ...], limits: Limits) -> None:
    preset = next((one for one in presets if one.name == order.preset), None)
    if preset is None:
        raise FieldError(f"preset: must be one of {', '.join(one.name for one in presets)}", "preset")
    if limits.require_max_preset and limits.max_preset is None:
        raise ForbiddenError("set a ceiling (max_preset) for this model first: control.require_max_preset is on")
    why = preset_obstacle(preset, presets, limits, modified_psu=order.confirm_modified_psu)
    if why is not None:
        field = "confirm_modified_psu" if "modified power supply" in why else "preset"
        raise FieldError(f"{field}: {order.preset} cannot be applied: {why}", field)


def _tuned(order: SetTuning, ranges: tuple[TuningRange, ...]) -> Mapping[str, float]:
    asked = {"frequency": order.frequency, "core_voltage": order.core_voltage}
    values = {name: float(value) for name, value in asked.items() if value is not None}
    if not values:
        raise FieldError("frequency: say a frequency, a core voltage or both", "frequency")
    by_name = {one.name: one for one in ranges}
    for name, value in values.items():
        one = by_name.get(name)
        if one is None:
            raise FieldError(f"{name}: this miner does not take it; it takes {', '.join(by_name)}", name)
        if one.choices and not any(abs(value - choice) <= 1e-6 * max(1.0, abs(choice)) for choice in one.choices):
            offered = ", ".join(f"{choice:g}" for choice in one.choices)
            raise FieldError(f"{name}: must be one of {offered} {one.unit}", name)
        if not one.least <= value <= one.most:
            raise FieldError(f"{name}: must be from {one.least:g} to {one.most:g} {one.unit}", name)
    return values


def _pool(order: SetPool, rules: PoolRules) -> PoolSetting:
    if not 0 <= order.slot < rules.slots:
        raise FieldError(f"slot: must be from 0 to {rules.slots - 1}", "slot")
    check_pool_url(order.url, rules)
    user, password = order.user, order.password.reveal()
    if not user or clean_text(user, rules.longest_user + 1) != user or len(user) > rules.longest_user:
        raise FieldError(f"user: must be 1 to {rules.longest_user} printable characters", "user")
    if clean_text(password, 129) not in (password, None if password else password) or len(password) > 128:
        raise FieldError("password: must be at most 128 printable characters", "password")
    return PoolSetting(order.slot, order.url, user, password)


def check_pool_url(url: str, rules: PoolRules) -> None:
    """Raise `FieldError` unless `url` is ``scheme://host:port`` as the device takes it."""
    wanted = f"url: must be like {rules.schemes[0]}://pool.example:3333"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FieldError(f"{wanted} ({error})", "url") from error
    host = parts.netloc.rpartition(":")[0]
    if len(url) > rules.longest_url or parts.scheme not in rules.schemes:
        raise FieldError(f"{wanted}; schemes: {', '.join(rules.schemes)}; {rules.longest_url} characters", "url")
    if not _HOST.fullmatch(host) or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise FieldError(f"{wanted}: a host and a port, and nothing else", "url")
