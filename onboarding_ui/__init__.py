"""The web UI and the REST API. They see the engine through `EngineApi` and nothing else."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response

from exporter.engine.client import EngineApi
from onboarding_ui.api.miners import miners_api
from onboarding_ui.figures import register_filters
from onboarding_ui.views.flock import flock_pages

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(engine: EngineApi) -> Flask:
    """The Flask application over a running engine."""
    app = Flask(__name__)
    register_filters(app)
    app.register_blueprint(flock_pages(engine))
    app.register_blueprint(miners_api(engine))

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
