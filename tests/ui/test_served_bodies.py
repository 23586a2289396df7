"""Bodies of requests over a real connection, as the program serves the web UI."""

import http.client
import json
import select
import socket

import pytest

from exporter import web_server
from exporter.web_server import BoundedServer
from onboarding_ui import create_app
from onboarding_ui.api.bodies import LARGEST_BODY, TOO_LARGE
from tests.ui.fake_engine import FakeEngine


@pytest.fixture
def served():
    server = BoundedServer(
        create_app(FakeEngine()), what="the web UI", option="none", largest_body=LARGEST_BODY, too_large=TOO_LARGE
    )
    server.start("127.0.0.1", 0)
    yield server.port
    server.stop()


def put(port, body, **headers):
    """The status, the headers and the text of the answer to a list of device passwords."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Content-Type": "application/json", **headers}
        chunked = not isinstance(body, bytes)
        connection.request("PUT", "/api/settings/credentials", body, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def passwords(count):
    entries = [{"driver": "*", "username": "u" * 64, "password": "p" * 256} for _ in range(count)]
    return json.dumps({"credentials": entries}).encode()


def test_the_longest_list_of_passwords_is_taken(served):
    body = passwords(256)
    assert 64 * 1024 < len(body) < LARGEST_BODY
    status, _, text = put(served, body)
    assert status == 200
    assert len(json.loads(text)["credentials"]) == 256


@pytest.mark.parametrize("declared", [LARGEST_BODY + 1, 10**12])
def test_a_longer_body_is_refused_unread_in_the_form_of_the_api(served, declared):
    status, headers, text = put(served, b"{", **{"Content-Length": str(declared)})
    assert status == 413
    assert headers["Content-Type"] == "application/json"
    assert headers["Connection"] == "close"
    assert json.loads(text) == {"error": "the body is too large", "field": None}


def test_a_body_in_pieces_has_the_same_bound(served):
    status, _, _ = put(served, iter([passwords(2)]))
    assert status == 200
    status, _, text = put(served, iter([b" " * 65536] * 5))
    assert status == 400  # the server in front stops reading, and nobody knows how long it would have been
    assert json.loads(text) == {"error": "the request cannot be read", "field": None}


def talk(port, head, then, *, pieces):
    """Send a head, wait for the answer, send pieces although it has come, and read everything."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n")
        assert select.select([connection], [], [], 20)[0], "no answer came"
        for _ in range(pieces):
            connection.sendall(then)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(65536):
            received += more
        return received.decode()


HEAD = "PUT /api/settings/credentials HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"{HEAD}Content-Length: {LARGEST_BODY + 1}\n", 413),
        # Nobody reads the body of these.
        ("GET /api/miners HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nContent-Length: 200000\n", 200),
        ("GET /api/miners HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\n", 200),
    ],
)
def test_a_client_that_is_still_sending_can_read_the_answer(served, head, status):
    answer = talk(served, head, b" " * 65536, pieces=40)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert answer.count("HTTP/1.1 ") == 1  # what was sent afterwards is no request


def send_slowly(connection, pieces):
    for _ in range(pieces):
        connection.sendall(b" " * 1024)
        select.select([], [], [], 0.002)


def test_a_client_that_never_stops_sending_is_given_up(served, monkeypatch):
    monkeypatch.setattr(web_server, "LINGER_SECONDS", 0.3)
    head = f"{HEAD}Content-Length: {LARGEST_BODY + 1}\n\n".replace("\n", "\r\n").encode()
    with socket.create_connection(("127.0.0.1", served), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionError):
            send_slowly(connection, 10_000)
