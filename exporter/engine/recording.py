"""What miners were asked and answered, for those that somebody looks at. Others are polled without any of this."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Final, TypeVar

import httpx

from exporter.drivers.api import Answer, HttpRequest
from exporter.drivers.redact import redact_answers
from exporter.engine.api.miners import ExchangeSeen
from exporter.engine.exchange import Endpoint, Exchange, Script, Wire
from exporter.engine.poller import Poller
from exporter.errors import MinerError
from exporter.protocols.nerdminer_config import mask_secrets
from exporter.text import clean_text
from exporter.units import UnixSeconds

T = TypeVar("T")

WATCH_SECONDS: Final = 600.0
KEPT: Final = 20
LONGEST_BODY: Final = 16384
#: Kept of a body before it is redacted, which may make it shorter.
_LONGEST_RAW: Final = 2 * LONGEST_BODY
#: Miners watched at the same time; the one that was looked at longest ago gives way.
_MOST_MINERS: Final = 32
_LONGEST_LINE: Final = 200


@dataclass(frozen=True, slots=True)
class RawExchange:
    """An exchange before it is redacted."""

    at: float
    request: str
    answer: Answer | None
    status: int | None
    error: str | None
    seconds: float


@dataclass(slots=True)
class _Watched:
    poller: Poller
    timer: asyncio.TimerHandle
    kept: deque[RawExchange] = field(default_factory=lambda: deque(maxlen=KEPT))


class Recordings:
    """Records the polls of watched miners. Belongs on the engine's loop.

    Args:
        exchange: the one that polls go through while nobody looks.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._watched: dict[int, _Watched] = {}

    def watch(self, miner_id: int, poller: Poller) -> bool:
        """Record this miner's polls for `WATCH_SECONDS` from now on; whether that is new."""
        before = self._watched.get(miner_id)
        timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self.end, miner_id)
        watched = _Watched(poller, timer)
        if before is not None:
            before.timer.cancel()
            watched.kept = before.kept
        begun = before is None or before.poller is not poller
        if begun:
            poller.asker.through(self._exchange.over(lambda wire: _RecordingWire(wire, watched.kept)))
        others = {key: kept for key, kept in self._watched.items() if key != miner_id}
        for oldest in tuple(others)[: max(0, len(others) - _MOST_MINERS + 1)]:
            self.end(oldest)
            del others[oldest]
        self._watched = {**others, miner_id: watched}
        return begun

    def end(self, miner_id: int) -> None:
        """Record this miner no more, and forget what was recorded."""
        watched = self._watched.get(miner_id)
        if watched is not None:
            watched.timer.cancel()
            watched.poller.asker.through(self._exchange)
            self._watched = {key: kept for key, kept in self._watched.items() if key != miner_id}

    def kept(self, miner_id: int) -> tuple[RawExchange, ...]:
        """What was recorded of a miner, oldest first, for `exchanges_seen`."""
        watched = self._watched.get(miner_id)
        return () if watched is None else tuple(watched.kept)


def exchanges_seen(raws: Sequence[RawExchange]) -> tuple[ExchangeSeen, ...]:
    """Recorded exchanges as people may see them. It takes a while, so it is not for the engine's loop."""
    redacted = redact_answers({str(place): raw.answer for place, raw in enumerate(raws) if raw.answer is not None})
    return tuple(_shown(raw, redacted.get(str(place))) for place, raw in enumerate(raws))


def _shown(raw: RawExchange, answer: Answer | None) -> ExchangeSeen:
    body = None if answer is None else answer.body.decode("utf-8", "replace")[:LONGEST_BODY]
    return ExchangeSeen(UnixSeconds(raw.at), raw.request, raw.status, body, raw.error, raw.seconds)


def console_seen(pieces: Sequence[tuple[float, bytes]]) -> tuple[ExchangeSeen, ...]:
    """What a miner on USB printed lately (Unix time, bytes), redacted, as one exchange; nothing where it printed
    nothing."""
    if not pieces:
        return ()
    printed = b"".join(data for _, data in pieces)[-_LONGEST_RAW:]
    # The first line may have lost the beginning that tells what is secret in it.
    text = printed.partition(b"\n")[2].decode("utf-8", "replace")
    masked = "\n".join(mask_secrets(line) for line in text.splitlines())
    redacted = redact_answers({"console": Answer(masked.encode())})["console"].body.decode("utf-8", "replace")
    return (ExchangeSeen(UnixSeconds(pieces[-1][0]), "console", None, redacted[-LONGEST_BODY:], None, None),)


class _RecordingWire:
    """A wire that notes what goes over another one."""

    def __init__(self, wire: Wire, kept: deque[RawExchange]) -> None:
        self._wire = wire
        self._kept = kept

    async def http(
        self,
        endpoint: Endpoint,
        request: HttpRequest,
        headers: tuple[tuple[str, str], ...],
        timeout: float,
        keep_alive: bool,
    ) -> Answer:
        work = self._wire.http(endpoint, request, headers, timeout, keep_alive)
        return await self._noted(_line_of(request), work, lambda answer: answer)

    async def http_signed(
        self, endpoint: Endpoint, request: HttpRequest, auth: httpx.Auth, timeout: float, keep_alive: bool
    ) -> Answer:
        work = self._wire.http_signed(endpoint, request, auth, timeout, keep_alive)
        return await self._noted(_line_of(request), work, lambda answer: answer)

    async def cgminer(self, endpoint: Endpoint, port: int, payload: bytes, timeout: float) -> bytes:
        work = self._wire.cgminer(endpoint, port, payload, timeout)
        return await self._noted(_command_in(payload), work, lambda body: Answer(body, 0))

    async def close_host(self, endpoint: Endpoint) -> None:
        await self._wire.close_host(endpoint)

    def run_scripts(
        self,
        scripts: Iterable[tuple[Endpoint, Script[T]]],
        timeout: float,
        on_end: Callable[[Endpoint, T], None],
        stop: Event,
    ) -> None:
        self._wire.run_scripts(scripts, timeout, on_end, stop)

    async def _noted(self, request: str, work: Awaitable[T], answer_of: Callable[[T], Answer]) -> T:
        at, begun = time.time(), time.monotonic()
        try:
            result = await work
        except MinerError as error:
            self._kept.append(RawExchange(at, request, None, None, str(error), time.monotonic() - begun))
            raise
        answer = answer_of(result)
        cut = Answer(answer.body[:_LONGEST_RAW], answer.status)
        self._kept.append(RawExchange(at, request, cut, answer.status or None, None, time.monotonic() - begun))
        return result


def _line_of(request: HttpRequest) -> str:
    """Method and path; what is asked for behind the path may hold a key."""
    path, mark, _ = request.path.partition("?")
    return clean_text(f"{request.method} {path}{mark and '?...'}", _LONGEST_LINE) or request.method


def _command_in(payload: bytes) -> str:
    """The command of a CGMiner request, in JSON or as text; parameters are left out."""
    text = payload.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except ValueError:
        return clean_text(text.partition("|")[0], _LONGEST_LINE) or "?"
    command = document.get("command") if isinstance(document, dict) else None
    return clean_text(command, _LONGEST_LINE) or "?"
