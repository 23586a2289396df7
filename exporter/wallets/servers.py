"""Asks the pools' servers, politely: each one thing at a time with a rest between, and of an address once a minute.

That holds whatever becomes of the wallets meanwhile: what a server said of an address is kept for that minute, and
given again to whoever asks sooner. On the engine's loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

import httpx

from exporter.engine.api.wallets import PoolStatistics
from exporter.errors import DecodeError
from exporter.units import UnixSeconds
from exporter.wallets.directory import Source
from exporter.wallets.fetch import PoolError, WalletNotKnown, fetch

log = logging.getLogger(__name__)

#: Between two requests about one address to one server, whoever wants them.
LEAST_SECONDS: Final = 60.0
#: Between the end of a request and the next one to the same server.
_REST_SECONDS: Final = 1.0
#: What a slip in an adapter raises; it costs that pool's statistics and no more.
_SLIPS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said of an address. Times are monotonic.

    Attributes:
        asked_at: just before the request; `answered_at` when it was over.
        statistics: None where `error`, one line for people, says why there are none.
        unknown: the server is well, and has nothing on the address.
    """

    asked_at: float
    answered_at: float
    statistics: PoolStatistics | None = None
    error: str | None = None
    unknown: bool = False


@dataclass(slots=True)
class _Server:
    """`free_at`: monotonic, when it may be asked again."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0


class PoolServers:
    """See the module.

    Args:
        monotonic: a clock, and `sleep` what waits by it.
        client: makes the client, in a thread.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        client: Callable[[], httpx.AsyncClient],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._new_client = client
        self._client: httpx.AsyncClient | None = None
        self._client_turn = asyncio.Lock()
        self._servers: dict[str, _Server] = {}
        self._answers: dict[tuple[str, str], Answer] = {}

    async def close(self) -> None:
        """End all connections."""
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, source: Source, address: str, wanted: Callable[[], bool]) -> Answer | None:
        """What a server says of an address, or said within the last minute.

        Args:
            wanted: whether somebody still cares; asked when the server's turn has come.

        Returns:
            None where nobody cares any more; then the server was not asked.
        """
        path = source.adapter.path(quote(address, safe=":"))
        server = self._servers.setdefault(source.base_url, _Server())
        async with server.turn:
            if not wanted():
                return None
            known = self._answers.get((source.base_url, path))
            if known is not None and self._is_recent(known):
                return known
            rest = server.free_at - self._monotonic()
            if rest > 0:
                await self._sleep(rest)
                if not wanted():
                    return None
            answer = await self._request(source, path)
            server.free_at = answer.answered_at + _REST_SECONDS
            self._answers = {key: one for key, one in self._answers.items() if self._is_recent(one)}
            self._answers[source.base_url, path] = answer
            return answer

    def _is_recent(self, answer: Answer) -> bool:
        return self._monotonic() - answer.asked_at < LEAST_SECONDS

    async def _request(self, source: Source, path: str) -> Answer:
        client = await self._ready_client()
        asked_at = self._monotonic()
        try:
            statistics = _decoded(source, await fetch(client, source.base_url, path))
        except PoolError as error:
            unknown = isinstance(error, WalletNotKnown)
            return Answer(asked_at, self._monotonic(), error=str(error), unknown=unknown)
        return Answer(asked_at, self._monotonic(), statistics)

    async def _ready_client(self) -> httpx.AsyncClient:
        async with self._client_turn:
            if self._client is None:
                self._client = await asyncio.to_thread(self._new_client)
            return self._client


def _decoded(source: Source, body: bytes) -> PoolStatistics:
    """Raises `PoolError` where the body is not what the adapter expects, or the adapter fails."""
    try:
        return replace(source.adapter.decode(body), refreshed_at=UnixSeconds(time.time()))
    except DecodeError as error:
        place = str(error).partition(", got ")[0]  # what it got may hold the address
        raise PoolError(f"{source.base_url} answered what its kind of pool does not: {place}") from error
    except _SLIPS as error:
        log.exception("the pool adapter %s failed", source.adapter.name)
        raise PoolError(f"the pool adapter {source.adapter.name} failed; the log says where") from error
