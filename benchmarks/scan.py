# ruff: noqa: T201 - a report on standard output
"""What finding miners costs, beside a C program that only connects.

    python -m benchmarks.scan [--quick]

Searches a /20 of loopback addresses whose hosts are the simulator's devices, then addresses that never answer, then a
segment of its own in network namespaces (needs root and iproute2). CPU is that of the searching process; only ratios
travel between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import math
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import child, hosts

NETWORK: Final = "127.80.0.0/20"
CONCURRENCY: Final = 1000
#: The mix of which larger flocks are made, home miners and farm machines in turn.
MIX: Final = (("bitaxe", "gamma-2.12"), ("vnish", "s19jpro-1.2.6"), ("antminer", "s19"), ("avalon", "a1246"))


def addresses(network: str = NETWORK) -> list[str]:
    return [str(address) for address in ipaddress.IPv4Network(network).hosts()]


def some_of(every: int) -> dict[str, tuple[str, str]]:
    """Each `every`-th address of the network with a device of the mix."""
    chosen = addresses()[::every]
    return {address: MIX[number % len(MIX)] for number, address in enumerate(chosen)}


# --- the C program ----------------------------------------------------------------------------------------------


def compiled(folder: Path) -> Path | None:
    """The connect-only program, None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "connect"
    source = Path(__file__).with_name("connect.c")
    subprocess.run((compiler, "-O2", "-o", program, source), check=True)  # noqa: S603
    return program


def connect_only(program: Path, *ports: int) -> tuple[int, float]:
    """Open ports and CPU seconds of the C program over the network."""
    every = addresses()
    command = (program, every[0], str(len(every)), str(CONCURRENCY), *map(str, ports))
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found, microseconds = done.stdout.split()
    return int(found), int(microseconds) / 1e6


# --- in the measured process --------------------------------------------------------------------------------------


def scan_only(ports: list[int]) -> dict[str, Any]:
    """The connect stage alone."""
    from exporter.discovery.scan import ScanTarget, scan_ports

    targets = [ScanTarget(address, tuple(ports)) for address in addresses()]
    before = child.cpu_seconds()
    outcome = scan_ports(targets, timeout=2.0, concurrency=CONCURRENCY)
    return {
        "cpu": child.cpu_seconds() - before,
        "found": sum(len(found) for found in outcome.open_ports.values()),
        "tried": outcome.tried,
    }


def search(http: int, rpc: int, network: str = NETWORK, sweep: bool = True) -> dict[str, Any]:
    """A whole search: scan, identify, complete the identity."""
    from exporter.app import _loop_factory
    from exporter.discovery.networks import local_interfaces, search_networks
    from exporter.drivers.loader import load_drivers
    from exporter.engine.exchange import Exchange
    from exporter.engine.search import Searcher
    from exporter.transports.wire import NetworkWire

    async def run() -> dict[str, Any]:
        wire = NetworkWire()
        searcher = Searcher(
            Exchange(wire),
            load_drivers(None).drivers,
            lambda _: True,
            lambda _: None,
            http_ports=(http,),
            api_ports=(rpc,),
            timeout=0.3,
        )
        if not sweep:
            searcher._can_sweep = False  # noqa: SLF001 - as without CAP_NET_RAW
        networks = search_networks([(ipaddress.IPv4Network(network), ())], local_interfaces())
        before, begun = child.cpu_seconds(), time.monotonic()
        result = await searcher.search(networks)
        spent, cpu = time.monotonic() - begun, child.cpu_seconds() - before
        await wire.close()
        drivers: dict[str, int] = {}
        for find in result.finds:
            name = find.identification.driver_type or "none"
            drivers[name] = drivers.get(name, 0) + 1
        return {
            "cpu": cpu,
            "seconds": spent,
            "found": len(result.finds),
            "unsure": len(result.unsure),
            "strangers": len(result.strangers),
            "drivers": drivers,
            "incomplete": sum(1 for find in result.finds if find.identity.mac is None),
        }

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run())


def silent(network: str, ports: list[int], timeout: float) -> dict[str, Any]:
    """Wall seconds of a scan in which nobody answers, and how many connects were tried."""
    from exporter.discovery.scan import ScanTarget, scan_ports

    targets = [ScanTarget(address, tuple(ports)) for address in addresses(network)]
    begun = time.monotonic()
    outcome = scan_ports(targets, timeout=timeout, concurrency=CONCURRENCY)
    return {"seconds": time.monotonic() - begun, "tried": outcome.tried, "found": len(outcome.open_ports)}


if __name__ == "__main__":
    import sys

    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        for every in (10, 1):
            with hosts.started(some_of(every)) as running:
                ports = running.ports
                for _ in range(3):
                    print("C", connect_only(program, ports.http, ports.rpc))
                    print("scan", child.measured("benchmarks.scan:scan_only", ports=[ports.http, ports.rpc]))
                    print("search", child.measured("benchmarks.scan:search", http=ports.http, rpc=ports.rpc))
                    print("search+", child.measured("benchmarks.scan:search", plain=False, http=ports.http, rpc=ports.rpc))
                    sys.stdout.flush()
