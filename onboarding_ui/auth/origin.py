"""Whether a change comes from a page of ours. Pure.

A browser says where a request comes from (``Sec-Fetch-Site``, ``Origin``) and no page can make it lie; a program such
as curl says nothing, and no page can make a browser be silent about a change.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

#: "none": a person's own doing, such as a reload.
_FROM_HERE: Final = frozenset({"same-origin", "none"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_from_here(host: str, origin: str | None, fetch_site: str | None, *, tls: bool) -> bool:
    """Whether a request that changes something may be carried out.

    Args:
        host: the value of ``Host``, which a reverse proxy must hand on.
        origin, fetch_site: ``Origin`` and ``Sec-Fetch-Site``; None where the request has none.
        tls: this server speaks HTTPS itself, so that no page of ours is plain HTTP.
    """
    if fetch_site is not None and fetch_site.strip().lower() not in _FROM_HERE:
        return False
    if origin is None:
        return True
    if origin.strip() == "null":
        # A page that hides where it is; ours, if the browser says so in the other header.
        return fetch_site is not None
    return _is_origin_of(origin.strip(), host.strip(), tls=tls)


def _is_origin_of(origin: str, host: str, *, tls: bool) -> bool:
    try:
        given = urlsplit(origin)
        here = urlsplit(f"//{host}")
        ports = given.port, here.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(given.scheme)
    if default is None or given.hostname is None or (tls and given.scheme != "https"):
        return False
    return given.hostname == here.hostname and (ports[0] or default) == (ports[1] or default)
