"""One miner as commands see it: asked, written to, and looked at anew, all over its poller's session."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from typing import Final

from exporter.drivers.api import Answer, Answers, Auth, HttpRequest, Request
from exporter.drivers.commands import CommandRefused, UdpRequest, Write
from exporter.engine.exchange import Exchange
from exporter.engine.miner import Miner
from exporter.engine.poller import Poller
from exporter.errors import (
    AuthError,
    MinerError,
    ProtocolError,
    RequestTimeoutError,
    Unreachable,
    Unsupported,
)
from exporter.model import Reading
from exporter.text import clean_text

#: Errors after which nobody knows whether the device has acted.
AMBIGUOUS: Final = (RequestTimeoutError, ProtocolError, Unreachable)
_LONGEST_WORDS: Final = 200
_STREAM_LOOK_SECONDS: Final = 0.25


class NotSent(MinerError):
    """A request was held back: the device has not heard of it."""

    reason = "unsupported"


class Device:
    """The miner at the moment of a command.

    Args:
        poller: None where the miner talks by itself and is not polled.
        obstacle: says before each write why nothing may be sent any more; None where it may.
    """

    def __init__(
        self,
        miner: Miner,
        poller: Poller | None,
        exchange: Exchange,
        address: str,
        obstacle: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._miner = miner
        self._poller = poller
        self._exchange = exchange
        self._address = address
        self._obstacle = obstacle

    async def ask(self, requests: tuple[Request, ...]) -> Answers:
        """Read. Raises `MinerError`."""
        if not requests:
            return Answers({})
        return await self._polled().asker.ask(requests)

    async def write(self, write: Write) -> Answer | None:
        """Send one write once; an HTTP answer of any status is an answer. None where nothing comes back.

        Raises:
            MinerError: it was not sent, or nobody knows (`AMBIGUOUS`).
        """
        request = write.request
        self._check()
        if isinstance(request, UdpRequest):
            await self._send_datagrams(request)
            return None
        try:
            if isinstance(request, HttpRequest):
                return await self._write_http(request)
            return await self._exchange.tell(self._polled().session, request)
        except AMBIGUOUS:
            if write.answers:
                raise
            return None

    async def _write_http(self, request: HttpRequest) -> Answer:
        poller = self._polled()
        if request.auth is Auth.API_KEY:
            await poller.asker.ensure_key()
            if not poller.session.key_headers:
                raise AuthError(_why_no_key(poller))
            self._check()  # the sign-in may have taken long
        answer = await self._exchange.fetch(poller.session, request)
        # A refused key means that nothing was done: a new one is obtained once.
        if answer.status == 401 and request.auth is Auth.API_KEY and await poller.asker.renew_key():
            self._check()
            answer = await self._exchange.fetch(poller.session, request)
        if answer.status in (401, 403):
            raise AuthError(words_of(answer) or f"the device refused the sign-in (status {answer.status})")
        return answer

    async def look(self, reads: tuple[Request, ...]) -> tuple[Reading | None, Answers]:
        """A new reading and the answers to `reads`; no reading where the miner does not answer now."""
        if self._poller is None:
            return await self._listen(), Answers({})
        poller = self._miner.poller  # another one where the miner has another address or password by now
        if poller is None:
            return None, Answers({})
        before = poller.state.last_success
        await poller.poll_now(anew=True)  # one that is under way may have asked before the write
        if not poller.state.up or poller.state.last_success == before:
            return None, Answers({})
        answers = Answers({})
        if reads:
            try:
                answers = await poller.asker.ask(reads)
            except MinerError:
                return None, answers  # it went away between two questions
        return poller.reading(), answers

    async def _listen(self) -> Reading | None:
        """The next message of a device that talks by itself, waited for over a few of its periods at most."""
        heard = self._miner.stream
        until = time.monotonic() + 15.0
        while self._miner.stream is heard and time.monotonic() < until:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(_STREAM_LOOK_SECONDS)
        now = self._miner.stream
        return None if now is None or now is heard else now[0]

    def _check(self) -> None:
        """Raises `NotSent` where nothing may be sent any more."""
        why = self._obstacle()
        if why is not None:
            raise NotSent(f"held back: {why}")

    def _polled(self) -> Poller:
        """Raises `NotSent` where the miner is polled in another way, or not at all, since the command began."""
        poller = self._poller
        if poller is None:
            raise Unsupported("this miner talks by itself; it cannot be asked")
        if self._miner.poller is not poller:
            raise NotSent("held back: the miner has lost its address, or is asked in another way by now")
        return poller

    async def _send_datagrams(self, request: UdpRequest) -> None:
        """To the miner's one address only: a broadcast would change every device on the network."""
        target = ipaddress.ip_address(self._address)
        if target.is_unspecified or target.is_multicast or str(target).endswith(".255"):
            raise CommandRefused(f"{self._address} is not the address of one miner")
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if target.version == 6 else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as sock:
            sock.setblocking(False)
            for number in range(request.repeat):
                if number:
                    await asyncio.sleep(request.spacing_seconds)
                    self._check()
                try:
                    await loop.sock_sendto(sock, request.body, (self._address, request.port))
                except OSError as error:
                    raise Unreachable(f"{self._address}: {error.strerror or error}") from error


def _why_no_key(poller: Poller) -> str:
    if poller.state.auth_failed:
        return "the device refused every known password; set its password to resume"
    return "there is no API key for it: drivers.vnish_create_api_key is off, or the device takes no sign-in for now"


def words_of(answer: Answer) -> str | None:
    """What a device says in an answer, as short readable text; None where it says nothing."""
    return clean_text(answer.body[: 4 * _LONGEST_WORDS].decode("utf-8", "replace"), _LONGEST_WORDS)
