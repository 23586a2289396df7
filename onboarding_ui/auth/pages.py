"""The pages Sign in and Set password. Plain forms, so that they work without scripts."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, session
from werkzeug import Response

from exporter.errors import FieldError, StoreError, UnavailableError
from onboarding_ui.auth.answers import safe_next
from onboarding_ui.auth.gate import Mode
from onboarding_ui.auth.guard import Guard, TooManyAttempts
from onboarding_ui.auth.passwords import hash_password
from onboarding_ui.auth.sessions import COOKIE, BrowserSessions

log = logging.getLogger(__name__)


def sign_in_pages(guard: Guard) -> Blueprint:
    """The blueprint of the pages."""
    pages = Blueprint("sign_in", __name__)

    @pages.get("/sign-in")
    def sign_in() -> Response:
        if guard.gate.mode in (Mode.OPEN, Mode.USERS):
            return redirect("/", 303)
        return _sign_in_page(guard)

    @pages.post("/sign-in")
    def sign_in_with() -> Response:
        target = safe_next(request.form.get("next"))
        client = {"client": request.remote_addr}
        try:
            guard.check(request.form.get("password", ""), "password")
        except FieldError as error:
            log.warning("a sign-in was refused: the password was wrong", extra=client)
            return _sign_in_page(guard, str(error), HTTPStatus.UNPROCESSABLE_ENTITY)
        except TooManyAttempts as error:
            log.warning("a sign-in was refused: too many tries", extra=client)
            return _wait(_sign_in_page(guard, str(error), HTTPStatus.TOO_MANY_REQUESTS), error)
        log.info("signed in", extra=client)
        session.clear()  # what a form was bound to before does not outlive a sign-in
        return guard.sign_in(redirect(target, 303))

    @pages.post("/sign-out")
    def sign_out() -> Response:
        guard.gate.sessions.end(request.cookies.get(COOKIE))
        session.clear()
        response = redirect("/sign-in", 303)
        BrowserSessions.forget(response)
        return response

    _add_set_password(pages, guard)
    return pages


def _add_set_password(pages: Blueprint, guard: Guard) -> None:
    @pages.get("/set-password")
    def set_password() -> Response:
        token = request.args.get("token", "")
        if guard.gate.mode is not Mode.SETUP or not guard.setup_link.opens(token):
            return _spent_link()
        return _set_password_page(token)

    @pages.post("/set-password")
    def set_password_to() -> Response:
        token = request.form.get("token", "")
        try:
            hashed = hash_password(request.form.get("password", ""), request.form.get("repeated", ""))
            done = guard.gate.mode is Mode.SETUP and guard.setup_link.use(token, lambda: guard.set_password(hashed))
        except FieldError as error:
            if not guard.setup_link.opens(token):
                return _spent_link()
            return _set_password_page(token, {error.field: str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except (StoreError, UnavailableError) as error:
            return _set_password_page(token, {"password": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)
        if not done:
            return _spent_link()
        log.warning("the password of the web UI was set", extra={"client": request.remote_addr})
        session.clear()
        return guard.sign_in(redirect("/", 303))


def _render(template: str, **values: Any) -> str:
    """A page for everybody: nothing of the program's own state, such as paths in a banner, is on it."""
    return render_template(template, write_error=lambda: None, navigation=(), **values)


def _sign_in_page(guard: Guard, error: str | None = None, status: HTTPStatus = HTTPStatus.OK) -> Response:
    wanted = request.form.get("next") or request.args.get("next")
    page = _render(
        "sign_in.html",
        setup=guard.gate.mode is Mode.SETUP,
        by_token=not guard.gate.has_password,
        next=safe_next(wanted),
        error=error,
    )
    return make_response(page, status)


def _set_password_page(
    token: str, errors: dict[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    return make_response(_render("set_password.html", token=token, errors=errors or {}), status)


def _spent_link() -> Response:
    return make_response(_render("set_password.html", token=None, errors={}), HTTPStatus.FORBIDDEN)


def _wait(response: Response, error: TooManyAttempts) -> Response:
    response.headers["Retry-After"] = str(error.seconds)
    return response
