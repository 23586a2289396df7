"""The listing of ports where no udev daemon runs."""

import asyncio
import logging
import os
from types import SimpleNamespace

import pytest

from exporter.discovery.usb import UsbWatcher
from exporter.discovery.usb_devices import Listing, stay_of
from exporter.discovery.usb_polling import aliases, list_fixed, list_usb
from tests.usb.boards import Reports

ROUND = 0.01


def port(device, location, vid=0x1A86, pid=0x7523, serial_number=None, product="USB Serial"):
    """What pyserial says of a port."""
    fields = {"device": device, "location": location, "vid": vid, "pid": pid, "serial_number": serial_number}
    return SimpleNamespace(**fields, product=product, name=f"faked{device[5:]}", usb_device_path=None)


class Ports:
    """Faked ports: an exception in place of a port is raised when that port is described."""

    def __init__(self, **ports):
        self.ports = {f"/dev/{name}": found for name, found in ports.items()}

    def list(self):
        return list_usb(lambda: list(self.ports), self._describe)

    def _describe(self, path):
        found = self.ports[path]
        if isinstance(found, Exception):
            raise found
        return found


def test_a_port_as_pyserial_describes_it():
    found = port("/dev/ttyACM0", "1-1.2:1.0", 0x303A, 0x1001, "02:00:5E:10:00:01", "USB JTAG/serial debug unit")
    (plugged,) = Ports(ttyACM0=found).list().plugged
    device = plugged.device
    assert (device.dev_path, device.port_path, device.usb_id) == ("/dev/ttyACM0", "1-1.2", "303a:1001")
    assert (device.serial_number, device.product) == ("02:00:5E:10:00:01", "USB JTAG/serial debug unit")


def test_short_ids_have_four_digits():
    (plugged,) = Ports(ttyUSB0=port("/dev/ttyUSB0", "1-1", 0x403, 0x15)).list().plugged
    assert plugged.device.usb_id == "0403:0015"


def test_ports_that_are_not_on_usb_are_left_out():
    assert Ports(ttyS0=port("/dev/ttyS0", None, None, None)).list() == Listing()


@pytest.mark.parametrize("error", [TypeError("int(None)"), FileNotFoundError(2, "gone"), ValueError("bad hex")])
def test_a_port_that_vanishes_while_it_is_read_hides_no_other(error):
    listing = Ports(ttyUSB0=error, ttyUSB1=port("/dev/ttyUSB1", "1-2")).list()
    assert [plugged.device.dev_path for plugged in listing.plugged] == ["/dev/ttyUSB1"]
    assert listing.unreadable == {"/dev/ttyUSB0"}


