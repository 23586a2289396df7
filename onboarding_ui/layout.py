"""What every page shows around its own content: the colours a person chose, and whether changes reach the disk."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, request

from exporter.engine.client import EngineApi
from exporter.errors import UnavailableError
from onboarding_ui.states import state_words

#: The cookie the colour choice is kept in (written by static/js/theme.js) and its values; anything else is "auto".
THEME_COOKIE: Final = "theme"
THEMES: Final = ("light", "dark")

#: Path, words and whether paths below it belong to it.
NAVIGATION: Final = (
    ("/", "Flock", ("/miners/", "/bulk/")),
    ("/devices", "New devices", ()),
    ("/wallets", "Wallets", ("/wallets/",)),
    ("/models", "Models", ()),
    ("/diagnostics", "Diagnostics", ()),
    ("/settings/", "Settings", ("/settings/", "/audit")),
)


def current_path(path: str) -> str | None:
    """The entry of the navigation that a page at `path` belongs to; None where it belongs to none."""
    for target, _, below in NAVIGATION:
        if path == target or path.startswith(below):
            return target
    return None


def register_layout(app: Flask, engine: EngineApi) -> None:
    """Give all templates `theme`, `navigation`, `current`, `write_error()` and the filter `state_words`."""
    app.jinja_env.filters["state_words"] = state_words

    def write_error() -> str | None:
        try:
            return engine.program.write_error()
        except UnavailableError as error:
            return str(error)

    @app.context_processor
    def layout() -> dict[str, Any]:
        theme = request.cookies.get(THEME_COOKIE, "")
        return {
            "theme": theme if theme in THEMES else "auto",
            "navigation": NAVIGATION,
            "current": current_path(request.path),
            "write_error": write_error,
        }
