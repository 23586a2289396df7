"""An engine with the real database, page and console; boards and ports are played by the test."""

import asyncio
import contextlib
import time

from exporter.config import Settings, Udp
from exporter.config_schema import Serial
from exporter.discovery.usb_devices import UsbDevice
from exporter.drivers.bundled.nerdminer_driver import NerdMinerDriver
from exporter.engine import usb as usb_module
from exporter.engine import usb_board
from exporter.engine.engine import Engine
from exporter.engine.exchange import Exchange
from exporter.engine.sessions import Sessions
from exporter.engine.usb import UsbBoards
from exporter.engine.usb_miners import UsbMinersOfFlock
from exporter.metrics.page import PageStore
from exporter.store.database import Database
from exporter.transports.serial import PortVanished
from tests.end_to_end.programs import Page
from tests.engine.bench import Hosts, Meter, driver_set

S3 = "303a:1001"
CH340 = "1a86:7523"
MAC = "02:00:5e:10:00:01"
SERIAL = MAC.upper()
RATE = "miner_hashrate_hashes_per_second"


def device(node="ttyACM0", port="1-1.2", usb_id=S3, serial=SERIAL):
    vendor, _, product = usb_id.partition(":")
    return UsbDevice(f"/dev/{node}", port, vendor, product, serial)


class FakeWatcher:
    """What is in `plugged` is reported at the start."""

    def __init__(self, plugged, added, removed):
        self.plugged, self.added, self.removed = plugged, added, removed
        self.running = False

    def start(self):
        self.running = True
        for found in list(self.plugged.values()):
            self.added(found, initial=True)

    def stop(self):
        self.running = False


class FakePort:
    def __init__(self, ports, path, on_data, on_lost, hold_lines):
        self.ports, self.path, self.on_data, self.on_lost, self.hold_lines = ports, path, on_data, on_lost, hold_lines
        self.closed = False
        self.resets = 0
        self.after_reset = b""
        self.fails = None

    def close(self):
        assert not self.closed
        self.closed = True
        assert self.ports.now.pop(self.path) is self

    async def reset(self):
        self.resets += 1
        if self.fails is not None:
            raise self.fails
        if self.after_reset:
            asyncio.get_running_loop().call_soon(self.on_data, self.after_reset)

    def vanish(self):
        self.close()
        self.on_lost(PortVanished(self.path, f"{self.path} is gone: the board was unplugged"))


class FakePorts:
    """`errors[path]` are raised one by one before the port opens; `opened` counts the openings."""

    def __init__(self):
        self.now, self.opened, self.errors, self.tried = {}, [], {}, []

    async def open(self, path, on_data, on_lost, *, hold_lines):
        self.tried.append(path)
        await asyncio.sleep(0)
        if self.errors.get(path):
            raise self.errors[path].pop(0)
        assert path not in self.now, f"{path} has two owners"
        self.opened.append(path)
        self.now[path] = FakePort(self, path, on_data, on_lost, hold_lines)
        return self.now[path]


class UsbBench:
    """`plug`, `unplug` and `say` play boards. `page()` is what a scrape would show now."""

    def __init__(self, folder, *, config_seconds=30.0, **serial):
        self.db = Database.open(folder / "flockwatch.json", flush_delay=0.01)
        self.ports, self.meter, self.store = FakePorts(), Meter(), PageStore()
        self.plugged = {}
        self.watchers = []
        settings = Settings(serial=Serial(**serial), udp=Udp(nmminer_port=None))
        drivers = driver_set(NerdMinerDriver())
        exchange = Exchange(Hosts())
        sessions = Sessions(self.db, exchange, lambda *_: (), create_keys=False)
        self.engine = Engine(settings, self.db, drivers, exchange, sessions, self.store, self.meter)
        miners = UsbMinersOfFlock(self.db, self.engine.flock, self.engine._heard)
        self.usb = self.engine.usb = UsbBoards(
            settings.serial,
            self.db,
            miners,
            self._watcher,
            self.engine._new_console,
            self.ports.open,
            self.engine._count_usb,
            config_seconds=config_seconds,
        )

    def _watcher(self, added, removed):
        self.watchers.append(FakeWatcher(self.plugged, added, removed))
        return self.watchers[-1]

    def start(self):
        self.engine.flock.load()
        self.usb.start()

    async def stop(self):
        await self.usb.stop()
        self.engine._heard.stop()
        await self.engine.flock.stop()

    async def plug(self, found):
        self.plugged[found.dev_path] = found
        self.watchers[-1].added(found, initial=False)
        await self.settle()
        return self.ports.now.get(found.dev_path)

    def unplug(self, found):
        del self.plugged[found.dev_path]
        self.watchers[-1].removed(found.dev_path)

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def say(self, found, text):
        self.ports.now[found.dev_path].on_data(text)
        await self.settle()

    async def until(self, check, what, seconds=20):
        end = time.monotonic() + seconds
        while not (result := check()):
            assert time.monotonic() < end, f"waited for {what}"
            await asyncio.sleep(0.005)
        return result

    @property
    def waiting(self):
        return self.db.unconfigured_devices.all()

    def only_waiting(self):
        (row,) = self.waiting
        return row

    def page(self):
        return Page(b"".join(self.store.write(openmetrics=False, now_monotonic=time.monotonic())).decode())

    def shown(self, key):
        """Status and state on the page."""
        page = self.page()
        return tuple(
            next(
                (dict(labels)[name] for labels, value in page.values(f"miner_usb_{name}", miner=key).items() if value),
                None,
            )
            for name in ("status", "state")
        )

    async def onboarded(self, found, text, name="Garage", **fields):
        """Plug a board in, let it tell `text`, and name it."""
        await self.plug(found)
        await self.say(found, text)
        waiting = next(row for row in self.waiting if row.dev_path == found.dev_path)
        return await self.engine.onboard(waiting.id, name, "BTC", **fields)


@contextlib.contextmanager
def quick(monkeypatch):
    """Rests of milliseconds."""
    monkeypatch.setattr(usb_module, "_TICK_SECONDS", 0.005)
    monkeypatch.setattr(usb_board, "_RETRY_ELSE", 0.005)
    monkeypatch.setattr(usb_board, "_RETRY", {})
    yield


def run(folder, story, **options):
    """Run `story(bench)` with an engine's USB side."""

    async def main():
        bench = UsbBench(folder, **options)
        try:
            bench.start()
            try:
                return await story(bench)
            finally:
                await bench.stop()
                await bench.settle()
                assert bench.ports.now == {}
                own = asyncio.current_task()
                assert [task for task in asyncio.all_tasks() if task is not own] == []
        finally:
            bench.db.close()

    return asyncio.run(main())
