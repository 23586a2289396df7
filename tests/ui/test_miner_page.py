"""The page of one miner."""

import dataclasses
import time
from urllib.parse import quote

import pytest

from exporter.errors import UnavailableError
from exporter.model import Board, Chip, Pool, Reading
from onboarding_ui import create_app
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import BTC_ADDRESS, HOSTILE, flock
from tests.ui.markup import page, text_of

ALL = [each.record.id for each in flock()]


@pytest.fixture(scope="module")
def client():
    """For tests that only look."""
    return create_app(FakeEngine()).test_client()


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def own(engine):
    """For tests that change something at `engine` or in the browser."""
    return create_app(engine).test_client()


def section(markup, name):
    return markup.one(f"*[@id='{name}']")


def change(engine, number, **changes):
    engine.records[number] = dataclasses.replace(engine.records[number], **changes)


@pytest.mark.parametrize("number", ALL)
def test_every_kind_of_record_has_a_page(client, number):
    markup = page(client, f"/miners/{number}")
    assert text_of(section(markup, "identity"))
    assert f"POST /api/miners/{number}/rescan" in markup.calls()


def test_an_unknown_miner_is_not_found(client):
    answer = client.get("/miners/999")
    assert answer.status_code == 404
    assert "999" in answer.text


@pytest.mark.parametrize("key", ["02:00:00:00:00:03", "port:usb-0:1.2/0", "addr:bitaxe:192.0.2.9"])
def test_a_dashboard_leads_to_a_miner_by_its_key(engine, own, key):
    change(engine, 3, key=key)
    answer = own.get(f"/miners/by-key/{quote(key, safe='')}")
    assert answer.status_code == 302
    assert answer.location == "/miners/3"


def test_a_key_that_nobody_has_is_not_found(client):
    answer = client.get("/miners/by-key/02%3A00%3A00%3A00%3A99%3A99")
    assert answer.status_code == 404
    assert "02:00:00:00:99:99" in answer.text
    assert client.get("/miners/by-key/%3Cb%3E").status_code == 404
    assert "<b>" not in client.get("/miners/by-key/%3Cb%3E").text


def test_who_it_is(client):
    text = text_of(section(page(client, "/miners/3"), "identity"))
    for words in ("Bitmain", "Antminer S19j Pro", "s19jpro", "02:00:00:00:00:03", "SERIAL-0003", "vnish", "192.0.2.4"):
        assert words in text


def test_live_figures(client):
    text = text_of(section(page(client, "/miners/3"), "figures"))
    for words in ("93.00 TH/s", "93 % of 100.00 TH/s", "84.0 °C", "3 310 W", "35.6 J/TH", "42 000",
                  "212 rejected, 0.50 %", "3250"):  # fmt: skip
        assert words in text


def test_what_is_unknown_has_no_figure(engine, own):
    change(engine, 1, reading=Reading())
    text = text_of(section(page(own, "/miners/1"), "figures"))
    assert "Hash rate –" in text
    assert "J/TH" not in text
    assert "Power" not in text


def test_an_expired_reading_is_not_shown(engine, own):
    change(engine, 1, expires_at=time.monotonic() - 1)
    markup = page(own, "/miners/1")
    assert "No live figures" in text_of(section(markup, "figures"))
    assert "1.07 TH/s" not in text_of(section(markup, "figures"))
    assert " now " not in text_of(section(markup, "history")).replace("min now", "")
    assert "Hash rate last" in text_of(section(markup, "history"))


def test_boards_fans_and_power_supply(client):
    text = text_of(section(page(client, "/miners/3"), "hardware"))
    for words in (
        "SN-1",
        "125 of 126",
        "1 dead, 1 hot, 1 slow",
        "5 800 rpm",
        "90 %",
        "231 V",
        "12.90 V",
        "525 MHz",
    ):
        assert words in text


def test_a_stopped_fan_is_told(engine, own):
    reading = engine.records[1].reading
    change(engine, 1, reading=dataclasses.replace(reading, fans=(dataclasses.replace(reading.fans[0], speed=0.0),)))
    assert "Stopped" in text_of(section(page(own, "/miners/1"), "hardware"))


# --- chips ---


def test_chips_are_coloured_by_grade_and_anomalies_are_listed(client):
    chips = section(page(client, "/miners/3"), "chips")
    cells = [cell for cell in chips.iter("i") if cell.get("title")]
    assert len(cells) == 378
    assert [cell.get("data-g") for cell in cells if cell.get("data-g")] == ["S", "H", "✕"]
    text = text_of(chips)
    for words in ("Chip 7: slow", "Chip 31: hot", "Chip 90: dead"):
        assert words in text
    labels = [grid.get("aria-label") for grid in chips.iter("div") if grid.get("role") == "img"]
    assert labels[1] == "Board 1: 126 chips, 3 with anomalies: 7, 31, 90."


