"""Debian's Chromium without a window, and a page of it that tells what went wrong on it. Loopback only."""

import contextlib
import re
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

#: Nothing but this machine can be reached, whatever a page or the browser itself asks for.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)
#: What the browser itself says of an answer that is an error; the tests look at the answer.
_EXPECTED = re.compile(r"Failed to load resource: (the server responded with a status of [45]|net::ERR_FAILED)")


@contextlib.contextmanager
def chromium():
    """A running browser."""
    binary = shutil.which("chromium")
    assert binary, "chromium is missing; run tests/install-packages"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One window with cookies of its own; `page` is its page.

    Attributes:
        faults: what the page's console called an error (a script that fails, what the content policy refused).
    """

    def __init__(self, browser, address, *, size=DESK, theme="light"):
        self.address = address
        self.faults = []
        self.context = browser.new_context(
            base_url=address, viewport=size, color_scheme=theme, reduced_motion="reduce", locale="en-GB"
        )
        self.context.set_default_timeout(30_000)
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _heard(self, message):
        if message.type == "error" and not _EXPECTED.match(message.text):
            self.faults.append(message.text)

    def open(self, path):
        """Go to a page of the program; returns its status."""
        return self.page.goto(path).status

    def overflow(self):
        """By how many pixels the page can be scrolled sideways."""
        return self.page.evaluate("window.scrollTo(99999, 0), window.scrollX")

    def keep(self, name):
        """Keep a picture of the whole page under build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def close(self):
        self.context.close()
