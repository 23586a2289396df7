"""The console of a board, played by a pseudo-terminal."""

import asyncio
import contextlib
import fcntl
import os
import select
import termios
import threading

import pytest
import serial

from exporter.transports import serial as transport
from exporter.transports import serial_lines
from exporter.transports.serial import MAX_READ, NotASerialPort, PortBusy, PortError, PortVanished, SerialPort
from tests.usb.ptys import Owner, board_on_pty, descriptors, garbage_stays, play

ROUNDS = 200


@pytest.fixture
def pty():
    with board_on_pty() as made:
        yield made


@pytest.fixture
def owner():
    return Owner()


class TestReading:
    def test_data_arrives_unchanged(self, pty, owner):
        """No echo, no line editing, no flow control: every byte value is itself."""
        everything = bytes(range(256))

        async def scene():
            async with owner.port(pty.path):
                pty.say(everything)
                await owner.read(256)
            assert owner.data == everything
            assert select.select([pty.leader], [], [], 0)[0] == []

        play(scene)

    def test_what_was_said_before_the_port_was_opened_is_kept(self, pty, owner):
        async def scene():
            pty.say(b"ESP-ROM:esp32s3\r\n")
            async with owner.port(pty.path):
                await owner.read(17)
                assert owner.data == b"ESP-ROM:esp32s3\r\n"

        play(scene)

    def test_a_flood_comes_in_pieces_of_bounded_size(self, pty, owner):
        text = bytes(range(1, 256)) * 500

        async def scene():
            async with owner.port(pty.path):
                writer = asyncio.create_task(asyncio.to_thread(self.write_all, pty, text))
                await owner.read(len(text))
                await writer

        play(scene)
        assert owner.data == text
        assert max(map(len, owner.pieces)) <= MAX_READ

    @staticmethod
    def write_all(pty, text):
        while text:
            text = text[os.write(pty.leader, text) :]

    def test_two_ports_do_not_mix(self, pty, owner):
        other = Owner()

        async def scene():
            with board_on_pty() as second:
                async with owner.port(pty.path), other.port(second.path):
                    pty.say(b"one")
                    second.say(b"two")
                    await owner.read(3)
                    await other.read(3)

        play(scene)
        assert (owner.data, other.data) == (b"one", b"two")

    def test_small_pieces_gather(self, pty, owner):
        """Fifty boards that talk byte by byte would otherwise wake the loop thousands of times a second."""

        async def scene():
            async with owner.port(pty.path):
                for _ in range(100):
                    pty.say(b".")
                    await asyncio.sleep(0)
                await owner.read(100)

        play(scene)
        assert len(owner.pieces) < 50

    def test_handed_over_without_opening_anew(self, pty, owner):
        other = Owner()

        async def scene():
            async with owner.port(pty.path) as port:
                pty.say(b"found")
                await owner.read(5)
                port.hand_over(other.pieces.append, other.lost.append)
                pty.say(b"monitored")
                await other.read(9)
                pty.unplug()
                await other.lost.until(1)

        asyncio.run(scene())
        assert (owner.data, other.data) == (b"found", b"monitored")
        assert owner.lost == []

    def test_nothing_is_told_after_close(self, pty, owner):
        async def scene():
            async with owner.port(pty.path) as port:
                pty.say(b"one")
                await owner.read(3)
                pty.say(b"two")
                port.close()
                port.close()
                assert port.closed
                pty.unplug()
                await asyncio.sleep(0.1)

        with garbage_stays():
            before = descriptors()
            asyncio.run(scene())
            assert descriptors() == before - 2
        assert (owner.data, owner.lost) == (b"one", [])

    def test_the_owner_may_close_the_port_while_it_gets_data(self, pty):
        async def scene():
            done = asyncio.Event()

            def on_data(_data):
                port.close()
                done.set()

            port = await SerialPort.open(pty.path, on_data, pytest.fail)
            pty.say(b"data")
            await asyncio.wait_for(done.wait(), 10)

        play(scene)


