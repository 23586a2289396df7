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


def api(shown, method, path, **body):
    """What another person does meanwhile."""
    answer = shown.page.request.fetch(path, method=method, data=body)
    assert answer.ok, answer.text()


def sent_by(shown, method):
    """The bodies that a window sends with `method`, as they come."""
    bodies = []
    shown.page.on("request", lambda request: request.method == method and bodies.append(request.post_data_json))
    return bodies


def test_a_miners_settings_change_only_what_a_person_changed(served, engine, window):
    engine.miners.change(1, {"chipset": "BM1370", "labels": {"rack": "r1"}})
    mine, theirs = window(served), window(served)
    mine.open("/miners/1")
    mine.page.get_by_label("Where it stands").fill("on the shelf")
    api(theirs, "PATCH", "/api/miners/1", chipset="BM1397", labels={"rack": "r7", "site": None}, currency="BCH")

    bodies = sent_by(mine, "PATCH")
    mine.page.locator("form", has=mine.page.get_by_label("Where it stands")).get_by_role("button", name="Save").click()
    expect(mine.page.locator("#messages")).to_contain_text("Saved.")
    row = engine.miners.row(1)
    assert bodies == [{"location_notes": "on the shelf"}]
    assert (row.location_notes, row.chipset, row.currency) == ("on the shelf", "BM1397", "BCH")
    assert dict(row.own_labels) == {"rack": "r7"}
    # What the other changed stands in the form then, and is not sent back.
    expect(mine.page.get_by_label("Chipset")).to_have_value("BM1397")
    expect(mine.page.get_by_label("Rack")).to_have_value("r7")
    expect(mine.page.get_by_label("Currency")).to_have_value("BCH")
    expect(mine.page.get_by_label("Where it stands")).to_have_value("on the shelf")


def test_a_wallet_keeps_what_another_person_changed(served, engine, window):
    mine, theirs = window(served), window(served)
    mine.open("/wallets/1")
    mine.page.get_by_text("Edit", exact=True).click()
    mine.page.get_by_label("Name").fill("Savings")
    api(theirs, "PATCH", "/api/wallets/1", pool=None)
    assert engine.wallets.get(1).wallet.pool is None

    bodies = sent_by(mine, "PATCH")
    mine.page.get_by_role("button", name="Save").click()
    expect(mine.page.locator("h1")).to_have_text("Savings")
    assert bodies == [{"name": "Savings"}]
    stored = engine.wallets.get(1).wallet
    assert (stored.name, stored.pool, stored.currency) == ("Savings", None, "BTC")


def test_a_form_in_which_nothing_was_changed_says_so_and_sends_nothing(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/wallets/1")
    bodies = sent_by(shown, "PATCH")
    page.get_by_text("Edit", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages .message.ok")).to_contain_text("Nothing was changed")
    page.get_by_label("Name").fill("Savings")
    page.get_by_label("Name").fill("Solo savings")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages .message")).to_have_count(1)
    assert bodies == []
    # A field that is emptied was changed.
    page.get_by_label("Pool", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".lead")).to_contain_text("any pool")
    assert bodies == [{"pool": None}]
    assert engine.wallets.get(1).wallet.pool is None


def test_an_edited_field_stays_while_the_rest_of_the_form_follows(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    page.evaluate("for (const each of document.querySelectorAll('[data-live]')) each.dataset.live = 1")
    page.get_by_label("Where it stands").fill("on the shelf")
    engine.miners.change(1, {"chipset": "BM1397", "location_notes": "in the cellar"})
    expect(page.get_by_label("Chipset")).to_have_value("BM1397")
    expect(page.get_by_label("Where it stands")).to_have_value("on the shelf")
