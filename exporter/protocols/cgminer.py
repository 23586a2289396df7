"""The CGMiner API (TCP 4028) as bytes and values: cgminer's API-README, and what firmwares made of it.

A request is one JSON object or ``command|parameter``; a reply ends with NUL, or with the connection, or with neither
(devices that keep the socket open). Joined commands (``summary+pools``) are answered by an object of replies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.errors import ProtocolError, TooLarge

#: The longest replies seen are about 50 KB (Avalon controllers with 25 modules).
MAX_REPLY_BYTES: Final = 2 * 1024 * 1024

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_OPENING: Final = b"{["
#: Codes of api.c that say the command itself was not taken: invalid command, invalid JSON, missing command, access
#: denied.
_REFUSED_CODES: Final = frozenset({14, 23, 24, 45})
_REFUSED_WORDS: Final = ("invalid command", "invalid cmd", "access denied", "permission denied", "unknown command")


def encode_command(command: str, parameter: str | None = None, *, text: bool = False) -> bytes:
    """The bytes of a request: JSON, or the plain-text form where `text` is set.

    Raises:
        ValueError: the command or the parameter holds a NUL or a line break, or the command a ``|``.
    """
    if "|" in command or any(mark in f"{command}{parameter or ''}" for mark in "\0\r\n"):
        raise ValueError(f"not a CGMiner command: {command!r}")
    if text:
        return (command if parameter is None else f"{command}|{parameter}").encode()
    request = {"command": command} if parameter is None else {"command": command, "parameter": parameter}
    return json.dumps(request, separators=(",", ":")).encode()


class ReplyReader:
    """Collects a reply from any pieces.

    Attributes:
        complete: a NUL or the end of the connection was seen; further bytes are ignored.
    """

    __slots__ = ("_buffer", "_max_bytes", "complete")

    def __init__(self, max_bytes: int = MAX_REPLY_BYTES) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self.complete = False

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True when the reply is complete.

        Raises:
            TooLarge: the reply is longer than `max_bytes`.
        """
        if self.complete:
            return True
        if not self._buffer:
            data = data.lstrip(b"\0")
        end = data.find(b"\0")
        if end >= 0:
            self.complete = True
            data = data[:end]
        if len(self._buffer) + len(data) > self._max_bytes:
            raise TooLarge(f"reply of more than {self._max_bytes} bytes")
        self._buffer += data
        return self.complete

    def eof(self) -> None:
        """The device closed the connection.

        Raises:
            ProtocolError: it sent nothing.
        """
        if not self._buffer:
            raise ProtocolError("empty reply")
        self.complete = True

    @property
    def balanced(self) -> bool:
        """Whether what has arrived is a whole JSON value by its brackets, or a text reply that ends with ``|``.

        For devices that send no NUL and keep the socket open: together with a quiet time it ends the reply.
        """
        body = bytes(self._buffer.strip())
        if not body:
            return False
        if body[0] not in _OPENING:
            return body.endswith(b"|")
        rest = _STRING.sub(b"", body)
        return rest.count(b"{") == rest.count(b"}") and rest.count(b"[") == rest.count(b"]")

    @property
    def body(self) -> bytes:
        """The reply so far, without its NUL."""
        return bytes(self._buffer)


@dataclass(frozen=True, slots=True)
class ReplyStatus:
    """The STATUS of a reply. `letter` is S success, I info, W warning, E error or F fatal."""

    letter: str
    code: int | None = None
    message: str | None = None


def reply_status(document: Any) -> ReplyStatus | None:
    """The STATUS of a single reply, however it is written; None where there is none.

    It is a list of one object (cgminer), an object (``stats.cgi`` of stock Antminers) or a letter beside ``Code`` and
    ``Msg`` (Whatsminer).
    """
    if not isinstance(document, Mapping):
        return None
    status = document.get("STATUS")
    if isinstance(status, list):
        status = next((item for item in status if isinstance(item, Mapping)), None)
    if isinstance(status, str):
        status = document
    if not isinstance(status, Mapping):
        return None
    letter = status.get("STATUS")
    if not isinstance(letter, str) or letter.strip()[:1].upper() not in ("S", "I", "W", "E", "F"):
        return None
    message = status.get("Msg")
    return ReplyStatus(
        letter.strip()[:1].upper(), _code(status.get("Code")), message if isinstance(message, str) else None
    )


