"""Long lists in pages, chosen by one word of the query string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from flask import request

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.errors import UnknownError

_LARGEST_NUMBER: Final = 10**6

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list.

    Attributes:
        number: of this page, from 1, of `pages`.
        total: items in the whole list; `first` and `last` are the places of this page's items in it, from 1.
    """

    items: tuple[Item, ...]
    number: int
    pages: int
    total: int
    first: int
    last: int


def asked_page(name: str = "page") -> int:
    """The page that the query string asks for; 1 where it asks for none or for nonsense."""
    text = request.args.get(name, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1
    return min(max(number, 1), _LARGEST_NUMBER)


def page_of(items: Sequence[Item], number: int, size: int) -> Page[Item]:
    """The page `number` of a list that is all there; the last one where the list is shorter."""
    number = min(number, pages_of(len(items), size))
    return part(items[(number - 1) * size : number * size], number, size, len(items))


def part(items: Sequence[Item], number: int, size: int, total: int) -> Page[Item]:
    """The page `number` of a list of which only `items` were fetched."""
    first = (number - 1) * size
    return Page(tuple(items), number, pages_of(total, size), total, first + 1 if items else 0, first + len(items))


def pages_of(total: int, size: int) -> int:
    """How many pages a list fills; an empty one fills one."""
    return max(1, -(-total // size))


def records_by_id(engine: EngineApi) -> dict[int, MinerRecord]:
    """The flock now, by the miners' ids."""
    return {record.id: record for record in engine.snapshot().miners}


def known(value: Item | None, what: str, number: int) -> Item:
    """`value`; `UnknownError`, which is shown as "not found", where there is none."""
    if value is None:
        raise UnknownError(f"no {what} has the id {number}")
    return value
