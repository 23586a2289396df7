"""Commands in a real browser: to simulated miners through the real program, and what the pages themselves send."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import PHONE
from tests.browser.test_every_page import serious
from tests.end_to_end.programs import CLIENT, Program, Simulator, wait_for
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import large_flock

pytestmark = pytest.mark.timeout(180)

FLEET = {
    "devices": [
        {"kind": "bitaxe", "model": "gamma-2.15", "count": 3},
        {"kind": "avalon", "model": "nano3s"},
        {"kind": "vnish", "model": "s21-1.3.4"},
    ]
}
LONG = 60_000


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    fleet = folder / "fleet.yml"
    fleet.write_text(json.dumps(FLEET))
    simulator = Simulator(fleet=fleet)
    program = Program(folder, simulator, status=3, telemetry=3, discovery=3600)
    try:
        program.start()
        program.until_found(5)
        yield program, simulator
    finally:
        program.stop()
        simulator.stop()


def api(program, path):
    return CLIENT.get(f"{program.ui}/api/{path}", timeout=20).raise_for_status().json()


def miners_of(running, kind):
    """Ids and names of the miners that simulated devices are, with the devices' addresses."""
    program, simulator = running
    places = [device["address"] for device in simulator.devices if device["kind"] == kind]
    by_place = {miner["ip_address"]: miner for miner in api(program, "miners")}
    return [(by_place[place]["id"], by_place[place]["name"], place) for place in places]


def writes(running, address):
    return running[1].truth()[address]["writes"]


def dialog(page):
    return page.get_by_role("dialog")


# --- one miner ---


def test_a_restart_is_asked_about_sent_once_and_followed_to_its_end(running, window):
    program, _ = running
    miner, name, address = miners_of(running, "bitaxe")[0]
    shown = window(program.ui)
    page = shown.page
    shown.open(f"/miners/{miner}")
    offered = page.locator("#offered")
    restart = offered.get_by_role("button", name="Restart")
    restart.click()
    expect(dialog(page)).to_contain_text(f"Restart {name}?")
    expect(dialog(page)).to_contain_text("The miner restarts and mines again")
    expect(dialog(page).get_by_role("button", name="Cancel")).to_be_focused()
    assert serious(page) == []
    dialog(page).get_by_role("button", name="Cancel").click()
    assert writes(running, address) == []
    restart.click()
    dialog(page).get_by_role("button", name="Restart").click()
    expect(page.locator("#runs")).to_contain_text("Running")
    shown.keep("flow-command-runs")
    expect(page.locator("#messages")).to_contain_text("Restart: done", timeout=LONG)
    expect(page.locator("#runs li").first).to_contain_text("Done")
    assert writes(running, address) == ["POST /api/system/restart"]
    page.get_by_role("link", name="All commands to it").click()
    expect(page.locator("#audit tbody tr")).to_have_count(1)
    expect(page.locator("#audit tbody tr")).to_contain_text("Uptime")
    shown.keep("flow-audit")


def test_a_frequency_within_the_devices_own_options(running, window):
    program, _ = running
    miner, _, address = miners_of(running, "bitaxe")[1]
    shown = window(program.ui, size=PHONE)
    page = shown.page
    shown.open(f"/miners/{miner}")
    page.locator("#offered").get_by_text("Frequency and voltage").click()
    clock = page.get_by_label("Frequency")
    values = [value for value in clock.locator("option").evaluate_all("all => all.map(one => one.value)") if value]
    wanted = values[0]
    clock.select_option(wanted)
    assert shown.overflow() == 0
    page.locator("form[data-api$='/tuning']").get_by_role("button", name="Set").click()
    dialog(page).get_by_role("button", name="Set").click()
    expect(page.locator("#messages")).to_contain_text(re.compile(rf"Tuning {wanted}\sMHz: done"), timeout=LONG)
    (line,) = writes(running, address)
    assert line.startswith("PATCH /api/system ")
    assert json.loads(line.split(" ", 2)[2]) == {"frequency": float(wanted)}
    expect(clock.locator("option", has_text="(now)")).to_have_attribute("value", wanted)


