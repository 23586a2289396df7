"""The pages of the settings: the configuration that runs, and the device passwords."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, current_app, render_template

from exporter.engine.client import EngineApi
from onboarding_ui.credential_lists import EVERY_DRIVER, credential_views, kept
from onboarding_ui.settings_text import setting_sections

_DRIVER_PAGE: Final = "/settings/miner-driver-updates"


def _has_page(path: str) -> bool:
    return any(rule.rule.rstrip("/") == path for rule in current_app.url_map.iter_rules())


def settings_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the pages."""
    pages = Blueprint("settings", __name__)

    @pages.get("/settings/")
    def settings() -> str:
        drivers = engine.program.drivers()
        return render_template(
            "settings.html",
            sections=setting_sections(engine.program.settings()),
            config_file=engine.program.config_file(),
            loaded=[driver for driver in drivers if driver.error is None],
            rejected=[driver for driver in drivers if driver.error is not None],
            has_driver_page=_has_page(_DRIVER_PAGE),
        )

    @pages.get("/settings/credentials")
    def credentials() -> str:
        stored = engine.program.credentials()
        loaded = sorted({driver.driver_type for driver in engine.program.drivers() if driver.error is None})
        return render_template(
            "credentials.html",
            views=credential_views(stored),
            kept=kept(stored),
            drivers=[(EVERY_DRIVER, "every driver"), *((name, name) for name in loaded)],
        )

    return pages
