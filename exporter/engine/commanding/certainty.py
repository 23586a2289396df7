"""Before something is sent to a miner: that it is this miner, and that its words hold no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import Final

from exporter.discovery.neighbours import neighbour_macs
from exporter.engine.miner import Miner
from exporter.errors import UnavailableError

#: "x" and the like, which pools want where they want none, stand in many words.
_SHORTEST_SECRET: Final = 3
#: How long the kernel is given to find out who has an address.
_STIR_SECONDS: Final = 1.0
_STIR_PAUSE: Final = 0.05
#: RFC 863: whatever comes there is thrown away.
_DISCARD_PORT: Final = 9


async def make_sure(miner: Miner) -> None:
    """Ask who answers at the miner's address, in a new poll: addresses move from one device to another (DHCP).

    A miner that tells neither MAC nor serial number is told apart by the neighbour table, where that knows it. One that
    talks by itself cannot be asked; whoever has its address by now would be written to, so the table is all there is.

    Raises:
        UnavailableError: nobody answers, or somebody else.
    """
    poller, row = miner.poller, miner.row
    if poller is not None:
        before = poller.state.last_success
        await poller.poll_now(telemetry=False, verify=True)
        state = poller.state
        if miner.poller is not poller or not state.up or state.last_success == before:
            raise UnavailableError(f"nothing was sent: {state.last_error or 'the miner does not answer now'}")
    if miner.state.identity.mac is None and row.mac is not None and row.address is not None:
        mac = await mac_at(row.address, stir=poller is None)
        if mac not in (None, row.mac):
            raise UnavailableError(f"nothing was sent: another device, {mac}, has the address {row.address} now")


async def mac_at(address: str, *, stir: bool = True) -> str | None:
    """The MAC at an address by this host's neighbour table; None where that does not know it (behind a router).

    Args:
        stir: have the kernel find out. It asks on the network only when something is sent, and nothing ever was to a
            device that only broadcasts.
    """
    mac = (await asyncio.to_thread(neighbour_macs)).get(address)
    if mac is None and stir:
        _stir(address)
        until = time.monotonic() + _STIR_SECONDS
        while mac is None and time.monotonic() < until:
            await asyncio.sleep(_STIR_PAUSE)
            mac = (await asyncio.to_thread(neighbour_macs)).get(address)
    return mac


def _stir(address: str) -> None:
    """Send an empty datagram that nobody takes."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        contextlib.suppress(OSError),  # no way to it: then the table stays silent
    ):
        sock.sendto(b"", (address, _DISCARD_PORT))


def without_secrets(words: str, secrets: tuple[str, ...]) -> str:
    """`words` with the secrets of a command, which a device or a driver may quote, masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            for written in (secret, json.dumps(secret)[1:-1]):
                words = words.replace(written, "***")
    return words
