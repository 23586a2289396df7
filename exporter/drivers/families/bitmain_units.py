"""Units, words and sensors that Bitmain's 4028 and CGI answers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_records import told
from exporter.units import (
    Celsius,
    HashesPerSecond,
    celsius,
    gigahashes_per_second,
    hashes_per_second,
    kilohashes_per_second,
    megahashes_per_second,
    terahashes_per_second,
)

RateUnit = Callable[[float], HashesPerSecond]

_RATE_UNITS: Final[Mapping[str, RateUnit]] = {
    "H": hashes_per_second,
    "KH": kilohashes_per_second,
    "MH": megahashes_per_second,
    "GH": gigahashes_per_second,
    "TH": terahashes_per_second,
}
#: What "GHS" means where no `rate_unit` is told. SHA-256 models mean GH/s; scrypt (L), X11 (D3) and Ethash (E3) mean
#: MH/s, which their chips and the E3's "Total MH" show. Equihash models (Z) count thousands of solutions, which are
#: no hashes, and of the others nothing certain is known: their rate stays unknown.
_BY_MODEL: Final = (
    (re.compile(r"antminer ([strv])\d", re.IGNORECASE), gigahashes_per_second),
    (re.compile(r"antminer (l\d|d3|e3)", re.IGNORECASE), megahashes_per_second),
)
_SOLUTIONS: Final = re.compile(r"antminer z\d", re.IGNORECASE)


def rate_unit(told_unit: str | None, model: str | None) -> RateUnit | None:
    """The unit of every rate of an answer: `rate_unit` ("GH/s", "GH", "H/s" when idle) decides, else the model."""
    if model is not None and _SOLUTIONS.match(model):
        return None
    if told_unit is not None:
        return _RATE_UNITS.get(told_unit.upper().removesuffix("/S").strip())
    return next((unit for pattern, unit in _BY_MODEL if model is not None and pattern.match(model)), None)


#: miner-mode / bitmain-work-mode.
MODES: Final[Mapping[int, str]] = {0: "normal", 1: "sleep", 3: "low_power"}
SLEEP: Final = "sleep"


def work_mode(record: Mapping[str, Any], where: str) -> str | None:
    """The selected mode, from the key of either generation."""
    for key in ("miner-mode", "bitmain-work-mode"):
        value = fields.count(record, key, where)
        if value is not None:
            return MODES.get(int(value), f"mode_{int(value)}")
    return None


#: Readings of sensors that are absent or not read.
_NO_SENSOR: Final = frozenset({0.0, -1.0, -83.0, -273.0})
_PART: Final = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|$)")


def temperature(value: float | None) -> Celsius | None:
    """A plausible temperature of a board that has a sensor there, else None."""
    if value is None or value in _NO_SENSOR or not -50.0 <= value <= 200.0:
        return None
    return celsius(value)


def sensor(record: Mapping[str, Any], key: str, where: str) -> Celsius | None:
    return temperature(fields.number(record, key, where))


def sensor_row(record: Mapping[str, Any], key: str, where: str) -> list[Celsius | None]:
    """Sensors in one value: "78-50-69-70" (4028), "-" where there are none, or a list of numbers or texts (CGI)."""
    value = record.get(key)
    if isinstance(value, list):
        named = {str(index): item for index, item in enumerate(value)}
        return [sensor(named, name, f"{where}.{key}") for name in named]
    words = told(record, key, where, limit=256)
    return [] if words is None else [temperature(float(match[1])) for match in _PART.finditer(words)]


def dead_chips(words: str | None, *, hashing: bool) -> int | None:
    """Chips marked "x" (bad) or "-" (missing) in " ooo oxo"; None without marks.

    While a board does not hash every chip is marked "x", asleep as well as overheated: that tells nothing of chips.
    """
    marks = (words or "").replace(" ", "").lower()
    bad = marks.count("x") + marks.count("-")
    if not marks or not set(marks) <= set("ox-") or (bad == len(marks) and not hashing):
        return None
    return bad
