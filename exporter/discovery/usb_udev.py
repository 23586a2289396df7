"""USB serial boards as a udev daemon tells of them (pyudev)."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyudev

from exporter.discovery.usb_devices import Listing, Plugged, make_device, stay_of

_LOG: Final = logging.getLogger(__name__)
#: Exists while a udev daemon runs. Without one the monitor starts without an error and never tells anything.
UDEV_CONTROL: Final = Path("/run/udev/control")
#: Events taken in one go, so that a storm of them leaves room for others on the loop.
_EVENTS_AT_ONCE: Final = 64
_ATTRIBUTES: Final = ("idVendor", "idProduct", "serial", "product", "devnum")
#: A hub of boards that comes and goes makes hundreds of events at once; the kernel drops what does not fit.
_RECEIVE_BUFFER: Final = 1024 * 1024


def udev_runs(control: Path = UDEV_CONTROL) -> bool:
    return control.exists()


def list_usb() -> Listing:
    """Every USB serial board that udev has set up. One that it still works on (its group and mode are not set yet) is
    left out: its event follows. Where udev's own data cannot be seen (a container) all count as set up.

    Raises:
        ImportError: there is no libudev on this machine.
    """
    devices = list(pyudev.Context().list_devices(subsystem="tty"))
    ready = [device for device in devices if device.is_initialized] or devices
    described = (describe(device) for device in ready)
    return Listing(tuple(plugged for plugged in described if plugged is not None))


def describe(device: Any) -> Plugged | None:
    """Read what sysfs says of a tty, None where it is not on USB, or gone."""
    try:
        dev_path = device.device_node
        board = device.find_parent("usb", "usb_device") if dev_path else None
    except (OSError, pyudev.DeviceNotFoundError) as error:
        _LOG.debug("USB: %s went away while it was read: %s", device.sys_name, error)
        return None
    if board is None:
        return None
    vendor, product, serial, text, number = (_attribute(board, name) for name in _ATTRIBUTES)
    made = make_device(dev_path, board.sys_name, vendor, product, serial, text)
    stay = stay_of(device.sys_path, number)
    return None if made is None or stay is None else Plugged(made, stay)


def _attribute(device: Any, name: str) -> str | None:
    value = device.attributes.get(name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


class UdevEvents:
    """Hands over the events of serial devices on the loop's thread, in the order in which udev sent them.

    Args:
        on_plugged: a USB board was added (or changed: it may be known already).
        on_unplugged: called with the device file of any serial device that was removed.
        on_lost: the kernel dropped events, a listing has to make up for them.
    """

    def __init__(
        self,
        on_plugged: Callable[[Plugged], None],
        on_unplugged: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_plugged = on_plugged
        self._on_unplugged = on_unplugged
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._monitor: Any = None

    def start(self) -> None:
        """Events from now on are kept until the loop runs.

        Raises:
            ImportError: there is no libudev on this machine.
            OSError: udev's socket cannot be opened.
        """
        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), "udev")
        monitor.filter_by("tty")
        try:
            monitor.set_receive_buffer_size(_RECEIVE_BUFFER)
        except OSError as error:
            _LOG.debug("USB: the default buffer for udev's events stays: %s", error)
        monitor.start()
        self._monitor = monitor
        self._loop.add_reader(monitor.fileno(), self._readable)

    def stop(self) -> None:
        """Close the socket; what is queued is dropped."""
        if self._monitor is not None:
            self._loop.remove_reader(self._monitor.fileno())
            self._monitor = None  # pyudev closes the socket with the last reference

    def _readable(self) -> None:
        for _ in range(_EVENTS_AT_ONCE):
            if self._monitor is None:  # stopped by a callback
                return
            try:
                device = self._monitor.poll(timeout=0)
            except OSError as error:
                lost = "dropped by the kernel" if error.errno == errno.ENOBUFS else str(error)
                _LOG.warning("USB: events of udev were lost (%s); the ports are listed anew", lost)
                self._on_lost()
                return
            if device is None:
                return
            self._event(device)

    def _event(self, device: Any) -> None:
        if device.action in ("remove", "offline"):
            if device.device_node:
                self._on_unplugged(device.device_node)
            return
        plugged = describe(device)
        if plugged is not None:
            self._on_plugged(plugged)
