"""What the query string of the page Flock asks for. Nonsense falls back to the default: an old link never fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from onboarding_ui.states import STATES

COLUMNS: Final = (
    "name", "mac", "address", "driver", "state", "hashrate", "temperature", "power", "rejects", "seen",
)  # fmt: skip
#: Columns that begin with their largest value when they are chosen.
LARGEST_FIRST: Final = frozenset({"hashrate", "temperature", "power", "rejects", "seen"})
SHOWN: Final = ("active", "problems", "new", "retired", "all")
GROUPS: Final = ("site", "rack", "group")
PAGE_SIZE: Final = 100
LARGEST_PAGE: Final = 500
_LONGEST_TEXT: Final = 100
_MOST_OPEN: Final = 20


@dataclass(frozen=True, slots=True)
class FlockQuery:
    """Filters, order and place in the list.

    Attributes:
        text: searched in name, MAC, address, driver, make, model, serial number and labels.
        state: slug of a state; "" for all. `driver`: a driver_type; "" for all.
        label: (name, value) that a miner must have, None for any.
        show: "active" (not retired), "problems", "new" (without a name or a currency), "retired" or "all".
        sort: a column, with "-" before it for the largest first.
        group: the label to group by, "" for none.
        page: from 1. `size`: rows of a page.
        opened: ids of the miners whose panel is open.
    """

    text: str = ""
    state: str = ""
    driver: str = ""
    label: tuple[str, str] | None = None
    show: str = "active"
    sort: str = "name"
    group: str = ""
    page: int = 1
    size: int = PAGE_SIZE
    opened: tuple[int, ...] = ()

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def filtered(self) -> bool:
        """Whether it shows less than the flock without its retired miners."""
        return bool(self.text or self.state or self.driver or self.label or self.show not in ("active", "all"))

    def sorted_by(self, column: str) -> FlockQuery:
        """The query of a click on a column's head: this column, or the other direction."""
        first = f"-{column}" if column in LARGEST_FIRST else column
        other = column if column in LARGEST_FIRST else f"-{column}"
        return dataclasses.replace(self, sort=other if self.sort == first else first, page=1)

    def toggled(self, miner_id: int) -> FlockQuery:
        """The query with the panel of a miner opened or closed."""
        rest = tuple(one for one in self.opened if one != miner_id)
        return dataclasses.replace(self, opened=rest if miner_id in self.opened else (*rest, miner_id)[-_MOST_OPEN:])

    def at(self, page: int) -> FlockQuery:
        """The query at another page."""
        return dataclasses.replace(self, page=page, opened=())

    def href(self) -> str:
        """The link to it, with what differs from the default."""
        words = {
            "q": self.text,
            "state": self.state,
            "driver": self.driver,
            "label": ":".join(self.label) if self.label else "",
            "show": "" if self.show == "active" else self.show,
            "sort": "" if self.sort == "name" else self.sort,
            "group": self.group,
            "page": "" if self.page == 1 else str(self.page),
            "size": "" if self.size == PAGE_SIZE else str(self.size),
            "open": ",".join(map(str, self.opened)),
        }
        query = urlencode({name: value for name, value in words.items() if value})
        return f"/?{query}" if query else "/"


def _number(text: str, default: int, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return default
    return min(max(int(text), 1), largest)


def _label(text: str) -> tuple[str, str] | None:
    name, colon, value = text.partition(":")
    return (name, value) if colon and name in GROUPS and value else None


def flock_query(words: Mapping[str, str]) -> FlockQuery:
    """Read a query string's words."""

    def one_of(name: str, allowed: tuple[str, ...], default: str = "") -> str:
        return value if (value := words.get(name, "")) in allowed else default

    opened = [part for part in words.get("open", "").split(",") if part.isascii() and part.isdigit() and len(part) < 16]
    return FlockQuery(
        text=words.get("q", "").strip()[:_LONGEST_TEXT],
        state=one_of("state", tuple(slug for slug, _ in STATES)),
        driver=words.get("driver", "")[:_LONGEST_TEXT],
        label=_label(words.get("label", "")),
        show=one_of("show", SHOWN, "active"),
        sort=one_of("sort", (*COLUMNS, *(f"-{column}" for column in COLUMNS)), "name"),
        group=one_of("group", GROUPS),
        page=_number(words.get("page", ""), 1, 10**6),
        size=_number(words.get("size", ""), PAGE_SIZE, LARGEST_PAGE),
        opened=tuple(int(part) for part in opened[:_MOST_OPEN]),
    )
