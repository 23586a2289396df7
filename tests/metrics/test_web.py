"""The metrics listener over real connections on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import httpx
import pytest

from exporter import web_server
from exporter.engine.fleet import FleetSnapshot, MinerRecord
from exporter.errors import FlockwatchError, UsageError
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from exporter.model import Identity, Reading
from exporter.web import MetricsApp, MetricsListener
from exporter.web_config import TlsConfig, WebConfig
from tests.metrics.flock import record, samples_of

OPENSSL = shutil.which("openssl") or "openssl"
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed"
)
FOREVER = 1e12
FLOCK = (
    record(
        1,
        name="shelf",
        reading=Reading(power=17.5),
        expires_at=FOREVER,
        labels=(("rack", "r1"), ("site", "")),
        identity=Identity(mac="02:00:00:00:00:01", make="Maker", model="One"),
    ),
    record(2, name="twin", reading=Reading(power=18.5), expires_at=FOREVER),
    record(3, name="twin", up=False, reading=None, address=None),
    record(4, name="listed", managed=False),
    record(5, name="retired", enabled=False),
)


class Program:
    """What the listener is given, with switches."""

    def __init__(self) -> None:
        self.pages = PageStore()
        self.own = SelfMetrics()
        self.flock: tuple[MinerRecord, ...] = FLOCK
        self.running = True
        self.is_ready = False
        self.reload_error: str | None = None
        self.reloads = 0
        for each in FLOCK:
            self.pages.publish(each)

    def snapshot(self) -> FleetSnapshot:
        if not self.running:
            raise FlockwatchError("the engine is not running")
        return FleetSnapshot(self.flock)

    def reload(self) -> str | None:
        self.reloads += 1
        return self.reload_error

    def ready(self) -> bool:
        return self.is_ready

    def listener(self, web_config: WebConfig | None = None) -> MetricsListener:
        config = web_config or WebConfig()
        return MetricsListener(self.pages, self.own, self.snapshot, self.reload, self.ready, config)

    def app(self, web_config: WebConfig | None = None) -> MetricsApp:
        return self.listener(web_config).app


@pytest.fixture
def program() -> Program:
    return Program()


Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(program: Program) -> Iterator[Serve]:
    """Starts a listener and gives a client of it."""
    opened: list[tuple[MetricsListener, httpx.Client]] = []

    def start(web_config: WebConfig | None = None, **given: object) -> httpx.Client:
        listener = program.listener(web_config)
        listener.start("127.0.0.1", 0)
        scheme = "https" if web_config is not None and web_config.tls is not None else "http"
        client = httpx.Client(base_url=f"{scheme}://127.0.0.1:{listener.port}", trust_env=False, **given)
        opened.append((listener, client))
        return client

    yield start
    for listener, client in opened:
        client.close()
        listener.stop()


def call(app: MetricsApp, path: str, **environ: str) -> tuple[str, dict[str, str], bytes]:
    """One request straight to the application, without a connection."""
    told: list[tuple[str, list[tuple[str, str]]]] = []
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1"}
    body = b"".join(app({**base, **environ}, lambda status, headers: told.append((status, headers))))
    return told[0][0], dict(told[0][1]), body


# --- /metrics -----------------------------------------------------------------------------------------------------


def test_metrics_in_text_with_the_exporters_own(serve: Serve):
    answer = serve().get("/metrics", headers={"Accept": "*/*", "Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in answer.headers
    samples = samples_of(answer.text)
    assert samples['miner_power_watts{miner="02:00:00:00:00:01"}'] == 17.5
    assert samples['miner_up{miner="02:00:00:00:00:03"}'] == 0.0
    assert "miner_exporter_polls_in_flight" in samples
    assert "process_cpu_seconds_total" in samples


def test_metrics_in_openmetrics_packed(serve: Serve):
    offered = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = serve().get("/metrics", headers={"Accept": offered, "Accept-Encoding": "gzip"})
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.text.count("# EOF") == 1
    assert answer.text.endswith("# EOF\n")
    assert 'miner_power_watts{miner="02:00:00:00:00:02"} 18.5' in answer.text


def test_names_filter_miners_and_exporter(serve: Serve):
    answer = serve().get("/metrics", params={"name[]": ["miner_up", "miner_exporter_polls_in_flight"]})
    assert {series.partition("{")[0] for series in samples_of(answer.text)} == {
        "miner_up",
        "miner_exporter_polls_in_flight",
    }


def test_a_page_of_many_pieces_arrives_whole(program: Program, serve: Serve):
    for number in range(10, 5000):
        program.pages.publish(record(number, key=f"k{number}", reading=Reading(power=1.0), expires_at=FOREVER))
    client = serve()
    plain = client.get("/metrics", params={"name[]": "miner_info"}, headers={"Accept-Encoding": "identity"})
    assert plain.headers["transfer-encoding"] == "chunked"
    packed = client.get("/metrics", params={"name[]": "miner_info"}, headers={"Accept-Encoding": "gzip"})
    assert packed.text == plain.text
    assert len(samples_of(plain.text)) == 4990 + 4


def test_head_has_headers_and_no_body(serve: Serve):
    client = serve()
    for path in ("/metrics", "/probe?target=shelf", "/", "/sd", "/-/healthy"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == client.get(path).headers["content-type"]


def test_http_1_0_gets_a_whole_page(serve: Serve):
    port = serve().base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"miner_up" in gzip.decompress(body)


def test_four_scrapers_while_rows_change(program: Program, serve: Serve):
    client = serve()
    stop = threading.Event()

    def change() -> None:
        turn = 0.0
        while not stop.is_set():
            turn += 1.0
            program.pages.publish(record(1, reading=Reading(power=turn, uptime=turn), expires_at=FOREVER))
            program.pages.publish(record(9, reading=Reading(power=turn, uptime=turn), expires_at=FOREVER))
            program.pages.remove(9)

    def scrape(_: int) -> list[dict[str, float]]:
        return [samples_of(client.get("/metrics").text) for _ in range(15)]

    writer = threading.Thread(target=change)
    writer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            scrapes = [each for done in pool.map(scrape, range(4)) for each in done]
    finally:
        stop.set()
        writer.join(10.0)
    assert len(scrapes) == 60
    for samples in scrapes:
        for miner in ("01", "09"):
            power = samples.get(f'miner_power_watts{{miner="02:00:00:00:00:{miner}"}}')
            assert power == (
                samples.get(f'miner_uptime_seconds{{miner="02:00:00:00:00:{miner}"}}', power if miner == "01" else None)
            )


# --- /sd and /probe -----------------------------------------------------------------------------------------------


def test_targets_are_the_enabled_and_managed_miners(serve: Serve):
    answer = serve().get("/sd")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    groups = answer.json()
    assert [group["targets"] for group in groups] == [[f"02:00:00:00:00:0{number}"] for number in (1, 2, 3)]
    assert groups[0]["labels"] == {
        "__meta_flockwatch_miner": "02:00:00:00:00:01",
        "__meta_flockwatch_name": "shelf",
        "__meta_flockwatch_ip": "192.0.2.1",
        "__meta_flockwatch_driver": "bitaxe",
        "__meta_flockwatch_mac": "02:00:00:00:00:01",
        "__meta_flockwatch_make": "Maker",
        "__meta_flockwatch_model": "One",
        "__meta_flockwatch_label_rack": "r1",
    }
    assert "__meta_flockwatch_ip" not in groups[2]["labels"]


def test_targets_come_in_parts(serve: Serve):
    client = serve()
    parts = [client.get(f"/sd?shard={number}&of=2").json() for number in range(2)]
    assert sorted(str(group) for part in parts for group in part) == sorted(map(str, client.get("/sd").json()))
    refused = client.get("/sd?shard=2&of=2")
    assert (refused.status_code, refused.text) == (400, "give shard= once, with of=: the number of the part, 0 to 1\n")


def test_no_targets_are_an_empty_list(program: Program):
    program.flock = ()
    status, headers, body = call(program.app(), "/sd")
    assert (status, headers["Content-Type"], json.loads(body)) == ("200 OK", "application/json", [])


def test_before_the_engine_runs_prometheus_keeps_its_list(program: Program):
    program.running = False
    for path, query in (("/sd", ""), ("/probe", "target=shelf")):
        status, _, body = call(program.app(), path, QUERY_STRING=query)
        assert status == "503 Service Unavailable"
        assert b"not running" in body


@pytest.mark.parametrize("target", ["02:00:00:00:00:01", "02:00:00:00:00:01 ", "192.0.2.1", "shelf"])
def test_a_probe_shows_one_miner(program: Program, target: str):
    query = str(httpx.QueryParams({"target": target}))
    status, headers, body = call(program.app(), "/probe", QUERY_STRING=query)
    samples = samples_of(body.decode())
    assert status == "200 OK"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert {series.split('"')[1] for series in samples} == {"02:00:00:00:00:01"}
    assert samples['miner_power_watts{miner="02:00:00:00:00:01"}'] == 17.5
    assert not any("exporter" in series for series in samples)


def test_a_probe_of_a_dead_miner_succeeds_with_up_0(program: Program):
    status, _, body = call(program.app(), "/probe", QUERY_STRING="target=02:00:00:00:00:03")
    samples = samples_of(body.decode())
    assert status == "200 OK"
    assert samples['miner_up{miner="02:00:00:00:00:03"}'] == 0.0
    assert not any(series.startswith("miner_power") for series in samples)


def test_a_probe_in_openmetrics_is_closed(program: Program):
    accept = "application/openmetrics-text; version=1.0.0"
    _, headers, body = call(program.app(), "/probe", QUERY_STRING="target=shelf", HTTP_ACCEPT=accept)
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("target=", 400),
        ("target=%20", 400),
        ("target=shelf&target=shelf", 400),
        ("target=twin", 400),
        ("target=nobody", 404),
        ("target=retired", 404),
        ("&".join(["a=1"] * 1000), 400),
    ],
    ids=["none", "empty", "blank", "twice", "ambiguous", "unknown", "retired", "flood"],
)
def test_a_wrong_probe_is_refused(program: Program, query: str, status: int):
    told, _, body = call(program.app(), "/probe", QUERY_STRING=query)
    assert told.startswith(str(status))
    assert body.endswith(b"\n")


# --- operation ----------------------------------------------------------------------------------------------------


def test_health_and_readiness(program: Program, serve: Serve):
    client = serve()
    assert client.get("/-/healthy").status_code == 200
    assert client.get("/-/ready").status_code == 503
    program.is_ready = True
    assert client.get("/-/ready").status_code == 200


def test_reload_from_this_host(program: Program, serve: Serve):
    client = serve()
    assert client.post("/-/reload").status_code == 200
    program.reload_error = "targets.yml:3: network.subnets: must be a list"
    answer = client.post("/-/reload")
    assert (answer.status_code, program.reloads) == (500, 2)
    assert "targets.yml:3" in answer.text
    refused = client.get("/-/reload")
    assert (refused.status_code, refused.headers["allow"], program.reloads) == (405, "POST", 2)


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "127.8.8.8"}, True),
        ({"REMOTE_ADDR": "::1"}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({"REMOTE_ADDR": "192.0.2.7"}, False),
        ({"REMOTE_ADDR": "::ffff:192.0.2.7"}, False),
        ({"REMOTE_ADDR": ""}, False),
        ({"HTTP_X_FORWARDED_FOR": "192.0.2.7"}, False),
        ({"HTTP_FORWARDED": "for=192.0.2.7"}, False),
        ({"HTTP_ORIGIN": "http://evil.example", "HTTP_HOST": "127.0.0.1:9877"}, False),
        ({"HTTP_ORIGIN": "null", "HTTP_HOST": "127.0.0.1:9877"}, False),
        ({"HTTP_ORIGIN": "http://127.0.0.1:9877", "HTTP_HOST": "127.0.0.1:9877"}, True),
    ],
)
def test_only_this_host_may_reload_without_signing_in(program: Program, environ: dict[str, str], allowed: bool):
    status, _, _ = call(program.app(), "/-/reload", REQUEST_METHOD="POST", **environ)
    assert status == ("200 OK" if allowed else "403 Forbidden")
    assert program.reloads == int(allowed)


def test_the_landing_page(serve: Serve):
    answer = serve().get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for part in ('href="metrics"', 'href="sd"', 'action="probe"', 'name="target"', "4 miners"):
        assert part in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("HEAD", "/-/reload", 405),
        ("HEAD", "/nothing", 404),
    ],
)
def test_other_paths_and_methods(serve: Serve, method: str, path: str, status: int):
    assert serve().request(method, path).status_code == status


# --- signing in, TLS ----------------------------------------------------------------------------------------------


def test_with_users_everything_asks_for_a_password(program: Program, serve: Serve):
    users = {"prometheus": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()}
    client = serve(WebConfig(users=users))
    for path in ("/metrics", "/sd", "/-/healthy", "/nothing"):
        refused = client.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith('Basic realm="Flockwatch"')
    assert client.get("/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert client.get("/metrics", auth=("prometheus", "right")).status_code == 200
    assert client.post("/-/reload").status_code == 401
    assert client.post("/-/reload", auth=("prometheus", "right")).status_code == 200
    status, _, _ = call(
        program.app(WebConfig(users=users)),
        "/-/reload",
        REQUEST_METHOD="POST",
        REMOTE_ADDR="192.0.2.7",
        HTTP_AUTHORIZATION="Basic " + base64.b64encode(b"prometheus:right").decode(),
    )
    assert status == "200 OK"


@pytest.fixture
def certificate(tmp_path: Path) -> TlsConfig:
    """A self-signed certificate for 127.0.0.1."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([OPENSSL, *kind, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return TlsConfig(cert, key)


