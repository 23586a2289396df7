"""USB serial boards where no udev daemon runs (containers): pyserial's listing, one port at a time."""

from __future__ import annotations

import fnmatch
import glob
import logging
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any, Final

from serial.tools.list_ports_linux import SysFS

from exporter.discovery.usb_devices import Listing, Plugged, UsbDevice, make_device, stay_of

_LOG: Final = logging.getLogger(__name__)
_PATTERNS: Final = ("/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyXRUSB*")
_TTYS: Final = "/sys/class/tty"


def usb_port_files() -> list[str]:
    """The device files that USB serial drivers make."""
    return [path for pattern in _PATTERNS for path in glob.glob(pattern)]


def list_usb(files: Callable[[], Iterable[str]] = usb_port_files, describe: Callable[[str], Any] = SysFS) -> Listing:
    """Every USB serial board that sysfs shows.

    pyserial's own `comports()` fails as a whole (TypeError) where a single device vanishes while it is read; here such
    a port is only unreadable this time.
    """
    plugged, unreadable = [], []
    for path in files():
        try:
            info = describe(path)
        except (TypeError, ValueError, OSError) as error:
            _LOG.debug("USB: %s cannot be read this time: %s", path, error)
            unreadable.append(path)
            continue
        device = _device(info)
        if device is not None:
            number = info.read_line(info.usb_device_path, "devnum") if info.usb_device_path else None
            plugged.append(Plugged(device, stay_of(f"{_TTYS}/{info.name}", number)))
    return Listing(tuple(plugged), frozenset(unreadable))


def _device(info: Any) -> UsbDevice | None:
    """`location` is the port's path, followed by the interface where a board has several ("1-1.2:1.0")."""
    if info.vid is None or info.pid is None:
        return None
    port_path = (info.location or "").partition(":")[0]
    return make_device(info.device, port_path, f"{info.vid:04x}", f"{info.pid:04x}", info.serial_number, info.product)


def list_fixed(ports: Iterable[str]) -> Listing:
    """Those of `serial.ports` that exist and are not on USB (built-in ports, pseudo-terminals), by the name given."""
    plugged: dict[int, Plugged] = {}
    for path in ports:
        try:
            status = os.stat(path)
        except OSError:  # not there now
            continue
        if stat.S_ISCHR(status.st_mode) and not _on_usb(path):
            stay = f"{status.st_dev}:{status.st_ino}:{status.st_rdev}:{status.st_ctime_ns}"
            plugged.setdefault(status.st_rdev, Plugged(UsbDevice(dev_path=path, port_path=path), stay))
    return Listing(tuple(plugged.values()))


def _on_usb(path: str) -> bool:
    """Whether the kernel drives this tty over USB."""
    real = os.path.realpath(path)
    behind = os.path.realpath(f"{_TTYS}/{os.path.basename(real)}/device")
    return "/usb" in behind or any(fnmatch.fnmatchcase(real, pattern) for pattern in _PATTERNS)


def aliases(dev_path: str, ports: Iterable[str]) -> tuple[str, ...]:
    """Those of `serial.ports` that lead to `dev_path`."""
    return tuple(port for port in ports if port != dev_path and os.path.realpath(port) == dev_path)