def _code(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value.strip()[:9])
    return value if isinstance(value, int) else None


def refused(document: Any) -> bool:
    """Whether the device did not take the command: unknown, malformed for it, access denied, or a fatal status.

    VNish 1.2 says "Invalid command" with code 0. Other errors ("No pools", code 8) are answers.
    """
    status = reply_status(document)
    if status is None or status.letter not in ("E", "F"):
        return False
    if status.letter == "F" or status.code in _REFUSED_CODES:
        return True
    words = (status.message or "").lower()
    return any(mark in words for mark in _REFUSED_WORDS)


def split_joined(document: Any, commands: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The single replies inside the reply to a joined command, by command.

    A command the device left out is missing; one it refused is there with its STATUS (see `refused`). A joined command
    refused as a whole, or answered as if only one command had been sent, gives nothing: ask one by one.
    """
    wanted = tuple(commands)
    if not isinstance(document, Mapping):
        return {}
    if len(wanted) == 1 and isinstance(document, dict) and "STATUS" in document:
        return {wanted[0]: document}
    lower = {key.lower(): value for key, value in document.items()}
    replies: dict[str, dict[str, Any]] = {}
    for command in wanted:
        reply = document.get(command, lower.get(command.lower()))
        if isinstance(reply, list) and len(reply) == 1:
            reply = reply[0]
        if isinstance(reply, dict) and "STATUS" in reply:
            replies[command] = reply
    return replies


#: Names of sections in the JSON form where the text form names each record instead.
_SECTIONS: Final = {"POOL": "POOLS", "ASC": "DEVS", "PGA": "DEVS", "GPU": "DEVS", "CPU": "DEVS"}
#: The whole reply to ``restart`` and ``quit``, where the JSON form has an object.
_LAST_WORDS: Final = frozenset({"RESTART", "BYE"})
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_text_reply(body: bytes) -> dict[str, Any]:
    """Parse ``STATUS=S,When=..,Code=11,..|SUMMARY,Elapsed=..,..|`` into the shape of the JSON form.

    Each section is a list of records; all values are text. Records ``POOL=0`` are under "POOLS", ``ASC=0`` and
    ``PGA=0`` under "DEVS". A joined reply (``CMD=summary|STATUS=..``) gives an object of lists of one reply, the bare
    ``RESTART`` the object that the JSON form has for it.

    Raises:
        ValueError: it begins with neither STATUS nor CMD.
    """
    text = body.decode(errors="replace").strip("\0 \t\r\n")
    if text in _LAST_WORDS:
        return {"STATUS": text}
    if not text.startswith(("STATUS=", "CMD=")):
        raise ValueError("no CGMiner text reply: does not begin with STATUS=")
    joined: dict[str, Any] = {}
    reply: dict[str, Any] = {}
    for section in _split(text, "|"):
        if not section.strip():
            continue
        name, record = _record(section.strip("\r\n"))
        if name == "CMD":
            reply = {}
            joined[record["CMD"]] = [reply]
        else:
            reply.setdefault(_SECTIONS.get(name, name), []).append(record)
    return joined or reply


def _record(section: str) -> tuple[str, dict[str, str]]:
    """The name of a section and its fields; the first field is kept where it carries a value (``POOL=0``)."""
    name = ""
    last = ""
    record: dict[str, str] = {}
    for index, field in enumerate(_split(section, ",")):
        key, equals, value = _partition(field)
        if index == 0:
            name = key
        if equals:
            last = key
            record[key] = value
        elif last:
            # A comma the firmware did not escape.
            record[last] += f",{key}"
    return name, record


def _split(text: str, mark: str) -> list[str]:
    """Split at each `mark` that no backslash escapes; escapes stay."""
    if "\\" not in text:
        return text.split(mark)
    pieces: list[str] = []
    start = 0
    for match in re.finditer(rf"\\.|{re.escape(mark)}", text, re.DOTALL):
        if match[0] == mark:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]]


def _partition(field: str) -> tuple[str, str, str]:
    key, *rest = _split(field, "=")
    value = "=".join(rest)
    return _ESCAPED.sub(r"\1", key), "=" if "=" in field and rest else "", _ESCAPED.sub(r"\1", value)
