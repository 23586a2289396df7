"""Readers of the fields of device answers: strict about what a value is, tolerant of how it is written.

The rules, the same for every driver:

* a missing key, null and the usual words for "no value" ("", "N/A", "-", "nan", ...) are None;
* a number may be written as a number or as text ("7903.729", " 28.0000"); NaN and infinity are no numbers;
* anything else where a number, a text or a container is due raises `DecodeError` with the place, so that a changed
  firmware shows as an error and never as a wrong figure.

Drivers read answers only through these functions and ``dict.get``: the tests of the captured answers record which
keys were read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.errors import DecodeError
from exporter.text import clean_text

_NO_VALUE: Final = frozenset(
    {"", "-", "--", "n/a", "na", "nan", "-nan", "inf", "-inf", "none", "null", "unknown", "undefined"}
)
#: No quantity of a miner is beyond this; a larger figure is garbage.
_LARGEST: Final = 1e24


def _fault(where: str, key: str, expected: str, value: Any) -> DecodeError:
    shown = clean_text(repr(value), 40)
    return DecodeError(f"{where}.{key}: expected {expected}, got {shown}")


def number(document: Mapping[str, Any], key: str, where: str = "answer") -> float | None:
    """The number under `key`, however it is written. Booleans are not numbers."""
    value = document.get(key)
    if value is None:
        return None
    kind = value.__class__
    if (kind is float or kind is int) and -_LARGEST < value < _LARGEST:
        return float(value)
    figure = value
    if kind is str:
        words = value.strip()
        if words.lower() in _NO_VALUE:
            return None
        try:
            figure = float(words) if "_" not in words else None
        except ValueError:
            figure = None
    if figure.__class__ is not float:
        raise _fault(where, key, "a number", value)
    if figure != figure or figure in (math.inf, -math.inf):
        return None
    if -_LARGEST < figure < _LARGEST:
        return float(figure)
    raise _fault(where, key, "a number", value)


def count(document: Mapping[str, Any], key: str, where: str = "answer") -> float | None:
    """A number that cannot be negative (a counter, an uptime, a fan's speed). A negative one is "no value"."""
    value: Any = document.get(key)
    kind = value.__class__
    if (kind is int or kind is float) and 0 <= value < _LARGEST:
        return float(value)  # by far the most frequent case
    value = number(document, key, where)
    return None if value is None or value < 0 else value


def text(document: Mapping[str, Any], key: str, where: str = "answer", limit: int = 128) -> str | None:
    """Cleaned text under `key`; numbers are taken as text, containers are not."""
    value = document.get(key)
    if value is None:
        return None
    if value.__class__ is not str and isinstance(value, (dict, list)):
        raise _fault(where, key, "text", value)
    cleaned = clean_text(value, limit)
    return None if cleaned is None or cleaned.lower() in _NO_VALUE else cleaned


def flag(document: Mapping[str, Any], key: str, where: str = "answer") -> bool | None:
    """A truth value written as bool, 0/1, "true"/"false", "Y"/"N", "on"/"off", "yes"/"no"."""
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value in (0, 1):
            return bool(value)
        raise _fault(where, key, "a truth value", value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "1", "y", "yes", "on", "enabled", "enable"):
            return True
        if word in ("false", "0", "n", "no", "off", "disabled", "disable"):
            return False
        if word in _NO_VALUE:
            return None
    raise _fault(where, key, "a truth value", value)


def table(document: Mapping[str, Any], key: str, where: str = "answer") -> dict[str, Any] | None:
    """The object under `key`, None where missing."""
    value = document.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise _fault(where, key, "an object", value)


def array(document: Mapping[str, Any], key: str, where: str = "answer") -> list[Any]:
    """The list under `key`, empty where missing or null."""
    value = document.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise _fault(where, key, "a list", value)


def tables(document: Mapping[str, Any], key: str, where: str = "answer") -> list[dict[str, Any]]:
    """The list of objects under `key`, empty where missing or null."""
    values = array(document, key, where)
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise _fault(where, f"{key}[{index}]", "an object", value)
    return values


def as_table(value: Any, where: str = "answer") -> dict[str, Any]:
    """`value` itself, which must be an object."""
    if isinstance(value, dict):
        return value
    raise DecodeError(f"{where}: expected an object, got {clean_text(repr(value), 40)}")


_SUFFIX: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21}
_SUFFIXED: Final = re.compile(r"([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*([kKmMgGtTpPeEzZ]?)\s*")


def suffixed_number(document: Mapping[str, Any], key: str, where: str = "answer") -> float | None:
    """A number that may carry a metric suffix: "4.29G", "572.14 M", "131K", 49224525."""
    value = document.get(key)
    if not isinstance(value, str):
        return number(document, key, where)
    if value.strip().lower() in _NO_VALUE:
        return None
    match = _SUFFIXED.fullmatch(value.strip())
    if match is None:
        raise _fault(where, key, "a number with an optional suffix", value)
    figure = float(match[1].replace(",", "."))
    result = figure * _SUFFIX[match[2].lower()]
    if not -_LARGEST < result < _LARGEST:
        raise _fault(where, key, "a number with an optional suffix", value)
    return result


_CLOCK: Final = re.compile(
    r"(?:(\d+)\s*(?:days?,?|d)\s*)?(\d+):(\d{1,2})(?::(\d{1,2}))?|(\d+)\s*(?:days?|d)", re.IGNORECASE
)


def duration(document: Mapping[str, Any], key: str, where: str = "answer", *, short: str = "h:m") -> float | None:
    """Seconds of a duration written as seconds, "h:mm", "h:mm:ss" or with days ("10 days, 18:00", "00d 01:23:46").

    `short` says how two parts are meant: "h:m" or "m:s". Text behind a carriage return (NMMiner's second uptime)
    is left out.
    """
    value = document.get(key)
    if not isinstance(value, str):
        return count(document, key, where)
    words = value.split("\r")[0].strip()
    if words.lower() in _NO_VALUE:
        return None
    match = _CLOCK.fullmatch(words)
    if match is None:
        return count(document, key, where)
    days = float(match[1] or match[5] or 0) * 86400
    if match[2] is None:
        return days
    first, second = float(match[2]), float(match[3])
    if match[4] is not None:
        return days + first * 3600 + second * 60 + float(match[4])
    return days + (first * 3600 + second * 60 if short == "h:m" else first * 60 + second)


#: Closed list of reasons for rejected shares on /metrics.
REJECTION_REASONS: Final = (
    "stale",
    "duplicate",
    "low_difficulty",
    "unauthorized",
    "not_subscribed",
    "bad_time",
    "other",
)


def rejection_reason(message: str | None) -> str:
    """One of `REJECTION_REASONS` for the pool's own words (Stratum errors 20 to 25 and their common wordings)."""
    words = (message or "").lower()
    for reason, marks in (
        ("stale", ("stale", "job not found", "unknown job", "old job")),
        ("duplicate", ("duplicate",)),
        (
            "low_difficulty",
            ("low diff", "difficulty too low", "above target", "high hash", "high-hash"),
        ),
        ("unauthorized", ("unauthori",)),
        ("not_subscribed", ("not subscribed",)),
        ("bad_time", ("time-", "ntime", "time too")),
    ):
        if any(mark in words for mark in marks):
            return reason
    return "other"
