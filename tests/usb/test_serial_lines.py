"""DTR and RTS: no board is reset by being opened, none is left with a line that erases or stops it."""

import asyncio
import fcntl
import os
import struct
import termios
from types import SimpleNamespace

import pytest

from exporter.transports import serial_lines
from exporter.transports.serial import PortVanished
from tests.usb.ptys import Owner, board_on_pty, play

DTR, RTS = termios.TIOCM_DTR, termios.TIOCM_RTS
IDLE, RUN = (False, False), (True, True)
RESET, DOWNLOAD = (False, True), (True, False)


class Lines:
    """The modem lines of a port, as its driver keeps them: (DTR, RTS) after every message."""

    def __init__(self, fail_at=None):
        self.states = []
        self.calls = []
        self._bits = 0
        self._fail_at = fail_at

    def opened(self):
        """The kernel raises both at once."""
        self._bits |= DTR | RTS
        self.states.append(self.state)

    @property
    def state(self):
        return bool(self._bits & DTR), bool(self._bits & RTS)

    def ioctl(self, fd, request, argument=b""):
        os.fstat(fd)  # it is open
        self.calls.append(request)
        if request not in (termios.TIOCMBIS, termios.TIOCMBIC):
            return
        if len(self.states) == self._fail_at:
            raise OSError(19, "No such device")
        (bits,) = struct.unpack("I", argument)
        self._bits = self._bits | bits if request == termios.TIOCMBIS else self._bits & ~bits
        if self.states[-1] != self.state:
            self.states.append(self.state)

    def install(self, monkeypatch):
        names = {name: getattr(fcntl, name) for name in ("flock", "LOCK_EX", "LOCK_NB")}
        monkeypatch.setattr(serial_lines, "fcntl", SimpleNamespace(ioctl=self.ioctl, **names))
        monkeypatch.setattr(serial_lines, "_is_pseudo_terminal", lambda _: False)
        monkeypatch.setattr(serial_lines, "holder_of", lambda _: None)
        self.opened()
        return self


class TinyUsb:
    """The serial port that an ESP32-S2 or S3 makes in software (arduino-esp32 USBCDC): it talks while DTR is on, and
    four states in a row send it to its boot loader."""

    MAGIC = (RESET, RUN, DOWNLOAD, IDLE)

    def __init__(self, states):
        self.talks = states[-1] == RUN
        self.boot_loader = any(tuple(states[n : n + 4]) == self.MAGIC for n in range(len(states)))


@pytest.fixture
def pty():
    with board_on_pty() as made:
        yield made


def states_of(pty, monkeypatch, scene, *, hold_lines, fail_at=None):
    lines, owner = Lines(fail_at).install(monkeypatch), Owner()

    async def run():
        async with owner.port(pty.path, hold_lines=hold_lines) as port:
            await scene(port)

    play(run)
    return lines


async def nothing(_port):
    """Only open and close."""


async def reset(port):
    await port.reset()


def test_opening_a_bridge_releases_both_lines_at_once(pty, monkeypatch):
    lines = states_of(pty, monkeypatch, nothing, hold_lines=False)
    assert lines.states == [RUN, IDLE]
    assert termios.TIOCEXCL in lines.calls


def test_opening_a_board_with_usb_of_its_own_moves_nothing(pty, monkeypatch):
    lines = states_of(pty, monkeypatch, nothing, hold_lines=True)
    assert lines.states == [RUN]
    assert TinyUsb(lines.states).talks


def test_a_reset_pulls_en_and_never_io0(pty, monkeypatch):
    lines = states_of(pty, monkeypatch, reset, hold_lines=False)
    assert lines.states == [RUN, IDLE, RESET, IDLE]
    assert DOWNLOAD not in lines.states


def test_a_reset_of_a_board_with_usb_of_its_own(pty, monkeypatch):
    lines = states_of(pty, monkeypatch, reset, hold_lines=True)
    assert lines.states == [RUN, RESET, IDLE, RUN]
    board = TinyUsb(lines.states * 3)
    assert board.talks
    assert not board.boot_loader


@pytest.mark.parametrize(("hold_lines", "last"), [(False, IDLE), (True, RUN)])
def test_a_reset_that_is_cancelled_leaves_the_board_running(pty, monkeypatch, hold_lines, last):
    async def scene(port):
        task = asyncio.create_task(port.reset())
        await asyncio.sleep(0)
        assert lines.state == RESET
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    lines, owner = Lines().install(monkeypatch), Owner()

    async def run():
        async with owner.port(pty.path, hold_lines=hold_lines) as port:
            await scene(port)

    play(run)
    assert lines.state == last


def test_two_resets_do_not_mix(pty, monkeypatch):
    async def scene(port):
        await asyncio.gather(port.reset(), port.reset())

    lines = states_of(pty, monkeypatch, scene, hold_lines=False)
    assert lines.states == [RUN, IDLE, RESET, IDLE, RESET, IDLE]


def test_a_port_that_is_closed_while_it_is_reset_is_not_moved_any_more(pty, monkeypatch):
    """Its number may belong to another file by then."""

    async def scene(port):
        task = asyncio.create_task(port.reset())
        await asyncio.sleep(0)
        port.close()
        with pytest.raises(PortVanished, match="is closed"):
            await task

    lines = states_of(pty, monkeypatch, scene, hold_lines=False)
    assert lines.states == [RUN, IDLE, RESET]


@pytest.mark.parametrize("fail_at", [2, 3])
def test_a_board_that_vanishes_with_a_line_on(pty, monkeypatch, fail_at):
    lines, owner = Lines(fail_at).install(monkeypatch), Owner()

    async def run():
        async with owner.port(pty.path) as port:
            with pytest.raises(PortVanished):
                await port.reset()
            assert port.closed

    play(run)
    assert len(lines.states) == fail_at
    assert len(owner.lost) == 1


def test_a_board_that_vanishes_before_its_lines_are_released(pty, monkeypatch):
    Lines(fail_at=1).install(monkeypatch)

    async def run():
        with pytest.raises(PortVanished):
            async with Owner().port(pty.path):
                pytest.fail("opened")

    play(run)


def test_a_pseudo_terminal_has_no_lines(pty):
    """ENOTTY is no error; the other end sees the reset as a flush."""
    owner = Owner()

    async def run():
        async with owner.port(pty.path) as port:
            fcntl.ioctl(pty.leader, termios.TIOCPKT, struct.pack("i", 1))
            await port.reset()
            assert os.read(pty.leader, 100)[0] & termios.TIOCPKT_FLUSHWRITE
            pty.say(b"NerdMiner v2 starting......")
            await owner.read(27)

    play(run)


def test_a_closed_port_cannot_be_reset(pty):
    async def run():
        async with Owner().port(pty.path) as port:
            port.close()
            with pytest.raises(PortVanished, match="is closed"):
                await port.reset()

    play(run)
