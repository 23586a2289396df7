"""Faults of a device, switchable while it runs. What each one does stands in `FAULTS`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonpatch
import jsonpointer

FAULTS: Final[Mapping[str, str]] = {
    "slow": "answers after `seconds`",
    "cut": "closes the connection in the middle of the answer",
    "garbage": "sends random bytes instead of the answer",
    "wrong_types": "numbers of the answer become words and lists",
    "auth": "401 (or `status`) and access denied everywhere; with `password`, the password changes to it instead",
    "reboot": "refuses connections for `seconds`, then counts from zero",
    "vanish": "refuses connections (the host answers RST); with `silent` it drops them, as an absent host does",
    "port_flood": "endless bytes after any request",
    "half_open": "accepts connections and never answers",
    "stale_keepalive": "closes idle keep-alive connections after `seconds`, silently",
    "html": "200 with an HTML page instead of the answer",
    "truncated_json": "a complete message whose JSON ends early",
    "too_large": "an answer of `size` bytes",
    "ignores_writes": "says yes to every documented write and changes nothing",
    "patched": "changes answers by `patches`: JSON patches (RFC 6902) by HTTP path or CGMiner command",
    "refuses_writes": "403 (or `status`) to every HTTP request but GET and HEAD; what is read is as ever",
}
#: Seconds used where a fault is switched on without its own.
DEFAULT_SECONDS: Final[Mapping[str, float]] = {"slow": 3.0, "reboot": 5.0, "stale_keepalive": 0.05}
_OPTIONS: Final = frozenset({"seconds", "size", "password", "port", "status", "silent", "patches"})
CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is switched on. `port` limits it to "http" or "rpc"; None means both."""

    name: str
    seconds: float = 0.0
    size: int = 64 * 1024 * 1024
    password: str | None = None
    port: str | None = None
    status: int | None = None
    silent: bool = False
    patches: Mapping[str, jsonpatch.JsonPatch] = field(default_factory=dict)

    def on(self, port: str, *names: str) -> bool:
        """Whether this is one of `names` and holds on this port."""
        return self.name in names and self.port in (None, port)


def read_fault(name: str, options: Mapping[str, Any]) -> Fault:
    """A fault from its name and options.

    Raises:
        ValueError: an unknown name, option or port.
    """
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(FAULTS)}")
    unknown = set(options) - _OPTIONS
    if unknown:
        raise ValueError(f"fault {name}: unknown option {', '.join(sorted(unknown))}")
    port = options.get("port")
    if port not in (None, "http", "rpc"):
        raise ValueError(f"fault {name}: port must be http or rpc, not {port!r}")
    return Fault(
        name=name,
        seconds=float(options.get("seconds", DEFAULT_SECONDS.get(name, 0.0))),
        size=int(options.get("size", 64 * 1024 * 1024)),
        password=None if options.get("password") is None else str(options["password"]),
        port=port,
        status=None if options.get("status") is None else int(options["status"]),
        silent=bool(options.get("silent", False)),
        patches=read_patches(options.get("patches", {})),
    )


def read_patches(patches: Any) -> dict[str, jsonpatch.JsonPatch]:
    """JSON patches by the HTTP path ("/api/v1/summary") or command ("summary+pools") whose answer they change.

    Raises:
        ValueError: one is no list of operations of RFC 6902.
    """
    if not isinstance(patches, Mapping):
        raise ValueError("patches must be an object: HTTP path or command, and a list of operations")  # noqa: TRY004
    try:
        return {str(asked): jsonpatch.JsonPatch(list(operations)) for asked, operations in patches.items()}
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as error:
        raise ValueError(f"patches: {error}") from None


def garbage(length: int, seed: int) -> bytes:
    """Random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(length)


_WORDS = ("many", "n/a?", "twelve", "NULL!")


def twist(value: Any, seed: int = 0) -> Any:
    """`value` with every number replaced by a word or a list; the structure stays."""
    if isinstance(value, dict):
        return {key: twist(item, seed + index) for index, (key, item) in enumerate(value.items())}
    if isinstance(value, list):
        return [twist(item, seed + index) for index, item in enumerate(value)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value] if seed % 2 else _WORDS[seed % len(_WORDS)]
    return value


def wrong_types(body: bytes) -> bytes:
    """`body` with the types of its numbers changed; bytes that are no JSON come back as they are."""
    try:
        return json.dumps(twist(json.loads(body))).encode()
    except ValueError:
        return body


def patched(body: bytes, patch: jsonpatch.JsonPatch) -> bytes:
    """`body` with `patch` applied.

    Raises:
        ValueError: the body is no JSON, or a path of the patch is not in it.
    """
    try:
        return json.dumps(patch.apply(json.loads(body))).encode()
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise ValueError(f"patch: {error}") from None


def truncated(body: bytes) -> bytes:
    """The first two thirds of `body`."""
    return body[: max(1, len(body) * 2 // 3)]


HTML_PAGE: Final = (
    b"<!DOCTYPE html>\n<html><head><title>Please wait</title></head>"
    b"<body><h1>Service is starting</h1><p>Try again in a minute.</p></body></html>\n"
)


def padding(size: int) -> Iterator[bytes]:
    """`size` bytes that begin like JSON, in chunks."""
    yield b'{"padding": "'
    left = size - 15
    block = b"x" * CHUNK
    while left > 0:
        yield block[: min(left, CHUNK)]
        left -= CHUNK
    yield b'"}'


def endless(seed: int) -> Iterator[bytes]:
    """Random bytes that never end."""
    block = garbage(CHUNK, seed)
    while True:
        yield block
