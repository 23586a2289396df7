"""Server and client together, and the server against bad clients."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from exporter.control import client as client_module
from exporter.control import server as server_module
from exporter.control.client import ControlClient
from exporter.control.protocol import MAX_REQUEST_BYTES, socket_path
from exporter.control.server import MAX_CLIENTS, ControlServer
from exporter.errors import AuthError, FlockwatchError, StoreError, UsageError
from exporter.store.secret import Secret

ROOT = Path(__file__).parents[2]


class Program:
    """Handlers that show what a program may do."""

    def __init__(self):
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.flooded = threading.Event()

    def handlers(self):
        return {
            "echo": self.echo,
            "count": self.count,
            "usage": self.usage,
            "login": self.login,
            "bug": self.bug,
            "secret": self.secret,
            "hang": self.hang,
            "flood": self.flood,
        }

    async def echo(self, arguments, progress):
        return arguments

    async def count(self, arguments, progress):
        for number in range(arguments["to"]):
            progress({"done": number})
            await asyncio.sleep(0)
        return arguments["to"]

    async def usage(self, arguments, progress):
        raise UsageError("no such miner: 9; see flockwatch devices list")

    async def login(self, arguments, progress):
        raise AuthError("192.0.2.7: wrong password")

    async def bug(self, arguments, progress):
        return {}[arguments["key"]]

    async def secret(self, arguments, progress):
        return Secret("example")

    async def hang(self, arguments, progress):
        self.started.set()
        progress({"hanging": True})
        try:
            await asyncio.sleep(3600)
        finally:
            self.cancelled.set()

    async def flood(self, arguments, progress):
        for _number in range(300):
            progress({"text": "x" * 10_000})
        self.flooded.set()
        return "done"


@pytest.fixture
def program():
    return Program()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "flock.json"
    path.write_bytes(b"")
    return path


@asynccontextmanager
async def serving(database, program, **options):
    server = ControlServer(socket_path(database), program.handlers(), **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@contextmanager
def running(database, program, **options):
    """The server on a thread of its own, for the blocking client."""
    ready, loops, stop = threading.Event(), [], asyncio.Event()

    async def main():
        async with serving(database, program, **options):
            loops.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()


def talk(database, data, *, reading=None):
    """Send bytes and return all that comes back; nothing is read before the event `reading`.

    A server that leaves some of them unread resets the connection.
    """
    received = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(socket_path(database)))
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        assert reading is None or reading.wait(10)
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    return received


def error_of(reply):
    return json.loads(reply)["error"]


def test_nobody_answers_where_no_program_runs(database):
    assert ControlClient.connect(database) is None
    socket_path(database).write_bytes(b"")
    assert ControlClient.connect(database) is None
    assert ControlClient.connect(database.parent / "none" / "flock.json") is None
    assert ControlClient.connect(database / "flock.json") is None


def test_a_call_gives_the_result(database, program):
    with running(database, program):
        client = ControlClient.connect(database)
        assert client.call("echo", {"text": "Müller\n", "list": [1, None, 2.5]}) == {
            "text": "Müller\n",
            "list": [1, None, 2.5],
        }
        assert client.call("echo") == {}
        assert len(client.call("echo", {"text": "x" * (MAX_REQUEST_BYTES - 100)})["text"]) == MAX_REQUEST_BYTES - 100
        seen = []
        assert client.call("count", {"to": 5}, on_progress=seen.append) == 5
        assert seen == [{"done": number} for number in range(5)]
        assert client.call("count", {"to": 5}) == 5
    assert ControlClient.connect(database) is None
    with pytest.raises(UsageError, match="has ended meanwhile"):
        client.call("echo")
    assert not socket_path(database).exists()


def test_errors_arrive_as_what_they_were(database, program, caplog):
    with running(database, program):
        client = ControlClient.connect(database)
        with pytest.raises(UsageError, match=r"^no such miner: 9; see flockwatch devices list$"):
            client.call("usage")
        with pytest.raises(FlockwatchError, match=r"^192\.0\.2\.7: wrong password$") as failed:
            client.call("login")
        assert not isinstance(failed.value, UsageError)
        with pytest.raises(UsageError, match=r"no command 'dance'; it knows: bug, count, echo"):
            client.call("dance")
        assert caplog.records == []
        for command in ("bug", "secret"):
            with pytest.raises(FlockwatchError, match=f"^{command} failed inside the running program; its log says"):
                client.call(command, {"key": "sensitive"})
        assert [record.exc_info[0] for record in caplog.records] == [KeyError, TypeError]
        assert "example" not in caplog.text
        with pytest.raises(UsageError, match="are longer than"):
            client.call("echo", {"text": "x" * MAX_REQUEST_BYTES})
        assert client.call("echo", {"still": "there"}) == {"still": "there"}


def test_an_error_in_on_progress_is_the_callers(database, program):
    def broken_pipe(_state):
        raise BrokenPipeError("standard output")

    with running(database, program), pytest.raises(BrokenPipeError, match="standard output"):
        ControlClient.connect(database).call("count", {"to": 5}, on_progress=broken_pipe)


def test_a_silent_program_is_given_up_and_the_command_cancelled(database, program):
    with running(database, program):
        with pytest.raises(FlockwatchError, match=r"gave no answer to hang for 1 s"):
            ControlClient.connect(database).call("hang", timeout=1.0)
        assert program.cancelled.wait(10)


def test_closing_cancels_the_commands(database, program):
    failures = []

    def call():
        try:
            ControlClient.connect(database).call("hang")
        except FlockwatchError as error:
            failures.append(str(error))

    with running(database, program):
        caller = threading.Thread(target=call)
        caller.start()
        assert program.started.wait(10)
    caller.join()
    assert program.cancelled.is_set()
    assert failures == ["the running program ended before it answered hang"]


def test_a_killed_program_is_noticed(tmp_path):
    script = """