def test_a_mode_is_set_by_its_button(running, window):
    program, _ = running
    ((miner, name, _),) = miners_of(running, "avalon")
    shown = window(program.ui)
    page = shown.page
    shown.open(f"/miners/{miner}/commands")
    modes = page.get_by_role("group", name="Mode").get_by_role("button")
    other = modes.and_(page.locator("[aria-pressed=false]")).first
    wanted = other.inner_text()
    other.click()
    expect(dialog(page)).to_contain_text(f"Set {name} to the mode {wanted}?")
    dialog(page).get_by_role("button", name=wanted).click()
    expect(page.locator("#messages")).to_contain_text(f"Mode {wanted}: done", timeout=LONG)
    expect(page.get_by_role("button", name=wanted, pressed=True)).to_be_visible()


def test_presets_and_pools_of_a_large_miner(running, window):
    program, _ = running
    ((miner, _, address),) = miners_of(running, "vnish")
    wait_for(lambda: [one for one in api(program, "models") if one["presets"]], "presets of the model")
    shown = window(program.ui)
    page = shown.page
    shown.open(f"/miners/{miner}/commands")
    preset = page.get_by_label("Preset", exact=True)
    assert preset.locator("option:disabled").count() > 0
    expect(page.locator("#offered")).to_contain_text("not tuned yet")
    page.get_by_text("Set a pool").click()
    form = page.locator("form[data-api$='/pool']")
    form.get_by_label("Address").fill("not a pool")
    form.get_by_label("User").fill("account.{name}")
    form.get_by_label("Password").fill("hunter2hunter2")
    form.get_by_role("button", name="Set the pool").click()
    expect(dialog(page)).to_contain_text("not a pool")
    dialog(page).get_by_role("button", name="Set the pool").click()
    expect(form.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Address")).to_be_focused()
    assert writes(running, address) == []
    form.get_by_label("Address").fill("stratum+tcp://pool.example:3333")
    form.get_by_role("button", name="Set the pool").click()
    dialog(page).get_by_role("button", name="Set the pool").click()
    expect(page.locator("#runs")).to_contain_text("stratum+tcp://pool.example:3333")
    expect(page.locator("#messages")).to_contain_text(
        re.compile("Pool 1, stratum.*: (done|not confirmed)"), timeout=LONG
    )
    assert form.get_by_label("Password").input_value() == ""
    assert "hunter2hunter2" not in page.content() + json.dumps(api(program, "audit")) + program.log()


# --- many ---


def test_a_restart_of_many_names_how_many_and_lists_who_did_not(running, window):
    program, simulator = running
    chosen = miners_of(running, "bitaxe")
    _, troubled, address = chosen[2]
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    for miner, _, _ in chosen:
        page.locator(f"#flock input[name=select][value='{miner}']").check()
    page.get_by_role("button", name="Command …").click()
    form = page.locator("[data-bulk-command]")
    form.get_by_text("Pace").click()
    form.get_by_label("Seconds between starts").fill("0")
    form.get_by_role("button", name="Look ahead").click()
    expect(page.locator("[data-question]")).to_have_text("Restart 3 miners?")
    expect(page.locator("[data-outlook]")).to_contain_text("3 miners: The miner restarts")
    shown.keep("flow-bulk-outlook")
    simulator.post("fault", address=address, fault="auth", status=403)
    try:
        page.get_by_role("button", name="Restart: 3 miners").click()
        page.wait_for_url(re.compile(r"/bulk/\d+$"))
        expect(page.locator("#bulk")).to_contain_text("Finished", timeout=LONG)
        expect(page.locator("#bulk")).to_contain_text("3 of 3 done")
        expect(page.locator("#bulk")).to_contain_text("1 of 3 miners did not do it")
        first, second, third = page.locator("#bulk tbody tr").all()
        expect(first).to_contain_text(troubled)
        expect(first).to_contain_text(re.compile("Refused|Failed"))
        for each in (second, third):
            expect(each).to_contain_text("Done")
        shown.keep("flow-bulk")
        assert shown.overflow() == 0
    finally:
        simulator.post("fault", address=address, fault=None)


# --- what the pages send ---


def sent(page, action):
    """The API call that `action` makes: its path and body."""
    with page.expect_request(lambda request: request.method == "POST" and "/api/" in request.url) as caught:
        action()
    body = caught.value.post_data
    return re.sub(r"^.*/api/", "/api/", caught.value.url), None if body is None else json.loads(body)


def agree(page):
    dialog(page).locator("button.primary").click()


@pytest.mark.parametrize(
    ("miner", "fill", "path", "body"),
    [
        (1, {"core_voltage": "1150"}, "tuning", {"frequency": None, "core_voltage": 1.15}),
        (1, {"frequency": "625", "core_voltage": "1001.5"}, "tuning", {"frequency": 625e6, "core_voltage": 1.0015}),
        (1, {"duty": "35"}, "fan", {"duty": 0.35}),
        (3, {"preset": "2600"}, "preset", {"preset": "2600", "confirm_modified_psu": False}),
        (
            5,
            {"slot": "2", "url": "stratum+tcp://a.example:1", "user": "u"},
            "pool",
            {"slot": 2, "url": "stratum+tcp://a.example:1", "user": "u"},
        ),
    ],
)
def test_values_arrive_in_base_units(served, window, miner, fill, path, body):
    shown = window(served)
    page = shown.page
    shown.open(f"/miners/{miner}/commands")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    form = page.locator(f"form[data-api$='/{path}']")
    for name, value in fill.items():
        field = form.locator(f"[name={name}]")
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.locator("button[type=submit]").click()
    assert sent(page, lambda: agree(page)) == (f"/api/miners/{miner}/{path}", body)


def test_a_number_outside_the_devices_bounds_is_not_even_asked_about(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1/commands")
    page.get_by_text("Frequency and voltage").click()
    voltage = page.get_by_label("Core voltage")
    voltage.fill("1300")
    page.locator("form[data-api$='/tuning'] button[type=submit]").click()
    assert voltage.evaluate("one => one.validity.rangeOverflow")
    expect(dialog(page)).to_have_count(0)


def test_the_fans_go_back_to_their_own_control(served, window, engine):
    shown = window(served)
    page = shown.page
    shown.open("/miners/1/commands")
    page.get_by_text("Fans").click()
    page.get_by_role("button", name="Automatic").click()
    assert sent(page, lambda: agree(page)) == ("/api/miners/1/fan", {"duty": None})


def test_a_refusal_is_told_in_the_devices_words_and_stays(served, window, engine):
    engine.commands.outcomes[1] = ("refused", "not while <b>tuning</b>")
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    page.locator("#offered").get_by_role("button", name="Restart").click()
    agree(page)
    expect(page.locator("#messages .bad")).to_contain_text("Restart: refused – not while <b>tuning</b>")
    expect(page.locator("#runs li").first).to_contain_text("not while <b>tuning</b>")


def test_a_command_that_runs_is_followed_by_a_page_that_is_opened_later(served, window, engine):
    CLIENT.post(f"{served}/api/miners/1/restart", timeout=20).raise_for_status()
    shown = window(served)
    shown.open("/miners/1")
    expect(shown.page.locator("#messages")).to_contain_text("Restart: done")


def test_offers_come_when_the_miner_comes(served, window, engine):
    shown = window(served)
    page = shown.page
    engine.change(1, up=False)
    shown.open("/miners/1")
    expect(page.locator("#offered")).to_contain_text("does not answer now")
    page.evaluate("for (const each of document.querySelectorAll('[data-live]')) each.dataset.live = 1")
    engine.change(1, up=True)
    expect(page.locator("#offered").get_by_role("button", name="Restart")).to_be_visible()


def test_offers_that_cannot_be_had_can_be_asked_for_again(served, window):
    shown = window(served)
    page = shown.page
    page.route("**/miners/1/commands", lambda route: route.abort())
    shown.open("/miners/1")
    expect(page.locator("#offered")).to_contain_text("Flockwatch does not answer")
    page.unroute("**/miners/1/commands")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#offered").get_by_role("button", name="Restart")).to_be_visible()


def select(page, *ids):
    for number in ids:
        page.locator(f"#flock input[name=select][value='{number}']").check()
    page.get_by_role("button", name="Command …").click()


def test_only_miners_that_can_are_told_and_the_others_are_named(served, window, engine):
    shown = window(served, size=PHONE)
    page = shown.page
    shown.open("/")
    select(page, 1, 3, 5, 11)
    page.get_by_label("Command", exact=True).select_option("mode")
    mode = page.locator("#bulk-mode")
    mode.select_option("eco")
    assert serious(page) == []
    page.get_by_role("button", name="Look ahead").click()
    outlook = page.locator("[data-outlook]")
    expect(outlook).to_contain_text("Set 1 of 4 miners to the mode eco?")
    expect(outlook).to_contain_text("Nothing is sent to 3 miners")
    expect(outlook).to_contain_text("attic: the miner does not answer now")
    assert engine.commands.orders == []
    assert serious(page) == []
    assert shown.overflow() == 0
    go = page.get_by_role("button", name="Set the mode: 1 miner")
    path, body = sent(page, go.click)
    assert (path, body["miners"], body["mode"], "dry_run" in body) == ("/api/bulk/mode", [5], "eco", False)
    page.wait_for_url(re.compile(r"/bulk/\d+$"))
    expect(page.locator("#bulk")).to_contain_text("Finished")


def test_a_fault_in_an_order_to_many_stands_beside_its_field_or_in_the_dialog(served, window, engine):
    shown = window(served)
    page = shown.page
    shown.open("/")
    select(page, 1)
    page.get_by_label("Seconds between starts").evaluate("one => { one.removeAttribute('max'); one.value = '601' }")
    page.get_by_role("button", name="Look ahead").click()
    expect(page.locator("#bulk-stagger")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#bulk-stagger")).to_be_focused()
    page.locator("#bulk-stagger").fill("")
    page.route("**/api/bulk/restart", lambda route: route.fulfill(status=503, json={"error": "busy", "field": None}))
    page.get_by_role("button", name="Look ahead").click()
    expect(page.locator("[data-bulk-command] [data-wrong]")).to_have_text("busy")
    page.unroute("**/api/bulk/restart")
    page.get_by_role("button", name="Look ahead").click()
    expect(page.locator("[data-question]")).to_have_text("Restart 1 miner?")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Look ahead")).to_be_enabled()


def test_presets_to_choose_are_those_of_the_chosen_miners(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/")
    select(page, 3)
    page.get_by_label("Command", exact=True).select_option("preset")
    choices = page.locator("#bulk-preset option")
    expect(choices).to_have_count(4)
    expect(choices.nth(2)).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#flock input[name=select][value='3']").uncheck()
    select(page, 1)
    page.get_by_label("Command", exact=True).select_option("preset")
    expect(choices.first).to_have_text("No miner of this page offers presets")


def offers_fail(page, *answers):
    """The questions what miners offer get these answers, one after the other; then the program's own."""
    waiting = list(answers)

    def answer(route):
        return route.fulfill(**waiting.pop(0)) if waiting else route.continue_()

    page.route("**/commands-offered", answer)
    return waiting


BUSY = {"status": 503, "json": {"error": "the miner is asked by others", "field": None}}


def test_where_miners_cannot_be_asked_for_presets_that_is_said(served, window):
    shown = window(served, size=PHONE)
    page = shown.page
    shown.open("/")
    offers_fail(page, BUSY)
    select(page, 3)
    page.get_by_label("Command", exact=True).select_option("preset")
    form = page.locator("[data-bulk-command]")
    told = form.locator("[data-of=preset] [data-unasked]")
    expect(told).to_contain_text("The miners could not be asked: the miner is asked by others.")
    choices = page.locator("#bulk-preset option")
    expect(choices).to_have_text(["Not known now"])
    assert serious(page) == []
    assert shown.overflow() == 0
    shown.keep("flow-bulk-not-asked")
    form.get_by_role("button", name="Ask again").click()
    expect(choices).to_have_count(4)
    expect(told).to_be_hidden()


def test_miners_that_do_not_answer_are_not_said_to_offer_nothing(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/")
    select(page, 11)
    page.get_by_label("Command", exact=True).select_option("mode")
    told = page.locator("[data-of=mode] [data-unasked]")
    expect(told).to_contain_text("The miners could not be asked: they do not answer now.")
    expect(page.locator("#bulk-mode option")).to_have_text(["Not known now"])


def test_a_miner_that_is_busy_is_asked_once_more_when_it_says_so(served, window):
    shown = window(served)
    page = shown.page
    shown.open("/")
    left = offers_fail(page, {**BUSY, "headers": {"Retry-After": "0"}})
    select(page, 3)
    page.get_by_label("Command", exact=True).select_option("preset")
    expect(page.locator("#bulk-preset option")).to_have_count(4)
    expect(page.locator("[data-of=preset] [data-unasked]")).to_be_hidden()
    assert left == []


class TestManyPages:
    @pytest.fixture
    def engine(self):
        return FakeEngine(seeds=large_flock(130))

    def test_all_that_match_can_be_told_at_once(self, served, window, engine):
        shown = window(served)
        page = shown.page
        shown.open("/")
        select(page, 1, 2)
        expect(page.locator(".to-whom")).to_contain_text("The 2 miners selected")
        page.get_by_label("All 130 of the list").check()
        page.get_by_role("button", name="Look ahead").click()
        expect(page.locator("[data-question]")).to_have_text("Restart 130 miners?")
        pace = page.locator("[data-pace]")
        expect(pace).to_have_text("They are told at least 2 s apart, at most 10 at once.")  # how long, nobody knows
        expect(page.locator("[data-effects]")).not_to_contain_text("They are told")
        page.get_by_role("button", name="Restart: 130 miners").click()
        page.wait_for_url(re.compile(r"/bulk/\d+$"))
        expect(page.locator("#bulk")).to_contain_text("130 of 130 done")
        assert len(engine.commands.orders) == 130


def test_the_pace_is_seen_however_many_effects_there_are(served, window):
    shown = window(served, size=PHONE)
    page = shown.page
    shown.open("/")
    results = [
        {"miner_id": number, "name": "m", "state": "would send", "words": None, "effect": f"Effect {number}. " * 9}
        for number in range(40)
    ]
    done = {"id": 9, "state": "finished", "miners": 40, "counts": {}, "results": results}
    page.route("**/api/bulk/**", lambda route: route.fulfill(json=done))
    select(page, 1)
    page.get_by_role("button", name="Look ahead").click()
    pace = page.locator("[data-pace]")
    expect(pace).to_have_text("They are told at least 2 s apart, at most 10 at once.")
    cut = "one => one.closest('ul') !== null"
    assert pace.evaluate(cut) is False, "not within a list that is cut"
    pace.scroll_into_view_if_needed()
    expect(pace).to_be_in_viewport()
    shown.keep("flow-bulk-pace")

    # Of one miner there is nothing to tell.
    page.unroute("**/api/bulk/**")
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Look ahead").click()
    expect(page.locator("[data-question]")).to_have_text("Restart 1 miner?")
    expect(pace).to_be_hidden()


def test_where_control_is_off_nothing_can_be_sent(served, window, engine):
    engine.commands.control = False
    shown = window(served)
    page = shown.page
    shown.open("/miners/1")
    expect(page.locator("#commands")).to_contain_text("control.enabled is false")
    expect(page.locator("#commands [data-effect]")).to_have_count(0)
    shown.open("/")
    page.locator("#flock input[name=select][value='1']").check()
    expect(page.get_by_role("button", name="Command …")).to_be_disabled()
    expect(page.locator("#selection")).to_contain_text("switched off in targets.yml")
