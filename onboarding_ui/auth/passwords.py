"""The password of the web UI: its bounds and its hash (scrypt, from Werkzeug)."""

from __future__ import annotations

import threading
from typing import Final

from werkzeug.security import check_password_hash, generate_password_hash

from exporter.errors import FieldError
from exporter.store.secret import Secret

SHORTEST: Final = 8
LONGEST: Final = 256

#: One check takes 32 MiB and about a tenth of a second; more at a time would only hold up the polls.
_turn: Final = threading.Lock()
_nobodys: list[str] = []


def hash_password(password: str, repeated: str | None = None) -> Secret:
    """The hash to store.

    Args:
        repeated: the password as it was typed a second time; None where nobody was asked to.

    Raises:
        FieldError: too short, too long, or the second one differs.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise FieldError(f"must have {SHORTEST} to {LONGEST} characters", "password")
    if repeated is not None and repeated != password:
        raise FieldError("is not the same as the first one; type both again", "repeated")
    with _turn:
        return Secret(generate_password_hash(password))


def check_password(stored: Secret | None, password: str) -> bool:
    """Whether `password` is the one of the hash `stored`. Takes as long where there is none."""
    with _turn:
        if stored is None and not _nobodys:
            _nobodys.append(generate_password_hash(""))
        hashed = _nobodys[0] if stored is None else stored.reveal()
        right = check_password_hash(hashed, password[:LONGEST])
    return right and stored is not None and len(password) <= LONGEST
