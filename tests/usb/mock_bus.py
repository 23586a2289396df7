"""A USB bus that libumockdev makes up: sysfs, device nodes and udev's events, so that pyudev's own code runs.

Run as a program under LD_PRELOAD=libumockdev-preload.so.0, it reads steps from standard input, lets a real `UsbWatcher`
watch the made-up bus, and writes what was reported. `run` does that from a test.
"""

import asyncio
import contextlib
import ctypes
import itertools
import json
import logging
import os
import subprocess
import sys
import tty
from pathlib import Path
from types import SimpleNamespace

from tests.usb.boards import Reports

ROOT = Path(__file__).parents[2]
PRELOAD = "libumockdev-preload.so.0"
CONTROLLER = "/devices/pci0000:00/0000:00:14.0"


def acm(port_path, number, usb_id="303a:1001", serial=None, product="USB JTAG/serial debug unit"):
    return {"port": port_path, "node": f"ttyACM{number}", "id": usb_id, "serial": serial, "product": product}


def usb(port_path, number, usb_id="1a86:7523", serial=None, product="USB Serial"):
    return {"port": port_path, "node": f"ttyUSB{number}", "id": usb_id, "serial": serial, "product": product}


def run(*steps, udev=True, poll_seconds=3600.0, own=False):
    """Play `steps` on a made-up bus in a program of its own.

    Steps: ("plug", board, ...), ("unplug", board, ...), and quicker, for boards that stay in sysfs,
    ("leave", board, ...), ("come_back", board, ...); ("silently", "plug" or "unplug", board, ...) without an event,
    ("event", action, board), ("start",), ("stop",), ("wait", n) until there are n reports, ("descriptors",), and with
    `own` ("say", board, text), ("heard", n) until n texts were read, ("gone", n) until n ports were lost.

    Args:
        udev: whether a udev daemon seems to run.
        poll_seconds: of the watcher.
        own: every board is opened when it is reported, and closed when its unplug is.

    Returns `reports` ("added", device, initial; "removed", dev_path), `log`, `descriptors` (what is open at
    each of these steps), and what was read: `heard` (dev_path, text) and `lost` (dev_path).
    """
    order = {"steps": steps, "udev": udev, "poll_seconds": poll_seconds, "own": own}
    done = subprocess.run(
        [sys.executable, "-m", "tests.usb.mock_bus"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": PRELOAD},
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    reports = [
        ("added", SimpleNamespace(**report[1]), report[2]) if report[0] == "added" else tuple(report)
        for report in answer["reports"]
    ]
    return SimpleNamespace(**{**answer, "reports": reports})


def _hubs(port_path):
    """The devices above a port: the root hub, then each hub on the way."""
    bus, numbers = port_path.split("-")
    names = [f"usb{bus}"]
    parts = numbers.split(".")
    names += [f"{bus}-{'.'.join(parts[:depth])}" for depth in range(1, len(parts))]
    return names


def _device(path, devtype, attributes=None, links=()):
    lines = [f"P: {path}", "E: SUBSYSTEM=usb", f"E: DEVTYPE={devtype}"]
    lines += [f"A: {name}={value}\\n" for name, value in (attributes or {}).items()]
    return "\n".join([*lines, *links, ""])


class Bus:
    """The made-up bus. It lives as long as this object.

    libumockdev gives a tty a pseudo-terminal that it keeps when the device is removed, so that the same name cannot be
    plugged in again; so the pseudo-terminals are made here.
    """

    def __init__(self):
        self._lib = ctypes.CDLL("libumockdev.so.0")
        self._lib.umockdev_testbed_new.restype = ctypes.c_void_p
        self._lib.umockdev_testbed_add_from_string.restype = ctypes.c_int
        self._bed = ctypes.c_void_p(self._lib.umockdev_testbed_new())
        self._lib.umockdev_testbed_get_root_dir.restype = ctypes.c_char_p
        self._lib.umockdev_testbed_get_root_dir.argtypes = [ctypes.c_void_p]
        self._dev = Path(self._lib.umockdev_testbed_get_root_dir(self._bed).decode()) / "dev"
        self._made = set()
        self._leaders = {}
        self._numbers = itertools.count(2)

    def plug(self, board, *, event=True):
        path = self._board_path(board)
        above = CONTROLLER
        for name in _hubs(board["port"]):
            above = f"{above}/{name}"
            if above not in self._made:
                self._add(
                    _device(above, "usb_device", {"idVendor": "1d6b", "idProduct": "0002", "bNumInterfaces": "1"})
                )
                self._made.add(above)
        vendor, product = board["id"].split(":")
        texts = {name: board[name] for name in ("serial", "product") if board[name] is not None}
        numbers = {"idVendor": vendor, "idProduct": product, "bNumInterfaces": " 1", "devnum": next(self._numbers)}
        self._add(_device(path, "usb_device", {**numbers, **texts}))
        interface = f"{path}/{board['port']}:1.0"
        self._add(_device(interface, "usb_interface"))
        if board["node"].startswith("ttyUSB"):
            self._add(f"P: {interface}/{board['node']}\nE: SUBSYSTEM=usb-serial\n")
            major, behind = 188, board["node"]
        else:
            major, behind = 166, f"{board['port']}:1.0"
        number = board["node"][6:]
        self._make_node(board["node"])
        self._add(
            f"P: {self._tty_path(board)}\nE: SUBSYSTEM=tty\nE: DEVNAME={board['node']}\n"
            f"E: MAJOR={major}\nE: MINOR={number}\nA: dev={major}:{number}\\n\nL: device=../../../{behind}\n"
        )
        if event:
            self.event("add", board)

    def unplug(self, board, *, event=True):
        if event:
            self.event("remove", board)
        self._take_node(board["node"])
        tty_path = self._tty_path(board)
        above = [f"{self._board_path(board)}/{board['port']}:1.0", self._board_path(board)]
        if board["node"].startswith("ttyUSB"):
            above.insert(0, tty_path.rpartition("/tty/")[0])
        for path in (tty_path, *above):
            self._lib.umockdev_testbed_remove_device(self._bed, f"/sys{path}".encode())

    def leave(self, board):
        self.event("remove", board)
        self._take_node(board["node"])

    def come_back(self, board):
        self._make_node(board["node"])
        self.event("add", board)

    def event(self, action, board):
        self._lib.umockdev_testbed_uevent(self._bed, f"/sys{self._tty_path(board)}".encode(), action.encode())

    def say(self, board, text):
        os.write(self._leaders[board["node"]], text.encode())

    def _make_node(self, node):
        """The follower's end stays closed until it is opened as a port; the leader's end plays the board."""
        leader, follower = os.openpty()
        tty.setraw(follower)
        self._dev.mkdir(exist_ok=True)  # libumockdev removes it with its last node
        (self._dev / node).symlink_to(os.ttyname(follower))
        os.close(follower)
        self._leaders[node] = leader

    def _take_node(self, node):
        (self._dev / node).unlink()
        os.close(self._leaders.pop(node))

    def _board_path(self, board):
        return "/".join([CONTROLLER, *_hubs(board["port"]), board["port"]])

    def _tty_path(self, board):
        interface = f"{self._board_path(board)}/{board['port']}:1.0"
        middle = f"{board['node']}/" if board["node"].startswith("ttyUSB") else ""
        return f"{interface}/{middle}tty/{board['node']}"

    def _add(self, text):
        error = ctypes.c_void_p()
        if not self._lib.umockdev_testbed_add_from_string(self._bed, text.encode(), ctypes.byref(error)):
            raise RuntimeError(f"libumockdev does not take this:\n{text}")


class Owner:
    """Opens every board that is reported, and closes it with the report of its unplug."""

    def __init__(self, *, own):
        self.reports, self.heard, self.lost = Reports(), Reports(), Reports()
        self._own = own
        self._ports = {}
        self._opening = set()

    def added(self, device, *, initial):
        fields = ("dev_path", "port_path", "vendor_id", "product_id", "serial_number", "product")
        if self._own:
            task = asyncio.create_task(self._open(device, initial, fields))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.reports.append(("added", {name: getattr(device, name) for name in fields}, initial))

    async def _open(self, device, initial, fields):
        from exporter.transports.serial import SerialPort

        path = device.dev_path
        self._ports[path] = await SerialPort.open(
            path,
            lambda data: self.heard.append((path, data.decode())),
            lambda error: self.lost.append(error.dev_path),
        )
        self.reports.append(("added", {name: getattr(device, name) for name in fields}, initial))

    def removed(self, dev_path):
        if self._own:
            self._ports.pop(dev_path).close()
        self.reports.append(("removed", dev_path))


async def _play(order):
    from exporter.discovery.usb import UsbWatcher

    bus, owner, descriptors = Bus(), Owner(own=order["own"]), []
    control = Path(__file__) if order["udev"] else Path(__file__).parent / "missing"
    watcher = UsbWatcher(owner.added, owner.removed, udev_control=control, poll_seconds=order["poll_seconds"])

    def silently(action, *boards):
        for board in boards:
            getattr(bus, action)(board, event=False)

    actions = {
        "wait": owner.reports.until,
        "heard": owner.heard.until,
        "gone": owner.lost.until,
        "descriptors": lambda: _count(descriptors),
        "silently": silently,
        "event": bus.event,
        "say": bus.say,
        "start": watcher.start,
        "stop": watcher.stop,
    }
    for step, *details in order["steps"]:
        if step in actions:
            result = actions[step](*details)
            if result is not None:
                await result
            continue
        for number, board in enumerate(details, 1):
            getattr(bus, step)(board)
            if number % 4 == 0:  # the socket that stands for udev's holds ten events
                await asyncio.sleep(0.001)
    watcher.stop()
    return {"reports": owner.reports, "heard": owner.heard, "lost": owner.lost, "descriptors": descriptors}


def _open_files():
    """What each descriptor of this process leads to."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(found)


async def _count(descriptors):
    """Add what is open. libumockdev has sockets for each open port, which its thread closes a moment later."""
    for _ in range(200):
        found = _open_files()
        if not descriptors or len(found) <= len(descriptors[0]):
            break
        await asyncio.sleep(0.05)
    descriptors.append(found)


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def main():
    handler = _Lines()
    logging.getLogger("exporter").addHandler(handler)
    logging.getLogger("exporter").setLevel(logging.INFO)
    answer = asyncio.run(_play(json.load(sys.stdin)))
    json.dump({**answer, "log": handler.lines}, sys.stdout)


if __name__ == "__main__":
    main()
