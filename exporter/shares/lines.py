"""A share as a line of JSON, and back. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from exporter.engine.api.shares import Share
from exporter.units import Difficulty, UnixSeconds

SOURCES: Final = ("event", "derived", "manual")
_OPTIONAL: Final = ("wallet_id", "miner_id", "pool_name", "worker_name", "difficulty", "reason")
_LARGEST_ID: Final = 2**63 - 1
_LARGEST_REFERENCE: Final = 2**32 - 2
_LONGEST_TEXT: Final = 1024


class BadLine(ValueError):
    """A line that holds no share; the message says why."""


def encode(share: Share) -> bytes:
    """One line with its line feed; what is None is left out."""
    document: dict[str, Any] = {"id": share.id, "timestamp": round(share.timestamp, 3)}
    document |= {name: value for name in _OPTIONAL if (value := getattr(share, name)) is not None}
    document |= {"accepted": share.accepted, "source": share.source, "count": share.count}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Share:
    """The share of a line.

    Raises:
        BadLine: torn, no JSON, or fields that are missing or of the wrong kind.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadLine("no object")
    source = document.get("source")
    if source not in SOURCES:
        raise BadLine("source is none of " + ", ".join(SOURCES))
    if not isinstance(document.get("accepted"), bool):
        raise BadLine("accepted is neither true nor false")
    difficulty = document.get("difficulty")
    return Share(
        id=_integer(document, "id", 1, _LARGEST_ID),
        timestamp=UnixSeconds(_number(document, "timestamp")),
        wallet_id=_reference(document, "wallet_id"),
        miner_id=_reference(document, "miner_id"),
        pool_name=_text(document, "pool_name"),
        worker_name=_text(document, "worker_name"),
        difficulty=None if difficulty is None else Difficulty(_number(document, "difficulty")),
        accepted=document["accepted"],
        source=source,
        count=_integer(document, "count", 1, _LARGEST_REFERENCE),
        reason=_text(document, "reason"),
    )


def _integer(document: dict[str, Any], name: str, low: int, high: int) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadLine(f"{name} is no integer from {low} to {high}")
    return value


def _reference(document: dict[str, Any], name: str) -> int | None:
    return None if document.get(name) is None else _integer(document, name, 0, _LARGEST_REFERENCE)


def _number(document: dict[str, Any], name: str) -> float:
    value = document.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadLine(f"{name} is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise BadLine(f"{name} is too large") from error
    if not math.isfinite(number) or number < 0.0:
        raise BadLine(f"{name} is negative or not finite")
    return number


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > _LONGEST_TEXT):
        raise BadLine(f"{name} is no text of at most {_LONGEST_TEXT} characters")
    return value
