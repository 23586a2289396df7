"""Operations that take no query refuse one: who sends a name that nobody knows mostly misspelt it."""

from __future__ import annotations

import inspect

from flask import Flask, Response, request

from onboarding_ui.api.errors import error_answer, in_api


def refuse_queries(app: Flask) -> None:
    """Answer 400 to requests with a query for operations that describe none; the others check their own."""
    takes: dict[str, bool] = {}

    @app.before_request
    def check() -> Response | None:
        endpoint = request.endpoint
        if not in_api() or endpoint is None or not request.args:
            return None
        if endpoint not in takes:
            takes[endpoint] = "query" in inspect.signature(app.view_functions[endpoint]).parameters
        if takes[endpoint]:
            return None
        name = next(iter(request.args))
        return error_answer(f"{name}: is not known here", 400, name)
