"""Hot-plug through pyudev and libudev, on a bus that libumockdev makes up."""

import ctypes
import re

import pytest

from tests.usb.mock_bus import PRELOAD, acm, run, usb


def library_is_missing():
    try:
        ctypes.CDLL("libumockdev.so.0")
    except OSError:
        return True
    return False


pytestmark = pytest.mark.skipif(library_is_missing(), reason=f"{PRELOAD} is missing: tests/install-packages")

S3 = acm("1-1.2", 0, serial="02:00:5E:10:00:01")
CH340 = usb("1-1.3", 0)
HUB = [
    acm("1-1.1", 0, serial="02:00:5E:10:00:11"),
    usb("1-1.2", 0),
    usb("1-1.3", 1, "10c4:ea60", serial="0001", product="CP2102 USB to UART Bridge Controller"),
    usb("1-1.4.1", 2, "10c4:ea60", serial="0001", product="CP2102 USB to UART Bridge Controller"),
    acm("1-1.4.2", 1, "1a86:55d4", serial="5AA6052218", product="USB Single Serial"),
    acm("1-1.4.3", 2, "303a:0002", serial="0", product="ESP32-S2"),
    acm("1-1.4.4.1", 3, serial="02:00:5E:10:00:12"),
    usb("1-1.4.4.2", 3),
]


def short(reports):
    """ "+ttyACM0" for a plug-in, "*ttyACM0" for one that was there, "-ttyACM0" for an unplug."""
    signs = {True: "*", False: "+"}
    return [
        signs[report[2]] + report[1].dev_path[5:] if report[0] == "added" else f"-{report[1][5:]}" for report in reports
    ]


def test_plug_unplug_and_plug_in_again():
    done = run(("start",), ("plug", S3), ("wait", 1), ("unplug", S3), ("wait", 2), ("plug", S3), ("wait", 3))
    assert short(done.reports) == ["+ttyACM0", "-ttyACM0", "+ttyACM0"]
    device = done.reports[0][1]
    assert (device.dev_path, device.port_path) == ("/dev/ttyACM0", "1-1.2")
    assert (device.vendor_id, device.product_id) == ("303a", "1001")
    assert (device.serial_number, device.product) == ("02:00:5E:10:00:01", "USB JTAG/serial debug unit")
    assert done.log == ["INFO USB: udev tells when a board is plugged in or unplugged"]


def test_what_is_plugged_in_at_the_start_is_reported_as_such():
    done = run(("plug", CH340, S3), ("start",), ("wait", 2), ("unplug", CH340), ("wait", 3))
    assert short(done.reports) == ["*ttyACM0", "*ttyUSB0", "-ttyUSB0"]


def test_a_bridge_without_a_serial_number():
    done = run(("start",), ("plug", CH340), ("wait", 1))
    device = done.reports[0][1]
    assert (device.vendor_id, device.product_id, device.serial_number) == ("1a86", "7523", None)
    assert (device.dev_path, device.port_path) == ("/dev/ttyUSB0", "1-1.3")


def test_eight_boards_on_a_chain_of_hubs():
    gone = list(reversed(HUB))
    done = run(("start",), ("plug", *HUB), ("wait", 8), ("unplug", *gone), ("wait", 16))
    assert short(done.reports) == [f"+{board['node']}" for board in HUB] + [f"-{board['node']}" for board in gone]
    seen = [(report[1].port_path, report[1].serial_number) for report in done.reports[:8]]
    assert seen == [(board["port"], board["serial"]) for board in HUB]


def test_a_board_that_leaves_usb_for_a_moment():
    """The port of an ESP32-S3 goes and comes with its reset, before anybody has read the first event."""
    done = run(("start",), ("plug", S3), ("wait", 1), ("unplug", S3), ("plug", S3), ("wait", 3))
    assert short(done.reports) == ["+ttyACM0", "-ttyACM0", "+ttyACM0"]


def test_a_board_that_comes_back_under_another_name():
    again = {**S3, "node": "ttyACM1"}
    done = run(("start",), ("plug", S3), ("wait", 1), ("unplug", S3), ("plug", again), ("wait", 3))
    assert short(done.reports) == ["+ttyACM0", "-ttyACM0", "+ttyACM1"]
    assert done.reports[0][1].serial_number == done.reports[2][1].serial_number


def test_another_board_in_the_same_port():
    other = {**S3, "serial": "02:00:5E:10:00:99"}
    done = run(("start",), ("plug", S3), ("wait", 1), ("unplug", S3), ("plug", other), ("wait", 3))
    assert [report[1].serial_number for report in done.reports if report[0] == "added"] == [
        "02:00:5E:10:00:01",
        "02:00:5E:10:00:99",
    ]


