"""Whose shares they are: the wallet, the pool and the worker of a miner's pool. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from exporter.model import Pool
from exporter.store.rows import MinerConfig
from exporter.text import clean_text
from exporter.wallets.pool_place import read_place

#: A flock has few pools, and every share asks.
_place: Final = lru_cache(maxsize=1024)(read_place)


class Origin(NamedTuple):
    """Where shares belong; None where it is not known."""

    wallet_id: int | None
    pool_name: str | None
    worker_name: str | None


def origin_of(pool: Pool | None, configs: Sequence[MinerConfig]) -> Origin:
    """The origin of shares from `pool` (None: whichever pool the miner has now), by the miner's configurations."""
    active = [config for config in configs if config.active]
    place = None if pool is None else _place(pool.url)
    if pool is None or place is None:
        config = active[0] if len(active) == 1 else None
    else:
        here = [config for config in active if _place(config.pool_url) == place]
        same = [config for config in here if config.pool_user == pool.user]
        config = next(iter(same or here), None)
    if place is None and config is not None:
        place = _place(config.pool_url)
    host = None if place is None else clean_text(place.host)
    if config is None:
        return Origin(None, host, None)
    return Origin(config.wallet_id, host, clean_text(config.worker_name))
