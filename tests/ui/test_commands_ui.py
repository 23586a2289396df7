"""Commands on the pages: what a miner offers, one command to many, the log."""

import dataclasses
import time

import pytest

from exporter.engine.api.commands import BULK_RESULT_STATES, Bulk, BulkResult, CommandRun, OfferedCommand, Offers
from exporter.errors import ForbiddenError
from exporter.model import MinerState, Pool, Preset, Reading
from onboarding_ui import create_app
from onboarding_ui.command_forms import forms_of
from onboarding_ui.command_words import changes, is_trouble, order_words, outcome, place_of
from tests.ui.fake_commands import OFFERED, interrupted
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE, large_flock
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def calls(markup):
    return {(call.get("data-api"), call.get("data-body")) for call in markup.all("*[@data-api]")}


# --- what a miner offers ---


def test_every_command_that_is_offered_is_asked_about_first(client):
    for miner, driver in ((1, "bitaxe"), (3, "vnish"), (5, "avalon_nano"), (8, "nmminer")):
        markup = page(client, f"/miners/{miner}/commands")
        orders = [one for one in markup.all("*[@data-api]") if one.get("data-api").startswith("POST /api/miners/")]
        assert {one.get("data-api").rsplit("/", 1)[1] for one in orders} == {one.command for one in OFFERED[driver]}
        effects = {one.command: one.effect for one in OFFERED[driver]}
        for one in orders:
            assert one.get("data-confirm").endswith("?")
            given = one.get("data-effect")
            off = one.get("data-body") in ('{"on": false}', '{"duty": null}')
            assert off or given == effects[one.get("data-api").rsplit("/", 1)[1]]


def test_modes_are_buttons_and_the_one_that_holds_is_marked(client):
    markup = page(client, "/miners/5/commands")
    modes = {text_of(one): one for one in markup.all("button") if one.get("data-api", "").endswith("/mode")}
    assert list(modes) == ["eco", "standard", "turbo"]
    assert modes["eco"].get("aria-pressed") == "true"
    assert modes["turbo"].get("aria-pressed") == "false"
    assert modes["turbo"].get("data-body") == '{"mode": "turbo"}'
    assert modes["turbo"].get("data-confirm") == "Set avalon_nano-5 to the mode turbo?"


def test_presets_that_may_not_be_applied_are_grey_and_say_why(client):
    markup = page(client, "/miners/3/commands")
    options = {one.get("value"): one for one in markup.all("select[@name='preset']/option")}
    assert [value for value, one in options.items() if one.get("disabled") is None] == ["", "2600"]
    assert text_of(options["2600"]) == "2600 W ~ 84 TH"
    shown = text_of(markup.one("main"))
    assert "It is above the ceiling '2600' that was set for this model: 3250 W ~ 100 TH." in shown
    assert "It is not tuned yet" in shown
    assert markup.one("input[@name='confirm_modified_psu']").get("checked") is None


def test_numbers_have_the_bounds_of_the_device_in_peoples_units(client):
    markup = page(client, "/miners/1/commands")
    clock = markup.one("select[@name='frequency']")
    assert [text_of(one) for one in clock] == ["as it is", "400", "490", "525 (now)", "550", "625"]
    assert (clock.get("data-scale"), clock.get("data-unit")) == ("1e+06", "MHz")
    voltage = markup.one("input[@name='core_voltage']")
    assert (voltage.get("min"), voltage.get("max"), voltage.get("data-scale")) == ("1000", "1250", "0.001")
    duty = markup.one("input[@name='duty']")
    assert (duty.get("min"), duty.get("max"), duty.get("data-scale")) == ("0", "100", "0.01")
    assert ("POST /api/miners/1/fan", '{"duty": null}') in calls(markup)


def test_the_password_of_a_pool_is_typed_unseen_and_never_filled_in(client):
    markup = page(client, "/miners/1/commands")
    field = markup.one("input[@name='password']")
    assert (field.get("type"), field.get("autocomplete"), field.get("value")) == ("password", "off", "")
    slots = [text_of(one) for one in markup.all("select[@name='slot']/option")]
    assert slots == ["1: stratum+tcp://solo.ckpool.org:3333", "2: stratum+tcp://public-pool.io:21496"]


