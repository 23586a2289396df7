"""Requests that change a device, as it records them."""

from __future__ import annotations

import json
from typing import Any

from simulator.http_server import Request

_SECRET = ("password", "pwd", "wifipass")
MASK = "***"


def masked(value: Any) -> Any:
    """`value` with every password in it replaced, at any depth."""
    if isinstance(value, dict):
        return {key: MASK if key.lower().endswith(_SECRET) else masked(one) for key, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value


def described(method: str, path: str, body: bytes) -> str:
    """One line of the records: "METHOD path body", or without a body where there is none."""
    if not body:
        return f"{method} {path}"
    try:
        shown = json.dumps(masked(json.loads(body)), separators=(",", ":"))
    except ValueError:
        shown = f"{len(body)} bytes that are no JSON"
    return f"{method} {path} {shown}"


def line(request: Request) -> str:
    """The line of a request."""
    return described(request.method, request.path, request.body)


def is_bare(request: Request) -> bool:
    """Whether a request has neither a body nor a query."""
    return not request.body and not request.query


def json_object(request: Request) -> dict[str, Any] | None:
    """The object in the body of a request that says it is JSON; None for anything else."""
    if request.headers.get("content-type") != "application/json" or request.query:
        return None
    try:
        document = request.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
