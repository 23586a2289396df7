"""Changes that are slow, refused or lost on the way: the page shows what is stored, and says what is not known."""

import dataclasses

import pytest
from playwright.sync_api import expect

from tests.browser.live import hurry, refreshed

pytestmark = pytest.mark.timeout(180)

ONE = "**/api/miners/1"


def is_change(route):
    return route.request.method == "PATCH"


class Held:
    """Holds changes of a page back until they are released, one by one and in any order."""

    def __init__(self, page, url=ONE):
        self.page = page
        self.routes = []
        page.route(url, lambda route: self.routes.append(route) if is_change(route) else route.continue_())

    def until(self, count):
        """Wait until so many were sent in all."""
        for _ in range(400):
            if len(self.routes) >= count:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{len(self.routes)} of {count} changes were sent")

    @property
    def bodies(self):
        return [route.request.post_data_json for route in self.routes]


def lose_answers(page, url=ONE):
    """Changes reach the program, and their answers get lost."""

    def lose(route):
        if is_change(route):
            route.fetch()
            return route.abort()
        return route.continue_()

    page.route(url, lose)


def clicked_once(shown):
    """The page, its switch of the first miner, and what holds the change back that a click on it sent."""
    shown.open("/")
    switch = shown.page.get_by_role("switch", name="Poll garage")
    held = Held(shown.page)
    switch.click()
    held.until(1)
    return shown.page, switch, held


def test_a_switch_ends_as_it_was_clicked_last_however_slow_the_answers_are(served, engine, window):
    page, switch, held = clicked_once(window(served))
    switch.click()
    expect(switch).to_be_checked()
    page.wait_for_timeout(200)
    assert held.bodies == [{"managed": False}], "one at a time"
    held.routes[0].continue_()
    held.until(2)
    expect(switch).to_be_checked()
    expect(switch).to_have_attribute("aria-busy", "true")
    held.routes[1].continue_()
    expect(switch).not_to_have_attribute("aria-busy", "true")
    assert held.bodies == [{"managed": False}, {"managed": True}]
    assert engine.miners.row(1).managed is True
    expect(switch).to_be_checked()

    # It follows what others change from then on.
    engine.miners.change(1, {"managed": False})
    hurry(page)
    expect(switch).not_to_be_checked()


def test_clicks_in_between_are_not_sent(served, engine, window):
    _, switch, held = clicked_once(window(served))
    for _ in range(6):
        switch.click()
    held.routes[0].continue_()
    expect(switch).not_to_have_attribute("aria-busy", "true")
    assert held.bodies == [{"managed": False}], "it is what the server has already"
    assert engine.miners.row(1).managed is False
    expect(switch).not_to_be_checked()


