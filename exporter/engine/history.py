"""What miners told lately: a ring of polls for each, packed, within a fixed memory for the whole flock.

One poll is 29 bytes. Rings grow with what there is to keep, up to 24 hours of polls; where the flock is so large that
the memory does not suffice for that, each keeps a shorter time.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from exporter.engine.api.history import StatusPoint
from exporter.engine.fleet import MinerRecord
from exporter.model import MinerState, Reading
from exporter.units import UnixSeconds

#: Memory for the rings of the whole flock, in bytes.
BUDGET: Final = 24 * 1024 * 1024
#: No ring holds polls for longer than this, in seconds.
LONGEST: Final = 24 * 3600.0
#: What a ring costs beside its polls, in bytes.
_OVERHEAD: Final = 400
#: Tenths of a second since the base; flags and state; hash rate, temperature, power, fan speed; accepted, rejected.
_POINT: Final = struct.Struct("<IB4f2I")
_UP: Final = 0x80
_STATES: Final = (None, *(state.value for state in MinerState))
_STATE_CODES: Final = {state: code for code, state in enumerate((None, *MinerState))}
_LATEST: Final = 0xFFFF_FFFF  # tenths of a second: 13 years
_UNKNOWN_COUNT: Final = 0xFFFF_FFFF
_NAN: Final = math.nan
_LARGEST_FLOAT: Final = 3.4e38
#: Two polls closer than this part of the interval are one point: consoles tell of themselves every second.
_CLOSE: Final = 0.9
#: Where the clock was set back by more seconds than this, what a ring holds lies in the future and is dropped.
_CLOCK_STEP: Final = 60.0


class _Ring:
    """The polls of one miner. `start` is where the oldest one begins once the ring is full."""

    __slots__ = ("before_last", "data", "errors", "last", "start", "up")

    def __init__(self) -> None:
        self.errors = 0
        self.clear()

    def clear(self) -> None:
        self.data = bytearray()
        self.start = 0
        self.last: float | None = None
        self.before_last: float | None = None
        self.up: bool | None = None

    def append(self, point: bytes, capacity: int) -> None:
        size = capacity * _POINT.size
        if len(self.data) > size:  # the flock has grown, and each miner keeps less
            self.data = bytearray(self.in_order()[-size:])
            self.start = 0
        if len(self.data) < size:
            if self.start:  # the flock has shrunk: the ring is opened and grows again
                self.data = bytearray(self.in_order())
                self.start = 0
            self.data += point
            if len(self.data) >= size:
                self.data = bytearray(bytes(self.data))  # without the room that it kept for growing
            return
        self.data[self.start : self.start + _POINT.size] = point
        self.start = (self.start + _POINT.size) % size

    def replace_last(self, point: bytes) -> None:
        end = self.start or len(self.data)
        self.data[end - _POINT.size : end] = point

    def in_order(self) -> bytes:
        """The packed polls, oldest first."""
        return bytes(self.data[self.start :] + self.data[: self.start])


class History:
    """Watches the flock (`Flock.watchers`): a point for each poll, also for a failed one. Reads come from any thread.

    Args:
        interval: seconds between two polls of a miner (`intervals.status_seconds`), asked at each point.
        budget: bytes for all rings together.
    """

    def __init__(
        self, interval: Callable[[], float], *, budget: int = BUDGET, clock: Callable[[], float] = time.time
    ) -> None:
        self._interval = interval
        self._budget = budget
        self._clock = clock
        self._base = clock() - LONGEST
        self._rings: dict[int, _Ring] = {}
        self._lock = threading.Lock()

    # --- the engine's side ---

    def publish(self, record: MinerRecord) -> None:
        """Note what a record tells of a new poll; the same record again notes nothing."""
        ring = self._rings.get(record.id)
        if ring is None:
            with self._lock:
                ring = self._rings[record.id] = _Ring()
        if record.up and record.reading is not None:
            at = record.last_success
            self._note(ring, self._clock() if at is None else at, record.reading)
        elif record.up is False:
            errors = sum(record.poll_errors.values())
            if ring.up is not False or errors != ring.errors:
                ring.errors = errors
                self._note(ring, self._clock(), None)
        elif record.up is None:  # not polled (any more)
            ring.up = None

    def remove(self, miner_id: int) -> None:
        """Forget a miner."""
        with self._lock:
            self._rings.pop(miner_id, None)

    def _note(self, ring: _Ring, at: float, reading: Reading | None) -> None:
        up = reading is not None
        with self._lock:
            if not 0.0 <= at - self._base < _LATEST / 10:
                self._begin_anew(at)
            elif ring.last is not None and at < ring.last - _CLOCK_STEP:
                ring.clear()
            point = _packed(at - self._base, reading)
            close = (
                ring.last is not None
                and ring.before_last is not None
                and ring.up is up
                and ring.last - ring.before_last < _CLOSE * self._interval()
            )
            if ring.data and ((up and ring.last == at) or close):
                ring.replace_last(point)
            else:
                ring.append(point, self.capacity)
                ring.before_last = ring.last
            ring.last, ring.up = at, up

    def _begin_anew(self, at: float) -> None:
        """The clock was set by so much that the times of what is there mean nothing."""
        self._base = at - LONGEST
        for ring in self._rings.values():
            ring.clear()

    @property
    def capacity(self) -> int:
        """Points that each miner keeps."""
        memory = self._budget / max(1, len(self._rings)) - _OVERHEAD
        return max(2, min(int(memory / _POINT.size), math.ceil(LONGEST / self._interval())))

    # --- the readers' side ---

    def recent(self, miner_id: int, since: float | None = None, limit: int | None = None) -> tuple[StatusPoint, ...]:
        """The polls after Unix time `since`, oldest first, the newest `limit` of them; empty for an unknown miner."""
        with self._lock:
            ring = self._rings.get(miner_id)
            data = b"" if ring is None else ring.in_order()
            base = self._base
        points = [_unpacked(base, values) for values in _POINT.iter_unpack(data)]
        points.sort(key=_at)  # the clock may have been set back a little
        wanted = points if since is None else [point for point in points if point.at > since]
        return tuple(wanted if limit is None else wanted[max(0, len(wanted) - limit) :])

    def memory(self) -> int:
        """Bytes that the packed polls of the flock take now."""
        with self._lock:
            return sum(len(ring.data) for ring in self._rings.values())


def _packed(offset: float, reading: Reading | None) -> bytes:
    tenths = round(offset * 10)
    if reading is None:
        return _POINT.pack(tenths, 0, _NAN, _NAN, _NAN, _NAN, _UNKNOWN_COUNT, _UNKNOWN_COUNT)
    accepted, rejected = own_shares(reading)
    return _POINT.pack(
        tenths,
        _UP | _STATE_CODES.get(reading.state, 0),
        _float(reading.hashrate),
        _float(hottest(reading)),
        _float(reading.power),
        _float(fastest_fan(reading)),
        _count(accepted),
        _count(rejected),
    )


def _float(value: float | None) -> float:
    return value if value is not None and -_LARGEST_FLOAT < value < _LARGEST_FLOAT else _NAN


def _count(value: float | None) -> int:
    return int(value) if value is not None and 0 <= value < _UNKNOWN_COUNT else _UNKNOWN_COUNT


def _unpacked(base: float, values: tuple[float, ...]) -> StatusPoint:
    tenths, flags, hashrate, temperature, power, fan_speed, accepted, rejected = values
    return StatusPoint(
        at=UnixSeconds(base + tenths / 10),
        up=bool(int(flags) & _UP),
        state=_STATES[int(flags) & ~_UP],
        hashrate=_or_none(hashrate),
        temperature=_or_none(temperature),
        power=_or_none(power),
        fan_speed=_or_none(fan_speed),
        accepted=None if accepted == _UNKNOWN_COUNT else float(accepted),
        rejected=None if rejected == _UNKNOWN_COUNT else float(rejected),
    )


def _at(point: StatusPoint) -> float:
    return point.at


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


# --- one figure of many ---


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def hottest(reading: Reading) -> float | None:
    """The hottest chip in degC, where no chip is told the hottest sensor of a board."""
    boards = reading.boards
    chip = _most(board.chip_temperature_max for board in boards)
    if chip is None:
        chip = _most(chip.temperature for board in boards for chip in board.chips)
    if chip is None:
        chip = _most(board.chip_temperature_avg for board in boards)
    if chip is not None:
        return chip
    return _most(sensor.celsius for board in boards for sensor in board.temperatures)


def fastest_fan(reading: Reading) -> float | None:
    """In rpm."""
    return _most(fan.speed for fan in reading.fans)


def own_shares(reading: Reading) -> tuple[float | None, float | None]:
    """Shares accepted and rejected over the owner's pools since the device's start; None where no pool tells."""
    accepted = [pool.accepted for pool in reading.pools if not pool.fee and pool.accepted is not None]
    rejected = [pool.rejected for pool in reading.pools if not pool.fee and pool.rejected is not None]
    return (sum(accepted) if accepted else None), (sum(rejected) if rejected else None)
