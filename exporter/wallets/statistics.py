"""Keeps what the pools say of the wallets up to date, politely: on the engine's loop, and never in anybody's way.

A wallet is asked about every five minutes, and at most once a minute however often a person wants it. One server gets
one request at a time. What is older than ten minutes is shown no more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

import httpx

from exporter.engine.api.wallets import PoolStatistics
from exporter.engine.tasks import Tasks
from exporter.errors import DecodeError
from exporter.store.rows import Wallet
from exporter.units import UnixSeconds
from exporter.wallets.directory import Source
from exporter.wallets.fetch import PoolError, WalletNotKnown, fetch, new_client
from exporter.wallets.totals import merged

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 300.0
#: Between two requests about one wallet, whoever wants them.
LEAST_SECONDS: Final = 60.0
LIVE_SECONDS: Final = 600.0
_LOOK_SECONDS: Final = 5.0
#: Between two requests to one server.
_PAUSE_SECONDS: Final = 1.0
#: How long a person waits for a refresh; it goes on in the background.
_PATIENCE: Final = 25.0
#: What a slip in an adapter raises; it costs that pool's statistics and no more.
_SLIPS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of one wallet. Times are monotonic; `tried_at` is when the last attempt began."""

    tried_at: float
    statistics: PoolStatistics | None = None
    refreshed_at: float = 0.0
    error: str | None = None


class StatisticsService:
    """Refreshes in the background; `view` may be called from any thread, all else on the loop.

    Args:
        wallets: the wallets there are now.
        sources: whom to ask about a wallet.
        monotonic: a clock, for tests.
        client: makes the client, in a thread.
    """

    def __init__(
        self,
        wallets: Callable[[], Iterable[Wallet]],
        sources: Callable[[Wallet], tuple[Source, ...]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        client: Callable[[], httpx.AsyncClient] = new_client,
    ) -> None:
        self._wallets = wallets
        self._sources = sources
        self._monotonic = monotonic
        self._new_client = client
        self._client: httpx.AsyncClient | None = None
        self._client_turn = asyncio.Lock()
        self._held: dict[int, _Held] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks = Tasks()
        self.enabled = True

    def start(self) -> None:
        """Begin to refresh in the background."""
        self._tasks.forever(self._refresh_forever, "pool statistics")

    async def stop(self) -> None:
        await self._tasks.stop()
        if self._client is not None:
            await self._client.aclose()

    def view(self, wallet_id: int) -> tuple[PoolStatistics | None, str | None]:
        """What a wallet's pools said while it is young enough, and why the last refresh failed."""
        held = self._held.get(wallet_id)
        if held is None or not self.enabled:
            return None, None
        live = self._monotonic() - held.refreshed_at < LIVE_SECONDS
        return held.statistics if live else None, held.error

    def forget(self, wallet_id: int) -> None:
        """The wallet is another one now, or gone."""
        self._held.pop(wallet_id, None)

    async def refresh(self, wallet: Wallet) -> None:
        """Ask now, unless that was done within the last minute; returns when it is done or takes too long."""
        task = self._begin(wallet, LEAST_SECONDS)
        if task is not None:
            with suppress(TimeoutError):  # it goes on, and the next look shows what came
                await asyncio.wait_for(asyncio.shield(task), _PATIENCE)

    async def _refresh_forever(self) -> None:
        while True:
            for wallet in self._wallets():
                self._begin(wallet, REFRESH_SECONDS)
            await asyncio.sleep(_LOOK_SECONDS)

    def _begin(self, wallet: Wallet, pause: float) -> asyncio.Task[None] | None:
        """The refresh of a wallet that runs, else a new one where the last attempt is longer ago than `pause`."""
        running = self._running.get(wallet.id)
        if running is not None or not self.enabled:
            return running
        held = self._held.get(wallet.id)
        if held is not None and self._monotonic() - held.tried_at < pause:
            return None
        sources = self._sources(wallet)
        if not sources:
            self._held.pop(wallet.id, None)
            return None
        self._held[wallet.id] = _Held(self._monotonic()) if held is None else replace(held, tried_at=self._monotonic())
        task = self._running[wallet.id] = self._tasks.spawn(self._refresh(wallet, sources), "pool statistics")
        task.add_done_callback(lambda _: self._running.pop(wallet.id, None))
        return task

    async def _refresh(self, wallet: Wallet, sources: tuple[Source, ...]) -> None:
        """Ask every source; one that does not know the wallet has nothing to add.

        Where one fails there is no whole: the figures of before stay until they are old.
        """
        parts: list[PoolStatistics] = []
        error: str | None = None
        for source in sources:
            try:
                parts.append(await self._ask(wallet, source))
            except WalletNotKnown as failure:
                error = str(failure)
            except PoolError as failure:
                error = str(failure)
                parts.clear()
                break
        if parts:
            error = None
        held = self._held.get(wallet.id)
        if held is None or wallet not in tuple(self._wallets()):
            return  # forgotten or changed meanwhile
        if error is not None:
            if error != held.error:
                log.info("statistics of the wallet %r are not refreshed: %s", wallet.name, error)
            self._held[wallet.id] = replace(held, error=error)
        else:
            self._held[wallet.id] = _Held(held.tried_at, merged(parts), self._monotonic())

    async def _ask(self, wallet: Wallet, source: Source) -> PoolStatistics:
        async with self._turns.setdefault(source.base_url, asyncio.Lock()):
            path = source.adapter.path(quote(wallet.address, safe=":"))
            body = await fetch(await self._ready_client(), source.base_url, path)
            await asyncio.sleep(_PAUSE_SECONDS if len(self._running) > 1 else 0.0)
        try:
            return replace(source.adapter.decode(body), refreshed_at=UnixSeconds(time.time()))
        except DecodeError as error:
            place = str(error).partition(", got ")[0]  # what it got may hold the address
            raise PoolError(f"{source.base_url} answered what its kind of pool does not: {place}") from error
        except _SLIPS as error:
            log.exception("the pool adapter %s failed", source.adapter.name)
            raise PoolError(f"the pool adapter {source.adapter.name} failed; the log says where") from error

    async def _ready_client(self) -> httpx.AsyncClient:
        async with self._client_turn:
            if self._client is None:
                self._client = await asyncio.to_thread(self._new_client)
            return self._client
