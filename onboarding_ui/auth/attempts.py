"""How often a password may be tried."""

from __future__ import annotations

import ipaddress
import time
from typing import Final

from limits import parse, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_PER_ADDRESS: Final = "10 per minute; 60 per hour"
_TOTAL: Final = "60 per minute"
_ALL: Final = "all"


class Attempts:
    """Counts sign-ins by client address and in total; safe between threads."""

    def __init__(self, per_address: str = _PER_ADDRESS, total: str = _TOTAL) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())
        self._per_address = parse_many(per_address)
        self._total = parse(total)

    def take(self, address: str | None) -> int | None:
        """Count a try. Returns None where it is allowed, else after how many seconds the next one is."""
        client = _client(address)
        # The address first: a flood from one place must not use up what all others have.
        for limit, key in (*((limit, client) for limit in self._per_address), (self._total, _ALL)):
            if not self._windows.hit(limit, key):
                free_at = self._windows.get_window_stats(limit, key).reset_time
                return max(1, round(free_at - time.time()))
        return None

    def forgive(self, address: str | None) -> None:
        """Forget the tries from an address: one of them was right."""
        for limit in self._per_address:
            self._windows.clear(limit, _client(address))


def _client(address: str | None) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 host can choose addresses from."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, 64), strict=False))
