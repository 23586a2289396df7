"""Whether Flockwatch answers on its metrics listener: exit status 0 or 1.

For containers; it needs the standard library only.
The port is that of ``FLOCKWATCH_METRICS_ADDR``, else 9877. Answers 401 and TLS count as well, for with
``--web.config.file`` nobody but Prometheus may know more.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import sys

_DEFAULT = ":9877"
_SECONDS = 4.0
_EVERYWHERE = ("", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared with, not bound


def place(addr: str) -> tuple[str, int]:
    """Where to ask for a listener on `addr` ("host:port" or ":port"). ValueError where there is no port."""
    host, _, port = addr.rpartition(":")
    return "127.0.0.1" if host in _EVERYWHERE else host.strip("[]"), int(port)


def status_of(host: str, port: int) -> int:
    """The HTTP status of ``/-/healthy``, over TLS where plain HTTP is not understood. OSError where nobody answers."""
    with contextlib.suppress(http.client.HTTPException, ConnectionResetError):  # not HTTP: it is TLS then
        return _ask(http.client.HTTPConnection(host, port, timeout=_SECONDS))
    context = ssl.create_default_context()
    # This host itself is asked, by an address that no certificate names.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _ask(http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context))


def _ask(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> int:
    """Ask, and say on stderr why the answer is no."""
    try:
        status = status_of(*place(os.environ.get("FLOCKWATCH_METRICS_ADDR") or _DEFAULT))
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer: {error}\n")
        return 1
    if status in (200, 401):
        return 0
    sys.stderr.write(f"/-/healthy says {status}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
