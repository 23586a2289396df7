"""Devices that talk by themselves over UDP: one stream for each sender."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from exporter.drivers.api import Driver, Identification, Stream, StreamSource
from exporter.drivers.loader import DriverSet
from exporter.engine.isolation import call_driver, is_trusted, run_driver, trace_of
from exporter.engine.tasks import Tasks
from exporter.errors import InternalError, MinerError
from exporter.model import Reading
from exporter.transports import udp

log = logging.getLogger(__name__)

#: Senders remembered at most; a flood of forged senders cannot fill the memory.
_MAX_SENDERS: Final = 4096
#: Datagrams that may wait for users' drivers at the same time; what comes beyond that is dropped.
_MAX_WAITING: Final = 64
_LONGEST_PERIOD: Final = 3600.0

OnReading = Callable[[str, Driver, Identification, Reading, float], None]
"""(address, driver, identification of its first datagram, reading, seconds until it expires)."""
OnFault = Callable[[str], None]
"""(driver) of every datagram that a driver failed on by a fault of its own."""


@dataclass(slots=True, eq=False)
class _Sender:
    """`left`: another device has its address by now, so that what is still read in its stream is nobody's."""

    driver: Driver
    stream: Stream
    found: Identification
    trusted: bool
    left: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Streams:
    """Listens for datagrams and turns them into readings."""

    def __init__(self, drivers: DriverSet, on_reading: OnReading, on_fault: OnFault) -> None:
        self._on_reading = on_reading
        self._on_fault = on_fault
        self._listener: udp.Listener | None = None
        self._senders: dict[str, _Sender] = {}
        self._tasks = Tasks()
        self._waiting = 0
        self.use(drivers)

    @property
    def port(self) -> int | None:
        """The port that is listened to."""
        return None if self._listener is None else self._listener.port

    def use(self, drivers: DriverSet) -> None:
        """Read what comes from now on with these drivers. Who is heard by one that stays is heard on."""
        self._drivers = drivers
        self._faulty: set[str] = set()
        staying = {id(driver) for driver in drivers.drivers.values()}
        self._senders = {address: one for address, one in self._senders.items() if id(one.driver) in staying}
        sources = [driver for driver in drivers.drivers.values() if isinstance(driver, StreamSource)]
        self._ours = [driver for driver in sources if is_trusted(drivers, driver.driver_type)]
        self._users = [driver for driver in sources if driver not in self._ours]

    def forget(self, address: str) -> None:
        """Another device sends from this address now: what it says next is read anew, by whichever driver knows it."""
        sender = self._senders.pop(address, None)
        if sender is not None:
            sender.left = True

    async def start(self, port: int | None) -> None:
        """Listen on `port`; 0 is any free one, None switches it off."""
        if port is not None:
            self._listener = await udp.listen(port, self.datagram)

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._tasks.stop()

    def datagram(self, data: bytes, address: str) -> None:
        """Take one datagram; anything that is none of ours is dropped."""
        sender = self._senders.get(address)
        if sender is None:
            sender = self._meet(data, address)
        if sender is not None and sender.trusted:
            self._feed(sender, data, address)
        elif (sender is not None or self._users) and self._waiting < _MAX_WAITING:
            self._waiting += 1
            self._tasks.spawn(self._in_thread(sender, data, address), "datagram")

    def _meet(self, data: bytes, address: str) -> _Sender | None:
        """Ask our own drivers whether a new sender is theirs."""
        for driver in self._ours:
            try:
                found = call_driver(_source(driver).identify_datagram, data)
                if found is not None:
                    return self._remember(address, driver, found, call_driver(_source(driver).new_stream), trusted=True)
            except MinerError as error:
                self._dropped(driver, address, error)
        return None

    def _feed(self, sender: _Sender, data: bytes, address: str) -> None:
        try:
            self._tell(sender, address, call_driver(sender.stream.feed, data, time.time()))
        except MinerError as error:
            self._dropped(sender.driver, address, error)

    async def _in_thread(self, sender: _Sender | None, data: bytes, address: str) -> None:
        """The same for users' drivers, which may hang."""
        try:
            if sender is None:
                sender = await self._meet_in_thread(data, address)
            if sender is not None:
                await self._feed_in_thread(sender, data, address)
        finally:
            self._waiting -= 1

    async def _feed_in_thread(self, sender: _Sender, data: bytes, address: str) -> None:
        try:
            async with sender.turn:
                readings = await run_driver(sender.stream.feed, data, time.time(), trusted=False, owner=sender.driver)
            self._tell(sender, address, readings)
        except MinerError as error:
            self._dropped(sender.driver, address, error)

    def _dropped(self, driver: Driver, address: str, error: MinerError) -> None:
        """Anybody can send anything; but a fault of the driver itself counts, and is logged once until drivers are
        loaded anew.
        """
        if isinstance(error, InternalError):
            self._on_fault(driver.driver_type)
        new_fault = isinstance(error, InternalError) and driver.driver_type not in self._faulty
        level, trace = (logging.WARNING, trace_of(error)) if new_fault else (logging.DEBUG, None)
        if new_fault:
            self._faulty.add(driver.driver_type)
        log.log(
            level, "driver %s: datagram of %s dropped: %s", driver.driver_type, address, error, exc_info=trace,
            extra={"reason": error.reason},
        )  # fmt: skip

    async def _meet_in_thread(self, data: bytes, address: str) -> _Sender | None:
        for driver in self._users:
            try:
                found = await run_driver(_source(driver).identify_datagram, data, trusted=False)
                if found is not None:
                    stream = await run_driver(_source(driver).new_stream, trusted=False)
                    return self._remember(address, driver, found, stream, trusted=False)
            except MinerError as error:
                self._dropped(driver, address, error)
        return None

    def _remember(
        self, address: str, driver: Driver, found: Identification, stream: Stream, *, trusted: bool
    ) -> _Sender:
        period = getattr(stream, "period", None)
        if not isinstance(found, Identification) or not isinstance(period, int | float):
            raise InternalError("no Identification, or a stream without a period")
        if not 0 < period <= _LONGEST_PERIOD:
            raise InternalError(f"a period of {period} s")
        if len(self._senders) >= _MAX_SENDERS:
            self._senders.pop(next(iter(self._senders)))
        sender = self._senders[address] = _Sender(driver, stream, found, trusted)
        return sender

    def _tell(self, sender: _Sender, address: str, readings: Iterable[Reading]) -> None:
        if not isinstance(readings, tuple | list) or not all(isinstance(reading, Reading) for reading in readings):
            raise InternalError(f"driver {sender.driver.driver_type} gave something else than readings")
        for reading in readings:
            if sender.left:
                return
            self._on_reading(address, sender.driver, sender.found, reading, 3 * sender.stream.period)


def _source(driver: Driver) -> StreamSource:
    if not isinstance(driver, StreamSource):
        raise InternalError(f"driver {driver.driver_type} hears nothing")
    return driver
