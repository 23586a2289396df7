"""Figures for people: base units scaled with a prefix, ages and durations in words."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Final, Protocol

from flask import Flask

from exporter.text import make_and_model as joined

_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E", "Z")
UNKNOWN: Final = "–"
_MOST_DECIMALS: Final = 12
#: No line breaks between a number and its unit.
_JOINED: Final = "\u00a0"


def scaled(value: float | None, unit: str, digits: int = 2) -> str:
    """`value` with a metric prefix: 1.07e12, "H/s" -> "1.07 TH/s"; an en dash where it is unknown."""
    if value is None:
        return UNKNOWN
    size, prefix = abs(value), 0
    while size >= 999.995 and prefix < len(_PREFIXES) - 1:
        size /= 1000
        prefix += 1
    sign = "-" if value < 0 else ""
    return f"{sign}{size:.{digits if prefix else 0}f}{_JOINED}{_PREFIXES[prefix]}{unit}".rstrip()


def difficulty(value: float | None) -> str:
    """The difficulty of a share: "12.5", "0.0014", with a prefix from 1000 on; an en dash where it is unknown."""
    if value is None or abs(value) >= 1000:
        return scaled(value, "")
    digits = 2
    if 0 < abs(value) < 1:  # two digits that are not 0
        digits = min(1 - math.floor(math.log10(abs(value))), _MOST_DECIMALS)
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def plain(value: float | None, unit: str = "", digits: int = 0) -> str:
    """`value` as it is, with thin groups of thousands ("41 980 W"); an en dash where it is unknown."""
    if value is None:
        return UNKNOWN
    rounded = round(value, digits) or 0.0  # no "-0"
    return f"{rounded:,.{digits}f}{_JOINED}{unit}".replace(",", "\u202f").rstrip()


def percent(value: float | None, digits: int = 0) -> str:
    """A ratio in percent: 0.973 -> "97 %"; an en dash where it is unknown."""
    return UNKNOWN if value is None else f"{round(value * 100, digits) or 0.0:.{digits}f} %"


def age(then: float | None, now: float | None = None) -> str:
    """How long ago a Unix time was: "12 s ago", "5 min ago", "3 h ago", "2 d ago"; "never" where it is unknown."""
    if then is None:
        return "never"
    return f"{duration(max(0.0, (time.time() if now is None else now) - then))} ago"


def duration(seconds: float | None) -> str:
    """A time span in one unit: "12 s", "5 min", "3 h", "2 d"; an en dash where it is unknown."""
    if seconds is None:
        return UNKNOWN
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def moment(then: float | None) -> str:
    """A Unix time as ISO 8601 in UTC, for <time datetime="...">; "" where it is unknown or beyond any calendar."""
    if then is None:
        return ""
    try:
        return datetime.fromtimestamp(then, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


class Named(Protocol):
    """Something with a make and a model: an identity, a seen host."""

    @property
    def make(self) -> str | None: ...

    @property
    def model(self) -> str | None: ...


def make_and_model(named: Named) -> str:
    """Make and model without saying the make twice ("Bitaxe Gamma 601")."""
    return joined(named.make, named.model)


def register_filters(app: Flask) -> None:
    """Make the functions available in templates."""
    app.jinja_env.filters.update(
        scaled=scaled,
        difficulty=difficulty,
        plain=plain,
        percent=percent,
        age=age,
        duration=duration,
        moment=moment,
        make_and_model=make_and_model,
    )
