"""What people see instead of a page that cannot be shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Response, make_response, render_template, request

from onboarding_ui.auth.caller import current_caller

_TITLES: Final = {
    400: "The request cannot be read",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This cannot be done here",
    413: "That is too large",
    500: "Something went wrong",
    503: "Not available now",
}
#: Asking again may help.
_FOR_NOW: Final = frozenset({429, 500, 502, 503, 504})


def error_page(message: str, status: int) -> Response:
    """A page that says what is wrong, for whatever goes wrong outside the API.

    It asks nothing of the engine, which may be what failed, and shows strangers no way around.
    """
    page = render_template(
        "error.html",
        title=_TITLES.get(status) or HTTPStatus(status).phrase,
        message=message,
        again=status in _FOR_NOW and request.method == "GET",
        write_error=lambda: None,
        **_for_strangers(),
    )
    return make_response(page, status)


def _for_strangers() -> dict[str, Any]:
    return {"navigation": ()} if current_caller() is None else {}
