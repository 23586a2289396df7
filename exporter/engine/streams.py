"""Devices that talk by themselves over UDP: one stream for each sender."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from exporter.drivers.api import Driver, Identification, Stream, StreamSource
from exporter.drivers.loader import DriverSet
from exporter.errors import MinerError
from exporter.model import Reading
from exporter.transports import udp

log = logging.getLogger(__name__)

#: Senders remembered at most; a flood of forged senders cannot fill the memory.
_MAX_SENDERS: Final = 4096

OnReading = Callable[[str, Driver, Identification, Reading, float], None]
"""(address, driver, identification of its first datagram, reading, seconds until it expires)."""


class Streams:
    """Listens for datagrams and turns them into readings."""

    def __init__(self, drivers: DriverSet, on_reading: OnReading) -> None:
        self.drivers = drivers
        self._on_reading = on_reading
        self._listener: udp.Listener | None = None
        self._senders: dict[str, tuple[Driver, Stream, Identification]] = {}

    async def start(self, port: int | None) -> None:
        """Listen on `port`; 0 is any free one, None switches it off."""
        if port is not None:
            self._listener = await udp.listen(port, self.datagram)

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def datagram(self, data: bytes, address: str) -> None:
        """Take one datagram; anything that is none of ours is dropped."""
        sender = self._senders.get(address) or self._meet(data, address)
        if sender is None:
            return
        driver, stream, found = sender
        try:
            readings = stream.feed(data, time.time())
        except MinerError as error:
            log.debug("datagram of %s dropped: %s", address, error)
            return
        except Exception:
            log.warning("driver %s failed on a datagram", driver.driver_type, exc_info=True)
            return
        for reading in readings:
            self._on_reading(address, driver, found, reading, 3 * stream.period)

    def _meet(self, data: bytes, address: str) -> tuple[Driver, Stream, Identification] | None:
        for driver in self.drivers.drivers.values():
            source = driver if isinstance(driver, StreamSource) else None
            if source is None:
                continue
            try:
                found = source.identify_datagram(data)
            except MinerError:
                continue
            if found is not None:
                if len(self._senders) >= _MAX_SENDERS:
                    self._senders.pop(next(iter(self._senders)))
                sender = self._senders[address] = (driver, source.new_stream(), found)
                return sender
        return None
