"""Puts the sign-in in front of an application."""

from __future__ import annotations

import logging
import secrets
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import Flask, redirect, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug import Response

from exporter.engine.client import EngineApi
from onboarding_ui.auth.answers import is_api, refusal
from onboarding_ui.auth.caller import Caller, current_caller, set_caller
from onboarding_ui.auth.gate import Mode
from onboarding_ui.auth.guard import EXTENSION, Guard
from onboarding_ui.auth.hosts import is_own_host, own_names
from onboarding_ui.auth.origin import is_from_here
from onboarding_ui.auth.pages import sign_in_pages
from onboarding_ui.auth.sessions import COOKIE
from onboarding_ui.auth.tokens import may
from onboarding_ui.options import SIGNED_IN

if TYPE_CHECKING:
    from onboarding_ui.options import UiOptions

log = logging.getLogger(__name__)

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Open to everybody: they hold nothing of the flock.
_PUBLIC: Final = frozenset({"/sign-in", "/set-password", "/api/health"})
#: What reverse proxies add: then it is not only this host that reaches a loopback address.
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
_PUBLIC_FOLDER: Final = "/static/"

_ELSEWHERE: Final = (
    "this name is not known to be Flockwatch's; use the address, or add the name to http.allowed_hosts in targets.yml"
)
_PROXIED: Final = (
    "the request came through a proxy, and no password is set; set one in a browser on this host under Settings,"
    " Access, or list the proxy's name in http.allowed_hosts"
)
_FOREIGN: Final = "the request comes from a page of another site; use Flockwatch's own pages, or a program such as curl"
_SIGN_IN: Final = "sign in first; programs send Authorization: Bearer TOKEN (see Settings, Access)"
_BAD_TOKEN: Final = "the token is not known or its time is over; make a new one under Settings, Access"  # noqa: S105
_TOO_LITTLE: Final = "this token may only read; use one with the scope full"
_OLD_FORM: Final = "the form is too old or was not made by Flockwatch; load the page again and repeat it"


def protect(app: Flask, engine: EngineApi, options: UiOptions) -> None:
    """Add the sign-in to `app`: its pages, and checks before every request.

    Checked are the name the request was sent to, who sent it, and for changes whether they come from a page of ours:
    by ``Origin`` and ``Sec-Fetch-Site``, outside the API also by a token in the form.
    """
    guard = Guard(engine.access, options)
    app.extensions[EXTENSION] = guard
    # Signs the cookie that the tokens of forms are bound to; forms that are open during a restart are sent twice.
    app.secret_key = secrets.token_bytes(32)
    app.config.update(
        SESSION_COOKIE_NAME="flockwatch_form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=options.tls,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_SSL_STRICT=False,  # by Referer, which a proxy may take away; Origin is checked instead
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for days; it ends with the browser's session
    )
    forms = CSRFProtect()
    forms.init_app(app)
    app.register_blueprint(sign_in_pages(guard))
    names = own_names(socket.gethostname(), options.allowed_hosts)

    @app.before_request
    def check() -> Response | None:
        host = request.environ.get("HTTP_HOST")
        if host is not None and not is_own_host(host, names):
            return refusal(403, _ELSEWHERE)
        if guard.gate.mode is Mode.OPEN and any(name in request.headers for name in _FORWARDED):
            return refusal(403, _PROXIED)
        public = guard.gate.mode is not Mode.USERS and _is_public()  # their sign-in stands in front of everything
        caller = None if public else _caller(guard)
        set_caller(caller)
        if caller is None and not public:
            return _ask_to_sign_in()
        return _check_rights(caller, forms, tls=options.tls)

    @app.context_processor
    def signed_in() -> dict[str, Any]:
        caller = current_caller()
        return {"signed_in": caller is not None and caller.signed_in}

    @app.errorhandler(CSRFError)
    def old_form(_: CSRFError) -> Response:
        return refusal(400, _OLD_FORM)


def _caller(guard: Guard) -> Caller | None:
    signed_in = SIGNED_IN in request.environ
    return guard.gate.caller(_authorization(), request.cookies.get(COOKIE), signed_in=signed_in)


def _authorization() -> str | None:
    return request.headers.get("Authorization")


def _is_public() -> bool:
    return request.path in _PUBLIC or request.path.startswith(_PUBLIC_FOLDER)


def _ask_to_sign_in() -> Response:
    header = _authorization() or ""
    if header.lower().startswith("bearer"):
        log.warning("a token was refused", extra={"client": request.remote_addr})
        return refusal(401, _BAD_TOKEN)
    # A script that refreshes a page gets no other page in its place.
    by_script = request.headers.get("Sec-Fetch-Dest") == "empty"
    if is_api() or by_script or request.method not in _SAFE_METHODS:
        return refusal(401, _SIGN_IN)
    path = request.full_path if request.query_string else request.path
    return redirect("/sign-in" if path == "/" else f"/sign-in?{urlencode({'next': path})}", 303)


def _check_rights(caller: Caller | None, forms: CSRFProtect, *, tls: bool) -> Response | None:
    if caller is not None and not may(caller.scope, request.method, request.path):
        return refusal(403, _TOO_LITTLE)
    if request.method in _SAFE_METHODS or (caller is not None and not caller.by_browser):
        return None
    headers = request.headers
    if not is_from_here(headers.get("Host", ""), headers.get("Origin"), headers.get("Sec-Fetch-Site"), tls=tls):
        return refusal(403, _FOREIGN)
    if not is_api():
        forms.protect()
    return None
