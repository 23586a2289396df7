"""HTTP to miners: one keep-alive connection for each (address, port), on a plain asyncio protocol.

Requests to one host wait their turn: miners' web servers bear one client at a time best. httpx stays the interface for
rare calls through `KeepAliveTransport`; its own pool costs too much where every host is another one
(encode/httpcore#1035).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, cast

import httpx

from exporter.drivers.api import Answer
from exporter.errors import MinerError, ProtocolError, Unsupported
from exporter.protocols.http1 import MAX_BODY_BYTES, ResponseParser, encode_request, host_header
from exporter.transports.connecting import dial, expire, lost_error, place

DEFAULT_TIMEOUT: Final = 5.0
#: Methods that may be sent twice without doing anything twice.
REPEATABLE: Final = frozenset({"GET", "HEAD"})


#: Headers that `encode_request` writes itself.
_OURS: Final = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding", b"accept-encoding"})


class _Connection(asyncio.Protocol):
    """A connection: idle, or with one answer outstanding."""

    __slots__ = ("_parser", "_transport", "_waiter", "alive")

    def __init__(self) -> None:
        self._parser: ResponseParser | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.alive = True

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            # Nobody asked: whatever this is, it must not become the next answer.
            self.drop()
            return
        try:
            complete = parser.feed(data)
        except MinerError as error:
            self._end(error)
            return
        if complete:
            self._end(None)

    def eof_received(self) -> None:
        parser = self._parser
        if parser is None:
            self.alive = False
            return
        try:
            parser.eof()
        except MinerError as error:
            self._end(error)
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._transport = None
        if self._parser is not None:
            self._end(lost_error(exc))

    def _end(self, error: MinerError | None) -> None:
        parser, self._parser = self._parser, None
        waiter, self._waiter = self._waiter, None
        if error is not None or parser is None or not parser.keep_alive:
            self.drop()
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def send(self, payload: bytes, parser: ResponseParser, waiter: asyncio.Future[None]) -> None:
        """Send a request; `waiter` is done when `parser` is complete.

        Raises:
            ProtocolError: the connection is closed already.
        """
        if self._transport is None or not self.alive:
            raise lost_error(None)
        self._parser = parser
        self._waiter = waiter
        self._transport.write(payload)

    def drop(self) -> None:
        """Close at once, without a word."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()


class _Host:
    """The connection to one (address, port) and the turn of its callers."""

    __slots__ = ("address", "callers", "closed", "connection", "header", "port", "turn")

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.callers = 0
        self.closed = False
        self.connection: _Connection | None = None
        self.header = host_header(address, port)
        self.port = port
        self.turn = asyncio.Lock()

    def close(self) -> None:
        self.closed = True
        if self.connection is not None:
            self.connection.drop()


class HttpConnections:
    """Keep-alive connections to any number of hosts. Belongs to one event loop."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, int], _Host] = {}

    async def request(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        keep_alive: bool = True,
        max_body: int = MAX_BODY_BYTES,
    ) -> Answer:
        """Send a request and read its answer, whatever its status.

        `timeout` (seconds) covers connecting and the answer, not the wait for the host's turn. A GET or HEAD is sent
        again, once, where a kept connection proves closed before anything of an answer has come. Other methods always
        take a new connection, so that nothing is ever done twice.

        Raises:
            RequestTimeoutError, ConnectionRefused, Unreachable, ProtocolError, TooLarge: with address, port and path.
        """
        parser = await self.exchange(
            address,
            port,
            method,
            path,
            headers=headers,
            body=body,
            timeout=timeout,
            keep_alive=keep_alive,
            max_body=max_body,
        )
        return Answer(parser.body, parser.status, parser.headers)

    async def exchange(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        keep_alive: bool = True,
        max_body: int = MAX_BODY_BYTES,
    ) -> ResponseParser:
        """As `request`, with the whole parser, for those who need repeated headers one by one."""
        key = (address, port)
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(address, port)
        host.callers += 1
        try:
            payload = encode_request(method, path, host.header, headers=headers, body=body, keep_alive=keep_alive)
            async with host.turn:
                parser = await _ask(host, method, payload, max_body, timeout)
                if host.connection is not None and (host.closed or not keep_alive):
                    host.connection.drop()
                return parser
        except MinerError as error:
            raise type(error)(f"{place(address, port)}: {method} {path}: {error}") from error
        finally:
            host.callers -= 1
            unused = host.connection is None or not host.connection.alive
            if unused and not host.callers and self._hosts.get(key) is host:
                del self._hosts[key]

    async def close_host(self, address: str, port: int | None = None) -> None:
        """Close the connections to an address (on one port, or all). What is under way there fails."""
        for key in [key for key in self._hosts if key[0] == address and port in (None, key[1])]:
            self._hosts.pop(key).close()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close every connection. What is under way fails."""
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            host.close()
        # Transports close in the loop's next turn.
        await asyncio.sleep(0)


