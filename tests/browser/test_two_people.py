"""Two people on the same page at once: the later one is told, and nothing of the other's is lost."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(180)


def add(shown, password):
    shown.page.locator("main input[type=password]").fill(password)
    shown.page.get_by_role("button", name="Add", exact=True).click()


def test_a_list_of_passwords_that_was_overtaken_is_not_written(served, engine, window):
    mine, theirs = window(served), window(served)
    for shown in (mine, theirs):
        shown.open("/settings/credentials")
    expect(mine.page.locator("ol.credentials > li")).to_have_count(2)
    add(theirs, "theirs")
    expect(theirs.page.locator("ol.credentials > li")).to_have_count(3)

    add(mine, "mine")
    expect(mine.page.locator("#messages")).to_contain_text("load it again")
    mine.page.get_by_role("button", name="Try later").first.click()
    expect(mine.page.locator("#messages")).to_contain_text("load it again")
    stored = [(one.driver, one.password.reveal()) for one in engine.program.credentials()]
    assert stored == [("vnish", "hunter2-vnish"), ("antminer", "hunter2-root"), ("*", "theirs")]

    mine.page.reload()
    add(mine, "mine")
    expect(mine.page.locator("ol.credentials > li")).to_have_count(4)
    assert engine.program.credentials()[-1].password.reveal() == "mine"
