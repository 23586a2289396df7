"""What one line of a NerdMiner's console says, as frozen typed values. Units are those of the console."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Signal(enum.Enum):
    """What moves the state machine, see `exporter.protocols.nerdminer_machine`."""

    PLUGGED = "plugged"
    UNPLUGGED = "unplugged"
    BOOT = "boot"
    DOWNLOAD = "download"
    CRASH = "crash"
    CONFIG_LOADED = "config_loaded"
    NO_CONFIG = "no_config"
    CONFIG_CORRUPT = "config_corrupt"
    CONFIG_WIPED = "config_wiped"
    PORTAL = "portal"
    WIFI_UP = "wifi_up"
    WIFI_DOWN = "wifi_down"
    WORKER = "worker"
    HARDWARE = "hardware"
    CONNECTED = "connected"
    DNS_RESOLVED = "dns_resolved"
    DNS_FAILED = "dns_failed"
    POOL_CONNECTED = "pool_connected"
    POOL_UNREACHABLE = "pool_unreachable"
    SUBSCRIBE = "subscribe"
    SUBSCRIBED = "subscribed"
    SUBSCRIBE_ABORTED = "subscribe_aborted"
    AUTHORIZE = "authorize"
    AUTHORIZE_ACCEPTED = "authorize_accepted"
    AUTHORIZE_REFUSED = "authorize_refused"
    JOB = "job"
    SHARE_ACCEPTED = "share_accepted"
    HASHING = "hashing"
    POOL_ERROR = "pool_error"
    BLOCK_FOUND = "block_found"


class BootMarker(enum.IntEnum):
    """The three marks of one boot, in the order in which a board prints them; each of them may be lost."""

    BANNER = 0  # "ets Jul 29 2019 ...", "ESP-ROM:..."
    RESET = 1  # "rst:0x1 (POWERON_RESET),boot:..."
    START = 2  # "NerdMiner v2 starting......"


class Method(enum.Enum):
    """Requests to the pool that the console shows."""

    SUBSCRIBE = "mining.subscribe"
    AUTHORIZE = "mining.authorize"
    SUBMIT = "mining.submit"
    OTHER = "other"


class Figure(enum.Enum):
    """Figures that some display drivers print on lines of their own."""

    VALID_BLOCKS = "Valid blocks"
    BLOCK_TEMPLATES = "Block templates"
    BEST_DIFFICULTY = "Best difficulty"
    SHARES_32BIT = "32Bit shares"
    TEMPERATURE = "Temperature"  # degrees Celsius
    TOTAL_MHASHES = "Total MHashes"
    TIME_MINING = "Time mining"  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """A line that is a signal and nothing more."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Boot:
    """A mark of a boot; `reason` as the ROM names it ("POWERON_RESET")."""

    marker: BootMarker
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DnsFailed:
    """A name could not be resolved; `host` where the line tells it."""

    host: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A firmware that names itself outside the subscribe request."""

    version: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A request to the pool. `agent` goes with a subscription, `user` with an authorisation; never a password."""

    method: Method
    id: int | None = None
    agent: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The pool's answer to request `id`; `code` and `reason` of an error."""

    id: int
    accepted: bool
    code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the pool. `parsed` marks the line printed once for each job, after the message itself."""

    parsed: bool


@dataclass(frozen=True, slots=True)
class PoolDifficulty:
    """The difficulty the pool asks for."""

    difficulty: float


@dataclass(frozen=True, slots=True)
class ShareDifficulty:
    """The difficulty of the share submitted last."""

    difficulty: float


@dataclass(frozen=True, slots=True)
class ShareRefused:
    """The firmware's own word for a refused share (1.8.0 and newer)."""

    id: int


@dataclass(frozen=True, slots=True)
class PoolError:
    """An error of the pool, as the firmware repeats it."""

    code: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """The pool a board is connected to, told outside the configuration (NMMiner)."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The line of every second: 32-bit shares, thousands of hashes, KH/s.

    The display of the LilyGo T3 tells no hashes, and `best_difficulty` instead.
    """

    rate: float
    shares: float | None = None
    khashes: float | None = None
    best_difficulty: float | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One of the other figures."""

    figure: Figure
    value: float


@dataclass(frozen=True, slots=True)
class Monitor:
    """The flags printed while nothing is hashed; `connected` is the connection to the pool."""

    connected: bool
    subscribed: bool
    wifi: bool


Event = (
    Seen
    | Boot
    | DnsFailed
    | Version
    | Sent
    | Reply
    | Job
    | PoolDifficulty
    | ShareDifficulty
    | ShareRefused
    | PoolError
    | PoolAddress
    | Progress
    | Detail
    | Monitor
)
