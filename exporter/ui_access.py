"""What the web UI has to know of the way it is reached."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterable
from typing import Final

from exporter.config_values import Listen
from exporter.discovery.networks import Interface, is_private, is_virtual
from exporter.store.secret import Secret
from exporter.web_config import WebConfig
from onboarding_ui.options import UiOptions

_EVERYWHERE: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_BYTES: Final = 32


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` can be reached from this host only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


def ui_options(
    addr: Listen,
    allowed_hosts: tuple[str, ...],
    web_config: WebConfig,
    api_token: Secret | None,
    *,
    has_password: bool,
) -> UiOptions:
    """The options of a UI that listens on `addr`.

    There is a token for the one-time link where others may reach the UI and nothing else lets anybody sign in. A name
    for a loopback address is a reverse proxy's, through which others come.
    """
    loopback, users = is_loopback(addr.host) and not allowed_hosts, bool(web_config.users)
    needs_link = not (loopback or users or has_password or api_token is not None)
    return UiOptions(
        loopback=loopback,
        port=addr.port or None,
        tls=web_config.tls is not None,
        signed_in_before=users,
        api_token=api_token,
        setup_token=Secret(secrets.token_urlsafe(_BYTES)) if needs_link else None,
        allowed_hosts=allowed_hosts,
    )


def setup_link(addr: Listen, port: int, options: UiOptions, interfaces: Iterable[Interface]) -> str | None:
    """The one-time link that sets the first password; None where there is none. It is a secret until it is used."""
    if options.setup_token is None:
        return None
    host = _own_address(interfaces) if addr.host in _EVERYWHERE else addr.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if options.tls else 'http'}://{shown}:{port}/set-password?token={options.setup_token.reveal()}"


def _own_address(interfaces: Iterable[Interface]) -> str:
    """An address that other hosts most likely reach this one at, else its name."""
    for interface in interfaces:
        address = interface.address
        if not address.ip.is_loopback and not is_virtual(interface.name) and is_private(address.network):
            return str(address.ip)
    return socket.gethostname()
