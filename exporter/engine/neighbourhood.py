"""What the neighbour table of this host says, read away from the loop and once for all who ask at the same time."""

from __future__ import annotations

import asyncio
import time

from exporter.discovery.neighbours import neighbour_macs, own_macs


class Neighbourhood:
    """Remembers the table as it was read last; on a large network reading it takes tens of milliseconds."""

    def __init__(self) -> None:
        #: When the table was read last, on the monotonic clock.
        self.read_at = float("-inf")
        self._macs: dict[str, str] = {}
        self._turn = asyncio.Lock()

    def mac(self, address: str) -> str | None:
        """The MAC at an address when the table was read last; None where it did not know, or one MAC had several."""
        return self._macs.get(address)

    def is_known(self, within: float) -> bool:
        """Whether the table was read within the last `within` seconds."""
        return time.monotonic() - self.read_at < within

    async def read(self, within: float) -> None:
        """Read the table, unless that was done within the last `within` seconds."""
        async with self._turn:
            if not self.is_known(within):
                begun = time.monotonic()
                self._macs = await asyncio.to_thread(_table)
                self.read_at = begun


def _table() -> dict[str, str]:
    return own_macs(neighbour_macs())
