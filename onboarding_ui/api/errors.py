"""The one error form of the API, `{"error": ..., "field": ...}`, for whatever goes wrong under ``/api/``.

People see a page with the same words.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, Response, jsonify, make_response, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from exporter.errors import (
    FieldError,
    FlockwatchError,
    ForbiddenError,
    NotOfferedError,
    StoreError,
    TakenError,
    UnavailableError,
    UnknownError,
)
from onboarding_ui.error_page import error_page

#: The first that fits counts.
_STATUS: Final[tuple[tuple[type[FlockwatchError], int], ...]] = (
    (FieldError, 422),
    (UnknownError, 404),
    (TakenError, 409),
    (NotOfferedError, 409),
    (ForbiddenError, 403),
    (UnavailableError, 503),
    (StoreError, 503),
)

_WORDS: Final = {
    400: "the request cannot be read",
    404: "there is nothing here; GET /api/openapi.json lists what there is",
    405: "the method {method} is not allowed here",
    413: "the body is too large",
    415: "a body must be JSON: send it with Content-Type: application/json",
    500: "an internal error; the log says more",
}

#: Where people are to read something else.
_WORDS_FOR_PEOPLE: Final = {404: "no page has this address; it may be an old link, or what it showed is gone"}

#: When to ask again what was not available.
_RETRY_SECONDS: Final = "5"

_NO_BODY: Final = "a JSON object is needed as the body, with Content-Type: application/json"

#: What pydantic found wrong, in our words; its own where none stand here.
_FAULTS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_unicode": "must be text without lone surrogates",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} entries",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def error_answer(message: str, status: int, field: str | None = None) -> Response:
    """The error form; also for those who refuse a request before it gets here."""
    response = jsonify(error=message, field=field)
    response.status_code = status
    return response


def status_of(error: FlockwatchError) -> int:
    """The HTTP status of an error of the engine's; 400 for what has none of its own."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def validation_answer(error: ValidationError) -> Response:
    """The answer where the path (404), the query (400) or the body (422) is not as the document says."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or None
    message = _NO_BODY if field is None else f"{field}: {_fault(first)}"
    if error.title.endswith("Path"):
        return error_answer(message, 404, field)
    return error_answer(message, 400 if error.title.endswith("Query") else 422, field)


def _fault(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    words = _FAULTS.get(detail["type"])
    return detail["msg"].lower() if words is None else words.format(**context)


def in_api() -> bool:
    """Whether the present request is one to the API."""
    return request.path.startswith("/api/")


def register_errors(app: Flask) -> None:
    """Answer every error in the form of the place where it happened."""

    @app.errorhandler(FlockwatchError)
    def ours(error: FlockwatchError) -> Response:
        status = status_of(error)
        field = getattr(error, "field", None)
        answer = error_answer(str(error), status, field) if in_api() else error_page(str(error), status)
        if isinstance(error, UnavailableError):
            answer.headers["Retry-After"] = _RETRY_SECONDS
        return answer

    @app.errorhandler(HTTPException)
    def of_http(error: HTTPException) -> Response:
        response = make_response(error.get_response(request.environ))
        status = response.status_code
        if error.response is not None or status < 400:
            return response  # a complete answer, or a redirection
        words = _WORDS if in_api() else {**_WORDS, **_WORDS_FOR_PEOPLE}
        message = words.get(status, error.description or error.name).format(method=request.method)
        answer = error_answer(message, status) if in_api() else error_page(message, status)
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                answer.headers[name] = response.headers[name]
        return answer
