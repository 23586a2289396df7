"""The metrics listener: /metrics, /sd, /probe, health, reload and a landing page, as a WSGI application."""

from __future__ import annotations

import html
import http
import ipaddress
import itertools
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from exporter import __version__
from exporter.engine.fleet import FleetSnapshot
from exporter.errors import FlockwatchError, UsageError
from exporter.metrics import negotiate
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from exporter.metrics.service_discovery import find_miner, parse_shard, target_groups
from exporter.web_config import WebConfig, check_basic_auth
from exporter.web_server import BoundedServer

log = logging.getLogger(__name__)

Environ = dict[str, Any]

_PLAIN: Final = "text/plain; charset=utf-8"
_MOST_PARAMETERS: Final = 200


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response; `body` may be made while it is sent."""

    status: http.HTTPStatus
    body: Iterable[bytes]
    content_type: str = _PLAIN
    headers: tuple[tuple[str, str], ...] = ()


def _text(status: http.HTTPStatus, message: str, *headers: tuple[str, str]) -> _Answer:
    return _Answer(status, [f"{message}\n".encode()], headers=headers)


class MetricsApp:
    """The WSGI application. See `MetricsListener` for the arguments."""

    def __init__(
        self,
        page_store: PageStore,
        self_metrics: SelfMetrics,
        snapshot: Callable[[], FleetSnapshot],
        reload: Callable[[], str | None],
        ready: Callable[[], bool],
        web_config: WebConfig,
    ) -> None:
        self._pages = page_store
        self._self_metrics = self_metrics
        self._snapshot = snapshot
        self._reload = reload
        self._ready = ready
        self._web_config = web_config
        self._routes: dict[str, tuple[str, Callable[[Environ], _Answer]]] = {
            "/": ("GET", self._landing),
            "/metrics": ("GET", self._metrics),
            "/sd": ("GET", self._targets),
            "/probe": ("GET", self._probe),
            "/-/healthy": ("GET", lambda _: _text(http.HTTPStatus.OK, "Flockwatch is healthy.")),
            "/-/ready": ("GET", self._readiness),
            "/-/reload": ("POST", self._reloading),
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = self._answer(environ)
        body = iter(answer.body)
        first, second = next(body, b""), next(body, None)
        headers = [("Content-Type", answer.content_type), ("X-Content-Type-Options", "nosniff"), *answer.headers]
        if second is None:
            headers.append(("Content-Length", str(len(first))))
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [first] if second is None else itertools.chain((first, second), body)

    def _answer(self, environ: Environ) -> _Answer:
        users = self._web_config.users
        if users and not check_basic_auth(users, environ.get("HTTP_AUTHORIZATION")):
            challenge = ("WWW-Authenticate", 'Basic realm="Flockwatch", charset="UTF-8"')
            return _text(http.HTTPStatus.UNAUTHORIZED, "Sign in with a user of --web.config.file.", challenge)
        route = self._routes.get(environ["PATH_INFO"])
        if route is None:
            return _text(http.HTTPStatus.NOT_FOUND, "There is nothing here; / lists what is.")
        method, handler = route
        allowed = (method, "HEAD") if method == "GET" else (method,)
        if environ["REQUEST_METHOD"] not in allowed:
            return _text(http.HTTPStatus.METHOD_NOT_ALLOWED, f"Use {method}.", ("Allow", ", ".join(allowed)))
        try:
            return handler(environ)
        except FlockwatchError as error:
            # The engine is not there yet (or no more): Prometheus keeps what it has and asks again.
            return _text(http.HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    # --- pages --------------------------------------------------------------------------------------------------

    def _metrics(self, environ: Environ) -> _Answer:
        names = frozenset(_query(environ).get("name[]", ()))
        openmetrics = negotiate.wants_openmetrics(environ.get("HTTP_ACCEPT"))
        pieces = self._pages.write(openmetrics, time.monotonic(), names=names, end=False)
        return _exposition(environ, openmetrics, itertools.chain(pieces, self._own(openmetrics, names)))

    def _own(self, openmetrics: bool, names: frozenset[str]) -> Iterator[bytes]:
        """The exporter's own metrics, made when the miners' have been sent."""
        yield self._self_metrics.render(openmetrics, names)

    def _probe(self, environ: Environ) -> _Answer:
        targets = _query(environ).get("target", [])
        if len(targets) != 1 or not targets[0].strip():
            return _text(http.HTTPStatus.BAD_REQUEST, "Give the parameter target once: a miner's key, address or name.")
        found = find_miner(self._snapshot(), targets[0])
        if not found:
            return _text(http.HTTPStatus.NOT_FOUND, "No such miner; /sd lists those there are.")
        if len(found) > 1:
            return _text(http.HTTPStatus.BAD_REQUEST, f"{len(found)} miners are called so; name one by its key.")
        openmetrics = negotiate.wants_openmetrics(environ.get("HTTP_ACCEPT"))
        pieces = self._pages.write(openmetrics, time.monotonic(), miner_id=found[0].id)
        return _exposition(environ, openmetrics, pieces)

    def _targets(self, environ: Environ) -> _Answer:
        try:
            shard = parse_shard(_query(environ))
        except UsageError as error:
            return _text(http.HTTPStatus.BAD_REQUEST, str(error))
        groups = negotiate.coalesced(target_groups(self._snapshot(), shard))
        return _Answer(http.HTTPStatus.OK, groups, "application/json")

    def _landing(self, _: Environ) -> _Answer:
        body = _LANDING.format(version=html.escape(__version__), miners=len(self._pages)).encode()
        policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
        headers = (("Content-Security-Policy", policy),)
        return _Answer(http.HTTPStatus.OK, [body], "text/html; charset=utf-8", headers)

    # --- operation ----------------------------------------------------------------------------------------------

    def _readiness(self, _: Environ) -> _Answer:
        if self._ready():
            return _text(http.HTTPStatus.OK, "Flockwatch is ready.")
        return _text(http.HTTPStatus.SERVICE_UNAVAILABLE, "Flockwatch is not ready yet.")

    def _reloading(self, environ: Environ) -> _Answer:
        if not self._may_reload(environ):
            return _text(
                http.HTTPStatus.FORBIDDEN,
                "Reload from this host itself, or set users in --web.config.file and sign in.",
            )
        error = self._reload()
        if error is not None:
            return _text(http.HTTPStatus.INTERNAL_SERVER_ERROR, f"Nothing is changed: {error}")
        return _text(http.HTTPStatus.OK, "The configuration is reloaded.")

    def _may_reload(self, environ: Environ) -> bool:
        """Whether the peer has signed in, or is a program on this host: no proxy, no page of somebody's browser."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
            return False
        tls = self._web_config.tls
        if self._web_config.users or (tls is not None and tls.client_auth is ssl.CERT_REQUIRED):
            return True
        if any(name in environ for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")):
            return False
        return _is_loopback(environ.get("REMOTE_ADDR", ""))


def _query(environ: Environ) -> dict[str, list[str]]:
    try:
        return parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return {}


def _exposition(environ: Environ, openmetrics: bool, pieces: Iterator[bytes]) -> _Answer:
    """A page of metrics as the client can take it, streamed."""
    headers = [("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "no-store")]
    if negotiate.wants_gzip(environ.get("HTTP_ACCEPT_ENCODING")):
        headers.append(("Content-Encoding", "gzip"))
        pieces = negotiate.gzipped(pieces)
    content_type = negotiate.OPENMETRICS if openmetrics else negotiate.TEXT
    return _Answer(http.HTTPStatus.OK, negotiate.coalesced(pieces), content_type, tuple(headers))


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class MetricsListener:
    """The metrics listener: the application on a bounded server of its own.

    Args:
        page_store: the miners' pages.
        self_metrics: the exporter's own metrics, at the end of /metrics.
        snapshot: the flock now; may raise `FlockwatchError` while there is none (503).
        reload: re-reads the configuration; returns the error, or None where it worked.
        ready: whether the engine has begun its work.
        web_config: TLS and users.
    """

    def __init__(
        self,
        page_store: PageStore,
        self_metrics: SelfMetrics,
        snapshot: Callable[[], FleetSnapshot],
        reload: Callable[[], str | None],
        ready: Callable[[], bool],
        web_config: WebConfig,
    ) -> None:
        self.app = MetricsApp(page_store, self_metrics, snapshot, reload, ready, web_config)
        self._server = BoundedServer(
            self.app,
            what="the metrics listener",
            option="--web.listen-address",
            tls=None if web_config.tls is None else web_config.tls.context(),
        )

    def start(self, address: str, port: int) -> None:
        """Listen; an empty address is every interface, port 0 any free port.

        Raises:
            UsageError: the address is in use or not ours.
        """
        self._server.start(address, port)
        log.info("metrics at %s:%d", address or "*", self.port)

    @property
    def port(self) -> int:
        return self._server.port

    def check(self) -> None:
        """Raise `FlockwatchError` where it has stopped by itself."""
        self._server.check()

    def stop(self) -> None:
        self._server.stop()


_LANDING: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Flockwatch</title>
<style>body{{font-family:sans-serif;margin:2rem auto;max-width:40rem;padding:0 1rem;line-height:1.5}}</style>
</head>
<body>
<h1>Flockwatch {version}</h1>
<p>{miners} miners are shown as Prometheus metrics.</p>
<ul>
<li><a href="metrics">/metrics</a>: all miners and the exporter itself</li>
<li><a href="sd">/sd</a>: the miners as targets for http_sd</li>
<li><a href="-/healthy">/-/healthy</a>, <a href="-/ready">/-/ready</a></li>
</ul>
<form action="probe">
<label for="target">One miner, by MAC, address or name:</label>
<input id="target" name="target" required>
<button type="submit">Show</button>
</form>
</body>
</html>
"""
