"""YAML text as values that know their line. Nothing is constructed: the readers ask for what they expect.

PyYAML would read ``010`` as eight, ``12:30`` as 750 and let the second of two equal keys win; here a scalar keeps the
text as written and the kind YAML gives it, and a mapping refuses a key that comes twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import yaml

from exporter.errors import ConfigError
from exporter.text import clean_text

_TAG: Final = "tag:yaml.org,2002:"
#: User and password of a URL.
_USER_INFO: Final = re.compile(r"//.*@")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a value is written: a file and its line (from 1), or an environment variable (line 0)."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as written. `kind`: "str", "int", "float", "bool", "null", "other" (a tag of its own, a date),
    or "word" for the text of an environment variable, which may be any of them."""

    text: str
    kind: str
    place: Place


@dataclass(frozen=True, slots=True)
class Listing:
    """A list; its items are looked at one level at a time, so that an alias to itself does no harm."""

    node: yaml.SequenceNode
    place: Place

    def items(self) -> list[Value]:
        return [_value(child, self.place.source) for child in self.node.value]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, as pairs in the order of the file: a key may still come twice."""

    node: yaml.MappingNode
    place: Place

    def pairs(self) -> list[tuple[Value, Value]]:
        source = self.place.source
        return [(_value(key, source), _value(child, source)) for key, child in self.node.value]


Value = Scalar | Listing | Table


def describe(value: Value, limit: int = 40) -> str:
    """What a message says about a value that does not fit: "5", "'fast'", "a list"."""
    if isinstance(value, Listing):
        return "a list"
    if isinstance(value, Table):
        return "a mapping"
    if value.kind == "null":
        return "nothing"
    shown = clean_text(_USER_INFO.sub("//<secret>@", value.text), limit) or ""
    return shown if value.kind in ("int", "float", "bool") else f"'{shown}'"


def parse_yaml(text: str, source: str) -> Value | None:
    """Parse one YAML document; None where it holds nothing but comments.

    Raises:
        ConfigError: the text is not YAML. The message has the line, but no piece of the text that could be a secret.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1 if mark else 0)
        raise ConfigError(f"{place}: not valid YAML: {_problem(error)}; check quotes and indentation") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        raise ConfigError(f"{Place(source, line)}: not valid YAML: a control character; remove it") from None
    except RecursionError:
        raise ConfigError(f"{source}: not valid YAML: nested too deeply; check brackets and indentation") from None
    except (ValueError, OverflowError):
        # PyYAML lets escapes such as "\UFFFFFFFF" reach chr().
        raise ConfigError(f"{source}: not valid YAML: an escape that is no character; check quoted text") from None
    return None if node is None else _value(node, source)


def decode_text(raw: bytes, source: str) -> str:
    """The text of a configuration file, which is UTF-8.

    Raises:
        ConfigError: it is not.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{Place(source, line)}: not UTF-8 text; save the file as UTF-8") from None


def _value(node: yaml.Node, source: str) -> Value:
    place = Place(source, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Listing(node, place)
    if isinstance(node, yaml.MappingNode):
        return Table(node, place)
    kind = node.tag.removeprefix(_TAG)
    known = kind in ("str", "int", "float", "bool", "null")
    return Scalar(str(node.value), kind if known else "other", place)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words, without what it quotes from the file beyond a single character."""
    words = error.problem or error.context or "unreadable"
    return re.sub(r"\s*(?:tag )?(['\"]).{2,}\1.*", "", words, flags=re.DOTALL) or "unreadable"
