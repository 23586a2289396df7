"""Many hosts asked at once from one thread, for discovery: plain epoll instead of an asyncio transport for each.

What is asked is a script: a generator that yields requests and is sent an `Answer` or a `MinerError` for each. A
connection made for a single question costs less than half of what it costs on the event loop, and a search of
thousands of hosts holds up no poll.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Final, Generic, TypeVar

from exporter.drivers.api import Answer, HttpRequest, Request
from exporter.engine.exchange import Endpoint
from exporter.errors import MinerError, ProtocolError, RequestTimeoutError
from exporter.protocols.cgminer import MAX_REPLY_BYTES, ReplyReader, encode_command
from exporter.protocols.http1 import MAX_BODY_BYTES, ResponseParser, encode_request, host_header
from exporter.transports.cgminer import QUIET_SECONDS
from exporter.transports.connecting import connect_error, lost_error, place

T = TypeVar("T")

Script = Generator[Request, Answer | MinerError, T]
"""Yields requests, is sent what came of each, and returns a result. Requests are sent unsigned; any status is an
answer, and the body of a CGMiner reply stays raw."""

_AT_ONCE: Final = 200
_PIECE: Final = 65536
_TRIGGERS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
_BLOCKED: Final = frozenset({errno.EAGAIN, errno.EINPROGRESS})


class _Visit(Generic[T]):
    """One host: its script, the request under way, and the connection."""

    __slots__ = (
        "asked", "endpoint", "heard_at", "kept", "number", "parser", "payload", "port", "reader", "reused", "script",
        "sent", "sock",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint, script: Script[T]) -> None:
        self.endpoint = endpoint
        self.script = script
        self.asked = 0  # requests so far: tells a deadline whether it is still about this one
        self.heard_at = 0.0
        self.kept = False
        self.number = -1
        self.parser: ResponseParser | None = None
        self.payload = b""
        self.port = 0
        self.reader: ReplyReader | None = None
        self.reused = False
        self.sent = False
        self.sock: socket.socket | None = None

    def disconnect(self) -> None:
        self.kept = False
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Batch(Generic[T]):
    """Runs scripts, a bounded number at once. Blocking, so it belongs into a thread.

    Args:
        timeout: seconds for one request, connecting included.
        on_end: called in this thread with every host's result.
        at_once: hosts asked at the same time.
    """

    def __init__(
        self, *, timeout: float, on_end: Callable[[Endpoint, T], None], at_once: int = _AT_ONCE
    ) -> None:
        self._timeout = timeout
        self._on_end = on_end
        self._at_once = at_once
        self._epoll = select.epoll()
        self._visits: dict[int, _Visit[T]] = {}
        self._running = 0
        self._deadlines: deque[tuple[float, int, _Visit[T]]] = deque()
        self._quiet: deque[tuple[float, int, _Visit[T]]] = deque()

    def run(self, scripts: Iterable[tuple[Endpoint, Script[T]]], stop: threading.Event | None = None) -> None:
        """Run all scripts to their ends; a set `stop` drops what is under way."""
        waiting = iter(scripts)
        more = True
        try:
            while (more or self._running) and not (stop is not None and stop.is_set()):
                while more and self._running < self._at_once:
                    entry = next(waiting, None)
                    if entry is None:
                        more = False
                        break
                    self._running += 1
                    self._go_on(_Visit(*entry), None)
                self._collect()
        finally:
            for visit in list(self._visits.values()):
                visit.disconnect()
            self._epoll.close()

    # --- scripts ---

    def _go_on(self, visit: _Visit[T], came: Answer | MinerError | None) -> None:
        """Hand over what came of a request and begin the next one, until one is under way or the script ends."""
        while True:
            try:
                request = next(visit.script) if came is None else visit.script.send(came)
            except StopIteration as end:
                self._leave(visit)
                self._running -= 1
                self._on_end(visit.endpoint, end.value)
                return
            try:
                self._ask(visit, request)
            except MinerError as error:
                came = error
            else:
                return

    def _ask(self, visit: _Visit[T], request: Request) -> None:
        endpoint = visit.endpoint
        visit.asked += 1
        visit.sent = False
        if isinstance(request, HttpRequest):
            port = request.port or endpoint.http_port
            visit.parser, visit.reader = ResponseParser(request.method, MAX_BODY_BYTES), None
            headers = request.headers
            if request.body is not None:
                headers = (*headers, ("Content-Type", request.content_type))
            visit.payload = encode_request(
                request.method, request.path, host_header(endpoint.address, port), headers=headers, body=request.body
            )
        else:
            port = request.port or endpoint.api_port
            visit.parser, visit.reader = None, ReplyReader(MAX_REPLY_BYTES)
            visit.payload = encode_command(request.command, request.parameter, text=request.text)
        self._deadlines.append((time.monotonic() + self._timeout, visit.asked, visit))
        visit.reused = visit.kept and visit.parser is not None and port == visit.port
        visit.port = port
        if visit.reused:
            self._send(visit)
        else:
            self._connect(visit)

    def _connect(self, visit: _Visit[T]) -> None:
        self._leave(visit)
        address = visit.endpoint.address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise connect_error(error) from error
        code = sock.connect_ex((address, visit.port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            raise connect_error(OSError(code, errno.errorcode.get(code, "unreachable")))
        visit.sock, visit.number = sock, sock.fileno()
        self._visits[visit.number] = visit
        self._epoll.register(visit.number, _TRIGGERS)

    def _leave(self, visit: _Visit[T]) -> None:
        if visit.sock is not None:
            self._visits.pop(visit.number, None)
            visit.disconnect()

    # --- events ---

    def _collect(self) -> None:
        pause = 0.2
        now = time.monotonic()
        for queue in (self._deadlines, self._quiet):
            if queue:
                pause = min(pause, max(0.0, queue[0][0] - now))
        for number, _ in self._epoll.poll(pause + 0.001, 512):
            visit = self._visits.get(number)
            if visit is not None:
                self._event(visit)
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, asked, visit = self._deadlines.popleft()
            if visit.asked == asked and visit.sock is not None and not visit.kept:
                self._failed(visit, RequestTimeoutError("no whole answer in time"))
        while self._quiet and self._quiet[0][0] <= now:
            _, asked, visit = self._quiet.popleft()
            if visit.asked == asked and visit.reader is not None:
                self._check_quiet(visit, now)

    def _event(self, visit: _Visit[T]) -> None:
        if visit.kept:
            # The device closed, or sent something nobody asked for: the next request takes a new connection.
            if _is_stale(visit.sock):
                self._leave(visit)
            return
        if not visit.sent:
            try:
                self._send(visit)
            except MinerError as error:
                self._failed(visit, error)
                return
            if not visit.sent:
                return
        self._read(visit)

    def _send(self, visit: _Visit[T]) -> None:
        visit.kept = False
        sock = visit.sock
        assert sock is not None
        try:
            done = sock.send(visit.payload)
        except OSError as error:
            if error.errno in _BLOCKED:
                return
            if visit.reused:
                self._connect_again(visit)
                return
            raise connect_error(error) from error
        visit.payload = visit.payload[done:]
        visit.sent = not visit.payload

    def _connect_again(self, visit: _Visit[T]) -> None:
        """The kept connection was closed before anything of an answer came: ask once more on a new one."""
        visit.reused = False
        visit.sent = False
        request_bytes = visit.payload
        self._connect(visit)
        visit.payload = request_bytes

    def _read(self, visit: _Visit[T]) -> None:
        sock = visit.sock
        assert sock is not None
        while True:
            try:
                data = sock.recv(_PIECE)
            except OSError as error:
                if error.errno not in _BLOCKED:
                    self._lost(visit, error)
                return
            try:
                if self._take(visit, data):
                    return
            except MinerError as error:
                self._failed(visit, error)
                return
            if len(data) < _PIECE:
                return  # an edge comes with more

    def _take(self, visit: _Visit[T], data: bytes) -> bool:
        """Take what arrived; True where the request is over."""
        parser, reader = visit.parser, visit.reader
        if parser is not None:
            if data:
                complete = parser.feed(data)
            else:
                if visit.reused and not parser.started:
                    self._lost(visit, None)
                    return True
                parser.eof()
                complete = True
            if complete:
                visit.kept = parser.keep_alive and bool(data)
                self._end(visit, Answer(parser.body, parser.status, parser.headers))
            return complete
        assert reader is not None
        if data:
            complete = reader.feed(data)
        else:
            reader.eof()
            complete = True
        if complete:
            self._end(visit, Answer(reader.body))
        else:
            if not visit.heard_at:
                self._quiet.append((time.monotonic() + QUIET_SECONDS, visit.asked, visit))
            visit.heard_at = time.monotonic()
        return complete

    def _check_quiet(self, visit: _Visit[T], now: float) -> None:
        """End a reply that is whole by its brackets once nothing has come for a while."""
        due = visit.heard_at + QUIET_SECONDS
        if due > now:
            self._quiet.append((due, visit.asked, visit))
        elif visit.reader is not None and visit.reader.balanced:
            self._end(visit, Answer(visit.reader.body))
        else:
            self._quiet.append((now + QUIET_SECONDS, visit.asked, visit))

    # --- outcomes ---

    def _lost(self, visit: _Visit[T], error: OSError | None) -> None:
        if visit.reused and visit.parser is not None and not visit.parser.started:
            visit.asked += 0
            self._retry(visit)
        elif visit.reader is not None and visit.reader.balanced:
            self._end(visit, Answer(visit.reader.body))
        else:
            self._failed(visit, lost_error(error))

    def _retry(self, visit: _Visit[T]) -> None:
        raise NotImplementedError

    def _end(self, visit: _Visit[T], answer: Answer) -> None:
        visit.heard_at = 0.0
        if not visit.kept:
            self._leave(visit)
        self._go_on(visit, answer)

    def _failed(self, visit: _Visit[T], error: MinerError) -> None:
        visit.heard_at = 0.0
        self._leave(visit)
        self._go_on(visit, type(error)(f"{place(visit.endpoint.address, visit.port)}: {error}"))
