"""Which names a request may be sent to. Pure.

A page of somebody else's can make its own name lead to this host (DNS rebinding) and would then read what the browser
may read. It cannot do that with an address, so addresses are fine, and names only where they are ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable


def own_names(hostname: str, allowed: Iterable[str] = ()) -> frozenset[str]:
    """The names of this host: `hostname` (the system's), its first part, that with ``.local``, and `allowed`."""
    name = _normal(hostname)
    short = name.partition(".")[0]
    ours = {name, short, f"{short}.local"} if short else set()
    return frozenset({"localhost", *ours, *map(_normal, allowed)})


def is_own_host(header: str, names: Collection[str]) -> bool:
    """Whether `header`, the value of ``Host`` with or without a port, is an address, a loopback name or in `names`."""
    host = _without_port(header.strip())
    if host is None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = _normal(host)
        return name in names or name.endswith(".localhost")
    return True


def _normal(name: str) -> str:
    return name.strip().lower().removesuffix(".")


def _without_port(text: str) -> str | None:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return host if bracket and ":" in host and _is_port(rest) else None
    host, colon, port = text.partition(":")
    return host if host and _is_port(colon + port) else None


def _is_port(text: str) -> bool:
    return not text or (text.startswith(":") and text[1:].isascii() and text[1:].isdigit())
