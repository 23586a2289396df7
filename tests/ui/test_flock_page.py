"""The page Flock: rows, totals, search, order, filters, groups and pages."""

import dataclasses
import time

import pytest

from exporter.config import Network, Settings
from exporter.model import Board, Identity, MinerState, Pool, Reading
from exporter.model_usb import UsbState
from onboarding_ui import create_app
from onboarding_ui.flock_query import COLUMNS, FlockQuery, flock_query
from onboarding_ui.flock_table import groups_of, ordered, row_of, rows_of
from onboarding_ui.flock_totals import totals_of
from onboarding_ui.states import problems, state_of, state_words
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE, flock, large_flock, seed, small_reading
from tests.ui.markup import page, text_of


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


def row(markup, number):
    return markup.one(f"tr[@data-key='m{number}']")


def shown(markup):
    """Ids of the miners on a page, in its order."""
    return [int(one.get("data-key")[1:]) for one in markup.all("tr") if (one.get("data-key") or "").startswith("m")]


def one(**changes):
    return seed(1, "bitaxe", "Bitaxe", "Bitaxe Gamma 601", **changes).record


def rows(*records, **query):
    return rows_of(records, FlockQuery(**query))


def ids(found):
    return [each.record.id for each in found]


# --- rows ---


def test_a_row_shows_what_the_miner_tells(client):
    text = text_of(row(page(client, "/"), 1))
    for words in ("garage", "02:00:00:00:00:01", "192.0.2.2", "Bitaxe Gamma 601", "bitaxe", "Mining", "1.07 TH/s",
                  "97 % of 1.10 TH/s expected", "58 °C", "18 W", "1 520", "0.4 % rejected"):  # fmt: skip
        assert words in text


def test_a_row_leads_to_the_page_of_the_miner_and_to_the_device(client):
    links = {link.get("href"): link for link in row(page(client, "/"), 1).iter("a")}
    assert "/miners/1" in links
    assert links["http://192.0.2.2/"].get("rel") == "noreferrer noopener"


def test_changes_go_through_the_api(client):
    found = row(page(client, "/"), 1)
    toggle = found.find(".//input[@data-patch]")
    assert (toggle.get("data-patch"), toggle.get("data-field")) == ("/api/miners/1", "managed")
    assert "checked" in toggle.attrib
    assert found.find(".//button[@data-rename]").get("data-rename") == "/api/miners/1"


@pytest.mark.parametrize(
    ("number", "words", "offline"),
    [
        (1, "Mining", False),
        (4, "Password refused", True),
        (9, "Mining", False),
        (10, "CONNECTED IP", False),
        (11, "Offline", True),
        (12, "Waiting", False),
        (13, "Listed only", False),
        (15, "Offline Muted", True),
        (18, "Starting", False),
        (19, "Fault", False),
        (20, "Not connected", True),
    ],
)
def test_states_are_told_in_words_and_offline_rows_are_marked(client, number, words, offline):
    found = row(page(client, "/"), number)
    assert words in text_of(found)
    assert ("offline" in found.get("class").split()) is offline


def test_an_offline_row_has_no_address_and_no_figures(client):
    text = text_of(row(page(client, "/"), 11))
    assert "none" in text
    assert "TH/s" not in text


def test_an_expired_reading_is_not_shown():
    late = one(expires_at=time.monotonic() - 1)
    assert row_of(late, time.monotonic()).hashrate is None
    assert state_words(late).words == "Offline"


def test_the_developers_pool_never_counts():
    pools = (Pool("0", accepted=120.0, rejected=3.0), Pool("1", accepted=9.0, fee=True))
    found = row_of(one(reading=small_reading(pools=pools)), time.monotonic())
    assert (found.accepted, found.rejected) == (120.0, 3.0)


def test_device_text_stays_harmless(client):
    answer = client.get("/?group=site&open=16")
    assert HOSTILE not in answer.text
    assert "<script>alert" not in answer.text
    markup = page(client, "/?group=site&open=16")
    assert row(markup, 16).find(".//a[@data-name]").text == HOSTILE * 200
    assert all(len(each.get("aria-label") or "") < 200 for each in markup.root.iter())


def test_retired_miners_are_hidden_and_can_be_shown(client):
    assert 14 not in shown(page(client, "/"))
    assert shown(page(client, "/?show=retired")) == [14]
    assert 14 in shown(page(client, "/?show=all"))


