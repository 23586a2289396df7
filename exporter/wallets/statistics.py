"""Keeps what the pools say of the wallets up to date: on the engine's loop, and never in anybody's way.

A wallet is asked about every five minutes, and at most once a minute however often a person wants it (see `servers`).
What is older than ten minutes is shown no more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import httpx

from exporter.engine.api.wallets import PoolStatistics
from exporter.engine.tasks import Tasks
from exporter.store.rows import Wallet
from exporter.wallets.directory import Source
from exporter.wallets.fetch import new_client
from exporter.wallets.servers import LEAST_SECONDS, Answer, PoolServers
from exporter.wallets.totals import merged

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 300.0
LIVE_SECONDS: Final = 600.0
_LOOK_SECONDS: Final = 5.0
#: How long a person waits for a refresh; it goes on in the background.
_PATIENCE: Final = 2.0
#: How many may wait at once: each holds a thread of the web server.
_MOST_WAITING: Final = 3


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of one wallet. Times are monotonic; `tried_at` is when the last request began."""

    tried_at: float = -math.inf
    statistics: PoolStatistics | None = None
    refreshed_at: float = 0.0
    error: str | None = None


class StatisticsService:
    """Refreshes in the background; `view` and `asking` may be called from any thread, all else on the loop.

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
        self._servers = PoolServers(monotonic=monotonic, client=client)
        self._held: dict[int, _Held] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._waiting = 0
        self._tasks = Tasks()
        #: While False nobody is asked, those included who wait for their turn.
        self.enabled = True

    def start(self) -> None:
        """Begin to refresh in the background."""
        self._tasks.forever(self._refresh_forever, "pool statistics")

    async def stop(self) -> None:
        await self._tasks.stop()
        await self._servers.close()

    def view(self, wallet_id: int) -> tuple[PoolStatistics | None, str | None]:
        """What a wallet's pools said while it is young enough, and why the last refresh failed."""
        held = self._held.get(wallet_id)
        if held is None or not self.enabled:
            return None, None
        live = self._monotonic() - held.refreshed_at < LIVE_SECONDS
        return held.statistics if live else None, held.error

    def asking(self, wallet_id: int) -> bool:
        """Whether a wallet's pools are being asked, or will be in their turn."""
        return self.enabled and wallet_id in self._running

    def forget(self, wallet_id: int) -> None:
        """The wallet is another one now, or gone: what was said of it does not count, and nobody is asked for it."""
        self._held.pop(wallet_id, None)
        self._running.pop(wallet_id, None)

    async def refresh(self, wallet: Wallet) -> None:
        """Ask now, unless that was done within the last minute.

        Returns when it is done, or soon all the same; then `asking` is true.
        """
        task = self._begin(wallet, LEAST_SECONDS)
        if task is None or self._waiting >= _MOST_WAITING:
            return
        self._waiting += 1
        try:
            await asyncio.wait({task}, timeout=_PATIENCE)
        finally:
            self._waiting -= 1

    async def _refresh_forever(self) -> None:
        while True:
            for wallet in self._wallets():
                self._begin(wallet, REFRESH_SECONDS)
            await asyncio.sleep(_LOOK_SECONDS)

    def _begin(self, wallet: Wallet, pause: float) -> asyncio.Task[None] | None:
        """The refresh of a wallet that runs, else a new one where the last attempt is longer ago than `pause`."""
        if not self.enabled:
            return None
        running = self._running.get(wallet.id)
        if running is not None:
            return running
        held = self._held.get(wallet.id, _Held())
        if self._monotonic() - held.tried_at < pause:
            return None
        sources = self._sources(wallet)
        if not sources:
            self._held.pop(wallet.id, None)
            return None
        self._held[wallet.id] = replace(held, tried_at=self._monotonic())
        task = self._running[wallet.id] = self._tasks.spawn(self._refresh(wallet, sources), "pool statistics")
        task.add_done_callback(partial(self._ended, wallet.id))
        return task

    def _ended(self, wallet_id: int, task: asyncio.Task[None]) -> None:
        if self._running.get(wallet_id) is task:
            del self._running[wallet_id]

    async def _refresh(self, wallet: Wallet, sources: tuple[Source, ...]) -> None:
        """Ask every source; one that does not know the wallet has nothing to add.

        Where one fails there is no whole: the figures of before stay until they are old.
        """
        task = asyncio.current_task()

        def current() -> bool:
            return self._running.get(wallet.id) is task

        answers: list[Answer] = []
        answer: Answer | None = None
        for source in sources:
            answer = await self._servers.ask(source, wallet.address, lambda: self.enabled and current())
            if answer is None:
                break
            answers.append(answer)
            if answer.error is not None and not answer.unknown:
                break
        if not current():
            return  # forgotten meanwhile
        held = self._held[wallet.id]
        if answer is None:
            # Switched off before all were asked: begin anew once that is over.
            self._held[wallet.id] = replace(held, tried_at=-math.inf)
            return
        self._held[wallet.id] = now = _after(held, answers)
        if now.error is not None and now.error != held.error:
            log.info("statistics of the wallet %r are not refreshed: %s", wallet.name, now.error)


def _after(held: _Held, answers: list[Answer]) -> _Held:
    """What is known after these answers, of which the last one alone may be a failure."""
    tried_at = min(answer.asked_at for answer in answers)
    last = answers[-1]
    parts = [(answer.statistics, answer.answered_at) for answer in answers if answer.statistics is not None]
    if not parts or (last.error is not None and not last.unknown):
        return replace(held, tried_at=tried_at, error=last.error)
    whole = merged([statistics for statistics, _ in parts])
    return _Held(tried_at, whole, min(answered_at for _, answered_at in parts))
