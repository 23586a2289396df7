"""The ordered list of device passwords for its page: what each button puts in its place. No password is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from exporter.store.rows import Credential

#: Stands for "every driver" in the list.
EVERY_DRIVER: Final = "*"

Entries = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A device password of the list.

    Attributes:
        without: the list without it.
        higher, lower: the list with it one place up or down; None at the ends.
    """

    credential: Credential
    without: Entries
    higher: Entries | None
    lower: Entries | None


def kept(credentials: Sequence[Credential]) -> Entries:
    """The list as the API takes it: an id and no password mean that the stored password stays."""
    return [
        {"id": one.id, "driver": one.driver, "cidr": one.cidr, "username": one.username, "password": None}
        for one in credentials
    ]


def credential_views(credentials: Sequence[Credential]) -> tuple[CredentialView, ...]:
    """The list in the order in which the passwords are tried."""
    entries = kept(credentials)
    return tuple(
        CredentialView(
            credential,
            without=entries[:place] + entries[place + 1 :],
            higher=_swapped(entries, place - 1) if place else None,
            lower=_swapped(entries, place) if place + 1 < len(entries) else None,
        )
        for place, credential in enumerate(credentials)
    )


def _swapped(entries: Entries, place: int) -> Entries:
    return [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
