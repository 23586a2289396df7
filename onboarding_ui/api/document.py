"""The OpenAPI document: what `flask-openapi3` collects from the operations, with the answers that all of them share."""

from __future__ import annotations

import re
import threading
from typing import Any, Final

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from exporter import __version__
from onboarding_ui.api.errors import validation_answer
from onboarding_ui.api.shapes import ErrorAnswer

_DESCRIPTION: Final = """\
All that the pages show and do. Hash rates are in H/s, powers in W, temperatures in °C, times in Unix seconds, shares of
a whole from 0 to 1; null means unknown. Lists of things (the lines of charts are none) are arrays: `limit` and `offset`
choose a part, and the header `X-Total-Count` has the number of all. A name in the query that an operation does not know
is refused. A change that was answered is on disk.

Where a password or a token is set, send `Authorization: Bearer <token>`; a token comes from the page Settings, Access.
"""

_ERRORS: Final = {
    "400": "The query or the body cannot be read.",
    "401": "Not signed in: a token is missing, wrong or over.",
    "403": "Not allowed: by the configuration, by the token's scope, or for a page of another site.",
    "404": "Nothing has this id or name.",
    "409": "Another one has this name or address, it is being done already, or the miner does not offer it.",
    "413": "The body is too large.",
    "415": "The body is not sent as application/json.",
    "422": "A field cannot be used; `field` names it, `error` says why and what to do.",
    "503": "The engine, the disk or a miner is not available now; ask again, after `Retry-After` seconds where told.",
}
_ALWAYS: Final = ("400", "401", "403", "503")
_OF_WRITES: Final = ("413", "415", "422")

METHODS: Final = ("get", "post", "put", "patch", "delete")


def new_application(import_name: str) -> OpenAPI:
    """A Flask application that collects the document; it serves nothing of the library's own."""
    return OpenAPI(
        import_name,
        info=Info(title="Flockwatch", version=__version__, description=_DESCRIPTION),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        doc_ui=False,
        validation_error_model=ErrorAnswer,
        validation_error_callback=validation_answer,
    )


class Document:
    """The document of an application; it is made when somebody first asks, and does not change after that."""

    def __init__(self, app: OpenAPI) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._made: dict[str, Any] | None = None

    def get(self) -> dict[str, Any]:
        """The document as JSON."""
        with self._lock:
            if self._made is None:
                self._made = completed(self._app.api_doc)
            return self._made


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the shared answers, plain line ends in descriptions, and how to sign in."""
    document["security"] = [{}, {"token": []}]
    document["components"]["responses"] = {
        code: {
            "description": words,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
        }
        for code, words in _ERRORS.items()
    }
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Change", "Changes")):
            for field in schema["properties"].values():
                field.pop("default", None)  # what is left out stays as it is
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                _complete(item[method], method, has_id="{" in path)
    return document


def _complete(operation: dict[str, Any], method: str, *, has_id: bool) -> None:
    if "description" in operation:
        operation["description"] = re.sub(r"\s+", " ", operation["description"].replace("<br/>", " ")).strip()
    given = operation["responses"]
    codes = {*_ALWAYS, *(code for code in given if code >= "400" and code != "422")}
    codes |= {"404"} if has_id else set()
    codes |= set(_OF_WRITES) if method != "get" else set()
    good = {code: answer for code, answer in given.items() if code < "400"}
    operation["responses"] = good | {code: {"$ref": f"#/components/responses/{code}"} for code in sorted(codes)}


def document_api(document: Document) -> APIBlueprint:
    """The blueprint that serves the document."""
    api = APIBlueprint("api_document", __name__, url_prefix="/api", abp_tags=[Tag(name="Program")], doc_ui=False)

    @api.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(document.get())

    return api
