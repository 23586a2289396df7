"""The door to the store of sign-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from exporter.engine.api.caller import EngineCaller
from exporter.engine.engine import Engine
from exporter.errors import FieldError, TakenError, UnknownError
from exporter.store.rows import ApiToken, DuplicateKey, UiSession
from exporter.store.secret import Secret
from exporter.text import clean_text

T = TypeVar("T")

_LONGEST_NAME = 64
_SCOPES = ("read", "full")


class AccessDoor:
    """`AccessApi` over the database."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._db = engine.db

    def password_hash(self) -> Secret | None:
        """See `AccessApi`."""
        row = self._db.ui_password.get()
        return None if row is None else row.password_hash

    def set_password(self, password_hash: Secret | None) -> None:
        """See `AccessApi`."""

        def change() -> None:
            with self._db.transaction():
                if password_hash is None:
                    self._db.ui_password.delete()
                else:
                    self._db.ui_password.set(password_hash)
                self._db.ui_sessions.clear()

        self._write(change)

    def session(self, token_hash: str) -> UiSession | None:
        """See `AccessApi`."""
        return self._db.ui_sessions.by_hash(token_hash)

    def add_session(self, token_hash: Secret, created_at: float, expires_at: float) -> UiSession:
        """See `AccessApi`."""
        return self._write(lambda: self._db.ui_sessions.add(token_hash, created_at, expires_at))

    def extend_session(self, token_hash: str, expires_at: float) -> None:
        """See `AccessApi`."""

        def change() -> None:
            row = self._db.ui_sessions.by_hash(token_hash)
            if row is not None:
                self._db.ui_sessions.extend(row.id, expires_at)

        self._write(change)

    def end_session(self, token_hash: str) -> None:
        """See `AccessApi`."""

        def change() -> None:
            row = self._db.ui_sessions.by_hash(token_hash)
            if row is not None:
                self._db.ui_sessions.delete(row.id)

        self._write(change)

    def end_all_sessions(self) -> None:
        """See `AccessApi`."""
        self._write(self._db.ui_sessions.clear)

    def tokens(self) -> tuple[ApiToken, ...]:
        """See `AccessApi`."""
        return self._db.api_tokens.all()

    def token(self, token_hash: str) -> ApiToken | None:
        """See `AccessApi`."""
        return self._db.api_tokens.by_hash(token_hash)

    def add_token(self, name: str, token_hash: Secret, scope: str, expires_at: float | None = None) -> ApiToken:
        """See `AccessApi`."""
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or clean_text(name, _LONGEST_NAME) != name:
            raise FieldError(f"name: must be 1 to {_LONGEST_NAME} printable characters", "name")
        if scope not in _SCOPES:
            raise FieldError("scope: must be read or full", "scope")

        def add() -> ApiToken:
            try:
                return self._db.api_tokens.add(name, token_hash, scope, expires_at)
            except DuplicateKey as error:
                # Not the words of the error, which name the hash where that is the same.
                raise TakenError("name: another token is called so; choose another name", "name") from error

        return self._write(add)

    def revoke_token(self, token_id: int) -> None:
        """See `AccessApi`."""

        def revoke() -> None:
            if self._db.api_tokens.get(token_id) is None:
                raise UnknownError(f"no token has the id {token_id}")
            self._db.api_tokens.delete(token_id)

        self._write(revoke)

    def _write(self, change: Callable[[], T]) -> T:
        """Do a change on the engine's loop and wait until it is on disk."""

        async def run() -> T:
            result = change()
            await self._db.commit()
            return result

        return self._caller.call(run)
