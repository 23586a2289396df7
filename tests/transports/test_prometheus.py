"""The client of Prometheus: a real one in `test_history_door`, and here servers that misbehave."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from exporter.errors import UnavailableError
from exporter.transports import prometheus
from exporter.transports.prometheus import query_range

GOOD = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {"metric": {"line": "power"}, "values": [[1000, "5"], [1015.5, "NaN"], [1030, "+Inf"], [1045, "6.5"]]},
            {"metric": {}, "values": []},
        ],
    },
}


@contextlib.contextmanager
def server(body=b"", status=200, headers=(), before=None):
    """Answers every POST alike; yields its URL and what it was sent."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append((self.path, {name: value for name, (value,) in parse_qs(form).items()}, dict(self.headers)))
            if before is not None:
                before(self)
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{running.server_port}", asked
        finally:
            running.shutdown()
            thread.join()


def ask(url):
    return query_range(url, "up", 1000.0, 1060.0, 15.0)


def test_series_come_with_their_labels_and_without_what_is_no_number():
    with server(json.dumps(GOOD).encode()) as (place, asked):
        assert ask(f"http://{place}/") == (
            ({"line": "power"}, ((1000.0, 5.0), (1045.0, 6.5))),
            ({}, ()),
        )
    ((path, form, _),) = asked
    assert path == "/api/v1/query_range"
    assert form == {"query": "up", "start": "1000.000", "end": "1060.000", "step": "15", "timeout": "5s"}


def test_a_path_and_a_user_in_the_url_are_used():
    with server(json.dumps(GOOD).encode()) as (place, asked):
        ask(f"http://reader:tr0ub4dor@{place}/prom/")
    ((path, _, headers),) = asked
    assert path == "/prom/api/v1/query_range"
    assert headers["Authorization"] == "Basic cmVhZGVyOnRyMHViNGRvcg=="


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error: x"}', "parse error: x"),
        (503, b'{"status":"error","error":"query timed out"}', "query timed out"),
        (200, b'{"status":"error"}', "status 200"),
        (401, b"Unauthorized", "prometheus.url"),
        (302, b"", "prometheus.url"),
        (200, b"<html>Grafana</html>", "prometheus.url"),
        (200, b"[]", "prometheus.url"),
        (200, b"null", "prometheus.url"),
        (200, b'{"status":"success"}', "prometheus.url"),
        (200, b'{"status":"success","data":{"result":[{"metric":{},"values":[[1,{}]]}]}}', "prometheus.url"),
        (200, b'{"status":"success","data":{"result":[{"metric":{},"values":[["x","y"]]}]}}', "prometheus.url"),
        (200, b'{"status":"success","data":{"result":5}}', "prometheus.url"),
        (200, b"[" * 100_000, "prometheus.url"),
        (200, b"\xff\xfe\x00", "prometheus.url"),
    ],
)
def test_what_is_no_answer_of_prometheus_says_so(status, body, words):
    with server(body, status) as (place, _), pytest.raises(UnavailableError, match="Prometheus at http") as caught:
        ask(f"http://reader:tr0ub4dor@{place}")
    assert words in str(caught.value)
    assert "range of 60 s" in str(caught.value)
    assert "tr0ub4dor" not in str(caught.value)


def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnavailableError, match="cannot be reached") as caught:
        ask(f"http://reader:tr0ub4dor@127.0.0.1:{port}")
    assert "tr0ub4dor" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1", "ftp://127.0.0.1/", "http://", "127.0.0.1:9090", "http://127.0.0.1:x"])
def test_a_url_that_leads_nowhere(url):
    with pytest.raises(UnavailableError):
        ask(url)


def test_an_answer_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(prometheus, "_LARGEST", 100_000)

    def flood(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b" " * 10_000)

    with server(before=flood) as (place, _), pytest.raises(UnavailableError, match="longer than"):
        ask(f"http://{place}")


@pytest.mark.parametrize("drops", [False, True])
def test_a_server_that_is_silent_or_slow_is_given_up(monkeypatch, drops):
    monkeypatch.setattr(prometheus, "_TIMEOUT", 0.2)
    monkeypatch.setattr(prometheus, "_PATIENCE", 0.4)
    over = threading.Event()

    def wait(handler):
        with contextlib.suppress(OSError):
            if drops:
                handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while not over.wait(0.02):
                if drops:
                    handler.wfile.write(b" ")

    with server(before=wait) as (place, _):
        try:
            with pytest.raises(UnavailableError, match="did not answer in time"):
                ask(f"http://{place}")
        finally:
            over.set()


def test_an_answer_that_is_cut_off():
    def cut(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        handler.connection.shutdown(socket.SHUT_RDWR)

    with server(before=cut) as (place, _), pytest.raises(UnavailableError, match="cannot be reached"):
        ask(f"http://{place}")
