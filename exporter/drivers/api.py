"""The driver contract, `INTERFACE_VERSION` 1.

A driver is a class in a file of its own: metadata as literal class attributes (so that it can be read without
running the file) and pure functions. It opens no socket, keeps no state and reads no clock. It says which requests
to send, and turns the raw answers into a `Reading`. The engine sends, spaces, retries and counts.

    requests (data) -> transport -> Answers (bytes) -> decode_* (pure) -> Reading

Everything a driver may raise is `exporter.errors.MinerError`; a `DecodeError` names the key that is wrong.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from exporter.drivers.asking import asks, path_acts
from exporter.errors import DecodeError, InternalError
from exporter.model import Identity, ModelInfo, Reading
from exporter.protocols.tolerant_json import parse_json

INTERFACE_VERSION: Final = 1

#: Metadata every driver class must define as literals.
REQUIRED_METADATA: Final = (
    "driver_type",
    "driver_version",
    "display_name",
    "manufacturer",
    "supported_models",
    "connection_type",
    "default_port",
    "interface_version",
)


# --- requests -------------------------------------------------------------------------------------------------


class Auth(enum.Enum):
    """How a request is signed in."""

    NONE = "none"
    #: HTTP digest (or basic, as the device challenges) with the configured user and password.
    DIGEST = "digest"
    #: The header that the driver's `ApiKeyLogin` makes of the stored key.
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request to the miner's own web server.

    Attributes:
        path: with a leading slash and the query, if any.
        body: bytes of the body; `content_type` goes with it.
        auth: how it is signed in.
        optional: a failure (any status but 2xx, time-out) leaves the answer out instead of failing the poll.
        otherwise: asked instead where the device answers 404 or 405; the engine remembers which one worked.
            Its answer is stored under *its own* key.
        port: None for the miner's HTTP port.
        keep_alive: whether the connection is kept for the next request; None for the driver's `ConnectionRules`.
    """

    path: str
    method: str = "GET"
    body: bytes | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    auth: Auth = Auth.NONE
    optional: bool = False
    otherwise: HttpRequest | None = None
    port: int | None = None
    keep_alive: bool | None = None

    @property
    def key(self) -> str:
        """Where the answer is found: ``"GET /api/system/info"``."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class CgminerRequest:
    """A command to the CGMiner API (TCP 4028).

    The engine joins the commands of one round (``summary+pools``) where the driver's rules and the device allow it,
    and remembers a refusal; answers arrive under each single command's key either way.

    Attributes:
        text: send the plain-text form (``ascset|0,...``) instead of JSON.
        optional: as for `HttpRequest`; also for "Invalid command" and "Access denied" (code 45).
        private: the parameter holds a password: it stays out of the key, and so out of messages.
    """

    command: str
    parameter: str | None = None
    text: bool = False
    optional: bool = False
    port: int | None = None
    private: bool = False

    @property
    def key(self) -> str:
        """Where the answer is found: ``"rpc summary"`` or ``"rpc command|parameter"``."""
        plain = self.parameter is None or self.private
        return f"rpc {self.command}" if plain else f"rpc {self.command}|{self.parameter}"


Request = HttpRequest | CgminerRequest


def may_write(request: Request) -> bool:
    """Whether a request, or what is asked in its place, could change a device; see `exporter.drivers.asking`.

    What only asks must not: reads are sent at any time, and for those who may look but not command.
    """
    if isinstance(request, CgminerRequest):
        return not asks(request.command, request.parameter)
    if request.method not in ("GET", "HEAD"):
        return True
    return path_acts(request.path) or (request.otherwise is not None and may_write(request.otherwise))


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """What the device's server can bear; the engine obeys.

    Attributes:
        one_at_a_time: never two connections at once (always true for one poll; also keeps commands apart).
        spacing_seconds: least time between the end of one connection and the next one.
        keep_alive: False closes the HTTP connection after every answer.
        join_commands: whether joined CGMiner commands are tried at all.
        timeout_seconds: for one request.
    """

    one_at_a_time: bool = True
    spacing_seconds: float = 0.0
    keep_alive: bool = True
    join_commands: bool = True
    timeout_seconds: float = 5.0


# --- answers --------------------------------------------------------------------------------------------------

_UNPARSED: Final = object()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """In place of a document that cannot be parsed: several drivers look at one probe's answer, one tries."""

    why: str


