"""The page Manage configuration: what a miner on USB said of its configuration, and asking it again."""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Blueprint, render_template

from exporter.engine.client import EngineApi
from onboarding_ui.views.paging import known, records_by_id

_SHOWN_COMMANDS: Final = 20
_UNDER_WAY: Final = ("pending", "running")


def config_lines(text: str | None) -> tuple[tuple[str, str], ...]:
    """The keys and values of a stored configuration, as text; empty where none was read.

    Secrets were masked before it was stored. A configuration that is no JSON object is shown as one line.
    """
    if not text:
        return ()
    try:
        document = json.loads(text)
    except ValueError:
        return (("not readable", text),)
    if not isinstance(document, dict):
        return (("not readable", text),)
    return tuple((str(key), _as_text(value)) for key, value in document.items())


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def manage_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("manage", __name__)

    @pages.get("/miners/manage/<int:miner_id>")
    def manage(miner_id: int) -> str:
        record = known(records_by_id(engine).get(miner_id), "miner", miner_id)
        row = known(engine.miners.row(miner_id), "miner", miner_id)
        commands = engine.miners.commands(miner_id)[::-1]
        return render_template(
            "manage.html",
            record=record,
            row=row,
            on_usb=record.usb is not None,
            config=config_lines(row.last_config_json),
            commands=commands[:_SHOWN_COMMANDS],
            under_way=next((command for command in commands if command.status in _UNDER_WAY), None),
            control=engine.program.settings().control.enabled,
        )

    return pages
