"""HTTP/1.1 as bytes and values: the part of RFC 9112 that a client needs, with a bound on everything.

`encode_request` makes the bytes of a request, `ResponseParser` takes the bytes of the answer in any pieces.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

from exporter.errors import ProtocolError, TooLarge

#: Status line, headers, interim answers and trailers together.
MAX_HEAD_BYTES: Final = 64 * 1024
#: The longest honest bodies seen are logs and chip maps below 1 MB.
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_MAX_LINE: Final = 8192
_MAX_DIGITS: Final = 18

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?", re.DOTALL)
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE_PATH: Final = re.compile(r"[^\x21-\x7e]")
_UNSAFE_VALUE: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


def host_header(address: str, port: int) -> str:
    """The value of Host: IPv6 in brackets, the port left out where it is 80."""
    host = f"[{address}]" if ":" in address else address
    return host if port == 80 else f"{host}:{port}"


def encode_request(
    method: str,
    path: str,
    host: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    keep_alive: bool = True,
) -> bytes:
    """The bytes of a request. `host` is the value of the Host header, `path` begins with a slash.

    Raises:
        ProtocolError: method, path or a header would break the request apart.
    """
    if _UNSAFE_PATH.search(path) or not path.startswith("/") or not method.isalpha():
        raise ProtocolError(f"cannot send {method!r} {path!r}: not a request line")
    lines = [f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or _UNSAFE_VALUE.search(value):
            raise ProtocolError(f"cannot send header {name!r}: a character that HTTP does not allow")
        lines.append(f"{name}: {value}")
    if not keep_alive:
        lines.append("Connection: close")
    if body is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body or b'')}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


_HEAD, _FIXED, _TO_EOF, _CHUNK_SIZE, _CHUNK_DATA, _CHUNK_END, _TRAILERS, _DONE = range(8)


class ResponseParser:
    """One answer from any pieces of bytes.

    Attributes:
        complete: the answer is whole; `body` and `keep_alive` are valid.
        status: 0 until the head has arrived.
        headers: lower-case names; repeated ones joined by ", " (a Digest challenge first, so that it stays readable).
        body: decoded where the device compressed it although it was asked not to.
        keep_alive: the connection may serve another request.
        started: something of the answer has arrived.
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_head",
        "_head_bytes",
        "_left",
        "_max_body",
        "_no_body",
        "_size",
        "_state",
        "body",
        "complete",
        "headers",
        "keep_alive",
        "started",
        "status",
    )

    def __init__(self, method: str = "GET", max_body: int = MAX_BODY_BYTES) -> None:
        self._buffer = b""
        self._chunks: list[bytes] = []
        self._head = ""
        self._head_bytes = 0
        self._left = 0
        self._max_body = max_body
        self._no_body = method == "HEAD"
        self._size = 0
        self._state = _HEAD
        self.body = b""
        self.complete = False
        self.headers: dict[str, str] = {}
        self.keep_alive = False
        self.started = False
        self.status = 0

    def header_items(self) -> list[tuple[str, str]]:
        """Names (lower case) and values one by one, as they arrived."""
        return _split_head(self._head)

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True when the answer is complete.

        Bytes behind the end are junk: they cost the connection, not the answer.

        Raises:
            ProtocolError: this is no HTTP/1 answer.
            TooLarge: head or body are longer than allowed, by count or by Content-Length.
        """
        if self._state == _HEAD:
            self.started = True
            data = self._feed_head(data)
            if self._state == _HEAD:
                return False
            if not data and not self.complete:
                return False
        if self._state == _FIXED:
            return self._feed_fixed(data)
        if self._state == _TO_EOF:
            self._take(data)
            return False
        if self._state != _DONE:
            return self._feed_chunked(data)
        if data:
            self.keep_alive = False
        return True

    def eof(self) -> None:
        """The device closed the connection.

        Raises:
            ProtocolError: in the middle of the answer. A 401 without its body is whole: the challenge is in the head
                (stock Antminers may close behind it).
        """
        self.keep_alive = False
        if self.complete:
            return
        if self._state == _TO_EOF:
            self._finish()
        elif self.status == 401:
            self._chunks.clear()
            self._finish()
        elif not self.started:
            raise ProtocolError("connection closed without an answer")
        else:
            part = "body" if self.status else "head"
            raise ProtocolError(f"connection closed in the middle of the answer's {part}")

    # --- head ---

    def _feed_head(self, data: bytes) -> bytes:
        """Take bytes of the head; returns those behind it once it is whole."""
        if self._buffer:
            start = max(0, len(self._buffer) - 2)
            data = self._buffer + data
        else:
            start = 0
            data = data.lstrip(b"\r\n")
        while True:
            found = _HEAD_END.search(data, start)
            size = self._head_bytes + (found.end() if found else len(data))
            if size > MAX_HEAD_BYTES:
                raise TooLarge(f"answer's head of more than {MAX_HEAD_BYTES} bytes")
            if data[:7] != b"HTTP/1."[: len(data)]:
                raise ProtocolError(f"no HTTP answer: starts with {data[:16]!r}")
            if found is None:
                self._buffer = data
                return b""
            self._head_bytes = size
            self._read_head(data[: found.start()].decode("latin-1"))
            data = data[found.end() :]
            if self.status >= 200:
                self._buffer = b""
                return data
            # Interim answer (100 Continue): the real one follows.
            self.status = 0
            start = 0

    def _read_head(self, head: str) -> None:
        line, _, fields = head.partition("\n")
        match = _STATUS_LINE.fullmatch(line.rstrip("\r"))
        if match is None:
            raise ProtocolError(f"no HTTP answer: status line {line[:40]!r}")
        self.status = int(match[2])
        if self.status == 101:
            raise ProtocolError("device switches protocols unasked")
        if self.status < 200:
            return
        self._head = fields
        headers: dict[str, str] = {}
        for name, value in _split_head(fields):
            if name not in headers:
                headers[name] = value
            elif name == "www-authenticate" and value[:6].lower() == "digest":
                headers[name] = f"{value}, {headers[name]}"
            else:
                headers[name] = f"{headers[name]}, {value}"
        self.headers = headers
        connection = headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection if match[1] == "1" else "keep-alive" in connection
        self._choose_framing(headers)

    def _choose_framing(self, headers: dict[str, str]) -> None:
        coding = headers.get("transfer-encoding", "identity").lower()
        length = headers.get("content-length")
        if self._no_body or self.status in (204, 304):
            self._finish()
        elif coding == "chunked":
            self._state = _CHUNK_SIZE
            if length is not None:
                self.keep_alive = False
        elif coding != "identity":
            raise ProtocolError(f"unknown transfer encoding {coding[:40]!r}")
        elif length is None:
            self._state = _TO_EOF
            self.keep_alive = False
        else:
            self._left = _content_length(length)
            if self._left > self._max_body:
                raise TooLarge(f"answer of {self._left} bytes, more than {self._max_body}")
            self._state = _FIXED
            if self._left == 0:
                self._finish()

    # --- body ---

    def _feed_fixed(self, data: bytes) -> bool:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            self._chunks.append(data)
            return False
        if left < 0:
            self.keep_alive = False
            data = data[:left]
        self._chunks.append(data)
        self._finish()
        return True

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_body:
            raise TooLarge(f"answer of more than {self._max_body} bytes")
        self._chunks.append(data)

    def _feed_chunked(self, data: bytes) -> bool:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = 0
        while self._state != _DONE:
            if self._state == _CHUNK_DATA:
                piece = data[position : position + self._left]
                if not piece:
                    return False
                self._take(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left == 0:
                    self._state = _CHUNK_END
                continue
            end = data.find(b"\n", position)
            if (end if end >= 0 else len(data)) - position > _MAX_LINE:
                raise ProtocolError("chunked answer with an endless line")
            if end < 0:
                self._buffer = data[position:]
                return False
            self._chunk_line(data[position:end].rstrip(b"\r"), end + 1 - position)
            position = end + 1
        if position < len(data):
            self.keep_alive = False
        return True

    def _chunk_line(self, line: bytes, size: int) -> None:
        """Take a line between two chunks: a chunk's size, the line break behind it, or a trailer."""
        if self._state == _CHUNK_END:
            if line:
                raise ProtocolError("chunked answer: a chunk is longer than its size says")
            self._state = _CHUNK_SIZE
        elif self._state == _CHUNK_SIZE:
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise ProtocolError(f"chunked answer: {line[:16]!r} is no size")
            self._left = int(match[1], 16)
            if self._size + self._left > self._max_body:
                raise TooLarge(f"answer of more than {self._max_body} bytes")
            self._state = _CHUNK_DATA if self._left else _TRAILERS
        elif line:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                raise TooLarge(f"answer's head of more than {MAX_HEAD_BYTES} bytes")
        else:
            self._finish()

    def _finish(self) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        coding = self.headers.get("content-encoding")
        self.body = _decompress(body, coding.strip().lower(), self._max_body) if coding and body else body
        self._state = _DONE
        self.complete = True


