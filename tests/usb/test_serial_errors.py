"""The remedy in the message."""

import asyncio
import errno
import grp
import os
import pwd
from types import SimpleNamespace

import pytest

from exporter.transports import serial_errors
from exporter.transports.serial import NotASerialPort, PortBusy, PortDenied, PortError, PortVanished
from exporter.transports.serial_errors import holder_of, port_error
from tests.usb.ptys import Owner, board_on_pty, play

NOBODY = 65534
PATH = "/dev/ttyUSB0"


@pytest.fixture
def rights(monkeypatch):
    """Fakes who may open the port, and who we are."""

    def fake(*, mode=0o660, gid=20, group="dialout", members=(), user="miner"):
        def getgrgid(_gid):
            if group is None:
                raise KeyError
            return SimpleNamespace(gr_name=group, gr_mem=list(members))

        def getpwuid(_uid):
            if user is None:
                raise KeyError
            return SimpleNamespace(pw_name=user)

        names = {**vars(os), "stat": lambda _: SimpleNamespace(st_mode=mode, st_gid=gid), "geteuid": lambda: 1000}
        monkeypatch.setattr(serial_errors, "os", SimpleNamespace(**names))
        monkeypatch.setattr(serial_errors, "grp", SimpleNamespace(getgrgid=getgrgid))
        monkeypatch.setattr(serial_errors, "pwd", SimpleNamespace(getpwuid=getpwuid))

    return fake


def message(number):
    return str(port_error(PATH, OSError(number, os.strerror(number))))


class TestDenied:
    def test_the_group_to_join(self, rights):
        rights()
        assert "`sudo usermod -aG dialout miner`" in message(errno.EACCES)

    def test_joined_but_not_signed_in_again(self, rights):
        rights(members=["miner"])
        assert "miner has joined group dialout after this program started" in message(errno.EACCES)
        assert "usermod" not in message(errno.EACCES)

    def test_a_group_without_a_name(self, rights):
        rights(group=None, gid=986)
        assert "docker run --group-add 986" in message(errno.EACCES)

    def test_a_user_without_a_name(self, rights):
        rights(user=None)
        assert "usermod -aG dialout 1000" in message(errno.EACCES)

    @pytest.mark.parametrize("fields", [{"mode": 0o600}, {"mode": 0o640}, {"gid": 0}])
    def test_a_group_that_does_not_help(self, rights, fields):
        rights(**fields)
        assert 'GROUP="dialout"' in message(errno.EACCES)
        assert "usermod" not in message(errno.EACCES)

    def test_a_container_that_was_not_given_the_device(self, rights):
        rights()
        assert f"docker run --device {PATH}" in message(errno.EPERM)

    def test_a_port_that_vanished_meanwhile(self):
        assert "may not be opened" in str(
            port_error("/dev/missing", PermissionError(errno.EACCES, "Permission denied"))
        )

    def test_for_real(self):
        """As root, with the rights of somebody else for a moment."""

        async def scene():
            with board_on_pty() as pty:
                os.chmod(pty.path, 0)
                if os.geteuid() == 0:
                    os.seteuid(NOBODY)
                try:
                    with pytest.raises(PortDenied) as caught:
                        async with Owner().port(pty.path):
                            pytest.fail("opened")
                finally:
                    os.seteuid(os.getuid())
                assert str(caught.value).startswith(f"{pty.path} may not be opened (Permission denied)")
                assert not caught.value.transient

        play(scene)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
    def test_for_real_with_a_group(self):
        group = next(entry for entry in grp.getgrall() if entry.gr_gid not in (0, NOBODY) and not entry.gr_mem)
        user = pwd.getpwuid(NOBODY).pw_name

        async def scene():
            with board_on_pty() as pty:
                os.chown(pty.path, 0, group.gr_gid)
                os.chmod(pty.path, 0o660)
                os.seteuid(NOBODY)
                try:
                    with pytest.raises(PortDenied, match=f"usermod -aG {group.gr_name} {user}"):
                        async with Owner().port(pty.path):
                            pytest.fail("opened")
                finally:
                    os.seteuid(0)

        groups = os.getgroups()
        os.setgroups([])
        try:
            play(scene)
        finally:
            os.setgroups(groups)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, PortVanished),
        (errno.ENODEV, PortVanished),
        (errno.ENXIO, PortVanished),
        (errno.EIO, PortVanished),
        (errno.EACCES, PortDenied),
        (errno.EPERM, PortDenied),
        (errno.EBUSY, PortBusy),
        (errno.EWOULDBLOCK, PortBusy),
        (errno.ENOTTY, NotASerialPort),
        (errno.EMFILE, PortError),
    ],
)
def test_every_error_has_a_kind(number, kind):
    error = port_error(PATH, OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert error.dev_path == PATH
    assert error.reason == "unreachable"
    assert str(error).startswith(PATH)
    assert "\n" not in str(error)


def test_the_holder_of_a_port_is_found():
    with board_on_pty() as pty:
        assert holder_of(pty.path).endswith(f"(process {os.getpid()})")
    assert holder_of("/dev/missing") is None


def test_the_errors_of_an_open_that_fails_otherwise(monkeypatch):
    def no_more_files(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with board_on_pty() as pty:
        monkeypatch.setattr("exporter.transports.serial_lines.os.open", no_more_files)
        with pytest.raises(PortError, match="Too many open files"):
            asyncio.run(Owner().port(pty.path).__aenter__())
