"""Simulated boards on pseudo-terminals: plugging, pace, modem lines, and the process."""

import asyncio
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import termios
import time
import tty
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import serial

from simulator.clock import Clock
from simulator.devices.nerdminer import BoardSpec
from simulator.serial_miners import SerialHub
from simulator.serial_options import board_specs
from tests.simulator.flock import NOON
from tests.usb.ptys import descriptors, garbage_stays

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def frozen_hub(folder, **options):
    """A hub that does something only when it is pumped, its clock at NOON."""
    hub = SerialHub(folder, clock=Clock(NOON), **options)
    try:
        yield hub
    finally:
        hub.close()


def advance(hub, seconds, step=0.25):
    """Let the clock run in steps, pumping."""
    for _ in range(round(seconds / step)):
        hub.clock.advance(step)
        hub.pump()


def open_port(path):
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def read_all(port):
    """What is there to read."""
    data = b""
    while select.select([port], [], [], 0)[0]:
        piece = os.read(port, 65536)
        if not piece:
            break
        data += piece
    return data


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ports"


# Reading ----------------------------------------------------------------------------------------------------


def test_a_reader_sees_the_console_unchanged(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3))
        port = open_port(path)
        hub.pump()
        data = b""
        for _ in range(80):
            advance(hub, 0.25)
            data += read_all(port)
        os.close(port)
        assert data.startswith(b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 ")
        assert b"}\n*wm:" in data
        assert b"avg. hashrate" in data
        truth = hub.truth()[path]
        assert truth["sent"] == len(data)
        assert (truth["status"], truth["state"], truth["opens"], truth["lost"]) == ("Active", "Mining", 1, 0)


def test_pyserial_reads_it_and_what_it_writes_is_counted(folder):
    with SerialHub(folder).thread() as hub:
        path = hub.add(BoardSpec(seed=3))
        with serial.Serial(path, 115200, timeout=5, exclusive=True) as port:
            while not hub.truth()[path]["opened"]:
                time.sleep(0.005)
            hub.reset(path)
            boot = b"ets Jul 29 2019 12:21:46\r\n"
            assert port.read_until(boot).endswith(boot)  # behind what it may have said until then
            port.write(b"c\n")
            while hub.truth()[path]["host_bytes"] < 2:
                time.sleep(0.005)


def test_boards_live_faster_than_the_clock_when_told(folder):
    with frozen_hub(folder, baud=None, speed=50.0) as hub:
        path = hub.add(BoardSpec(seed=3))
        advance(hub, 0.5, 0.1)
        assert hub.truth()[path]["state"] == "Mining"
        assert hub.truth()[path]["time"] == pytest.approx(NOON + 25.0)


def test_the_line_is_as_slow_as_its_baud_rate(folder):
    with frozen_hub(folder) as hub:
        path = hub.add(BoardSpec(seed=3, scenario="noise"))
        advance(hub, 20.0)
        port = open_port(path)
        hub.pump()
        got = []
        for _ in range(400):
            advance(hub, 0.01, 0.01)
            got.append(len(read_all(port)))
        os.close(port)
        # 10 bits per byte: 115 bytes in ten milliseconds, while 100 000 wait.
        assert max(got) <= 2 * 116
        assert sum(got) <= 4.05 * 11520


def test_nobody_reading_does_not_block(folder):
    with frozen_hub(folder) as hub:
        closed = hub.add(BoardSpec(seed=3))
        ignored = hub.add(BoardSpec(seed=4, difficulty=0.0001))
        port = open_port(ignored)
        advance(hub, 900.0)
        truth = hub.truth()
        assert truth[closed]["sent"] == 0
        assert truth[closed]["lost"] > 10_000
        assert truth[ignored]["lost"] > 10_000
        assert truth[ignored]["state"] == "Mining"
        # What the buffer held is old; what comes after it has been read is new.
        assert len(read_all(port)) < 100_000
        advance(hub, 2.0)
        assert b"Khashes" in read_all(port)
        os.close(port)


def test_what_was_not_read_is_gone_after_closing(folder):
    with frozen_hub(folder) as hub:
        path = hub.add(BoardSpec(seed=3))
        port = open_port(path)
        advance(hub, 5.0)
        os.close(port)
        advance(hub, 1.0)
        port = open_port(path)
        assert read_all(port) == b""
        advance(hub, 0.5)
        assert hub.truth()[path]["opens"] == 2
        os.close(port)


def test_boards_that_reset_on_opening_show_their_boot(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3), resets_on_open=True)
        advance(hub, 60.0)
        port = open_port(path)
        advance(hub, 3.0)
        assert read_all(port).startswith(b"ets Jul 29 2019")
        os.close(port)