def test_the_grid_has_a_table_for_those_who_do_not_see_it(client):
    tables = list(section(page(client, "/miners/19"), "chips").iter("table"))
    assert len(tables) == 1
    assert len(tables[0].findall("tbody/tr")) == 400


def test_the_switch_offers_only_what_is_told(engine, own):
    choices = [one.get("value") for one in section(page(own, "/miners/3"), "chips").iter("input")]
    assert choices == ["grade", "hashrate", "temperature"]
    chips = tuple(Chip(str(number), temperature=60.0) for number in range(4))
    change(engine, 1, reading=Reading(boards=(Board("0", chips=chips),)))
    (only,) = section(page(own, "/miners/1"), "chips").iter("input")
    assert only.get("value") == "temperature"
    assert "checked" in only.attrib


def test_a_board_without_chips_has_no_grid(client):
    assert text_of(section(page(client, "/miners/1"), "chips")) == ""


# --- pools and wallets ---


def test_pools_mark_the_active_one_and_the_developers(client):
    pools = section(page(client, "/miners/3"), "pools")
    lines = [text_of(line) for line in pools.iter("tr")][1:]
    assert "Active" in lines[0]
    assert f"{BTC_ADDRESS}.s19" in lines[0]
    assert "2 stale, 1 duplicate" in lines[0]
    assert "Down" in lines[1]
    assert "Developer's fee" in lines[2]


def test_the_wallet_it_mines_to_is_linked(client):
    markup = page(client, "/miners/2")
    links = section(markup, "wallet-links")
    assert "Solo savings (BTC), linked by hand" in text_of(links)
    assert [link.get("href") for link in links.iter("a")] == ["/wallets/1"]
    assert "POST /api/miners/2/link-wallet" in markup.calls()
    chosen = [
        option.get("value") for option in section(markup, "link-wallet").iter("option") if "selected" in option.attrib
    ]
    assert chosen == ["1"]


def test_why_no_wallet_matched_is_told(client):
    text = text_of(section(page(client, "/miners/7"), "wallet-links"))
    assert "No wallet" in text
    assert "name of an account" in text


def test_a_matched_wallet_is_not_chosen_by_hand(client):
    options = section(page(client, "/miners/1"), "link-wallet").iter("option")
    assert not [option for option in options if "selected" in option.attrib]


# --- history ---


def test_charts_have_words_for_those_who_do_not_see_them(client):
    history = section(page(client, "/miners/1"), "history")
    figures = list(history.iter("figure"))
    assert [each.get("data-key") for each in figures] == [
        "chart-hashrate", "chart-temperature", "chart-power", "chart-accepted",
    ]  # fmt: skip
    for drawing in history.iter("svg"):
        names = drawing.get("aria-labelledby").split()
        assert names == [drawing.find("title").get("id"), drawing.find("desc").get("id")]
        assert "1 gap" in drawing.find("desc").text
        assert len(drawing.findall("polyline")) == 2, "the hole of the history is a hole of the line"


def ranges(markup):
    return [text_of(link) for link in section(markup, "history").iter("a")]


def test_long_ranges_need_prometheus(engine, own):
    assert ranges(page(own, "/miners/1?range=7d")) == ["1 h", "6 h"]
    engine.history.prometheus = True
    markup = page(own, "/miners/1?range=7d")
    assert ranges(markup) == ["1 h", "6 h", "24 h", "7 d"]
    assert section(markup, "history").find(".//a[@aria-current]").get("href") == "?range=7d#history"


def test_a_silent_prometheus_leaves_the_rest_of_the_page(engine, own, monkeypatch):
    def fails(miner_id, seconds):
        raise UnavailableError("Prometheus does not answer")

    monkeypatch.setattr(engine.history, "series", fails)
    markup = page(own, "/miners/1?range=<script>")
    assert "Prometheus does not answer" in text_of(section(markup, "history"))
    assert "1.07 TH/s" in text_of(section(markup, "figures"))


def test_a_miner_without_history_says_so(engine, own, monkeypatch):
    monkeypatch.setattr(engine.history, "series", lambda miner_id, seconds: ())
    assert "Nothing was recorded" in text_of(section(page(own, "/miners/1"), "history"))


# --- troubles ---


def test_a_refused_password_asks_for_another(client):
    markup = page(client, "/miners/4")
    assert "refuses its password" in text_of(section(markup, "head"))
    details = section(markup, "password").find("details")
    assert "open" in details.attrib
    field = details.find(".//input[@name='unlock_pass']")
    assert field.get("type") == "password"
    assert field.get("value") == ""


def test_an_offline_miner_says_why_and_where_it_was(client):
    text = text_of(section(page(client, "/miners/11"), "head"))
    assert "Offline. no answer within 5 s." in text
    assert "It was last at 192.0.2.77." in text
    errors = text_of(section(page(client, "/miners/11"), "errors"))
    assert "41 timeout" in errors


def test_errors_of_the_firmware_are_listed(client):
    text = text_of(section(page(client, "/miners/19"), "errors"))
    assert "temperature: over temperature error" in text


