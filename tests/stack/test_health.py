"""The health check of the image, against real listeners."""

import os
import ssl
import subprocess
import sys

import bcrypt
import pytest

from exporter.engine.fleet import FleetSnapshot
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from exporter.web import MetricsListener
from exporter.web_config import TlsConfig, WebConfig
from tests.end_to_end.programs import ROOT, free_port
from tests.stack.servers import binary


@pytest.fixture
def serve():
    """Start a listener and return its port."""
    running = []

    def start(web_config=WebConfig()):  # noqa: B008 - frozen
        listener = MetricsListener(
            PageStore(), SelfMetrics(), lambda: FleetSnapshot(()), lambda: None, lambda: True, web_config
        )
        listener.start("127.0.0.1", 0)
        running.append(listener)
        return listener.port

    yield start
    for listener in running:
        listener.stop()


def health(addr):
    """The status and what was said, run as the image runs it."""
    done = subprocess.run(
        [sys.executable, "-IS", str(ROOT / "deploy/health.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "FLOCKWATCH_METRICS_ADDR": addr},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "", "0.0.0.0", "[::]"])
def test_a_listener_is_well(serve, host):
    assert health(f"{host}:{serve()}") == (0, "")


def test_one_that_wants_a_password_is_well(serve):
    users = {"prometheus": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}
    assert health(f"127.0.0.1:{serve(WebConfig(users=users))}") == (0, "")


def test_one_with_tls_is_well(serve, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            binary("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=miners.example",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = TlsConfig(cert_file=certificate, key_file=key)
    assert tls.client_auth is ssl.CERT_NONE
    assert health(f"127.0.0.1:{serve(WebConfig(tls=tls))}") == (0, "")


def test_nobody_there_is_ill():
    status, said = health(f"127.0.0.1:{free_port()}")
    assert status == 1
    assert said.startswith("no answer: ")


@pytest.mark.parametrize("addr", ["127.0.0.1", "127.0.0.1:http"])
def test_an_address_without_a_port_is_ill(addr):
    status, said = health(addr)
    assert status == 1
    assert "Traceback" not in said
