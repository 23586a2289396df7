"""The store of sign-ins: the password of the web UI, sessions, API tokens. Hashing is the caller's."""

from __future__ import annotations

from typing import Protocol

from exporter.store.rows import ApiToken, UiSession
from exporter.store.secret import Secret


class AccessApi(Protocol):
    """See the module and the package."""

    def password_hash(self) -> Secret | None:
        """The stored hash; None where no password was set."""
        ...

    def set_password(self, password_hash: Secret | None) -> None:
        """Store a new hash (None: no password); ends all sessions."""
        ...

    def session(self, token_hash: str) -> UiSession | None:
        """The session of a cookie's hash, also when its time is over."""
        ...

    def add_session(self, token_hash: Secret, created_at: float, expires_at: float) -> UiSession: ...

    def extend_session(self, token_hash: str, expires_at: float) -> None:
        """Let a session that is used live longer, if it is there."""
        ...

    def end_session(self, token_hash: str) -> None:
        """End a session, if it is there."""
        ...

    def end_all_sessions(self) -> None: ...

    def tokens(self) -> tuple[ApiToken, ...]: ...

    def token(self, token_hash: str) -> ApiToken | None: ...

    def add_token(self, name: str, token_hash: Secret, scope: str, expires_at: float | None = None) -> ApiToken:
        """Raises `FieldError` (name, scope), `TakenError` (name)."""
        ...

    def revoke_token(self, token_id: int) -> None:
        """Raises `UnknownError`."""
        ...
