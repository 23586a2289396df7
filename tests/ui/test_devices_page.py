"""The page New devices: boards on USB, ports held shut, miners without a name."""

import dataclasses

import pytest

from exporter.config import Serial, Settings
from exporter.engine.api.devices import WaitingDevice
from onboarding_ui import create_app
from onboarding_ui.views.devices import steps, to_name
from onboarding_ui.wallet_hints import wallet_hint
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import BCH_ADDRESS, BTC_ADDRESS, HOSTILE
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def card(markup, number):
    return markup.one(f"article[@data-key='device-{number}']")


def waiting(engine, **changes):
    """Let one board wait, with what differs from the first of the fake ones."""
    device = dataclasses.replace(engine.devices.waiting()[0], **changes)
    engine.devices.waiting = lambda: (device,)


def test_a_board_shows_what_it_printed_and_the_form_is_filled_with_it(client):
    found = card(page(client, "/devices"), 1)
    shown = text_of(found)
    for words in ("/dev/ttyACM4", "public-pool.io:21496", "1.8.3", "NEW1", "1-1.5", "303a:1001", "kitchen"):
        assert words in shown
    assert found.find(".//code").get("title") == BTC_ADDRESS
    form = found.find(".//form")
    assert form.get("data-api") == "POST /api/unconfigured-devices/1/onboard"
    assert form.get("data-done") == "/miners/{id}"
    fields = {field.get("name"): field for kind in ("input", "select") for field in form.iter(kind)}
    assert set(fields) == {"name", "currency", "chipset", "location_notes"}
    assert fields["name"].get("value") == "kitchen"
    assert fields["name"].get("required") is not None
    assert fields["currency"].get("required") is not None
    assert chosen(fields["currency"]) == ["BTC"], "the address is one of this currency only"


def chosen(field):
    return [option.get("value") for option in field.iter("option") if option.get("selected") is not None]


