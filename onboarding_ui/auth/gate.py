"""Decides whether somebody may pass. Knows no Flask."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Final

from exporter.engine.api.access import AccessApi
from exporter.store.secret import Secret
from onboarding_ui.auth.caller import Caller
from onboarding_ui.auth.passwords import check_password
from onboarding_ui.auth.sessions import BrowserSessions
from onboarding_ui.auth.tokens import hash_token

if TYPE_CHECKING:
    from onboarding_ui.options import UiOptions

_ANYBODY: Final = Caller("a program or browser on this host")
_SIGNED_BEFORE: Final = Caller("a user of the web configuration")
_MASTER: Final = Caller("the token of FLOCKWATCH_API_TOKEN", by_browser=False)
_BROWSER: Final = Caller("a signed-in browser", signed_in=True)


class Mode(Enum):
    """What is asked for."""

    OPEN = "nothing: only this host can reach the page, and no password is set"
    USERS = "a user of --web.config.file, or a token for the API"
    SIGN_IN = "the password or a token"
    SETUP = "the one-time link: there is no password yet"


class Gate:
    """Knows the password, the tokens and the sessions."""

    def __init__(self, access: AccessApi, options: UiOptions) -> None:
        self._access = access
        self._options = options
        self.sessions = BrowserSessions(access)

    @property
    def mode(self) -> Mode:
        """What is asked for now."""
        if self._options.signed_in_before:
            return Mode.USERS
        if self._options.api_token is not None or self.has_password:
            return Mode.SIGN_IN
        return Mode.OPEN if self._options.loopback else Mode.SETUP

    @property
    def has_password(self) -> bool:
        return self._access.password_hash() is not None

    def caller(self, authorization: str | None, cookie: str | None, *, signed_in: bool = False) -> Caller | None:
        """Who sends a request with these headers; None where that is nobody who may.

        Args:
            signed_in: a user of ``--web.config.file`` has signed it.
        """
        mode = self.mode
        if mode is Mode.USERS and signed_in:
            return _SIGNED_BEFORE
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() == "bearer":
            # Never let in for want of a password, so that a wrong token is noticed.
            return self._bearer(token.strip())
        if mode is Mode.OPEN:
            return _ANYBODY
        if mode is Mode.USERS:
            return None
        return _BROWSER if self.sessions.find(cookie) is not None else None

    def _bearer(self, token: str) -> Caller | None:
        if self._is_master(token):
            return _MASTER
        known = self._access.token(hash_token(token))
        if known is None or (known.expires_at is not None and known.expires_at <= time.time()):
            return None
        return Caller(f'token "{known.name}"', known.scope, by_browser=False)

    def _is_master(self, text: str) -> bool:
        master = self._options.api_token
        return master is not None and Secret(text) == master

    def knows(self, password: str) -> bool:
        """Whether a person may sign in with `password`: the password, or the token of the environment.

        The latter is also the way back for an owner who has forgotten the password.
        """
        by_token = self._is_master(password)
        return check_password(self._access.password_hash(), password) or by_token
