"""The REST API and its OpenAPI document."""

from __future__ import annotations

from typing import Final

from flask import Response
from flask_openapi3.openapi import OpenAPI

from exporter.engine.client import EngineApi
from onboarding_ui.api.access import access_api
from onboarding_ui.api.bodies import LARGEST_BODY, check_body
from onboarding_ui.api.bulk import bulk_api
from onboarding_ui.api.commands import commands_api
from onboarding_ui.api.devices import devices_api
from onboarding_ui.api.document import Document, document_api
from onboarding_ui.api.drivers import drivers_api
from onboarding_ui.api.errors import in_api, register_errors
from onboarding_ui.api.finite_json import FiniteJsonProvider
from onboarding_ui.api.history import history_api
from onboarding_ui.api.miners import miners_api
from onboarding_ui.api.models import models_api
from onboarding_ui.api.one_miner import one_miner_api
from onboarding_ui.api.program import program_api
from onboarding_ui.api.queries import refuse_queries
from onboarding_ui.api.scans import scans_api
from onboarding_ui.api.shares import shares_api
from onboarding_ui.api.wallets import wallets_api

_PARTS: Final = (
    miners_api,
    one_miner_api,
    commands_api,
    bulk_api,
    history_api,
    scans_api,
    devices_api,
    models_api,
    wallets_api,
    shares_api,
    drivers_api,
    program_api,
    access_api,
)


def register_api(app: OpenAPI, engine: EngineApi) -> Document:
    """Add all operations, the error form and the document, which is returned for the page that shows it."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json = FiniteJsonProvider(app)
    register_errors(app)

    @app.before_request
    def bodies() -> Response | None:
        return check_body() if in_api() else None

    refuse_queries(app)
    for part in _PARTS:
        app.register_api(part(engine))
    document = Document(app)
    app.register_api(document_api(document))
    return document
