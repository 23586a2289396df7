"""Tokens for the REST API. A token is shown once; what is stored is its hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from exporter.store.secret import Secret

READ: Final = "read"
FULL: Final = "full"
SCOPES: Final = (READ, FULL)

_PREFIX: Final = "fw_"
_BYTES: Final = 32
_SAFE: Final = frozenset({"GET", "HEAD"})
#: What a token that may only read does not see: traffic with devices, who has access.
_KEPT_FROM_READERS: Final = re.compile(r"/api/(?:miners/[^/]+/exchanges|settings/credentials|tokens(?:/.*)?)/?")


def new_token() -> tuple[str, Secret]:
    """A new token as it is shown once (``fw_`` and 256 random bits), and its hash to store."""
    token = _PREFIX + secrets.token_urlsafe(_BYTES)
    return token, Secret(hash_token(token))


def hash_token(token: str) -> str:
    """SHA-256 in hexadecimal. Tokens are long and random, so that no salt is needed and a look-up is possible."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def may(scope: str, method: str, path: str) -> bool:
    """Whether a token of `scope` allows a request."""
    if scope == FULL:
        return True
    return method in _SAFE and path.startswith("/api/") and _KEPT_FROM_READERS.fullmatch(path) is None
