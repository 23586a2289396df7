"""What a miner offers, as forms show it: people's units, presets with their figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.engine.api.commands import OfferedCommand, Offers
from exporter.model import Pool, Preset, Reading

#: Label, unit and size of that unit in base units, by the name of a value.
_UNITS: Final = {
    "frequency": ("Frequency", "MHz", 1e6),
    "core_voltage": ("Core voltage", "mV", 1e-3),
    "duty": ("Duty", "%", 1e-2),
}


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number within the device's own bounds; all are text in `unit`, and the API's value is `scale` times as much.

    Attributes:
        choices: the only values there are; empty where any between `least` and `most` will do.
        current: "" where it is not known.
    """

    name: str
    label: str
    unit: str
    scale: str
    least: str
    most: str
    choices: tuple[str, ...]
    current: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that may be chosen; `why_not` says why it cannot be."""

    value: str
    words: str
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Forms:
    """What a miner offers, ready to be shown.

    Attributes:
        effects: of each command that is offered, by its name, in the order in which they are shown.
        barred: why presets cannot be chosen, each reason with the words of those that it bars.
        modified_psu: whether one of the presets needs a modified power supply.
        slots: the miner's pools, as (number from 0, words).
        reason: why nothing is offered.
    """

    effects: Mapping[str, str]
    modes: tuple[Choice, ...] = ()
    presets: tuple[Choice, ...] = ()
    barred: tuple[tuple[str, tuple[str, ...]], ...] = ()
    modified_psu: bool = False
    tuning: tuple[NumberField, ...] = ()
    fan: NumberField | None = None
    slots: tuple[tuple[int, str], ...] = ()
    reason: str | None = None


def forms_of(offers: Offers, reading: Reading | None, presets: Sequence[Preset]) -> Forms:
    """The forms of what is offered.

    Args:
        reading: the last one that is still good, for the pools that are set now.
        presets: those of the miner's model, for their figures.
    """
    by_name = {one.command: one for one in offers.commands}
    empty = OfferedCommand("", "")
    listed = tuple(_preset(value, why, presets) for value, why in by_name.get("preset", empty).choices)
    fan = [_number(values) for values in by_name.get("fan", empty).ranges]
    return Forms(
        effects={one.command: one.effect for one in offers.commands},
        modes=tuple(Choice(value, value, why) for value, why in by_name.get("mode", empty).choices),
        presets=listed,
        barred=_barred(listed),
        modified_psu=any(one.modified_psu_required for one in presets),
        tuning=tuple(_number(values) for values in by_name.get("tuning", empty).ranges),
        fan=fan[0] if fan else None,
        slots=_slots(by_name.get("pool", empty).slots or 0, reading.pools if reading is not None else ()),
        reason=offers.reason,
    )


def _number(values: tuple[str, str, float, float, tuple[float, ...], float | None]) -> NumberField:
    name, base_unit, least, most, choices, current = values
    label, unit, scale = _UNITS.get(name, (name.replace("_", " ").capitalize(), base_unit, 1.0))

    def text(value: float) -> str:
        return f"{value / scale:.10g}"

    return NumberField(
        name,
        label,
        unit,
        f"{scale:g}",
        text(least),
        text(most),
        tuple(text(choice) for choice in choices),
        "" if current is None else text(current),
    )


def _preset(value: str, why_not: str | None, presets: Sequence[Preset]) -> Choice:
    known = next((one for one in presets if one.name == value), None)
    words = value if known is None or not known.pretty else known.pretty
    if known is not None and known.modified_psu_required:
        words += ", for a modified power supply"
    return Choice(value, words, why_not)


def _barred(presets: Sequence[Choice]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for preset in presets:
        if preset.why_not is not None:
            found.setdefault(preset.why_not, []).append(preset.words)
    return tuple((why, tuple(words)) for why, words in found.items())


def _slots(count: int, pools: Sequence[Pool]) -> tuple[tuple[int, str], ...]:
    """The slots with what they hold now, as far as the miner tells its pools by their number."""
    held = {int(pool.pool): pool.url for pool in pools if pool.url and not pool.fee and pool.pool.isdecimal()}
    return tuple((slot, f"{slot + 1}: {held[slot]}" if slot in held else str(slot + 1)) for slot in range(count))
