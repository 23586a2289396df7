"""Makes sessions: what a driver needs to sign in at an address, from the stored keys and the operator's passwords."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import httpx

from exporter.drivers.api import ApiKeyLogin, Driver
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.engine.isolation import call_driver
from exporter.engine.login import KEY_DESCRIPTION, Candidate, SignIn, delete_api_key, obtain_api_key, with_defaults
from exporter.errors import MinerError
from exporter.store.database import Database
from exporter.transports.digest import SignedIn

CandidatesFor = Callable[[str, str, int | None], tuple[Candidate, ...]]
"""(driver_type, address, miner id or None) -> the operator's candidates in order."""

log = logging.getLogger(__name__)

#: Places whose refusals are remembered at most.
_MOST_PLACES: Final = 65536

_Place = tuple[str, str]
"""(driver_type, address)."""


class Sessions:
    """Builds sessions and keeps API keys in the database; without one (a look from the shell) no key is used.

    What a device refused is remembered here, so that neither discovery nor a new session tries it again: devices
    lock out.

    Args:
        trusted: whether the driver of a type is one of ours.
    """

    def __init__(
        self,
        db: Database | None,
        exchange: Exchange,
        candidates_for: CandidatesFor,
        *,
        create_keys: bool,
        trusted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._db = db
        self._exchange = exchange
        self._candidates_for = candidates_for
        self.create_keys = create_keys
        self.trusted = trusted
        self._refused: dict[_Place, set[Candidate]] = {}

    def prepare(self, session: Session, miner_id: int | None = None) -> None:
        """Put what there is to sign with into `session`."""
        driver = session.driver
        known = self.candidates(session, miner_id)
        session.origin = (self.create_keys, known)
        left = self._left(session, known)
        digests: dict[httpx.Auth, Candidate] = {
            SignedIn(candidate.username or driver.default_username, candidate.password.reveal()): candidate
            for candidate in left
        }
        session.digests = list(digests)
        session.auth_blocked = bool(known) and not left
        session.on_refused = partial(self._refused_digest, _place(session), digests)
        key = self._db.api_keys.get(miner_id) if self._db is not None and miner_id is not None else None
        if key is not None and isinstance(driver, ApiKeyLogin):
            try:
                session.key_headers = call_driver(driver.key_headers, key.key.reveal())
            except MinerError as error:
                log.warning("driver %s cannot sign with its key: %s", driver.driver_type, error)

    def new(self, endpoint: Endpoint, driver: Driver, miner_id: int) -> Session:
        """A prepared session for a stored miner."""
        session = Session(endpoint, driver)
        self.prepare(session, miner_id)
        return session

    def has_changed(self, session: Session, miner_id: int) -> bool:
        """Whether the operator's passwords for this miner are others than when `session` was prepared."""
        return (self.create_keys, self.candidates(session, miner_id)) != session.origin

    def login_for(self, session: Session, miner_id: int) -> Callable[[], Awaitable[None]] | None:
        """What obtains and stores an API key for `session`; None where the driver has none or it is switched off."""
        driver, db = session.driver, self._db
        if not isinstance(driver, ApiKeyLogin) or not self.create_keys or db is None:
            return None
        login = driver

        async def sign_in() -> None:
            candidates = self._left(session, self.candidates(session, miner_id))
            key = await obtain_api_key(self._sign_in(session, login), candidates)
            db.api_keys.set(miner_id, key, KEY_DESCRIPTION)
            await db.commit()
            session.key_headers = login.key_headers(key.reveal())

        return sign_in

    async def forget_key(self, session: Session, miner_id: int) -> None:
        """Remove our API key from a device that is being forgotten.

        Raises:
            MinerError: the device did not let us; the key stays on it.
        """
        driver = session.driver
        key = self._db.api_keys.get(miner_id) if self._db is not None else None
        if key is not None and isinstance(driver, ApiKeyLogin):
            candidates = self._left(session, self.candidates(session, miner_id))
            await delete_api_key(self._sign_in(session, driver), candidates, key.key)

    def forgive(self, address: str, driver_type: str | None = None) -> None:
        """Forget what was refused at an address: another device may be there, or a person asks to try again."""
        for place in [place for place in self._refused if place[1] == address]:
            if driver_type in (None, place[0]):
                del self._refused[place]

    def _sign_in(self, session: Session, login: ApiKeyLogin) -> SignIn:
        return SignIn(
            self._exchange,
            session,
            login,
            trusted=self.trusted(session.driver.driver_type),
            on_refused=partial(self._remember, _place(session)),
        )

    def _left(self, session: Session, known: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """The candidates that the device has not refused yet."""
        refused = self._refused.get(_place(session), ())
        return tuple(candidate for candidate in known if candidate not in refused)

    def _refused_digest(self, place: _Place, digests: dict[httpx.Auth, Candidate], auth: httpx.Auth) -> None:
        candidate = digests.get(auth)
        if candidate is not None:
            self._remember(place, candidate)

    def _remember(self, place: _Place, candidate: Candidate) -> None:
        if place not in self._refused and len(self._refused) >= _MOST_PLACES:
            del self._refused[next(iter(self._refused))]
        self._refused.setdefault(place, set()).add(candidate)

    def candidates(self, session: Session, miner_id: int | None) -> tuple[Candidate, ...]:
        """All that may be tried to sign in, in order, whether refused before or not."""
        driver = session.driver
        return with_defaults(driver, self._candidates_for(driver.driver_type, session.endpoint.address, miner_id))


def _place(session: Session) -> _Place:
    return session.driver.driver_type, session.endpoint.address
