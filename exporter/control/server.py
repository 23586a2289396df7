"""The running program's end of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from exporter.control.protocol import (
    MAX_REQUEST_BYTES,
    Request,
    decode_request,
    encode_error,
    encode_line,
    is_private_directory,
    peer_of,
)
from exporter.errors import FlockwatchError, StoreError, UsageError

log = logging.getLogger(__name__)

#: `async (arguments, progress) -> result`; arguments and result are JSON values. `progress` may be called any number
#: of times with a JSON object. What a handler raises goes back to the client: a `FlockwatchError` with its message,
#: anything else as "see the log". A handler is cancelled when its client goes away.
Handler = Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], Awaitable[Any]]

#: Seconds for a client to send its request, and to take what it is sent.
REQUEST_TIMEOUT: Final = 10.0
SEND_TIMEOUT: Final = 30.0
MAX_CLIENTS: Final = 16
#: Progress is left out while a client that does not read has this much waiting for it.
_MAX_WAITING: Final = 1 << 20


class ControlServer:
    """Serves commands on the socket at `path` (from `protocol.socket_path`).

    Only the owner of the process and root are answered. Start it while holding the database's lock: a socket that
    nobody answers is then known to be left by a dead process and is replaced.

    Args:
        path: where the socket will be; mode 0600.
        handlers: by command.
        request_timeout: seconds for a client to send its request.
    """

    def __init__(
        self, path: Path, handlers: Mapping[str, Handler], *, request_timeout: float = REQUEST_TIMEOUT
    ) -> None:
        self.path = path
        self._handlers = dict(handlers)
        self._request_timeout = request_timeout
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._clients: dict[asyncio.Future[None], socket.socket] = {}

    async def start(self) -> None:
        """Listen.

        Raises:
            StoreError: a living process listens there, something else is in the way, or the socket cannot be made.
        """
        self._listener = _listen(self.path)
        status = self.path.stat()
        self._inode = (status.st_dev, status.st_ino)
        self._wait_for_clients()

    async def close(self) -> None:
        """Stop listening, cancel the running commands and remove the socket. A second call does nothing."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()
        clients = dict(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for connection in clients.values():
            connection.close()  # a task that is cancelled before it starts does not
        with contextlib.suppress(FileNotFoundError):
            status = self.path.lstat()
            if (status.st_dev, status.st_ino) == self._inode:
                self.path.unlink()

    # Not asyncio's own server: up to 3.12 it loses a connection that arrives while it is closed.

    def _wait_for_clients(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("control: no connection can be accepted: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(1.0, self._wait_for_clients)
            return
        connection.setblocking(False)
        task = asyncio.ensure_future(self._attend(connection))
        self._clients[task] = connection
        task.add_done_callback(self._clients.pop)

    async def _attend(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_REQUEST_BYTES)
        try:
            if self._welcome(writer):
                await self._serve(reader, writer)
        except (ConnectionError, TimeoutError) as error:
            log.info("control: the client went away: %s", error or "it does not read")
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _welcome(self, writer: asyncio.StreamWriter) -> bool:
        uid, pid = peer_of(writer.get_extra_info("socket"))
        if uid not in (os.geteuid(), 0):
            log.warning("control: process %d of user %d was turned away", pid, uid)
            return False
        if len(self._clients) > MAX_CLIENTS:
            writer.write(encode_error(UsageError("too many commands at the same time; try again when one is done")))
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._request_timeout):
                line = await reader.readline()
            if not line:
                return  # only looked whether somebody is here
            request = decode_request(line)
            handler = self._handler(request)
        except TimeoutError:
            reply = encode_error(UsageError(f"no request came within {self._request_timeout:g} s"))
        except ValueError:
            reply = encode_error(UsageError(f"the request is longer than {MAX_REQUEST_BYTES} bytes"))
        except UsageError as error:
            reply = encode_error(error)
        else:
            reply = await self._run(request, handler, reader, writer)
        writer.write(reply)
        async with asyncio.timeout(SEND_TIMEOUT):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _handler(self, request: Request) -> Handler:
        handler = self._handlers.get(request.command)
        if handler is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            raise UsageError(f"the running program knows no command {request.command[:64]!r}; it knows: {known}")
        return handler

    async def _run(
        self, request: Request, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """The reply to a command. Ends with `ConnectionError` when the client goes away first."""
        uid, pid = peer_of(writer.get_extra_info("socket"))
        log.info("control: %s, asked for by user %d (process %d)", request.command, uid, pid)

        def progress(state: dict[str, Any]) -> None:
            line = encode_line({"progress": state})
            if not writer.is_closing() and writer.transport.get_write_buffer_size() < _MAX_WAITING:
                writer.write(line)

        command = asyncio.ensure_future(_call(handler, request.arguments, progress))
        client = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({command, client}, return_when=asyncio.FIRST_COMPLETED)
            if not command.done():
                raise ConnectionAbortedError(f"{request.command} is cancelled")
            return _reply(request.command, command)
        finally:
            for task in (command, client):
                task.cancel()
            await asyncio.gather(command, client, return_exceptions=True)


async def _call(handler: Handler, arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> bytes:
    return encode_line({"result": await handler(arguments, progress)})


def _reply(command: str, task: asyncio.Future[bytes]) -> bytes:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        return task.result()
    if isinstance(error, FlockwatchError):
        return encode_error(error)
    log.error("control: %s failed", command, exc_info=error)
    return encode_error(FlockwatchError(f"{command} failed inside the running program; its log says why"))


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path` that nobody else could ever connect to."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        _prepare_directory(path.parent)
        _clear(path)
        # Linux gives the file the mode of the unbound socket; unlike the umask that is ours alone, not all threads'.
        os.fchmod(connection.fileno(), 0o600)
        connection.bind(os.fspath(path))
        path.chmod(0o600)
        connection.listen(MAX_CLIENTS)
    except StoreError:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise StoreError(
            f"{path}: the control socket cannot be made: {error.strerror or error}; put the database on a local disk"
        ) from error
    return connection


def _prepare_directory(directory: Path) -> None:
    """Make the short private directory where it is used, and refuse one that somebody else laid there."""
    if not is_private_directory(directory):
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreError(f"{directory}: belongs to somebody else; remove it, or choose a shorter database.path")


def _clear(path: Path) -> None:
    """Remove the socket of a dead process."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise StoreError(f"{path}: is in the way of the control socket and is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            log.info("%s was left by a process that was killed; it is replaced", path)
            path.unlink()
        except OSError as error:
            raise StoreError(f"{path}: cannot be used for the control socket: {error}; remove it") from error
        else:
            raise StoreError(f"{path}: another process answers on the control socket; stop it")