# Plugging ---------------------------------------------------------------------------------------------------


def test_unplugging_hangs_up_and_removes_the_path(folder):
    with frozen_hub(folder) as hub:
        path = hub.add(BoardSpec(seed=3))
        with serial.Serial(path, 115200, timeout=0.2) as port:
            hub.pump()
            hub.unplug(path)
            assert not os.path.lexists(path)
            with pytest.raises(serial.SerialException):
                port.read(10)
        truth = hub.truth()[path]
        assert (truth["status"], truth["state"], truth["plugged"]) == ("Inactive", "Not Connected", False)
        hub.unplug(path)
        assert hub.truth()[path]["plugs"] == 1


def test_plugging_in_starts_the_board_and_keeps_what_the_flash_holds(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3, scenario="config_wiped"))
        advance(hub, 60.0)
        assert "no_config" in hub.truth()[path]["flags"]
        hub.unplug(path)
        advance(hub, 5.0)
        hub.plug(path)
        port = open_port(path)
        advance(hub, 3.0)
        assert b"SPIFS: No config file available!" in read_all(port)
        assert hub.truth()[path]["plugs"] == 2
        os.close(port)


def test_nothing_happens_to_a_board_without_power(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3, scenario="config_wiped"))
        waiting = hub.add(BoardSpec(seed=4), plugged=False)
        advance(hub, 15.0)
        hub.unplug(path)
        advance(hub, 600.0)
        assert hub.truth()[path]["seen"] == []
        assert hub.truth()[waiting]["boots"] == 0
        hub.plug(path)
        hub.plug(waiting)
        advance(hub, 15.0)
        assert hub.truth()[path]["boots"] == 2
        assert hub.truth()[waiting]["state"] == "Mining"


def test_a_board_moves_to_another_port_and_node(folder):
    with frozen_hub(folder) as hub:
        first = hub.add(BoardSpec("t-display-s3-1.8.3", seed=3))
        second = hub.add(BoardSpec("t-display-s3-1.8.3", seed=4))
        before = hub.truth()[first]
        with pytest.raises(ValueError, match="plugged in already"):
            hub.plug(first)
        hub.unplug(first)
        with pytest.raises(ValueError, match="taken"):
            hub.plug(first, node="ttyACM1")
        moved = hub.plug(first, node="ttyACM7", port_path="1-1.4.2")
        after = hub.truth()[moved]
        assert Path(moved).name == after["node"] == "ttyACM7"
        assert after["port_path"] == "1-1.4.2"
        assert after["serial"] == before["serial"] != hub.truth()[second]["serial"]
        with pytest.raises(KeyError, match="no simulated board"):
            hub.unplug(first)


def test_eight_boards_plugged_and_unplugged_leave_no_files_open(folder):
    with garbage_stays():
        with frozen_hub(folder) as hub:
            paths = [hub.add(spec) for spec in board_specs(8)]
            advance(hub, 1.0)
            before = descriptors()
            for turn in range(50):
                for path in paths:
                    port = open_port(path)
                    hub.pump()
                    if turn % 2:
                        os.close(port)
                    hub.unplug(path)
                    if not turn % 2:
                        os.close(port)
                assert not any(os.path.lexists(path) for path in paths)
                for path in paths:
                    hub.plug(path)
                advance(hub, 0.5)
            assert descriptors() == before
            truth = hub.truth()
            assert {truth[path]["plugs"] for path in paths} == {51}
            assert {truth[path]["opens"] for path in paths} == {50}
        assert descriptors() == before - 9


