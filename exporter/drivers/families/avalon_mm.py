"""The "MM ID0" strings in which Avalon controllers tell their state: ``Key[value] Key[value] ...``.

Values hold blanks and colons (``SYSTEMSTATU[Work: In Work, Hash Board: 3 ]``), never brackets. Newer home miners wrap
the string as ``'STATS':{...}`` and put the chips beside it under ``HBinfo`` (``'HB0':{...}``). Controllers of the A7 to
A9 tell one string per module (``MM ID1`` ...), in one record per bus adapter. Formats: Canaan Avalon Nano3s vendor
source (driver-avalon.c) for the names and their order, captured answers for the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_records import told
from exporter.errors import DecodeError

#: A controller with 25 modules answers about 47 KB in all; one string is never longer.
MAX_TEXT: Final = 65536
MAX_TOKENS: Final = 1024
MAX_VALUES: Final = 1024
#: Readings at or below this are a sensor that is not there (-273, -83 and the like).
_NO_SENSOR: Final = -60.0

_TOKEN: Final = re.compile(r"([A-Za-z][A-Za-z0-9_ ]{0,31})\[([^\[\]]*)\]")
_MODULE_KEY: Final = re.compile(r"MM ID(\d{1,3})(?::Summary)?")


@dataclass(frozen=True, slots=True)
class Module:
    """One module: `name` is its number as the device counts, made unique by its bus adapter where there are several."""

    name: str
    tokens: Mapping[str, str]

    def number(self, key: str) -> float | None:
        """The number under `key`; a percent sign behind it is dropped."""
        value = self.tokens.get(key)
        return None if value is None else fields.number({key: value.rstrip(" %")}, key, "MM")

    def count(self, key: str) -> float | None:
        """As `number`, but None for a negative one."""
        value = self.number(key)
        return None if value is None or value < 0 else value

    def numbers(self, key: str) -> tuple[float, ...]:
        """The blank-separated numbers under `key`; empty where it is missing or one of them is no number (nan)."""
        value = self.tokens.get(key)
        if value is None:
            return ()
        words = value.split()[:MAX_VALUES]
        try:
            found = tuple([float(word) for word in words])
        except ValueError:
            raise DecodeError(f"MM.{key}: expected numbers, got {value[:40]!r}") from None
        # The A10 writes nan right after its start.
        return found if math.isfinite(sum(found)) else ()

    def text(self, key: str, limit: int = 128) -> str | None:
        return told(self.tokens, key, "MM", limit)

    def air_temperature(self, key: str) -> float | None:
        """A temperature of air or a board: zero is a value, a sensor that is not there is None."""
        value = self.number(key)
        return None if value is None or value <= _NO_SENSOR else value

    def chip_temperature(self, key: str) -> float | None:
        """A chip temperature: zero and below are written while nothing is measured."""
        return positive(self.number(key))


def positive(value: float | None) -> float | None:
    """`value`, or None where it is zero or below: the firmware writes that for "not measured"."""
    return None if value is None or value <= 0 else value


def parse_tokens(text: str) -> dict[str, str]:
    """The tokens of one string. A last token that was cut off is left out; of a repeated key the first one counts.

    Raises:
        DecodeError: the string is longer than any honest one, or holds no token at all.
    """
    if len(text) > MAX_TEXT:
        raise DecodeError(f"MM string of {len(text)} characters")
    tokens: dict[str, str] = {}
    for match in _TOKEN.finditer(text):
        tokens.setdefault(match[1].strip(), match[2].strip())
        if len(tokens) > MAX_TOKENS:
            raise DecodeError("MM string with too many keys")
    if not tokens:
        raise DecodeError(f"MM string without Key[value], got {text[:40]!r}")
    return tokens


def find_modules(records: Iterable[Mapping[str, Any]]) -> tuple[Module, ...]:
    """All modules in the STATS records of a ``stats``, ``estats`` or ``litestats`` answer, in the device's order."""
    found: list[tuple[int, str, dict[str, str]]] = []
    adapters = 0
    for record in records:
        here = [(match[1], key) for key in record if (match := _MODULE_KEY.fullmatch(key))]
        if not here:
            continue
        for number, key in here:
            tokens = parse_tokens(_string(record, key))
            if "HBinfo" in record:
                for name, value in parse_tokens(_string(record, "HBinfo")).items():
                    tokens.setdefault(name, value)
            found.append((adapters, number, tokens))
        adapters += 1
    if adapters > 1:
        return tuple(Module(f"{adapter}-{number}", tokens) for adapter, number, tokens in found)
    return tuple(Module(number, tokens) for _, number, tokens in found)


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise DecodeError(f"stats.{key}: expected text")
    return value


def merge_modules(first: tuple[Module, ...], second: tuple[Module, ...]) -> tuple[Module, ...]:
    """`first` with what only `second` tells (``litestats`` has the Wi-Fi signal, ``stats`` has the rest)."""
    if not first:
        return second
    more = {module.name: module.tokens for module in second}
    return tuple(Module(module.name, {**more.get(module.name, {}), **module.tokens}) for module in first)
