"""Datagrams of devices that talk by themselves (NMMiner broadcasts on port 12345)."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final, cast

from exporter.errors import UsageError

_LOG: Final = logging.getLogger(__name__)
#: Broadcasts reach only a socket that is bound to every address.
ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104
#: Room for a burst of a whole hall while the loop is busy (the kernel may grant less).
_RECEIVE_BUFFER: Final = 1024 * 1024


class Listener(asyncio.DatagramProtocol):
    """An open UDP port. `port` is the number it is bound to."""

    def __init__(self, on_datagram: Callable[[bytes, str], None]) -> None:
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._on_datagram(data, str(addr[0]))

    def error_received(self, exc: Exception) -> None:
        _LOG.debug("UDP port %d: %s", self.port, exc)

    def close(self) -> None:
        """Close the port; what is queued is dropped."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


async def listen(port: int, on_datagram: Callable[[bytes, str], None], *, address: str = ANY_ADDRESS) -> Listener:
    """Hand every datagram that arrives on `port` to `on_datagram(data, sender's address)`, on the loop's thread.

    The port is shared (SO_REUSEADDR): another listener on this host that also shares it gets the broadcasts, too.
    Port 0 takes a free one.

    Raises:
        UsageError: the port is taken by a program that does not share it, or may not be opened.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise _bind_error(error, address, port) from error
    _, listener = await loop.create_datagram_endpoint(lambda: Listener(on_datagram), sock=sock)
    return listener


def _bind_error(error: OSError, address: str, port: int) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"UDP port {port} is taken by another program; stop it, or set udp.nmminer_port to another port that the"
            " miners send to"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"UDP port {port} may not be opened; choose one above 1023 (udp.nmminer_port)")
    return UsageError(f"UDP port {port} on {address}: {error.strerror or error}")
