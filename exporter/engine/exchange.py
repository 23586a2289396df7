"""One round of requests to one miner: the driver's rules obeyed, variants remembered, refusals told apart.

A `Session` is what is remembered about talking to a miner. It holds no connection (the transport does) and no
reading (the poller does).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final, Protocol, TypeVar

import httpx

from exporter.drivers.api import Answer, Answers, Auth, CgminerRequest, Driver, HttpRequest, Request
from exporter.errors import (
    AuthError,
    DecodeError,
    MinerError,
    NoChallenge,
    ProtocolError,
    RequestTimeoutError,
    Unsupported,
)
from exporter.protocols import cgminer
from exporter.protocols.tolerant_json import parse_json

log = logging.getLogger(__name__)

MAX_JOIN_FAILURES: Final = 2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a miner listens."""

    address: str
    http_port: int = 80
    api_port: int = 4028


T = TypeVar("T")

Script = Generator[Request, Answer | MinerError, T]
"""Questions to one host: yields requests, is sent an answer or an error for each, returns a result."""


class Wire(Protocol):
    """The transports as the engine uses them; all raise `MinerError` only."""

    async def http(
        self,
        endpoint: Endpoint,
        request: HttpRequest,
        headers: tuple[tuple[str, str], ...],
        timeout: float,
        keep_alive: bool,
    ) -> Answer: ...

    async def http_signed(
        self, endpoint: Endpoint, request: HttpRequest, auth: httpx.Auth, timeout: float, keep_alive: bool
    ) -> Answer: ...

    async def cgminer(self, endpoint: Endpoint, port: int, payload: bytes, timeout: float) -> bytes: ...

    async def close_host(self, endpoint: Endpoint) -> None: ...

    def run_scripts(
        self,
        scripts: Iterable[tuple[Endpoint, Script[T]]],
        timeout: float,
        on_end: Callable[[Endpoint, T], None],
        stop: Event,
    ) -> None:
        """Run scripts for many hosts at once; blocking, for a thread, in which `on_end` is called as well.

        Requests go out unsigned, any status is an answer, the body of a CGMiner reply is raw; `timeout` (seconds) is
        that of one request.
        """
        ...


