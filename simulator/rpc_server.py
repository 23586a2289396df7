"""The CGMiner TCP API: one request per connection, the reply ends with NUL, then the device closes.

As on the devices, the request is what one receive call returns. Avalon controllers serve strictly one connection at
a time, and an idle one blocks all others until it times out (Canaan Nano3s vendor source).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.faults import HTML_PAGE, Fault, endless, garbage, padding, patched, truncated, wrong_types
from simulator.wire import Connection, Gate

DENIED = b'{"STATUS":[{"STATUS":"E","When":0,"Code":45,"Msg":"Access denied to command","Description":""}],"id":1}'


@dataclass(frozen=True, slots=True)
class RpcPolicy:
    """How a device serves its API. `receive` is the size of its receive buffer, `idle_seconds` its receive timeout."""

    one_at_a_time: bool = False
    receive: int = 8191
    idle_seconds: float = 10.0
    nul: bool = True
    closes: bool = True


#: Bytes of a request to the bytes of its reply; None closes without one (a reboot command, for example).
RpcHandler = Callable[[bytes], bytes | None]


class RpcLine:
    """The waiting line of a device that serves one connection at a time."""

    def __init__(self) -> None:
        self.current: RpcConnection | None = None
        self.waiting: deque[RpcConnection] = deque()

    def enter(self, connection: RpcConnection) -> bool:
        """Whether it is this connection's turn now."""
        if self.current in (None, connection):
            self.current = connection
            return True
        self.waiting.append(connection)
        return False

    def leave(self, connection: RpcConnection) -> None:
        """The connection is done: the next one's turn."""
        if connection in self.waiting:
            self.waiting.remove(connection)
        if self.current is not connection:
            return
        self.current = None
        if self.waiting:
            following = self.waiting.popleft()
            self.current = following
            asyncio.get_running_loop().call_soon(following.turn)


class RpcConnection(Connection):
    """One client of one device."""

    port = "rpc"

    def __init__(
        self, handler: RpcHandler, gate: Gate, connections: set[Connection], policy: RpcPolicy, line: RpcLine
    ) -> None:
        super().__init__(gate, connections)
        self.handler = handler
        self.policy = policy
        self.line = line
        self._request: bytes | None = None
        self._my_turn = not policy.one_at_a_time
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected; on a single-threaded device it may have to wait."""
        super().connection_made(transport)
        if not self._my_turn:
            self._my_turn = self.line.enter(self)
        if self._my_turn:
            self.later(self.policy.idle_seconds, self.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended: let the next one in."""
        super().connection_lost(exc)
        self.line.leave(self)

    def turn(self) -> None:
        """The connection before this one is gone."""
        self._my_turn = True
        if self._request is not None:
            self._serve(self._request)
        elif self.transport is not None:
            self.later(self.policy.idle_seconds, self.close)

    def data_received(self, data: bytes) -> None:
        """The request: what the first receive call returns."""
        if self._request is not None or self.gate.on("rpc", "half_open"):
            return
        self.last_used = asyncio.get_running_loop().time()
        self._request = data[: self.policy.receive]
        if self._my_turn:
            self._serve(self._request)

    def eof_received(self) -> bool:
        """The client has said all it wants to say; the answer may still be due."""
        return self._request is not None and not self._answered

    def _serve(self, request: bytes) -> None:
        if self.transport is None:
            return
        self.gate.traffic["rpc"].asked(self.last_used)
        self.stop_timer()
        fault = self.gate.on("rpc", "slow")
        if fault:
            self.later(fault.seconds, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        self._answered = True
        fault = self.gate.on("rpc", "auth")
        reply = DENIED if fault and fault.password is None else self.handler(request)
        if reply is None:
            self.close()
            return
        fault = self.gate.on(
            "rpc", "garbage", "port_flood", "cut", "too_large", "html", "truncated_json", "wrong_types", "patched"
        )
        if fault and fault.name == "patched":
            self._finish(_patched(request, reply, fault))
        elif fault:
            self._spoil(fault, reply)
        else:
            self._finish(reply)

    def _finish(self, reply: bytes) -> None:
        self.send(reply + b"\0" if self.policy.nul else reply)
        if self.policy.closes:
            self.close()
        else:
            self.later(self.policy.idle_seconds, self.close)

    def _spoil(self, fault: Fault, reply: bytes) -> None:
        seed = len(reply)
        match fault.name:
            case "garbage":
                self.send(garbage(max(64, seed), seed))
                self.close()
            case "port_flood":
                self.send_stream(endless(seed), close=False)
            case "cut":
                self.send(reply[: max(1, len(reply) // 2)])
                self.close()
            case "too_large":
                self.send_stream(padding(fault.size), close=True)
            case "html":
                self._finish(HTML_PAGE)
            case "truncated_json":
                self._finish(truncated(reply))
            case _:
                self._finish(wrong_types(reply))


def _patched(request: bytes, reply: bytes, fault: Fault) -> bytes:
    """The reply with the patch for its command; a patch that does not fit is the sender's mistake and is the answer."""
    try:
        patch = fault.patches.get("+".join(parse_request(request)[0]))
        return reply if patch is None else patched(reply, patch)
    except ValueError as error:
        return str(error).encode()


def parse_request(payload: bytes) -> tuple[list[str], str | None, bool]:
    """The commands, the parameter and whether the client spoke JSON (ckolivas/cgminer API-README).

    Raises:
        ValueError: the payload is no request; the message is the text that cgminer answers with.
    """
    words = payload.split(b"\0")[0].decode("utf-8", "replace").strip()
    if not words:
        raise ValueError("Missing command")
    if not words.startswith("{"):
        command, bar, parameter = words.partition("|")
        return command.split("+"), parameter if bar else None, False
    try:
        document = json.loads(words)
    except ValueError:
        raise ValueError("Invalid JSON") from None
    name = document.get("command") if isinstance(document, dict) else None
    if not isinstance(name, str):
        raise ValueError("Missing JSON 'command'")  # noqa: TRY004 - the device's own answer
    parameter = document.get("parameter")
    return name.split("+"), None if parameter is None else str(parameter), True
