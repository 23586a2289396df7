"""The pages of the wallets."""

import dataclasses
import time

import pytest

from exporter.config import Pools, Settings
from exporter.engine.api.wallets import PoolStatistics, WalletView
from exporter.store.rows import MinerConfig, Wallet
from onboarding_ui import create_app
from onboarding_ui.wallet_figures import coins, compare, fair_window, window_seconds
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import BTC_ADDRESS, HOSTILE, large_flock
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def card(markup, number):
    return markup.one(f"article[@data-key='wallet-{number}']")


def test_a_share_logged_by_hand_keeps_its_difficulty(client, engine):
    engine.shares.add(1, pool_name="Solo CKPool", difficulty=12.5)
    first = page(client, "/wallets/1").one("section[@id='shares']").find(".//tbody/tr")
    assert "12.5" in text_of(first).split()


def view(*hashrates):
    return WalletView(Wallet(1, "w", "BTC", BTC_ADDRESS), None, PoolStatistics(hashrates), None, (1,))


def test_every_wallet_with_the_pools_figures_and_its_miners(client):
    markup = page(client, "/wallets")
    shown = text_of(card(markup, 1))
    for words in (
        "Solo savings",
        "BTC · Solo CKPool",
        "Devices now 98.87 TH/s",
        "Pool, 1h 5.90 TH/s 6 % of the devices",
        "4 of 4 up",
        "Workers at the pool 3",
        "Best share 88.00 G",
    ):
        assert words in shown
    assert "the pool did not answer within 10 s" in text_of(card(markup, 2))
    assert card(markup, 1).find(".//h2/a").get("href") == "/wallets/1"


def test_an_address_is_whole_however_it_is_cut(client):
    code = card(page(client, "/wallets"), 1).find(".//code")
    assert ("".join(code.itertext()), code.get("title")) == (BTC_ADDRESS, BTC_ADDRESS)


def test_the_form_to_add_one(client, engine):
    form = page(client, "/wallets").one("form[@data-api='POST /api/wallets']")
    assert form.get("data-done") == "/wallets/{id}"
    fields = {field.get("name"): field for kind in ("input", "select") for field in form.iter(kind)}
    assert set(fields) == {"name", "currency", "address", "pool"}
    assert [name for name, field in fields.items() if field.get("required") is not None] == [
        "name",
        "address",
        "currency",
    ]
    assert fields["pool"].get("data-type") == "null-if-empty"
    offered = [option.get("value") for option in form.find(".//datalist").iter("option")]
    assert offered == [pool.name for pool in engine.wallets.pools()]


def test_miners_without_a_wallet_say_why_and_can_be_linked_by_hand(client):
    markup = page(client, "/wallets")
    row = markup.one("li[@data-key='unmatched-7']")
    shown = text_of(row)
    for words in ("cgminer-7", "stratum+tcp://btc.f2pool.com:1314", "shepherd.m30s", "name of an account"):
        assert words in shown
    form = row.find(".//form")
    assert (form.get("data-api"), form.get("data-send")) == ("POST /api/miners/7/link-wallet", "query")
    assert [option.get("value") for option in form.iter("option")] == ["", "1", "2"]
    assert markup.all("li[@data-key='unmatched-1']") == []
    assert markup.all("li[@data-key='unmatched-14']") == [], "retired"
    assert client.post("/api/miners/7/link-wallet?wallet_id=2").status_code == 200
    assert page(client, "/wallets").all("li[@data-key='unmatched-7']") == []


def test_every_pool_that_did_not_match_is_told(client, engine):
    configs = tuple(
        MinerConfig(number, 7, f"pool-{number}.example:3333", "user", reason=reason, active=active)
        for number, reason, active in ((1, "other_pool", True), (2, "no_user", True), (3, "no_user", False))
    )
    engine.wallets.configs = lambda miner_id: configs if miner_id == 7 else ()
    shown = text_of(page(client, "/wallets").one("li[@data-key='unmatched-7']"))
    assert "pool-1.example" in shown
    assert "pool-2.example" in shown
    assert "pool-3.example" not in shown