import asyncio, os, signal, sys
from exporter.control.protocol import socket_path
from exporter.control.server import ControlServer
async def die(arguments, progress):
    os.kill(os.getpid(), signal.SIGKILL)
async def main():
    await ControlServer(socket_path(sys.argv[1]), {"die": die}).start()
    print("ready", flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""
    database = tmp_path / "flock.json"
    database.write_bytes(b"")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(database)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(FlockwatchError, match=r"ended before it answered die|broke off"):
                ControlClient.connect(database).call("die")
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    # The socket is still there; the next program replaces it.
    assert socket_path(database).is_socket()
    assert ControlClient.connect(database) is None
    with running(database, Program()):
        assert ControlClient.connect(database).call("echo", {"a": 1}) == {"a": 1}


def test_the_socket_is_private_before_anybody_can_connect(database, program, monkeypatch):
    modes = []

    class Watched(socket.socket):
        def bind(self, address):
            super().bind(address)
            modes.append(stat.S_IMODE(os.stat(address).st_mode))

        def listen(self, backlog):
            modes.append(stat.S_IMODE(os.stat(self.getsockname()).st_mode))
            super().listen(backlog)

    monkeypatch.setattr(server_module.socket, "socket", Watched)
    before = os.umask(0)
    try:
        connection = server_module._listen(socket_path(database))
    finally:
        os.umask(before)
    connection.close()
    assert modes == [0o600, 0o600]


def test_a_living_server_and_a_foreign_file_are_left_alone(database, program):
    path = socket_path(database)

    async def second():
        async with serving(database, program):
            inode = path.stat().st_ino
            with pytest.raises(StoreError, match="another process answers"):
                await ControlServer(path, {}).start()
            assert path.stat().st_ino == inode

    asyncio.run(second())
    path.write_bytes(b"precious")
    with pytest.raises(StoreError, match="is no socket; move it away"):
        asyncio.run(ControlServer(path, {}).start())
    assert path.read_bytes() == b"precious"


def test_closing_removes_its_own_socket_only(database, program):
    path = socket_path(database)

    async def replaced():
        async with serving(database, program) as server:
            path.unlink()
            path.write_bytes(b"another's")
            await server.close()
        assert path.read_bytes() == b"another's"

    asyncio.run(replaced())


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="control socket cannot be made"):
        asyncio.run(ControlServer(tmp_path / "none" / "x.sock", {}).start())


@pytest.fixture
def long_database(tmp_path):
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    database = directory / "flock.json"
    database.write_bytes(b"")
    private = socket_path(database).parent
    yield database
    shutil.rmtree(private, ignore_errors=True)


