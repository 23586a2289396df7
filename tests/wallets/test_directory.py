"""Which adapter belongs to a place, and whom to ask about a wallet."""

import pytest

from exporter.config import PoolHost
from exporter.store.rows import Wallet
from exporter.wallets.adapters.loader import load_adapters
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.pool_place import read_place

ADAPTERS = load_adapters()


def urls(pool, *places, currency="BTC", hosts=()):
    directory = PoolDirectory(ADAPTERS, hosts)
    wallet = Wallet(1, "w", currency, "address", pool)
    return [source.base_url for source in directory.sources(wallet, map(read_place, places))]


@pytest.mark.parametrize(
    ("pool", "places", "wanted"),
    [
        ("ckpool_btc", [], ["https://solo.ckpool.org"]),
        ("ckpool_btc", ["eusolo.ckpool.org:3333", "eusolo.ckpool.org:443"], ["https://eusolo.ckpool.org"]),
        ("ckpool_btc", ["public-pool.io:3333"], ["https://solo.ckpool.org"]),
        ("public_pool", [], ["https://public-pool.io:40557"]),
        (None, [], []),
        (None, ["public-pool.io:21496", "10.0.0.5:3333"], ["https://public-pool.io:40557"]),
        ("10.0.0.5:3333", ["10.0.0.5:3333"], []),
        ("ckpool_generic", [], []),
        ("ckpool_generic", ["pool.example:3333", "solo.ckpool.org:3333"], ["https://pool.example"]),
        ("ckpool_generic", ["[2001:db8::1]:3333"], ["https://[2001:db8::1]"]),
    ],
)
def test_whom_to_ask(pool, places, wanted):
    assert urls(pool, *places) == wanted


def test_a_pool_of_another_currency_is_not_asked():
    assert urls(None, "solo.ckpool.org:3333", currency="BCH") == []


@pytest.mark.parametrize(
    ("host", "place", "wanted"),
    [
        (PoolHost("10.0.0.5", None, "public_pool", "http://10.0.0.5:3334"), "10.0.0.5:9", ["http://10.0.0.5:3334"]),
        (PoolHost("10.0.0.5", 3333, "public_pool", "http://10.0.0.5:3334"), "10.0.0.5:9", []),
        (PoolHost("pool.example", None, "ckpool_generic"), "pool.example:1", ["https://pool.example"]),
        (PoolHost("solo.ckpool.org", None, None, "http://127.0.0.1:1"), "solo.ckpool.org:1", ["http://127.0.0.1:1"]),
        (PoolHost("::1", 3333, "ckpool_generic"), "[::1]:3333", ["https://[::1]"]),
    ],
)
def test_configured_hosts(host, place, wanted):
    assert urls(None, place, hosts=[host]) == wanted


def test_entries_that_cannot_be_used_are_named():
    directory = PoolDirectory(
        ADAPTERS, [PoolHost("a.example", None, "nonsense"), PoolHost("b.example", 1, None, "http://x")]
    )
    assert len(directory.unknown) == 2
    assert all("ckpool_btc, ckpool_generic, public_pool" in line for line in directory.unknown)
    assert directory.source_at(read_place("a.example")) is None


def test_names_for_people():
    directory = PoolDirectory(ADAPTERS)
    assert directory.display_name("ckpool_btc") == "Solo CKPool"
    assert directory.display_name("pool.example:3333") == "pool.example:3333"
    assert directory.display_name(None) is None
    assert directory.name_at(read_place("ausolo.ckpool.org")) == "Solo CKPool"
    assert directory.name_at(read_place("pool.example")) == "pool.example:3333"
    assert directory.name_at(None) is None


def test_choices():
    choices = {choice.name: choice for choice in PoolDirectory(ADAPTERS).choices()}
    assert choices["ckpool_btc"].hosts == ("solo.ckpool.org", "eusolo.ckpool.org", "ausolo.ckpool.org")
    assert choices["public_pool"].currencies == ("BTC",)
    assert [choice.display_name for choice in PoolDirectory(ADAPTERS).choices()] == [
        "CKPool-compatible pool",
        "Public Pool",
        "Solo CKPool",
    ]