def test_the_panel_of_a_row_shows_fans_and_boards(client):
    markup = page(client, "/?open=3,11,999999")
    panel = text_of(markup.one("tr[@data-key='p3']"))
    assert "5 800 rpm" in panel
    assert "125 of 126" in panel
    assert "1 dead, 1 hot, 1 slow" in panel
    assert "no answer within 5 s" in text_of(markup.one("tr[@data-key='p11']"))
    assert row(markup, 3).find(".//a[@aria-expanded='true']").get("href") == "/?open=11%2C999999"


def test_an_empty_flock_says_what_to_look_at():
    text = create_app(FakeEngine(empty=True)).test_client().get("/").text
    assert "No miner has been found yet" in text
    assert "every 30 s" in text
    assert "80, 4028" in text


def test_an_empty_flock_without_a_network_says_so():
    settings = Settings(network=Network(subnets=()))
    text = create_app(FakeEngine(empty=True, settings=settings)).test_client().get("/").text
    assert "No network is searched" in text
    assert "A search runs" not in text


def test_hosts_without_a_driver_and_waiting_boards_are_told(client):
    markup = page(client, "/")
    assert "192.0.2.200: Braiins Antminer S19" in text_of(markup.one("section[@id='seen']"))
    assert "wait to be named" in text_of(markup.one("div[@id='notices']"))


def test_many_hosts_without_a_driver_are_counted(engine, own):
    (host,) = engine.seen
    engine.seen = tuple(dataclasses.replace(host, address=f"10.1.0.{number}") for number in range(23))
    listed = [text_of(item) for item in page(own, "/").all("section[@id='seen']//li")]
    assert len(listed) == 21
    assert listed[-1] == "and 3 more"
    engine.seen = engine.seen[:20]
    assert len(page(own, "/").all("section[@id='seen']//li")) == 20


def test_every_page_says_when_changes_do_not_reach_the_disk(engine, own):
    assert own.get("/").text.count("do not reach the disk") == 0
    engine.program.failing = "no space left on device"
    assert "no space left on device" in text_of(page(own, "/").one("div[@id='write-error']"))


# --- states and problems ---


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"reading": Reading(state=MinerState.MINING)}, "mining"),
        ({"reading": Reading(state=MinerState.IDLE)}, "idle"),
        ({"reading": Reading(state=MinerState.TUNING)}, "tuning"),
        ({"reading": Reading(state=MinerState.CURTAILED)}, "curtailed"),
        ({"reading": Reading(state=MinerState.UNKNOWN)}, "unknown"),
        ({"reading": Reading()}, "online"),
        ({"up": None, "reading": None}, "waiting"),
        ({"up": False, "reading": None}, "offline"),
        ({"up": False, "reading": None, "auth_failed": True}, "password"),
        ({"managed": False}, "listed"),
        ({"enabled": False, "managed": False}, "retired"),
    ],
)
def test_a_state_is_a_word_of_the_filter(changes, slug):
    record = one(**changes)
    assert state_of(record, record.reading).slug == slug
    assert flock_query({"state": slug}).state == slug


def test_a_miner_that_rests_on_purpose_is_no_warning():
    idle = one(reading=Reading(state=MinerState.IDLE))
    assert state_of(idle, idle.reading).kind == "warn"
    paused = one(reading=Reading(state=MinerState.IDLE, expected_mining=False))
    assert state_of(paused, paused.reading).kind == "off"


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (small_reading(), ()),
        (small_reading(0.5e12), ("hash rate 45 % of expected",)),
        (small_reading(overheat=True), ("too hot",)),
        (small_reading(boards=(Board("2", up=False),)), ("board 2 is down",)),
        (small_reading(boards=tuple(Board(str(n), up=False) for n in (1, 2, 3))), ("boards 1, 2, 3 are down",)),
        (small_reading(0.0, state=MinerState.STARTING, boards=(Board("2", up=False),)), ()),
        (small_reading(0.0, state=MinerState.TUNING, boards=(Board("2", up=False),)), ()),
        (small_reading(boards=(Board("0", chips_bad=(("dead", 1), ("slow", 2))),)), ("3 bad chips",)),
        (small_reading(pools=(Pool("0", accepted=90.0, rejected=10.0),)), ("10.0 % of shares rejected",)),
        (small_reading(pools=(Pool("0", accepted=9.0, rejected=1.0),)), ()),
        (small_reading(0.0, state=MinerState.CURTAILED, expected_mining=False), ()),
    ],
)
def test_what_is_wrong_with_a_miner(reading, words):
    assert problems(one(reading=reading), reading) == words


