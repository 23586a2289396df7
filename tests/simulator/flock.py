"""Run a flock inside a test, and talk to its devices with plain sockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.clock import Clock
from simulator.devices.base import DeviceSpec
from simulator.simulation import Host, Simulation

#: The time of the frozen clocks.
NOON = 1_780_000_000.0
SHARED = Path(os.environ.get("FLOCKWATCH_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def shared(*parts: str) -> Path:
    """A file of the shared facts; the test is skipped where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def spec(kind: str, model: str, number: int = 1, **more: Any) -> DeviceSpec:
    """A device at 127.<worker>.<process>.<number>, so that parallel tests do not meet."""
    return DeviceSpec(kind, model, address(number), f"02:00:00:00:00:{number:02x}", seed=number, **more)


def address(number: int) -> str:
    """A loopback address of this process."""
    return f"127.78.{os.getpid() % 250 + 1}.{number}"


def flock(*specs: DeviceSpec, **options: Any) -> Simulation:
    """A flock on free ports, with the clock standing at NOON."""
    return Simulation(specs, clock=options.pop("clock", Clock(NOON)), **options)


def only(simulation: Simulation) -> Host:
    """The flock's only device."""
    (host,) = simulation.hosts.values()
    return host


def url(host: Host, path: str) -> str:
    """The address of a page."""
    return f"http://{host.address}:{host.ports['http']}{path}"


async def get(host: Host, path: str, **options: Any) -> httpx.Response:
    """One GET on a fresh connection."""
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.get(url(host, path), **options)


async def post(host: Host, path: str, body: Any, **options: Any) -> httpx.Response:
    """One POST on a fresh connection."""
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.post(url(host, path), json=body, **options)


async def ask(host: Host, payload: bytes, timeout: float = 5.0) -> bytes:
    """The bytes that the CGMiner port answers with, until it closes."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host.address, host.ports["rpc"])
        try:
            writer.write(payload)
            return await reader.read(-1)
        finally:
            writer.close()
            await writer.wait_closed()


async def command(host: Host, name: str, **more: Any) -> Any:
    """The parsed reply to a command."""
    body = await ask(host, json.dumps({"command": name, **more}).encode())
    assert body.endswith(b"\0")
    return json.loads(body[:-1])


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let the event loop run until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the servers under test have no event to wait for
            await asyncio.sleep(0.005)


def free_udp() -> socket.socket:
    """A bound UDP socket for datagrams."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.setblocking(False)
    return receiver