def test_a_board_that_boots_shows_how_far_it_is(client):
    markup = page(client, "/miners/10")
    assert "CONNECTED IP" in text_of(section(markup, "figures"))
    assert "Dns failure" in text_of(section(markup, "errors"))
    assert "/miners/manage/10" in [link.get("href") for link in section(markup, "commands").iter("a")]
    assert not markup.all("*[@id='password']")


def test_device_text_stays_harmless(client):
    answer = client.get("/miners/16")
    assert HOSTILE not in answer.text
    assert "<script>alert" not in answer.text
    assert section(page(client, "/miners/16"), "head").find(".//h1").text == HOSTILE * 200


def test_a_pool_address_of_a_script_is_only_text(engine, own):
    pool = Pool("0", url="javascript:alert(1)", user=HOSTILE, active=True)
    change(engine, 1, reading=Reading(pools=(pool,)), address="javascript:alert(1)")
    markup = page(own, "/miners/1")
    hrefs = [link.get("href") for link in markup.all("a")]
    assert not [href for href in hrefs if href.lower().startswith("javascript")]


# --- what a person can do ---


def test_what_can_be_changed(client):
    markup = page(client, "/miners/1")
    calls = markup.calls()
    assert "DELETE /api/miners/1" in calls
    assert calls.count("PATCH /api/miners/1") >= 4
    names = {field.get("name") for kind in ("input", "select", "textarea") for field in markup.all(kind)}
    labels = {"labels.site", "labels.rack", "labels.group"}
    assert labels | {"name", "currency", "chipset", "location_notes", "muted_until", "wallet_id"} <= names
    assert {"unlock_pass", "username"} <= names


def test_what_cannot_be_undone_is_asked_first(client):
    buttons = {text_of(button): button for button in section(page(client, "/miners/1"), "commands").iter("button")}
    assert "comes back as a new miner" in buttons["Forget"].get("data-confirm")
    assert buttons["Retire"].get("data-body") == '{"enabled": false}'


def test_a_retired_miner_can_be_brought_back(client):
    buttons = {text_of(button): button for button in section(page(client, "/miners/14"), "commands").iter("button")}
    assert buttons["Bring back"].get("data-body") == '{"enabled": true}'


def test_a_muted_miner_says_until_when_and_can_be_unmuted(client):
    mute = section(page(client, "/miners/15"), "mute")
    assert "Muted until" in text_of(mute)
    assert mute.find(".//button").get("data-body") == '{"muted_until": null}'


def test_a_stored_choice_is_the_chosen_one(client):
    currency = section(page(client, "/miners/7"), "field-currency")
    assert [option.get("value") for option in currency.iter("option") if "selected" in option.attrib] == ["BCH"]
    assert section(page(client, "/miners/3"), "field-labels-site").get("value") == "hall-1"


def test_exchanges_are_read_on_demand_only(client):
    exchanges = section(page(client, "/miners/1"), "exchanges")
    assert exchanges.get("data-exchanges") == "/api/miners/1/exchanges"
    assert "GET /api/system/info" not in text_of(exchanges)


# --- what the form of its settings holds ---


def test_labels_of_the_configuration_are_shown_but_not_as_its_own(engine, own):
    engine.rows[3] = dataclasses.replace(
        engine.rows[3], labels={"site": "hall-1", "rack": "r1"}, own_labels={"rack": "r9"}
    )
    change(engine, 3, labels=(("rack", "r9"), ("site", "hall-1")))
    markup = page(own, "/miners/3")
    fields = {name: section(markup, f"field-labels-{name}") for name in ("site", "rack", "group")}
    shown = {name: (field.get("value"), field.get("placeholder")) for name, field in fields.items()}
    assert shown == {"site": ("", "hall-1"), "rack": ("r9", "r1"), "group": ("", None)}
    assert "targets.yml" in text_of(section(markup, "field-labels-site-help"))


def test_a_form_of_stored_values_sends_what_changed_only(client):
    forms = [form for form in page(client, "/miners/1").all("form") if form.get("data-api") == "PATCH /api/miners/1"]
    by_fields = {form.find(".//input").get("name"): form.get("data-send") for form in forms}
    # What is not stored as it is typed is sent whole: a moment, a password with its user.
    assert by_fields == {"name": "changes", "muted_until": None, "username": None}


# --- how long the last answer took ---


def test_only_an_answer_has_a_duration(engine, own):
    assert "s ago , in 120 ms" in text_of(section(page(own, "/miners/1"), "identity"))
    change(engine, 1, up=False, reading=None)
    assert " ms" not in text_of(section(page(own, "/miners/1"), "identity"))
    change(engine, 1, last_success=None)
    assert text_of(section(page(own, "/miners/1"), "identity")).endswith("Last answer never")


@pytest.mark.parametrize("number", [1, 11])
def test_asking_a_miner_is_offered_once(client, number):
    assert page(client, f"/miners/{number}").calls().count(f"POST /api/miners/{number}/rescan") == 1