@needs_openssl
def test_tls(program: Program, serve: Serve, certificate: TlsConfig):
    trusted = ssl.create_default_context(cafile=str(certificate.cert_file))
    client = serve(WebConfig(tls=certificate), verify=trusted)
    assert "miner_up" in client.get("/metrics").text
    assert client.post("/-/reload").status_code == 200


@needs_openssl
def test_silent_and_plain_clients_do_not_hold_up_tls(program: Program, serve: Serve, certificate: TlsConfig):
    trusted = ssl.create_default_context(cafile=str(certificate.cert_file))
    client = serve(WebConfig(tls=certificate), verify=trusted)
    address = ("127.0.0.1", client.base_url.port)
    with socket.create_connection(address), socket.create_connection(address, timeout=10) as plain:
        plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"miner_" not in plain.recv(4096)
        assert client.get("/-/healthy").status_code == 200


@needs_openssl
def test_a_client_certificate_is_a_sign_in(program: Program, certificate: TlsConfig):
    config = dataclasses.replace(certificate, client_ca_file=certificate.cert_file, client_auth=ssl.CERT_REQUIRED)
    app = program.app(WebConfig(tls=config))
    status, _, _ = call(app, "/-/reload", REQUEST_METHOD="POST", REMOTE_ADDR="192.0.2.7")
    assert status == "200 OK"