def test_events_told_twice_are_reported_once():
    """`udevadm trigger` sends "add" or "change" for everything that is there."""
    done = run(
        ("plug", S3), ("start",), ("event", "add", S3), ("event", "change", S3), ("event", "add", S3),
        ("plug", CH340), ("wait", 2), ("event", "remove", S3), ("event", "remove", S3), ("wait", 3),
        ("event", "add", S3), ("wait", 4),
    )  # fmt: skip
    assert short(done.reports) == ["*ttyACM0", "+ttyUSB0", "-ttyACM0", "+ttyACM0"]


def test_a_board_that_was_plugged_in_while_the_program_started():
    """The event waits in the queue while the listing shows the board already."""
    done = run(("plug", S3), ("start",), ("event", "add", S3), ("plug", CH340), ("wait", 2))
    assert short(done.reports) == ["*ttyACM0", "+ttyUSB0"]


def test_a_missed_unplug_is_made_up_for():
    done = run(("start",), ("plug", S3), ("wait", 1), ("silently", "unplug", S3), ("plug", S3), ("wait", 3))
    assert short(done.reports) == ["+ttyACM0", "-ttyACM0", "+ttyACM0"]


def test_events_that_never_come_are_found_out():
    """A container sees udev's files, but in a network of its own none of its events."""
    done = run(
        ("start",), ("silently", "plug", S3), ("wait", 1), ("silently", "unplug", S3), ("wait", 2), poll_seconds=0.02
    )
    assert short(done.reports) == ["+ttyACM0", "-ttyACM0"]
    assert [line for line in done.log if "listed every 0.02 s" in line] == done.log[1:]


def test_a_stopped_watcher_reports_nothing_and_can_start_again():
    done = run(("start",), ("plug", S3), ("wait", 1), ("stop",), ("plug", CH340), ("start",), ("wait", 2))
    assert short(done.reports) == ["+ttyACM0", "*ttyUSB0"]


def test_two_hundred_rounds_of_eight_boards_that_are_read():
    """No board is missed, none has two owners, every file is closed.

    One is opened after the other: libumockdev does not stand a thread that opens one while another is made up.
    """
    rounds = 200
    steps = [("start",)]
    for count in range(rounds):
        for number, board in enumerate(HUB, 16 * count + 1):
            steps += [("come_back" if count else "plug", board), ("wait", number)]
        steps += [("say", board, f"{count} {board['node']}\n") for board in HUB]
        steps += [("heard", 8 * count + 8), ("leave", *HUB), ("wait", 16 * count + 16)]
        steps += [("descriptors",)] if count in (0, rounds - 1) else []
    done = run(*steps, own=True)
    names = sorted(board["node"] for board in HUB)
    for count in range(rounds):
        entries = short(done.reports[16 * count : 16 * count + 16])
        assert sorted(entries[:8]) == [f"+{name}" for name in names]
        assert sorted(entries[8:]) == [f"-{name}" for name in names]
        heard = {tuple(entry) for entry in done.heard[8 * count : 8 * count + 8]}
        assert heard == {(f"/dev/{name}", f"{count} {name}\n") for name in names}
    assert len(done.reports) == 16 * rounds
    first, last = done.descriptors
    assert len(last) <= len(first), (first, last)


def test_an_unplugged_board_is_lost_at_once():
    """The port itself tells, without udev and long before the next listing."""
    done = run(
        ("plug", S3), ("start",), ("wait", 1), ("say", S3, "hello"), ("heard", 1), ("silently", "unplug", S3),
        ("gone", 1), own=True, udev=False,
    )  # fmt: skip
    assert done.lost == ["/dev/ttyACM0"]
    assert short(done.reports) == ["*ttyACM0"]


class TestWithoutUdev:
    """The same bus, seen by pyserial's listing."""

    def test_everything_is_found_by_listing(self):
        done = run(
            ("plug", CH340), ("start",), ("wait", 1), ("plug", S3), ("wait", 2), ("unplug", CH340), ("wait", 3),
            udev=False, poll_seconds=0.02,
        )  # fmt: skip
        assert short(done.reports) == ["*ttyUSB0", "+ttyACM0", "-ttyUSB0"]
        (line,) = done.log
        assert re.search(r"no udev daemon runs here .* listed every 0\.02 s", line)

    def test_both_ways_describe_a_board_alike(self):
        def found(*, udev):
            done = run(("plug", *HUB), ("start",), ("wait", 8), udev=udev)
            return [vars(report[1]) for report in done.reports]

        assert found(udev=True) == found(udev=False)

    def test_a_board_that_left_for_less_than_a_round(self):
        done = run(
            ("plug", S3), ("start",), ("silently", "unplug", S3), ("silently", "plug", S3), ("wait", 3),
            udev=False, poll_seconds=0.1,
        )  # fmt: skip
        assert short(done.reports) == ["*ttyACM0", "-ttyACM0", "+ttyACM0"]
