"""What people do day by day: the real program over the simulated flock, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import PHONE
from tests.browser.live import hurry, refreshed
from tests.end_to_end.programs import CLIENT, Program, Simulator, wait_for

pytestmark = pytest.mark.timeout(180)

#: Valid, and nobody's: a hash of zeros, as a public key hash and as a script hash.
ADDRESS = "bc1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq9e75rs"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One flock and one program for all tests here; each changes miners and wallets of its own."""
    simulator = Simulator(count=12)
    # An Avalon takes a connection a second: where it is asked who it is as well, that is two seconds and more.
    program = Program(tmp_path_factory.mktemp("flows"), simulator, status=3, telemetry=3, discovery=3)
    try:
        program.start()
        program.until_found(12)
        yield program, simulator
    finally:
        program.stop()
        simulator.stop()


@pytest.fixture
def program(running):
    return running[0]


def api(program, path, method="GET", **options):
    answer = CLIENT.request(method, f"{program.ui}/api/{path}", timeout=20, **options)
    answer.raise_for_status()
    return answer.json()


def miner_of(running, kind, number=0):
    """The miner that a simulated device is."""
    program, simulator = running
    device = simulator.of(kind, number)
    (found,) = (miner for miner in api(program, "miners") if miner["ip_address"] == device["address"])
    return found, device


def row_of(page, miner):
    return page.locator(f"#flock tr[data-key='m{miner['id']}']")


def refusing(status, error):
    """Answers as the API does when it refuses."""
    return lambda route: route.fulfill(status=status, json={"error": error, "field": None})


def test_a_miner_is_renamed_where_it_stands(running, window):
    program, _ = running
    miner, _ = miner_of(running, "bitaxe")
    shown = window(program.ui)
    shown.open("/")
    row = row_of(shown.page, miner)
    row.get_by_role("button", name="Rename").click()
    field = row.get_by_role("textbox")
    field.fill("Workbench")
    field.press("Enter")
    expect(row.locator("a[data-name]")).to_have_text("Workbench")
    assert api(program, f"miners/{miner['id']}")["name"] == "Workbench"
    shown.keep("flow-rename")

    taken = next(each for each in api(program, "miners") if each["id"] != miner["id"])
    CLIENT.patch(f"{program.ui}/api/miners/{taken['id']}", json={"name": "Taken"}, timeout=20).raise_for_status()
    row.get_by_role("button", name="Rename").click()
    row.get_by_role("textbox").fill("taken")
    row.get_by_role("button", name="Save").click()
    expect(row.get_by_role("textbox")).to_have_attribute("aria-invalid", "true")
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator("a[data-name]")).to_have_text("Workbench")


def test_the_ceiling_of_presets_is_kept_and_put_back_when_it_is_refused(running, window):
    program, _ = running
    models = wait_for(lambda: [model for model in api(program, "models") if model["presets"]], "presets of a model")
    model = models[0]
    wanted = model["presets"][0]["name"]
    shown = window(program.ui)
    page = shown.page
    shown.open("/models")
    ceiling = page.locator(f"select[data-patch='/api/models/{model['alias']}']")
    expect(ceiling).to_have_value("")
    ceiling.select_option(wanted)
    expect(page.locator("#messages")).to_contain_text("saved")
    now = {each["alias"]: each["max_preset"] for each in api(program, "models")}
    assert now[model["alias"]] == wanted
    page.reload()
    expect(ceiling).to_have_value(wanted)
    shown.keep("flow-preset")

    page.route("**/api/models/**", refusing(503, "the disk is full"))
    ceiling.select_option("")
    expect(ceiling).to_have_value(wanted)
    expect(page.locator("#messages")).to_contain_text("the disk is full")
    page.unroute("**/api/models/**")
    page.route("**/api/models/**", lambda route: route.abort())
    ceiling.select_option("")
    expect(ceiling).to_have_value(wanted)
    expect(page.locator("#messages")).to_contain_text("not known whether the change was made")


