"""How the web UI is run: what only the program that starts it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.store.secret import Secret

#: In the WSGI environment of a request that a user of ``--web.config.file`` has signed; no header can set it.
SIGNED_IN: Final = "flockwatch.signed_in"


@dataclass(frozen=True, slots=True)
class UiOptions:
    """Where and behind what the UI listens.

    Attributes:
        loopback: only this host reaches it (a loopback address and no proxy), so that a first start needs no password.
        port: the port it listens on; None where not known (tests).
        tls: it is served over HTTPS, so cookies may say so.
        signed_in_before: users of ``--web.config.file`` sign requests, which then carry `SIGNED_IN`. What comes without
            it needs a token.
        api_token: the token of ``FLOCKWATCH_API_TOKEN``, with full rights; None where not set.
        setup_token: opens the one-time link that sets the first password; None where there is no such link.
        allowed_hosts: names beside addresses and loopback names that a request may be sent to.
    """

    loopback: bool = True
    port: int | None = None
    tls: bool = False
    signed_in_before: bool = False
    api_token: Secret | None = None
    setup_token: Secret | None = None
    allowed_hosts: tuple[str, ...] = ()