# --- limits -------------------------------------------------------------------------------------------------------


def test_a_busy_port_is_one_clear_line(program: Program, serve: Serve):
    port = serve().base_url.port
    second = program.listener()
    with pytest.raises(UsageError) as caught:
        second.start("127.0.0.1", port)
    message = str(caught.value)
    assert message == (
        f"the metrics listener cannot listen on 127.0.0.1:{port}: address already in use; "
        "free the port or choose another by --web.listen-address"
    )
    second.stop()


def test_start_and_stop(program: Program):
    listener = program.listener()
    assert listener.port == 0
    before = set(threading.enumerate())
    listener.start("", 0)
    try:
        with pytest.raises(UsageError, match="started already"):
            listener.start("127.0.0.1", 0)
        assert httpx.get(f"http://127.0.0.1:{listener.port}/-/healthy", trust_env=False).status_code == 200
    finally:
        listener.stop()
    listener.stop()
    assert listener.port == 0
    assert set(threading.enumerate()) <= before


def test_a_request_that_trickles_in_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.3)
    port = serve().base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\n")
        received = b""
        with contextlib.suppress(OSError):
            # Each byte comes soon after the one before; the whole takes too long.
            for _ in range(200):
                slow.sendall(b"x")
                slow.settimeout(0.02)
                try:
                    received += slow.recv(4096)
                    break
                except TimeoutError:
                    continue
        assert received == b"" or received.startswith(b"HTTP/1.1 408")
        assert b"miner_" not in received
        slow.settimeout(10)
        with contextlib.suppress(ConnectionError):
            assert b"miner_" not in slow.recv(4096)


