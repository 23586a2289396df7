"""The page of the API documentation: the OpenAPI document, set out to be read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request
from markupsafe import Markup, escape

from onboarding_ui.api.document import METHODS, Document


@dataclass(frozen=True, slots=True)
class FieldView:
    """A parameter or a field of a body: name, where it stands, its type with bounds in words, what it means."""

    name: str
    place: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer: its status, what it means, the name of its schema and whether it is a refusal."""

    status: str
    description: str
    schema: str | None
    error: bool


@dataclass(frozen=True, slots=True)
class OperationView:
    """An operation. `curl` is a command line that carries it out, without the address of the server."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[FieldView, ...]
    body: tuple[FieldView, ...]
    answers: tuple[AnswerView, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class SchemaView:
    """An answer's form by name."""

    name: str
    description: str
    fields: tuple[FieldView, ...]


@dataclass(frozen=True, slots=True)
class TagView:
    """Operations that belong together."""

    name: str
    description: str
    operations: tuple[OperationView, ...]


def marked(text: str) -> Markup:
    """Text of the document with what stands between backticks as code."""
    parts = [
        escape(part) if place % 2 == 0 else Markup("<code>{}</code>").format(part)
        for place, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def schema_name(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema's type in words: "whole number, 1 to 5000, or null"."""
    if "$ref" in schema:
        return schema_name(schema["$ref"])
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    name = str(schema.get("type", "anything"))
    if name == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return words.get(name, name) + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is not None and highest is not None:
        return f", {lowest:.16g} to {highest:.16g}"
    if "maxLength" in schema:
        return f", at most {schema['maxLength']} characters"
    return ""


def fields_of(schema: Mapping[str, Any], place: str) -> tuple[FieldView, ...]:
    """The fields of an object."""
    required = schema.get("required", ())
    return tuple(
        FieldView(name, place, kind_of(part), name in required, part.get("description", ""))
        for name, part in schema.get("properties", {}).items()
    )


def tags_of(document: Mapping[str, Any], server: str) -> tuple[TagView, ...]:
    """The document's operations by tag, in its own order."""
    found: dict[str, list[OperationView]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                found[operation["tags"][0]].append(_operation(path, method, operation, document, server))
    return tuple(
        TagView(tag["name"], tag.get("description", ""), tuple(found[tag["name"]])) for tag in document["tags"]
    )


def schemas_of(document: Mapping[str, Any]) -> tuple[SchemaView, ...]:
    """The forms of answers, by name; lists and bodies of requests are shown with their operations."""
    return tuple(
        SchemaView(name, schema.get("description", ""), fields_of(schema, ""))
        for name, schema in sorted(document["components"]["schemas"].items())
        if name.endswith("Answer")
    )


def _operation(
    path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any], server: str
) -> OperationView:
    parameters = operation.get("parameters", ())
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schemas = document["components"]["schemas"]
    body = schemas[schema_name(content["schema"]["$ref"])] if content else {}
    return OperationView(
        operation["operationId"],
        method.upper(),
        path,
        operation["summary"],
        operation.get("description", ""),
        tuple(
            FieldView(
                one["name"], one["in"], kind_of(one["schema"]), one.get("required", False), one.get("description", "")
            )
            for one in parameters
        ),
        fields_of(body, "body"),
        tuple(_answer(status, one, document) for status, one in operation["responses"].items()),
        curl_of(server, path, method, parameters, content.get("example")),
    )


def _answer(status: str, answer: Mapping[str, Any], document: Mapping[str, Any]) -> AnswerView:
    if "$ref" in answer:
        answer = document["components"]["responses"][schema_name(answer["$ref"])]
    schema: str | None = None
    for kind, content in answer.get("content", {}).items():
        reference = content["schema"].get("$ref")
        schema = kind if reference is None else _without_list(schema_name(reference), document)
    return AnswerView(status, answer["description"], schema, error=status >= "400")


def _without_list(name: str, document: Mapping[str, Any]) -> str:
    schema = document["components"]["schemas"][name]
    return f"list of {schema_name(schema['items']['$ref'])}" if schema.get("type") == "array" else name


def curl_of(server: str, path: str, method: str, parameters: Any, example: Any) -> str:
    """A command line that works as it stands where nobody has to sign in."""
    for one in parameters:
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", str(one.get("example", 1)))
    query = "&".join(
        f"{one['name']}={one['example']}" for one in parameters if one["in"] == "query" and "example" in one
    )
    words = ["curl"]
    if method != "get":
        words += ["-X", method.upper()]
    if example is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(example)]
    return shlex.join([*words, server + path + (f"?{query}" if query else "")])


def api_docs_pages(document: Document) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("api_docs", __name__)

    @pages.get("/settings/api")
    def api_docs() -> str:
        made = document.get()
        return render_template(
            "api_docs.html",
            version=made["info"]["version"],
            paragraphs=[marked(part) for part in made["info"]["description"].split("\n\n")],
            marked=marked,
            tags=tags_of(made, request.host_url.rstrip("/")),
            schemas=schemas_of(made),
        )

    return pages
