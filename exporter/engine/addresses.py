"""Addresses that people write: literals, and host names with what they mean now."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Iterable
from typing import Any, Final

from exporter.config_values import is_local, is_metadata, parse_host
from exporter.errors import FieldError

log = logging.getLogger(__name__)

_LOOK_UP_SECONDS: Final = 3.0
_FIELD: Final = "ip_address"


def is_literal(address: str) -> bool:
    """Whether `address` is an IP address and no host name."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


async def addresses_of(name: str) -> frozenset[str]:
    """The IP addresses of a host name; empty where it has none or the look-up takes too long."""
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            found: Iterable[Any] = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, TimeoutError, UnicodeError) as error:
        log.debug("%s: %s", name, error)
        return frozenset()
    return frozenset(str(entry[4][0]) for entry in found)


async def miner_address(text: str, *, allow_public: bool) -> str:
    """The IP address of a miner that a person names by address or host name.

    A host name is looked up once and only its address is kept: a name that means something else later leads nowhere.
    Of several addresses the first IPv4 one is taken. All of them must be local, unless `allow_public`.

    Raises:
        FieldError: it is no address, has none, or is a public one.
    """
    try:
        host = parse_host(text.strip(), allow_public=allow_public)
    except ValueError as error:
        raise FieldError(f"{_FIELD}: {error}", _FIELD) from error
    if is_literal(host):
        return host
    found = sorted((ipaddress.ip_address(address) for address in await addresses_of(host)), key=_order)
    if not found:
        raise FieldError(f"{_FIELD}: the host name {host} is not known; write the miner's IP address", _FIELD)
    if any(map(is_metadata, found)):
        raise FieldError(f"{_FIELD}: the host name {host} leads to the metadata service of cloud hosts", _FIELD)
    if not allow_public and not all(is_local(address) for address in found):
        raise FieldError(
            f"{_FIELD}: the host name {host} leads to a public address; miners are expected in private ranges"
            " (set network.allow_public: true if it is your own network)",
            _FIELD,
        )
    return str(found[0])


def _order(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[int, int]:
    return address.version, int(address)
