# ruff: noqa: T201 - a report on standard output
"""What USB boards cost: CPU of the reading side, and how soon a change of state is on the page.

    python -m benchmarks.usb [--boards 50] [--seconds 10] [--quick]

The boards are the simulator's, on pseudo-terminals at 115200 baud in a process of their own; they mine, and are then
started anew, which prints the boot text. The reading side is the engine's: ports, consoles, database, rendered page.
Bars: 10 % of one core for fifty boards, 200 ms from the line to the page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tty
import urllib.request
from pathlib import Path
from typing import Any, Final

from benchmarks import child

BAR_SHARE: Final = 0.10
BAR_SECONDS: Final = 0.2
_OPEN_SECONDS: Final = 20.0
_LATENCIES: Final = 40
#: Lines that lead a board to and fro, with the states.
_CHANGES: Final = (
    (b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", "Booting"),
    (b"[WORKER] Started. Running (Stratum) on core 1\n", "WORKER Started"),
)


def measure(boards: int, seconds: float) -> dict[str, Any]:
    """CPU share of one core while the boards mine, and while they boot; latencies in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = (
            *(sys.executable, "-m", "simulator", "--count", "0", "--json", "--control-port", "0"),
            *("--serial", str(boards), "--serial-folder", f"{folder}/usb", "--serial-uptime", "600"),
        )
        simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        try:
            if simulator.stdout is None:
                raise RuntimeError("the simulator has no output")
            described = json.loads(simulator.stdout.readline())
            return asyncio.run(_measure(Path(folder), described, seconds))
        finally:
            simulator.terminate()
            simulator.wait(20)
            if simulator.stdout is not None:
                simulator.stdout.close()


async def _measure(folder: Path, described: dict[str, Any], seconds: float) -> dict[str, Any]:
    from exporter.drivers.families.nerdminer_console import NerdMinerConsole
    from exporter.metrics.page import PageStore
    from exporter.store.database import Database

    paths = [board["path"] for board in described["serial"]]
    own, follower = os.openpty()
    tty.setraw(follower)
    page = PageStore()
    with Database.open(folder / "flockwatch.json") as db:
        side = _Side(db, page, NerdMinerConsole, [*paths, os.ttyname(follower)], own)
        side.boards.start()
        await _until(lambda: all(side.readings.get(path) for path in paths), "every board's reading")
        before, began, heard = child.cpu_seconds(), time.monotonic(), side.total
        await asyncio.sleep(seconds)
        mining = (child.cpu_seconds() - before) / (time.monotonic() - began)
        readings = side.total - heard
        before, began, heard = child.cpu_seconds(), time.monotonic(), side.total_bytes
        await asyncio.to_thread(_reset_all, described["control_port"], paths)
        await asyncio.sleep(seconds / 2)
        booting = (child.cpu_seconds() - before) / (time.monotonic() - began)
        bytes_booting = side.total_bytes - heard
        latencies = await side.latencies(_LATENCIES)
        await side.boards.stop()
    os.close(own)
    os.close(follower)
    return {
        "mining": mining,
        "booting": booting,
        "readings": readings / seconds,
        "bytes_booting": bytes_booting,
        "latencies": latencies,
    }


