"""TLS and basic auth of the listeners, in the file format of Prometheus' exporter-toolkit (``--web.config.file``).

Supported: ``tls_server_config`` with cert_file, key_file, client_auth_type, client_ca_file, min_version, and
``basic_auth_users``. What the format knows beyond that is refused by name: a setting that is quietly ignored would be
a hole in the wall.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.basic_auth import check_basic_auth, check_hash
from exporter.config_reader import BadValue, Faults, Section
from exporter.config_yaml import Place, Scalar, Value, decode_text, parse_yaml
from exporter.errors import ConfigError

__all__ = ["TlsConfig", "WebConfig", "check_basic_auth", "load_web_config"]

#: How the format names the treatment of client certificates.
_CLIENT_AUTH: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
#: Keys of the format that are not supported, with what to do instead.
_UNSUPPORTED_TLS: Final = {
    "cert": "write the certificate to a file and name it in cert_file",
    "key": "write the key to a file and name it in key_file",
    "client_ca": "write the certificate to a file and name it in client_ca_file",
    "client_allowed_sans": "use a client CA of its own",
    "max_version": "the newest version both sides know is used",
    "cipher_suites": "the defaults of the TLS library are used",
    "prefer_server_cipher_suites": "the defaults of the TLS library are used",
    "curve_preferences": "the defaults of the TLS library are used",
}
_UNSUPPORTED_TOP: Final = {
    "http_server_config": "HTTP/2 and extra headers need a reverse proxy",
    "rate_limit": "limiting requests needs a reverse proxy",
}


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Certificate, key and what is asked of clients."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2

    def context(self) -> ssl.SSLContext:
        """A server's TLS context.

        Raises:
            ConfigError: a file is missing or does not hold what it should.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.min_version
        for path in (self.cert_file, self.key_file, self.client_ca_file):
            if path is not None and not path.is_file():
                raise ConfigError(f"{path}: no such file; correct tls_server_config in the web configuration")
        try:
            # The empty password keeps the library from asking for one on the terminal.
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ConfigError(
                f"{self.cert_file}, {self.key_file}: are no certificate with its unencrypted key in PEM form"
            ) from error
        if self.client_ca_file is not None:
            try:
                context.load_verify_locations(self.client_ca_file)
            except (ssl.SSLError, OSError) as error:
                raise ConfigError(f"{self.client_ca_file}: holds no certificate in PEM form") from error
            context.verify_mode = self.client_auth
        return context


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`tls` None: plain HTTP. `users` maps names to bcrypt hashes; empty: nobody has to sign in."""

    tls: TlsConfig | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_web_config(path: Path) -> WebConfig:
    """Read a web configuration file. Relative paths in it are relative to its own directory.

    Raises:
        ConfigError: the file is missing or has faults; one line for each, with file, line, key and remedy.
    """
    source = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{path}: cannot be read: {reason}; check --web.config.file") from None
    faults = Faults()
    top = Section(parse_yaml(decode_text(raw, source), source), "", Place(source, 1), faults)
    tls = _tls(top.raw("tls_server_config"), path.parent, faults)
    users = _users(top.raw("basic_auth_users"), faults)
    top.refuse(_UNSUPPORTED_TOP)
    top.finish()
    faults.check()
    return WebConfig(tls, users)


def _tls(value: Value | None, folder: Path, faults: Faults) -> TlsConfig | None:
    if value is None or (isinstance(value, Scalar) and value.kind == "null"):
        return None
    section = Section(value, "tls_server_config", value.place, faults)
    section.require("cert_file", "key_file")
    cert, key = section.get("cert_file", section.text, ""), section.get("key_file", section.text, "")
    client_ca = section.get_optional("client_ca_file", section.text)
    client_auth = section.get_parsed("client_auth_type", _client_auth, None)
    min_version = section.get_parsed("min_version", _version, _VERSIONS["TLS12"])
    if client_ca is None and client_auth not in (None, ssl.CERT_NONE):
        faults.add(section.place, "tls_server_config.client_ca_file", "is missing; client_auth_type needs it")
    if client_ca is not None and client_auth in (None, ssl.CERT_NONE):
        faults.add(
            section.place,
            "tls_server_config.client_auth_type",
            "must be RequireAndVerifyClientCert or VerifyClientCertIfGiven where client_ca_file is given",
        )
    section.refuse(_UNSUPPORTED_TLS)
    section.finish()
    return TlsConfig(
        folder / cert,
        folder / key,
        None if client_ca is None else folder / client_ca,
        client_auth or ssl.CERT_NONE,
        min_version,
    )


def _client_auth(text: str) -> ssl.VerifyMode | None:
    if text in ("RequestClientCert", "RequireAnyClientCert"):
        raise ValueError("asks for certificates without checking them, which is not supported; check or do not ask")
    if text not in _CLIENT_AUTH:
        raise ValueError(f"must be one of {', '.join(_CLIENT_AUTH)}")
    return _CLIENT_AUTH[text]


def _version(text: str) -> ssl.TLSVersion:
    if text in ("TLS10", "TLS11"):
        raise ValueError("is broken and not supported; use TLS12 or TLS13")
    if text not in _VERSIONS:
        raise ValueError("must be TLS12 or TLS13")
    return _VERSIONS[text]


def _users(value: Value | None, faults: Faults) -> dict[str, str]:
    users: dict[str, str] = {}
    section = Section(value, "basic_auth_users", Place(""), faults)
    for name, (_, child) in section.everything().items():
        place = f"basic_auth_users.{name}"
        try:
            if not name or ":" in name:
                raise BadValue(child.place, place, "must be a user name without a colon")
            # The value is somebody's password hash, or the password itself by mistake: it is never shown.
            if not isinstance(child, Scalar) or child.kind != "str":
                raise BadValue(child.place, place, "must be a bcrypt hash in quotes")
            check_hash(child.text)
            users[name] = child.text
        except BadValue as fault:
            faults.add(fault.place, fault.key, str(fault))
        except ValueError as error:
            faults.add(child.place, place, str(error))
    return users
