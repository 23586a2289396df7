"""What a miner on USB shows of itself: status, state and conditions, as frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from exporter.units import UnixSeconds


class UsbStatus(enum.Enum):
    """Whether a USB miner is gone, on its way to mining, or mining."""

    INACTIVE = "Inactive"
    INITIALIZING = "Initializing"
    ACTIVE = "Active"


class UsbState(enum.Enum):
    """How far a USB miner has come; in the order of the way from power-on to mining, `NOT_CONNECTED` aside."""

    BOOTING = "Booting"
    WORKER_STARTED = "WORKER Started"
    HARDWARE_STARTED = "MINER HW Task Started"
    CONNECTED_IP = "CONNECTED IP"
    DNS_RESOLVED = "DNS Resolved"
    SUBSCRIBE = "Mining Subscribe"
    AUTHORIZE = "Mining Authorize"
    MINING = "Mining"
    NOT_CONNECTED = "Not Connected"


#: The states of a connected board in order; whoever has reached one has passed all before it.
MILESTONES: Final = tuple(state for state in UsbState if state is not UsbState.NOT_CONNECTED)


class UsbCondition(enum.Enum):
    """What is wrong with a USB miner, or what has just happened to it (`MOMENTARY`)."""

    SETUP_PORTAL = "setup_portal"
    DNS_FAILURE = "dns_failure"
    POOL_UNREACHABLE = "pool_unreachable"
    AUTHORIZE_REFUSED = "authorize_refused"
    BOOT_LOOP = "boot_loop"
    CRASHED = "crashed"
    DOWNLOAD_MODE = "download_mode"
    CONFIG_CORRUPT = "config_corrupt"
    NO_CONFIG = "no_config"
    POOL_ERROR = "pool_error"
    SUBSCRIBE_ABORTED = "subscribe_aborted"
    CONFIG_WIPED = "config_wiped"


#: Happen in a moment and never last: they stand in `UsbView.seen` only, never in `UsbView.conditions`.
MOMENTARY: Final = frozenset({UsbCondition.POOL_ERROR, UsbCondition.SUBSCRIBE_ABORTED, UsbCondition.CONFIG_WIPED})
#: What can last, in a fixed order: the values of the label `condition`.
LASTING: Final = tuple(condition for condition in UsbCondition if condition not in MOMENTARY)


@dataclass(frozen=True, slots=True)
class UsbView:
    """A USB miner at one moment. The same object is handed out until something changes.

    Attributes:
        since: when the present state began.
        conditions: what holds now.
        boots: resets of the board seen since we listen to it.
        seen: everything that held or happened since the board was plugged in.
    """

    status: UsbStatus
    state: UsbState
    since: UnixSeconds
    conditions: frozenset[UsbCondition] = frozenset()
    boots: int = 0
    seen: frozenset[UsbCondition] = frozenset()


def status_of(state: UsbState) -> UsbStatus:
    """The status that goes with a state."""
    if state is UsbState.NOT_CONNECTED:
        return UsbStatus.INACTIVE
    return UsbStatus.ACTIVE if state is UsbState.MINING else UsbStatus.INITIALIZING