class _Side:
    """The engine's USB side with every board named; `own` is the board's end of the last port."""

    def __init__(self, db: Any, page: Any, new_console: Any, paths: list[str], own: int) -> None:
        from exporter.config_schema import Serial
        from exporter.discovery.usb_devices import UsbDevice
        from exporter.engine.usb import UsbBoards

        self._db = db
        self._page = page
        self._paths = paths
        self._own = own
        self.readings: dict[str, int] = {}
        self.total = self.total_bytes = 0
        self._devices = [UsbDevice(path, path) for path in paths]
        self._miners: dict[int, Any] = {}
        for number, path in enumerate(paths):
            db.miners.insert(key=f"port:{path}", driver="nerdminer", name=f"miner {number}")
        self.boards = UsbBoards(
            Serial(ports=tuple(paths)), db, self, self._watcher, new_console, self._open, lambda *_: None
        )

    def _watcher(self, added: Any, removed: Any) -> _Side:
        self._added = added
        return self

    def start(self) -> None:
        for device in self._devices:
            self._added(device, initial=True)

    def stop(self) -> None:
        """Nothing is watched."""

    async def _open(self, dev_path: str, on_data: Any, on_lost: Any, *, hold_lines: bool) -> Any:
        from exporter.transports.serial import SerialPort

        def counted(data: bytes) -> None:
            self.total_bytes += len(data)
            on_data(data)

        return await SerialPort.open(dev_path, counted, on_lost, hold_lines=hold_lines)

    def usb_row(self, row: Any) -> None:
        from exporter.engine.miner import Miner, first_state

        if row.id not in self._miners:
            self._miners[row.id] = Miner(row, first_state(row, time.time()))
        self._miners[row.id].row = row

    def usb_changed(self, miner_id: int, usb: Any, reading: Any, expires_in: float, trouble: str | None) -> None:
        from exporter.engine.miner import record_of

        miner = self._miners[miner_id]
        miner.usb = usb
        if reading is not None:
            self.total += 1
            self.readings[usb.dev_path] = self.readings.get(usb.dev_path, 0) + 1
            miner.state.up = True
            miner.stream = (reading, time.monotonic() + expires_in)
        self._page.publish(record_of(miner))

    async def latencies(self, number: int) -> list[float]:
        """Seconds from a line at a port of our own to the page of a scrape, all other boards sending meanwhile."""
        board, key = self._own, f"port:{self._paths[-1]}"
        found = []
        for turn in range(number):
            line, state = _CHANGES[turn % len(_CHANGES)]
            wanted = f'miner_usb_state{{miner="{key}",state="{state}"}} 1'.encode()
            sent = time.monotonic()
            os.write(board, line)
            found.append(await asyncio.to_thread(self._shown, wanted, sent) - sent)
            await asyncio.sleep(0.011 * (turn % 7))
        return found

    def _shown(self, wanted: bytes, sent: float) -> float:
        while time.monotonic() < sent + 5.0:
            if wanted in b"".join(self._page.write(False, time.monotonic())):
                break
            time.sleep(0.001)
        return time.monotonic()


def _reset_all(control_port: int, paths: list[str]) -> None:
    for path in paths:
        body = json.dumps({"path": path, "reset": True}).encode()
        url = f"http://127.0.0.1:{control_port}/__sim__/serial"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
            answer.read()


async def _until(check: Any, what: str) -> None:
    async with asyncio.timeout(_OPEN_SECONDS):
        while not check():  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.02)


def main(words: list[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--boards", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--quick", action="store_true", help="half as long")
    chosen = arguments.parse_args(words)
    seconds = chosen.seconds / 2 if chosen.quick else chosen.seconds
    failed = False
    for plain in (True, False) if child.has_extras() and not chosen.quick else (True,):
        result = child.measured("benchmarks.usb:measure", plain=plain, boards=chosen.boards, seconds=seconds)
        bar = BAR_SHARE * chosen.boards / 50
        slowest, middle = max(result["latencies"]), statistics.median(result["latencies"])
        print(
            f"{chosen.boards} boards, {'standard library' if plain else 'with the extras'}:"
            f" {result['mining']:.1%} of a core while mining ({result['readings']:.0f} readings a second)"
            f" = {result['mining'] / bar:4.2f} x the bar of {bar:.0%};"
            f" {result['booting']:.1%} while all boot ({result['bytes_booting'] / 1e3:.0f} KB)"
        )
        print(
            f"state to page: {middle * 1e3:.1f} ms (slowest of {len(result['latencies'])}: {slowest * 1e3:.1f} ms)"
            f" = {slowest / BAR_SECONDS:4.2f} x the bar of {BAR_SECONDS * 1e3:.0f} ms",
            flush=True,
        )
        failed |= result["mining"] > bar or slowest > BAR_SECONDS
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
