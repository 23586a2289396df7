"""A small, strict HTTP/1.1 server for devices: Content-Length bodies, keep-alive, no chunked requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonpatch

from simulator.faults import HTML_PAGE, Fault, endless, garbage, padding, patched, truncated, wrong_types
from simulator.wire import Connection, Gate

REASONS = {
    200: "OK",
    204: "No Content",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
MAX_HEAD = 16384
MAX_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case; `path` is decoded and has no query."""

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: str = ""

    def json(self) -> Any:
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `close` ends the connection after it; `drop` closes without answering at all."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    drop: bool = False


def json_response(document: Any, status: int = 200, *, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer with a JSON body."""
    return Response(status, json.dumps(document, separators=(",", ":")).encode(), headers=headers)


def html_response(page: str, status: int = 200, *, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer with an HTML body."""
    return Response(status, page.encode(), "text/html; charset=utf-8", headers)


def text_response(text: str, status: int = 200) -> Response:
    """An answer with a plain-text body."""
    return Response(status, text.encode(), "text/plain")


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How a device's web server treats connections.

    `max_connections` is the number of sockets it has; at the limit it closes the one unused the longest
    (`purge_oldest`) or the new one. `chunked` answers come in chunks; `silent_close` closes after each answer without
    saying so before (NerdQAxe). `denied` is the status of the fault "auth".
    """

    server: str | None = None
    keep_alive: bool = True
    idle_seconds: float = 30.0
    max_connections: int = 64
    purge_oldest: bool = True
    chunked: bool = False
    silent_close: bool = False
    denied: int = 401
    denied_headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Response]


class HttpConnection(Connection):
    """One client of one device."""

    port = "http"

    def __init__(self, handler: Handler, gate: Gate, connections: set[Connection], policy: HttpPolicy) -> None:
        super().__init__(gate, connections)
        self.handler = handler
        self.policy = policy
        self._buffer = bytearray()
        self._busy = False
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected: obey the number of sockets the device has."""
        super().connection_made(transport)
        if len(self.connections) > self.policy.max_connections:
            oldest = min(self.connections, key=lambda item: item.last_used) if self.policy.purge_oldest else self
            oldest.abort()
        self.later(self.policy.idle_seconds, self.close)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self.gate.on("http", "half_open"):
            return
        self.last_used = asyncio.get_running_loop().time()
        self._buffer += data
        if not self._busy and len(self._buffer) >= self._needed:
            self._next_request()

    def _next_request(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self._refuse(431)
            return
        head = bytes(self._buffer[:end])
        lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                self._refuse(400)
                return
            headers[name.lower()] = value.strip()
        words = lines[0].split(" ")
        fault = self._head_fault(words, headers)
        if fault:
            self._refuse(fault)
            return
        length = int(headers.get("content-length", "0"))
        self._needed = end + 4 + length
        if len(self._buffer) < self._needed:
            if headers.get("expect", "").lower() == "100-continue":
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body = bytes(self._buffer[end + 4 : self._needed])
        del self._buffer[: self._needed]
        self._needed = 0
        self._serve(words[0], words[1], words[2], headers, body)

    def _head_fault(self, words: list[str], headers: Mapping[str, str]) -> int:
        if len(words) != 3 or not words[0].isalpha() or not words[1].startswith("/"):
            return 400
        if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            return 505
        if words[2] == "HTTP/1.1" and "host" not in headers:
            return 400
        if "transfer-encoding" in headers:
            return 501
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return 400
        return 413 if int(length) > MAX_BODY else 0

    def _refuse(self, status: int) -> None:
        self._buffer.clear()
        self._send_response(Response(status, close=True), "GET", keep=False)

    def _serve(self, method: str, target: str, version: str, headers: Mapping[str, str], body: bytes) -> None:
        self.gate.traffic["http"].asked(self.last_used)
        path, _, query = target.partition("?")
        peer = self.transport.get_extra_info("peername")[0] if self.transport else ""
        request = Request(
            method, target, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers, body, peer
        )
        wish = headers.get("connection", "").lower()
        keep = self.policy.keep_alive and wish != "close" and (version == "HTTP/1.1" or wish == "keep-alive")
        self._busy = True
        self.stop_timer()
        fault = self.gate.on("http", "slow")
        if fault:
            self.later(fault.seconds, self._answer, request, keep)
        else:
            self._answer(request, keep)

    def _answer(self, request: Request, keep: bool) -> None:
        fault = self.gate.on("http", "auth")
        if fault and fault.password is None:
            status = fault.status or self.policy.denied
            denied = Response(status, b"", "text/html", self.policy.denied_headers if status == 401 else ())
            self._send_response(denied, request.method, keep)
            return
        fault = self.gate.on("http", "refuses_writes")
        if fault and request.method not in ("GET", "HEAD"):
            self._send_response(Response(fault.status or 403, b"", "text/html"), request.method, keep)
            return
        response = self.handler(request)
        if response.drop:
            self.close()
            return
        fault = self.gate.on(
            "http", "garbage", "port_flood", "cut", "too_large", "html", "truncated_json", "wrong_types", "patched"
        )
        if fault and fault.name == "patched":
            self._send_response(_patched(response, fault.patches.get(request.path)), request.method, keep)
        elif fault:
            self._spoil(fault, response, request.method, keep)
        else:
            self._send_response(response, request.method, keep)

    def _spoil(self, fault: Fault, response: Response, method: str, keep: bool) -> None:
        seed = len(response.body)
        match fault.name:
            case "garbage":
                self.send(garbage(max(64, seed), seed))
                self.close()
            case "port_flood":
                self.send_stream(endless(seed), close=False)
            case "cut":
                data = self._encode(response, keep)
                self.send(data[: max(20, len(data) // 2)])
                self.close()
            case "too_large":
                self.send(self._head(Response(200), fault.size, keep=False))
                self.send_stream(padding(fault.size), close=True)
            case "html":
                self._send_response(Response(200, HTML_PAGE, "text/html"), method, keep)
            case "truncated_json":
                self._send_response(replace(response, body=truncated(response.body)), method, keep)
            case _:
                self._send_response(replace(response, body=wrong_types(response.body)), method, keep)

    def _head(self, response: Response, length: int, keep: bool) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
        if self.policy.server is not None:
            lines.append(f"Server: {self.policy.server}")
        if response.body or response.status not in (204, 304):
            lines.append(f"Content-Type: {response.content_type}")
        lines.append("Transfer-Encoding: chunked" if self._chunks(response) else f"Content-Length: {length}")
        lines.extend(f"{name}: {value}" for name, value in response.headers)
        if not self.policy.silent_close:
            lines.append("Connection: keep-alive" if keep else "Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _encode(self, response: Response, keep: bool, *, bodyless: bool = False) -> bytes:
        body = b"" if bodyless else response.body
        if body and self._chunks(response):
            middle = len(body) // 2
            parts = [part for part in (body[:middle], body[middle:]) if part]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        return self._head(response, len(response.body), keep) + body

    def _chunks(self, response: Response) -> bool:
        return self.policy.chunked and bool(response.body)

    def _send_response(self, response: Response, method: str, keep: bool) -> None:
        keep = keep and not response.close
        self.send(self._encode(response, keep, bodyless=method == "HEAD"))
        self._busy = False
        if not keep or self.policy.silent_close:
            self.close()
            return
        fault = self.gate.on("http", "stale_keepalive")
        self.later(fault.seconds if fault else self.policy.idle_seconds, self.close)
        if self._buffer:
            self._next_request()


def _patched(response: Response, patch: jsonpatch.JsonPatch | None) -> Response:
    """The answer with a patch; a patch that does not fit is the sender's mistake and shows as status 500."""
    if patch is None or response.status != 200:
        return response
    try:
        return replace(response, body=patched(response.body, patch))
    except ValueError as error:
        return text_response(str(error), 500)
