"""The page Diagnostics."""

import pytest

from exporter.engine.api.program import Check
from exporter.errors import UnavailableError
from onboarding_ui import create_app
from onboarding_ui.views.diagnostics import GROUPS, grouped
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def test_every_check_with_what_was_found_and_what_to_do(client, engine):
    markup = page(client, "/diagnostics")
    shown = text_of(markup.one("main"))
    for check in engine.program.checks():
        assert check.title in shown
        assert check.found in shown
        assert check.remedy is None or f"What to do: {check.remedy}" in shown
    assert [link.get("href") for link in markup.all("section//a")] == ["/miners/11", "/miners/7"]
    assert "Problem 2 Look at this 1" in shown
    again = markup.one("main//form")
    assert (again.get("method"), again.get("action")) == ("get", "/diagnostics")


def test_groups_come_in_order_and_the_worst_first():
    checks = (
        Check("program", "p", "ok", ""),
        Check("usb", "a", "ok", ""),
        Check("usb", "b", "unknown", ""),
        Check("usb", "c", "problem", ""),
        Check("usb", "d", "warning", ""),
        Check("weather", "w", "odd", ""),
    )
    found = grouped(checks)
    assert [group.name for group in found] == ["usb", "program", "weather"]
    assert [check.title for check in found[0].checks] == ["c", "d", "b", "a"]
    assert found[2].heading == "Weather"
    assert grouped(()) == ()
    assert set(GROUPS) == {"discovery", "usb", "offline", "wallets", "shares", "program"}


def test_a_check_of_a_miner_that_is_gone_has_no_link(client, engine):
    engine.program.checks = lambda: (Check("offline", "Why?", "problem", "gone", "Look.", 999),)
    assert page(client, "/diagnostics").all("section//a") == []


def test_hostile_words_and_no_check_at_all(client, engine):
    engine.program.checks = lambda: (Check(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),)
    assert HOSTILE not in client.get("/diagnostics").text
    page(client, "/diagnostics")
    engine.program.checks = lambda: ()
    assert "Nothing to check" in text_of(page(client, "/diagnostics").one("main"))


def test_an_engine_that_does_not_answer_is_no_fault_of_the_page(client, engine):
    def checks():
        raise UnavailableError("the engine is stopping")

    engine.program.checks = checks
    answer = client.get("/diagnostics")
    assert answer.status_code == 503
    assert "the engine is stopping" in answer.text.lower()
