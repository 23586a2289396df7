"""The page of the drivers: versions, what is rejected, updates and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template

from exporter.engine.api.drivers import DriverStatus
from exporter.engine.client import EngineApi

_WORDS: Final = {
    "up-to-date": ("Up to date", "ok"),
    "update-available": ("Update available", "warn"),
    "own": ("Your own", "off"),
    "error": ("Error", "bad"),
}
_SOURCES: Final = {"bundled": "the program's", "user": "yours"}
#: So many figures of a hash tell files apart at a glance; the whole one is in the question before a change.
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class DriverRow:
    """A driver as the page shows it.

    Attributes:
        words, kind: of its status, and the kind of badge.
        serves: what serves now, in words.
        update: words of the button that puts the program's file in place; None where it is there.
        update_question, rollback_question: what is asked before, with version and whole hash; None where there is
            nothing to do.
    """

    status: DriverStatus
    words: str
    kind: str
    serves: str
    update: str | None
    update_question: str | None
    rollback_question: str | None


def driver_row(status: DriverStatus) -> DriverRow:
    """A driver for the page."""
    words, kind = _WORDS[status.status]
    update = None
    if status.available_sha256 is not None and status.status != "up-to-date":
        update = "Update" if status.update_available else "Use the program's"
    return DriverRow(
        status,
        words,
        kind,
        "nothing" if status.version is None else f"{status.version}, {_SOURCES[status.source or 'bundled']}",
        update,
        None if update is None else _update_question(status),
        None if status.previous_sha256 is None else _rollback_question(status),
    )


def _update_question(status: DriverStatus) -> str:
    return (
        f"Put the program's {status.driver_type} {status.available_version} in place of your {status.file}?"
        f" Its SHA-256 is {status.available_sha256}. Your file is kept beside it as {status.file}.previous, and one"
        " click goes back. Miners of this driver are polled anew; all others go on."
    )


def _rollback_question(status: DriverStatus) -> str:
    return (
        f"Go back to the kept {status.driver_type} {status.previous_version or 'of an unknown version'}? Its SHA-256 is"
        f" {status.previous_sha256}. What is in place now is kept in its stead. Miners of this driver are polled anew;"
        " all others go on."
    )


def all_question(statuses: tuple[DriverStatus, ...]) -> str:
    """What is asked before everything is updated, with the version and the hash of each file."""
    listed = "; ".join(
        f"{one.driver_type} {one.available_version} (SHA-256 {one.available_sha256})" for one in statuses
    )
    return f"Put these in place of your files: {listed}? Each of yours is kept beside it."


def driver_updates_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("driver_updates", __name__)

    @pages.get("/settings/miner-driver-updates")
    def driver_updates() -> str:
        statuses = engine.drivers.all()
        newer = tuple(one for one in statuses if one.update_available)
        return render_template(
            "driver_updates.html",
            rows=[driver_row(status) for status in statuses],
            newer=newer,
            all_question=all_question(newer),
            reload_needed=any(one.reload_needed for one in statuses),
            folder=engine.program.settings().drivers.path,
            short=_SHORT,
        )

    return pages