def test_unmatched_miners_come_in_pages():
    engine = FakeEngine(large_flock(60))
    engine.wallets.all = tuple
    asked = []
    engine.wallets.configs = lambda miner_id: asked.append(miner_id) or ()
    client = create_app(engine).test_client()
    markup = page(client, "/wallets?unmatched=3")
    assert len(markup.all("section[@id='unmatched']/ul/li")) == 10
    assert asked == list(range(51, 61)), "only what is shown is looked up"
    assert text_of(markup.one("section[@id='unmatched']/h2")) == "Miners without a wallet (60)"
    assert markup.one("nav[@class='pager']/a").get("href") == "?unmatched=2#unmatched"
    assert markup.all("form[@data-send='query']") == [], "no wallet to link to"


def test_no_wallet_yet():
    markup = page(create_app(FakeEngine(empty=True)).test_client(), "/wallets")
    assert "No wallet is tracked" in text_of(markup.one("main"))
    assert markup.one("form[@data-api='POST /api/wallets']") is not None


@pytest.mark.parametrize(
    ("pool", "currency", "asked", "words"),
    [
        ("ckpool_btc", "BTC", True, "has not answered yet"),
        ("10.0.0.9:3333", "BTC", False, "Pools that tell about wallets in BTC: Solo CKPool, Public Pool."),
        (None, "BTC", False, "as far as that pool is one that Flockwatch knows. Pools that tell about wallets in BTC:"),
        ("10.0.0.9:3333", "OTHER", False, "Flockwatch knows no pool that tells about wallets in OTHER."),
    ],
)
def test_a_pool_can_be_asked_where_a_server_is_known(client, engine, pool, currency, asked, words):
    engine.wallets.statistics = None
    wallet = dataclasses.replace(engine.wallets.get(1).wallet, pool=pool, currency=currency)
    engine.wallets._wallets[1] = wallet
    main = page(client, "/wallets/1").one("main")
    assert words in text_of(main)
    assert ("Ask the pool now" in text_of(main)) is asked


def test_statistics_that_are_switched_off_are_said_to_be():
    settings = dataclasses.replace(Settings(), pools=Pools(statistics=False))
    client = create_app(FakeEngine(settings=settings)).test_client()
    assert "pools.statistics" in text_of(page(client, "/wallets").one("main"))
    markup = page(client, "/wallets/2")
    assert "POST /api/wallets/2/refresh" not in markup.calls()


def test_one_wallet_with_everything_about_it(client):
    markup = page(client, "/wallets/1")
    shown = text_of(markup.one("main"))
    for words in (
        "Solo savings",
        "BTC at Solo CKPool",
        "98.87 TH/s 4 of 4 tell one",
        "0.0125 BTC",
        "Hash rate, 1d 5.60 TH/s",
        "nerdqaxe-2",
        "The pool answered",
        "1 to 25 of 150",
    ):
        assert words in shown
    assert {"POST /api/wallets/1/refresh", "PATCH /api/wallets/1", "DELETE /api/wallets/1",
            "POST /api/wallets/1/shares"} <= set(markup.calls())  # fmt: skip
    assert "coins are not touched" in markup.one("button[@data-api='DELETE /api/wallets/1']").get("data-confirm")
    edit = markup.one("form[@data-api='PATCH /api/wallets/1']")
    values = {field.get("name"): field.get("value") for field in edit.iter("input")}
    assert values == {"name": "Solo savings", "address": BTC_ADDRESS, "pool": "ckpool_btc"}


@pytest.mark.parametrize("wallet_id", [1, 2])
def test_a_pool_that_is_being_asked_is_said_to_be(client, engine, wallet_id):
    assert "being asked" not in text_of(page(client, f"/wallets/{wallet_id}").one("main"))
    engine.wallets.asking.add(wallet_id)
    shown = text_of(page(client, f"/wallets/{wallet_id}").one("main"))
    assert shown.count("is being asked now.") == 1
    assert "has not answered yet" not in shown


def test_linked_miners_show_what_they_do_now(client, engine):
    engine.change(1, up=False, reading=None)
    engine.change(3, expires_at=time.monotonic() - 1)
    markup = page(client, "/wallets/1")
    rows = {row.get("data-key"): row for row in markup.all("tr[@data-key]")}
    assert rows["miner-1"].get("class") == "offline"
    assert "Offline" in text_of(rows["miner-1"])
    assert "93.00 TH/s" not in text_of(rows["miner-3"]), "a reading that is over is not shown"
    assert "2 of 4 tell one" in text_of(markup.one("dl[@class='figures']"))


