# ruff: noqa: T201 - a report on standard output
"""What the page costs: rendering one miner at its poll, joining the flock at a scrape, against peers in the same run.

    python -m benchmarks.exposition [--miners 10000] [--quick]

CPU seconds are user and system time of this process; only ratios travel between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exporter import units
from exporter.engine.fleet import MinerRecord
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.page import PageStore
from exporter.metrics.render import Renderer
from exporter.model import Board, Fan, Identity, MinerState, Pool, Reading, Temperature


def home_miner(number: int, rng: random.Random) -> MinerRecord:
    """A record as a small ESP32 miner gives it: one board, one fan, two pools."""
    mac = f"02:00:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    hashrate = units.gigahashes_per_second(rng.uniform(900, 1300))
    board = Board(
        "0",
        up=True,
        chip_model="BM1370",
        hashrate=hashrate,
        hashrate_expected=units.gigahashes_per_second(1088.0),
        chips_working=1.0,
        chips_expected=1.0,
        chip_temperature_max=units.celsius(rng.uniform(50, 65)),
        vreg_temperature=units.celsius(rng.uniform(50, 65)),
        voltage=units.millivolts(rng.randint(1100, 1200)),
        voltage_target=units.volts(1.15),
        frequency=units.megahertz(525.0),
    )
    pools = (
        Pool(
            "0",
            url="stratum+tcp://pool.example:3333",
            user="bc1qexample.worker",
            up=True,
            active=True,
            priority=0.0,
            accepted=float(rng.randint(0, 90000)),
            rejected=float(rng.randint(0, 90)),
            difficulty=units.difficulty(1000.0),
            response_time=units.milliseconds(rng.uniform(5, 80)),
            rejections=(("stale", 3.0),),
        ),
        Pool("1", url="stratum+tcp://spare.example:3333", user="bc1qexample.worker", active=False, priority=1.0),
    )
    reading = Reading(
        identity=Identity(mac=mac),
        state=MinerState.MINING,
        expected_mining=True,
        overheat=False,
        uptime=units.seconds(float(rng.randint(100, 900000))),
        hashrate=hashrate,
        hashrate_expected=units.gigahashes_per_second(1088.0),
        power=units.watts(rng.uniform(15, 20)),
        fans=(Fan("0", units.rpm(float(rng.randint(3000, 6000))), units.percent(float(rng.randint(30, 100)))),),
        environment_temperatures=(Temperature("ambient", units.celsius(rng.uniform(15, 30))),),
        temperature_target=units.celsius(60.0),
        boards=(board,),
        boards_expected=1.0,
        pools=pools,
        best_share_difficulty=units.difficulty(float(rng.randint(10**6, 10**10))),
        session_best_share_difficulty=units.difficulty(float(rng.randint(10**6, 10**9))),
        blocks_found=0.0,
        memory_free=(("internal", units.bytes_(float(rng.randint(10**4, 10**5)))),),
        wifi_signal=units.decibel_milliwatts(-float(rng.randint(30, 80))),
        reset_reason="power on",
    )
    return MinerRecord(
        id=number,
        key=mac,
        name=f"shelf-{number}",
        driver="bitaxe",
        identity=Identity(
            mac, None, "Bitaxe", "Gamma 601", "ESP-Miner", firmware_version="v2.9.0", hostname=f"gamma-{number}"
        ),
        address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        labels=(("rack", "r1"), ("site", "home")),
        up=True,
        reading=reading,
        expires_at=time.monotonic() + 3600.0,
        poll_duration=units.seconds(rng.uniform(0.01, 0.2)),
        last_success=units.unix_seconds(1_760_000_000.0 + rng.random()),
    )


def next_poll(record: MinerRecord, rng: random.Random) -> MinerRecord:
    """The same miner a poll later: what is measured has moved, what is set and counted seldom has not."""
    reading = record.reading
    if reading is None:
        return record
    hashrate = units.gigahashes_per_second(rng.uniform(900, 1300))
    board = dataclasses.replace(
        reading.boards[0],
        hashrate=hashrate,
        chip_temperature_max=units.celsius(rng.uniform(50, 65)),
        vreg_temperature=units.celsius(rng.uniform(50, 65)),
        voltage=units.millivolts(rng.randint(1100, 1200)),
    )
    pool = dataclasses.replace(
        reading.pools[0],
        accepted=(reading.pools[0].accepted or 0.0) + 1.0,
        response_time=units.milliseconds(rng.uniform(5, 80)),
    )
    moved = dataclasses.replace(
        reading,
        uptime=units.seconds((reading.uptime or 0.0) + 15.0),
        hashrate=hashrate,
        power=units.watts(rng.uniform(15, 20)),
        fans=(Fan("0", units.rpm(float(rng.randint(3000, 6000))), reading.fans[0].duty),),
        environment_temperatures=(Temperature("ambient", units.celsius(rng.uniform(15, 30))),),
        boards=(board,),
        pools=(pool, *reading.pools[1:]),
        memory_free=(("internal", units.bytes_(float(rng.randint(10**4, 10**5)))),),
        wifi_signal=units.decibel_milliwatts(-float(rng.randint(30, 80))),
    )
    return dataclasses.replace(
        record,
        reading=moved,
        poll_duration=units.seconds(rng.uniform(0.01, 0.2)),
        last_success=units.unix_seconds((record.last_success or 0.0) + 15.0),
    )


def cpu_of(work: Callable[[], object], repeat: int = 3) -> float:
    """Least CPU seconds of `work` over some runs."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


