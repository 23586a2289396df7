"""USB serial boards: what tells one from the other, and who is plugged in now.

`usb_udev` and `usb_polling` find the boards, `Presence` makes one ordered stream of plug-in and
unplug reports of what they find.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from exporter.text import clean_text

_DIGITS: Final = re.compile(r"(\d+)")
_HEX_ID: Final = re.compile(r"[0-9a-f]{1,4}")


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """One serial interface of a USB board.

    Attributes:
        dev_path: the device file ("/dev/ttyACM0").
        port_path: the physical port as the kernel names it: bus, then one number for each hub on the way ("1-1.2").
            A port of `serial.ports` that is not on USB has its file name here.
        vendor_id, product_id: four lower-case hex digits, empty where the port is not on USB.
        serial_number: what the board says, None where it says nothing. It need not be unique, see `usb_identity`.
        product: the board's own description ("USB JTAG/serial debug unit").
        aliases: entries of `serial.ports` that lead to `dev_path` (links such as /dev/serial/by-id/...).
    """

    dev_path: str
    port_path: str
    vendor_id: str = ""
    product_id: str = ""
    serial_number: str | None = None
    product: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def usb_id(self) -> str:
        """ "vid:pid" in lower-case hex, empty where the port is not on USB."""
        return f"{self.vendor_id}:{self.product_id}" if self.vendor_id else ""


@dataclass(frozen=True, slots=True)
class Plugged:
    """A device and which stay of it is meant: `stay` differs after every plug-in, None where it is not known."""

    device: UsbDevice
    stay: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is plugged in now. `unreadable` are device files that exist but could not be described this time."""

    plugged: tuple[Plugged, ...] = ()
    unreadable: frozenset[str] = frozenset()


class OnAdded(Protocol):
    """Called for every board that is there; `initial` is true for what was plugged in before the watcher started."""

    def __call__(self, device: UsbDevice, *, initial: bool) -> None: ...


OnRemoved = Callable[[str], None]


def make_device(
    dev_path: str,
    port_path: str,
    vendor_id: Any,
    product_id: Any,
    serial_number: Any = None,
    product: Any = None,
) -> UsbDevice | None:
    """Build a device of raw attributes (hex text), or None where they do not describe a USB board (any longer)."""
    vendor, product_number = _hex_id(vendor_id), _hex_id(product_id)
    if vendor is None or product_number is None or not dev_path or not port_path:
        return None
    return UsbDevice(dev_path, port_path, vendor, product_number, clean_text(serial_number), clean_text(product))


def stay_of(sysfs_path: str, device_number: str | None) -> str | None:
    """Name the stay of a board: the inode of its directory in sysfs and the number that the bus gave it, both new with
    every plug-in. None where it is gone."""
    try:
        return f"{os.stat(sysfs_path).st_ino}:{(device_number or '').strip()}"
    except OSError:
        return None


def _hex_id(value: Any) -> str | None:
    text = value.strip().lower() if isinstance(value, str) else ""
    return text.zfill(4) if _HEX_ID.fullmatch(text) else None


def natural_order(text: str) -> tuple[str | int, ...]:
    """Sort key that puts ttyACM2 before ttyACM10."""
    return tuple(int(part) if part.isdigit() else part for part in _DIGITS.split(text))


@dataclass(slots=True)
class Presence:
    """Who is plugged in, by device file. Whatever finds boards tells it; it reports each stay of a board once, and an
    unplug before the next plug-in of the same device file."""

    on_added: OnAdded
    on_removed: OnRemoved
    _plugged: dict[str, Plugged] = field(default_factory=dict)
    _doubted: dict[str, str | None] = field(default_factory=dict)

    def devices(self) -> tuple[UsbDevice, ...]:
        return tuple(plugged.device for plugged in self._plugged.values())

    def __contains__(self, dev_path: str) -> bool:
        return dev_path in self._plugged

    def add(self, plugged: Plugged, *, initial: bool = False) -> None:
        """A board is there. One that was there already is not reported again; where its unplug was missed, that is
        made up for first."""
        dev_path = plugged.device.dev_path
        known = self._plugged.get(dev_path)
        if known is not None:
            if _same(known, plugged):
                return
            self.remove(dev_path)
        self._plugged[dev_path] = plugged
        self.on_added(plugged.device, initial=initial)

    def remove(self, dev_path: str) -> None:
        """The board is gone; an unknown one is nobody's loss."""
        if self._plugged.pop(dev_path, None) is not None:
            self.on_removed(dev_path)

    def update(self, listing: Listing, *, initial: bool = False) -> None:
        """Compare with a complete listing: unplugs first, then plug-ins in the order of the device files."""
        now = {plugged.device.dev_path: plugged for plugged in listing.plugged}
        for dev_path, known in list(self._plugged.items()):
            found = now.get(dev_path)
            if (found is None and dev_path not in listing.unreadable) or (found and not _same(known, found)):
                self.remove(dev_path)
        for dev_path in sorted(now, key=natural_order):
            self.add(now[dev_path], initial=initial)

    def confirm(self, listing: Listing) -> bool:
        """Compare with a listing that may be ahead of events on their way: only a difference that the listing before
        showed, too, is acted on. Returns whether there was one, that is, whether events were lost."""
        differences = self._differences(listing)
        confirmed = {
            path for path, stay in differences.items() if path in self._doubted and self._doubted[path] == stay
        }
        self._doubted = {path: stay for path, stay in differences.items() if path not in confirmed}
        found = {plugged.device.dev_path: plugged for plugged in listing.plugged}
        for dev_path in sorted(confirmed, key=natural_order):
            if dev_path in found:
                self.add(found[dev_path])
            else:
                self.remove(dev_path)
        return bool(confirmed)

    def _differences(self, listing: Listing) -> dict[str, str | None]:
        now = {plugged.device.dev_path: plugged for plugged in listing.plugged}
        gone: Iterable[str] = self._plugged.keys() - now.keys() - listing.unreadable
        differences: dict[str, str | None] = dict.fromkeys(gone)
        for dev_path, plugged in now.items():
            known = self._plugged.get(dev_path)
            if known is None or not _same(known, plugged):
                differences[dev_path] = plugged.stay
        return differences


def _same(one: Plugged, other: Plugged) -> bool:
    """Whether both are the same stay. A text that could not be read this time makes no other board of it."""
    if one.stay is not None and other.stay is not None:
        return one.stay == other.stay
    return one.device == other.device
