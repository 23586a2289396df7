"""Datagrams: those that a device sends by itself from its own address, and those it takes settings from."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Broadcaster:
    """Sends a device's datagram to `target` every `period` seconds; broadcast addresses are allowed."""

    def __init__(
        self, address: str, target: tuple[str, int], period: float, datagram: Callable[[], bytes | None]
    ) -> None:
        self.address = address
        self.target = target
        self.period = period
        self.datagram = datagram
        self.sent = 0
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, delay: float) -> None:
        """Open the socket and send the first datagram after `delay` seconds."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.bind((self.address, 0))
        self._timer = asyncio.get_running_loop().call_later(delay, self._send)

    def _send(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.period, self._send)
        data = self.datagram()
        if data is None or self._socket is None:
            return
        try:
            self._socket.sendto(data, self.target)
        except OSError as error:
            # Nobody listens, or the buffer is full: a datagram is lost, as on a real network.
            logger.debug("datagram from %s to %s:%d lost: %s", self.address, *self.target, error)
        else:
            self.sent += 1

    def close(self) -> None:
        """Stop sending."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SettingsPort(asyncio.DatagramProtocol):
    """Hands the datagrams that reach a device to it."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._transport: asyncio.BaseTransport | None = None

    async def listen(self, address: str, port: int) -> None:
        """Open the socket."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port))

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One datagram, whoever sent it."""
        self._take(data)

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
