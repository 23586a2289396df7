"""libumockdev's testbed by ctypes: a made-up sysfs and udev for this process.

The process must have been started with ``LD_PRELOAD=libumockdev-preload.so.0`` (package libumockdev0 of Debian), or
nothing of this is seen by it. Devices come as text from `simulator.usb_tree`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from simulator.usb_tree import UsbPort, board_text

LIBRARY: Final = "libumockdev.so.0"
PRELOAD: Final = "libumockdev-preload.so.0"


class UsbTestbed:
    """One testbed; use it as a context manager. Methods raise `OSError` where the library is not there."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._glib = ctypes.CDLL("libgobject-2.0.so.0")
        self._library.umockdev_testbed_new.restype = ctypes.c_void_p
        self._library.umockdev_testbed_add_from_string.restype = ctypes.c_int
        self._library.umockdev_testbed_get_dev_fd.restype = ctypes.c_int
        self._testbed = ctypes.c_void_p(self._library.umockdev_testbed_new())

    def __enter__(self) -> UsbTestbed:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the made-up system away."""
        self._glib.g_object_unref(self._testbed)

    def add(self, text: str) -> None:
        """Make the devices of a text; libumockdev 0.17 sends an "add" event for each.

        Raises:
            ValueError: the text is no description of devices.
        """
        error = ctypes.c_void_p()
        done = self._library.umockdev_testbed_add_from_string(self._testbed, text.encode(), ctypes.byref(error))
        if not done:
            raise ValueError("libumockdev did not accept the description of the devices")

    def announce(self, path: str, action: str) -> None:
        """Send a udev event for a sysfs path (with /sys): "add", "remove" or "change"."""
        self._library.umockdev_testbed_uevent(self._testbed, path.encode(), action.encode())

    def remove(self, path: str) -> None:
        """Take one device away, without telling anybody."""
        self._library.umockdev_testbed_remove_device(self._testbed, path.encode())

    def master(self, node: str) -> int:
        """The master of the terminal behind a device node like ttyUSB0, for `SerialHub.plug`; a copy of our own.

        Raises:
            ValueError: there is no such node.
        """
        master = int(self._library.umockdev_testbed_get_dev_fd(self._testbed, f"/dev/{node}".encode()))
        if master < 0:
            raise ValueError(f"no device node /dev/{node} in the testbed")
        return os.dup(master)

    def plug(self, port: UsbPort, number: int = 10) -> None:
        """A board appears, with its events; `number` is its address on the bus."""
        self.add(board_text(port, number))

    def unplug(self, port: UsbPort) -> None:
        """A board vanishes, with its events."""
        for path in port.paths:
            self.announce(path, "remove")
            self.remove(path)