def test_a_miner_that_is_not_watched_has_no_problems():
    assert problems(one(managed=False, up=False, reading=None), None) == ()
    assert problems(one(enabled=False, up=False, reading=None), None) == ()


def test_the_troubled_are_found(client):
    found = shown(page(client, "/?show=problems"))
    assert {3, 4, 7, 10, 11, 15, 19, 20} == set(found)


# --- totals ---


def test_totals_count_only_what_is_told():
    reading = small_reading(1e12, hashrate_expected=2e12, power=20.0, pools=(Pool("0", accepted=99.0, rejected=1.0),))
    silent = small_reading(5e11, hashrate_expected=None, power=None, pools=())
    totals = totals_of(
        rows(
            one(reading=reading),
            dataclasses.replace(one(reading=silent), id=2),
            dataclasses.replace(one(up=False, reading=None), id=3),
            dataclasses.replace(one(managed=False, up=None, reading=None), id=4),
        )
    )
    assert (totals.up, totals.managed, totals.count) == (2, 3, 4)
    assert totals.hashrate == 1.5e12
    assert totals.part == 0.5
    assert totals.power == 20.0
    assert totals.efficiency == pytest.approx(20e-12)
    assert totals.reject_ratio == 0.01
    assert totals.bad_chips is None


def test_nothing_known_gives_no_totals():
    totals = totals_of([])
    assert (totals.hashrate, totals.power, totals.part, totals.efficiency, totals.reject_ratio) == (None,) * 5


def test_chip_anomalies_are_listed_over_the_whole_flock(client):
    totals = page(client, "/").one("section[@id='totals']")
    text = text_of(totals)
    assert "12 of 18" in text
    assert "Chip anomalies: 6 in 2 miners" in text
    assert {"/miners/3#chips", "/miners/7#chips"} == {link.get("href") for link in totals.iter("a")}


# --- the query ---


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=GARAGE", {1}),
        ("q=02:00:00:00:00:03", {3}),
        ("q=192.0.2.20", {19}),
        ("q=1-1.2", {9}),
        ("q=hall-1", {3, 4}),
        ("q=nothing-like-it", set()),
        ("state=offline", {11, 15, 20}),
        ("driver=nerdminer", {9, 10, 20}),
        ("label=site:hall-1", {3, 4}),
        ("label=site:hall-1&state=mining", {3}),
        ("show=new", {12, 16, 17}),
    ],
)
def test_search_and_filters(client, query, found):
    assert set(shown(page(client, f"/?{query}"))) == found


def test_what_does_not_match_says_so(client):
    assert "No miner matches" in client.get("/?q=nothing-like-it").text


@pytest.mark.parametrize(
    "query",
    [
        "sort=evil", "state=%00", "page=-1", "page=x", "page=99999999999", "size=0", "label=site", "label=evil:x",
        "group=evil", "open=,a,-1,99999999999999999999", "show=%3Cscript%3E", "q=" + "x" * 10_000,
    ],
)  # fmt: skip
def test_nonsense_falls_back_to_the_default(client, query):
    assert client.get(f"/?{query}").status_code == 200


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("direction", ["", "-"])
def test_every_order_keeps_every_miner(column, direction):
    records = [each.record for each in flock()]
    assert len(ids(rows(*records, show="all", sort=direction + column))) == len(records)


def test_the_unknown_comes_last_in_both_directions():
    records = [
        dataclasses.replace(one(reading=small_reading(power=power)), id=number, name=f"m{number}")
        for number, power in ((1, None), (2, 10.0), (3, 30.0), (4, 20.0))
    ]
    assert ids(rows(*records, sort="power")) == [2, 4, 3, 1]
    assert ids(rows(*records, sort="-power")) == [3, 4, 2, 1]


def test_addresses_are_in_the_order_of_their_numbers():
    records = [
        dataclasses.replace(one(), id=number, address=address)
        for number, address in ((1, "10.0.0.10"), (2, "10.0.0.9"), (3, None), (4, "9.0.0.1"))
    ]
    assert ids(rows(*records, sort="address")) == [4, 2, 1, 3]


