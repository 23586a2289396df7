"""The lines on the control socket, without I/O.

One connection carries one command. Each line is a JSON object and ends with a line feed::

    request:  {"command": "scan", "arguments": {"networks": ["192.0.2.0/24"]}}
    replies:  {"progress": {...}}   any number of times, then one of
              {"result": ...}
              {"error": {"kind": "usage" | "internal", "message": "..."}}
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter.errors import FlockwatchError, UsageError

MAX_REQUEST_BYTES: Final = 1 << 20
#: A reply may be a whole list of miners.
MAX_REPLY_BYTES: Final = 64 << 20

#: Longest address of a UNIX socket on Linux, without the final NUL (unix(7)).
MAX_SOCKET_PATH_BYTES: Final = 107

#: Used where the path beside the database is too long. Fixed, not $XDG_RUNTIME_DIR or $TMPDIR: a service and the
#: shell of an administrator have different environments and must still meet.
_SHORT_DIRECTORY: Final = Path("/tmp")  # noqa: S108 - holds a private directory, whose owner both sides check

_USAGE: Final = "usage"
_INTERNAL: Final = "internal"


@dataclass(frozen=True, slots=True)
class Request:
    """A command with its arguments."""

    command: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command is."""

    progress: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gave."""

    result: Any


def socket_path(database_path: str | os.PathLike[str]) -> Path:
    """Where the control socket of a database is; the same for both sides.

    ``<database>.sock`` beside the (resolved) file, or, where that is longer than a socket address may be,
    ``/tmp/flockwatch-<hash of the path>/control.sock``.
    """
    database = Path(database_path).resolve()
    beside = database.with_name(database.name + ".sock")
    if len(os.fsencode(beside)) <= MAX_SOCKET_PATH_BYTES:
        return beside
    name = hashlib.sha256(os.fsencode(database)).hexdigest()[:24]
    return _SHORT_DIRECTORY / f"flockwatch-{name}" / "control.sock"


def is_private_directory(path: Path) -> bool:
    """Whether a directory for the socket is one that `socket_path` made up because the ordinary path is too long."""
    return path.parent == _SHORT_DIRECTORY and path.name.startswith("flockwatch-")


def encode_line(message: dict[str, Any]) -> bytes:
    """One line. Raises TypeError or ValueError for what JSON cannot hold (a `Secret`, for one)."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def encode_request(command: str, arguments: dict[str, Any]) -> bytes:
    return encode_line({"command": command, "arguments": arguments})


def encode_error(error: FlockwatchError) -> bytes:
    """The reply that makes the client raise `error` again: as a `UsageError`, or as a `FlockwatchError`."""
    kind = _USAGE if isinstance(error, UsageError) else _INTERNAL
    return encode_line({"error": {"kind": kind, "message": str(error)}})


def decode_request(line: bytes) -> Request:
    """Read a request.

    Raises:
        UsageError: it is none; says what is wrong.
    """
    document = _object(line, "the request")
    command, arguments = document.get("command"), document.get("arguments", {})
    if unknown := sorted(document.keys() - {"command", "arguments"}):
        raise UsageError(f"the request has an unknown key {unknown[0]!r}; it has command and arguments")
    if not isinstance(command, str) or not command:
        raise UsageError("the request names no command; send a text under the key command")
    if not isinstance(arguments, dict):
        raise UsageError("the arguments of the request are no JSON object")
    return Request(command, arguments)


def decode_reply(line: bytes) -> Progress | Result:
    """Read a reply.

    Raises:
        UsageError: the command failed with one, or the line is no reply.
        FlockwatchError: the command failed otherwise.
    """
    document = _object(line, "the reply")
    match document:
        case {"progress": dict(progress)}:
            return Progress(progress)
        case {"result": result}:
            return Result(result)
        case {"error": {"kind": str(kind), "message": str(message)}}:
            raise UsageError(message) if kind == _USAGE else FlockwatchError(message)
    raise UsageError("the running program sent a reply of another version; stop it and start this one")


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """(uid, pid) of the process at the other end of a UNIX socket (SO_PEERCRED, unix(7))."""
    layout = struct.Struct("3i")
    pid, uid, _gid = layout.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size))
    return uid, pid


def _object(line: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{what} is no JSON object")
    return document
