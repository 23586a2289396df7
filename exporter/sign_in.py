"""A WSGI application behind the users of ``--web.config.file``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from exporter.web_config import check_basic_auth
from onboarding_ui.options import SIGNED_IN

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_REFUSAL: Final = b"Sign in with a user of --web.config.file.\n"
_API: Final = "/api/"


class SignedInOnly:
    """Passes requests on that a user has signed, marked with `SIGNED_IN`, and requests to the API that bring a bearer
    token, which the application has to check; answers 401 to all others. Without users everybody may pass."""

    def __init__(self, app: _Wsgi, users: Mapping[str, str]) -> None:
        """`users` maps names to bcrypt hashes."""
        self._app = app
        self._users = users

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        authorization = environ.get("HTTP_AUTHORIZATION")
        if not self._users or _brings_token(environ.get("PATH_INFO", ""), authorization):
            return self._app(environ, start_response)
        if check_basic_auth(self._users, authorization):
            return self._app({**environ, SIGNED_IN: True}, start_response)
        start_response(
            "401 Unauthorized",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(_REFUSAL))),
                ("WWW-Authenticate", 'Basic realm="Flockwatch", charset="UTF-8"'),
            ],
        )
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [_REFUSAL]


def _brings_token(path: str, authorization: str | None) -> bool:
    scheme, _, token = (authorization or "").strip().partition(" ")
    return path.startswith(_API) and scheme.lower() == "bearer" and bool(token)
