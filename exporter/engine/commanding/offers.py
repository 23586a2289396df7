"""What a miner offers now, with the values that may be chosen and what each command will do. Pure."""

from __future__ import annotations

from typing import Any

from exporter.drivers.api import Driver
from exporter.drivers.commands import CommandContext, TuningRange
from exporter.engine.api.commands import OfferedCommand, Offers
from exporter.engine.commanding.planning import PLAIN, offered_commands, plain_plan
from exporter.engine.commanding.values import Limits, preset_obstacle

_EFFECTS = {
    "mode": "The miner changes its mode of work.",
    "preset": "The miner applies another tuning preset; it may stop hashing for some minutes.",
    "tuning": "The miner runs its chips at another frequency or voltage.",
    "pool": "The miner mines to another pool.",
    "fan": "The miner runs its fans at another speed.",
}


def offers_of(driver: Driver, context: CommandContext, ranges: tuple[TuningRange, ...], limits: Limits) -> Offers:
    """All commands of a driver that this miner takes now."""
    found = tuple(_offer(name, driver, context, ranges, limits) for name in offered_commands(driver, context, ranges))
    return Offers(found, None if found else "this miner takes no commands")


def _offer(
    name: str, subject: Any, context: CommandContext, ranges: tuple[TuningRange, ...], limits: Limits
) -> OfferedCommand:
    if name in PLAIN:
        return OfferedCommand(name, plain_plan(name, subject, context).effect)
    effect = _EFFECTS[name]
    if name == "mode":
        return OfferedCommand(name, effect, choices=tuple((mode, None) for mode in subject.supported_modes(context)))
    if name == "preset":
        presets = tuple(subject.list_presets(context))
        missing = limits.require_max_preset and limits.max_preset is None
        ceiling = "a ceiling (max_preset) must be set for this model first" if missing else None
        choices = tuple(
            (one.name, ceiling or preset_obstacle(one, presets, limits, modified_psu=True)) for one in presets
        )
        return OfferedCommand(name, effect, choices=choices)
    if name == "tuning":
        return OfferedCommand(
            name, effect, ranges=tuple((o.name, o.unit, o.least, o.most, o.choices, o.current) for o in ranges)
        )
    if name == "fan":
        least, most = subject.fan_range(context)
        return OfferedCommand(name, effect, ranges=(("duty", "ratio", float(least), float(most), (), None),))
    rules = subject.pool_rules(context)
    restarts = " It restarts for that." if rules.restarts else ""
    return OfferedCommand(name, effect + restarts, slots=rules.slots)
