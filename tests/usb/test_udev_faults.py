"""What a udev that fails leads to."""

import asyncio
import errno
import logging
import socket

import pytest

from exporter.discovery import usb_udev
from exporter.discovery.usb import UsbWatcher
from exporter.discovery.usb_devices import Listing, Plugged
from tests.usb.boards import Reports, board
from tests.usb.ptys import descriptors, garbage_stays

ONE, TWO = (Plugged(board(f"1-{n}", dev_path=f"/dev/ttyUSB{n}"), str(n)) for n in (1, 2))


class Monitor:
    """A monitor whose socket is readable as often as there is something to raise."""

    def __init__(self, errors=()):
        self._reader, self.writer = socket.socketpair()
        self._reader.setblocking(False)
        self.errors = list(errors)

    def filter_by(self, subsystem):
        assert subsystem == "tty"

    def set_receive_buffer_size(self, _size):
        raise OSError(errno.EPERM, "Operation not permitted")

    def start(self):
        self.writer.send(b"." * len(self.errors))

    def fileno(self):
        return self._reader.fileno()

    def poll(self, timeout):
        assert timeout == 0
        try:
            self._reader.recv(1)
        except BlockingIOError:
            return
        raise self.errors.pop(0)

    def close(self):
        self._reader.close()
        self.writer.close()


def watch(monkeypatch, tmp_path, caplog, play, *, monitor, udev_listings, polled=()):
    """Watch with a faked udev. `udev_listings` and `polled` are what is plugged in, one after the other."""
    (tmp_path / "control").touch()
    listings = iter(udev_listings)

    def from_netlink(_context, source):
        assert source == "udev"
        if isinstance(monitor, Exception):
            raise monitor
        return monitor

    def list_usb():
        found = next(listings)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(usb_udev.pyudev, "Context", object)
    monkeypatch.setattr(usb_udev.pyudev.Monitor, "from_netlink", from_netlink)
    monkeypatch.setattr(usb_udev, "list_usb", list_usb)

    async def run():
        log = Reports()
        watcher = UsbWatcher(
            lambda device, *, initial: log.append(("added", device.dev_path, initial)),
            lambda dev_path: log.append(("removed", dev_path)),
            udev_control=tmp_path / "control",
            poll_seconds=3600,
            list_ports=lambda: Listing(tuple(polled)),
        )
        watcher.start()
        try:
            await play(log)
        finally:
            watcher.stop()
        return list(log)

    with garbage_stays():
        before = descriptors()
        with caplog.at_level(logging.INFO, logger="exporter"):
            log = asyncio.run(run())
        assert descriptors() == before
    return log


def test_events_that_the_kernel_dropped_are_made_up_for(monkeypatch, tmp_path, caplog):
    monitor = Monitor([OSError(errno.ENOBUFS, "No buffer space available")])
    listings = [Listing((ONE,)), Listing((TWO,))]
    log = watch(
        monkeypatch, tmp_path, caplog, lambda log: log.until(3), monitor=monitor, udev_listings=listings
    )  # fmt: skip
    monitor.close()
    assert log == [("added", "/dev/ttyUSB1", True), ("removed", "/dev/ttyUSB1"), ("added", "/dev/ttyUSB2", False)]
    assert "events of udev were lost (dropped by the kernel)" in caplog.text


def test_a_listing_that_fails_after_it_changes_nothing(monkeypatch, tmp_path, caplog):
    monitor = Monitor([OSError(errno.ENOBUFS, "No buffer space available"), OSError(errno.EBADMSG, "Bad message")])
    listings = [Listing((ONE,)), OSError(errno.EIO, "Input/output error"), Listing((TWO,))]
    log = watch(
        monkeypatch, tmp_path, caplog, lambda log: log.until(3), monitor=monitor, udev_listings=listings
    )  # fmt: skip
    monitor.close()
    assert log[1:] == [("removed", "/dev/ttyUSB1"), ("added", "/dev/ttyUSB2", False)]
    assert "the ports cannot be listed: [Errno 5]" in caplog.text
    assert "Bad message" in caplog.text


@pytest.mark.parametrize(
    "error", [ImportError("No library named udev"), OSError("Could not create udev monitor")], ids=type
)
def test_without_libudev_the_ports_are_polled(monkeypatch, tmp_path, caplog, error):
    log = watch(
        monkeypatch, tmp_path, caplog, lambda log: log.until(1), monitor=error, udev_listings=[], polled=[ONE]
    )  # fmt: skip
    assert log == [("added", "/dev/ttyUSB1", True)]
    assert f"udev cannot be asked ({error}); the ports are listed every 3600 s instead" in caplog.text
    assert "udev tells" not in caplog.text


def test_a_first_listing_that_fails_leaves_no_socket(monkeypatch, tmp_path, caplog):
    monitor = Monitor()
    log = watch(
        monkeypatch, tmp_path, caplog, lambda log: log.until(1),
        monitor=monitor, udev_listings=[OSError(errno.EIO, "Input/output error")], polled=[ONE],
    )  # fmt: skip
    monitor.close()
    assert log == [("added", "/dev/ttyUSB1", True)]


def test_an_owner_that_fails_does_not_end_the_watch(monkeypatch, tmp_path):
    """Its error goes to the loop's handler; later boards are reported all the same."""
    plugged, reported, errors = [ONE], Reports(), []

    def added(device, *, initial):
        reported.append(device.dev_path)
        if not initial and device.dev_path == "/dev/ttyUSB2":
            raise RuntimeError("owner")

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        watcher = UsbWatcher(
            added,
            pytest.fail,
            udev_control=tmp_path / "no",
            poll_seconds=0.01,
            list_ports=lambda: Listing(tuple(plugged)),
        )
        watcher.start()
        plugged.append(TWO)
        await reported.until(2)
        plugged.append(Plugged(board("1-3", dev_path="/dev/ttyUSB3"), "3"))
        await reported.until(3)
        watcher.stop()

    asyncio.run(run())
    assert reported == ["/dev/ttyUSB1", "/dev/ttyUSB2", "/dev/ttyUSB3"]
    assert [str(error) for error in errors] == ["owner"]
