"""Run as a program under LD_PRELOAD=libumockdev-preload.so.0: the engine's USB side on a made-up bus.

Udev's events, pyudev, the watcher, the ports, the consoles and the database are the real ones. Writes what the tables
held after each step as JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from exporter.config_schema import Serial
from exporter.discovery.usb import UsbWatcher
from exporter.drivers.families.nerdminer_console import NerdMinerConsole
from exporter.engine.onboarding import onboard
from exporter.engine.usb import UsbBoards
from exporter.store.database import Database
from exporter.transports.serial import SerialPort
from tests.protocols.nerdminer_consoles import GOOD, completed
from tests.usb.mock_bus import Bus, acm, usb

ONE = acm("1-1.2", 0, serial="02:00:5E:10:00:01")
MOVED = acm("2-1.4", 3, serial="02:00:5E:10:00:01")
OTHER = usb("1-1.3", 0)


class Miners:
    def usb_row(self, row):
        pass

    def usb_changed(self, *arguments):
        pass


async def play(folder):
    bus, opened, steps = Bus(), [], []

    async def open_port(path, on_data, on_lost, *, hold_lines):
        port = await SerialPort.open(path, on_data, on_lost, hold_lines=hold_lines)
        opened.append(path)
        return port

    def watcher(added, removed):
        return UsbWatcher(added, removed, udev_control=Path(__file__), poll_seconds=3600.0)

    async def until(check, what):
        end = time.monotonic() + 20
        while not check():
            assert time.monotonic() < end, f"waited for {what}; {rows()}"
            await asyncio.sleep(0.005)

    def rows():
        return [
            [table.name, row.key, row.status, row.state, row.dev_path, row.port_path]
            for table in (db.unconfigured_devices, db.miners)
            for row in table.all()
        ]

    async def tell(board, text):
        for cut in range(0, len(text), 1000):
            bus.say(board, text[cut : cut + 1000].decode())
            await asyncio.sleep(0.04)

    with Database.open(folder / "flockwatch.json") as db:
        boards = UsbBoards(Serial(), db, Miners(), watcher, NerdMinerConsole, open_port, lambda *_: None)
        bus.plug(OTHER)
        boards.start()
        bus.plug(ONE)
        await until(lambda: opened, "the port")
        await tell(ONE, GOOD)
        await until(lambda: "Mining Authorize" in str(rows()), "the authorisation")
        steps.append(rows())
        staged = next(row for row in db.unconfigured_devices.all() if row.dumped_pool_url)
        boards.onboarded(onboard(db, staged.id, "Garage", "BTC"))
        steps.append(rows())
        bus.unplug(ONE)
        await until(lambda: "Not Connected" in str(rows()), "the unplug")
        steps.append(rows())
        bus.plug(MOVED)
        await until(lambda: len(opened) == 2, "the port again")
        await tell(MOVED, completed(0, 310, "310.00"))
        await until(lambda: "'Mining'" in str(rows()), "the board to mine")
        steps.append(rows())
        await boards.stop()
    return {"steps": steps, "opened": opened}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        json.dump(asyncio.run(play(Path(made))), sys.stdout)
