"""Who a USB board is. Pure.

A serial number identifies only where it can: CH340 bridges have none, CP2102 often come with "0001", an ESP32-S2 in its
ROM says "0", and whole batches share a number. Then the port that the board is plugged into stands for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from exporter.discovery.usb_devices import UsbDevice
from exporter.text import normal_mac

_ESPRESSIF: Final = "303a"
_SHORTEST_SERIAL: Final = 4
#: Serial numbers below it are what a factory forgot to change.
_LOWEST_NUMBER: Final = 1000
_RUNS: Final = ("12345678901234567890", "01234567890123456789", "0123456789abcdef", "123456789abcdef", "9876543210")
_LONGEST_RUN: Final = 20
_NO_WORDS: Final = frozenset(
    {
        "default", "defaultstring", "empty", "none", "noserial", "notavailable", "notspecified", "null", "serial",
        "serialno", "serialnumber", "test", "tobefilledbyoem", "undefined", "unknown", "usbserial",
    }
)  # fmt: skip
_OTHER: Final = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """What identifies a board. `mac` and `serial` only where they do; `port_path` is always there.

    Attributes:
        mac: the chip's own address, lower case with colons.
        serial: the USB serial number.
        port_path: where the board is plugged in.
    """

    port_path: str
    mac: str | None = None
    serial: str | None = None

    @property
    def key(self) -> str:
        """The value of the label `miner`."""
        if self.mac is not None:
            return self.mac
        return f"port:{self.port_path}" if self.serial is None else f"serial:{self.serial}"


def usb_identity(device: UsbDevice, others: Iterable[UsbDevice] = (), shared: Collection[str] = ()) -> UsbIdentity:
    """Identify a board.

    Args:
        device: the board.
        others: what else is plugged in; the board itself may be among them.
        shared: serial numbers that were once seen on two boards (`shared_serials`), so that one of them alone is not
            taken for the other.
    """
    serial = device.serial_number
    if serial is None or is_placeholder(serial) or serial in shared or serial in shared_serials((device, *others)):
        return UsbIdentity(device.port_path)
    if serial == device.product:
        return UsbIdentity(device.port_path)
    mac = normal_mac(serial) if device.vendor_id == _ESPRESSIF else None
    return UsbIdentity(device.port_path, mac, None if mac else serial)


def shared_serials(devices: Iterable[UsbDevice]) -> frozenset[str]:
    """Serial numbers that two boards have at the same time. Two interfaces of one board at one port are no two."""
    ports: dict[str, set[str]] = defaultdict(set)
    for device in devices:
        if device.serial_number is not None:
            ports[device.serial_number].add(device.port_path)
    return frozenset(serial for serial, where in ports.items() if len(where) > 1)


def is_placeholder(serial: str) -> bool:
    """Whether a serial number is one that many boards have."""
    text = _OTHER.sub("", serial.lower())
    if len(text) < _SHORTEST_SERIAL or len(set(text)) == 1 or text in _NO_WORDS:
        return True
    if text.isdigit() and int(text) < _LOWEST_NUMBER:
        return True
    return len(text) <= _LONGEST_RUN and any(run.startswith(text) for run in _RUNS)
