"""A WSGI application behind the users of ``--web.config.file``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from exporter.web_config import check_basic_auth

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_REFUSAL: Final = b"Sign in with a user of --web.config.file.\n"


class SignedInOnly:
    """Passes requests on that a user has signed; answers 401 to all others. Without users everybody may pass."""

    def __init__(self, app: _Wsgi, users: Mapping[str, str]) -> None:
        """`users` maps names to bcrypt hashes."""
        self._app = app
        self._users = users

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._users or check_basic_auth(self._users, environ.get("HTTP_AUTHORIZATION")):
            return self._app(environ, start_response)
        start_response(
            "401 Unauthorized",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(_REFUSAL))),
                ("WWW-Authenticate", 'Basic realm="Flockwatch", charset="UTF-8"'),
            ],
        )
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [_REFUSAL]
