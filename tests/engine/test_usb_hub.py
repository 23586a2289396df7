"""A hub of boards that come and go: nobody is missed, nothing leaks, each port has one owner."""

import asyncio
import time
from collections import Counter

import pytest

from exporter.config_schema import Serial
from exporter.discovery.usb_devices import UsbDevice
from exporter.drivers.families.nerdminer_console import NerdMinerConsole
from exporter.engine.usb import UsbBoards
from exporter.store.database import Database
from exporter.transports.serial import SerialPort
from simulator.devices.nerdminer import BoardSpec
from simulator.serial_miners import SerialHub
from tests.usb.ptys import descriptors, garbage_stays

BOARDS = 8
ROUNDS = 200


class Flock:
    """Counts what the miners' side is told."""

    def __init__(self):
        self.shown = {}

    def usb_row(self, row):
        pass

    def usb_changed(self, miner_id, usb, reading, expires_in, trouble):
        self.shown[miner_id] = usb


class Hub:
    """Boards at a simulated hub, and a watcher that tells of them as udev does."""

    def __init__(self, folder):
        self.hub = SerialHub(folder, baud=None, speed=50.0)
        self.devices = {}
        for number in range(BOARDS):
            path = self.hub.add(BoardSpec(seed=number + 1, model="devkit-1.8.3"), plugged=False)
            serial = f"02:00:5E:20:00:{number:02X}"
            self.devices[path] = UsbDevice(path, f"1-1.{number + 1}", "303a", "1001", serial)
        self.reports = None

    def watcher(self, added, removed):
        self.reports = added, removed
        return self

    def start(self):
        pass

    def stop(self):
        pass

    def plug(self, path):
        self.hub.plug(path)
        self.reports[0](self.devices[path], initial=False)

    def unplug(self, path, *, told_first):
        """The hang-up and the report of the unplug race; the order differs from one system to the next."""
        if told_first:
            self.reports[1](path)
        self.hub.unplug(path)
        if not told_first:
            self.reports[1](path)


async def until(check, what, seconds=20):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"waited for {what}"
        await asyncio.sleep(0.002)


class Ports:
    """The real ports; how many have each path open now."""

    def __init__(self):
        self.open_now, self.opened, self.most = Counter(), Counter(), 0

    async def open(self, path, on_data, on_lost, *, hold_lines):
        ports, real = self, None

        class Owned(SerialPort):
            def close(self):
                if not self.closed:
                    ports.open_now[path] -= 1
                super().close()

        real = await Owned.open(path, on_data, on_lost, hold_lines=hold_lines)
        self.open_now[path] += 1
        self.opened[path] += 1
        self.most = max(self.most, self.open_now[path])
        return real


@pytest.mark.timeout(100)
def test_eight_boards_are_plugged_and_unplugged_two_hundred_times(tmp_path):
    async def story():
        hub, ports, flock, counts = Hub(tmp_path / "hub"), Ports(), Flock(), []
        db = Database.open(tmp_path / "flockwatch.json")
        boards = UsbBoards(
            Serial(), db, flock, hub.watcher, NerdMinerConsole, ports.open, lambda *count: counts.append(count)
        )  # fmt: skip
        async with hub.hub:
            boards.start()
            paths = list(hub.devices)
            used = []
            for turn in range(ROUNDS):
                for path in paths:
                    hub.plug(path)
                await until(lambda: sum(ports.open_now.values()) == BOARDS, f"all ports in round {turn}")
                if turn == 0:
                    for number, row in enumerate(db.unconfigured_devices.all()[: BOARDS // 2]):
                        name = db.miners.insert(key=row.key, driver="nerdminer", name=f"M{number}", mac=row.mac)
                        db.unconfigured_devices.delete(row.id)
                        boards.onboarded(name)
                assert counts[-1] == (BOARDS // 2, BOARDS)
                assert set(ports.open_now.values()) == {1}
                present = {row.dev_path for row in (*db.miners.all(), *db.unconfigured_devices.all())}
                assert present == set(paths)
                if turn % 20 == 0:  # let them tell something
                    await until(lambda: all(truth["sent"] > 0 for truth in hub.hub.truth().values()), "output")
                used.append(descriptors())
                for place, path in enumerate(paths):
                    hub.unplug(path, told_first=bool((place + turn) % 2))
                rows = (*db.miners.all(), *db.unconfigured_devices.all())
                assert {(row.dev_path, row.state) for row in rows} == {(None, "Not Connected")}
                assert sum(ports.open_now.values()) == 0
            assert len(db.miners.all()) == len(db.unconfigured_devices.all()) == BOARDS // 2
            assert ports.most == 1
            assert set(ports.opened.values()) == {ROUNDS}
            assert min(used[-20:]) == min(used[:20])  # the database's file is open now and then
            assert max(used) <= min(used) + 2
            assert {usb.dev_path for usb in flock.shown.values()} == {None}
            for path in paths:
                hub.plug(path)
            await until(lambda: len(rows_at(db, "Mining", "Mining Authorize")) == BOARDS, "all to mine")
            assert all(truth["opens"] <= truth["plugs"] for truth in hub.hub.truth().values())
            assert all(truth["host_bytes"] == 0 for truth in hub.hub.truth().values())
            await boards.stop()
            assert sum(ports.open_now.values()) == 0
        db.close()

    with garbage_stays():
        before = descriptors()
        asyncio.run(story())
        assert descriptors() == before


def rows_at(db, *states):
    return [row for row in (*db.miners.all(), *db.unconfigured_devices.all()) if row.state in states]
