"""What the ports of an address do now."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from exporter.diagnostics.facts import Reach

_SECONDS: Final = 1.0
_AT_ONCE: Final = 32


def reach_all(addresses: Mapping[int, str], ports: Iterable[int]) -> dict[int, tuple[Reach, ...]]:
    """Try every port at every address, all at once.

    Args:
        addresses: miner id -> address.
    """
    tried = [(miner_id, address, port) for miner_id, address in addresses.items() for port in dict.fromkeys(ports)]
    if not tried:
        return {}
    with ThreadPoolExecutor(min(_AT_ONCE, len(tried)), "reach") as pool:
        outcomes = pool.map(lambda one: (one[0], Reach(one[2], _outcome(one[1], one[2]))), tried)
        found: dict[int, tuple[Reach, ...]] = {}
        for miner_id, reach in outcomes:
            found[miner_id] = (*found.get(miner_id, ()), reach)
    return found


def _outcome(address: str, port: int) -> str:
    try:
        with contextlib.closing(socket.create_connection((address, port), _SECONDS)):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError:
        return "unreachable"