async def _ask(host: _Host, method: str, payload: bytes, max_body: int, timeout: float) -> ResponseParser:
    """Send `payload` on the kept connection or a new one and read the answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    connection = host.connection
    if connection is not None and connection.alive:
        if method in REPEATABLE:
            parser = ResponseParser(method, max_body)
            try:
                await _answer(loop, connection, payload, parser, deadline)
            except ProtocolError:
                # Devices close kept connections when they like; a new one tells whether the device is there.
                if parser.started or host.closed:
                    raise
            else:
                return parser
        else:
            # What a connection that proves stale may have delivered must not be sent again: take a new one.
            connection.drop()
    host.connection = None
    if host.closed:
        raise ProtocolError("the connection was closed on this side")
    connection = host.connection = await _connect(loop, host, deadline)
    parser = ResponseParser(method, max_body)
    await _answer(loop, connection, payload, parser, deadline)
    return parser


async def _connect(loop: asyncio.AbstractEventLoop, host: _Host, deadline: float) -> _Connection:
    sock = await dial(host.address, host.port, deadline)
    try:
        _, connection = await loop.create_connection(_Connection, sock=sock)
    except BaseException:
        sock.close()
        raise
    return connection


async def _answer(
    loop: asyncio.AbstractEventLoop,
    connection: _Connection,
    payload: bytes,
    parser: ResponseParser,
    deadline: float,
) -> None:
    waiter: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(deadline, expire, waiter, "no whole answer in time")
    try:
        connection.send(payload, parser, waiter)
        await waiter
    except BaseException:
        # Also when the caller is cancelled: an answer still to come must not meet the next request.
        connection.drop()
        raise
    finally:
        timer.cancel()


class KeepAliveTransport(httpx.AsyncBaseTransport):
    """httpx over `HttpConnections`: ``httpx.AsyncClient(transport=KeepAliveTransport(connections))``.

    Raises the errors of `HttpConnections`, not httpx' own. TLS is not supported: miners' web servers speak plain HTTP.
    """

    def __init__(self, connections: HttpConnections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme != "http":
            raise Unsupported(f"{url.host}: only http is supported, not {url.scheme}")
        parser = await self._connections.exchange(
            url.host,
            url.port or 80,
            request.method,
            url.raw_path.decode("ascii"),
            headers=own_headers(request),
            body=await request.aread() or None,
            timeout=_timeout_of(request),
        )
        return httpx_response(parser, request)


def own_headers(request: httpx.Request) -> list[tuple[str, str]]:
    """The headers of an httpx request without those that `encode_request` writes itself."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.lower() not in _OURS
    ]


def httpx_response(parser: ResponseParser, request: httpx.Request) -> httpx.Response:
    """The complete answer in `parser` as httpx' own type (its body is decoded already)."""
    headers = [item for item in parser.header_items() if item[0] not in ("content-encoding", "transfer-encoding")]
    return httpx.Response(parser.status, headers=headers, content=parser.body, request=request)


def _timeout_of(request: httpx.Request) -> float:
    limits = request.extensions.get("timeout") or {}
    known = [value for value in limits.values() if value is not None]
    return max(known) if known else DEFAULT_TIMEOUT
