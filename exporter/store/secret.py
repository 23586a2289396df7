"""Secrets that cannot be shown by accident, and the removal of secrets from text."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus

#: What stands in the place of a secret wherever one would be shown.
MASK: Final = "<secret>"


class Secret:
    """A password or an API key. Only `reveal` gives the text; every way of printing gives ``<secret>``.

    It is no `str`, so that joining, JSON and pickling fail instead of leaking. Equality takes constant time.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap `text`.

        Raises:
            TypeError: `text` is no string (wrapping a `Secret` twice would hide a mistake).
        """
        if not isinstance(text, str):
            raise TypeError("a secret is made of a string")
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends or stores it."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._text), _as_bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled; store what reveal() returns on purpose")


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return `text` with every secret replaced by ``<secret>``.

    Each secret is found as it is and in the forms in which it travels: percent-encoded (URL, form) and as the inside
    of a JSON string. Longer secrets go first, so that one that contains another leaves no rest. Empty ones are ignored.
    """
    forms: set[str] = set()
    for secret in secrets:
        forms.update(_forms(secret.reveal()))
    forms.discard("")
    if not forms:
        return text
    pattern = "|".join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form)))
    return re.sub(pattern, MASK, text)


def _forms(text: str) -> Iterable[str]:
    yield text
    yield quote(text, safe="", errors="replace")
    yield quote(text, errors="replace")
    yield quote_plus(text, errors="replace")
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
