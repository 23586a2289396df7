"""Replies of the CGMiner API as documents, in whichever of its two forms they came: JSON, or text of old firmwares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.drivers.api import Answers
from exporter.errors import DecodeError
from exporter.protocols.cgminer import parse_text_reply


def is_text(answers: Answers, key: str) -> bool:
    """Whether the answer came in the text form (``STATUS=S,When=...|SUMMARY,...|``)."""
    answer = answers.get(key)
    return answer is not None and answer.body.lstrip()[:7].upper() == b"STATUS="


def reply(answers: Answers, key: str) -> Any | None:
    """The document under `key`; None where the answer is missing.

    Raises:
        DecodeError: it is there and cannot be read.
    """
    if not is_text(answers, key):
        return answers.optional_document(key)
    answer = answers.get(key)
    try:
        return None if answer is None else parse_text_reply(answer.body)
    except ValueError as error:
        raise DecodeError(f"{key}: {error}") from error


def readable(answers: Answers, key: str) -> Mapping[str, Any]:
    """The object under `key`; empty where it is missing, is none or cannot be read (probes get any answer)."""
    try:
        document = reply(answers, key)
    except DecodeError:
        return {}
    return document if isinstance(document, Mapping) else {}
