"""HTTP digest authentication as Antminers ask for it (RFC 7616 with MD5 and qop=auth)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from simulator.chance import mix
from simulator.http_server import Request

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
#: A nonce is good for this many seconds; then it is stale.
NONCE_SECONDS = 300.0


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Digest:
    """One device's login: who may come in, and the nonces that were given out."""

    realm: str
    user: str
    password: str
    seed: int
    nonces: dict[str, float] = field(default_factory=dict)
    given: int = 0

    def challenge(self, now: float, *, stale: bool = False) -> tuple[str, str]:
        """A header with a fresh nonce; old ones are forgotten."""
        self.nonces = {nonce: until for nonce, until in self.nonces.items() if until > now}
        self.given += 1
        nonce = f"{mix(self.seed, self.given, int(now)):016x}"
        self.nonces[nonce] = now + NONCE_SECONDS
        value = f'Digest realm="{self.realm}", nonce="{nonce}", qop="auth"'
        return ("WWW-Authenticate", value + (", stale=true" if stale else ""))

    def check(self, request: Request, now: float) -> str:
        """ "ok", "stale", "wrong" or "none" for the request's Authorization header."""
        header = request.headers.get("authorization", "")
        scheme, _, rest = header.partition(" ")
        if scheme.lower() != "digest":
            return "wrong" if header else "none"
        given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        if given.get("uri") != request.target or given.get("username") != self.user or given.get("realm") != self.realm:
            return "wrong"
        first = _md5(f"{self.user}:{self.realm}:{self.password}")
        second = _md5(f"{request.method}:{request.target}")
        nonce = given.get("nonce", "")
        middle = f"{nonce}:{given.get('nc', '')}:{given.get('cnonce', '')}:{given.get('qop', '')}"
        if given.get("response") != _md5(f"{first}:{middle}:{second}"):
            return "wrong"
        return "ok" if self.nonces.get(nonce, 0.0) > now else "stale"
