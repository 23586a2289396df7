"""The page Access: password, API tokens, signed-in browsers. Plain forms, so that it works without scripts."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug import Response

from exporter.engine.client import EngineApi
from exporter.errors import FieldError, StoreError, TakenError, UnavailableError, UnknownError
from exporter.store.rows import ApiToken
from onboarding_ui.auth.caller import current_caller
from onboarding_ui.auth.guard import TooManyAttempts, guard
from onboarding_ui.auth.passwords import hash_password
from onboarding_ui.auth.tokens import new_token

log = logging.getLogger(__name__)

_DAY: Final = 86400.0
LIFETIMES: Final = (("", "No end"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"))
#: What the page says after a change; the word travels in the address.
_DONE: Final = {
    "password": "The password was set. Other browsers have to sign in again.",
    "removed": "There is no password any more.",
    "revoked": "The token was revoked; it is refused from now on.",
    "sessions": "All browsers are signed out.",
}


def access_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("access", __name__)
    pages.add_app_template_filter(_utc, "utc")

    @pages.get("/settings/access")
    def access() -> Response:
        return _page(engine)

    @pages.post("/settings/access/password")
    def set_password() -> Response:
        form, kept = request.form, guard()
        if kept.gate.has_password:
            kept.check(form.get("current", ""), "current")
        kept.set_password(hash_password(form.get("password", ""), form.get("repeated", "")))
        log.warning("the password of the web UI was changed", extra=_by())
        return kept.sign_in(_done("password"))

    @pages.post("/settings/access/password/remove")
    def remove_password() -> Response:
        kept = guard()
        if not kept.may_be_open:
            raise FieldError("is needed as long as the UI can be reached from other hosts", "current_to_remove")
        kept.check(request.form.get("current_to_remove", ""), "current_to_remove")
        kept.set_password(None)
        log.warning("the password of the web UI was removed", extra=_by())
        return kept.sign_in(_done("removed"))

    @pages.post("/settings/access/sessions/end")
    def end_sessions() -> Response:
        engine.access.end_all_sessions()
        log.info("all browsers were signed out", extra=_by())
        return _done("sessions")

    _add_tokens(pages, engine)
    _add_errors(pages, engine)
    return pages


def _add_tokens(pages: Blueprint, engine: EngineApi) -> None:
    @pages.post("/settings/access/tokens")
    def make_token() -> Response:
        form = request.form
        days = form.get("days", "")
        if days not in dict(LIFETIMES):
            raise FieldError("must be one of the choices", "days")
        shown, hashed = new_token()
        expires_at = time.time() + int(days) * _DAY if days else None
        made = engine.access.add_token(form.get("name", "").strip(), hashed, form.get("scope", ""), expires_at)
        log.warning("an API token was made", extra={**_by(), "token": made.name, "scope": made.scope})
        return _page(engine, new_token=shown)

    @pages.post("/settings/access/tokens/<int:token_id>/revoke")
    def revoke_token(token_id: int) -> Response:
        engine.access.revoke_token(token_id)
        log.warning("an API token was revoked", extra={**_by(), "token": token_id})
        return _done("revoked")


def _add_errors(pages: Blueprint, engine: EngineApi) -> None:
    @pages.errorhandler(FieldError)
    @pages.errorhandler(TakenError)
    def wrong_field(error: FieldError | TakenError) -> Response:
        status = HTTPStatus.CONFLICT if isinstance(error, TakenError) else HTTPStatus.UNPROCESSABLE_ENTITY
        field = error.field or ""
        return _page(engine, errors={field: str(error).removeprefix(f"{field}: ")}, given=request.form, status=status)

    @pages.errorhandler(UnknownError)
    def unknown(error: UnknownError) -> Response:
        return _page(engine, problem=str(error), status=HTTPStatus.NOT_FOUND)

    @pages.errorhandler(StoreError)
    @pages.errorhandler(UnavailableError)
    def unavailable(error: StoreError | UnavailableError) -> Response:
        return _page(engine, problem=str(error), status=HTTPStatus.SERVICE_UNAVAILABLE)

    @pages.errorhandler(TooManyAttempts)
    def wait(error: TooManyAttempts) -> Response:
        response = _page(engine, problem=str(error), status=HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(error.seconds)
        return response


def _page(
    engine: EngineApi,
    *,
    errors: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    **more: Any,
) -> Response:
    kept = guard()
    tokens: tuple[ApiToken, ...] = engine.access.tokens()
    page = render_template(
        "settings_access.html",
        mode=kept.gate.mode.name,
        has_password=kept.gate.has_password,
        has_master=kept.options.api_token is not None,
        may_be_open=kept.may_be_open,
        tokens=tokens,
        lifetimes=LIFETIMES,
        errors=errors or {},
        given={name: given.get(name) for name in ("name", "scope", "days")} if given is not None else {},
        done=_DONE.get(request.args.get("done", "")),
        now=time.time(),
        **more,
    )
    return make_response(page, status)


def _done(what: str) -> Response:
    return redirect(f"/settings/access?done={what}", 303)


def _by() -> dict[str, Any]:
    caller = current_caller()
    return {"by": caller.who if caller is not None else "nobody", "client": request.remote_addr}


def _utc(seconds: float) -> str:
    """A Unix time as a date: "2031-05-01"."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
