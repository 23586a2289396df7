"""The pools of a mining program, which a client may add to and switch between (ckolivas/cgminer api.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.devices import rows
from simulator.physics import State

#: What `rows.pools` describes: the pools of the program's own configuration.
_CONFIGURED = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A pool by its address and user."""

    url: str
    user: str


class PoolList:
    """All pools by number, and their numbers in the order in which they are tried."""

    def __init__(self, user: str) -> None:
        self._configured = [
            Entry("stratum+tcp://pool.example.com:3333", user),
            Entry("stratum+tcp://backup.example.com:3334", user),
        ]
        self.entries: list[Entry] = []
        self.order: list[int] = []
        self.forget_added()

    def forget_added(self) -> None:
        """As the program starts: the pools of its configuration, in their order."""
        self.entries = list(self._configured)
        self.order = list(range(_CONFIGURED))

    def find(self, number: str) -> int | None:
        """The pool with a number, as a client writes it."""
        return int(number) if number.isdecimal() and int(number) < len(self.entries) else None

    def switch(self, number: int) -> None:
        """Try a pool before all others."""
        self.order.remove(number)
        self.order.insert(0, number)

    def rows(self, state: State) -> list[dict[str, Any]]:
        """The rows of `pools`."""
        serving, waiting = rows.pools(state, "", count=_CONFIGURED)
        table = []
        for number, entry in enumerate(self.entries):
            first = self.order[0] == number
            row = dict(serving if first else waiting)
            row |= {"POOL": number, "URL": entry.url, "User": entry.user, "Priority": self.order.index(number)}
            if first:
                row["Stratum URL"] = entry.url.partition("://")[2].rpartition(":")[0]
            table.append(row)
        return table


def read_added(parameter: str) -> Entry | None:
    """The pool in the parameter of `addpool`: address, user and password, a backslash before what is no separator."""
    parts, escaped = [""], False
    for mark in parameter:
        if escaped or mark not in ",\\":
            parts[-1] += mark
            escaped = False
        elif mark == ",":
            parts.append("")
        else:
            escaped = True
    if len(parts) != 3 or not all(parts):
        return None
    return Entry(parts[0], parts[1])