@pytest.mark.parametrize("user", [None, "shepherd.kitchen", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2.kitchen"])
def test_a_currency_that_is_not_certain_is_left_to_the_person(client, engine, user):
    waiting(engine, dumped_wallet_address=user)
    field = card(page(client, "/devices"), 1).find(".//select[@name='currency']")
    assert next(field.iter("option")).get("value") == ""
    assert chosen(field) == []


def test_pool_and_wallet_can_be_read_only(client):
    found = card(page(client, "/devices"), 1)
    values = [field.get("value") or "" for field in found.iter("input")]
    assert not [value for value in values if "public-pool" in value or BTC_ADDRESS in value]


def test_how_far_a_board_has_come_is_live(client, engine):
    markup = page(client, "/devices")
    assert markup.one("section[@id='usb']").get("data-live") == "2"
    marks = [step.get("class") for step in card(markup, 2).iter("li")]
    assert marks == ["now"] + ["ahead"] * 6
    waiting(engine, state="DNS Resolved")
    steps_now = [(text_of(step), step.get("aria-current")) for step in card(page(client, "/devices"), 1).iter("li")]
    assert steps_now[4:6] == [("DNS Resolved", "step"), ("Mining Subscribe", None)]
    assert steps_now[0] == ("Booting (passed)", None)


def test_marks_of_all_states():
    assert [step.mark for step in steps("Mining Authorize")] == ["done"] * 6 + ["now"]
    assert {step.mark for step in steps("Mining")} == {"done"}
    assert {step.mark for step in steps("Not Connected")} == {step.mark for step in steps(None)} == {"ahead"}


def test_an_unplugged_board_can_be_named_but_not_restarted(client, engine):
    waiting(engine, state="Not Connected", dev_path=None, port_path=None)
    found = card(page(client, "/devices"), 1)
    assert "Unplugged" in text_of(found)
    calls = [button.get("data-api") for button in found.iter("button")]
    assert "DELETE /api/unconfigured-devices/1" in calls
    assert "POST /api/unconfigured-devices/1/capture" not in calls


def test_what_restarts_a_board_says_so_first(client):
    markup = page(client, "/devices")
    capture = markup.one("button[@data-api='POST /api/unconfigured-devices/1/capture']")
    assert "restarts" in capture.get("data-confirm")
    opening = markup.one("button[@data-api='POST /api/unconfigured-devices/open']")
    assert opening.get("data-body") == '{"dev_path": "/dev/ttyUSB3"}'
    assert "may restart" in opening.get("data-confirm")
    assert "serial.open is hotplug" in text_of(markup.one("section[@data-key='held']"))


def test_miners_that_wait_for_a_name_or_a_currency_are_listed(client, engine):
    engine.change(17, currency="BTC")
    engine.change(1, currency=None)
    markup = page(client, "/devices")
    forms = {form.get("data-api"): form for form in markup.all("form[@data-api]")}
    assert {"PATCH /api/miners/17", "PATCH /api/miners/1"} <= set(forms)
    assert "PATCH /api/miners/2" not in forms
    named = forms["PATCH /api/miners/1"].find(".//input[@name='name']")
    assert named.get("value") == "garage"
    unnamed = forms["PATCH /api/miners/17"]
    assert named.get("data-suggested") is None
    suggested = unnamed.find(".//input[@name='name']")
    assert suggested.get("value") == engine.records[17].name, "its own name"
    assert suggested.get("data-suggested") is not None
    assert chosen(unnamed) == ["BTC"]


def test_a_name_that_is_too_long_is_not_suggested(client):
    (form,) = page(client, "/devices").all("form[@data-api='PATCH /api/miners/16']")
    assert form.find(".//input[@name='name']").get("value") == ""


def test_a_name_that_another_miner_is_shown_by_too_is_told_apart(client, engine):
    own, key = engine.records[17].name, engine.records[17].key
    engine.change(1, name=own.upper())
    (form,) = page(client, "/devices").all("form[@data-api='PATCH /api/miners/17']")
    assert form.find(".//input[@name='name']").get("value") == f"{own} {key.replace(':', '')[-4:]}"


def test_retired_miners_do_not_wait(engine):
    record = dataclasses.replace(engine.records[1], named=False)
    assert to_name(record)
    assert not to_name(dataclasses.replace(record, enabled=False))


def test_many_miners_come_in_pages(client, engine):
    first = engine.records[1]
    for number in range(100, 220):
        engine.publish(dataclasses.replace(first, id=number, name=f"new-{number}", named=False))
    markup = page(client, "/devices?page=2")
    assert len(markup.all("ul[@id='unnamed']/li")) == 50
    assert "51 to 100 of" in text_of(markup.one("nav[@class='pager']"))
    for nonsense in ("0", "-1", "x", "99999999999999999999", "%00"):
        assert len(page(client, f"/devices?page={nonsense}").all("ul[@id='unnamed']/li")) in (50, 23, 24)


def test_nothing_waits():
    markup = page(create_app(FakeEngine(empty=True)).test_client(), "/devices")
    assert "No board waits" in text_of(markup.one("main"))
    assert "Plug a NerdMiner" in text_of(markup.one("main"))
    assert "No miner waits" in text_of(markup.one("main"))


def test_a_flock_that_is_named_has_no_miner_that_waits(client, engine):
    for record in engine.snapshot().miners:
        engine.publish(dataclasses.replace(record, named=True, currency="BTC"))
    assert "Every miner has a name and a currency" in text_of(page(client, "/devices").one("main"))


def test_boards_that_are_not_watched_are_not_promised():
    settings = Settings(serial=Serial(enabled=False))
    client = create_app(FakeEngine(empty=True, settings=settings)).test_client()
    text = text_of(page(client, "/devices").one("main"))
    assert "serial.enabled in targets.yml is false" in text
    assert "Plug a NerdMiner" not in text


def test_a_hostile_board_stays_harmless(client, engine):
    fields = {field.name: HOSTILE for field in dataclasses.fields(WaitingDevice) if "str" in str(field.type)}
    waiting(engine, **{**fields, "id": 5, "held_reason": None})
    html = client.get("/devices").text
    assert HOSTILE not in html
    page(client, "/devices")


@pytest.mark.parametrize(
    ("user", "doubtful", "words"),
    [
        (f"{BTC_ADDRESS}.kitchen", False, "valid one of BTC"),
        (BCH_ADDRESS, False, "valid one of BCH"),
        (f"{BTC_ADDRESS[:-1]}q.kitchen", True, "Bitcoin"),
        ("shepherd.kitchen", False, "account"),
    ],
)
def test_the_wallet_that_a_board_printed_is_checked(user, doubtful, words):
    hint = wallet_hint(user)
    assert hint.doubtful is doubtful
    assert words in hint.words


@pytest.mark.parametrize("user", [None, "", "   "])
def test_no_wallet_no_word(user):
    assert wallet_hint(user) is None


def test_a_mistyped_address_is_shown_as_a_warning(client, engine):
    waiting(engine, dumped_wallet_address=f"{BTC_ADDRESS[:-1]}q.kitchen")
    found = card(page(client, "/devices"), 1)
    warning = found.find(".//p[@class='banner warn']")
    assert "checksum" in text_of(warning)
