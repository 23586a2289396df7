"""Asks one miner, with an API key where its driver wants one: obtained once, and again when it is revoked."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from exporter.drivers.api import Answers, ApiKeyLogin, Auth, HttpRequest, Request
from exporter.engine.exchange import Exchange, Session
from exporter.engine.poll_state import LOCK_SECONDS, PollState
from exporter.errors import AuthError, LockedOut, MinerError

log = logging.getLogger(__name__)

Login = Callable[[], Awaitable[None]]
"""Obtains an API key and puts its headers into the session (see `exporter.engine.login`)."""


class Asker:
    """See the module. `login` is None where there is nothing to sign in with."""

    def __init__(self, name: str, session: Session, state: PollState, exchange: Exchange, login: Login | None) -> None:
        self._name = name
        self._session = session
        self._state = state
        self._exchange = exchange
        self._login = login
        self._refused_key: tuple[tuple[str, str], ...] = ()

    def through(self, exchange: Exchange) -> None:
        """Ask over another exchange from the next request on."""
        self._exchange = exchange

    async def ask(self, requests: tuple[Request, ...]) -> Answers:
        """One round; a missing or revoked API key is obtained once. Raises `MinerError`."""
        try:
            return await self._exchange.ask(self._session, requests)
        except AuthError:
            refused_key = self._session.key_headers
            may_sign_in = self._login is not None and not self._state.auth_failed
            if not _needs_key(requests) or not (may_sign_in or refused_key):
                raise
        self._session.key_headers = ()
        try:
            await self._sign_in()
        except AuthError as error:
            if not refused_key:
                raise
            # What is open without a key is still asked for.
            self._refused_key = refused_key
            log.debug("no API key: %s", error, extra={"miner": self._name})
        return await self._exchange.ask(self._session, requests)

    async def ensure_key(self) -> None:
        """Obtain an API key where the driver wants one and there is none; what goes wrong is logged."""
        if self._login is None or self._session.key_headers or not isinstance(self._session.driver, ApiKeyLogin):
            return
        if self._state.auth_failed:
            # No password is tried any more, but a device that refused everything for a while may take its key again.
            self._session.key_headers = self._refused_key
            return
        if time.monotonic() < self._state.locked_until:
            return
        try:
            await self._sign_in()
        except MinerError as error:
            # Most pages are open without a key: the miner stays monitored, the missing key is shown.
            log.info("no API key: %s", error, extra={"miner": self._name})

    async def renew_key(self) -> bool:
        """Drop an API key that the device refused and obtain another one. Whether there is one now."""
        self._session.key_headers = ()
        await self.ensure_key()
        return bool(self._session.key_headers)

    async def _sign_in(self) -> None:
        if self._login is None or self._state.auth_failed:
            raise AuthError(f"{self._session.endpoint.address}: the device refused every known password")
        locked = self._state.locked_until - time.monotonic()
        if locked > 0.0:
            raise LockedOut(f"{self._session.endpoint.address}: the device refuses sign-ins for a while", locked)
        try:
            await self._login()
        except LockedOut as error:
            self._state.locked_until = time.monotonic() + (error.retry_after or LOCK_SECONDS)
            raise
        except AuthError:
            self._state.auth_failed = True
            raise


def _needs_key(requests: tuple[Request, ...]) -> bool:
    return any(isinstance(request, HttpRequest) and request.auth is Auth.API_KEY for request in requests)
