"""Before something is sent to a miner: that it is this miner, and that its words hold no secret."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from exporter.discovery.neighbours import neighbour_macs
from exporter.engine.miner import Miner
from exporter.errors import UnavailableError

#: "x" and the like, which pools want where they want none, stand in many words.
_SHORTEST_SECRET: Final = 3


async def make_sure(miner: Miner) -> None:
    """Ask who answers at the miner's address, in a new poll: addresses move from one device to another (DHCP).

    A miner that tells neither MAC nor serial number is told apart by the neighbour table, where that knows it. One that
    talks by itself is not asked: its last message came from the address that is written to.

    Raises:
        UnavailableError: nobody answers, or somebody else.
    """
    poller, row = miner.poller, miner.row
    if poller is None:
        return
    before = poller.state.last_success
    await poller.poll_now(telemetry=False, verify=True)
    state = poller.state
    if miner.poller is not poller or not state.up or state.last_success == before:
        raise UnavailableError(f"nothing was sent: {state.last_error or 'the miner does not answer now'}")
    if state.identity.mac is None and row.mac is not None and row.address is not None:
        mac = (await asyncio.to_thread(neighbour_macs)).get(row.address)
        if mac not in (None, row.mac):
            raise UnavailableError(f"nothing was sent: another device, {mac}, has the address {row.address} now")


def without_secrets(words: str, secrets: tuple[str, ...]) -> str:
    """`words` with the secrets of a command, which a device or a driver may quote, masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            for written in (secret, json.dumps(secret)[1:-1]):
                words = words.replace(written, "***")
    return words