@pytest.mark.parametrize(
    ("miner", "words", "by_hand"),
    [(11, "The miner does not answer now.", 0), (13, "retired or only listed", 1), (9, "It takes none.", 1)],
)
def test_a_miner_that_takes_no_commands_says_why(client, miner, words, by_hand):
    markup = page(client, f"/miners/{miner}/commands")
    assert words in text_of(markup.one("*[@id='offered']"))
    # One that is offline is asked by itself when it answers again.
    assert len(markup.all("*[@data-offers-again]")) == by_hand
    assert not [call for call, _ in calls(markup) if call.startswith("POST /api/miners/")]


def test_a_program_that_only_watches_offers_nothing_and_says_so(engine, client):
    engine.commands.control = False
    assert "control.enabled is false" in text_of(page(client, "/miners/1/commands").one("main"))
    markup = page(client, "/miners/1")
    assert "control.enabled is false" in text_of(markup.one("section[@id='commands']"))
    assert not markup.all("*[@data-offers]")
    flock = page(client, "/")
    assert not flock.all("dialog[@id='bulk-commands']")
    button = next(one for one in flock.all("button") if text_of(one) == "Command …")
    assert button.get("disabled") is not None
    assert "control.enabled" in button.get("title")
    assert "control.enabled is false" in text_of(page(client, "/audit").one("main"))


def test_a_program_that_refuses_to_tell_is_told_of(engine, client, monkeypatch):
    def refuse(_):
        raise ForbiddenError("control is switched off")

    monkeypatch.setattr(engine.commands, "offers", refuse)
    assert "Control is switched off." in text_of(page(client, "/miners/1/commands").one("main"))


def test_the_page_of_a_miner_does_not_wait_for_the_miner(engine, client, monkeypatch):
    def never(_):
        pytest.fail("the miner was asked")

    monkeypatch.setattr(engine.commands, "offers", never)
    markup = page(client, "/miners/1")
    assert markup.one("*[@data-offers]").get("data-offers") == "/miners/1/commands"
    assert "Done Restart 15 min ago" in text_of(markup.one("*[@id='runs']"))


def test_a_refusal_stands_in_the_devices_own_words(client):
    markup = page(client, "/miners/3")
    (run,) = markup.all("*[@data-command]")
    assert '{"err": "auto-tuning <b>runs</b>"}' in text_of(run)
    assert run.get("data-state") == "refused"
    assert run.get("data-kind") == "bad"


def test_commands_to_a_hostile_miner(engine, client):
    engine.commands.outcomes[16] = ("refused", HOSTILE)
    client.post("/api/miners/16/restart?wait=true")
    for path in ("/miners/16/commands", "/miners/16", "/audit"):
        assert HOSTILE in text_of(page(client, path).one("main"))


def test_nobody_is_no_miner(client):
    assert client.get("/miners/999/commands").status_code == 404


# --- to many ---


def test_results_that_need_a_look_stand_first(client):
    markup = page(client, "/bulk/1")
    assert [text_of(row) for row in markup.all("tbody/tr")] == [
        'vnish-3 Refused {"err": "auto-tuning <b>runs</b>"}',
        "garage Not offered this miner does not offer 'preset'",
    ]
    assert "2 of 2 miners did not do it" in text_of(markup.one("main"))
    assert not [call for call in markup.calls() if "cancel" in call]
    assert int(markup.one("section[@id='bulk']").get("data-live")) > 1


def running(number=7, **fields):
    results = (
        BulkResult(1, "garage", "confirmed"),
        BulkResult(2, "nerdqaxe-2", "running"),
        BulkResult(3, "vnish-3", "waiting"),
        BulkResult(99, "gone", "failed", "the miner does not answer now"),
    )
    made = Bulk(number, "restart", {}, "local", False, "running", time.time(), None, results, {"waiting": 1})
    return dataclasses.replace(made, **fields)


