"""Whether it is still the known miner that talks at its address, or another device by now (DHCP)."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Final

from exporter.engine.miner import Miner
from exporter.engine.neighbourhood import Neighbourhood
from exporter.model import Identity, Reading

#: Seconds for which what the neighbour table said holds, and after which it must say the same again to be believed.
TABLE_SECONDS: Final = 10.0
#: Uptimes are told in whole minutes by some, and the clocks of small boards drift.
_UPTIME_SECONDS: Final = 60.0
_CLOCK_DRIFT: Final = 0.01


class Talker(enum.Enum):
    """Who talks at a miner's address."""

    SAME = enum.auto()
    UNSURE = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True)
class Told:
    """What tells one device from another where neither MAC nor serial number does. `at` is of the monotonic clock."""

    model: str | None = None
    firmware_version: str | None = None
    hostname: str | None = None
    workers: frozenset[str] = frozenset()
    uptime: float | None = None
    at: float = 0.0


def told_by(reading: Reading, now: float) -> Told:
    """What a reading that came at `now` tells of its device."""
    identity = reading.identity
    workers = frozenset(pool.user for pool in reading.pools if pool.user)
    return Told(identity.model, identity.firmware_version, identity.hostname, workers, reading.uptime, now)


def is_same(before: Told, after: Told) -> bool | None:
    """Whether both were told by one device; None where too little was told for that.

    One firmware, model and worker are those of many devices: they can only deny it. An uptime that goes on confirms it.
    """
    pairs = (
        (before.model, after.model),
        (before.firmware_version, after.firmware_version),
        (before.hostname, after.hostname),
        (before.workers, after.workers),
    )
    if any(one and other and one != other for one, other in pairs):
        return False
    if before.uptime is not None and after.uptime is not None:
        passed = after.at - before.at
        surplus = after.uptime - before.uptime - passed
        return abs(surplus) <= max(_UPTIME_SECONDS, passed * _CLOCK_DRIFT)
    return True if before.hostname and after.hostname else None


class Hands:
    """Remembers what each miner told last, and at whose address another MAC was seen."""

    def __init__(self, neighbours: Neighbourhood) -> None:
        self._neighbours = neighbours
        self._told: dict[int, Told] = {}
        self._seen: dict[int, tuple[str, str, float]] = {}  # address, other MAC, when the table said so first

    def wants_table(self, miner: Miner, reading: Reading) -> bool:
        """Whether it is for the neighbour table to tell, and that was read too long ago."""
        silent = reading.identity.mac is None and miner.row.mac is not None
        return silent and not self._neighbours.is_known(TABLE_SECONDS)

    def who(self, miner: Miner, address: str, reading: Reading) -> Talker:
        """Who sent `reading` from the miner's address.

        A MAC that the device tells itself is believed at once. That of the neighbour table is not: a device that roams
        between an access point and a repeater shows another one each time. So the table has to say the same twice, and
        what the device tells of itself must not show that it is the one it was.
        """
        told, known = reading.identity.mac, miner.row.identity.mac
        if told is not None:
            return Talker.SAME if known in (None, told) else Talker.OTHER
        mac = self._neighbours.mac(address)
        seen = self._seen.pop(miner.row.id, None)
        if mac is None or miner.row.mac in (None, mac) or self._goes_on(miner, reading):
            return Talker.SAME
        if seen is None or seen[:2] != (address, mac):
            seen = (address, mac, self._neighbours.read_at)
        if self._neighbours.read_at - seen[2] >= TABLE_SECONDS:
            return Talker.OTHER
        self._seen[miner.row.id] = seen
        return Talker.UNSURE

    def _goes_on(self, miner: Miner, reading: Reading) -> bool:
        before = self._told.get(miner.row.id) or _told_before(miner.state.identity)
        return is_same(before, told_by(reading, time.monotonic())) is True

    def remember(self, miner: Miner, reading: Reading) -> None:
        """The miner told this. What a part of a status leaves out stays as it was told before."""
        now = told_by(reading, time.monotonic())
        before = self._told.get(miner.row.id, now)
        fresh = now.uptime is not None
        self._told[miner.row.id] = Told(
            now.model or before.model,
            now.firmware_version or before.firmware_version,
            now.hostname or before.hostname,
            now.workers or before.workers,
            now.uptime if fresh else before.uptime,
            now.at if fresh else before.at,
        )

    def forget(self, miner_id: int) -> None:
        self._told.pop(miner_id, None)
        self._seen.pop(miner_id, None)


def _told_before(identity: Identity) -> Told:
    """What is known of a miner that has not talked since the program was started."""
    return Told(identity.model, identity.firmware_version, identity.hostname)