class TestVanishing:
    """A port may go away in every state."""

    def unplugged(self, error, path):
        assert type(error) is PortVanished
        assert error.dev_path == path
        assert str(error).startswith(f"{path} is gone")
        assert error.transient

    def test_before_it_is_opened(self, pty, owner):
        async def scene():
            pty.unplug()
            with pytest.raises(PortVanished) as caught:
                async with owner.port(pty.path):
                    pytest.fail("opened")
            self.unplugged(caught.value, pty.path)

        with garbage_stays():
            before = descriptors()
            asyncio.run(scene())
            assert descriptors() == before - 2

    @pytest.mark.parametrize("step", ["flock", "tcgetattr", "tcsetattr", "tcflush"])
    def test_while_it_is_opened(self, pty, owner, step, monkeypatch):
        """Each step of the opening finds the board gone."""

        class Gone:
            def __init__(self, module):
                self._module = module

            def __getattr__(self, name):
                if name == step:
                    error = OSError if self._module is fcntl else termios.error
                    return lambda *_: (_ for _ in ()).throw(error(5, "Input/output error"))
                return getattr(self._module, name)

        async def scene():
            if step == "tcflush":
                async with owner.port(pty.path) as port:
                    monkeypatch.setattr(transport, "termios", Gone(termios))
                    with pytest.raises(PortVanished):
                        await port.reset()
                    assert port.closed
                self.unplugged(owner.lost[0], pty.path)
                return
            monkeypatch.setattr(serial_lines, "fcntl", Gone(fcntl))
            monkeypatch.setattr(serial_lines, "termios", Gone(termios))
            with pytest.raises(PortVanished) as caught:
                async with owner.port(pty.path):
                    pytest.fail("opened")
            self.unplugged(caught.value, pty.path)

        play(scene)

    def test_while_it_is_silent(self, pty, owner):
        async def scene():
            async with owner.port(pty.path) as port:
                pty.unplug()
                await owner.lost.until(1)
                assert port.closed

        asyncio.run(scene())
        self.unplugged(owner.lost[0], pty.path)

    def test_while_it_talks(self, pty, owner):
        """It is lost once."""

        async def scene():
            async with owner.port(pty.path):
                pty.say(b"first")
                await owner.read(5)
                pty.say(b"Guru Meditation")
                await owner.read(20)
                pty.unplug()
                await owner.lost.until(1)
                await asyncio.sleep(0.1)

        asyncio.run(scene())
        assert owner.data == b"firstGuru Meditation"
        assert len(owner.lost) == 1

    def test_while_it_is_reset(self, pty, owner):
        async def scene():
            async with owner.port(pty.path) as port:
                reset = asyncio.create_task(port.reset())
                await asyncio.sleep(0)
                pty.unplug()
                with pytest.raises(PortVanished):
                    await reset

        asyncio.run(scene())
        assert len(owner.lost) == 1

    def test_then_it_can_be_opened_again(self, owner):
        async def scene():
            for _ in range(3):
                with board_on_pty() as pty:
                    async with owner.port(pty.path):
                        pty.unplug()
                        await owner.lost.until(1)
                        owner.lost.clear()

        play(scene)


class TestBusy:
    def test_one_owner(self, pty, owner):
        other = Owner()

        async def scene():
            async with owner.port(pty.path):
                with pytest.raises(PortBusy, match="next try") as caught:
                    async with other.port(pty.path):
                        pytest.fail("opened twice")
                assert caught.value.transient
                pty.say(b"still here")
                await owner.read(10)
            async with other.port(pty.path):
                pty.say(b"now there")
                await other.read(9)

        play(scene)

    def test_a_program_that_locks_it(self, pty, owner):
        async def scene():
            with serial.Serial(pty.path, exclusive=True), pytest.raises(PortBusy):
                async with owner.port(pty.path):
                    pytest.fail("opened twice")

        play(scene)

    def test_our_lock_keeps_such_a_program_out(self, pty, owner):
        async def scene():
            async with owner.port(pty.path):
                with pytest.raises(serial.SerialException, match="exclusively lock"):
                    serial.Serial(pty.path, exclusive=True)

        play(scene)

    def test_a_program_that_locks_nothing_is_named_and_its_port_not_touched(self, pty, owner, monkeypatch):
        monkeypatch.setattr(serial_lines, "_is_pseudo_terminal", lambda _: False)
        monkeypatch.setattr(serial_lines.os, "open", lambda *_: pytest.fail("touched"))

        async def scene():
            with pytest.raises(PortBusy, match=rf"held by .+ \(process {os.getpid()}\)"):
                async with owner.port(pty.path):
                    pytest.fail("opened")

        play(scene)

    def test_a_killed_owner_leaves_nothing_behind(self, pty):
        """The exclusive mode of a pseudo-terminal would outlive its owner, so it is not asked for."""
        child = os.fork()
        if child == 0:
            serial_lines.open_port(pty.path, 115200, hold_lines=False)
            os._exit(0)
        os.waitpid(child, 0)
        os.close(serial_lines.open_port(pty.path, 115200, hold_lines=False))


