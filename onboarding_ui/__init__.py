"""The web UI and the REST API. They see the engine through `EngineApi` and nothing else."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response

from exporter.engine.client import EngineApi
from onboarding_ui import auth
from onboarding_ui.api import register_api
from onboarding_ui.api.document import new_application
from onboarding_ui.figures import register_filters
from onboarding_ui.layout import register_layout
from onboarding_ui.options import UiOptions
from onboarding_ui.views.access import access_pages
from onboarding_ui.views.api_docs import api_docs_pages
from onboarding_ui.views.audit import audit_pages
from onboarding_ui.views.commands import commands_pages
from onboarding_ui.views.devices import devices_pages
from onboarding_ui.views.diagnostics import diagnostics_pages
from onboarding_ui.views.driver_updates import driver_updates_pages
from onboarding_ui.views.flock import flock_pages
from onboarding_ui.views.manage import manage_pages
from onboarding_ui.views.miner import miner_pages
from onboarding_ui.views.models import models_pages
from onboarding_ui.views.settings import settings_pages
from onboarding_ui.views.wallets import wallets_pages

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with that browsers hide the origin of forms, by which foreign ones are told.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_PAGES: Final = (
    flock_pages,
    miner_pages,
    devices_pages,
    models_pages,
    wallets_pages,
    manage_pages,
    settings_pages,
    access_pages,
    driver_updates_pages,
    diagnostics_pages,
    commands_pages,
    audit_pages,
)
_ON_LOOPBACK: Final = UiOptions()


def create_app(engine: EngineApi, options: UiOptions = _ON_LOOPBACK) -> Flask:
    """The Flask application over a running engine."""
    app = new_application(__name__)
    register_filters(app)
    register_layout(app, engine)
    auth.protect(app, engine, options)  # before all else: it decides who gets further
    document = register_api(app, engine)
    for pages in _PAGES:
        app.register_blueprint(pages(engine))
    app.register_blueprint(api_docs_pages(document))

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