def test_a_terminal_of_the_callers_is_used_and_left_open(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3), plugged=False)
        master, slave = os.openpty()
        hub.plug(path, master=master)
        assert not os.path.lexists(path)
        advance(hub, 1.0)
        assert b"rst:0x1" in read_all(slave)
        hub.unplug(path)
        os.fstat(master)
        os.close(master)
        os.close(slave)


# Modem lines ------------------------------------------------------------------------------------------------


def tell(hub, text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), hub.lines_path)


@pytest.mark.parametrize("long_path", [False, True])
def test_lines_come_by_datagram(folder, long_path, caplog):
    with frozen_hub(folder / ("x" * 100) if long_path else folder) as hub:
        path = hub.add(BoardSpec(seed=3))
        advance(hub, 20.0)
        tell(hub, f"{path} dtr=0 rts=1")
        advance(hub, 1.0)
        assert hub.truth()[path]["held_in_reset"]
        tell(hub, f"{path} dtr=0 rts=0")
        advance(hub, 1.0)
        assert (hub.truth()[path]["boots"], hub.truth()[path]["state"]) == (2, "Booting")
        tell(hub, f"{path} reset")
        tell(hub, "/nowhere reset")
        tell(hub, f"{path} dtr")
        advance(hub, 1.0)
        assert hub.truth()[path]["boots"] == 3
        assert len(caplog.records) == 2
    assert not os.path.exists(hub.lines_path)


# The flush that stands for a reset --------------------------------------------------------------------------


def test_a_flush_of_the_output_resets_the_board(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3))
        other = hub.add(BoardSpec(seed=4))
        port = open_port(path)
        advance(hub, 30.0)
        assert hub.truth()[path]["state"] == "Mining"
        read_all(port)
        termios.tcflush(port, termios.TCOFLUSH)
        advance(hub, 3.0)
        os.write(port, b"c\n")
        advance(hub, 0.25)
        assert b"rst:0x1 " in read_all(port)
        truth = hub.truth()
        assert (truth[path]["boots"], truth[path]["opens"], truth[path]["host_bytes"]) == (2, 1, 2)
        assert truth[other]["boots"] == 1
        os.close(port)


def test_the_flush_is_heard_in_every_life_of_a_port(folder):
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3))
        advance(hub, 1.0)
        for plugs in (1, 2):
            for flushes in (1, 2):
                port = open_port(path)
                advance(hub, 1.0)
                termios.tcflush(port, termios.TCIOFLUSH)
                advance(hub, 1.0)
                os.close(port)
                advance(hub, 1.0)
                assert hub.truth()[path]["boots"] == 3 * (plugs - 1) + 1 + flushes
            hub.unplug(path)
            hub.plug(path)
            advance(hub, 1.0)


def test_opening_and_closing_are_no_reset(folder):
    """Also by a program that sets the port up and throws away what waits there."""
    with frozen_hub(folder, baud=None) as hub:
        path = hub.add(BoardSpec(seed=3))
        advance(hub, 30.0)
        for _ in range(2):
            port = open_port(path)
            tty.setraw(port, termios.TCSAFLUSH)
            termios.tcflush(port, termios.TCIOFLUSH)
            advance(hub, 1.0)
            tty.setraw(port, termios.TCSAFLUSH)
            termios.tcflush(port, termios.TCIFLUSH)
            advance(hub, 1.0)
            termios.tcflush(port, termios.TCOFLUSH)
            os.close(port)
            advance(hub, 1.0)
        with serial.Serial(path, 115200, timeout=0, exclusive=True):
            advance(hub, 1.0)
        truth = hub.truth()[path]
        assert (truth["boots"], truth["state"], truth["opens"]) == (1, "Mining", 3)