def test_a_wallet_is_added_and_linked_by_hand(running, window):
    program, _ = running
    miner, _ = miner_of(running, "bitaxe", 0)
    shown = window(program.ui)
    page = shown.page
    shown.open("/wallets")
    form = page.locator("#add form")
    form.get_by_label("Name").fill("Savings")
    form.get_by_label("Currency").select_option("BTC")
    form.get_by_label("Address").fill(f"{ADDRESS[:-1]}q")
    form.get_by_role("button", name="Add the wallet").click()
    address = form.get_by_label("Address")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-address-error")).to_contain_text("checksum")
    expect(address).to_be_focused()
    shown.keep("flow-wallet-mistyped")
    address.fill(ADDRESS)
    form.get_by_role("button", name="Add the wallet").click()
    page.wait_for_url(re.compile(r"/wallets/\d+$"))
    expect(page.get_by_role("heading", name="Savings")).to_be_visible()
    expect(page.get_by_text("No miner mines for this wallet")).to_be_visible()
    number = int(page.url.rsplit("/", 1)[1])

    shown.open("/wallets")
    entry = page.locator(f"li[data-key='unmatched-{miner['id']}']")
    expect(entry).to_contain_text("The address in the pool user is no valid one")
    entry.get_by_label("Link by hand").select_option(str(number))
    entry.get_by_role("button", name="Link").click()
    expect(page.locator("#messages")).to_contain_text("linked")
    expect(entry).to_have_count(0)
    shown.open(f"/wallets/{number}")
    row = page.locator(f"tr[data-key='miner-{miner['id']}']")
    expect(row).to_contain_text(re.compile(r"\d\s[kMGT]H/s"))
    assert api(program, f"miners/{miner['id']}")["wallet_ids"] == [number]
    shown.keep("flow-wallet-linked")

    page.get_by_text("Log a share by hand").click()
    page.get_by_label("Difficulty", exact=False).fill("4096")
    page.locator("#share-pool").fill("Solo CKPool")
    page.get_by_role("button", name="Log the share").click()
    expect(page.locator("#shares tbody tr").filter(has_text="by hand")).to_contain_text("4.10 k")
    page.get_by_text("Edit", exact=True).click()
    page.get_by_role("button", name="Delete the wallet").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the wallet").click()
    page.wait_for_url("**/wallets")
    assert [each["id"] for each in api(program, "wallets") if each["id"] == number] == []
    assert ADDRESS not in program.log() + program.page().text


def test_a_miner_that_goes_is_marked_without_loading_the_page(running, window):
    program, simulator = running
    miner, device = miner_of(running, "avalon")
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    row = row_of(page, miner)
    expect(row).not_to_have_class(re.compile("offline"))
    hurry(page)
    simulator.post("fault", address=device["address"], fault="vanish")
    try:
        expect(row).to_have_class(re.compile("offline"), timeout=40_000)
        expect(row).to_contain_text("Offline")
        shown.keep("flow-offline")
    finally:
        simulator.post("fault", address=device["address"], fault=None)
    expect(row).not_to_have_class(re.compile("offline"), timeout=60_000)


def test_a_refresh_loses_nothing_that_a_person_has_begun(running, window):
    program, _ = running
    first, second = api(program, "miners")[:2]
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    for miner in (first, second):
        row_of(page, miner).get_by_role("checkbox", name=re.compile("^Select")).check()
    search = page.get_by_role("searchbox", name="Search")
    search.fill("bita")
    hurry(page)
    refreshed(page, 3)
    for miner in (first, second):
        expect(row_of(page, miner).get_by_role("checkbox", name=re.compile("^Select"))).to_be_checked()
    expect(search).to_have_value("bita")
    expect(search).to_be_focused()
    expect(page.locator("#selection")).to_contain_text("2")


def test_a_switch_is_put_back_when_the_server_refuses(running, window):
    program, _ = running
    miner, _ = miner_of(running, "bitaxe")
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    switch = row_of(page, miner).get_by_role("switch")
    expect(switch).to_be_checked()
    page.route("**/api/miners/*", refusing(500, "an internal error"))
    switch.click()
    expect(page.locator("#messages")).to_contain_text("an internal error")
    expect(switch).to_be_checked()
    page.unroute("**/api/miners/*")
    page.route("**/api/miners/*", lambda route: route.abort())
    switch.click()
    expect(page.locator("#messages")).to_contain_text("not known whether the change was made")
    expect(switch).to_be_checked()
    assert api(program, f"miners/{miner['id']}")["managed"]


def test_a_page_that_is_not_up_to_date_says_since_when(running, window):
    program, _ = running
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    hurry(page)
    page.route("**/", lambda route: route.abort())
    expect(page.locator("#stale")).to_contain_text("Not up to date since")
    page.unroute("**/")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_form_works_with_the_keyboard_alone(running, window):
    program, _ = running
    shown = window(program.ui, size=PHONE)
    page = shown.page
    shown.open("/settings/credentials")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    driver = page.get_by_label("Driver")
    for _ in range(20):
        if driver.evaluate("field => field === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(driver).to_be_focused()
    page.keyboard.type("vnish")
    page.keyboard.press("Tab")
    page.keyboard.type("not a network")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("open sesame")
    page.keyboard.press("Enter")
    network = page.get_by_label("Network")
    expect(network).to_be_focused()
    expect(network).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Control+A")
    page.keyboard.type("10.1.0.0/22")
    page.keyboard.press("Enter")
    expect(page.locator("ol.credentials li")).to_have_count(1)
    page.wait_for_load_state()  # it was loaded anew, and its scripts run last
    expect(page.locator("ol.credentials")).to_contain_text("10.1.0.0/22")
    assert "open sesame" not in page.content()
    (stored,) = api(program, "settings/credentials")["credentials"]
    assert (stored["driver"], stored["password"]) == ("vnish", None)
    delete = page.get_by_role("button", name="Delete")
    delete.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("ol.credentials li")).to_have_count(0)