def test_an_answer_may_take_longer_than_a_request(program: Program, serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 1.0)

    def slow() -> bool:
        return not threading.Event().wait(1.5)

    program.ready = slow  # type: ignore[method-assign]
    assert serve().get("/-/ready").status_code == 200


def test_an_answer_that_nobody_takes_is_given_up(program: Program, serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "ANSWER_SECONDS", 0.5)
    for number in range(10, 3000):
        program.pages.publish(record(number, key=f"k{number}", reading=Reading(power=1.0), expires_at=FOREVER))
    client = serve()
    with contextlib.ExitStack() as stack:
        # More stuck scrapers than there are threads.
        for _ in range(web_server.THREADS + 2):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", client.base_url.port))
            stuck.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.get("/-/healthy", timeout=30).status_code == 200


def test_a_head_of_endless_length_is_refused(serve: Serve):
    port = serve().base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n")
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_fault_of_ours_is_logged_and_answered(program: Program, serve: Serve, caplog: pytest.LogCaptureFixture):
    def broken() -> bool:
        raise ZeroDivisionError("planted")

    program.ready = broken  # type: ignore[method-assign]
    answer = serve().get("/-/ready")
    assert answer.status_code == 500
    assert "planted" not in answer.text
    assert "ZeroDivisionError" in caplog.text


