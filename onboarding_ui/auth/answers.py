"""Refusals, as the API and as the pages give them."""

from __future__ import annotations

from flask import Response, jsonify, request

_TEXT = "text/plain; charset=utf-8"


def is_api() -> bool:
    """Whether the request is one of a program."""
    return request.path.startswith("/api/")


def refusal(status: int, message: str) -> Response:
    """An answer that says why: in the error form of the API, else as plain text."""
    if is_api():
        response = jsonify({"error": message, "field": None})
    else:
        response = Response(message[:1].upper() + message[1:] + ".\n", content_type=_TEXT)
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Flockwatch"'
    return response


def safe_next(target: str | None) -> str:
    """Where to go after a sign-in: a path of ours, else the first page."""
    if (
        not target
        or not target.startswith("/")
        or target.startswith("//")
        or "\\" in target
        or not target.isprintable()
        or len(target) > 2048
    ):
        return "/"
    return target
