"""The page Diagnostics: live answers to "why does it not work?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template

from exporter.engine.api.program import Check
from exporter.engine.client import EngineApi
from onboarding_ui.views.paging import records_by_id

#: The groups in the order of the page, and their headings.
GROUPS: Final = {
    "discovery": "Finding miners",
    "usb": "Boards on USB",
    "offline": "Miners that do not answer",
    "wallets": "Wallets and matching",
    "shares": "Shares",
    "program": "The program itself",
}
#: From the worst to the best.
STATES: Final = ("problem", "warning", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class CheckGroup:
    """Checks of one subject, the worst first."""

    name: str
    heading: str
    checks: tuple[Check, ...]


def grouped(checks: Sequence[Check]) -> tuple[CheckGroup, ...]:
    """The checks by subject in the order of the page; a subject the page does not know comes last."""
    names = [*GROUPS, *sorted({check.group for check in checks} - GROUPS.keys())]
    groups = (
        CheckGroup(
            name,
            GROUPS.get(name, name.capitalize()),
            tuple(sorted((check for check in checks if check.group == name), key=_badness)),
        )
        for name in names
    )
    return tuple(group for group in groups if group.checks)


def _badness(check: Check) -> int:
    return STATES.index(check.state) if check.state in STATES else 0


def diagnostics_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("diagnostics", __name__)

    @pages.get("/diagnostics")
    def diagnostics() -> str:
        checks = engine.program.checks()
        return render_template(
            "diagnostics.html",
            groups=grouped(checks),
            counts={state: sum(check.state == state for check in checks) for state in STATES},
            records=records_by_id(engine),
        )

    return pages
