"""The control listener: the truth about every device, and switches for faults, moves, modes and the clock.

Loopback only, JSON in and out::

    GET  /__sim__/truth[?address=A][&at=UNIX]     truth by address
    POST /__sim__/fault  {"address": A, "fault": NAME or null, ...options}
    POST /__sim__/move   {"from": A, "to": B}
    POST /__sim__/add    {"kind": K, "model": M, "address": A, "mac": ..., "seed": ...}
    POST /__sim__/remove {"address": A}
    POST /__sim__/mode   {"address": A, "mode": NAME}, or "pause": true, or "hardware": "fan"
    POST /__sim__/clock  {"freeze": true or UNIX} | {"advance": SECONDS} | {"run": true}
    POST /__sim__/serial {"path": P, "plug": true|false, "node": ..., "port_path": ..., "scenario": NAME,
                          "reset": true, "dtr": true|false, "rts": true|false}   what is given is done in this order

Boards on pseudo-terminals stand in the truth under the paths of their ports.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from simulator.devices.base import DeviceSpec
from simulator.fleet import make_mac
from simulator.serial_miners import SerialHub
from simulator.simulation import Simulation, describe_fault_options

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
#: Seconds within which a request must be complete.
_PATIENCE = 10.0


class ControlServer:
    """The listener; `port` is the one in use."""

    def __init__(self, simulation: Simulation, serial: SerialHub | None = None) -> None:
        self.simulation = simulation
        self.serial = serial
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._posts: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "/__sim__/fault": self._fault,
            "/__sim__/move": self._move,
            "/__sim__/add": self._add,
            "/__sim__/remove": self._remove,
            "/__sim__/mode": self._mode,
            "/__sim__/clock": self._clock,
            "/__sim__/serial": self._serial,
        }

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop clients."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(_PATIENCE):
                method, target, body = await _read_request(reader)
            status, document = await self._answer(method, target, body)
            data = json.dumps(document).encode()
            head = (
                f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + data)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            # A client that went away or spoke no HTTP gets no answer.
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        try:
            if method == "GET" and path == "/__sim__/truth":
                return 200, self._truth(query)
            if path not in self._posts:
                return 404, {"error": f"no such path: {path}"}
            if method != "POST":
                return 405, {"error": "use POST"}
            document = json.loads(body)
            if not isinstance(document, dict):
                return 400, {"error": "expected a JSON object"}
            return 200, await self._posts[path](document)
        except KeyError as error:
            return 404, {"error": str(error.args[0])}
        except (ValueError, TypeError, OSError) as error:
            return 400, {"error": str(error)}

    def _truth(self, query: str) -> Any:
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        at = float(options["at"]) if "at" in options else None
        boards = {} if self.serial is None else self.serial.truth()
        if "address" in options:
            address = unquote(options["address"])
            return boards[address] if address in boards else self.simulation.host(address).truth(at)
        return self.simulation.truth(at) | boards

    async def _fault(self, body: dict[str, Any]) -> Any:
        address, name, options = describe_fault_options(body)
        await self.simulation.set_fault(address, name, **options)
        return {"ok": True}

    async def _move(self, body: dict[str, Any]) -> Any:
        await self.simulation.move(_text(body, "from"), _text(body, "to"))
        return self.simulation.host(_text(body, "to")).describe()

    async def _add(self, body: dict[str, Any]) -> Any:
        seed = int(body.get("seed", 1))
        uptime = body.get("uptime")
        spec = DeviceSpec(
            kind=_text(body, "kind"),
            model=_text(body, "model"),
            address=_text(body, "address"),
            mac=str(body.get("mac", make_mac(seed))).lower(),
            faults=tuple(body.get("faults", ())),
            seed=seed,
            uptime=None if uptime is None else float(uptime),
        )
        return (await self.simulation.add(spec)).describe()

    async def _remove(self, body: dict[str, Any]) -> Any:
        await self.simulation.remove(_text(body, "address"))
        return {"ok": True}

    async def _mode(self, body: dict[str, Any]) -> Any:
        device = self.simulation.host(_text(body, "address")).device
        now = self.simulation.clock.now()
        if "mode" in body:
            device.physics.set_mode(_text(body, "mode"), now)
        if "pause" in body:
            (device.physics.pause if body["pause"] else device.physics.resume)(now)
        if "hardware" in body:
            device.physics.fail(body["hardware"], now)
        device.forget_rendered()
        return device.truth()

    async def _serial(self, body: dict[str, Any]) -> Any:
        if self.serial is None:
            raise KeyError("there are no simulated boards; start with --serial")
        hub, path = self.serial, _text(body, "path")
        hub.slot(path)
        if body.get("plug") is True:
            path = hub.plug(path, node=body.get("node"), port_path=body.get("port_path"))
        elif body.get("plug") is False:
            hub.unplug(path)
        if "scenario" in body:
            hub.set_scenario(path, _text(body, "scenario"))
        if body.get("reset"):
            hub.reset(path)
        if "dtr" in body or "rts" in body:
            hub.set_lines(path, dtr=bool(body.get("dtr")), rts=bool(body.get("rts")))
        return hub.truth()[path]

    async def _clock(self, body: dict[str, Any]) -> Any:
        clock = self.simulation.clock
        if "freeze" in body:
            clock.freeze(None if body["freeze"] is True else float(body["freeze"]))
        if "advance" in body:
            clock.advance(float(body["advance"]))
        if body.get("run"):
            clock.run()
        return {"now": clock.now(), "frozen": clock.frozen}


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise TypeError(f"{key} is missing")
    return value


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    length = 0
    for line in head[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return method, target, await reader.readexactly(length)