def test_a_long_path_has_a_private_directory(long_database, program):
    with running(long_database, program):
        assert stat.S_IMODE(socket_path(long_database).parent.stat().st_mode) == 0o700
        assert ControlClient.connect(long_database).call("echo", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("prepare", ["open", "link"])
def test_a_directory_that_others_laid_there_is_refused(long_database, tmp_path, prepare):
    private = socket_path(long_database).parent
    if prepare == "open":
        private.mkdir()
        private.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        private.symlink_to(tmp_path / "elsewhere")
    try:
        with pytest.raises(StoreError, match="belongs to somebody else"):
            asyncio.run(ControlServer(socket_path(long_database), {}).start())
    finally:
        if private.is_symlink():
            private.unlink()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello\n", "no JSON"),
        (b"\x00\xff\n", "no JSON"),
        (b"{}\n", "names no command"),
        (b'{"command": "' + b"x" * 500 + b'"}\n', "no command 'xxxx"),
        (b"x" * (MAX_REQUEST_BYTES + 200_000), "longer than 1048576 bytes"),
        (b'{"command": "echo"', "no request came within"),
    ],
)
def test_bad_requests_are_answered_and_harm_nobody(database, program, line, reason):
    # Short only for the request that never ends: a busy machine takes its time for the others.
    with running(database, program, request_timeout=1.0 if "within" in reason else 30.0):
        error = error_of(talk(database, line))
        assert error["kind"] == "usage"
        assert reason in error["message"]
        assert len(error["message"]) < 300
        assert talk(database, b'{"command": "echo", "arguments": {"a": 1}}\n') == b'{"result":{"a":1}}\n'


def test_a_client_that_only_looks_or_leaves(database, program, caplog):
    with running(database, program):
        for data in (b"", b'{"command": "ha', b'{"command": "hang"}\n'):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(socket_path(database)))
                connection.sendall(data)
                if data.endswith(b"\n"):
                    assert program.started.wait(10)
        assert program.cancelled.wait(10)
        assert ControlClient.connect(database).call("echo") == {}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_progress_is_left_out_for_a_client_that_does_not_read(database, program):
    with running(database, program):
        lines = talk(database, b'{"command": "flood"}\n', reading=program.flooded).splitlines()
    assert json.loads(lines[-1]) == {"result": "done"}
    assert 1 < len(lines) < 301


def test_only_so_many_at_the_same_time(database, program):
    with running(database, program):
        waiting = []
        for _number in range(MAX_CLIENTS):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(socket_path(database)))
            connection.sendall(b'{"command": "hang"}\n')
            assert b"hanging" in connection.recv(100)
            waiting.append(connection)
        with pytest.raises(UsageError, match="too many commands"):
            ControlClient.connect(database).call("echo")
        for connection in waiting:
            connection.close()


def fake_peer(monkeypatch, module, uid):
    monkeypatch.setattr(module, "peer_of", lambda _connection: (uid, 1))


def test_another_user_is_turned_away(database, program, monkeypatch, caplog):
    fake_peer(monkeypatch, server_module, os.geteuid() + 12345)
    with running(database, program):
        assert talk(database, b'{"command": "echo"}\n') == b""
    assert "was turned away" in caplog.text


def test_root_is_served(database, program, monkeypatch):
    fake_peer(monkeypatch, server_module, 0)
    with running(database, program):
        assert talk(database, b'{"command": "echo"}\n') == b'{"result":{}}\n'


def test_the_client_trusts_the_owner_of_the_database_only(database, program, monkeypatch):
    stranger = os.geteuid() + 12345
    with running(database, program):
        fake_peer(monkeypatch, client_module, stranger)
        with pytest.raises(UsageError, match=f"strange user \\({stranger}\\)"):
            ControlClient.connect(database)
        if os.geteuid() == 0:
            os.chown(database, stranger, -1)
            assert ControlClient.connect(database) is not None


def test_an_answer_that_is_cut_off_or_nonsense(database):
    for reply, error in [
        (b'{"result": 5', "ended before it answered"),
        (b'{"progress": {}}\n', "ended before it answered"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no JSON"),
    ]:
        path = socket_path(database)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()

            def serve(listener=listener, reply=reply):
                listener.accept()[0].close()
                connection, _address = listener.accept()
                with connection:
                    connection.sendall(reply)
                    connection.recv(1000)

            thread = threading.Thread(target=serve)
            thread.start()
            with pytest.raises(FlockwatchError, match=error):
                ControlClient.connect(database).call("echo")
            thread.join()
        path.unlink()


def test_reset_by_the_program(database):
    """Closing with unread data resets the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path(database)))
        listener.listen()

        def serve():
            listener.accept()[0].close()
            connection, _address = listener.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(FlockwatchError, match=r"broke off|ended before"):
            ControlClient.connect(database).call("echo", {"text": "x" * 100_000})
        thread.join()