# --- what must not end the server ---------------------------------------------------------------------------------


class Odd(BaseException):
    """Of no kind that anybody expects."""


ENDS = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, Odd]


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_programs_ends_one_request_only(
    program: Program, serve: Serve, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
):
    def broken() -> bool:
        raise kind("planted")

    program.ready = broken  # type: ignore[method-assign]
    client = serve(headers={"Connection": "close"})
    for _ in range(web_server.THREADS + 2):
        answer = client.get("/-/ready")
        assert answer.status_code == 500
        assert "planted" not in answer.text
    assert kind.__name__ in caplog.text
    assert client.get("/-/healthy").status_code == 200


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_programs_in_the_middle_of_an_answer_ends_that_answer_only(kind: type[BaseException]):
    def app(environ: dict[str, object], start: Callable[..., object]) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        if environ["PATH_INFO"] == "/broken":
            raise kind("planted")

    server = web_server.BoundedServer(app, what="the server", option="--address")
    server.start("127.0.0.1", 0)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            for _ in range(web_server.THREADS + 2):
                with contextlib.suppress(httpx.RemoteProtocolError):
                    client.get("/broken")
            assert client.get("/").text == "begun"
        server.check()
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # so cheroot gives up
def test_a_server_that_has_stopped_by_itself_is_told(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    before = set(threading.enumerate())
    listener = program.listener()
    listener.check()
    listener.start("127.0.0.1", 0)
    try:
        listener.check()

        def broken(connection: object) -> None:
            raise MemoryError("planted")

        # A fault outside of the application: cheroot gives the whole server up.
        monkeypatch.setattr(web_server._Connection, "close", broken)
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{listener.port}/", trust_env=False, headers={"Connection": "close"})

        def watch() -> None:
            for _ in range(1000):
                listener.check()
                threading.Event().wait(0.01)

        with pytest.raises(FlockwatchError, match="the metrics listener has stopped by itself"):
            watch()
        assert "has stopped by itself" in caplog.text
    finally:
        monkeypatch.undo()
        listener.stop()
        for thread in set(threading.enumerate()) - before:
            thread.join(10.0)
    listener.check()
