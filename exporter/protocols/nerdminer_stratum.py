"""The stratum messages that a NerdMiner prints: what it sends and what it receives. Sans-IO.

A password stands in the authorisation request; it is never taken out of it.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from exporter.protocols.nerdminer_events import Event, Job, Method, PoolDifficulty, Reply, Sent
from exporter.text import clean_text

_DECODER: Final = json.JSONDecoder()
_METHODS: Final = {method.value: method for method in Method}
#: Longer numbers are no request's number.
_LARGEST_ID: Final = 2**32
_MAX_USER: Final = 128


def parse_sent(line: str, at: int) -> Event | None:
    """The request in ``Sending  : {...}``; None for anything but a whole request."""
    document = _document(line, at)
    method = document.get("method")
    if not isinstance(method, str):
        return None
    known = _METHODS.get(method, Method.OTHER)
    params = document.get("params")
    first = params[0] if isinstance(params, list) and params and isinstance(params[0], str) else None
    return Sent(
        known,
        _number(document.get("id")),
        agent=clean_text(first, 64) if known is Method.SUBSCRIBE else None,
        user=clean_text(first, _MAX_USER) if known is Method.AUTHORIZE else None,
    )


def parse_received(line: str, at: int) -> Event | None:
    """The message in ``Receiving: {...}``: a reply, a job or a difficulty."""
    if '"mining.notify"' in line and '"method"' in line:
        return Job(parsed=False)
    document = _document(line, at)
    method = document.get("method")
    if method == "mining.set_difficulty":
        return _pool_difficulty(document.get("params"))
    number = _number(document.get("id"))
    if method is not None or number is None or not ("result" in document or "error" in document):
        return None
    code, reason = _error(document.get("error"))
    refused = document.get("error") is not None or document.get("result") is False
    return Reply(number, not refused, code, reason)


def _document(line: str, at: int) -> dict[str, Any]:
    """The object that begins behind the mark; what follows it on the line is another task's."""
    start = line.find("{", at)
    if start < 0:
        return {}
    try:
        document = _DECODER.raw_decode(line, start)[0]
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _number(value: Any) -> int | None:
    """A request's number; booleans are none."""
    return value if type(value) is int and 0 <= value < _LARGEST_ID else None


def _pool_difficulty(params: Any) -> PoolDifficulty | None:
    value = params[0] if isinstance(params, list) and params else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 < value < 1e18 or not math.isfinite(value):
        return None
    return PoolDifficulty(float(value))


def _error(error: Any) -> tuple[int | None, str | None]:
    """Code and words of a stratum error: ``[23, "Low difficulty", null]``, an object, or bare text."""
    code: Any = None
    words: Any = error
    if isinstance(error, list):
        code, words = (*error, None, None)[:2]
    elif isinstance(error, dict):
        code, words = error.get("code"), error.get("message")
    whole = code if type(code) is int and -(10**6) < code < 10**6 else None
    return whole, clean_text(words, 80) if isinstance(words, str) else None
