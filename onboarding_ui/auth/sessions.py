"""Signed-in browsers: a random cookie, of which the store keeps the hash."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Final

from werkzeug import Response

from exporter.engine.api.access import AccessApi
from exporter.errors import StoreError, UnavailableError
from exporter.store.rows import UiSession
from exporter.store.secret import Secret
from onboarding_ui.auth.tokens import hash_token

log = logging.getLogger(__name__)

COOKIE: Final = "flockwatch_session"
#: Without use, and in any case.
IDLE_SECONDS: Final = 7 * 86400.0
LONGEST_SECONDS: Final = 30 * 86400.0
#: Use is noted at most this often, since each note is a write to the disk.
_NOTE_SECONDS: Final = 86400.0

_BYTES: Final = 32


class BrowserSessions:
    """Starts, finds and ends sessions."""

    def __init__(self, access: AccessApi) -> None:
        self._access = access

    def find(self, cookie: str | None) -> UiSession | None:
        """The session that a cookie stands for; None where its time is over. It lives longer for being used."""
        if not cookie:
            return None
        session = self._access.session(hash_token(cookie))
        now = time.time()
        if session is None or session.expires_at <= now:
            return None
        wanted = min(now + IDLE_SECONDS, session.created_at + LONGEST_SECONDS)
        if wanted - session.expires_at >= _NOTE_SECONDS:
            try:
                self._access.extend_session(session.token_hash.reveal(), wanted)
            except (StoreError, UnavailableError) as error:
                log.warning("a sign-in could not be made to last longer: %s", error)
        return session

    def start(self, response: Response, former: str | None, *, secure: bool) -> None:
        """Sign the browser in that gets `response`: always with a new cookie; `former`, its old one, ends.

        Args:
            secure: the browser speaks HTTPS and shall send the cookie so only.
        """
        self.end(former)
        cookie, now = secrets.token_urlsafe(_BYTES), time.time()
        try:
            self._access.add_session(Secret(hash_token(cookie)), now, now + IDLE_SECONDS)
        except StoreError as error:
            # A full disk must not keep out the person who could make room; the store has the session in memory.
            log.warning("a sign-in is not on disk and ends with the program: %s", error)
        response.set_cookie(
            COOKIE, cookie, max_age=int(LONGEST_SECONDS), path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def end(self, cookie: str | None) -> None:
        """End the session of a cookie, if there is one."""
        if cookie:
            self._access.end_session(hash_token(cookie))

    @staticmethod
    def forget(response: Response) -> None:
        """Have the browser drop its cookie."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
