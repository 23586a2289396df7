"""HTTP basic auth (RFC 7617) against bcrypt hashes.

A bcrypt check is slow on purpose, about 50 ms at cost 10; a scrape every few seconds must not pay for it each time.
So credentials that were right are remembered as a keyed digest, never as text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import bcrypt

_HASH: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
#: Each step doubles the time; 16 is about three seconds.
_HIGHEST_COST: Final = 16
_LONGEST_HEADER: Final = 4096
_REMEMBERED: Final = 256


class _Verified:
    """Digests of credentials that were found right, the latest few; safe between threads."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def digest(self, password: bytes, hashed: bytes) -> bytes:
        # The bcrypt hash has a fixed length, so that the two parts cannot be mixed up.
        return hmac.new(self._key, hashed + password, hashlib.sha256).digest()

    def __contains__(self, digest: bytes) -> bool:
        with self._lock:
            return digest in self._digests

    def add(self, digest: bytes) -> None:
        with self._lock:
            self._digests[digest] = None
            while len(self._digests) > _REMEMBERED:
                self._digests.popitem(last=False)


_verified: Final = _Verified()


def check_hash(text: str) -> None:
    """Refuse what is no bcrypt hash.

    Raises:
        ValueError: with the remedy; the text is not in the message.
    """
    match = _HASH.fullmatch(text)
    if match is None:
        raise ValueError("must be a bcrypt hash; make one with: htpasswd -nBC 10 USER")
    if not 4 <= int(match["cost"]) <= _HIGHEST_COST:
        raise ValueError(f"must be a bcrypt hash of cost 4 to {_HIGHEST_COST}; make one with: htpasswd -nBC 10 USER")


def check_basic_auth(users: Mapping[str, str], header: str | None) -> bool:
    """Whether `header`, the value of ``Authorization``, names one of `users` (name to bcrypt hash) and its password.

    Without `users` nobody is let in: ask only where some are configured. An unknown user takes as long as a wrong
    password, so that the time does not tell which names exist.
    """
    given = _credentials(header)
    if given is None or not users:
        return False
    name, password = given
    known = users.get(name)
    hashed = (known if known is not None else next(iter(users.values()))).encode()
    digest = _verified.digest(password, hashed)
    if known is not None and digest in _verified:
        return True
    try:
        right = bcrypt.checkpw(password, hashed)
    except ValueError:
        # A password that bcrypt cannot take (longer than 72 bytes, a NUL) is nobody's.
        return False
    if known is None or not right:
        return False
    _verified.add(digest)
    return True


def _credentials(header: str | None) -> tuple[str, bytes] | None:
    scheme, _, encoded = (header or "")[: _LONGEST_HEADER + 1].strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _LONGEST_HEADER:
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
