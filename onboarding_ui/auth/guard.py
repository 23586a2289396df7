"""What the sign-in keeps for as long as the application runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from flask import current_app, request
from werkzeug import Response

from exporter.engine.api.access import AccessApi
from exporter.errors import FieldError, FlockwatchError
from exporter.store.secret import Secret
from onboarding_ui.auth.attempts import Attempts
from onboarding_ui.auth.gate import Gate, Mode
from onboarding_ui.auth.sessions import COOKIE
from onboarding_ui.auth.setup_link import SetupLink

if TYPE_CHECKING:
    from onboarding_ui.options import UiOptions

EXTENSION: Final = "flockwatch_guard"


class TooManyAttempts(FlockwatchError):
    """Wait `seconds` before the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many tries; wait {seconds} s")
        self.seconds = seconds


class Guard:
    """The gate, the counted tries and the one-time link together."""

    def __init__(self, access: AccessApi, options: UiOptions) -> None:
        self.access = access
        self.options = options
        self.gate = Gate(access, options)
        self.attempts = Attempts()
        self.setup_link = SetupLink(options.setup_token)

    def check(self, password: str, field: str) -> None:
        """Check the password that came with the request.

        Raises:
            FieldError: it is wrong.
            TooManyAttempts: it was not looked at.
        """
        wait = self.attempts.take(request.remote_addr)
        if wait is not None:
            raise TooManyAttempts(wait)
        if not self.gate.knows(password):
            raise FieldError("the password is wrong", field)
        self.attempts.forgive(request.remote_addr)

    def sign_in(self, response: Response) -> Response:
        """Give the browser that sent the request a session."""
        # A reverse proxy may speak HTTPS where this server does not; the browser says so.
        secure = self.options.tls or request.headers.get("Origin", "").lower().startswith("https:")
        self.gate.sessions.start(response, request.cookies.get(COOKIE), secure=secure)
        return response

    def set_password(self, password_hash: Secret | None) -> None:
        """Store a password (None: none any more). All sessions end."""
        self.access.set_password(password_hash)

    @property
    def may_be_open(self) -> bool:
        """Whether the UI may run without a password."""
        return self.options.loopback or self.gate.mode is Mode.USERS or self.options.api_token is not None


def guard() -> Guard:
    """The guard of the application that answers the request."""
    return cast(Guard, current_app.extensions[EXTENSION])
