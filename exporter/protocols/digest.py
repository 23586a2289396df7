"""The Authorization header of HTTP digest and basic authentication (RFC 7616, RFC 2069, RFC 7617), without I/O."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from exporter.errors import ProtocolError

_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-512": hashlib.sha512,
}


@dataclass(slots=True)
class _Challenge:
    realm: str
    nonce: str
    opaque: str | None
    algorithm: str | None
    with_qop: bool
    uses: int = 0

    @property
    def session(self) -> bool:
        return (self.algorithm or "").upper().endswith("-SESS")

    def hashed(self, *parts: bytes) -> bytes:
        name = (self.algorithm or "MD5").upper().removesuffix("-SESS")
        return _HASHES[name](b":".join(parts)).hexdigest().encode()


class Signer:
    """User and password for one device, with the challenge it sent last. Never shows its secrets."""

    __slots__ = ("_basic", "_challenge", "_password", "_username")

    def __init__(self, username: str, password: str) -> None:
        self._username = username.encode()
        self._password = password.encode()
        self._basic = False
        self._challenge: _Challenge | None = None

    def __repr__(self) -> str:
        return "Signer(...)"

    def header(self, method: str, path: str) -> str | None:
        """The value of Authorization for a request; None while the device has sent no challenge."""
        if self._basic:
            return "Basic " + base64.b64encode(self._username + b":" + self._password).decode()
        known = self._challenge
        if known is None:
            return None
        realm, nonce, uri = known.realm.encode("latin-1"), known.nonce.encode("latin-1"), path.encode("latin-1")
        cnonce = secrets.token_hex(8)
        first = known.hashed(self._username, realm, self._password)
        if known.session:
            first = known.hashed(first, nonce, cnonce.encode())
        second = known.hashed(method.encode(), uri)
        user = self._username.decode().replace("\\", "\\\\").replace('"', '\\"')
        parts = [f'username="{user}"', f'realm="{known.realm}"', f'nonce="{known.nonce}"', f'uri="{path}"']
        if known.with_qop:
            known.uses += 1
            count = f"{known.uses:08x}"
            response = known.hashed(first, nonce, count.encode(), cnonce.encode(), b"auth", second)
            parts += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        else:
            response = known.hashed(first, nonce, second)
            if known.session:
                parts.append(f'cnonce="{cnonce}"')
        parts.append(f'response="{response.decode()}"')
        if known.algorithm is not None:
            parts.append(f"algorithm={known.algorithm}")
        if known.opaque is not None:
            parts.append(f'opaque="{known.opaque}"')
        return "Digest " + ", ".join(parts)

    def take(self, challenges: Iterable[str]) -> bool:
        """Take the best of the values of WWW-Authenticate; False where there is none to answer.

        Raises:
            ProtocolError: the device wants a digest of a kind that cannot be made.
        """
        offered = list(challenges)
        for value in offered:
            if value[:7].lower() == "digest ":
                self._challenge, self._basic = _read(value), False
                return True
        self._basic = any(value[:5].lower() == "basic" for value in offered)
        return self._basic


def _read(value: str) -> _Challenge:
    given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(value)}
    algorithm, qop = given.get("algorithm"), given.get("qop")
    if "realm" not in given or "nonce" not in given:
        raise ProtocolError("digest challenge without realm or nonce")
    if (algorithm or "MD5").upper().removesuffix("-SESS") not in _HASHES:
        raise ProtocolError(f"digest with the unknown algorithm {algorithm!r}")
    if qop is not None and "auth" not in (word.strip().lower() for word in qop.split(",")):
        raise ProtocolError(f"digest with the unknown protection {qop!r}")
    return _Challenge(given["realm"], given["nonce"], given.get("opaque"), algorithm, qop is not None)
