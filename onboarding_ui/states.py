"""How a miner is, in a word with a colour, and what is wrong with it. Pure functions over its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.engine.fleet import MinerRecord
from exporter.model import MinerState, Reading
from exporter.model_usb import UsbCondition, UsbStatus
from onboarding_ui.api.summary import bad_chips, live_reading, reject_ratio, shares
from onboarding_ui.figures import percent

#: Below this part of what it should reach, a miner's hash rate is called low.
LOW_HASHRATE: Final = 0.85
#: Above this part of its shares rejected, after `ENOUGH_SHARES`, a miner is called troubled.
HIGH_REJECTS: Final = 0.05
ENOUGH_SHARES: Final = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """A state for people.

    Attributes:
        words: as shown. `kind`: ok, warn, bad, busy or off, the look of the badge.
        slug: for the query string.
    """

    words: str
    kind: str
    slug: str


_RETIRED: Final = Seen("Retired", "off", "retired")
_LISTED: Final = Seen("Listed only", "off", "listed")
_REFUSED: Final = Seen("Password refused", "bad", "password")
_UNPLUGGED: Final = Seen("Not connected", "bad", "offline")
_OFFLINE: Final = Seen("Offline", "bad", "offline")
_WAITING: Final = Seen("Waiting", "off", "waiting")
_ONLINE: Final = Seen("Online", "ok", "online")
_PAUSED: Final = Seen("Idle", "off", "idle")

_OF_READING: Final = {
    MinerState.MINING: Seen("Mining", "ok", "mining"),
    MinerState.IDLE: Seen("Idle", "warn", "idle"),
    MinerState.STARTING: Seen("Starting", "busy", "starting"),
    MinerState.TUNING: Seen("Tuning", "busy", "tuning"),
    MinerState.CURTAILED: Seen("Curtailed", "off", "curtailed"),
    MinerState.FAULT: Seen("Fault", "bad", "fault"),
    MinerState.UNKNOWN: Seen("Unknown", "off", "unknown"),
}

#: While a miner gets going, its boards come up one by one.
_NOT_YET: Final = (MinerState.STARTING, MinerState.TUNING)

#: Slugs and words of all states, for the filter.
STATES: Final = tuple(
    (seen.slug, seen.words)
    for seen in (
        *_OF_READING.values(), _ONLINE, Seen("Booting", "busy", "booting"), _WAITING, _OFFLINE, _REFUSED, _LISTED,
        _RETIRED,
    )
)  # fmt: skip


def state_of(record: MinerRecord, reading: Reading | None) -> Seen:
    """The state of a miner; `reading` is what may be shown of it now."""
    if not record.enabled:
        return _RETIRED
    if not record.managed:
        return _LISTED
    if record.usb is not None and record.usb.view.status is not UsbStatus.ACTIVE:
        if record.usb.view.status is UsbStatus.INACTIVE:
            return _UNPLUGGED
        return Seen(record.usb.view.state.value, "busy", "booting")
    if record.auth_failed and not record.up:
        return _REFUSED
    if record.up is None:
        return _WAITING
    if not record.up or reading is None:
        return _OFFLINE
    if reading.state is None:
        return _ONLINE
    if reading.state is MinerState.IDLE and reading.expected_mining is False:
        return _PAUSED
    return _OF_READING[reading.state]


def state_words(record: MinerRecord) -> Seen:
    """The state of a miner now, for templates."""
    return state_of(record, live_reading(record))


def is_offline(record: MinerRecord) -> bool:
    """Whether a miner that should answer does not: its row is marked. A board on USB that is booting is not."""
    if not (record.enabled and record.managed) or record.up is not False:
        return False
    return record.usb is None or record.usb.view.status is not UsbStatus.INITIALIZING


def problems(record: MinerRecord, reading: Reading | None) -> tuple[str, ...]:
    """What is wrong with a miner that should work, the worst first; empty for one that is retired or listed only."""
    if not (record.enabled and record.managed):
        return ()
    found = [f"USB: {condition.value.replace('_', ' ')}" for condition in _conditions(record)]
    if record.auth_failed and not record.up:
        found.append("device password refused")
    elif is_offline(record):
        found.append("does not answer")
    if reading is not None:
        found += _of_reading(reading)
    return tuple(found)


def _conditions(record: MinerRecord) -> list[UsbCondition]:
    return [] if record.usb is None else sorted(record.usb.view.conditions, key=lambda condition: condition.value)


def _of_reading(reading: Reading) -> list[str]:
    found = []
    if reading.overheat:
        found.append("too hot")
    if reading.state is MinerState.FAULT:
        found.append("fault")
    found += [f"{error.component}: {error.code.replace('_', ' ')}" for error in reading.errors]
    down = [] if reading.state in _NOT_YET else [board.board for board in reading.boards if board.up is False]
    if down:
        found.append(f"board {down[0]} is down" if len(down) == 1 else f"boards {', '.join(down)} are down")
    bad = bad_chips(reading)
    if bad:
        found.append(f"{bad} bad chip{'s' if bad > 1 else ''}")
    part = hashrate_part(reading)
    if part is not None and part < LOW_HASHRATE and reading.state in (MinerState.MINING, None):
        found.append(f"hash rate {percent(part)} of expected")
    accepted, rejected = shares(reading)
    rejects = reject_ratio(accepted, rejected)
    if rejects is not None and rejects > HIGH_REJECTS and (accepted or 0) + (rejected or 0) >= ENOUGH_SHARES:
        found.append(f"{percent(rejects, 1)} of shares rejected")
    return found


def hashrate_part(reading: Reading) -> float | None:
    """The hash rate as a part of what is expected; None where one of them is unknown or nothing is expected."""
    if reading.hashrate is None or not reading.hashrate_expected:
        return None
    return reading.hashrate / reading.hashrate_expected