def test_what_runs_can_be_stopped_and_is_shown_every_second(engine, client, monkeypatch):
    monkeypatch.setattr(engine.commands, "bulk", lambda _: running())
    markup = page(client, "/bulk/7")
    assert "POST /api/bulk/7/cancel" in markup.calls()
    section = markup.one("section[@id='bulk']")
    assert section.get("data-live") == "1"
    assert "2 of 4 done" in text_of(section)
    assert [text_of(row.find("th")) for row in markup.all("tbody/tr")] == ["gone", "nerdqaxe-2", "vnish-3", "garage"]
    assert [link.get("href") for link in markup.all("tbody//a")] == ["/miners/2", "/miners/3", "/miners/1"]
    assert "did not do it" not in text_of(section)


def test_many_results_come_in_pages(engine, client, monkeypatch):
    results = tuple(BulkResult(number, f"m{number}", "confirmed") for number in range(1, 502))
    monkeypatch.setattr(engine.commands, "bulk", lambda _: running(state="finished", results=results))
    assert len(page(client, "/bulk/7").all("tbody/tr")) == 200
    assert len(page(client, "/bulk/7?page=3").all("tbody/tr")) == 101


def test_what_an_end_of_the_program_cut_off_says_who_was_not_told(engine, client, monkeypatch):
    monkeypatch.setattr(engine.commands, "bulk", lambda _: interrupted())
    markup = page(client, "/bulk/7")
    section = markup.one("section[@id='bulk']")
    assert "Flockwatch ended before all were told: nothing was sent to 1 of 2 miners" in text_of(section)
    assert "1 of 2 done" in text_of(section)
    assert markup.one("progress").get("value") == "1"
    assert [text_of(row) for row in markup.all("tbody/tr")] == [
        "nerdqaxe-2 Not sent the program ended before it was told; nothing was sent",
        "garage Done The miner restarts and mines again in about a minute.",
    ]
    assert not [call for call in markup.calls() if "cancel" in call]


def test_a_command_to_many_that_is_forgotten(client):
    assert client.get("/bulk/77").status_code == 404


def test_the_flock_tells_all_that_match_where_they_fill_pages():
    client = create_app(FakeEngine(seeds=large_flock(130))).test_client()
    assert len(page(client, "/").one("*[@id='matching']").get("data-ids").split(",")) == 130
    assert page(client, "/?size=500").one("*[@id='matching']").get("data-ids") == ""
    some = page(client, "/?label=site:hall-1&size=10").one("*[@id='matching']").get("data-ids").split(",")
    assert {int(number) % 4 for number in some} == {1}


# --- the log ---


def test_the_log_tells_who_what_when_and_what_changed(client):
    markup = page(client, "/audit")
    first, second = markup.all("tbody/tr")
    assert text_of(first).startswith("Preset 2600 vnish-3")
    assert 'token "night shift" to many, number 1 Refused' in text_of(first)
    assert "a signed-in browser Done Uptime: 24 h → 21 s" in text_of(second)
    assert first.find(".//time").get("datetime")


def test_the_log_of_one_miner(client):
    markup = page(client, "/audit?miner_id=3")
    assert len(markup.all("tbody/tr")) == 1
    assert "Only those to vnish-3" in text_of(markup.one("main"))
    assert "No command yet" in text_of(page(client, "/audit?miner_id=5").one("main"))


@pytest.mark.parametrize("query", ["miner_id=x", "miner_id=-1", "miner_id=" + "9" * 40, "page=0", "page=999999"])
def test_nonsense_in_the_query_is_no_fault(client, query):
    assert client.get(f"/audit?{query}").status_code == 200


def test_a_long_log_comes_in_pages(engine, client, monkeypatch):
    (one,) = engine.commands.recent(1)
    runs = tuple(dataclasses.replace(one, id=number) for number in range(120, 0, -1))
    monkeypatch.setattr(engine.commands, "count", lambda miner_id: len(runs))
    monkeypatch.setattr(engine.commands, "recent", lambda miner_id, limit, offset=0: runs[offset : offset + limit])
    last = page(client, "/audit?page=3&miner_id=1")
    assert [row.get("data-key") for row in last.all("tbody/tr")][-1] == "command-1"
    assert "?page=2&miner_id=1" in [link.get("href") for link in last.all("nav//a")]


