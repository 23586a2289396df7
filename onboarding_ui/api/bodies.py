"""The bodies of requests: JSON objects, bounded."""

from __future__ import annotations

from typing import Final

from flask import Response, request
from werkzeug.exceptions import BadRequest

from onboarding_ui.api.errors import error_answer

#: Of any request. The longest honest one is a list of device passwords.
LARGEST_BODY: Final = 256 * 1024

#: For the server in front, which refuses larger bodies unread: content type and body of the answer 413.
TOO_LARGE: Final = ("application/json", b'{"error":"the body is too large","field":null}\n')

_WITHOUT: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def check_body() -> Response | None:
    """Refuse what is no JSON object before an operation looks at it; no body at all is left to the operation.

    Raises:
        UnsupportedMediaType, RequestEntityTooLarge: the body is not read at all.
    """
    if request.method in _WITHOUT or not request.get_data(cache=True):
        return None
    try:
        document = request.get_json()
    except (BadRequest, RecursionError):
        return error_answer("the body is not valid JSON", 400)
    if not isinstance(document, dict):
        return error_answer("the body must be a JSON object", 422)
    return None
