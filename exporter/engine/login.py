"""Signing in to devices without locking them.

Passwords are tried in the operator's order, each once; a device's "no" to all of them blocks further tries until a
password changes, and a lock-out is waited for. Devices lock after a handful of failures (VNish answers 429 with a
time-out), so no more than `MAX_TRIES` are spent in one go.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.drivers.api import Answer, ApiKeyLogin, Driver, HttpRequest
from exporter.engine.exchange import Exchange, Session
from exporter.errors import AuthError, LockedOut, ProtocolError, Unsupported
from exporter.store.secret import Secret

log = logging.getLogger(__name__)

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


async def obtain_api_key(
    exchange: Exchange, session: Session, login: ApiKeyLogin, candidates: Sequence[Candidate]
) -> Secret:
    """Unlock the device and return the API key described "Flockwatch", creating it where there is none.

    Raises:
        AuthError: no candidate was accepted; `LockedOut` where the device blocks for a while.
        MinerError: anything else that went wrong.
    """
    token = await _unlock(exchange, session, login, candidates)
    listed = await _checked(exchange, session, login.list_keys_request(token))
    existing = login.find_key(listed, KEY_DESCRIPTION)
    if existing is not None:
        return Secret(existing)
    key = secrets.token_hex(16)  # VNish takes exactly 32 hex characters
    await _checked(exchange, session, login.create_key_request(token, key, KEY_DESCRIPTION))
    log.info("created an API key on the miner", extra={"address": session.endpoint.address})
    return Secret(key)


async def delete_api_key(
    exchange: Exchange, session: Session, login: ApiKeyLogin, candidates: Sequence[Candidate], key: Secret
) -> None:
    """Remove our key from a device that is being forgotten."""
    token = await _unlock(exchange, session, login, candidates)
    await _checked(exchange, session, login.delete_key_request(token, key.reveal()))


async def _unlock(exchange: Exchange, session: Session, login: ApiKeyLogin, candidates: Sequence[Candidate]) -> str:
    failure: AuthError | None = None
    for candidate in candidates:
        try:
            return login.decode_unlock(await exchange.fetch(session, login.unlock_request(candidate.password.reveal())))
        except LockedOut:
            raise
        except AuthError as error:
            failure = error
    raise failure or AuthError(f"{session.endpoint.address}: no device password is configured")


async def _checked(exchange: Exchange, session: Session, request: HttpRequest) -> Answer:
    answer = await exchange.fetch(session, request)
    if answer.status in (401, 403):
        raise AuthError(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    if answer.status in (404, 405):
        raise Unsupported(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    if not 200 <= answer.status < 300:
        raise ProtocolError(f"{session.endpoint.address}: {request.key}: status {answer.status}")
    return answer
