"""The other end of the control socket: what a second command uses while the program runs."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

from exporter.control.protocol import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    Progress,
    Result,
    decode_reply,
    encode_request,
    peer_of,
    socket_path,
)
from exporter.errors import FlockwatchError, UsageError

CONNECT_TIMEOUT: Final = 5.0
#: Seconds without any line from the program after which it is taken for stuck.
CALL_TIMEOUT: Final = 60.0


class ControlClient:
    """Sends commands to the program that has a database open. Blocking; each call has a connection of its own."""

    def __init__(self, database: Path) -> None:
        self._database = database

    @classmethod
    def connect(cls, database_path: str | os.PathLike[str]) -> Self | None:
        """A client for the program that has this database open; None where none answers.

        Raises:
            UsageError: there is one, but it belongs to another user.
        """
        database = Path(database_path).resolve()
        connection = _connect(database)
        if connection is None:
            return None
        connection.close()
        return cls(database)

    def call(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        timeout: float | None = CALL_TIMEOUT,
    ) -> Any:
        """Run a command and return its result.

        Args:
            command: its name.
            arguments: JSON values.
            on_progress: called with each piece of progress.
            timeout: seconds without any line after which the call is given up (and the command cancelled); None
                waits for ever.

        Raises:
            UsageError: the person can mend it: a bad argument, an unknown command, no program any more.
            FlockwatchError: the command failed, or the program does not answer.
        """
        request = encode_request(command, arguments or {})
        if len(request) > MAX_REQUEST_BYTES:
            raise UsageError(f"the arguments of {command} are longer than {MAX_REQUEST_BYTES} bytes")
        connection = _connect(self._database)
        if connection is None:
            raise UsageError("the running program has ended meanwhile; try again")
        with connection:
            connection.settimeout(timeout)
            for reply in _replies(connection, request, command):
                if isinstance(reply, Result):
                    return reply.result
                if on_progress is not None:
                    on_progress(reply.progress)
        raise FlockwatchError(f"the running program ended before it answered {command}")


def _connect(database: Path) -> socket.socket | None:
    path = socket_path(database)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(CONNECT_TIMEOUT)
        connection.connect(os.fspath(path))
        _check_peer(connection, path, database)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        return None
    except PermissionError as error:
        connection.close()
        raise UsageError(f"{path}: the running program belongs to another user; use its account or root") from error
    except OSError as error:
        connection.close()
        raise FlockwatchError(f"{path}: the running program does not answer: {error}") from error
    except UsageError:
        connection.close()
        raise
    return connection


def _check_peer(connection: socket.socket, path: Path, database: Path) -> None:
    """Passwords may go this way, so the other end must be ourselves, root or the owner of the database."""
    uid, pid = peer_of(connection)
    if uid not in (os.geteuid(), 0) and uid != database.stat().st_uid:
        raise UsageError(f"{path}: process {pid} of a strange user ({uid}) answers there; remove the socket")


def _replies(connection: socket.socket, request: bytes, command: str) -> Iterator[Progress | Result]:
    """What comes back until the other end closes."""
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)  # a program that refuses early has answered already
        with connection.makefile("rb") as stream:
            while (line := stream.readline(MAX_REPLY_BYTES)).endswith(b"\n"):
                yield decode_reply(line)
    except TimeoutError as error:
        patience = connection.gettimeout() or 0.0
        raise FlockwatchError(f"the running program gave no answer to {command} for {patience:g} s") from error
    except OSError as error:
        raise FlockwatchError(f"the running program broke off while it answered {command}") from error
