"""What pages look like beside their first sight: dialogs, selections, errors, and the pages before the sign-in."""

import itertools

import pytest
from playwright.sync_api import expect

from exporter.errors import StoreError
from exporter.store.secret import Secret
from onboarding_ui import create_app
from onboarding_ui.auth.passwords import hash_password
from onboarding_ui.options import UiOptions
from tests.browser.chromium import PHONE
from tests.browser.test_every_page import check_as_it_is

pytestmark = pytest.mark.timeout(180)

PASSWORD = "a long enough one"
LINK = "/set-password?token=one-time"


# --- before the sign-in ---


@pytest.fixture
def first_start(engine, serve):
    """The UI on every interface, before it has a password."""
    return serve(create_app(engine, UiOptions(loopback=False, setup_token=Secret("one-time"))))


@pytest.fixture
def closed(engine, serve):
    """The UI behind a password."""
    engine.access.set_password(hash_password(PASSWORD))
    return serve(create_app(engine))


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [("setup", "/sign-in", 200), ("set-password", LINK, 200), ("set-password-spent", "/set-password?token=spent", 403)],
)
def test_the_pages_of_a_first_start(window, first_start, name, path, status):
    shown = window(first_start)
    assert shown.open(path) == status
    check_as_it_is(shown, name)


def test_a_first_password_that_is_refused(window, first_start):
    shown = window(first_start)
    shown.open(LINK)
    shown.page.get_by_label("New password").fill(PASSWORD)
    shown.page.get_by_label("The same again").fill("another")
    shown.page.get_by_role("button", name="Set the password").click()
    expect(shown.page.get_by_label("The same again")).to_have_attribute("aria-invalid", "true")
    check_as_it_is(shown, "set-password-refused")


def test_the_sign_in(window, closed):
    shown = window(closed)
    assert shown.open("/sign-in") == 200
    check_as_it_is(shown, "sign-in")
    shown.page.locator("main").get_by_label("Password").fill("a wrong one")
    shown.page.get_by_role("button", name="Sign in").click()
    expect(shown.page.locator("main").get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    check_as_it_is(shown, "sign-in-refused")


def test_access_with_a_password_and_a_new_token(window, closed):
    shown = window(closed)
    page = shown.page
    shown.open("/sign-in")
    page.locator("main").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{closed}/")
    shown.open("/settings/access")
    page.get_by_label("Name").fill("home assistant")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#new-token")).to_be_visible()
    check_as_it_is(shown, "access-token")


# --- errors ---


@pytest.mark.parametrize(("name", "path"), [("error-no-page", "/nowhere"), ("error-no-miner", "/miners/999")])
def test_what_is_not_there(window, served, name, path):
    shown = window(served)
    assert shown.open(path) == 404
    check_as_it_is(shown, name)


def test_what_fails_for_now(window, served, engine, monkeypatch):
    def fail():
        raise StoreError("the disk is full")

    monkeypatch.setattr(engine.wallets, "all", fail)
    shown = window(served)
    assert shown.open("/wallets") == 503
    check_as_it_is(shown, "error-for-now")


def test_a_refused_field_and_a_message(window, served):
    shown = window(served)
    page = shown.page
    shown.open("/wallets")
    page.locator("main").get_by_label("Name").fill("Cash")
    page.get_by_label("Currency").select_option("BTC")
    page.get_by_label("Address").fill("bc1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq9e75rs")
    page.route("**/api/wallets", lambda route: route.abort())
    page.get_by_role("button", name="Add the wallet").click()
    expect(page.locator("#messages .message.bad")).to_be_visible()
    page.unroute("**/api/wallets")
    page.get_by_role("button", name="Add the wallet").click()
    expect(page.locator("main").get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    check_as_it_is(shown, "form-refused")


def test_a_page_that_is_not_up_to_date(window, served):
    shown = window(served)
    page = shown.page
    shown.open("/")
    page.route(f"{served}/", lambda route: route.abort())
    page.evaluate("for (const each of document.querySelectorAll('[data-live]')) each.dataset.live = 1")
    expect(page.locator("#stale")).to_contain_text("Not up to date since")
    check_as_it_is(shown, "stale")


# --- dialogs, selections, names ---


@pytest.mark.parametrize(("name", "button"), [("dialog-add", "Add by address"), ("dialog-scan", "Scan now")])
def test_a_dialog_of_the_flock(window, served, name, button):
    shown = window(served)
    shown.open("/")
    shown.page.get_by_role("button", name=button).click()
    expect(shown.page.get_by_role("dialog")).to_be_visible()
    check_as_it_is(shown, name)


def test_selected_miners_and_the_command_to_them(window, served):
    shown = window(served)
    page = shown.page
    shown.open("/")
    for number in (1, 3, 5):
        page.locator(f"#flock input[name=select][value='{number}']").check()
    expect(page.locator("#selection")).to_contain_text("3 selected")
    check_as_it_is(shown, "selection")
    page.get_by_role("button", name="Command …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Command", exact=True).select_option("pool")
    check_as_it_is(shown, "dialog-command")
    dialog.get_by_label("Command", exact=True).select_option("restart")
    dialog.locator("form button[type=submit]").click()
    expect(dialog.locator("[data-question]")).to_contain_text("Restart")
    check_as_it_is(shown, "dialog-outlook")


def test_a_question_before_a_change(window, served):
    shown = window(served)
    shown.open("/miners/1")
    shown.page.get_by_role("button", name="Forget").first.click()
    expect(shown.page.get_by_role("dialog")).to_contain_text("comes back as a new miner")
    check_as_it_is(shown, "dialog-question")


@pytest.mark.parametrize(("name", "path"), [("rename-flock", "/"), ("rename-miner", "/miners/1")])
def test_a_name_that_is_being_changed(window, served, name, path):
    shown = window(served)
    page = shown.page
    shown.open(path)
    page.get_by_role("button", name="Rename garage").focus()
    page.keyboard.press("Enter")
    field = page.locator(".inline-edit input")
    expect(field).to_be_focused()
    check_as_it_is(shown, name)
    field.fill("attic")
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    check_as_it_is(shown, f"{name}-refused")


# --- charts on a phone ---


@pytest.mark.parametrize("chosen", ["1h", "6h", "24h", "7d"])
def test_words_of_a_chart_do_not_touch_on_a_phone(window, served, engine, chosen):
    engine.history.prometheus = True
    shown = window(served, size=PHONE)
    shown.open(f"/miners/1?range={chosen}")
    axes = shown.page.locator(".plot .x").evaluate_all(
        "all => all.map((axis) => [...axis.children].filter((word) => word.offsetWidth)"
        ".map((word) => { const box = word.getBoundingClientRect();"
        " return [box.left, box.right, box.height / parseFloat(getComputedStyle(word).fontSize)]; }))"
    )
    assert axes
    for words in axes:
        assert len(words) >= 3
        assert all(lines < 2 for _, _, lines in words), "on one line"
        gaps = [after[0] - before[1] for before, after in itertools.pairwise(words)]
        assert min(gaps) >= 8, gaps