def test_shares_by_page_and_where_each_is_from(client, engine):
    rows = page(client, "/wallets/1").all("section[@id='shares']//tbody/tr")
    first = text_of(rows[0])
    assert "Rejected" in first
    assert "stale" in first
    assert "derived" in first
    assert "× 4" in first
    assert text_of(rows[1]).endswith("told")
    markup = page(client, "/wallets/1?page=6")
    assert len(markup.all("section[@id='shares']//tbody/tr")) == 25
    assert [link.get("href") for link in markup.all("nav[@class='pager']/a")] == ["?page=5#shares"]
    beyond = page(client, "/wallets/1?page=7")
    assert "126 to 150 of 150" in text_of(beyond.one("nav[@class='pager']"))
    sums = engine.shares.sums(wallet_id=1)
    assert f"Shares in 24 h {sums.accepted} {sums.rejected} rejected" in text_of(beyond.one("dl[@class='figures']"))


def test_a_share_logged_by_hand_is_the_newest(client):
    body = {"pool_name": "Solo CKPool", "difficulty": 2048, "worker_name": None, "accepted": True}
    assert client.post("/api/wallets/1/shares", json=body).status_code == 201
    rows = page(client, "/wallets/1").all("section[@id='shares']//tbody/tr")
    assert "2.05 k" in text_of(rows[0])
    assert text_of(rows[0]).endswith("by hand")


def test_a_wallet_whose_pool_says_nothing(client):
    markup = page(client, "/wallets/2")
    shown = text_of(markup.one("main"))
    assert "the pool did not answer within 10 s" in shown
    assert "No miner mines for this wallet" in shown
    assert "No share yet" in shown


@pytest.mark.parametrize("path", ["/wallets/99", "/wallets/0", "/wallets/x", "/wallets/-1"])
def test_an_unknown_wallet(client, path):
    assert client.get(path).status_code == 404


def test_hostile_words_stay_harmless(client, engine):
    long = HOSTILE * 200
    engine.wallets.all = lambda: (
        WalletView(Wallet(1, long, "BTC", HOSTILE, HOSTILE), HOSTILE, None, HOSTILE, (16, 999)),
    )
    engine.wallets.get = lambda _: engine.wallets.all()[0]
    engine.wallets.configs = lambda miner_id: (MinerConfig(1, miner_id, HOSTILE, HOSTILE, HOSTILE, reason=HOSTILE),)
    for path in ("/wallets", "/wallets/1"):
        assert HOSTILE not in client.get(path).text
        page(client, path)


@pytest.mark.parametrize(
    ("window", "seconds"),
    [("30s", 30), ("1m", 60), ("5m", 300), ("1h", 3600), ("7d", 604800), ("1w", 604800), ("", None), ("h", None),
     ("x1h", None), ("1y", None), ("\u00b2h", None)],
)  # fmt: skip
def test_lengths_of_windows(window, seconds):
    assert window_seconds(window) == seconds


@pytest.mark.parametrize(
    ("hashrates", "chosen"),
    [
        ((("1m", 1.0), ("1h", 2.0), ("1d", 3.0)), ("1h", 2.0)),
        ((("1d", 3.0), ("7d", 4.0)), ("1d", 3.0)),
        ((("5m", 1.0), ("10m", 2.0), ("3h", 5.0)), ("10m", 2.0)),
        ((("ever", 1.0),), None),
        ((), None),
    ],
)
def test_the_window_that_is_fair_to_compare_with(hashrates, chosen):
    assert fair_window(PoolStatistics(hashrates)) == chosen
    assert fair_window(None) is None


def test_comparing_devices_with_the_pool(engine):
    miners = [engine.records[1], engine.records[11], engine.records[2]]
    told = sum(engine.records[number].reading.hashrate for number in (1, 2))
    compared = compare(view(("1h", 2.0e12)), miners)
    assert (compared.devices, compared.telling, compared.window) == (told, 2, "1h")
    assert compared.ratio == pytest.approx(2.0e12 / told)
    assert compare(view(), miners).ratio is None
    nobody = compare(view(("1h", 2.0e12)), [engine.records[11]])
    assert (nobody.devices, nobody.telling, nobody.ratio) == (None, 0, None)


@pytest.mark.parametrize(
    ("amount", "text"), [(0.0125, "0.0125 BTC"), (0.0, "0 BTC"), (10.0, "10 BTC"), (1e-8, "0.00000001 BTC")]
)
def test_amounts(amount, text):
    assert coins(amount, "BTC") == text