@dataclass(slots=True)
class Answer:
    """One answer as it arrived.

    Attributes:
        body: raw bytes (a CGMiner answer without its final NUL).
        status: HTTP status; 200 for CGMiner.
        headers: lower-case names.
        document: the parsed body, cached by `Answers.document`.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = _UNPARSED


class Answers:
    """The answers of one round by request key. Only what arrived is in it."""

    __slots__ = ("_answers",)

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = dict(answers)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def keys(self) -> tuple[str, ...]:
        return tuple(self._answers)

    def items(self) -> tuple[tuple[str, Answer], ...]:
        """The raw answers by request key."""
        return tuple(self._answers.items())

    def get(self, key: str) -> Answer | None:
        """The raw answer, or None where the request was not sent or its answer is missing."""
        return self._answers.get(key)

    def document(self, key: str) -> Any:
        """The parsed body of a required answer.

        Raises:
            DecodeError: the answer is missing or cannot be parsed.
        """
        answer = self._answers.get(key)
        if answer is None:
            raise DecodeError(f"{key}: no answer")
        document = answer.document
        if document is _UNPARSED:
            try:
                document = answer.document = parse_json(answer.body)
            except ValueError as error:
                document = answer.document = _Unreadable(str(error))
        if isinstance(document, _Unreadable):
            raise DecodeError(f"{key}: {document.why}")
        return document

    def optional_document(self, key: str) -> Any | None:
        """As `document`, but None where the answer is missing. An answer that is there must still be readable."""
        return self.document(key) if key in self._answers else None


@dataclass(frozen=True, slots=True)
class DecodeContext:
    """What a pure decoder cannot know from the answers alone.

    Attributes:
        received_at: Unix time at which the answers arrived (devices tell ages: "last share 0:00:11").
        identity: what is known of the miner so far.
        details: facts the driver itself put into `Identification.details` when it identified the miner.
    """

    received_at: float
    identity: Identity = Identity()
    details: Mapping[str, str] = field(default_factory=dict)


# --- identification -------------------------------------------------------------------------------------------


class Specificity(enum.IntEnum):
    """How sure an identification is; the most specific one wins."""

    GENERIC = 10  # speaks the CGMiner API
    STOCK = 20  # a maker's stock interface, which others imitate: a more specific answer is waited for
    SPECIFIC = 30  # a firmware's own mark
    CERTAIN = 40  # nothing more specific can come: probing stops


@dataclass(frozen=True, slots=True)
class Identification:
    """What a host is.

    Attributes:
        driver_type: the driver that will poll it; None for "seen, no driver yet".
        specificity: see `Specificity`.
        identity: what the probes told already; the engine completes it through `identity_requests`.
        details: small facts the driver wants back in `DecodeContext.details` (kept with the miner), for example the
            API variant. Text to text.
    """

    driver_type: str | None
    specificity: Specificity
    identity: Identity
    details: Mapping[str, str] = field(default_factory=dict)


class Driver:
    """Base of every driver. Class attributes are literals; methods are pure.

    ``probes`` are sent during discovery; the union over all drivers is asked once for each host, in the order of
    `probe_order`, and stops at an identification of `Specificity.CERTAIN`.
    """

    driver_type: ClassVar[str]
    driver_version: ClassVar[str]
    display_name: ClassVar[str]
    manufacturer: ClassVar[str]
    supported_models: ClassVar[tuple[str, ...]]
    connection_type: ClassVar[str]  # "http", "tcp", "udp", "serial"
    default_port: ClassVar[int | None]
    interface_version: ClassVar[int]

    rules: ClassVar[ConnectionRules] = ConnectionRules()
    #: Requests that tell whether a host is of this family. HTTP and CGMiner probes go to the host's open ports only.
    probes: ClassVar[tuple[Request, ...]] = ()
    #: User for `Auth.DIGEST` and the passwords tried last, after those the operator configured.
    default_username: ClassVar[str] = "root"
    default_passwords: ClassVar[tuple[str, ...]] = ()
    #: (pattern, reason): keys of answers that are left out on purpose. A pattern is ``<request key> <path>`` where
    #: path joins object keys by "." and writes lists as "[]"; ``*`` matches any run of characters.
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = ()

    def identify(self, answers: Answers) -> Identification | None:
        """Judge the probe answers that have arrived so far (some may be missing); None where it is none of ours."""
        raise InternalError(f"driver {self.driver_type} lacks a required method")

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """Requests that complete the identity when a miner is adopted and when it comes back. May be empty."""
        return ()

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        """The identity in the answers to `identity_requests`. Missing parts stay None."""
        return Identity()

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """Requests of the status loop (15 s)."""
        raise InternalError(f"driver {self.driver_type} lacks a required method")

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        """The reading in the answers to `status_requests`."""
        raise InternalError(f"driver {self.driver_type} lacks a required method")

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """Requests of the slow loop (60 s): chips, settings, what changes seldom. May be empty."""
        return ()

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        """The part of a reading in the answers to `telemetry_requests`; `model_merge` joins it to the status."""
        return Reading()


# --- optional capabilities, discovered from the methods a driver has ---------------------------------------------


@runtime_checkable
class ApiKeyLogin(Protocol):
    """A device that gives out API keys (VNish). All methods are pure; the engine runs the exchange.

    unlock(password) -> bearer token -> list keys -> re-use the one described "Flockwatch", else create one.
    """

    def unlock_request(self, password: str) -> HttpRequest: ...

    def decode_unlock(self, answer: Answer) -> str:
        """The bearer token. Raises `AuthError` for a wrong password, `LockedOut` where the device blocks."""
        ...

    def list_keys_request(self, token: str) -> HttpRequest: ...

    def find_key(self, answer: Answer, description: str) -> str | None: ...

    def create_key_request(self, token: str, key: str, description: str) -> HttpRequest: ...

    def delete_key_request(self, token: str, key: str) -> HttpRequest: ...

    def key_headers(self, key: str) -> tuple[tuple[str, str], ...]:
        """The headers that sign a request with the stored key."""
        ...


@runtime_checkable
class DescribesModel(Protocol):
    """A device that describes its model and its presets."""

    def model_requests(self, context: DecodeContext) -> tuple[Request, ...]: ...

    def decode_model(self, answers: Answers, context: DecodeContext) -> ModelInfo | None: ...


class Stream(Protocol):
    """One device that talks by itself: bytes and time in, readings out. Sans-IO; owned by the engine."""

    #: Seconds between two messages of a healthy device; readings expire after three of them.
    period: float

    def feed(self, data: bytes, now: float) -> tuple[Reading, ...]:
        """Take what arrived at Unix time `now` (one datagram, or any piece of a serial stream)."""
        ...


@runtime_checkable
class StreamSource(Protocol):
    """A driver of devices that talk by themselves over UDP: each sender gets a stream of its own."""

    def new_stream(self) -> Stream: ...

    def identify_datagram(self, data: bytes) -> Identification | None:
        """Judge a sender's first datagram; None where it is none of ours."""
        ...
