"""Which pool is where: the adapters' servers, and the hosts that the configuration names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.config import PoolHost
from exporter.engine.api.wallets import PoolChoice
from exporter.store.rows import Wallet
from exporter.wallets.adapters.api import PoolAdapter
from exporter.wallets.pool_place import PoolPlace, read_place


@dataclass(frozen=True, slots=True)
class Source:
    """Where statistics can be had: `base_url` has no slash at its end."""

    adapter: PoolAdapter
    base_url: str


class PoolDirectory:
    """Answers which adapter belongs to a place, and whom to ask about a wallet.

    Args:
        adapters: each name once.
        hosts: what `pools.hosts` says; wins over the adapters' own servers. One whose adapter is unknown is left out;
            see `unknown`.
    """

    def __init__(self, adapters: Iterable[PoolAdapter], hosts: Iterable[PoolHost] = ()) -> None:
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._servers: dict[tuple[str, int | None], Source] = {}
        for adapter in self._adapters.values():
            for host, url in adapter.servers.items():
                self._servers[host, None] = Source(adapter, url)
        #: Entries of `pools.hosts` that cannot be used, each with what to do.
        self.unknown: list[str] = []
        for entry in hosts:
            self._take(entry)

    def _take(self, entry: PoolHost) -> None:
        known = self._servers.get((entry.host, entry.port)) or self._servers.get((entry.host, None))
        adapter = known.adapter if known is not None else None
        if entry.adapter is not None:
            adapter = self._adapters.get(entry.adapter)
        if adapter is None:
            names = ", ".join(self._adapters)
            self.unknown.append(f"pools.hosts.{entry.host}: adapter must be one of {names}")
            return
        shown = f"[{entry.host}]" if ":" in entry.host else entry.host
        own = known.base_url if known is not None and known.adapter is adapter else f"https://{shown}"
        self._servers[entry.host, entry.port] = Source(adapter, entry.url or own)

    def source_at(self, place: PoolPlace) -> Source | None:
        """The server that is known at a place."""
        return self._servers.get((place.host, place.port)) or self._servers.get((place.host, None))

    def adapter(self, name: str) -> PoolAdapter | None:
        return self._adapters.get(name)

    def fits(self, pool: str | None, place: PoolPlace | None) -> bool:
        """Whether a miner that mines at `place` mines at what a wallet's `pool` says (None: any pool)."""
        if pool is None:
            return True
        if place is None:
            return False
        adapter = self._adapters.get(pool)
        if adapter is None:
            return read_place(pool) == place
        known = self.source_at(place)
        return known.adapter is adapter if known is not None else adapter.any_host

    def sources(self, wallet: Wallet, places: Iterable[PoolPlace]) -> tuple[Source, ...]:
        """Whom to ask about a wallet whose miners mine at `places`; each server once.

        While no miner tells where it mines, the first server of the wallet's own pool is asked.
        """
        own = self._adapters.get(wallet.pool) if wallet.pool is not None else None
        named = read_place(wallet.pool) if wallet.pool is not None and own is None else None
        where = (named,) if named is not None else tuple(places)
        found = [source for place in where if (source := self._source(place, own)) is not None]
        if not found and own is not None:
            servers = [self._servers[host, None] for host in tuple(own.servers)[:1]]
            found = [source for source in servers if source.adapter is own]
        return tuple({s.base_url: s for s in found if wallet.currency in s.adapter.currencies}.values())

    def _source(self, place: PoolPlace, own: PoolAdapter | None) -> Source | None:
        known = self.source_at(place)
        if known is not None:
            return known if own is None or known.adapter is own else None
        if own is None or not own.any_host:
            return None
        return Source(own, f"https://[{place.host}]" if ":" in place.host else f"https://{place.host}")

    def display_name(self, pool: str | None) -> str | None:
        """How people call what a wallet's `pool` says; None for any."""
        adapter = self._adapters.get(pool) if pool is not None else None
        return pool if adapter is None else adapter.display_name

    def name_at(self, place: PoolPlace | None) -> str | None:
        """How people call the pool at a place: its display name, else host and port."""
        if place is None:
            return None
        known = self.source_at(place)
        return str(place) if known is None else known.adapter.display_name

    def choices(self) -> tuple[PoolChoice, ...]:
        """The pools to choose from, in order of their names."""
        return tuple(
            PoolChoice(
                adapter.name,
                adapter.display_name,
                adapter.currencies,
                tuple(
                    _shown(host, port) for (host, port), source in self._servers.items() if source.adapter is adapter
                ),
            )
            for adapter in sorted(self._adapters.values(), key=lambda one: one.display_name)
        )


def _shown(host: str, port: int | None) -> str:
    return host if port is None else str(PoolPlace(host, port))
