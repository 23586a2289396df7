"""Signing in to devices without locking them.

Passwords are tried in the operator's order, each once; a device's "no" to all of them blocks further tries until a
password changes, and a lock-out is waited for. Devices lock after a handful of failures (VNish answers 429 with a
time-out), so no more than `MAX_TRIES` are spent in one go.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from exporter.drivers.api import Answer, ApiKeyLogin, Driver, HttpRequest
from exporter.engine.exchange import Exchange, Session
from exporter.engine.isolation import run_driver
from exporter.errors import AuthError, LockedOut, ProtocolError, Unsupported
from exporter.store.secret import Secret

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES: Final = 3
KEY_DESCRIPTION: Final = "Flockwatch"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user and password to try; `username` None means the driver's default one."""

    username: str | None
    password: Secret


def with_defaults(driver: Driver, configured: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The configured candidates, else the maker's defaults; at most `MAX_TRIES`, no password twice."""
    source = list(configured) or [Candidate(None, Secret(word)) for word in driver.default_passwords]
    unique: list[Candidate] = []
    for candidate in source:
        if all(
            candidate.username != kept.username or candidate.password.reveal() != kept.password.reveal()
            for kept in unique
        ):
            unique.append(candidate)
    return tuple(unique[:MAX_TRIES])


class SignIn:
    """What all exchanges of one sign-in need.

    Args:
        trusted: whether the driver is one of ours.
        on_refused: told of each candidate that the device refuses.
    """

    def __init__(
        self,
        exchange: Exchange,
        session: Session,
        login: ApiKeyLogin,
        *,
        trusted: bool,
        on_refused: Callable[[Candidate], None],
    ) -> None:
        self.session = session
        self.login = login
        self.on_refused = on_refused
        self._exchange = exchange
        self._trusted = trusted

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call one of the driver's functions."""
        return await run_driver(function, *arguments, trusted=self._trusted)

    async def fetch(self, function: Callable[..., HttpRequest], *arguments: object) -> Answer:
        """Send the request that `function` makes."""
        return await self._exchange.fetch(self.session, await self.call(function, *arguments))

    async def checked(self, function: Callable[..., HttpRequest], *arguments: object) -> Answer:
        """As `fetch`; any status but success raises a `MinerError`."""
        request = await self.call(function, *arguments)
        return _check(self.session, request, await self._exchange.fetch(self.session, request))


async def obtain_api_key(sign_in: SignIn, candidates: Sequence[Candidate]) -> Secret:
    """Unlock the device and return the API key described "Flockwatch", creating it where there is none.

    Raises:
        AuthError: no candidate was accepted; `LockedOut` where the device blocks for a while.
        MinerError: anything else that went wrong.
    """
    login = sign_in.login
    token = await _unlock(sign_in, candidates)
    listed = await sign_in.checked(login.list_keys_request, token)
    existing = await sign_in.call(login.find_key, listed, KEY_DESCRIPTION)
    if existing is not None:
        return Secret(existing)
    key = secrets.token_hex(16)  # VNish takes exactly 32 hex characters
    await sign_in.checked(login.create_key_request, token, key, KEY_DESCRIPTION)
    log.info("created an API key on the miner", extra={"address": sign_in.session.endpoint.address})
    return Secret(key)


async def delete_api_key(sign_in: SignIn, candidates: Sequence[Candidate], key: Secret) -> None:
    """Remove our key from a device that is being forgotten."""
    token = await _unlock(sign_in, candidates)
    await sign_in.checked(sign_in.login.delete_key_request, token, key.reveal())


async def _unlock(sign_in: SignIn, candidates: Sequence[Candidate]) -> str:
    login = sign_in.login
    failure: AuthError | None = None
    for candidate in candidates:
        answer = await sign_in.fetch(login.unlock_request, candidate.password.reveal())
        try:
            return await sign_in.call(login.decode_unlock, answer)
        except LockedOut:
            raise
        except AuthError as error:
            sign_in.on_refused(candidate)
            failure = error
    raise failure or AuthError(f"{sign_in.session.endpoint.address}: no device password is left to try")


def _check(session: Session, request: HttpRequest, answer: Answer) -> Answer:
    if answer.status in (401, 403):
        raise AuthError(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    if answer.status in (404, 405):
        raise Unsupported(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    if not 200 <= answer.status < 300:
        raise ProtocolError(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    return answer
