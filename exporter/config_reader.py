"""Typed readers of configuration values. What nobody asked for is unknown, so the readers are the only list of keys.

Each value may come from the file and from an environment variable ``FLOCKWATCH_<SECTION>_<KEY>``, which wins; both are
checked. Faults are collected, so that one run shows all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from exporter.config_env import Environment, dotted, unknown_key
from exporter.config_yaml import Listing, Place, Scalar, Table, Value, describe
from exporter.errors import ConfigError
from exporter.text import clean_text

T = TypeVar("T")

_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})", re.ASCII)
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


class BadValue(Exception):
    """A value that does not fit; the message says what would."""

    def __init__(self, place: Place, key: str, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.key = key


class Entry(NamedTuple):
    """One entry of a mapping. `place` is that of its key: a value may be an alias of something far away."""

    place: Place
    value: Value


class Faults:
    """The faults found so far.

    `hide` keeps values and unknown keys out of the messages (files that hold secrets); `no_secrets` tells those who
    write a secret into the file where it goes.
    """

    def __init__(self, *, hide: bool = False, no_secrets: bool = False) -> None:
        self.hide = hide
        self.no_secrets = no_secrets
        self._faults: dict[tuple[bool, Place, str], None] = {}

    def add(self, place: Place, key: str, message: str) -> None:
        shown = clean_text(key, 100)
        line = f"{place}: {shown}: {message}" if place.line and shown else f"{place}: {message}"
        self._faults[place.line == 0, place, line] = None

    def got(self, value: Value) -> str:
        """The end of a message about `value`."""
        return "" if self.hide and isinstance(value, Scalar) else f", got {describe(value)}"

    def check(self) -> None:
        """Raise all faults as one error, in the order of the file, those of the environment last."""
        if self._faults:
            raise ConfigError("\n".join(line for _, _, line in sorted(self._faults)))


class Reader:
    """Readers of single values; each raises `BadValue`."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def bad(self, value: Value, key: str, message: str) -> BadValue:
        return BadValue(value.place, key, message + self.faults.got(value))

    def text(self, value: Value, key: str) -> str:
        """Text, not empty. Only what YAML itself takes for text."""
        if not isinstance(value, Scalar) or value.kind not in ("str", "word"):
            hint = "; put it in quotes" if isinstance(value, Scalar) and value.kind != "null" else ""
            raise self.bad(value, key, f"must be text{hint}")
        if not value.text.strip():
            raise BadValue(value.place, key, "must not be empty")
        return value.text

    def written(self, value: Value, key: str) -> str:
        """The text exactly as written, whatever YAML would make of it ("rack: 07" is 07)."""
        if not isinstance(value, Scalar) or value.kind in ("null", "other"):
            raise self.bad(value, key, "must be text")
        return value.text

    def flag(self, value: Value, key: str) -> bool:
        if isinstance(value, Scalar) and value.kind in ("bool", "word"):
            word = value.text.strip().lower()
            if word in _TRUE:
                return True
            if word in _FALSE:
                return False
        hint = "; leave the quotes out" if isinstance(value, Scalar) and value.kind == "str" else ""
        raise self.bad(value, key, f"must be true or false{hint}")

    def integer(self, value: Value, key: str, low: int, high: int) -> int:
        if isinstance(value, Scalar) and value.kind in ("int", "word") and _WHOLE.fullmatch(value.text.strip()):
            figure = int(value.text)
            if low <= figure <= high:
                return figure
            raise self.bad(value, key, f"must be between {low} and {high}")
        raise self.bad(value, key, f"must be a whole number between {low} and {high}")

    def number(self, value: Value, key: str, low: float, high: float) -> float:
        if (
            isinstance(value, Scalar)
            and value.kind in ("int", "float", "word")
            and _DECIMAL.fullmatch(value.text.strip())
        ):
            figure = float(value.text)
            if low <= figure <= high:
                return figure
            raise self.bad(value, key, f"must be between {low:g} and {high:g}")
        raise self.bad(value, key, f"must be a number between {low:g} and {high:g}")

    def parsed(self, value: Value, key: str, parse: Callable[[str], T], *, written: bool = False) -> T:
        """Text through one of the parsers of `config_values`."""
        text = self.written(value, key) if written else self.text(value, key)
        try:
            return parse(text)
        except ValueError as error:
            raise self.bad(value, key, str(error)) from None

    def items(self, value: Value, key: str) -> list[Value]:
        """The items of a list. The text of an environment variable is split at its commas."""
        if isinstance(value, Listing):
            return value.items()
        if isinstance(value, Scalar) and value.kind == "word":
            parts = [part.strip() for part in value.text.split(",")] if value.text.strip() else []
            return [Scalar(part, "word", value.place) for part in parts]
        raise self.bad(value, key, "must be a list such as [a, b]; [] is the empty one")

    def entries(self, value: Value | None, path: str) -> dict[str, Entry]:
        """The entries of a mapping; nothing counts as an empty one. Equal keys and keys that are no text are faults."""
        if value is None or (isinstance(value, Scalar) and value.kind == "null"):
            return {}
        if not isinstance(value, Table):
            raise self.bad(value, path, "must be a mapping of keys and values")
        found: dict[str, Entry] = {}
        for key, child in value.pairs():
            if not isinstance(key, Scalar):
                self.faults.add(key.place, path, "a key must be a word")
            elif key.text in found:
                self.faults.add(
                    key.place,
                    dotted(path, "a key" if self.faults.hide else key.text),
                    f"comes twice, first in line {found[key.text].place.line}; keep one of them",
                )
            else:
                found[key.text] = Entry(key.place, child)
        return found


