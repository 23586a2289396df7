"""The contract of pool adapters.

An adapter file is a table plus a pure function, as a driver is: it names the pool's servers and where their statistics
are, and turns an answer into `PoolStatistics`. It opens no connection, keeps no state and reads no clock. A file
``<name>_pool.py`` in this folder with one class that derives from `PoolAdapter` is all there is to a new pool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from exporter.drivers.fields import as_table
from exporter.engine.api.wallets import PoolStatistics, WorkerStatistics
from exporter.errors import DecodeError

__all__ = ["INTERFACE_VERSION", "PoolAdapter", "PoolStatistics", "WorkerStatistics", "json_object"]

INTERFACE_VERSION: Final = 1


class PoolAdapter:
    """One kind of pool.

    Attributes:
        name: what `Wallet.pool` holds; lower case, stays for ever.
        adapter_version: semantic version of this file.
        currencies: what can be mined there.
        servers: stratum host -> base URL of its statistics, without a slash at the end. The first one is asked while no
            miner tells which one it uses.
        any_host: whether hosts that no adapter names may be of this kind. A person has to say so.
    """

    name: ClassVar[str]
    adapter_version: ClassVar[str]
    display_name: ClassVar[str]
    currencies: ClassVar[tuple[str, ...]]
    servers: ClassVar[Mapping[str, str]]
    any_host: ClassVar[bool] = False
    interface_version: ClassVar[int] = INTERFACE_VERSION

    def path(self, address: str) -> str:
        """The path of a wallet's statistics, with its slash in front; `address` is escaped as it has to be."""
        raise NotImplementedError

    def decode(self, body: bytes) -> PoolStatistics:
        """What an answer (status 200) says; `refreshed_at` is left to the caller.

        Raises:
            DecodeError: it is none of this kind of pool.
        """
        raise NotImplementedError


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` is.

    Raises:
        DecodeError: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DecodeError("answer: no JSON") from error
    return as_table(value)
