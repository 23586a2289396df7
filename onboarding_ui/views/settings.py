"""The pages of the settings: the configuration that runs, and the device passwords."""

from __future__ import annotations

from flask import Blueprint, render_template

from exporter.engine.client import EngineApi
from onboarding_ui.api.access import version_of
from onboarding_ui.credential_lists import EVERY_DRIVER, credential_views, kept
from onboarding_ui.settings_text import setting_sections


def settings_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the pages."""
    pages = Blueprint("settings", __name__)

    @pages.get("/settings/")
    def settings() -> str:
        drivers = engine.program.drivers()
        return render_template(
            "settings.html",
            sections=setting_sections(engine.program.settings(), engine.program.by_command_line()),
            config_file=engine.program.config_file(),
            loaded=[driver for driver in drivers if driver.error is None],
            rejected=[driver for driver in drivers if driver.error is not None],
        )

    @pages.get("/settings/credentials")
    def credentials() -> str:
        stored = engine.program.credentials()
        loaded = sorted({driver.driver_type for driver in engine.program.drivers() if driver.error is None})
        return render_template(
            "credentials.html",
            views=credential_views(stored),
            kept=kept(stored),
            version=version_of(stored),
            drivers=[(EVERY_DRIVER, "every driver"), *((name, name) for name in loaded)],
        )

    return pages
