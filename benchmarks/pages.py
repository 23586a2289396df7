# ruff: noqa: T201 - a report on standard output
"""What the web UI takes to list a flock that is being polled: the page and the API, against a bar.

    python -m benchmarks.pages [--miners 2000] [--quick]

Seconds of the server for whole answers, without the network: the median of ten, and the slowest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks import child
from benchmarks.farm import with_farm

if TYPE_CHECKING:
    from exporter.engine.engine import Engine

BAR: Final = 0.3
TIMES: Final = 10


def measure(miners: int) -> dict[str, list[float]]:
    """Seconds of each answer, by the path. Runs in a process of its own."""
    return with_farm(miners, lambda engine: _measure(engine, miners))


async def _measure(engine: Engine, miners: int) -> dict[str, list[float]]:
    from exporter.engine.client import LoopEngineApi
    from onboarding_ui import create_app

    client = create_app(LoopEngineApi(asyncio.get_running_loop(), engine)).test_client()
    paths = ("/", "/?size=500", "/?q=gamma&sort=-hashrate&size=500", f"/api/miners?limit={miners}")
    return await asyncio.to_thread(lambda: {path: _times(client, path) for path in paths} | _peer(client, miners))


def _times(client: Any, path: str) -> list[float]:
    return [_seconds(lambda: _get(client, path)) for _ in range(TIMES)]


def _get(client: Any, path: str) -> bytes:
    answer = client.get(path, headers={"Host": "127.0.0.1"})
    if answer.status_code != 200:
        raise SystemExit(f"{path}: status {answer.status_code}: {answer.get_data(as_text=True)}")
    return bytes(answer.get_data())


def _peer(client: Any, miners: int) -> dict[str, list[float]]:
    """The same list as JSON by the standard library, which is the least that anybody would take."""
    listed = json.loads(_get(client, f"/api/miners?limit={miners}"))
    if len(listed) != miners or not all(one["hashrate"] for one in listed):
        raise SystemExit(f"not all of {miners} miners are listed with a hash rate")
    return {"json.dumps of that list": [_seconds(lambda: json.dumps(listed)) for _ in range(TIMES)]}


def _seconds(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(words: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--miners", type=int, default=2000)
    arguments.add_argument("--quick", action="store_true", help="a fifth of the miners")
    chosen = arguments.parse_args(words)
    miners = max(100, chosen.miners // 5) if chosen.quick else chosen.miners
    print(f"{miners} AxeOS, polled every 15 s meanwhile; the bar is {BAR * 1e3:.0f} ms")
    for path, seconds in child.measured("benchmarks.pages:measure", plain=True, miners=miners).items():
        middle, worst = statistics.median(seconds), max(seconds)
        print(f"{path:<40}{middle * 1e3:8.1f} ms ({worst * 1e3:.1f} at most) = {middle / BAR:.2f} x the bar")


if __name__ == "__main__":
    main()