def test_the_stay_changes_with_the_directory_in_sysfs_and_the_number_on_the_bus(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    stays = [stay_of(tmp_path / name, number) for name in ("one", "two") for number in ("4\n", "5\n", None)]
    assert len(set(stays)) == 6
    assert stay_of(tmp_path / "one", "4") == stays[0]
    assert stay_of(tmp_path / "missing", "4") is None


def test_this_machine_can_be_listed():
    listing = list_usb()
    assert all(plugged.device.dev_path.startswith("/dev/") for plugged in listing.plugged)


class TestWatcher:
    """Polling, as the watcher does it."""

    @pytest.fixture
    def ports(self):
        return Ports(ttyUSB0=port("/dev/ttyUSB0", "1-1"), ttyUSB10=port("/dev/ttyUSB10", "1-3"))

    def watch(self, tmp_path, faked, play, **options):
        async def run():
            log = Reports()
            watcher = UsbWatcher(
                lambda device, *, initial: log.append(("added", device.dev_path, initial)),
                lambda dev_path: log.append(("removed", dev_path)),
                udev_control=tmp_path / "control",
                poll_seconds=ROUND,
                list_ports=faked.list,
                **options,
            )

            watcher.start()
            try:
                await play(watcher, log)
            finally:
                watcher.stop()
            return log

        return asyncio.run(run())

    def test_reports_what_is_there_and_what_changes(self, tmp_path, ports):
        async def play(watcher, log):
            assert log == [("added", "/dev/ttyUSB0", True), ("added", "/dev/ttyUSB10", True)]
            ports.ports["/dev/ttyACM2"] = port("/dev/ttyACM2", "1-2:1.0")
            await log.until(3)
            del ports.ports["/dev/ttyUSB0"]
            await log.until(4)
            assert [device.dev_path for device in watcher.devices] == ["/dev/ttyUSB10", "/dev/ttyACM2"]

        log = self.watch(tmp_path, ports, play)
        assert log[2:] == [("added", "/dev/ttyACM2", False), ("removed", "/dev/ttyUSB0")]

    def test_survives_ports_that_cannot_be_read(self, tmp_path, ports):
        async def play(_watcher, log):
            ports.ports["/dev/ttyUSB0"] = TypeError("int(None)")
            ports.ports["/dev/ttyUSB1"] = TypeError("int(None)")
            ports.ports["/dev/ttyACM2"] = port("/dev/ttyACM2", "1-2:1.0")
            await log.until(3)
            ports.ports["/dev/ttyUSB1"] = port("/dev/ttyUSB1", "1-4")
            await log.until(4)

        log = self.watch(tmp_path, ports, play)
        assert log[2:] == [("added", "/dev/ttyACM2", False), ("added", "/dev/ttyUSB1", False)]

    def test_a_listing_that_fails_is_logged_and_tried_again(self, tmp_path, ports, caplog):
        working, failures = ports.list, [OSError(5, "input/output error")]

        async def play(_watcher, log):
            ports.ports["/dev/ttyACM2"] = port("/dev/ttyACM2", "1-2:1.0")
            await log.until(3)

        def list_ports():
            if len(ports.ports) == 3 and failures:
                raise failures.pop()
            return working()

        ports.list = list_ports
        log = self.watch(tmp_path, ports, play)
        assert log[2:] == [("added", "/dev/ttyACM2", False)]
        assert not failures
        assert "cannot be listed" in caplog.text

    def test_says_once_why_it_polls(self, tmp_path, ports, caplog):
        async def play(_watcher, log):
            ports.ports["/dev/ttyACM2"] = port("/dev/ttyACM2", "1-2:1.0")
            await log.until(3)

        with caplog.at_level(logging.INFO, logger="exporter"):
            self.watch(tmp_path, ports, play)
        (line,) = [record.getMessage() for record in caplog.records if "no udev daemon" in record.getMessage()]
        assert f"every {ROUND:g} s" in line

    def test_reports_nothing_after_stop_and_can_start_again(self, tmp_path, ports):
        async def play(watcher, log):
            watcher.stop()
            ports.ports.clear()
            await asyncio.sleep(5 * ROUND)
            assert len(log) == 2
            watcher.start()
            await log.until(4)
            with pytest.raises(RuntimeError):
                watcher.start()

        log = self.watch(tmp_path, ports, play)
        assert log[2:] == [("removed", "/dev/ttyUSB0"), ("removed", "/dev/ttyUSB10")]

    def test_a_fixed_port_that_is_not_on_usb(self, tmp_path, ports):
        leader, follower = os.openpty()
        link = tmp_path / "nerd"

        async def play(_watcher, log):
            link.symlink_to(os.ttyname(follower))
            await log.until(3)
            link.unlink()
            await log.until(4)

        try:
            log = self.watch(tmp_path, ports, play, ports=(str(link), str(tmp_path / "missing")))
        finally:
            os.close(leader)
            os.close(follower)
        assert log[2:] == [("added", str(link), False), ("removed", str(link))]


def test_data_does_not_make_another_stay_of_a_pseudo_terminal():
    leader, follower = os.openpty()
    try:
        before = list_fixed([os.ttyname(follower)])
        os.write(leader, b"data\n")
        os.write(follower, b"data\n")
        assert os.read(follower, 10) == b"data\n"
        assert list_fixed([os.ttyname(follower)]) == before
        assert len(before.plugged) == 1
        assert before.plugged[0].device.port_path == os.ttyname(follower)
    finally:
        os.close(leader)
        os.close(follower)


def test_two_names_of_one_port_are_one_port(tmp_path):
    leader, follower = os.openpty()
    try:
        (tmp_path / "link").symlink_to(os.ttyname(follower))
        listing = list_fixed([str(tmp_path / "link"), os.ttyname(follower)])
        assert [plugged.device.dev_path for plugged in listing.plugged] == [str(tmp_path / "link")]
    finally:
        os.close(leader)
        os.close(follower)


def test_only_character_devices_are_ports(tmp_path):
    (tmp_path / "file").touch()
    assert list_fixed([str(tmp_path / "file"), str(tmp_path), str(tmp_path / "missing")]) == Listing()


def test_links_to_a_port(tmp_path):
    target = os.path.realpath(tmp_path / "ttyUSB0")
    for name in ("by-id", "other"):
        (tmp_path / name).symlink_to(target)
    ports = (target, str(tmp_path / "by-id"), "/dev/ttyUSB9")
    assert aliases(target, ports) == (str(tmp_path / "by-id"),)
