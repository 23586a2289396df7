"""Boards for the tests, with made-up serial numbers, and a list to wait on."""

import asyncio

from exporter.discovery.usb_devices import UsbDevice

S3_MAC = "02:00:5E:10:00:01"


def board(port_path="1-1.2", usb_id="1a86:7523", serial=None, *, dev_path="/dev/ttyUSB0", product=None, aliases=()):
    vendor, product_id = usb_id.split(":") if usb_id else ("", "")
    return UsbDevice(dev_path, port_path, vendor, product_id, serial, product, aliases)


class Reports(list):
    """A list; `until` waits for its length."""

    _grown = None

    def append(self, item):
        super().append(item)
        if self._grown is not None:
            self._grown.set()

    async def until(self, count, seconds=20):
        async with asyncio.timeout(seconds):
            while len(self) < count:
                self._grown = asyncio.Event()
                await self._grown.wait()
