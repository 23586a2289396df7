"""Fixtures of the browser tests: one browser for this folder's tests of a worker, a window for each test."""

import pytest
from playwright.sync_api import expect

from exporter.web_server import BoundedServer
from onboarding_ui import create_app
from onboarding_ui.api.bodies import LARGEST_BODY, TOO_LARGE
from tests.browser.chromium import Window, chromium
from tests.ui.fake_engine import FakeEngine


@pytest.fixture(scope="package")
def browser():
    """Not for the whole session: while it runs, its thread cannot start another event loop, as other tests do."""
    expect.set_options(timeout=20_000)
    with chromium() as running:
        yield running


@pytest.fixture
def window(browser):
    """Opens windows: ``window(address, size=PHONE, theme="dark")``; no page may have had a fault at the end."""
    opened = []

    def make(address, **options):
        opened.append(Window(browser, address, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
    assert [fault for each in opened for fault in each.faults] == []


@pytest.fixture
def engine():
    """A flock in memory with every kind of record."""
    return FakeEngine()


@pytest.fixture
def serve():
    """Serves applications as the program serves them: ``serve(app)`` returns the address."""
    running = []

    def start(app):
        server = BoundedServer(app, what="the web UI", option="none", largest_body=LARGEST_BODY, too_large=TOO_LARGE)
        server.start("127.0.0.1", 0)
        running.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def served(engine, serve):
    """The address of the web UI over `engine`."""
    return serve(create_app(engine))
