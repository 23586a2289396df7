"""The values of an order against what the device offers and what a person allowed. Pure.

All raise `FieldError` with the name of the field in the API; what they give back is what the driver gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exporter.drivers.commands import PoolRules, PoolSetting, TuningRange
from exporter.engine.api.commands import SetPool, SetPreset, SetTuning
from exporter.errors import FieldError, ForbiddenError
from exporter.model import Preset
from exporter.text import clean_text, pool_name
from exporter.units import Ratio

_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]"
_POOL: Final = re.compile(rf"(?P<scheme>[A-Za-z0-9+.-]+)://(?P<host>{_HOST}):(?P<port>[0-9]{{1,5}})/?")
_LARGEST_PORT: Final = 65535
_LONGEST_PASSWORD: Final = 128
_HERTZ: Final = "Hz"
_MEGAHERTZ: Final = 1e6


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person allowed: the ceiling for presets of the miner's model, and whether there must be one."""

    max_preset: str | None = None
    require_max_preset: bool = False


def check_choice(field: str, value: str, offered: tuple[str, ...]) -> None:
    """Raise `FieldError` unless the miner offers `value`."""
    if value not in offered:
        raise FieldError(f"{field}: must be one of {', '.join(offered)}", field)


def preset_obstacle(preset: Preset, presets: tuple[Preset, ...], limits: Limits, *, modified_psu: bool) -> str | None:
    """Why a preset may not be applied now; None where it may."""
    if preset.tuned is False:
        return "it is not tuned yet, and the firmware applies tuned presets only"
    ceiling = next((one for one in presets if one.name == limits.max_preset), None)
    if limits.max_preset is not None and ceiling is None:
        return f"the ceiling {limits.max_preset!r} is none of this miner's presets; set it anew"
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


def check_preset(order: SetPreset, presets: tuple[Preset, ...], limits: Limits) -> None:
    """Raise `FieldError` or `ForbiddenError` unless the preset may be applied now."""
    preset = next((one for one in presets if one.name == order.preset), None)
    if preset is None:
        raise FieldError(f"preset: must be one of {', '.join(one.name for one in presets)}", "preset")
    if limits.require_max_preset and limits.max_preset is None:
        raise ForbiddenError("set a ceiling (max_preset) for this model first: control.require_max_preset is on")
    why = preset_obstacle(preset, presets, limits, modified_psu=order.confirm_modified_psu)
    if why is not None:
        field = "confirm_modified_psu" if "modified power supply" in why else "preset"
        raise FieldError(f"{field}: {order.preset} cannot be applied: {why}", field)


def check_duty(duty: Ratio | None, least: Ratio, most: Ratio) -> None:
    """Raise `FieldError` unless the fans take the duty."""
    if duty is not None and not least <= duty <= most:
        raise FieldError(f"duty: must be from {least:g} to {most:g}, or null for automatic", "duty")


def checked_tuning(order: SetTuning, ranges: tuple[TuningRange, ...]) -> Mapping[str, float]:
    """What is asked for by name, base units, within the miner's own ranges."""
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
            offered = ", ".join(_figure(choice, one.unit) for choice in one.choices)
            raise FieldError(f"{name}: must be one of {offered} {_shown_unit(one.unit)}", name)
        if not one.least <= value <= one.most:
            least, most = _figure(one.least, one.unit), _figure(one.most, one.unit)
            raise FieldError(f"{name}: must be from {least} to {most} {_shown_unit(one.unit)}", name)
    return values


def _figure(value: float, unit: str) -> str:
    """A value as people write it, without the unit: 425 (MHz), 1.15 (V)."""
    return f"{value / _MEGAHERTZ if unit == _HERTZ else value:.6g}"


def _shown_unit(unit: str) -> str:
    return "MHz" if unit == _HERTZ else unit


def checked_pool(order: SetPool, rules: PoolRules) -> PoolSetting:
    """The pool as the miner takes it."""
    if not 0 <= order.slot < rules.slots:
        last = rules.slots - 1
        several = f"from 0 ({pool_name(0)}) to {last} ({pool_name(last)})"
        raise FieldError(f"slot: must be {several if last else f'0: this miner has {pool_name(0)} only'}", "slot")
    url = check_pool_url(order.url, rules)
    user, password = order.user, order.password.reveal()
    if not user or clean_text(user, rules.longest_user + 1) != user or len(user) > rules.longest_user:
        raise FieldError(f"user: must be 1 to {rules.longest_user} printable characters", "user")
    if len(password) > _LONGEST_PASSWORD or not password.isprintable():
        raise FieldError(f"password: must be at most {_LONGEST_PASSWORD} printable characters", "password")
    return PoolSetting(order.slot, url, user, password)


def check_pool_form(url: str) -> None:
    """Raise `FieldError` unless `url` is ``scheme://host:port``, whichever schemes a device takes. Never quotes it."""
    match = _POOL.fullmatch(url)
    if match is None or not 1 <= int(match["port"]) <= _LARGEST_PORT:
        example = "stratum+tcp://pool.example:3333"
        raise FieldError(f"url: must be like {example}, a host and a port and nothing else", "url")


def check_pool_url(url: str, rules: PoolRules) -> str:
    """The address of a pool, ``scheme://host:port``, in lower case where case says nothing.

    Raises:
        FieldError: it is something else, or not as the device takes it.
    """
    wanted = f"url: must be like {rules.schemes[0]}://pool.example:3333"
    match = _POOL.fullmatch(url)
    scheme = match["scheme"].lower() if match else ""
    if match is None or scheme not in rules.schemes:
        raise FieldError(f"{wanted}, a host and a port and nothing else; schemes: {', '.join(rules.schemes)}", "url")
    if not 1 <= int(match["port"]) <= _LARGEST_PORT:
        raise FieldError(f"{wanted}: the port must be from 1 to {_LARGEST_PORT}", "url")
    written = f"{scheme}://{match['host']}:{int(match['port'])}"
    if len(written) > rules.longest_url:
        raise FieldError(f"url: must have at most {rules.longest_url} characters", "url")
    return written
