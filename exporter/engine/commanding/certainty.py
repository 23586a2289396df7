"""Before something is sent to a miner: that it is this miner, and that its words hold no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import Final

from exporter.discovery.arp import who_has
from exporter.discovery.neighbours import neighbour_macs, own_macs
from exporter.engine.miner import Miner
from exporter.errors import UnavailableError

#: "x" and the like, which pools want where they want none, stand in many words.
_SHORTEST_SECRET: Final = 3
#: How long the kernel is given to find out who has an address that it knows nothing of.
_STIR_SECONDS: Final = 1.0
#: How long it goes on believing what it knew, once something is sent there: it waits 5 s, and asks three times.
_DOUBT_SECONDS: Final = 8.5
_LOOK_PAUSE: Final = 0.1
#: RFC 863: whatever comes there is thrown away.
_DISCARD_PORT: Final = 9


async def make_sure(miner: Miner) -> None:
    """Ask who answers at the miner's address, in a new poll: addresses move from one device to another (DHCP).

    A miner that tells neither MAC nor serial number is told apart by the neighbour table, where that knows it. One that
    talks by itself cannot be asked; whoever has its address by now would be written to, so it is found out anew.

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
        mac = await mac_at(row.address, anew=poller is None)
        if mac not in (None, row.mac):
            raise UnavailableError(f"nothing was sent: another device, {mac}, has the address {row.address} now")


async def mac_at(address: str, *, anew: bool = True) -> str | None:
    """The MAC at an address, as far as this host can tell; None where it cannot (behind a router or a repeater).

    Args:
        anew: do not take the neighbour table's word for it, which may be of days ago where nothing is ever sent to a
            device. It is asked by ARP where this process may; else the kernel is made to ask, which takes seconds.
    """
    if anew:
        mac = await asyncio.to_thread(who_has, address)
        if mac is not None:
            return own_macs({**await asyncio.to_thread(neighbour_macs), address: mac}).get(address)
    table = await asyncio.to_thread(neighbour_macs)
    if anew and address in table:
        _stir(address)
        table = await _other_than(table[address], address, _DOUBT_SECONDS)
    if anew and address not in table:
        _stir(address)
        table = await _other_than(None, address, _STIR_SECONDS)
    return own_macs(table).get(address)


async def _other_than(mac: str | None, address: str, seconds: float) -> dict[str, str]:
    """The neighbour table as soon as it has something else than `mac` at the address, at the latest after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        table = await asyncio.to_thread(neighbour_macs)
        if table.get(address) != mac or time.monotonic() >= until:
            return table
        await asyncio.sleep(_LOOK_PAUSE)


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
