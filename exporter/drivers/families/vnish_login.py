"""Signing in to VNish: password -> bearer token -> an API key of our own. Requests and answers only.

Source: the vendor's OpenAPI description (POST /unlock, /apikeys, /apikeys/delete) and captured answers. A wrong
password is 403, too many of them 429; both may carry `unlock_timeout` in seconds. A key is exactly 32 characters.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answer, HttpRequest
from exporter.errors import AuthError, DecodeError, InternalError, LockedOut, ProtocolError, Unsupported
from exporter.protocols.tolerant_json import parse_json

UNLOCK: Final = "/api/v1/unlock"
KEYS: Final = "/api/v1/apikeys"
_KEY: Final = re.compile(r"[0-9a-fA-F]{32}")


def _post(path: str, content: dict[str, str], token: str | None = None) -> HttpRequest:
    return HttpRequest(
        path, method="POST", body=json.dumps(content).encode(), headers=() if token is None else bearer(token)
    )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),)


def unlock_request(password: str) -> HttpRequest:
    return _post(UNLOCK, {"pw": password})


def decode_unlock(answer: Answer) -> str:
    """The bearer token; it is valid for less than five minutes.

    Raises:
        AuthError: wrong password; `LockedOut` where the device refuses to be asked for a while.
        DecodeError: success without a token.
        ProtocolError, Unsupported: any other status.
    """
    if 200 <= answer.status < 300:
        token = fields.text(_document(answer), "token", UNLOCK, limit=4096)
        if token is None:
            raise DecodeError(f"POST {UNLOCK}: no token")
        return token
    if answer.status in (401, 403, 429):
        wait = _unlock_timeout(answer)
        if answer.status == 429 or wait:
            raise LockedOut("the miner refuses sign-ins for a while after wrong passwords", wait)
        raise AuthError("the miner refused the password; set the right one for its address range")
    kind = Unsupported if answer.status in (404, 405) else ProtocolError
    raise kind(f"POST {UNLOCK}: status {answer.status}")


def _unlock_timeout(answer: Answer) -> float | None:
    """Seconds until the next try, None where the (then unreadable or shorter) answer does not say."""
    try:
        return fields.count(_document(answer), "unlock_timeout", UNLOCK)
    except DecodeError:
        return None


def _document(answer: Answer) -> dict[str, Any]:
    try:
        return fields.as_table(parse_json(answer.body), UNLOCK)
    except ValueError as error:
        raise DecodeError(f"POST {UNLOCK}: {error}") from error


def list_keys_request(token: str) -> HttpRequest:
    return HttpRequest(KEYS, headers=bearer(token))


def find_key(answer: Answer, description: str) -> str | None:
    """The key with this description, however it is capitalised; None where there is none.

    Raises:
        DecodeError: the answer is no list of keys.
    """
    try:
        document = parse_json(answer.body)
    except ValueError as error:
        raise DecodeError(f"GET {KEYS}: {error}") from error
    for entry in fields.tables({"keys": document}, "keys", f"GET {KEYS}"):
        named = fields.text(entry, "description", KEYS) or ""
        key = fields.text(entry, "key", KEYS)
        if named.casefold() == description.strip().casefold() and key is not None and len(key) == 32:
            return key
    return None


def create_key_request(token: str, key: str, description: str) -> HttpRequest:
    """Add `key`, 32 hexadecimal digits (the device answers 422 "Wrong apikey format" to anything else)."""
    if not _KEY.fullmatch(key):
        raise InternalError("an API key for VNish has 32 hexadecimal digits")
    return _post(KEYS, {"key": key, "description": description}, token)


def delete_key_request(token: str, key: str) -> HttpRequest:
    return _post(f"{KEYS}/delete", {"key": key}, token)
