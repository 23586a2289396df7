"""Exchanges with the CGMiner API: one connection for each command, as the API wants it."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from exporter.errors import MinerError, ProtocolError, TooLarge
from exporter.protocols.cgminer import MAX_REPLY_BYTES, ReplyReader
from exporter.transports.connecting import dial, expire, lost_error, place

#: Seconds of silence that end a reply of a device that sends no NUL and keeps the socket open.
QUIET_SECONDS: Final = 0.25
DEFAULT_TIMEOUT: Final = 5.0


class _Exchange(asyncio.Protocol):
    """One command and its reply; `done` is set when the reply is whole, or to what went wrong."""

    __slots__ = ("_last", "_loop", "_payload", "_quiet", "_reader", "_transport", "done")

    def __init__(self, loop: asyncio.AbstractEventLoop, payload: bytes, reader: ReplyReader) -> None:
        self._last = 0.0
        self._loop = loop
        self._payload = payload
        self._quiet: asyncio.TimerHandle | None = None
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._payload)

    def data_received(self, data: bytes) -> None:
        try:
            complete = self._reader.feed(data)
        except TooLarge as error:
            self._end(error)
            return
        if complete:
            self._end(None)
            return
        self._last = self._loop.time()
        if self._quiet is None:
            self._quiet = self._loop.call_later(QUIET_SECONDS, self._check_quiet)

    def _check_quiet(self) -> None:
        """End a reply that is whole by its brackets once nothing has come for a while."""
        self._quiet = None
        due = self._last + QUIET_SECONDS
        if due > self._loop.time():
            self._quiet = self._loop.call_at(due, self._check_quiet)
        elif self._reader.balanced:
            self._end(None)

    def eof_received(self) -> None:
        try:
            self._reader.eof()
        except ProtocolError as error:
            self._end(error)
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.done.done():
            # Some devices reset the connection behind a whole reply.
            self._end(None if self._reader.balanced else lost_error(exc))

    def _end(self, error: MinerError | None) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)

    def close(self) -> None:
        """Drop the connection, whatever its state."""
        self.done.cancel()
        self._end(None)
        if self._transport is not None:
            self._transport.abort()


async def exchange(
    address: str,
    port: int,
    payload: bytes,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    max_bytes: int = MAX_REPLY_BYTES,
) -> bytes:
    """Send one command and read its reply (without its NUL).

    Raises:
        RequestTimeoutError, ConnectionRefused, Unreachable, ProtocolError, TooLarge: with address and port.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    try:
        return await _exchange(loop, address, port, payload, ReplyReader(max_bytes), deadline)
    except MinerError as error:
        raise type(error)(f"{place(address, port)}: {error}") from error


async def _exchange(
    loop: asyncio.AbstractEventLoop, address: str, port: int, payload: bytes, reader: ReplyReader, deadline: float
) -> bytes:
    sock = await dial(address, port, deadline)
    protocol = _Exchange(loop, payload, reader)
    timer = loop.call_at(deadline, expire, protocol.done, "no whole reply in time")
    try:
        try:
            await loop.create_connection(lambda: protocol, sock=sock)
        except BaseException:
            sock.close()
            raise
        await protocol.done
    finally:
        timer.cancel()
        protocol.close()
    return reader.body
