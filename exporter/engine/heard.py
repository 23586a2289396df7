"""Takes the readings of devices that talk by themselves into the flock."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from exporter.config_values import is_metadata
from exporter.discovery.networks import is_private
from exporter.drivers.api import Driver, Identification
from exporter.engine.fleet import MinerRecord
from exporter.engine.flock import Flock, talks_by_itself
from exporter.engine.hands import TABLE_SECONDS, Hands, Talker
from exporter.engine.merge import merge_identity
from exporter.engine.miner import Miner
from exporter.engine.neighbourhood import Neighbourhood
from exporter.engine.registry import Found
from exporter.model import Reading

log = logging.getLogger(__name__)

#: Devices of this kind adopted at most: datagrams are easily forged, and a row is for ever.
MOST_DEVICES: Final = 4096
#: Those that are adopted at the same time share what the neighbour table said, for this many seconds.
_SHARED_SECONDS: Final = 1.0
#: A miner that is polled is not taken for one that talks before it has missed this many polls.
_MISSED_POLLS: Final = 3


@dataclass(frozen=True, slots=True)
class _Word:
    """A reading that somebody sent; it expires after `expires_in` seconds."""

    address: str
    driver: Driver
    found: Identification
    reading: Reading
    expires_in: float


class Heard:
    """Owns what is heard; one timer for each miner makes it fall silent. A watcher of the flock.

    Args:
        forget_stream: called with the address at which another device talks by now; what it says next is read anew.
    """

    def __init__(self, flock: Flock, forget_stream: Callable[[str], None]) -> None:
        self._flock = flock
        self._forget_stream = forget_stream
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._neighbours = Neighbourhood()
        self._hands = Hands(self._neighbours)
        self._talkers: set[int] = set()
        # By address, each with the last word from there.
        self._adopting: dict[str, _Word] = {}
        self._held: dict[str, _Word] = {}
        self._changing: set[str] = set()
        self._full = False

    def expect(self) -> None:
        """Wait for those that talked before the program was started; who stays silent is down."""
        for miner in self._flock:
            if miner.state.up is None and self._talks(miner):
                self._watch(miner, 3 * self._flock.settings.intervals.status_seconds)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def publish(self, record: MinerRecord) -> None:
        """Keep count of the devices that talk by themselves."""
        miner = self._flock.get(record.id)
        if miner is not None and self._talks(miner):
            self._talkers.add(record.id)
        else:
            self._talkers.discard(record.id)

    def remove(self, miner_id: int) -> None:
        self._talkers.discard(miner_id)
        self._hands.forget(miner_id)

    def heard(self, address: str, driver: Driver, found: Identification, reading: Reading, expires_in: float) -> None:
        """A device that talks by itself sent a reading; it expires after `expires_in` seconds."""
        self._judge(_Word(address, driver, found, reading, expires_in))

    def _judge(self, word: _Word) -> None:
        here = self._flock.at(word.address)
        miner = self._teller(word, here)
        if miner is None:
            self._meet(word, here)
        elif word.address in self._changing:
            return
        elif self._hands.wants_table(miner, word.reading):
            self._hold(word)
        else:
            self._hear(miner, word)

    def _teller(self, word: _Word, here: tuple[Miner, ...]) -> Miner | None:
        kind = word.driver.driver_type
        return next((m for m in here if m.row.driver == kind and talks_by_itself(word.driver, m.row)), None)

    def _hold(self, word: _Word) -> None:
        """Judge a word when the neighbour table was read; of several from one address the last one."""
        first = not self._held
        self._held[word.address] = word
        if first:
            self._flock.tasks.spawn(self._judge_held(), "message")

    async def _judge_held(self) -> None:
        try:
            await self._neighbours.read(TABLE_SECONDS)
        finally:
            held, self._held = self._held, {}
        for word in held.values():
            self._judge(word)

    def _hear(self, miner: Miner, word: _Word) -> None:
        match self._hands.who(miner, word.address, word.reading):
            case Talker.SAME:
                self._take(miner, word)
            case Talker.OTHER:
                self._changing.add(word.address)
                # Its words were read as the miner's until now, and may hold something of the miner.
                self._forget_stream(word.address)
                where = {"miner": miner.row.key, "address": word.address}
                other = word.reading.identity.mac or self._neighbours.mac(word.address)
                log.warning("another device, %s, talks at the address of this miner now", other, extra=where)
                self._flock.tasks.spawn(self._change_hands(miner, word.address), "message")
            case Talker.UNSURE:
                log.debug("it is not sure yet who talks at the address", extra={"address": word.address})

    async def _change_hands(self, miner: Miner, address: str) -> None:
        """The miner has lost its address to another device, which its next word brings under a name of its own."""
        try:
            await self._flock.clear_address(miner, address)
        finally:
            self._changing.discard(address)

    def _talks(self, miner: Miner) -> bool:
        driver = self._flock.drivers.drivers.get(miner.row.driver)
        return driver is not None and talks_by_itself(driver, miner.row)

    def _may_be_new(self, address: str, here: tuple[Miner, ...]) -> bool:
        for other in here:
            if self._flock.is_alive(other) or (other.poller is not None and other.state.failures < _MISSED_POLLS):
                return False  # polled already, by the same or another driver: no second series for one device
        try:
            ip = ipaddress.IPv4Address(address)
        except ValueError:
            return False
        if is_metadata(ip):
            return False
        allowed = self._flock.settings.network.allow_public or is_private(ipaddress.IPv4Network(ip))
        return allowed or any(network.covers(address) for network in self._flock.networks)

    def _meet(self, word: _Word, here: tuple[Miner, ...]) -> None:
        """Adopt a device that was not heard before, where it may be."""
        address = word.address
        if address in self._adopting:
            self._adopting[address] = word
            return
        if not self._may_be_new(address, here):
            return
        full = len(self._talkers) + len(self._adopting) >= MOST_DEVICES
        if full and not self._full:
            log.warning("too many devices that talk by themselves; %s and others are left out", address)
        self._full = full
        if not full:
            self._adopting[address] = word
            self._flock.tasks.spawn(self._adopt(word), "message")

    async def _adopt(self, word: _Word) -> None:
        flock, address = self._flock, word.address
        ports = flock.settings.network.ports
        try:
            await self._neighbours.read(_SHARED_SECONDS)
            mac = self._neighbours.mac(address)
            owner = None if mac is None else flock.with_mac(mac)
            if owner is not None and owner.row.address not in (None, address) and flock.is_alive(owner):
                return  # it talked elsewhere a moment ago; it is moved once it has fallen silent there
            await flock.adopt(
                Found(
                    address=address,
                    http_port=ports.http[0],
                    api_port=ports.cgminer[0],
                    driver=word.driver.driver_type,
                    identity=merge_identity(word.reading.identity, word.found.identity),
                    details=dict(word.found.details),
                    neighbour_mac=mac,
                    labels=flock.labels_at(address),
                    managed=flock.settings.network.manage_discovered,
                )
            )
        finally:
            word = self._adopting.pop(address)
        miner = self._teller(word, flock.at(address))
        if miner is not None:
            self._take(miner, word)

    def _take(self, miner: Miner, word: _Word) -> None:
        self._hands.remember(miner, word.reading)
        self.take(miner, word.reading, word.expires_in)

    def take(self, miner: Miner, reading: Reading, expires_in: float) -> None:
        """A miner of the flock told of itself; what it told expires after `expires_in` seconds."""
        if not (miner.row.managed and miner.row.enabled):
            return
        state = miner.state
        if state.up is False:
            log.info("miner is back", extra={"miner": miner.row.key, "address": miner.row.address})
        state.up, state.last_success, state.last_error = True, time.time(), None
        state.identity = merge_identity(reading.identity, state.identity)
        miner.misses = 0
        miner.stream = (replace(reading, identity=state.identity), time.monotonic() + expires_in)
        self._flock.publish(miner)
        self._watch(miner, expires_in)

    def _watch(self, miner: Miner, seconds: float) -> None:
        """Look at the miner after `seconds`, unless somebody looks already."""
        if miner.row.id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[miner.row.id] = loop.call_later(seconds, self._look, miner)

    def _look(self, miner: Miner) -> None:
        self._timers.pop(miner.row.id, None)
        if self._flock.get(miner.row.id) is not miner or miner.poller is not None or miner.state.up is False:
            return
        if miner.stream is not None and (left := miner.stream[1] - time.monotonic()) > 0:
            self._watch(miner, left)
            return
        miner.stream = None
        miner.state.up = False
        miner.state.errors["timeout"] = miner.state.errors.get("timeout", 0) + 1
        miner.state.last_error = "the device has fallen silent"
        log.warning("miner is gone: it has fallen silent", extra={"miner": miner.row.key, "reason": "timeout"})
        self._flock.publish(miner)
