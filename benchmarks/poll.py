# ruff: noqa: T201 - a report on standard output
"""What polling costs: CPU of a steady round through the engine's own parts, per miner.

    python -m benchmarks.poll [--miners 1000] [--quick]

The miners are the simulator's devices in a process of their own. They are found and identified as the engine does it;
then each round asks every miner once over HTTP or the CGMiner API, decodes, merges and renders its part of the page.
The devices' clock moves between rounds, so that every figure is a new one. CPU is user and system time of the polling
process; the first round, which connects, is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import child, hosts

#: Longer than any benchmark: rounds are started by hand.
_NEVER: Final = 86400.0
_STATUS_SECONDS: Final = 15.0
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: devices of one kind, with or without the slow loop, and the most it may cost."""

    name: str
    kind: str
    model: str
    telemetry: bool
    bar_ms: float


CASES: Final = (
    Case("AxeOS", "bitaxe", "gamma-2.12", False, 0.12),
    Case("VNish summary", "vnish", "s19jpro-1.2.6", False, 0.15),
    Case("VNish with chains", "vnish", "s19jpro-1.2.6", True, 1.0),
    Case("CGMiner", "cgminer", "cgminer", False, 0.25),
    Case("stock Antminer", "antminer", "s19", False, 0.50),
)


def addresses(miners: int) -> list[str]:
    return [f"127.81.{number // 250}.{1 + number % 250}" for number in range(miners)]


def measure(kind: str, model: str, telemetry: bool, miners: int, rounds: int) -> dict[str, Any]:
    """CPU milliseconds per miner of each steady round, as measured and at an idle machine's pace, and more.

    Runs in a process of its own.
    """
    from exporter.app import _loop_factory

    with (
        hosts.started(dict.fromkeys(addresses(miners), (kind, model))) as running,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        return runner.run(_measure(running, telemetry, addresses(miners), rounds))


async def _measure(running: hosts.Hosts, telemetry: bool, every: list[str], rounds: int) -> dict[str, Any]:
    from exporter.memory import settle
    from exporter.metrics.catalog import RenderOptions
    from exporter.metrics.page import PageStore

    page = PageStore(RenderOptions(chips=telemetry))
    flock = await _Round.of_hosts(running, every, page)
    await flock.poll(telemetry=True)
    gc.collect()
    settle()
    spent, requests = [], 0.0
    for _ in range(rounds):
        await asyncio.to_thread(running.advance, _STATUS_SECONDS)
        served = await asyncio.to_thread(running.served)
        pace = child.pace()
        before = child.cpu_seconds()
        await flock.poll(telemetry=telemetry)
        cpu = (child.cpu_seconds() - before) / len(every) * 1e3
        spent.append((cpu, cpu / ((pace + child.pace()) / 2)))
        requests = await asyncio.to_thread(running.served) - served
    text = b"".join(page.write(False, time.monotonic()))
    samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    await flock.close()
    return {
        "ms": spent,
        "up": sum(1 for miner in flock.miners if miner.state.up),
        "requests": requests / len(every),
        "samples": samples / len(every),
    }


class _Round:
    """The miners with everything the engine has for them."""

    def __init__(self, miners: list[Any], wire: Any) -> None:
        self.miners = miners
        self._wire = wire

    @classmethod
    async def of_hosts(cls, running: hosts.Hosts, every: list[str], page: Any) -> _Round:
        from exporter.drivers.loader import load_drivers
        from exporter.engine.exchange import Endpoint, Exchange, Session
        from exporter.engine.miner import Miner, first_state, record_of
        from exporter.engine.poller import Poller, PollSettings
        from exporter.engine.search import Searcher
        from exporter.engine.sessions import Sessions
        from exporter.metrics.selfmetrics import SelfMetrics
        from exporter.store.rows import MinerRow
        from exporter.transports.wire import NetworkWire

        wire = NetworkWire()
        exchange = Exchange(wire)
        drivers = load_drivers(None).drivers
        sessions = Sessions(None, exchange, lambda *_: (), create_keys=False)
        ports = {"http_ports": (running.ports.http,), "api_ports": (running.ports.rpc,)}
        searcher = Searcher(exchange, drivers, lambda _: True, sessions.prepare, **ports, timeout=1.0)
        meter, limit = SelfMetrics(), asyncio.Semaphore(512)
        settings = PollSettings(_NEVER, _NEVER)

        async def one(number: int, address: str) -> Miner:
            endpoint = Endpoint(address, running.ports.http, running.ports.rpc)
            found = (await searcher.identify(endpoint)).identification
            if found is None or found.driver_type is None:
                raise RuntimeError(f"{address} was not identified")
            identity = await searcher.complete_identity(endpoint, found)
            key = identity.mac or f"addr:{found.driver_type}:{address}"
            row = MinerRow(number, key, found.driver_type, address=address, identity=identity, details=found.details)
            session = Session(endpoint, drivers[found.driver_type])
            sessions.prepare(session)
            miner = Miner(row, first_state(row, time.time()))
            miner.poller = Poller(
                key,
                session,
                miner.state,
                exchange,
                settings,
                meter,
                limit,
                trusted=True,
                on_change=lambda: page.publish(record_of(miner)),
                on_wrong_miner=lambda: None,
                login=None,
            )
            return miner

        miners = []
        for start in range(0, len(every), 100):
            part = every[start : start + 100]
            miners += await asyncio.gather(*(one(start + place, address) for place, address in enumerate(part, 1)))
        return cls(miners, wire)

    async def poll(self, *, telemetry: bool) -> None:
        """Poll every miner once, with or without the slow loop; some at a time, as a spread flock comes due."""
        waiting = iter(self.miners)

        async def worker() -> None:
            for miner in waiting:
                await miner.poller.poll_now(telemetry=telemetry)

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))

    async def close(self) -> None:
        for miner in self.miners:
            await miner.poller.stop()
        await self._wire.close()


def report(case: Case, *, plain: bool, miners: int, rounds: int) -> None:
    """Measure one case and print its line."""
    result = child.measured(
        "benchmarks.poll:measure",
        plain=plain,
        kind=case.kind,
        model=case.model,
        telemetry=case.telemetry,
        miners=miners,
        rounds=rounds,
    )
    if result["up"] != miners:
        raise SystemExit(f"{case.name}: only {result['up']} of {miners} miners answered")
    measured, paced = ([pair[place] for pair in result["ms"]] for place in (0, 1))
    print(
        f"{case.name:<18} {'standard library' if plain else 'with the extras ':<16} {min(measured):6.3f} ms CPU a poll"
        f" (median {statistics.median(measured):.3f}) = {min(measured) / case.bar_ms:4.2f} x the bar of"
        f" {case.bar_ms:.2f}; median at an idle machine's pace {statistics.median(paced):.3f};"
        f" {result['requests']:.0f} requests, {result['samples']:.0f} samples",
        flush=True,
    )


def main(words: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--miners", type=int, default=1000)
    arguments.add_argument("--quick", action="store_true", help="a fifth of the miners")
    chosen = arguments.parse_args(words)
    miners = max(50, chosen.miners // 5) if chosen.quick else chosen.miners
    for plain in (True, False) if child.has_extras() else (True,):
        for case in CASES:
            share = 1 if plain else 2
            # The slow loop asks seven times as much.
            report(case, plain=plain, miners=max(50, miners // (8 if case.telemetry else share)), rounds=5)
    if not child.has_extras():
        print(f"with the extras: not measured, {', '.join(child.EXTRAS)} are not all installed")


if __name__ == "__main__":
    main()