def _split_head(fields: str) -> list[tuple[str, str]]:
    items: list[tuple[str, str]] = []
    for line in fields.split("\n") if fields else ():
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and items:
            # A folded line continues the one before it.
            items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}".strip())
        elif not colon or not name or name != name.strip():
            raise ProtocolError(f"no HTTP answer: header line {line[:40]!r}")
        else:
            items.append((name.lower(), value.strip()))
    return items


def _content_length(value: str) -> int:
    first, *others = (part.strip() for part in value.split(","))
    if not (first.isdecimal() and first.isascii()) or any(other != first for other in others):
        raise ProtocolError(f"Content-Length is {value[:40]!r}")
    if len(first) > _MAX_DIGITS:
        raise TooLarge(f"answer of {first[:40]} bytes")
    return int(first)


def _decompress(body: bytes, coding: str, max_body: int) -> bytes:
    if coding == "identity":
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ProtocolError(f"unknown content encoding {coding[:40]!r}")
    # 32 lets zlib tell gzip and zlib apart; some servers send "deflate" without the zlib header.
    raw = coding == "deflate" and body[0] & 0x0F != 8
    decoder = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
    try:
        data = decoder.decompress(body, max_body + 1)
    except zlib.error as error:
        raise ProtocolError(f"compressed answer is damaged: {error}") from error
    if len(data) > max_body:
        raise TooLarge(f"answer of more than {max_body} bytes")
    if not decoder.eof:
        raise ProtocolError("compressed answer is cut off")
    return data