# In an event loop, and as a process -------------------------------------------------------------------------


def test_hub_in_an_event_loop(folder):
    async def until_it_mines():
        async with asyncio.timeout(10), SerialHub(folder, speed=100.0) as hub:
            path = hub.add(BoardSpec(seed=3))
            while hub.truth()[path]["state"] != "Mining":  # noqa: ASYNC110 - the hub has no event to wait for
                await asyncio.sleep(0.005)
            return hub.truth()[path]["state"]

    assert asyncio.run(until_it_mines()) == "Mining"


def test_boards_take_models_and_scenarios_in_turn():
    specs = board_specs(4, scenarios=("good", "guru"), models=("devkit-1.8.3", "cyd-1.8.3", "t3-head"))
    assert [spec.scenario for spec in specs] == ["good", "guru", "good", "guru"]
    assert [spec.model for spec in specs] == ["devkit-1.8.3", "cyd-1.8.3", "t3-head", "devkit-1.8.3"]
    assert len({spec.seed for spec in specs}) == 4
    with pytest.raises(ValueError, match="no scenario 'x'"):
        board_specs(1, scenarios=("x",))


@contextlib.contextmanager
def process(*arguments):
    """The simulator as a process; its ready document."""
    command = [sys.executable, "-m", "simulator", "--count", "0", "--json", "--control-port", "0", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield json.loads(child.stdout.readline())
    finally:
        child.terminate()
        child.wait()
        child.stdout.close()


def call(ready, path, body=None):
    url = f"http://127.0.0.1:{ready['control_port']}{path}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
        return json.load(answer)


def test_process_mode(folder):
    options = ("--serial", "2", "--serial-folder", str(folder), "--serial-speed", "20")
    with process(*options, "--serial-scenario", "good,wrong_wifi", "--serial-model", "devkit-1.8.3") as ready:
        good, offline = [board["path"] for board in ready["serial"]]
        assert {os.readlink(path).split("/")[1] for path in (good, offline)} == {"dev"}
        assert (ready["serial"][0]["vendor_id"], ready["serial"][0]["serial"]) == ("10c4", "0001")
        with serial.Serial(good, 115200, timeout=10) as port:
            while not call(ready, "/__sim__/truth")[good]["opened"]:
                time.sleep(0.01)
            call(ready, "/__sim__/serial", {"path": good, "reset": True})
            port.read_until(b"ets Jul 29 2019 12:21:46\r\n")
            assert port.read_until(b"started\r\n").endswith(b"[MONITOR] started\r\n")
        assert call(ready, "/__sim__/serial", {"path": good, "plug": False})["status"] == "Inactive"
        assert not os.path.lexists(good)
        moved = call(ready, "/__sim__/serial", {"path": good, "plug": True, "node": "ttyUSB9", "port_path": "1-2"})
        assert (moved["path"], moved["port_path"]) == (str(folder / "ttyUSB9"), "1-2")
        changed = call(ready, "/__sim__/serial", {"path": offline, "scenario": "guru"})
        assert changed["scenario"] == "guru"
        assert call(ready, f"/__sim__/truth?address={offline}")["path"] == offline
        with pytest.raises(urllib.error.HTTPError) as refused:
            call(ready, "/__sim__/serial", {"path": "/nowhere", "reset": True})
        with refused.value as answer:
            assert (answer.code, "no simulated board" in answer.read().decode()) == (404, True)
    assert not os.path.lexists(offline)


def test_process_refuses_bad_options(folder):
    for option, value, word in (
        ("--serial-scenario", "x", "no scenario 'x'"),
        ("--serial-model", "x", "no NerdMiner model 'x'"),
        ("--serial-speed", "0", "must be above 0"),
    ):
        command = [sys.executable, "-m", "simulator", "--serial", "1", "--serial-folder", str(folder), option, value]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2
        assert word in done.stderr
