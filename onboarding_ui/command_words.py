"""Commands to miners in words: what was asked for, how it went, what it changed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.engine.api.commands import CommandRun
from onboarding_ui.figures import UNKNOWN, duration, percent, plain, scaled

_STATES: Final = {
    "running": ("Running", "busy"),
    "confirmed": ("Done", "ok"),
    "refused": ("Refused", "bad"),
    "unconfirmed": ("Not confirmed", "warn"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Cancelled", "off"),
    "interrupted": ("Interrupted", "warn"),
    "waiting": ("Waiting", "off"),
    "not offered": ("Not offered", "warn"),
    "not allowed": ("Not allowed", "warn"),
    "not sent": ("Not sent", "warn"),
    "would send": ("Possible", "ok"),
    "finished": ("Finished", "ok"),
}
#: For people's eyes first: what went wrong, what is under way, what went well.
_ORDER: Final = (
    "failed", "refused", "unconfirmed", "interrupted", "not sent", "not allowed", "not offered", "cancelled",
    "running", "waiting", "confirmed", "would send",
)  # fmt: skip

#: As a heading of one, as a heading of many, as a button.
_NAMES: Final = {
    "restart": "Restart",
    "pause": "Pause",
    "resume": "Resume",
    "identify": "Light",
    "mode": "Mode",
    "preset": "Preset",
    "tuning": "Tuning",
    "pool": "Pool",
    "fan": "Fans",
}
_MOST_TEXT: Final = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """A state for people; `kind`: ok, warn, bad, busy or off, the look of the badge."""

    words: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was seen of one value before and after a command, as text."""

    name: str
    before: str
    after: str


def outcome(state: str) -> Outcome:
    """The state of a command, of many, or of one result among many."""
    words, kind = _STATES.get(state, (state.capitalize(), "off"))
    return Outcome(words, kind)


def place_of(state: str) -> int:
    """Where results in a state stand in a list, from 0."""
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def is_trouble(state: str) -> bool:
    """Whether somebody should look at a result in this state."""
    return place_of(state) < _ORDER.index("cancelled")


def command_name(command: str) -> str:
    """A command's name: "restart" -> "Restart"."""
    return _NAMES.get(command, command.capitalize())


def order_words(command: str, values: Mapping[str, Any]) -> str:
    """What was asked for: "Preset 2600", "Tuning 525 MHz, 1150 mV", "Light on"."""
    parts = [part for name, value in values.items() if (part := _value_words(name, value))]
    return " ".join((command_name(command), ", ".join(parts)))[:_MOST_TEXT].strip()


def _value_words(name: str, value: Any) -> str | None:
    match name, value:
        case "on", bool():
            return "on" if value else "off"
        case "confirm_modified_psu", _:
            return "modified power supply" if value else None
        case "slot", int():
            return str(value + 1)
        case "frequency", float() | int():
            return plain(value / 1e6, "MHz")
        case "core_voltage", float() | int():
            return plain(value * 1e3, "mV")
        case "duty", None:
            return "automatic"
        case "duty", float() | int():
            return percent(value)
        case _:
            return None if value is None else str(value)


_SEEN: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "state": ("State", str),
    "mode": ("Mode", str),
    "hashrate": ("Hash rate", lambda value: scaled(value, "H/s")),
    "power": ("Power", lambda value: plain(value, "W")),
    "frequency": ("Frequency", lambda value: plain(value / 1e6, "MHz")),
    "fault_light": ("Light", lambda value: "on" if value else "off"),
    "pool": ("Pool", str),
    "pool_user": ("Pool user", str),
    "uptime": ("Uptime", duration),
    "mining_uptime": ("Time of mining", duration),
}


def changes(run: CommandRun) -> tuple[Change, ...]:
    """What differs between before and after, as far as both were seen. Hash rate and power always do a little."""
    if not run.after:
        return ()
    found = []
    for name, (words, shown) in _SEEN.items():
        before, after = (_seen(shown, seen.get(name)) for seen in (run.before, run.after))
        if after != UNKNOWN and before != after:
            found.append(Change(words, before, after))
    return tuple(found)


def _seen(shown: Callable[[Any], str], value: Any) -> str:
    """A value of the log, which a file may hold in another form than the one that is written now."""
    if value is None:
        return UNKNOWN
    try:
        return shown(value)
    except TypeError:
        return str(value)[:_MOST_TEXT]