def test_the_settings_lead_to_the_log(client):
    markup = page(client, "/settings/")
    assert "/audit" in [link.get("href") for link in markup.all("main//a")]
    here = page(client, "/audit").one("nav//a[@aria-current]")
    assert text_of(here) == "Settings"


# --- words and forms ---


@pytest.mark.parametrize(
    ("command", "values", "words"),
    [
        ("restart", {}, "Restart"),
        ("identify", {"on": False}, "Light off"),
        ("mode", {"mode": "eco"}, "Mode eco"),
        ("preset", {"preset": "2600", "confirm_modified_psu": False}, "Preset 2600"),
        ("preset", {"preset": "4200", "confirm_modified_psu": True}, "Preset 4200, modified power supply"),
        ("tuning", {"frequency": 525e6, "core_voltage": 1.15}, "Tuning 525 MHz, 1 150 mV"),
        ("pool", {"slot": 1, "url": "stratum+tcp://a:1", "user": "x.y"}, "Pool 2, stratum+tcp://a:1, x.y"),
        ("fan", {"duty": 0.6}, "Fans 60 %"),
        ("fan", {"duty": None}, "Fans automatic"),
        ("something_else", {"odd": 1}, "Something_else 1"),
    ],
)
def test_an_order_in_words(command, values, words):
    assert order_words(command, values).replace("\u202f", " ").replace("\u00a0", " ") == words


def run(before, after):
    return CommandRun(1, 1, "m", "m", "mode", {}, "local", "confirmed", 0.0, 1.0, None, None, before, after)


def test_only_what_was_seen_to_change_is_told():
    seen = changes(
        run({"mode": "eco", "hashrate": 1e12, "power": 20.0, "pool": "a"}, {"mode": "turbo", "hashrate": 2e12})
    )
    assert [(one.name, one.before, one.after) for one in seen] == [
        ("Mode", "eco", "turbo"),
        ("Hash rate", "1.00\u00a0TH/s", "2.00\u00a0TH/s"),
    ]
    assert changes(run({"mode": "eco"}, {})) == ()
    assert changes(run({}, {"fault_light": True}))[0].before == "–"


def test_a_value_that_an_older_log_holds_in_another_form():
    assert changes(run({}, {"hashrate": "1 TH/s"}))[0].after == "1 TH/s"


def test_every_state_has_words_and_a_place():
    states = BULK_RESULT_STATES
    assert len({outcome(state).words for state in states}) == len(states)
    assert len({place_of(state) for state in states}) == len(states)
    assert [state for state in states if is_trouble(state)] == [
        "refused", "unconfirmed", "failed", "interrupted", "not offered", "not allowed", "not sent",
    ]  # fmt: skip
    assert outcome("new").words == "New"


def test_forms_without_a_reading_or_a_model():
    preset = OfferedCommand("preset", "It tunes.", choices=(("a", None),))
    offers = Offers((OfferedCommand("pool", "It mines elsewhere.", slots=2), preset))
    forms = forms_of(offers, None, ())
    assert forms.slots == ((0, "1"), (1, "2"))
    assert forms.presets[0].words == "a"
    assert not forms.modified_psu


def test_slots_go_by_the_number_that_the_device_tells():
    pools = (Pool("1", url="stratum+tcp://b:1"), Pool("fee", url="stratum+tcp://f:1", fee=True), Pool("x", url="u"))
    reading = Reading(state=MinerState.MINING, pools=pools)
    offers = Offers((OfferedCommand("pool", "It mines elsewhere.", slots=2),))
    assert forms_of(offers, reading, ()).slots == ((0, "1"), (1, "2: stratum+tcp://b:1"))


def test_presets_that_are_barred_for_one_reason_stand_together():
    choices = (("a", None), ("b", "it is above the ceiling"), ("c", "it is above the ceiling"))
    forms = forms_of(
        Offers((OfferedCommand("preset", "It tunes.", choices=choices),)),
        None,
        [Preset("b", "b at 3 kW", modified_psu_required=True)],
    )
    assert forms.barred == (("it is above the ceiling", ("b at 3 kW, for a modified power supply", "c")),)
    assert forms.modified_psu
