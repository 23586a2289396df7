"""A small, bounded HTTP server for WSGI applications: cheroot with limits that a slow or silent client cannot stretch.

cheroot bounds each single read and write; a client that sends one byte now and then could still hold a thread for
hours. Here every request has a deadline for being read and one for being answered, and the TLS handshake is part of
the first, on the worker's thread.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from cheroot import errors, makefile, server, wsgi
from cheroot.ssl import Adapter

from exporter import __version__
from exporter.errors import FlockwatchError, UsageError

log = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Seconds for one read or write to move on, for a whole request to arrive, and for its answer to be taken.
STALL_SECONDS: Final = 10.0
REQUEST_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 120.0
#: Seconds for a client that is answered before it has sent everything to stop sending and read the answer.
LINGER_SECONDS: Final = 5.0
THREADS: Final = 8
#: Bytes of a request's body, where nothing else is said.
LARGEST_BODY: Final = 64 * 1024
#: Connections that may wait for a thread; more get 503.
WAITING: Final = 64


class _Deadline:
    """How long a connection may still take."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self.allow(REQUEST_SECONDS)

    def allow(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds for the next read or write.

        Raises:
            TimeoutError: the time is over; in words that cheroot knows as the client's fault.
        """
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("timed out")
        return min(left, STALL_SECONDS)


class _Wire(io.RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, sock: Any, deadline: _Deadline) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        try:
            return int(self._sock.recv_into(buffer))
        except TimeoutError:
            raise TimeoutError("timed out") from None
        except ssl.SSLError as error:
            raise errors.FatalSSLAlert(str(error)) from error


class _Reader(makefile.StreamReader):
    """cheroot's reader over a `_Wire`."""

    def __init__(self, sock: Any, deadline: _Deadline) -> None:
        # The initialiser of StreamReader builds its own raw stream; that of its base takes ours.
        super(makefile.StreamReader, self).__init__(_Wire(sock, deadline), io.DEFAULT_BUFFER_SIZE)
        self.bytes_read = 0


class _Writer:
    """Writes to a socket until the deadline, without the copies cheroot's own writer makes of what is left over."""

    def __init__(self, sock: Any, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.left())
            try:
                view = view[self._sock.send(view) :]
            except TimeoutError:
                raise TimeoutError("timed out") from None
            except ssl.SSLError as error:
                raise errors.FatalSSLAlert(str(error)) from error
        return len(data)


class _Request(server.HTTPRequest):
    """A request whose body is refused, where it is too large, in the words of the application."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.request = self

    @property
    def unread(self) -> bool:
        """Whether the client may be sending more than was read: the request was refused, or its body not wanted."""
        if not self.ready:
            return self.started_request
        if self.chunked_read:
            return not getattr(self.rfile, "closed", False)
        return int(getattr(self.rfile, "remaining", 0)) > 0

    def simple_response(self, status: int | str, msg: str = "") -> None:
        """As cheroot's, which has plain text for everything."""
        refusal = self.server.too_large
        if refusal is None or not str(status).startswith("413"):
            super().simple_response(status, msg)
            return
        self.close_connection = True  # the body is not read
        content_type, body = refusal
        head = (
            f"{self.server.protocol} 413 Content Too Large\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        try:
            self.conn.wfile.write(head.encode("ascii") + body)
        except OSError as error:
            log.debug("a client has left: %s", error)


class _Connection(server.HTTPConnection):
    """A connection whose requests and answers have deadlines, and whose clients get to read a refusal."""

    RequestHandlerClass = _Request
    request: _Request | None = None

    def __init__(self, owner: Any, sock: Any, _: Any = None) -> None:
        self._deadline = _Deadline()
        super().__init__(owner, sock, self._stream)

    def _stream(self, sock: Any, mode: str, _: int) -> _Reader | _Writer:
        return _Reader(sock, self._deadline) if "r" in mode else _Writer(sock, self._deadline)

    def communicate(self) -> bool:
        self._deadline.allow(REQUEST_SECONDS)
        try:
            keep = bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            request, self.request = self.request, None
        if request is not None and request.unread:
            self._linger()
            return False  # what is left of the body would be read as the next request
        return keep

    def _linger(self) -> None:
        """End our side and take what still comes: a close over unread bytes would reset the connection, and the
        client might never see the answer (RFC 9112, section 9.6)."""
        self._deadline.allow(LINGER_SECONDS)
        try:
            self.socket.shutdown(socket.SHUT_WR)
            while self.rfile.read1(io.DEFAULT_BUFFER_SIZE):
                pass
        except (OSError, errors.FatalSSLAlert) as error:
            log.debug("a client was answered while it was sending: %s", error)

    def answering(self) -> None:
        """The request has arrived; from here on the answer's time counts."""
        self._deadline.allow(ANSWER_SECONDS)


class _Gateway(wsgi.Gateway_10):
    def respond(self) -> None:
        self.req.conn.answering()
        try:
            super().respond()
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            # cheroot would end the whole server (KeyboardInterrupt, SystemExit) or leave the client without an answer.
            # Signals reach the main thread only, so nobody means the program here.
            raise RuntimeError(f"a request was ended by {error!r}") from error


class _Server(wsgi.Server):
    """cheroot's server with our connections, quiet on standard error."""

    ConnectionClass = _Connection
    max_request_header_size = 32 * 1024
    too_large: tuple[str, bytes] | None = None

    def bind(self, family: int, type: int, proto: int = 0) -> Any:  # noqa: A002 - cheroot's name
        """As cheroot's, but a socket that cannot be bound is closed."""
        made = self.prepare_socket(self.bind_addr, family, type, proto, self.nodelay, self.ssl_adapter, False)
        try:
            self.socket = self.bind_socket(made, self.bind_addr)  # type: ignore[no-untyped-call]
        except OSError:
            made.close()
            raise
        self.bind_addr = self.resolve_real_bind_addr(made)  # type: ignore[no-untyped-call]
        return made

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        # What a client does wrong is its own affair; a fault in the application arrives as an error.
        log.log(level if level >= logging.ERROR else logging.DEBUG, "%s", msg, exc_info=traceback)


class _TlsAdapter(Adapter):
    """Wraps accepted sockets; the handshake happens at the first read, so it cannot hold up the accepting thread."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(None, None)
        self.context = context

    def bind(self, sock: Any) -> Any:
        return sock

    def wrap(self, sock: Any) -> tuple[Any, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, self.get_environ()

    def get_environ(self) -> dict[str, str]:
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        raise NotImplementedError("connections make their own streams")


class BoundedServer:
    """Serves a WSGI application on a thread of its own and workers.

    Args:
        app: the application.
        what: for messages ("the metrics listener").
        option: what changes the address, for messages ("--web.listen-address").
        tls: the TLS context, None for plain HTTP.
        largest_body: of a request, in bytes; a larger one is refused unread.
        too_large: content type and body of that refusal (413); None for plain text.
        threads: workers, each for one request at a time.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        what: str,
        option: str,
        tls: ssl.SSLContext | None = None,
        largest_body: int = LARGEST_BODY,
        too_large: tuple[str, bytes] | None = None,
        threads: int = THREADS,
    ) -> None:
        self._threads = threads
        self._largest_body = largest_body
        self._too_large = too_large
        self._app = app
        self._what = what
        self._option = option
        self._tls = tls
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self, address: str, port: int) -> None:
        """Bind and serve; an empty address is every interface, port 0 any free port.

        Raises:
            UsageError: the address is in use or not ours.
        """
        if self._server is not None:
            raise UsageError(f"{self._what} is started already")
        hosts = [address] if address else ["::", "0.0.0.0"]  # noqa: S104 - what an empty address means
        reasons = []
        for host in hosts:
            candidate = self._new_server(host, port)
            try:
                candidate.prepare()
            except OSError as error:
                candidate.stop()
                reasons.append(_reason(error))
                continue
            self._server = candidate
            self._thread = threading.Thread(target=candidate.serve, name=self._what, daemon=True)
            self._thread.start()
            return
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        raise UsageError(
            f"{self._what} cannot listen on {shown}: {reasons[-1]}; free the port or choose another by {self._option}"
        )

    def _new_server(self, host: str, port: int) -> Any:
        made = _Server(
            (host, port),
            self._app,
            numthreads=self._threads,
            max=self._threads,
            server_name=f"Flockwatch/{__version__}",
            request_queue_size=WAITING,
            accepted_queue_size=WAITING,
            accepted_queue_timeout=1,
            timeout=int(STALL_SECONDS),
            shutdown_timeout=2,
        )
        made.gateway = _Gateway
        made.max_request_body_size = self._largest_body
        made.too_large = self._too_large
        if self._tls is not None:
            made.ssl_adapter = _TlsAdapter(self._tls)
        return made

    @property
    def port(self) -> int:
        """The port in use; 0 before the start."""
        return 0 if self._server is None else int(self._server.bind_addr[1])

    def check(self) -> None:
        """Raise where the server has stopped by itself, so that the program does not go on half alive.

        Raises:
            FlockwatchError: it has; the log has the traceback.
        """
        if self._server is None or self._thread is None or (self._server.ready and self._thread.is_alive()):
            return
        # cheroot may still be at ending itself, and then has no more to say than an empty exception.
        reason = repr(self._server.interrupt)
        log.critical("%s has stopped by itself: %s", self._what, reason)
        raise FlockwatchError(f"{self._what} has stopped by itself ({reason}); the log tells more")

    def stop(self) -> None:
        """Stop serving and wait for the threads."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join(5.0)
        self._server = self._thread = None


def _reason(error: OSError) -> str:
    """The system's own words from cheroot's message: "address already in use"."""
    words = str(error).rpartition("[Errno ")[2]
    return words.partition("] ")[2].rstrip(")").lower() or str(error)
