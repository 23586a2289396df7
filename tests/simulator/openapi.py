"""A small check of a document against an OpenAPI schema: required keys, types, enumerations, references."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, Any] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def check(document: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> None:
    """AssertionError with the place where `document` departs from `schema`."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    for part in schema.get("allOf", []):
        check(document, part, schemas, where)
    if "oneOf" in schema:
        _one_of(document, schema["oneOf"], schemas, where)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if document is None:
        assert not kinds or "null" in kinds or schema.get("nullable"), f"{where} is null"
        return
    names = [kind for kind in kinds if kind != "null"]
    if names:
        assert any(_is(document, name) for name in names), f"{where}: {document!r} is no {names}"
    if "enum" in schema:
        assert document in schema["enum"], f"{where}: {document!r}"
    _children(document, schema, schemas, where)


def _is(document: Any, name: str) -> bool:
    return isinstance(document, _TYPES[name]) and (name == "boolean" or not isinstance(document, bool))


def _one_of(document: Any, parts: list[dict[str, Any]], schemas: dict[str, Any], where: str) -> None:
    faults = []
    for part in parts:
        try:
            check(document, part, schemas, where)
        except AssertionError as fault:
            faults.append(str(fault))
    assert len(faults) < len(parts), faults


def _children(document: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> None:
    if isinstance(document, dict):
        for key in schema.get("required", []):
            assert key in document, f"{where}.{key} is missing"
        for key, value in document.items():
            if key in schema.get("properties", {}):
                check(value, schema["properties"][key], schemas, f"{where}.{key}")
    if isinstance(document, list) and isinstance(schema.get("items"), dict):
        for number, value in enumerate(document):
            check(value, schema["items"], schemas, f"{where}[{number}]")
