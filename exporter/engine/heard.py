"""Takes the readings of devices that talk by themselves into the flock."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import Counter
from dataclasses import replace
from typing import Final

from exporter.discovery.neighbours import neighbour_macs
from exporter.discovery.networks import is_private
from exporter.drivers.api import Driver, Identification
from exporter.engine.flock import Flock, talks_by_itself
from exporter.engine.merge import merge_identity
from exporter.engine.miner import Miner
from exporter.engine.registry import Found
from exporter.model import Reading

log = logging.getLogger(__name__)

#: Devices of this kind adopted at most: datagrams are easily forged, and a row is for ever.
MOST_DEVICES: Final = 4096
#: Seconds for which what the neighbour table said holds; who has an address changes seldom.
_TABLE_SECONDS: Final = 10.0
#: A miner that is polled is not taken for one that talks before it has missed this many polls.
_MISSED_POLLS: Final = 3


class Heard:
    """Owns what is heard; one timer for each miner makes it fall silent."""

    def __init__(self, flock: Flock) -> None:
        self._flock = flock
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._macs: dict[str, str] = {}
        self._table_read = float("-inf")
        self._changing: set[str] = set()

    def expect(self) -> None:
        """Wait for those that talked before the program was started; who stays silent is down."""
        for miner in self._flock:
            if miner.state.up is None and self._talks(miner):
                self._watch(miner, 3 * self._flock.settings.intervals.status_seconds)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def heard(self, address: str, driver: Driver, found: Identification, reading: Reading, expires_in: float) -> None:
        """A device that talks by itself sent a reading; it expires after `expires_in` seconds."""
        here = self._flock.at(address)
        miner = next((m for m in here if m.row.driver == driver.driver_type and talks_by_itself(driver, m.row)), None)
        if miner is None:
            if self._may_be_new(address, here):
                self._flock.tasks.spawn(self._adopt(address, driver, found, reading, expires_in), "message")
            return
        other = self._other_mac(miner, address, reading)
        if other is None:
            self.take(miner, reading, expires_in)
        elif address not in self._changing:
            self._changing.add(address)
            where = {"miner": miner.row.key, "address": address}
            log.warning("another device, %s, talks at the address of this miner now", other, extra=where)
            self._flock.tasks.spawn(self._change_hands(miner, address, driver, found, reading, expires_in), "message")

    def _other_mac(self, miner: Miner, address: str, reading: Reading) -> str | None:
        """The MAC of another device that has the miner's address by now (DHCP); None where it is the miner, as far as
        the device itself, else the neighbour table, tells."""
        told = reading.identity.mac
        mac, known = (told, miner.row.identity.mac) if told is not None else (self._neighbour(address), miner.row.mac)
        return None if mac is None or known in (None, mac) else mac

    def _neighbour(self, address: str, *, anew: bool = False) -> str | None:
        """The MAC at an address by the neighbour table; None where it does not know, or a router answers for many."""
        now = time.monotonic()
        if anew or now - self._table_read >= _TABLE_SECONDS:
            table = neighbour_macs()
            times = Counter(table.values())
            self._macs = {where: mac for where, mac in table.items() if times[mac] == 1}
            self._table_read = now
        return self._macs.get(address)

    async def _change_hands(
        self,
        miner: Miner,
        address: str,
        driver: Driver,
        found: Identification,
        reading: Reading,
        expires_in: float,
    ) -> None:
        """The miner has lost its address to another device, which is taken under a name of its own."""
        try:
            await self._flock.clear_address(miner, address)
            if self._may_be_new(address, self._flock.at(address)):
                # What the first message from this address told of itself was about the miner.
                found = replace(found, identity=reading.identity)
                await self._adopt(address, driver, found, reading, expires_in)
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
            public = not is_private(ipaddress.IPv4Network(address))
        except ValueError:
            return False
        allowed = self._flock.settings.network.allow_public
        return not public or allowed or any(network.covers(address) for network in self._flock.networks)

    async def _adopt(
        self, address: str, driver: Driver, found: Identification, reading: Reading, expires_in: float
    ) -> None:
        flock = self._flock
        if sum(self._talks(miner) for miner in flock) >= MOST_DEVICES:
            log.warning("too many devices that talk by themselves; %s is left out", address)
            return
        ports = flock.settings.network.ports
        mac = self._neighbour(address, anew=True)
        owner = next((miner for miner in flock if mac is not None and miner.row.mac == mac), None)
        if owner is not None and owner.row.address not in (None, address) and flock.is_alive(owner):
            return  # it talked elsewhere a moment ago; it is moved once it has fallen silent there
        await flock.adopt(
            Found(
                address=address,
                http_port=ports.http[0],
                api_port=ports.cgminer[0],
                driver=driver.driver_type,
                identity=merge_identity(reading.identity, found.identity),
                details=dict(found.details),
                neighbour_mac=mac,
                labels=flock.labels_at(address),
                managed=flock.settings.network.manage_discovered,
            )
        )
        miner = next((m for m in flock.at(address) if m.row.driver == driver.driver_type), None)
        if miner is not None:
            self.take(miner, reading, expires_in)

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
