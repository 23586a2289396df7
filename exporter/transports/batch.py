"""Many hosts asked at once from one thread, for discovery: plain epoll instead of an asyncio transport for each.

What a host is asked is a script (`exporter.engine.exchange.Script`), which is sent what came of each request. A
connection made for a single question costs half of what it costs on the event loop, and a search of thousands of hosts
holds up no poll.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from exporter.drivers.api import Answer, HttpRequest, Request
from exporter.engine.exchange import Endpoint, Script
from exporter.errors import MinerError, RequestTimeoutError, Unreachable
from exporter.protocols.cgminer import MAX_REPLY_BYTES, ReplyReader, encode_command
from exporter.protocols.http1 import MAX_BODY_BYTES, ResponseParser, encode_request, host_header
from exporter.transports.cgminer import QUIET_SECONDS
from exporter.transports.connecting import connect_error, is_literal, lost_error, place, refuse_metadata

T = TypeVar("T")

_AT_ONCE: Final = 200
_PIECE: Final = 65536
_EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_LAST: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
#: A stop is noticed within this.
_LONGEST_PAUSE: Final = 0.2


class _Visit(Generic[T]):
    """One host: its script, the request under way, and the connection."""

    __slots__ = (
        "asked",
        "endpoint",
        "heard_at",
        "http",
        "payload",
        "port",
        "request",
        "reused",
        "rpc",
        "script",
        "sock",
    )

    def __init__(self, endpoint: Endpoint, script: Script[T]) -> None:
        self.endpoint = endpoint
        self.script = script
        self.asked = 0  # counts requests, so that a deadline knows whether it is about this one
        self.heard_at = 0.0
        self.http: ResponseParser | None = None
        self.payload = b""  # what is still to be sent
        self.port = 0
        self.request: Request | None = None
        self.reused = False
        self.rpc = ReplyReader()
        self.sock: socket.socket | None = None


class Batch(Generic[T]):
    """Runs scripts, a bounded number at once. Blocking, so it belongs into a thread; for one use.

    Args:
        timeout: seconds for one request, connecting included.
        on_end: called in this thread with every host's result.
        at_once: hosts asked at the same time.
    """

    def __init__(self, *, timeout: float, on_end: Callable[[Endpoint, T], None], at_once: int = _AT_ONCE) -> None:
        self._timeout = timeout
        self._on_end = on_end
        self._at_once = at_once
        self._epoll = select.epoll()
        self._visits: dict[int, _Visit[T]] = {}  # by descriptor
        self._running = 0
        # In order of their times, since every request has the same one.
        self._deadlines: deque[tuple[float, int, _Visit[T]]] = deque()
        self._quiet: deque[tuple[float, int, _Visit[T]]] = deque()

    def run(self, scripts: Iterable[tuple[Endpoint, Script[T]]], stop: threading.Event | None = None) -> None:
        """Run all scripts to their ends; a set `stop` drops what is under way."""
        waiting = iter(scripts)
        entry = next(waiting, None)
        try:
            while entry is not None or self._running:
                if stop is not None and stop.is_set():
                    return
                while entry is not None and self._running < self._at_once:
                    self._running += 1
                    self._go_on(_Visit(*entry), None)
                    entry = next(waiting, None)
                if self._running:
                    self._collect()
        finally:
            for visit in list(self._visits.values()):
                self._leave(visit)
            self._epoll.close()

    def _go_on(self, visit: _Visit[T], came: Answer | MinerError | None) -> None:
        """Hand over what came of a request, and ask the next one or end."""
        while True:
            try:
                visit.request = next(visit.script) if came is None else visit.script.send(came)
            except StopIteration as end:
                self._leave(visit)
                self._running -= 1
                self._on_end(visit.endpoint, end.value)
                return
            self._deadlines.append((time.monotonic() + self._timeout, visit.asked + 1, visit))
            try:
                self._ask(visit, visit.request)
            except MinerError as error:
                self._leave(visit)
                came = error
            else:
                return

    # --- sending ---

    def _ask(self, visit: _Visit[T], request: Request) -> None:
        """Send `request` over the connection that is open, or over a new one."""
        endpoint = visit.endpoint
        visit.asked += 1
        visit.heard_at = 0.0
        if isinstance(request, HttpRequest):
            port = request.port or endpoint.http_port
            headers = request.headers
            if request.body is not None:
                headers = (*headers, ("Content-Type", request.content_type))
            host = host_header(endpoint.address, port)
            visit.http = ResponseParser(request.method, MAX_BODY_BYTES)
            visit.payload = encode_request(request.method, request.path, host, headers=headers, body=request.body)
        else:
            port = request.port or endpoint.api_port
            visit.http = None
            visit.rpc = ReplyReader(MAX_REPLY_BYTES)
            visit.payload = encode_command(request.command, request.parameter, text=request.text)
        visit.reused = visit.sock is not None and visit.http is not None and port == visit.port
        visit.port = port
        if visit.reused:
            self._send(visit)
        else:
            self._connect(visit)

    def _connect(self, visit: _Visit[T]) -> None:
        self._leave(visit)
        address = visit.endpoint.address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if not is_literal(family, address):
            raise Unreachable("no IP address")  # a look-up would hold up all others
        refuse_metadata(address)
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise connect_error(error) from error
        try:
            code = sock.connect_ex((address, visit.port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError as error:
            sock.close()
            raise connect_error(error) from error
        visit.sock = sock
        self._visits[sock.fileno()] = visit
        self._epoll.register(sock.fileno(), _EVENTS)

    def _leave(self, visit: _Visit[T]) -> None:
        sock, visit.sock = visit.sock, None
        if sock is not None:
            del self._visits[sock.fileno()]
            sock.close()

    def _send(self, visit: _Visit[T]) -> None:
        assert visit.sock is not None
        try:
            done = visit.sock.send(visit.payload)
        except BlockingIOError:
            return
        except OSError as error:
            if not visit.reused:
                raise connect_error(error) from error
            self._ask_anew(visit)
            return
        visit.payload = visit.payload[done:]

    def _ask_anew(self, visit: _Visit[T]) -> None:
        """The device has closed the kept connection before it answered: a new one tells whether it is there."""
        assert visit.request is not None
        self._leave(visit)
        self._ask(visit, visit.request)
        self._deadlines.append((time.monotonic() + self._timeout, visit.asked, visit))

    # --- receiving ---

    def _collect(self) -> None:
        now = time.monotonic()
        pause = min([_LONGEST_PAUSE, *(queue[0][0] - now for queue in (self._deadlines, self._quiet) if queue)])
        for number, events in self._epoll.poll(max(0.0, pause), 512):
            visit = self._visits.get(number)
            if visit is None:
                continue
            came = self._came(visit, events)
            if came is not None:
                self._over(visit, came)
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, asked, visit = self._deadlines.popleft()
            if visit.asked == asked and visit.sock is not None:
                self._over(visit, RequestTimeoutError("no whole answer in time"))
        while self._quiet and self._quiet[0][0] <= now:
            _, asked, visit = self._quiet.popleft()
            if visit.asked == asked and visit.sock is not None:
                self._check_quiet(visit, now)

    def _over(self, visit: _Visit[T], came: Answer | MinerError) -> None:
        """A request is over; only a whole HTTP answer keeps its connection."""
        if isinstance(came, MinerError):
            self._leave(visit)
            came = type(came)(f"{place(visit.endpoint.address, visit.port)}: {came}")
        elif visit.http is None or not visit.http.keep_alive:
            self._leave(visit)
        self._go_on(visit, came)

    def _came(self, visit: _Visit[T], events: int) -> Answer | MinerError | None:
        """What came of the request; None while it is under way."""
        try:
            if visit.payload:
                self._send(visit)
                if visit.payload or not events & select.EPOLLIN:
                    return None
            return self._read(visit, last=bool(events & _LAST))
        except MinerError as error:
            return error

    def _read(self, visit: _Visit[T], *, last: bool) -> Answer | None:
        while True:
            assert visit.sock is not None
            try:
                data = visit.sock.recv(_PIECE)
            except BlockingIOError:
                return None
            except OSError as error:
                return self._closed(visit, error)
            if not data:
                return self._closed(visit, None)
            if visit.http is not None:
                if visit.http.feed(data):
                    return Answer(visit.http.body, visit.http.status, visit.http.headers)
            elif visit.rpc.feed(data):
                return Answer(visit.rpc.body)
            else:
                self._heard(visit)
            if len(data) < _PIECE and not last:
                return None  # an edge comes with more

    def _closed(self, visit: _Visit[T], error: OSError | None) -> Answer | None:
        """The device ended the connection, with an error or in order."""
        if visit.http is not None:
            if visit.reused and not visit.http.started:
                self._ask_anew(visit)
                return None
            if error is None:
                visit.http.eof()
                return Answer(visit.http.body, visit.http.status, visit.http.headers)
        elif error is None:
            visit.rpc.eof()
            return Answer(visit.rpc.body)
        elif visit.rpc.balanced:  # some devices reset the connection behind a whole reply
            return Answer(visit.rpc.body)
        raise lost_error(error)

    def _heard(self, visit: _Visit[T]) -> None:
        now = time.monotonic()
        if not visit.heard_at:
            self._quiet.append((now + QUIET_SECONDS, visit.asked, visit))
        visit.heard_at = now

    def _check_quiet(self, visit: _Visit[T], now: float) -> None:
        """End a reply without a NUL that is whole by its brackets once nothing has come for a while."""
        if visit.heard_at + QUIET_SECONDS <= now and visit.rpc.balanced:
            self._over(visit, Answer(visit.rpc.body))
        else:
            self._quiet.append((now + QUIET_SECONDS, visit.asked, visit))
