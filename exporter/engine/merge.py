"""Joins what the status loop and the slow telemetry loop told of one miner. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from exporter.model import Board, Identity, Reading, replace

_EMPTY: Final = Reading()
_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Reading) if f.name not in ("identity", "boards"))
_BOARD_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Board) if f.name != "board")
IDENTITY_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Identity))


def merge_identity(newer: Identity, older: Identity) -> Identity:
    """`newer`, completed from `older` where it is silent. Returns `older` itself where nothing changes."""
    changes: dict[str, Any] = {}
    for name in IDENTITY_FIELDS:
        value = getattr(newer, name)
        if value is not None and value != getattr(older, name):
            changes[name] = value
    return replace(older, **changes) if changes else older


def merge_readings(status: Reading, telemetry: Reading | None) -> Reading:
    """`status`, completed from `telemetry` where it is silent; boards are joined by their number.

    The status is the younger one, so it wins wherever both speak. Boards that only the telemetry names are added.
    """
    if telemetry is None or telemetry == _EMPTY:
        return status
    changes: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(status, name)
        if value is None or value == ():
            other = getattr(telemetry, name)
            if other is not None and other != ():
                changes[name] = other
    if telemetry.boards:
        changes["boards"] = _merge_boards(status.boards, telemetry.boards)
    identity = merge_identity(status.identity, telemetry.identity)
    if identity != status.identity:
        changes["identity"] = identity
    return replace(status, **changes) if changes else status


def _merge_boards(status: tuple[Board, ...], telemetry: tuple[Board, ...]) -> tuple[Board, ...]:
    slow = {board.board: board for board in telemetry}
    joined = []
    for board in status:
        other = slow.pop(board.board, None)
        if other is None:
            joined.append(board)
            continue
        changes = {}
        for name in _BOARD_FIELDS:
            value = getattr(board, name)
            if value is None or value == ():
                added = getattr(other, name)
                if added is not None and added != ():
                    changes[name] = added
        joined.append(replace(board, **changes) if changes else board)
    return (*joined, *slow.values())