@dataclass(slots=True)
class Session:
    """What is remembered about talking to one miner.

    Attributes:
        join_failures: joined CGMiner commands in a row that gave nothing where single ones did; no more are sent
            after `MAX_JOIN_FAILURES`.
        replaced: request key -> the request that worked instead of it (404 once).
        digests: what to sign with, best first; the first one keeps the digest state, so that a steady poll costs
            one request. One that the device refuses is dropped.
        key_headers: headers made of the stored API key.
        on_refused: told of each of `digests` that the device refuses.
        auth_blocked: requests that need a sign-in are not sent; set after the device refused every password.
        origin: passwords and settings that the session was prepared with, to see whether they have changed.
    """

    endpoint: Endpoint
    driver: Driver
    join_failures: int = 0
    replaced: dict[str, HttpRequest] = field(default_factory=dict)
    digests: list[httpx.Auth] = field(default_factory=list)
    key_headers: tuple[tuple[str, str], ...] = ()
    auth_blocked: bool = False
    on_refused: Callable[[httpx.Auth], None] | None = None
    origin: tuple[object, ...] = ()
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ended: float = 0.0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the device: one user at a time, and no sooner than its spacing after the last one."""
        async with self._turn:
            spacing = self.driver.rules.spacing_seconds
            if spacing:
                wait = self._ended + spacing - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
            try:
                yield
            finally:
                self._ended = time.monotonic()


class Exchange:
    """Sends rounds of requests over the transports."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def over(self, wrap: Callable[[Wire], Wire]) -> Exchange:
        """The same over a wire that wraps this one's."""
        return Exchange(wrap(self._wire))

    async def ask(self, session: Session, requests: tuple[Request, ...]) -> Answers:
        """Send `requests` in order and return what arrived.

        Raises:
            MinerError: the first required request that failed.
        """
        answers: dict[str, Answer] = {}
        commands = tuple(request for request in requests if isinstance(request, CgminerRequest))
        pages = tuple(request for request in requests if isinstance(request, HttpRequest))
        if commands:
            await self._ask_cgminer(session, commands, answers)
        for page in pages:
            await self._ask_http(session, page, answers)
        return Answers(answers)

    # --- HTTP ---

    async def _ask_http(self, session: Session, request: HttpRequest, answers: dict[str, Answer]) -> None:
        request = session.replaced.get(request.key, request)
        if request.auth is Auth.API_KEY and request.optional and not session.key_headers:
            return
        if session.auth_blocked and request.auth is Auth.DIGEST:
            if request.optional:
                return
            raise AuthError(f"{session.endpoint.address}: the device refused every known password; set it to resume")
        try:
            answer = await self.fetch(session, request)
        except AuthError:
            if request.optional and request.auth is not Auth.API_KEY:
                return
            raise
        except MinerError as error:
            if request.optional:
                log.debug("%s: %s left out: %s", session.endpoint.address, request.key, error)
                return
            raise
        if answer.status in (404, 405, 501) and request.otherwise is not None:
            await self._ask_http(session, request.otherwise, answers)
            if request.otherwise.key in answers:
                session.replaced[request.key] = request.otherwise
            return
        if 200 <= answer.status < 300:
            answers[request.key] = answer
        else:
            _check_refusal(session, request, answer.status)

    async def fetch(self, session: Session, request: HttpRequest) -> Answer:
        """One HTTP exchange, signed as the request says, whatever its status."""
        if request.auth is Auth.DIGEST:
            return await self._fetch_signed(session, request)
        rules = session.driver.rules
        headers = session.key_headers if request.auth is Auth.API_KEY else ()
        async with session.turn():
            keep_alive = rules.keep_alive if request.keep_alive is None else request.keep_alive
            return await self._wire.http(session.endpoint, request, headers, rules.timeout_seconds, keep_alive)

    async def _fetch_signed(self, session: Session, request: HttpRequest) -> Answer:
        """Try what there is to sign with, each once; remember the refusals, since devices lock out."""
        rules = session.driver.rules
        while session.digests:
            auth = session.digests[0]
            try:
                async with session.turn():
                    return await self._wire.http_signed(
                        session.endpoint, request, auth, rules.timeout_seconds, rules.keep_alive
                    )
            except NoChallenge:
                raise
            except AuthError:
                if session.digests and session.digests[0] is auth:
                    session.digests.pop(0)
                if session.on_refused is not None:
                    session.on_refused(auth)
        session.auth_blocked = True
        raise AuthError(f"{session.endpoint.address}: the device refused every known password; set it to resume")

    # --- probes: any status and any refusal is an answer ---

    async def probe_http(self, session: Session, request: HttpRequest, timeout: float) -> Answer:
        """One unsigned HTTP probe."""
        return await self._wire.http(session.endpoint, request, (), timeout, keep_alive=True)

    async def probe_command(self, session: Session, request: CgminerRequest, timeout: float) -> Answer:
        """One CGMiner probe; the body stays raw where it is no CGMiner reply (HTTP on 4028 tells a family as well)."""
        payload = cgminer.encode_command(request.command, request.parameter, text=request.text)
        body = await self._wire.cgminer(session.endpoint, request.port or session.endpoint.api_port, payload, timeout)
        return probe_answer(request, body)

    def run_scripts(
        self,
        scripts: Iterable[tuple[Endpoint, Script[T]]],
        timeout: float,
        on_end: Callable[[Endpoint, T], None],
        stop: Event,
    ) -> None:
        """See `Wire.run_scripts`."""
        self._wire.run_scripts(scripts, timeout, on_end, stop)

    async def close_host(self, endpoint: Endpoint) -> None:
        """Drop the connections to a host, for example after identification."""
        await self._wire.close_host(endpoint)

    # --- CGMiner API ---

    async def _ask_cgminer(
        self, session: Session, requests: tuple[CgminerRequest, ...], answers: dict[str, Answer]
    ) -> None:
        joinable = tuple(r for r in requests if r.parameter is None and not r.text and r.port is None)
        failures = session.join_failures
        if len(joinable) > 1 and session.driver.rules.join_commands and failures < MAX_JOIN_FAILURES:
            failures = await self._ask_joined(session, joinable, answers)
        for request in requests:
            if request.key in answers:
                continue
            try:
                document = await self.command(session, request)
            except MinerError as error:
                if not request.optional:
                    raise
                log.debug("%s: %s left out: %s", session.endpoint.address, request.key, error)
                if isinstance(error, RequestTimeoutError):
                    # A device that is busy now will not be quicker at the next command.
                    return
                continue
            answers[request.key] = Answer(b"", document=document)
        # Only a device that answers the single ones does not take the join; any other is out of order for now.
        session.join_failures = failures

    async def _ask_joined(
        self, session: Session, requests: tuple[CgminerRequest, ...], answers: dict[str, Answer]
    ) -> int:
        """Returns `Session.join_failures` as it is if the single commands work."""
        names = tuple(request.command for request in requests)
        joined = CgminerRequest("+".join(names))
        try:
            document = await self._exchange(session, joined)
            parts = cgminer.split_joined(document, names)
        except (DecodeError, ProtocolError) as error:
            # Partly supported joined commands give broken JSON (minera #125), but so does a bad moment.
            log.debug("%s: joined commands failed: %s", session.endpoint.address, error)
            return session.join_failures + 1
        for request in requests:
            part = parts.get(request.command)
            if part is not None and not cgminer.refused(part):
                answers[request.key] = Answer(b"", document=part)
        return 0 if parts else MAX_JOIN_FAILURES

    async def command(self, session: Session, request: CgminerRequest) -> dict[str, Any]:
        """One CGMiner command.

        Raises:
            Unsupported: the device does not know the command or denies access to it.
            DecodeError: the reply cannot be read.
        """
        document = await self._exchange(session, request)
        if cgminer.refused(document):
            raise Unsupported(f"{session.endpoint.address}: {request.key}: the device refuses the command")
        return document

    async def tell(self, session: Session, request: CgminerRequest) -> Answer:
        """Send a command that changes the device, once; what it says to it is the answer, a refusal as well."""
        return Answer(b"", document=await self._exchange(session, request))

    async def _exchange(self, session: Session, request: CgminerRequest) -> dict[str, Any]:
        payload = cgminer.encode_command(request.command, request.parameter, text=request.text)
        port = request.port or session.endpoint.api_port
        async with session.turn():
            body = await self._wire.cgminer(session.endpoint, port, payload, session.driver.rules.timeout_seconds)
        return _parse_reply(request, body)


def _check_refusal(session: Session, request: HttpRequest, status: int) -> None:
    """Raise what a status other than success means; nothing where the request may be left out."""
    if status in (401, 403) and (not request.optional or request.auth is Auth.API_KEY):
        raise AuthError(f"{session.endpoint.address}: {request.key}: status {status}, sign-in refused")
    if not request.optional:
        kind = Unsupported if status in (404, 405, 501) else ProtocolError
        raise kind(f"{session.endpoint.address}: {request.key}: status {status}")


def probe_answer(request: CgminerRequest, body: bytes) -> Answer:
    """The answer to a probe; its body stays raw where it is no CGMiner reply."""
    try:
        return Answer(body, document=_parse_reply(request, body))
    except DecodeError:
        return Answer(body)


def _parse_reply(request: CgminerRequest, body: bytes) -> dict[str, Any]:
    try:
        if request.text or body.lstrip()[:7] == b"STATUS=":
            return cgminer.parse_text_reply(body)
        document = parse_json(body)
    except ValueError as error:
        raise DecodeError(f"{request.key}: {error}") from error
    if not isinstance(document, dict):
        raise DecodeError(f"{request.key}: expected an object, got {type(document).__name__}")
    return document
