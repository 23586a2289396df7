"""Who sent a request, and with what rights."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g

from onboarding_ui.auth.tokens import FULL


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        who: for the log, for example 'token "grafana"'; no secret.
        scope: "read" or "full".
        by_browser: the browser proves it without being asked (a cookie, basic auth, or nothing is asked for), so that
            a page of somebody else's could make use of it.
        signed_in: there is a session that can be ended.
    """

    who: str
    scope: str = FULL
    by_browser: bool = True
    signed_in: bool = False


def current_caller() -> Caller | None:
    """Who sent the request that is being answered; None on the pages that are open to everybody."""
    caller: Caller | None = g.get("flockwatch_caller")
    return caller


def set_caller(caller: Caller | None) -> None:
    """Remember who sent the request."""
    g.flockwatch_caller = caller
