"""Pools as settings of a device list them: address, user and password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: A place in the list that holds no pool.
EMPTY_POOL: Final[Mapping[str, str]] = {"url": "", "user": "", "pass": ""}


def is_starred(password: Any) -> bool:
    """Whether what a device told as a password is only stars: written back, it would replace the password."""
    return isinstance(password, str) and len(password) >= 3 and set(password) <= {"*", "•"}


def same_pool(url: str | None, user: str | None, place: str, wanted_user: str) -> bool:
    """Whether a pool is the one at `place` (``host:port``) for this user, whatever scheme stands before its address."""
    return url is not None and url.rpartition("://")[2].lower() == place.lower() and user == wanted_user