def test_only_the_last_choice_counts_where_the_first_is_refused(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/models")
    choice = page.locator("select[data-patch='/api/models/s19jpro']")
    held = Held(page, "**/api/models/s19jpro")
    choice.select_option("2600")
    held.until(1)
    choice.select_option("4200")
    held.routes[0].fulfill(status=503, json={"error": "the disk is full", "field": None})
    held.until(2)
    expect(choice).to_have_value("4200")
    held.routes[1].fulfill(status=503, json={"error": "the disk is full", "field": None})
    expect(choice).to_have_value("3250")
    expect(page.locator("#messages .message.bad")).to_have_count(1)
    assert engine.models.all()[0].max_preset == "3250"


def test_a_page_asked_for_before_a_change_does_not_show_the_old_state(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/")
    old = page.content()
    asked = []

    def late(route):
        if not asked:
            asked.append(route)
        else:
            route.continue_()

    page.route(f"{served}/", late)
    hurry(page)
    for _ in range(200):
        if asked:
            break
        page.wait_for_timeout(50)
    assert asked, "the page was asked for"
    switch = page.get_by_role("switch", name="Poll garage")
    with page.expect_response(ONE):
        switch.click()
    expect(switch).not_to_have_attribute("aria-busy", "true")
    page.evaluate(
        "window.flips = 0; new MutationObserver(() => window.flips++)"
        ".observe(document.querySelector('[aria-label=\"Rename garage\"]').closest('tr')"
        ".querySelector('[role=switch]'), {attributes: true, attributeFilter: ['checked']})"
    )
    asked[0].fulfill(body=old, content_type="text/html")
    refreshed(page)
    expect(switch).not_to_be_checked()
    assert page.evaluate("window.flips") == 0
    assert engine.miners.row(1).managed is False


def test_a_lost_answer_is_not_taken_for_no_change(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    lose_answers(page)
    switch = page.get_by_role("switch", name="Poll this miner")
    switch.click()
    told = page.locator("#messages .message.bad")
    expect(told).to_contain_text("not known whether the change was made")
    expect(told).not_to_contain_text("Nothing was changed")
    expect(told).not_to_contain_text("Not changed")
    assert engine.miners.row(1).managed is False
    expect(switch).not_to_be_checked()  # the page looked for itself

    page.get_by_role("button", name="Dismiss").click()
    page.get_by_label("Chipset").fill("BM1397")
    page.locator("form", has=page.get_by_label("Chipset")).get_by_role("button", name="Save").click()
    expect(told).to_contain_text("look before you repeat it")
    assert engine.miners.row(1).chipset == "BM1397"


@pytest.mark.parametrize("status", [502, 504])
def test_what_a_gateway_answers_is_not_taken_for_no_change(served, engine, window, status):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")

    def cut_off(route):
        if not is_change(route):
            return route.continue_()
        route.fetch()
        return route.fulfill(status=status, content_type="text/html", body="<h1>Gateway Time-out</h1>")

    page.route(ONE, cut_off)
    switch = page.get_by_role("switch", name="Poll this miner")
    switch.click()
    told = page.locator("#messages .message.bad")
    expect(told).to_contain_text("not known whether the change was made")
    expect(told).not_to_contain_text("Not changed")
    expect(switch).not_to_be_checked()  # the page looked for itself
    assert engine.miners.row(1).managed is False


def test_what_the_program_itself_says_counts_whatever_its_status(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    page.route(
        ONE, lambda route: route.fulfill(status=502, json={"error": "no", "field": None}) if is_change(route) else None
    )
    page.get_by_role("switch", name="Poll this miner").click()
    expect(page.locator("#messages .message.bad")).to_contain_text("Not changed: no")


def test_what_is_typed_while_save_is_under_way_stays_and_is_saved_next(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    form = page.locator("form", has=page.get_by_label("Rack"))
    save = form.get_by_role("button", name="Save")
    rack, stands = page.get_by_label("Rack"), page.get_by_label("Where it stands")
    held = Held(page)
    rack.fill("7")
    save.click()
    held.until(1)
    stands.fill("on the shelf")
    rack.fill("8")
    held.routes[0].continue_()
    expect(page.locator("#messages")).to_contain_text("Saved.")
    refreshed(page)
    expect(stands).to_have_value("on the shelf")
    expect(rack).to_have_value("8")
    save.click()
    held.until(2)
    held.routes[1].continue_()
    expect(form).not_to_have_attribute("aria-busy", "true")
    assert held.bodies == [{"labels": {"rack": "7"}}, {"labels": {"rack": "8"}, "location_notes": "on the shelf"}]
    expect(page.locator("#messages")).not_to_contain_text("Nothing was changed")

    # What is stored now is followed again.
    hurry(page)
    engine.miners.change(1, {"location_notes": "in the hall"})
    rack.focus()
    expect(stands).to_have_value("in the hall")


def test_only_the_password_that_was_sent_leaves_the_page(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/3")
    page.get_by_text("Device password").click()
    password = page.locator("#password [type=password]")
    held = Held(page, "**/api/miners/3")
    password.fill("first")
    page.locator("#password button[type=submit]").click()
    held.until(1)
    password.fill("second")
    held.routes[0].continue_()
    expect(page.locator("#messages")).to_contain_text("The password was stored.")
    expect(password).to_have_value("second")
    page.locator("#password button[type=submit]").click()
    held.until(2)
    held.routes[1].continue_()
    expect(password).to_have_value("")
    assert [body["unlock_pass"] for body in held.bodies] == ["first", "second"]


def test_a_page_that_is_loaded_anew_after_saving_is_not_where_something_was_typed_meanwhile(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/wallets/1")
    page.get_by_text("Edit", exact=True).click()
    form = page.locator("#edit form")
    name, address = form.get_by_label("Name"), form.get_by_label("Address")
    held = Held(page, "**/api/wallets/1")
    name.fill("Nest egg")
    form.get_by_role("button", name="Save").click()
    held.until(1)
    address.fill("bc1qhalf-way")
    held.routes[0].continue_()
    expect(page.locator("#messages")).to_contain_text("Saved")
    refreshed(page)
    expect(address).to_have_value("bc1qhalf-way")
    assert engine.wallets.get(1).wallet.name == "Nest egg"


def test_a_question_that_is_not_answered_changes_nothing(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    page.route("**/exchanges", lambda route: route.abort())
    page.get_by_text("Last exchanges with the device").click()
    expect(page.locator("[data-exchanges-list]")).to_contain_text("Flockwatch does not answer")
    expect(page.locator("[data-exchanges-list]")).not_to_contain_text("change")


def test_what_is_wrong_with_a_field_stays_beside_it_over_refreshes(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/devices")
    card = page.locator("[data-key='device-1']")
    card.get_by_label("Miner name").fill("garage")
    card.get_by_label("Currency").select_option("BTC")
    card.get_by_role("button", name="Onboard").click()
    error = card.locator(".field-error").first
    expect(error).to_contain_text("garage")
    refreshed(page, 2)
    expect(error).to_contain_text("garage")
    expect(error).to_be_visible()


def test_a_button_that_waits_for_its_answer_stays_shut_over_refreshes(served, engine, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    sent = []
    page.route("**/rescan", lambda route: sent.append(route))
    ask = page.get_by_role("button", name="Ask now").first
    with page.expect_request("**/rescan"):
        ask.click()
    hurry(page)
    engine.change(1, name="shed")  # so that there is something new to show
    expect(page.locator("h1")).to_have_text("shed")
    expect(ask).to_be_disabled()
    sent[0].continue_()
    expect(ask).to_be_enabled()


def test_a_suggested_name_is_stored_when_it_is_kept(served, engine, window):
    shown = window(served)
    page = shown.page
    own = engine.records[12].name
    shown.open("/devices")
    row = page.locator("#unnamed [data-key='miner-12']")
    expect(row.get_by_label("Name")).to_have_value(own)
    row.get_by_label("Currency").select_option("BTC")
    row.get_by_role("button", name="Save").click()
    expect(row).to_have_count(0)
    assert (engine.miners.row(12).name, engine.miners.row(12).currency) == (own, "BTC")


def test_a_choice_that_nobody_made_follows_what_becomes_known(served, engine, window):
    boards = engine.devices.waiting()
    wallet = boards[0].dumped_wallet_address
    engine.devices.waiting = lambda: tuple(boards)
    shown = window(served)
    shown.open("/devices")
    card = shown.page.locator("[data-key='device-2']")
    expect(card.get_by_label("Currency")).to_have_value("")
    boards = (boards[0], dataclasses.replace(boards[1], dumped_wallet_address=wallet), *boards[2:])
    expect(card.get_by_label("Currency")).to_have_value("BTC")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"asking": True}, "The pool is being asked."),
        ({"error": "the server answers 500"}, "could not be had: the server answers 500"),
        ({"statistics": None}, "The pool has told nothing yet."),
        ({"later": True}, "The pool has answered."),
        ({}, "The pool was asked less than a minute ago"),
    ],
)
def test_what_came_of_asking_the_pool_is_told(served, engine, window, changes, words):
    shown = window(served)
    page = shown.page
    shown.open("/wallets/1")
    answer = page.request.get(f"{served}/api/wallets/1").json()
    if changes.get("later"):
        answer["statistics"]["refreshed_at"] += 60
    page.route("**/wallets/1/refresh", lambda route: route.fulfill(json={**answer, **changes}))
    page.get_by_role("button", name="Ask the pool now").click()
    expect(page.locator("#messages .message")).to_contain_text(words)


def test_the_button_that_asks_the_pool_comes_when_a_server_is_known(served, engine, window):
    before = engine.wallets.get(1).wallet
    engine.wallets._wallets[1] = dataclasses.replace(before, pool="10.0.0.9:3333")
    shown = window(served)
    page = shown.page
    shown.open("/wallets/1")
    ask = page.get_by_role("button", name="Ask the pool now")
    expect(ask).to_have_count(0)
    engine.wallets._wallets[1] = before
    hurry(page)
    expect(ask).to_be_visible()
