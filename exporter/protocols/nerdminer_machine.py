"""From signals of a NerdMiner's console to its status, state and conditions. Sans-IO; time is an argument.

The order of the milestones differs between firmwares, and lines get lost: a later milestone implies the earlier ones,
and only a boot or the loss of the board leads back. `TRANSITIONS` answers every signal in every state.

"Mining Authorize" means that the request was sent; the firmware does not look at the answer. `Mining` needs evidence
beyond it: an accepted reply, a job, an accepted share or a hash rate above zero.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from exporter.model_usb import MILESTONES, MOMENTARY, UsbCondition, UsbState, UsbView, status_of
from exporter.protocols.nerdminer_events import BootMarker, Signal
from exporter.units import unix_seconds

#: So many boots in a row that ended without mining, within the window, are a boot loop. A board that does not find
#: its Wi-Fi restarts every 220 seconds; a first boot, a reset for the capture and a saved portal are none.
LOOP_BOOTS: Final = 3
LOOP_WINDOW: Final = 900.0

_C = UsbCondition
_NONE: Final[frozenset[UsbCondition]] = frozenset()
_ALL: Final = frozenset(UsbCondition)
#: The application runs.
_RUNNING: Final = frozenset({_C.DOWNLOAD_MODE})
_HAS_WIFI: Final = _RUNNING | {_C.SETUP_PORTAL}
_HAS_POOL: Final = _HAS_WIFI | {_C.DNS_FAILURE, _C.POOL_UNREACHABLE}
_WORKS: Final = frozenset({_C.CRASHED, _C.BOOT_LOOP})

#: The milestone a signal proves. Jobs and accepted shares prove mining only behind the authorisation.
_REACHES: Final[Mapping[Signal, UsbState]] = MappingProxyType(
    {
        Signal.WORKER: UsbState.WORKER_STARTED,
        Signal.HARDWARE: UsbState.HARDWARE_STARTED,
        Signal.CONNECTED: UsbState.CONNECTED_IP,
        Signal.DNS_RESOLVED: UsbState.DNS_RESOLVED,
        Signal.POOL_CONNECTED: UsbState.DNS_RESOLVED,
        Signal.SUBSCRIBE: UsbState.SUBSCRIBE,
        Signal.SUBSCRIBED: UsbState.SUBSCRIBE,
        Signal.SUBSCRIBE_ABORTED: UsbState.SUBSCRIBE,
        Signal.AUTHORIZE: UsbState.AUTHORIZE,
        Signal.AUTHORIZE_REFUSED: UsbState.AUTHORIZE,
        Signal.AUTHORIZE_ACCEPTED: UsbState.MINING,
        Signal.HASHING: UsbState.MINING,
        Signal.BLOCK_FOUND: UsbState.MINING,
    }
)
_EVIDENCE: Final = frozenset({Signal.JOB, Signal.SHARE_ACCEPTED})
_RESTARTS: Final = frozenset({Signal.BOOT, Signal.DOWNLOAD, Signal.PLUGGED})

#: signal -> (conditions that begin, conditions that end).
EFFECTS: Final[Mapping[Signal, tuple[frozenset[UsbCondition], frozenset[UsbCondition]]]] = MappingProxyType(
    {
        Signal.PLUGGED: (_NONE, _ALL),
        Signal.UNPLUGGED: (_NONE, _ALL),
        Signal.BOOT: (_NONE, _ALL - _WORKS),
        Signal.DOWNLOAD: (frozenset({_C.DOWNLOAD_MODE}), _NONE),
        Signal.CRASH: (frozenset({_C.CRASHED}), _NONE),
        Signal.CONFIG_LOADED: (_NONE, _RUNNING | {_C.NO_CONFIG, _C.CONFIG_CORRUPT}),
        Signal.NO_CONFIG: (frozenset({_C.NO_CONFIG}), _RUNNING),
        Signal.CONFIG_CORRUPT: (frozenset({_C.CONFIG_CORRUPT}), _RUNNING),
        Signal.CONFIG_WIPED: (frozenset({_C.CONFIG_WIPED}), _RUNNING),
        Signal.PORTAL: (frozenset({_C.SETUP_PORTAL}), _RUNNING),
        Signal.WIFI_UP: (_NONE, _HAS_WIFI),
        Signal.WIFI_DOWN: (_NONE, _RUNNING),
        Signal.WORKER: (_NONE, _RUNNING),
        Signal.HARDWARE: (_NONE, _RUNNING),
        Signal.CONNECTED: (_NONE, _HAS_WIFI),
        Signal.DNS_RESOLVED: (_NONE, _HAS_WIFI | {_C.DNS_FAILURE}),
        Signal.DNS_FAILED: (frozenset({_C.DNS_FAILURE}), _RUNNING),
        Signal.POOL_CONNECTED: (_NONE, _HAS_POOL),
        Signal.POOL_UNREACHABLE: (frozenset({_C.POOL_UNREACHABLE}), _RUNNING),
        Signal.SUBSCRIBE: (_NONE, _HAS_POOL),
        Signal.SUBSCRIBED: (_NONE, _HAS_POOL),
        Signal.SUBSCRIBE_ABORTED: (frozenset({_C.SUBSCRIBE_ABORTED}), _RUNNING),
        Signal.AUTHORIZE: (_NONE, _HAS_POOL),
        Signal.AUTHORIZE_ACCEPTED: (_NONE, _HAS_POOL | {_C.AUTHORIZE_REFUSED}),
        Signal.AUTHORIZE_REFUSED: (frozenset({_C.AUTHORIZE_REFUSED}), _HAS_POOL),
        Signal.JOB: (_NONE, _HAS_POOL),
        Signal.SHARE_ACCEPTED: (_NONE, _HAS_POOL | {_C.AUTHORIZE_REFUSED}),
        Signal.HASHING: (_NONE, _HAS_WIFI | _WORKS),
        Signal.POOL_ERROR: (frozenset({_C.POOL_ERROR}), _RUNNING),
        Signal.BLOCK_FOUND: (_NONE, _HAS_WIFI),
    }
)


def _target(signal: Signal, state: UsbState) -> UsbState:
    if signal is Signal.UNPLUGGED:
        return UsbState.NOT_CONNECTED
    if state is UsbState.NOT_CONNECTED:
        return UsbState.BOOTING if signal is Signal.PLUGGED else state
    if signal in _RESTARTS:
        return UsbState.BOOTING
    if signal in _EVIDENCE:
        return UsbState.MINING if state is UsbState.AUTHORIZE else state
    reached = _REACHES.get(signal, state)
    return max(state, reached, key=MILESTONES.index)


#: (signal, present state) -> next state; every pair is in it.
TRANSITIONS: Final[Mapping[tuple[Signal, UsbState], UsbState]] = MappingProxyType(
    {(signal, state): _target(signal, state) for signal in Signal for state in UsbState}
)

#: Resets that no healthy board does: a watchdog, low voltage, a panic.
_CRASH_REASON: Final = re.compile(r"WDT|BROWN|PANIC")


class UsbMachine:
    """The state machine of one board; begins as plugged in at `now`."""

    __slots__ = (
        "_conditions",
        "_evidence",
        "_failed",
        "_rank",
        "_seen",
        "_since",
        "_state",
        "booted_at",
        "boots",
        "view",
    )

    def __init__(self, now: float = 0.0) -> None:
        self.boots = 0
        #: When the present boot was seen to begin; None where the board ran already.
        self.booted_at: float | None = None
        self._failed: deque[float] = deque(maxlen=LOOP_BOOTS)
        self._state = UsbState.BOOTING
        self._since = now
        self._conditions: frozenset[UsbCondition] = _NONE
        self._seen: frozenset[UsbCondition] = _NONE
        self._evidence = False
        #: The last mark of a boot if nothing of the application came after it, else None.
        self._rank: BootMarker | None = None
        self.view = self._look()

    def apply(self, signal: Signal, now: float) -> None:
        """Take one signal. Boots that the console tells come through `boot`."""
        if self._state is UsbState.NOT_CONNECTED and signal is not Signal.PLUGGED:
            return
        self._rank = None
        if signal is Signal.HASHING and self._state is UsbState.MINING and not self._conditions:
            return  # once a second, for years
        if signal in _EVIDENCE and self._state is UsbState.BOOTING and self.booted_at is None:
            signal = Signal.HASHING  # it was mining already when we began to listen
        if signal is Signal.SUBSCRIBE:
            self._evidence = False
        elif signal in _EVIDENCE:
            self._evidence = True
        begin, end = EFFECTS[signal]
        state = TRANSITIONS[signal, self._state]
        if state is UsbState.AUTHORIZE and self._evidence:
            state = UsbState.MINING
        if signal in (Signal.PLUGGED, Signal.UNPLUGGED):
            self._forget()
        if state is UsbState.MINING and self._state is not UsbState.MINING:
            end |= _WORKS
            self._failed.clear()
        self._set(state, (self._conditions - end) | begin, now, begins=signal is Signal.PLUGGED)

    def boot(self, marker: BootMarker, reason: str | None, now: float) -> bool:
        """Take a mark of a boot; True where it begins a new one: a boot prints up to three, in the order of rank."""
        if self._state is UsbState.NOT_CONNECTED:
            return False
        new = self._rank is None or marker <= self._rank
        if new:
            if self.booted_at is not None and self._state is not UsbState.MINING:
                self._failed.append(now)
            self.boots += 1
            self.booted_at = now
            self._evidence = False
            end = EFFECTS[Signal.BOOT][1]
            self._set(TRANSITIONS[Signal.BOOT, self._state], self._conditions - end, now, begins=True)
            self.tick(now)
        if reason is not None and _CRASH_REASON.search(reason):
            self._set(self._state, self._conditions | {_C.CRASHED}, now)
        self._rank = marker
        return new

    def tick(self, now: float) -> None:
        """Let time pass: a boot loop begins and ends with the boots in its window."""
        while self._failed and self._failed[0] < now - LOOP_WINDOW:
            self._failed.popleft()
        looping = len(self._failed) >= LOOP_BOOTS
        if looping is not (_C.BOOT_LOOP in self._conditions):
            loop = frozenset({_C.BOOT_LOOP})
            self._set(self._state, self._conditions | loop if looping else self._conditions - loop, now)

    def _forget(self) -> None:
        """Another life of the board: what was seen and counted towards a loop belongs to the last one."""
        self.booted_at = None
        self._failed.clear()
        self._evidence = False
        self._seen = _NONE

    def _set(self, state: UsbState, conditions: frozenset[UsbCondition], now: float, *, begins: bool = False) -> None:
        if begins or state is not self._state:
            self._state, self._since = state, now
        self._seen |= conditions
        self._conditions = conditions - MOMENTARY
        view = self._look()
        if view != self.view:
            self.view = view

    def _look(self) -> UsbView:
        return UsbView(
            status=status_of(self._state),
            state=self._state,
            since=unix_seconds(self._since),
            conditions=self._conditions,
            boots=self.boots,
            seen=self._seen,
        )
