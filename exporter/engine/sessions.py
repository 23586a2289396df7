"""Makes sessions: what a driver needs to sign in at an address, from the stored keys and the operator's passwords."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from exporter.drivers.api import ApiKeyLogin, Driver
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.engine.login import KEY_DESCRIPTION, Candidate, delete_api_key, obtain_api_key, with_defaults
from exporter.store.database import Database
from exporter.transports.digest import SignedIn

CandidatesFor = Callable[[str, str, int | None], tuple[Candidate, ...]]
"""(driver_type, address, miner id or None) -> the operator's candidates in order."""


class Sessions:
    """Builds sessions and keeps API keys in the database; without one (a look from the shell) no key is used."""

    def __init__(
        self, db: Database | None, exchange: Exchange, candidates_for: CandidatesFor, *, create_keys: bool
    ) -> None:
        self._db = db
        self._exchange = exchange
        self._candidates_for = candidates_for
        self.create_keys = create_keys

    def prepare(self, session: Session, miner_id: int | None = None) -> None:
        """Put what there is to sign with into `session`."""
        driver = session.driver
        session.digests = [
            SignedIn(candidate.username or driver.default_username, candidate.password.reveal())
            for candidate in self._candidates(session, miner_id)
        ]
        key = self._db.api_keys.get(miner_id) if self._db is not None and miner_id is not None else None
        if key is not None and isinstance(driver, ApiKeyLogin):
            session.key_headers = driver.key_headers(key.key.reveal())

    def new(self, endpoint: Endpoint, driver: Driver, miner_id: int) -> Session:
        """A prepared session for a stored miner."""
        session = Session(endpoint, driver)
        self.prepare(session, miner_id)
        return session

    def login_for(self, session: Session, miner_id: int) -> Callable[[], Awaitable[None]] | None:
        """What obtains and stores an API key for `session`; None where the driver has none or it is switched off."""
        driver, db = session.driver, self._db
        if not isinstance(driver, ApiKeyLogin) or not self.create_keys or db is None:
            return None
        login = driver

        async def sign_in() -> None:
            key = await obtain_api_key(self._exchange, session, login, self._candidates(session, miner_id))
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
            await delete_api_key(self._exchange, session, driver, self._candidates(session, miner_id), key.key)

    def _candidates(self, session: Session, miner_id: int | None) -> tuple[Candidate, ...]:
        driver = session.driver
        return with_defaults(driver, self._candidates_for(driver.driver_type, session.endpoint.address, miner_id))
