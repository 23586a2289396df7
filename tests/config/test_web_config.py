"""The exporter-toolkit's web configuration, and basic auth."""

import base64
import shutil
import socket
import ssl
import subprocess
import threading

import bcrypt
import pytest

from exporter import basic_auth
from exporter.errors import ConfigError
from exporter.web_config import TlsConfig, WebConfig, check_basic_auth, load_web_config

OPENSSL = shutil.which("openssl")
# A fixed salt: parametrised tests must have the same names in every process.
HASH = bcrypt.hashpw(b"flock", b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


def write(tmp_path, text):
    path = tmp_path / "web.yml"
    path.write_text(text)
    return path


def fault(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        load_web_config(write(tmp_path, text))
    return str(caught.value).replace(f"{tmp_path}/", "")


def header(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_an_empty_file_asks_nothing(tmp_path):
    assert load_web_config(write(tmp_path, "")) == WebConfig(None, {})


def test_everything_supported(tmp_path):
    config = load_web_config(
        write(
            tmp_path,
            f"""
tls_server_config:
  cert_file: server.crt
  key_file: /etc/keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  min_version: TLS13
basic_auth_users:
  alice: {HASH}
  bob: "{HASH}"
""",
        )
    )
    assert config.tls == TlsConfig(
        tmp_path / "server.crt",
        type(tmp_path)("/etc/keys/server.key"),
        tmp_path / "ca.crt",
        ssl.CERT_REQUIRED,
        ssl.TLSVersion.TLSv1_3,
    )
    assert config.users == {"alice": HASH, "bob": HASH}
    assert HASH not in repr(config)


TLS = "tls_server_config:\n  cert_file: a\n  key_file: b\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls_server_config: {cert_file: a}\n", "web.yml:1: tls_server_config.key_file: is missing"),
        (TLS + "  client_auth_type: Maybe\n", "web.yml:4: tls_server_config.client_auth_type: must be one of"),
        (TLS + "  client_auth_type: RequestClientCert\n", "without checking them, which is not supported"),
        (TLS + "  client_auth_type: RequireAndVerifyClientCert\n", "client_ca_file: is missing"),
        (TLS + "  client_ca_file: c\n", "client_auth_type: must be RequireAndVerifyClientCert"),
        (TLS + "  min_version: TLS10\n", "web.yml:4: tls_server_config.min_version: is broken"),
        (TLS + "  min_version: SSL3\n", "must be TLS12 or TLS13"),
        (TLS + "  cipher_suites: [x]\n", "web.yml:4: tls_server_config.cipher_suites: is not supported; remove it"),
        (TLS + "  cert: x\n", "tls_server_config.cert: is not supported"),
        (TLS + "  cert_fil: x\n", "tls_server_config.cert_fil: unknown key; did you mean cert_file?"),
        ("http_server_config: {http2: true}\n", "web.yml:1: http_server_config: is not supported"),
        ("basic_auth_user: {}\n", "did you mean basic_auth_users?"),
        ("basic_auth_users: [a]\n", "basic_auth_users: must be a mapping"),
        ("basic_auth_users: {alice: hunter2}\n", "web.yml:1: basic_auth_users.alice: must be a bcrypt hash"),
        ("basic_auth_users: {alice: 12345}\n", "basic_auth_users.alice: must be a bcrypt hash in quotes"),
        ("basic_auth_users: {'a:b': x}\n", "without a colon"),
        (f"basic_auth_users: {{a: '{HASH[:4]}31{HASH[6:]}'}}\n", "cost 4 to 16"),
        (f"basic_auth_users:\n  a: '{HASH}'\n  a: '{HASH}'\n", "web.yml:3: basic_auth_users.a: comes twice"),
        ("tls_server_config: [\n", "not valid YAML"),
    ],
)
def test_faults(tmp_path, text, words):
    message = fault(tmp_path, text)
    assert words in message
    assert "hunter2" not in message
    assert HASH not in message


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"check --web\.config\.file"):
        load_web_config(tmp_path / "nowhere.yml")


def test_missing_certificate(tmp_path):
    with pytest.raises(ConfigError, match=r"server\.crt: no such file"):
        TlsConfig(tmp_path / "server.crt", tmp_path / "server.key").context()


def test_files_that_are_no_certificate(tmp_path):
    for name in ("server.crt", "server.key"):
        (tmp_path / name).write_text("nothing of the kind")
    with pytest.raises(ConfigError, match="PEM"):
        TlsConfig(tmp_path / "server.crt", tmp_path / "server.key").context()


@pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is not installed")
def test_a_handshake(tmp_path):
    subprocess.run(
        [
            OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "server.key", "-out", "server.crt", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    config = load_web_config(write(tmp_path, "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"))
    server = config.tls.context()
    ours, theirs = socket.socketpair()
    received = []

    def serve():
        with server.wrap_socket(theirs, server_side=True) as stream:
            received.append(stream.recv(16))

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=tmp_path / "server.crt")
    with client.wrap_socket(ours, server_hostname="localhost") as stream:
        assert stream.version() == "TLSv1.3"
        stream.sendall(b"hello")
    thread.join(10)
    assert received == [b"hello"]


def test_right_and_wrong_passwords():
    users = {"alice": HASH}
    assert check_basic_auth(users, header("alice", "flock")) is True
    assert check_basic_auth(users, header("alice", "flock").replace("Basic", "bASIC")) is True
    assert check_basic_auth(users, header("alice", "Flock")) is False
    assert check_basic_auth(users, header("bob", "flock")) is False
    assert check_basic_auth(users, header("", "")) is False
    assert check_basic_auth({}, header("alice", "flock")) is False


@pytest.mark.parametrize(
    "value",
    [
        None, "", "Basic", "Basic ", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(), header("alice", "x" * 100), header("alice", "a\0b"),
        header("alice", "x" * 10000), "Basic \N{SNOWMAN}",
    ],
)  # fmt: skip
def test_odd_headers(value):
    assert check_basic_auth({"alice": HASH}, value) is False


def test_a_second_check_needs_no_bcrypt(monkeypatch):
    users = {"carol": bcrypt.hashpw("grüße:1".encode(), bcrypt.gensalt(4)).decode()}
    assert check_basic_auth(users, header("carol", "grüße:1"))
    calls = []
    monkeypatch.setattr(basic_auth.bcrypt, "checkpw", lambda *arguments: calls.append(arguments) or False)
    assert check_basic_auth(users, header("carol", "grüße:1"))
    assert calls == []
    assert not check_basic_auth(users, header("carol", "other"))
    assert not check_basic_auth({"carol": HASH}, header("carol", "grüße:1"))
    assert not check_basic_auth(users, header("dave", "grüße:1"))
    assert len(calls) == 3


def test_what_is_remembered_is_bounded():
    remembered = basic_auth._Verified()
    for number in range(1000):
        remembered.add(number.to_bytes(4, "big"))
    assert len(remembered._digests) == basic_auth._REMEMBERED
    assert (999).to_bytes(4, "big") in remembered
    assert (0).to_bytes(4, "big") not in remembered
