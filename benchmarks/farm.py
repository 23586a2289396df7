# ruff: noqa: T201 - a report on standard output
"""A large farm through the real engine: share of a core, memory, and how many polls are late.

    python -m benchmarks.farm [--miners 10000] [--seconds 30] [--quick]

The miners are AxeOS devices of the simulator in a process of their own; they are in the database already, as after a
restart, and are polled every 15 s. The first interval, in which the engine verifies who answers, is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmarks import child, hosts

if TYPE_CHECKING:
    from exporter.engine.engine import Engine

T = TypeVar("T")

INTERVAL: Final = 15.0
LATE: Final = 1.0
MODELS: Final = ("gamma-2.12", "gamma-2.15")
CPU_BAR: Final = 0.25
MEMORY_BAR: Final = 300.0
ON_TIME_BAR: Final = 0.99


def addresses(miners: int) -> list[str]:
    return [f"127.{90 + number // 50000}.{number // 250 % 200}.{1 + number % 250}" for number in range(miners)]


def measure(miners: int, seconds: float) -> dict[str, float]:
    """Run the engine over the farm for `seconds` after a first interval. Runs in a process of its own."""
    late = _watch_begins()
    return with_farm(miners, lambda engine: _measure(engine, seconds, late))


def with_farm(miners: int, work: Callable[[Engine], Awaitable[T]]) -> T:
    """Do `work` with a running engine after its first interval over a farm."""
    from exporter.app import _loop_factory

    devices = {address: ("bitaxe", MODELS[number % len(MODELS)]) for number, address in enumerate(addresses(miners))}
    with (
        hosts.started(devices, everywhere=True, frozen=False) as running,
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        return runner.run(_run(running.ports, list(devices), Path(folder), work))


async def _run(ports: hosts.Ports, every: list[str], folder: Path, work: Callable[[Engine], Awaitable[T]]) -> T:
    from exporter.config import Settings
    from exporter.config_schema import Intervals, Network, Ports, Udp
    from exporter.drivers.loader import load_drivers
    from exporter.engine.engine import Engine
    from exporter.engine.exchange import Exchange
    from exporter.engine.sessions import Sessions
    from exporter.metrics.page import PageStore
    from exporter.metrics.selfmetrics import SelfMetrics
    from exporter.store.database import Database
    from exporter.transports.wire import NetworkWire

    settings = Settings(
        network=Network(subnets=(), ports=Ports((ports.http,), (ports.rpc,))),
        udp=Udp(None),
        intervals=Intervals(status_seconds=INTERVAL),
    )
    db = Database.open(folder / "farm.json")
    _fill(db, every)
    wire = NetworkWire()
    exchange = Exchange(wire)
    sessions = Sessions(db, exchange, lambda *_: (), create_keys=False)
    engine = Engine(settings, db, load_drivers(None), exchange, sessions, PageStore(), SelfMetrics())
    await engine.start()
    await asyncio.sleep(INTERVAL + 2.0)
    try:
        return await work(engine)
    finally:
        await engine.stop()
        await wire.close()
        db.close()


async def _measure(engine: Engine, seconds: float, late: list[float]) -> dict[str, float]:
    from exporter.memory import settle

    gc.collect()
    settle()
    late.clear()
    pace = child.pace()
    before, begun = child.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    spent, took = child.cpu_seconds() - before, time.monotonic() - begun
    pace = (pace + child.pace()) / 2
    up = sum(1 for miner in engine.snapshot().miners if miner.up)
    polls, memory = list(late), _memory()
    return {
        "share": spent / took,
        "paced": spent / took / pace,
        "polls": len(polls),
        "on_time": sum(1 for seconds in polls if seconds < LATE) / max(1, len(polls)),
        "worst": max(polls, default=0.0),
        "ms": spent / max(1, len(polls)) * 1e3,
        "memory": memory,
        "up": up,
    }


def _fill(db: Any, every: list[str]) -> None:
    """The rows that discovery would have made."""
    from exporter.engine.registry import Found, adopt
    from exporter.model import Identity

    with db.transaction():
        for number, address in enumerate(every):
            identity = Identity(
                mac=hosts.mac_of(number),
                make="Bitaxe",
                model="Bitaxe Gamma",
                firmware="AxeOS",
                firmware_version=f"v{MODELS[number % len(MODELS)].rpartition('-')[2]}.0",
            )
            row = adopt(db, Found(address, 0, 0, "bitaxe", identity), time.time()).row
            db.miners.update(row.id, http_port=None, api_port=None)


def _watch_begins() -> list[float]:
    """A list that grows by the seconds that each poll begins late."""
    from exporter.engine.poller import Poller

    late: list[float] = []
    fire = Poller._fire  # noqa: SLF001 - the only place that knows when a poll was due
    poll = Poller._poll  # noqa: SLF001

    due: dict[Poller, float] = {}

    def fired(self: Poller) -> None:
        due[self] = self.due or time.monotonic()
        fire(self)

    async def polled(self: Poller) -> None:
        late.append(time.monotonic() - due.pop(self, time.monotonic()))
        await poll(self)

    Poller._fire, Poller._poll = fired, polled  # type: ignore[method-assign]  # noqa: SLF001
    return late


def _memory() -> float:
    """Resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def report(miners: int, seconds: float, *, plain: bool) -> None:
    """Measure one farm and print its lines."""
    result = child.measured("benchmarks.farm:measure", plain=plain, miners=miners, seconds=seconds)
    if result["up"] < miners:
        print(f"only {result['up']} of {miners} miners answer")
    scale = miners / 10_000
    print(
        f"{miners} AxeOS every {INTERVAL:.0f} s, {'standard library' if plain else 'with the extras'}:"
        f" {result['share']:.3f} of a core = {result['share'] / CPU_BAR / scale:.2f} x the bar of"
        f" {CPU_BAR * scale:g}, {result['paced']:.3f} at an idle machine's pace"
        f" ({result['ms']:.3f} ms a poll), {result['memory']:.0f} MiB (bar {MEMORY_BAR:.0f}),"
        f" {result['on_time']:.2%} of {result['polls']} polls less than {LATE:.0f} s late (bar {ON_TIME_BAR:.0%},"
        f" worst {result['worst']:.2f} s)",
        flush=True,
    )


def main(words: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--miners", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--extras", action="store_true", help="with orjson, uvloop and isal")
    arguments.add_argument("--quick", action="store_true", help="a fifth of the miners, one interval")
    chosen = arguments.parse_args(words)
    miners, seconds = chosen.miners, chosen.seconds
    if chosen.quick:
        miners, seconds = max(100, miners // 5), INTERVAL
    report(miners, seconds, plain=not chosen.extras)


if __name__ == "__main__":
    main()
