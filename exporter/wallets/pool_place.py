"""Where a pool is: host and port, read from the many ways miners and people write it. Pure."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

import idna

#: What a stratum address without a port means to nearly all firmwares.
STRATUM_PORT: Final = 3333
_LONGEST: Final = 512
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE | re.ASCII)
_WEB_PORTS: Final = {"http": 80, "https": 443}
_BRACKETS: Final = re.compile(r"\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::(\d{1,5}))?", re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r"([^:\s]+)(?::(\d{1,5}))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PoolPlace:
    """A pool's host (lower case, ASCII, no dot at its end; IPv6 in its short form) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@functools.lru_cache(maxsize=4096)  # miners share their owner's pools
def read_place(url: str | None) -> PoolPlace | None:
    """The place that a pool's URL names, or None where it names none.

    A scheme, a user with a password, a path and what follows them are left out. Without a port it is that of the
    scheme (http, https), else `STRATUM_PORT`.
    """
    if url is None or len(url) > _LONGEST:
        return None
    scheme, rest = _split_scheme(url.strip())
    found = read_host(_cut(rest)[0].rpartition("@")[2])
    if found is None:
        return None
    host, port = found
    return PoolPlace(host, _WEB_PORTS.get(scheme, STRATUM_PORT) if port is None else port)


def read_host(text: str) -> tuple[str, int | None] | None:
    """Host and port of "host", "host:port", "[::1]:port" or "::1"; None where it is none of them."""
    host, port = _split_port(text.strip())
    name = None if host is None or len(host) > _LONGEST else _normal_host(host)
    if name is None or (port is not None and not 0 < int(port) < 65536):
        return None
    return name, None if port is None else int(port)


def without_user(url: str | None) -> str | None:
    """`url` without a user and password in front of its host: what may be stored and shown."""
    if url is None or "@" not in url:
        return url
    scheme = _SCHEME.match(url.strip())
    head = scheme[0] if scheme else ""
    authority, mark, tail = _cut(url.strip()[len(head) :])
    return f"{head}{authority.rpartition('@')[2]}{mark}{tail}"


def _cut(rest: str) -> tuple[str, str, str]:
    match = re.search(r"[/?#]", rest)
    return (rest, "", "") if match is None else (rest[: match.start()], match[0], rest[match.end() :])


def _split_scheme(url: str) -> tuple[str, str]:
    match = _SCHEME.match(url)
    return (match[1].lower(), url[match.end() :]) if match else ("", url.removeprefix("//"))


def _split_port(authority: str) -> tuple[str | None, str | None]:
    match = _BRACKETS.fullmatch(authority) or _NAME.fullmatch(authority)
    if match is not None:
        return match[1], match[2]
    return (authority, None) if _is_ip(authority) else (None, None)  # IPv6 without brackets


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _normal_host(host: str) -> str | None:
    if _is_ip(host):
        return str(ipaddress.ip_address(host))
    name = host.rstrip(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    labels = name.split(".")
    good = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()
    return name if good else None
