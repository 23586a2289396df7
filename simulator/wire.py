"""What the HTTP and the CGMiner server share: a connection that can stream, wait and be cut, and what is counted."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.faults import Fault

_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Traffic:
    """What a device's listeners saw."""

    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    requests: int = 0
    last_request: float = 0.0
    shortest_gap: float | None = None

    def opened(self) -> None:
        """A connection was accepted."""
        self.connections += 1
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)

    def asked(self, at: float) -> None:
        """A request arrived at `at` (seconds of the event loop)."""
        if self.last_request:
            gap = at - self.last_request
            self.shortest_gap = gap if self.shortest_gap is None else min(gap, self.shortest_gap)
        self.last_request = at
        self.requests += 1


@dataclass(slots=True)
class Gate:
    """The faults of one device as its servers see them, and the timers that belong to them."""

    fault: Fault | None = None
    traffic: dict[str, Traffic] = field(default_factory=lambda: {"http": Traffic(), "rpc": Traffic()})

    def on(self, port: str, *names: str) -> Fault | None:
        """The fault that is on for `port`, when it is one of `names`."""
        fault = self.fault
        return fault if fault is not None and fault.on(port, *names) else None


class Connection(asyncio.Protocol):
    """A served connection. Subclasses handle bytes; sending of long streams follows the client's reading speed."""

    port = "http"

    def __init__(self, gate: Gate, connections: set[Connection]) -> None:
        self.gate = gate
        self.connections = connections
        self.transport: asyncio.Transport | None = None
        self.last_used = 0.0
        self._stream: Iterator[bytes] | None = None
        self._close_after_stream = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.last_used = asyncio.get_running_loop().time()
        self.connections.add(self)
        self.gate.traffic[self.port].opened()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended, by either side."""
        self.connections.discard(self)
        self.gate.traffic[self.port].open_now -= 1
        self.transport = None
        self._stream = None
        self.stop_timer()

    def stop_timer(self) -> None:
        """Forget the pending action."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def later(self, seconds: float, action: Any, *arguments: Any) -> None:
        """Do something after `seconds`, unless the connection ends before."""
        self.stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action, *arguments)

    def send(self, data: bytes) -> None:
        """Send, if the client is still there."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """Close after what is buffered has gone."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once with RST, with what is buffered thrown away."""
        if self.transport is not None:
            # Without lingering the kernel sends RST; otherwise an idle connection would end politely.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()

    def send_stream(self, chunks: Iterator[bytes], *, close: bool) -> None:
        """Send many chunks, as fast as the client reads."""
        self._stream = chunks
        self._close_after_stream = close
        self._pump()

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        self._paused = True

    def resume_writing(self) -> None:
        """The client caught up."""
        self._paused = False
        self._pump()

    def _pump(self) -> None:
        # A few chunks at a time, so that a greedy client cannot keep the event loop from the other devices.
        for _ in range(4):
            if self._stream is None or self._paused or self.transport is None:
                return
            chunk = next(self._stream, None)
            if chunk is None:
                self._stream = None
                if self._close_after_stream:
                    self.close()
                return
            self.send(chunk)
        asyncio.get_running_loop().call_soon(self._pump)
