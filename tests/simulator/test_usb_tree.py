"""The USB tree of simulated boards: its text, and what pyudev and pyserial make of it under libumockdev."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.usb_testbed import LIBRARY, PRELOAD
from simulator.usb_tree import IDENTITIES, UsbPort, board_text, identity_of, usb_tree

ROOT = Path(__file__).parents[2]
BOARDS = [
    UsbPort("1-1.1", "ttyUSB0", IDENTITIES["cp2102"]),
    UsbPort("1-1.2", "ttyUSB1", IDENTITIES["cp2102"]),
    UsbPort("1-1.3", "ttyUSB2", IDENTITIES["ch340"]),
    UsbPort("1-1.4.1", "ttyACM0", identity_of("esp32s3", 77)),
    UsbPort("2-3", "ttyACM1", IDENTITIES["ch9102"]),
]


def test_paths_follow_the_hubs():
    port = BOARDS[3]
    assert port.device == "/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4.1"
    assert port.tty == f"{port.device}/1-1.4.1:1.0/tty/ttyACM0"
    assert BOARDS[0].tty.endswith("/1-1.1/1-1.1:1.0/ttyUSB0/tty/ttyUSB0")
    assert BOARDS[0].paths[0] == f"/sys{BOARDS[0].tty}"
    assert BOARDS[0].paths[-1] == f"/sys{BOARDS[0].device}"


def test_parents_come_before_children_and_once():
    paths = [line[3:] for line in usb_tree(BOARDS).splitlines() if line.startswith("P: ")]
    assert len(paths) == len(set(paths))
    for place, path in enumerate(paths):
        parent = path.rpartition("/")[0].removesuffix("/tty")
        assert parent in (*paths[:place], "/devices/pci0000:00")


def test_serials_are_where_the_chip_has_one():
    assert "serial" not in board_text(BOARDS[2]).replace("usb-serial", "")
    assert "A: serial=0001\\n" in board_text(BOARDS[0])
    assert "E: ID_SERIAL_SHORT=02:00:5E:00:00:4D" in board_text(BOARDS[3])
    assert identity_of("esp32s3", 1).serial != identity_of("esp32s3", 2).serial
    assert identity_of("cp2102", 1) == identity_of("cp2102", 2)


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        (UsbPort("1-1.1", "ttyUSB7", IDENTITIES["ch340"]), "same port_path"),
        (UsbPort("1-1.7", "ttyUSB0", IDENTITIES["ch340"]), "same node"),
        (UsbPort("usb", "ttyUSB7", IDENTITIES["ch340"]), "no USB port path"),
    ],
)
def test_impossible_trees_are_refused(port, reason):
    with pytest.raises(ValueError, match=reason):
        usb_tree([*BOARDS, port])


# Under libumockdev ------------------------------------------------------------------------------------------

LOOK = """
import json, os, sys
import pyudev
from serial.tools import list_ports
from simulator.usb_testbed import UsbTestbed
from tests.simulator.test_usb_tree import BOARDS
from simulator.usb_tree import UsbPort, identity_of, usb_tree

result = {"present": [], "ports": [], "events": []}
with UsbTestbed() as bed:
    bed.add(usb_tree(BOARDS))
    context = pyudev.Context()
    for device in context.list_devices(subsystem="tty"):
        usb = device.find_parent("usb", "usb_device")
        result["present"].append([
            device.device_node, usb.sys_name, device.properties["ID_VENDOR_ID"], device.properties["ID_MODEL_ID"],
            device.properties.get("ID_SERIAL_SHORT"), device.properties["ID_PATH"],
        ])
    for port in list_ports.comports():
        result["ports"].append([port.device, port.vid, port.pid, port.serial_number, port.location])
    monitor = pyudev.Monitor.from_netlink(context)
    monitor.filter_by("tty")
    monitor.start()
    new = UsbPort("1-1.4.2", "ttyACM5", identity_of("esp32s3", 78))
    bed.plug(new, 30)
    device = monitor.poll(5)
    result["events"].append([device.action, device.device_node, device.properties["ID_SERIAL_SHORT"]])
    master = bed.master("ttyACM5")
    slave = os.open("/dev/ttyACM5", os.O_RDWR | os.O_NOCTTY)
    os.write(master, b"hello\\r\\n")
    result["read"] = os.read(slave, 64).decode()
    os.close(slave)
    os.close(master)
    bed.unplug(new)
    device = monitor.poll(5)
    result["events"].append([device.action, device.device_node, device.properties["DEVPATH"]])
    result["left"] = os.path.exists("/dev/ttyACM5")
    try:
        bed.add("nonsense")
    except ValueError as error:
        result["refused"] = str(error)
sys.stdout.write(json.dumps(result))
"""


@pytest.fixture(scope="module")
def seen():
    """What a process with the made-up system saw."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pytest.skip(f"{LIBRARY} is not installed (Debian package libumockdev0)")
    environment = {**os.environ, "LD_PRELOAD": PRELOAD, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pyudev_finds_the_boards(seen):
    assert sorted(seen["present"]) == [
        ["/dev/ttyACM0", "1-1.4.1", "303a", "1001", "02:00:5E:00:00:4D", "pci-0000:00:14.0-usb-0:1.4.1:1.0"],
        ["/dev/ttyACM1", "2-3", "1a86", "55d4", "0002", "pci-0000:00:14.0-usb-0:3:1.0"],
        ["/dev/ttyUSB0", "1-1.1", "10c4", "ea60", "0001", "pci-0000:00:14.0-usb-0:1.1:1.0"],
        ["/dev/ttyUSB1", "1-1.2", "10c4", "ea60", "0001", "pci-0000:00:14.0-usb-0:1.2:1.0"],
        ["/dev/ttyUSB2", "1-1.3", "1a86", "7523", None, "pci-0000:00:14.0-usb-0:1.3:1.0"],
    ]


def test_list_ports_finds_the_boards(seen):
    assert sorted(seen["ports"]) == [
        ["/dev/ttyACM0", 0x303A, 0x1001, "02:00:5E:00:00:4D", "1-1.4.1:1.0"],
        ["/dev/ttyACM1", 0x1A86, 0x55D4, "0002", "2-3:1.0"],
        ["/dev/ttyUSB0", 0x10C4, 0xEA60, "0001", "1-1.1"],
        ["/dev/ttyUSB1", 0x10C4, 0xEA60, "0001", "1-1.2"],
        ["/dev/ttyUSB2", 0x1A86, 0x7523, None, "1-1.3"],
    ]


def test_plugging_and_unplugging_send_events(seen):
    path = "/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4.2/1-1.4.2:1.0/tty/ttyACM5"
    assert seen["events"] == [
        ["add", "/dev/ttyACM5", "02:00:5E:00:00:4E"],
        ["remove", "/dev/ttyACM5", path],
    ]
    assert seen["read"] == "hello\r\n"
    assert not seen["left"]
    assert "did not accept" in seen["refused"]
