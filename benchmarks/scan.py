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
from pathlib import Path
from typing import Any, Final

from benchmarks import child, hosts, namespaces

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
    subprocess.run((compiler, "-O2", "-o", str(program), str(source)), check=True)  # noqa: S603
    return program


def connect_only(program: Path, *ports: int) -> tuple[int, float]:
    """Open ports and CPU seconds of the C program over the network."""
    every = addresses()
    command = (str(program), every[0], str(len(every)), str(CONCURRENCY), *map(str, ports))
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
    from exporter.engine.sessions import Sessions
    from exporter.transports.wire import NetworkWire

    async def run() -> dict[str, Any]:
        wire = NetworkWire()
        exchange = Exchange(wire)
        searcher = Searcher(
            exchange,
            load_drivers(None).drivers,
            lambda _: True,
            Sessions(None, exchange, lambda *_: (), create_keys=False).prepare,
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


# --- reports ------------------------------------------------------------------------------------------------------


def compare_with_c(program: Path | None, every: int, rounds: int) -> None:
    """Scan and search a /20 in which each `every`-th address is a miner, beside the C program in the same minute."""
    living = some_of(every)
    open_ports = sum(1 + (kind in ("vnish", "antminer")) for kind, _ in living.values())
    with hosts.started(living) as running:
        ports = running.ports
        witness: list[float] = []
        scans: list[float] = []
        searches: list[float] = []
        fast: list[float] = []
        for _ in range(rounds):
            if program is not None:
                found, cpu = connect_only(program, ports.http, ports.rpc)
                _expect(found, open_ports, "open ports by the C program")
                witness.append(cpu)
            outcome = child.measured("benchmarks.scan:scan_only", ports=[ports.http, ports.rpc])
            _expect(outcome["found"], open_ports, "open ports")
            scans.append(outcome["cpu"])
            for plain, kept in ((True, searches), (False, fast)):
                if plain or child.has_extras():
                    outcome = child.measured("benchmarks.scan:search", plain=plain, http=ports.http, rpc=ports.rpc)
                    _expect(outcome["found"], len(living), "miners found")
                    kept.append(outcome["cpu"])
    share = f"/20, {100 // every} % miners"
    if witness:
        print(f"{share}: C, connect only        {_figures(witness)}")
    _line(f"{share}: connect stage", scans, witness, 1.3)
    bar = 5.0 if every == 1 else 2.0
    _line(f"{share}: {len(living)} identified", searches, witness, bar)
    if fast:
        _line(f"{share}: the same with the extras", fast, witness, bar)


def _expect(found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: {found} instead of {wanted}")


def _figures(seconds: list[float]) -> str:
    return f"{min(seconds):6.3f} s CPU (median {statistics.median(seconds):.3f})"


def _line(name: str, seconds: list[float], witness: list[float], bar: float) -> None:
    compared = "no C compiler, no ratio"
    if witness:
        compared = f"{min(seconds) / min(witness):5.2f} x C (bar {bar:g})"
    print(f"{name:<42} {_figures(seconds)} = {compared}", flush=True)


def never_answering() -> None:
    """A /22 behind a route on which every packet is lost, in a network namespace."""
    timeout, ports, network = 0.3, [80, 4028], "10.98.0.0/22"
    with namespaces.lossy(network) as scanner:
        result = child.measured("benchmarks.scan:silent", prefix=scanner, network=network, ports=ports, timeout=timeout)
    bound = timeout * math.ceil(result["tried"] / CONCURRENCY)
    print(
        f"silent /22, {timeout * 1e3:.0f} ms: {result['seconds']:.2f} s ="
        f" {result['seconds'] / bound:.2f} x time-out x ceil(probes / concurrency) (bar 1.15)",
        flush=True,
    )


def mostly_absent() -> None:
    """An on-link /20 of which nine addresses in ten are absent: with and without the right to send ARP."""
    network = "10.97.0.0/20"
    living = {address: MIX[number % len(MIX)] for number, address in enumerate(addresses(network)[::10])}
    fixed = hosts.Ports(80, 4028)
    with (
        namespaces.segment(network, tuple(living)) as (scanner, miners),
        hosts.started(living, prefix=miners, everywhere=True, ports=fixed),
    ):
        for sweep, bar in ((True, 3), (False, 25)):
            result = child.measured(
                "benchmarks.scan:search", prefix=scanner, http=80, rpc=4028, network=network, sweep=sweep
            )
            _expect(result["found"], len(living), "miners found")
            print(
                f"on-link /20, 90 % absent, {'ARP sweep' if sweep else 'paced    '}: all {result['found']} found in"
                f" {result['seconds']:.1f} s (bar {bar}), {result['cpu']:.2f} s CPU",
                flush=True,
            )


def main(words: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="one round, and no paced search")
    chosen = arguments.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        if program is None:
            print("no C compiler (cc): the scan is not compared with one")
        for every in (10, 1):
            compare_with_c(program, every, 1 if chosen.quick else 3 if every > 1 else 2)
    if not namespaces.available():
        print("silent and absent hosts: not measured, network namespaces need root and iproute2")
        return
    never_answering()
    if not chosen.quick:
        mostly_absent()


if __name__ == "__main__":
    main()