def size_of(pieces: Iterator[bytes]) -> int:
    return sum(map(len, pieces))


def measure_rendering(options: RenderOptions) -> None:
    renderer = Renderer(options)
    rng = random.Random(7)  # noqa: S311 - no secret
    first = [home_miner(number, rng) for number in range(200)]
    turns = [first]
    for _ in range(8):
        turns.append([next_poll(record, rng) for record in turns[-1]])
    pages = [renderer.render(record) for record in first]
    samples = sum(chunk.count(b"\n") for chunk in (*pages[0].live, *pages[0].durable))
    best = float("inf")
    for turn in turns * 3:
        begun = time.process_time()
        pages = [renderer.render(record, page) for record, page in zip(turn, pages, strict=True)]
        best = min(best, (time.process_time() - begun) / len(turn))
    fresh = cpu_of(lambda: [renderer.render(record) for record in first], 5) / len(first)
    print(f"render    {samples} samples per miner: {best * 1e6:.1f} us at a poll, {fresh * 1e6:.1f} us the first time")


def prometheus_client_page(samples: int) -> float:
    """CPU seconds that prometheus_client takes for `samples` gauges with one label more than none."""
    registry = CollectorRegistry()
    families = 60
    for family in range(families):
        gauge = Gauge(f"peer_{family}_value", "A figure of the peer.", ["miner"], registry=registry)
        for miner in range(samples // families):
            gauge.labels(f"02:00:00:00:{miner >> 8 & 255:02x}:{miner & 255:02x}").set(1.5e12 + miner)
    return cpu_of(lambda: generate_latest(registry), 1)


async def _lag_while(work: Callable[[], object]) -> list[float]:
    """Seconds a 1 ms tick of an event loop came late while `work` ran in a thread."""
    late = []
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - begun - 0.001)
    return sorted(late)


def gzipped(pieces: Iterator[bytes]) -> int:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return sum(len(packer.compress(piece)) for piece in pieces) + len(packer.flush())


def measure_page(miners: int, options: RenderOptions, peer_samples: int) -> None:
    rng = random.Random(7)  # noqa: S311 - no secret
    store = PageStore(options)
    for number in range(miners):
        store.publish(home_miner(number, rng))
    now = time.monotonic()
    samples = sum(piece.count(b"\n") - piece.count(b"\n#") - 2 for piece in store.write(False, now))
    page = bytearray(b"".join(store.write(False, now)))
    copy = cpu_of(lambda: bytes(page), 5)
    joined = cpu_of(lambda: size_of(store.write(False, now)), 5)
    print(f"page      {samples} samples, {len(page) / 1e6:.1f} MB")
    print(f"memcpy    {copy * 1e3:.1f} ms")
    print(f"join      {joined * 1e3:.1f} ms = {joined / copy:.2f} x memcpy (bar: 4)")
    peer = prometheus_client_page(peer_samples) * samples / peer_samples
    print(f"peer      prometheus_client {peer:.2f} s = {peer / joined:.0f} x join (bar: 50)")
    print(f"gzip      level 1 {cpu_of(lambda: gzipped(store.write(False, now)), 1) * 1e3:.0f} ms")
    # A full run of the collector over the flock is a pause of its own; frozen rows show what the page adds.
    measure_lag("collector on", store, now)
    gc.collect()
    gc.freeze()
    measure_lag("collector frozen", store, now)
    gc.unfreeze()


def measure_lag(label: str, store: PageStore, now: float) -> None:
    works: tuple[tuple[str, Callable[[], object]], ...] = (
        ("plain", lambda: [size_of(store.write(False, now)) for _ in range(5)]),
        ("gzip", lambda: [gzipped(store.write(False, now)) for _ in range(3)]),
    )
    for name, work in works:
        late = asyncio.run(_lag_while(work))
        tail, worst = late[int(len(late) * 0.99)] * 1e3, late[-1] * 1e3
        print(f"loop lag  {label}, {name}: 99th percentile {tail:.2f} ms, worst {worst:.2f} ms (bar: 10)")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--miners", type=int, default=10_000)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the flock")
    chosen = arguments.parse_args()
    options = RenderOptions(label_names=("rack", "site"))
    measure_rendering(options)
    miners = chosen.miners // 10 if chosen.quick else chosen.miners
    measure_page(miners, options, 60_000)


if __name__ == "__main__":
    main()
