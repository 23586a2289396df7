"""What the fields of forms hold at most is what the API takes: a browser cuts a longer paste without a word."""

import re

import pytest

from onboarding_ui import create_app
from tests.browser.pages import PAGES
from tests.ui.fake_engine import FakeEngine
from tests.ui.markup import page


@pytest.fixture(scope="module")
def client():
    return create_app(FakeEngine()).test_client()


@pytest.fixture(scope="module")
def document(client):
    return client.get("/api/openapi.json").json


def resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def longest(document, schema):
    """The most characters that a property takes; None where it is not limited."""
    schema = resolved(document, schema)
    return next((one["maxLength"] for one in (schema, *schema.get("anyOf", ())) if "maxLength" in one), None)


def operation(document, call):
    """The operation that a form calls: the one whose path with its parameters fits."""
    method, path = call.split()
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            return operations[method.lower()]
    raise AssertionError(f"{call} is no operation of the API")


def limit(document, form, name):
    found = operation(document, form.get("data-api"))
    if form.get("data-send") == "query":
        schema = next(one["schema"] for one in found["parameters"] if one["name"] == name)
        return longest(document, schema)
    schema = found["requestBody"]["content"]["application/json"]["schema"]
    for part in name.split("."):
        schema = resolved(document, schema)
        schema = schema["items"] if part.isdigit() else schema["properties"][part]
    return longest(document, schema)


@pytest.mark.parametrize("name", PAGES)
def test_fields_are_as_long_as_the_api_takes(client, document, name):
    wrong = []
    for form in page(client, PAGES[name]).all("form[@data-api]"):
        for kind in ("input", "textarea"):
            for field in form.iter(kind):
                given = field.get("maxlength")
                if given is None or not field.get("name"):
                    continue
                allowed = limit(document, form, field.get("name"))
                if allowed is not None and int(given) != allowed:
                    wrong.append((form.get("data-api"), field.get("name"), given, allowed))
    assert wrong == []


@pytest.mark.parametrize("path", ["/miners/1", "/settings/credentials"])
def test_a_password_of_a_device_is_never_cut(client, path):
    fields = [field for form in page(client, path).all("form[@data-api]") for field in form.iter("input")]
    passwords = [field for field in fields if field.get("type") == "password"]
    assert passwords
    assert [field.get("maxlength") for field in passwords] == [None] * len(passwords)
