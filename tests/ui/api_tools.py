"""An application over a flock that is made anew for each request, and requests from its own document."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from onboarding_ui import create_app
from tests.ui.fake_engine import FakeEngine


class Renewed:
    """Stands for an engine; `renew` puts a new one in its place, so that no request sees what another one did."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> FakeEngine:
        self.current = FakeEngine()
        self.current.access.add_token("from the start", _NO_HASH, "read")
        return self.current

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


class _Hash:
    def reveal(self) -> str:
        return "no hash of any token"


_NO_HASH: Any = _Hash()


def application() -> tuple[Flask, Renewed]:
    engine = Renewed()
    app = create_app(engine)
    app.testing = False  # errors are answered as they are for everybody
    return app, engine


def client_of(engine: Any) -> FlaskClient:
    app = create_app(engine)
    app.testing = False
    return app.test_client()


def examples(operation: dict[str, Any]) -> dict[str, Any]:
    """Parameters and body of an operation as its documentation shows them."""
    given: dict[str, Any] = {"path_parameters": {}, "query": {}}
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            place = "path_parameters" if parameter["in"] == "path" else "query"
            given[place][parameter["name"]] = parameter["example"]
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        given["body"] = content["application/json"]["example"]
        given["media_type"] = "application/json"
    return given
