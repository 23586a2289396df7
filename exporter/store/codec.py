"""Rows to fields of JSON and back, checked in both directions.

A row class is a frozen dataclass whose fields have one of a few types; `RowCodec` reads them once. A field that is
None or an empty mapping is left out of the stored document, which keeps a large flock small.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from exporter.store.secret import Secret

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    required: bool
    default: Any
    nullable: bool
    check: Callable[[Any], Any]  # value -> the value to keep in the row; TypeError or ValueError
    encode: Callable[[Any], Any]  # value of a row -> JSON
    decode: Callable[[Any], Any]  # JSON -> value of a row; TypeError or ValueError


class RowCodec(Generic[Row]):
    """Makes and checks rows of one class.

    Raises (all methods that take values):
        TypeError: an unknown or missing field, or a value of the wrong type.
        ValueError: a number that is not finite, or a value JSON cannot hold.
    """

    def __init__(self, row_class: type[Row]) -> None:
        self._class = row_class
        hints = get_type_hints(row_class)
        fields = dataclasses.fields(row_class)  # type: ignore[arg-type]  # every row class is a dataclass
        self._fields = {field.name: _field(field, hints[field.name]) for field in fields}

    def make(self, **values: Any) -> Row:
        """A new row of checked values; fields that are not given take their defaults."""
        return self._class(**self._checked(values))

    def change(self, row: Row, changes: Mapping[str, Any]) -> Row:
        """A copy of `row` with checked changes."""
        return dataclasses.replace(row, **self._checked(changes))  # type: ignore[type-var]

    def to_document(self, row: Row) -> dict[str, Any]:
        """The fields to store, without the id. This is where a secret's text leaves its wrapper."""
        document = {}
        for name, field in self._fields.items():
            value = getattr(row, name)
            if name != "id" and value is not None and not (isinstance(value, MappingProxyType) and not value):
                document[name] = field.encode(value)
        return document

    def from_document(self, document: Mapping[str, Any], **given: Any) -> Row:
        """The row stored as `document`; `given` are fields that stand elsewhere (the id)."""
        values = dict(given)
        for name, stored in document.items():
            field = self._fields.get(name)
            if field is None or name in given:
                raise TypeError(f"unknown field {name!r}")
            values[name] = None if stored is None and field.nullable else _named(name, field.decode, stored)
        for name, field in self._fields.items():
            if name not in values:
                if field.required:
                    raise TypeError(f"field {name!r} is missing")
                values[name] = None if field.nullable else field.default
        return self._class(**values)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, value in values.items():
            field = self._fields.get(name)
            if field is None:
                raise TypeError(f"{self._class.__name__} has no field {name!r}")
            checked[name] = None if value is None and field.nullable else _named(name, field.check, value)
        return checked


def _named(name: str, function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _field(field: dataclasses.Field[Any], hint: Any) -> _Field:
    inner, nullable = _without_none(hint)
    check, encode, decode = _kind(inner)
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()  # immutable here, so that rows can share it
    required = default is dataclasses.MISSING
    return _Field(field.name, required, default, nullable, check, encode, decode)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [part for part in get_args(hint) if part is not types.NoneType]
        if len(inner) != 1:
            raise TypeError(f"no codec for {hint}")
        return inner[0], len(inner) < len(get_args(hint))
    return hint, False


_Kind = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]


def _kind(hint: Any) -> _Kind:
    hint = getattr(hint, "__supertype__", hint)  # a quantity of exporter.units is a float
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if hint == Mapping[str, str]:
        return _text_mapping, dict, _text_mapping
    if hint == Mapping[str, str | float]:
        return _fact_mapping, dict, _fact_mapping
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return _tuple_of(get_args(hint)[0])
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint)
    raise TypeError(f"no codec for {hint}")


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer expected, not {type(value).__name__}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"a number expected, not {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a finite number expected")
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"true or false expected, not {type(value).__name__}")
    return value


def _secret(value: Any) -> Secret:
    if not isinstance(value, Secret):
        raise TypeError(f"a Secret expected, not {type(value).__name__}")
    return value


def _json(value: Any) -> Any:
    """A copy of a JSON value, so that the caller's later changes do not reach the row."""
    return json.loads(json.dumps(value, allow_nan=False))


def _text_mapping(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping of text to text expected, not {type(value).__name__}")
    return MappingProxyType({_text(name): _text(text) for name, text in value.items()})


def _fact_mapping(value: Any) -> Mapping[str, str | float]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping of text to text or numbers expected, not {type(value).__name__}")
    return MappingProxyType(
        {_text(name): fact if isinstance(fact, str) else _number(fact) for name, fact in value.items()}
    )


_SIMPLE: Final[dict[Any, _Kind]] = {
    str: (_text, _same, _text),
    int: (_integer, _same, _integer),
    float: (_number, _same, _number),
    bool: (_flag, _same, _flag),
    Secret: (_secret, Secret.reveal, lambda stored: Secret(_text(stored))),
    Any: (_json, _same, _same),
}


def _tuple_of(item: Any) -> _Kind:
    check, encode, decode = _kind(item)

    def check_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"a sequence expected, not {type(value).__name__}")
        return tuple(check(entry) for entry in value)

    def decode_all(stored: Any) -> tuple[Any, ...]:
        if not isinstance(stored, list):
            raise TypeError(f"a list expected, not {type(stored).__name__}")
        return tuple(decode(entry) for entry in stored)

    return check_all, lambda value: [encode(entry) for entry in value], decode_all


def _dataclass(part: type[Any]) -> _Kind:
    codec: RowCodec[Any] = RowCodec(part)

    def check(value: Any) -> Any:
        if not isinstance(value, part):
            raise TypeError(f"{part.__name__} expected, not {type(value).__name__}")
        codec.change(value, {field.name: getattr(value, field.name) for field in dataclasses.fields(part)})
        return value

    def decode(stored: Any) -> Any:
        if not isinstance(stored, dict):
            raise TypeError(f"an object expected, not {type(stored).__name__}")
        return codec.from_document(stored)

    return check, codec.to_document, decode