class Section(Reader):
    """A mapping whose keys are fetched one by one; `finish` reports those that nobody fetched.

    A getter that meets a fault notes it and returns the default, so that reading goes on; nothing of it is used,
    because `Faults.check` raises at the end.
    """

    def __init__(
        self,
        value: Value | None,
        path: str,
        place: Place,
        faults: Faults,
        environment: Environment | None = None,
    ) -> None:
        super().__init__(faults)
        self.path = path
        self.place = value.place if value is not None else place
        self._environment = environment
        self._asked: list[str] = []
        self._broken = False
        try:
            self._entries = self.entries(value, path)
        except BadValue as fault:
            faults.add(fault.place, fault.key, str(fault))
            self._entries = {}
            self._broken = True

    def get(self, key: str, read: Callable[[Value, str], T], default: T) -> T:
        """The value of `key` through `read`: of the environment, else of the file, else `default`."""
        self._asked.append(key)
        name = dotted(self.path, key)
        result = default
        variable = self._environment.scalar(name) if self._environment is not None else None
        for value in (self._value(key), variable):
            if value is not None:
                try:
                    result = read(value, name)
                except BadValue as fault:
                    self.faults.add(fault.place, fault.key, str(fault))
        return result

    def get_flag(self, key: str, default: bool) -> bool:
        return self.get(key, self.flag, default)

    def get_integer(self, key: str, default: int, low: int, high: int) -> int:
        return self.get(key, lambda value, name: self.integer(value, name, low, high), default)

    def get_number(self, key: str, default: float, low: float, high: float) -> float:
        return self.get(key, lambda value, name: self.number(value, name, low, high), default)

    def get_parsed(self, key: str, parse: Callable[[str], T], default: T, *, written: bool = False) -> T:
        return self.get(key, lambda value, name: self.parsed(value, name, parse, written=written), default)

    def get_optional(self, key: str, read: Callable[[Value, str], T], default: T | None = None) -> T | None:
        """As `get`; null (or an empty environment variable) is None."""

        def read_or_none(value: Value, name: str) -> T | None:
            empty = isinstance(value, Scalar) and (
                value.kind == "null" or (value.kind == "word" and value.text.strip() in ("", "null"))
            )
            return None if empty else read(value, name)

        return self.get(key, read_or_none, default)

    def get_list(self, key: str, read: Callable[[Value, str], T], default: tuple[T, ...] = ()) -> tuple[T, ...]:
        """A list, each item through `read`; the same item twice is a fault."""

        def read_all(value: Value, name: str) -> tuple[T, ...]:
            found: list[T] = []
            for index, item in enumerate(self.items(value, name)):
                place = f"{name}[{index}]"
                try:
                    result = read(item, place)
                except BadValue as fault:
                    self.faults.add(fault.place, fault.key, str(fault))
                    continue
                if result in found:
                    self.faults.add(item.place, place, f"comes twice in the list{self.faults.got(item)}; keep one")
                found.append(result)
            return tuple(found)

        return self.get(key, read_all, default)

    def section(self, key: str) -> Section:
        """The mapping under `key`, empty where missing."""
        self._asked.append(key)
        value = self._value(key)
        return Section(value, dotted(self.path, key), self.place, self.faults, self._environment)

    def raw(self, key: str) -> Value | None:
        """The value itself, for what has no environment variable."""
        self._asked.append(key)
        return self._value(key)

    def _value(self, key: str) -> Value | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def everything(self) -> dict[str, Entry]:
        """All entries, for mappings whose keys are names."""
        self._asked.extend(self._entries)
        return dict(self._entries)

    def refuse(self, keys: Mapping[str, str]) -> None:
        """Note a fault for each of `keys` that is there: known to the format, but not supported. Values: what to do."""
        for key, remedy in keys.items():
            entry = self._entries.pop(key, None)
            if entry is not None:
                self.faults.add(entry.place, dotted(self.path, key), f"is not supported; remove it ({remedy})")

    def require(self, *keys: str) -> None:
        """Note a fault for each of `keys` that is missing."""
        for key in keys:
            if key not in self._entries and not self._broken:
                self.faults.add(self.place, dotted(self.path, key), "is missing and must be given")

    def finish(self) -> None:
        """Note a fault for each key that nobody asked for."""
        for key, entry in self._entries.items():
            if key not in self._asked:
                shown = "a key" if self.faults.hide else key
                self.faults.add(
                    entry.place, dotted(self.path, shown), unknown_key(key, self._asked, secrets=self.faults.no_secrets)
                )