class TestOtherFiles:
    def test_a_file_that_is_no_port(self, owner, tmp_path):
        (tmp_path / "file").touch()

        async def scene():
            for path in ("/dev/full", str(tmp_path / "file"), str(tmp_path)):
                with pytest.raises(NotASerialPort, match="is not a serial port") as caught:
                    async with owner.port(path):
                        pytest.fail("opened")
                assert not caught.value.transient

        play(scene)

    def test_an_impossible_speed(self, pty, owner):
        async def scene():
            with pytest.raises(NotASerialPort, match="12345 is no baud rate"):
                async with owner.port(pty.path, baud=12345):
                    pytest.fail("opened")

        play(scene)

    @pytest.mark.parametrize("baud", [9600, 115200, 921600])
    def test_the_speed_is_set(self, pty, owner, baud):
        async def scene():
            async with owner.port(pty.path, baud=baud):
                speeds = termios.tcgetattr(pty.leader)[4:6]
            assert speeds == [getattr(termios, f"B{baud}")] * 2

        play(scene)


class TestDescriptors:
    """No file descriptor is lost on any path."""

    def test_many_rounds(self, pty, owner):
        async def scene():
            for _ in range(ROUNDS):
                async with owner.port(pty.path):
                    pty.say(b".")
                    await asyncio.sleep(0)

        play(scene)

    def test_a_hub_of_boards_at_once(self):
        async def scene():
            with contextlib.ExitStack() as stack:
                for _ in range(10):
                    ptys = [stack.enter_context(board_on_pty()) for _ in range(8)]
                    owners = [Owner() for _ in ptys]
                    ports = await asyncio.gather(
                        *(
                            SerialPort.open(pty.path, owner.pieces.append, owner.lost.append)
                            for pty, owner in zip(ptys, owners, strict=True)
                        )
                    )
                    for number, pty in enumerate(ptys):
                        pty.say(b"board %d" % number)
                    await asyncio.gather(*(owner.read(7) for owner in owners))
                    assert [owner.data for owner in owners] == [b"board %d" % number for number in range(8)]
                    for pty in ptys:
                        pty.unplug()
                    await asyncio.gather(*(owner.lost.until(1) for owner in owners))
                    assert all(port.closed for port in ports)

        play(scene)

    def test_many_boards_that_vanish(self, owner):
        async def scene():
            for _ in range(ROUNDS):
                with board_on_pty() as pty:
                    port = await SerialPort.open(pty.path, owner.pieces.append, owner.lost.append)
                    pty.unplug()
                    await owner.lost.until(1)
                    owner.lost.clear()
                    assert port.closed

        play(scene)

    @pytest.mark.parametrize("end", ["cancel", "timeout"])
    def test_an_opening_that_nobody_waits_for_any_longer(self, pty, owner, end, monkeypatch):
        """A board that hangs holds up the kernel; what is opened in the end is closed."""
        entered, go, opened = threading.Event(), threading.Event(), []

        def slow(*arguments, **options):
            entered.set()
            assert go.wait(10)
            opened.append(serial_lines.open_port(*arguments, **options))
            return opened[0]

        monkeypatch.setattr(transport, "open_port", slow)

        async def scene():
            timeout = 0.5 if end == "timeout" else 10
            opening = asyncio.create_task(
                SerialPort.open(pty.path, owner.pieces.append, owner.lost.append, timeout=timeout)
            )
            await asyncio.to_thread(entered.wait, 10)
            if end == "cancel":
                opening.cancel()
            with pytest.raises(asyncio.CancelledError if end == "cancel" else PortError, match=None):
                await opening
            go.set()

        play(scene)
        assert len(opened) == 1

    def test_a_cancelled_reset(self, pty, owner):
        async def scene():
            async with owner.port(pty.path) as port:
                reset = asyncio.create_task(port.reset())
                await asyncio.sleep(0.01)
                reset.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reset
                assert not port.closed

        play(scene)