def test_the_head_of_a_column_tells_and_turns_the_order(client):
    markup = page(client, "/?sort=-hashrate&driver=bitaxe")
    head = markup.one("th[@aria-sort]")
    assert head.get("aria-sort") == "descending"
    assert head.find("a").get("href") == "/?driver=bitaxe&sort=hashrate"
    power = next(link for link in markup.all("th/a") if link.text == "Power")
    assert power.get("href") == "/?driver=bitaxe&sort=-power"


def test_groups_have_heads_with_their_sums(client):
    markup = page(client, "/?group=site")
    heads = [text_of(head) for head in markup.all("tr[@data-key='head']")]
    assert heads[1] == "hall-1 1 of 2 up 93.00 TH/s 3.31 kW"
    assert heads[-1].startswith("Without a site")
    assert len(heads) == 4


def test_a_group_keeps_the_order_inside():
    records = [
        dataclasses.replace(one(reading=small_reading(power=power)), id=number, labels=labels)
        for number, power, labels in (
            (1, 10.0, (("site", "b"),)), (2, 30.0, ()), (3, 20.0, (("site", "A"),)), (4, 40.0, (("site", "b"),)),
        )
    ]  # fmt: skip
    found = rows(*records, group="site", sort="-power")
    assert [(group.value, ids(group.rows)) for group in groups_of(found, "site")] == [
        ("A", [3]), ("b", [4, 1]), (None, [2]),
    ]  # fmt: skip
    assert ordered([], FlockQuery(group="site")) == []


def test_a_large_flock_comes_in_pages():
    client = create_app(FakeEngine(seeds=large_flock(250))).test_client()
    first, last = page(client, "/"), page(client, "/?page=3")
    assert len(shown(first)) == 100
    assert len(shown(last)) == 50
    assert "201 to 250 of 250" in text_of(last.one("section[@id='flock']"))
    assert first.one("a[@rel='next']").get("href") == "/?page=2"
    assert last.one("a[@rel='prev']").get("href") == "/?page=2"
    assert len(shown(page(client, "/?size=500"))) == 250
    assert shown(page(client, "/?page=77")) == shown(last), "beyond the end is the last page"


def test_totals_count_all_pages():
    client = create_app(FakeEngine(seeds=large_flock(250))).test_client()
    assert "250 of 250" in text_of(page(client, "/?page=3").one("section[@id='totals']"))


def test_a_query_survives_its_own_link():
    query = FlockQuery("a b&c", "mining", "bitaxe", ("site", "x:y"), "all", "-power", "rack", 3, 50, (1, 2))
    words = dict(pair for pair in (part.partition("=")[::2] for part in query.href()[2:].split("&")))
    assert words["label"] == "site%3Ax%3Ay"
    with create_app(FakeEngine(empty=True)).test_request_context(query.href()) as context:
        assert flock_query(context.request.args) == query


# --- parts of the layout that only scripts use ---


def test_what_is_refreshed_has_an_id_and_the_page_names_its_place(client):
    markup = page(client, "/")
    live = [section.get("id") for section in markup.all("*[@data-live]")]
    assert None not in live
    assert {"totals", "flock", "seen", "notices", "write-error"} <= set(live)
    assert markup.one("nav[@aria-label='Pages']").find(".//a[@aria-current]").get("href") == "/"


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("<script>", "auto"), (None, "auto")]
)
def test_the_colours_a_person_chose_are_in_the_page(own, cookie, theme):
    if cookie is not None:
        own.set_cookie("theme", cookie)
    assert page(own, "/").root.get("data-theme") == theme


def test_every_script_and_style_of_a_page_is_there_and_small(client):
    paths = {"/static/js/main.js", "/static/js/flock.js", "/static/js/miner.js", "/static/flockwatch.css"}
    for path in paths:
        with client.get(path) as answer:
            assert answer.status_code == 200


def test_a_board_that_boots_shows_its_state_and_port(client):
    text = text_of(row(page(client, "/"), 10))
    assert UsbState.CONNECTED_IP.value in text
    assert "USB 1-1.3" in text
    assert "USB: dns failure" in text


def test_a_miner_without_any_identity_is_shown(engine, own):
    engine.records[1] = dataclasses.replace(engine.records[1], identity=Identity(), address="fe80::1", http_port=8080)
    links = [link.get("href") for link in row(page(own, "/"), 1).iter("a")]
    assert "http://[fe80::1]:8080/" in links
