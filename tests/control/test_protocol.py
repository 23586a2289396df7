import hashlib
import json
import os
import socket

import pytest

from exporter.control.protocol import (
    MAX_SOCKET_PATH_BYTES,
    Progress,
    Request,
    Result,
    decode_reply,
    decode_request,
    encode_error,
    encode_line,
    encode_request,
    is_private_directory,
    peer_of,
    socket_path,
)
from exporter.errors import AuthError, ConfigError, FlockwatchError, UsageError
from exporter.store.secret import Secret


def test_a_request_on_the_line():
    line = encode_request("scan", {"networks": ["192.0.2.0/24"], "name": "Müller\n"})
    assert line == b'{"command":"scan","arguments":{"networks":["192.0.2.0/24"],"name":"M\\u00fcller\\n"}}\n'
    assert decode_request(line) == Request("scan", {"networks": ["192.0.2.0/24"], "name": "Müller\n"})
    assert decode_request(b'{"command": "status"}') == Request("status", {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "no JSON"),
        (b"scan\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"5\n", "no JSON object"),
        (b"{}", "names no command"),
        (b'{"command": ""}', "names no command"),
        (b'{"command": 5}', "names no command"),
        (b'{"command": "scan", "arguments": []}', "arguments of the request are no JSON object"),
        (b'{"command": "scan", "args": {}}', "unknown key 'args'"),
    ],
)
def test_a_bad_request_says_what_is_wrong(line, reason):
    with pytest.raises(UsageError, match=reason):
        decode_request(line)


def test_replies():
    assert decode_reply(b'{"progress": {"done": 1}}\n') == Progress({"done": 1})
    assert decode_reply(b'{"result": null}\n') == Result(None)
    with pytest.raises(UsageError, match=r"^targets: line 3$"):
        decode_reply(encode_error(ConfigError("targets: line 3")))
    with pytest.raises(FlockwatchError, match=r"^wrong password$") as failed:
        decode_reply(encode_error(AuthError("wrong password")))
    assert not isinstance(failed.value, UsageError)
    for line in (b"{}", b'{"progress": 1}', b'{"error": "no"}', b'{"error": {"kind": "usage"}}'):
        with pytest.raises(UsageError, match="another version"):
            decode_reply(line)
    with pytest.raises(UsageError, match="no JSON"):
        decode_reply(b"HTTP/1.1 200 OK\r\n")


def test_a_secret_never_gets_on_the_line():
    with pytest.raises(TypeError):
        encode_line({"result": {"password": Secret("example")}})
    with pytest.raises(ValueError, match="JSON"):
        encode_line({"result": float("nan")})


def test_the_socket_is_beside_the_database(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "flock.json")
    assert socket_path(tmp_path / "flock.json") == tmp_path / "flock.json.sock"
    assert socket_path(tmp_path / "link.json") == tmp_path / "flock.json.sock"
    assert not is_private_directory(tmp_path)


def test_a_path_too_long_for_a_socket_has_a_short_one(monkeypatch):
    longest = "/" + "d" * (MAX_SOCKET_PATH_BYTES - len("/.sock"))
    assert len(str(socket_path(longest))) == MAX_SOCKET_PATH_BYTES
    short = socket_path(longest + "d")
    digest = hashlib.sha256((longest + "d").encode()).hexdigest()
    assert str(short) == f"/tmp/flockwatch-{digest[:24]}/control.sock"
    assert is_private_directory(short.parent)
    # Bytes count, not characters.
    assert socket_path("/" + "ü" * 60).parent == socket_path("/" + "ü" * 60 + "/../" + "ü" * 60).parent
    assert is_private_directory(socket_path("/" + "ü" * 60).parent)
    # A service and a shell have different environments.
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert socket_path(longest + "d") == short


def test_who_is_at_the_other_end():
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_of(left) == (os.geteuid(), os.getpid())


def test_json_is_what_other_programs_write():
    assert decode_request(json.dumps({"arguments": {}, "command": "x"}).encode()) == Request("x", {})
