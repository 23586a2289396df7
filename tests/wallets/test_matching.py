"""Which wallet a pool and its user belong to, and the reason where there is none."""

import dataclasses
import string
from pathlib import Path

import pytest
from base58_bech32.base58 import b58encode_check
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import PoolHost
from exporter.store.rows import MinerConfig, Wallet
from exporter.wallets.adapters.loader import load_adapters
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.matching import REASONS, Match, WalletBook, explain, match
from exporter.wallets.reasons import explain_pools
from tests.wallets.test_addresses import CASHADDR

SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
STRANGER = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
OLD = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
DOGE = b58encode_check(bytes([0x1E]) + bytes(20)).decode()
SOLO = "stratum+tcp://solo.ckpool.org:3333"
OWN = "stratum+tcp://10.0.0.5:3333"
POOLS = PoolDirectory(load_adapters())


def wallet(row_id, address, currency="BTC", pool=None):
    return Wallet(row_id, f"wallet {row_id}", currency, address, pool)


def matched(user, *wallets, url=SOLO, currency=None, pools=POOLS):
    return match(url, user, currency, WalletBook(wallets), pools)


def test_the_documented_example():
    found = matched(f"{SEGWIT}.nerdminer01", wallet(7, SEGWIT, pool="ckpool_btc"))
    assert found == Match(7, "nerdminer01", None)


@pytest.mark.parametrize(
    ("user", "address"),
    [
        (f"{SEGWIT.upper()}.rig", SEGWIT),
        (f"BTC:{SEGWIT}.rig", SEGWIT),
        (f"solo:{SEGWIT}.rig", SEGWIT),
        (f"{SEGWIT}.rig+1024", SEGWIT),
        (f"{OLD}_rig", OLD),
    ],
)
def test_writings_of_one_address(user, address):
    assert matched(user, wallet(1, address)) == Match(1, "rig", None)


@pytest.mark.parametrize("user", [CASHADDR[0][0], CASHADDR[0][1], CASHADDR[0][1].partition(":")[2]])
def test_old_and_new_writings_of_bitcoin_cash(user):
    for address in CASHADDR[0]:
        assert matched(f"{user}.rig", wallet(1, address, "BCH"), url=OWN).wallet_id == 1


@pytest.mark.parametrize(
    ("user", "wallets", "url", "reason"),
    [
        (None, [wallet(1, SEGWIT)], SOLO, "no_user"),
        ("", [wallet(1, SEGWIT)], SOLO, "no_user"),
        (SEGWIT, [], SOLO, "no_wallets"),
        ("f2pool.worker", [wallet(1, SEGWIT)], SOLO, "no_address_in_user"),
        ("f2pool.worker", [], SOLO, "no_address_in_user"),
        (SEGWIT[:-1] + "5", [wallet(1, SEGWIT)], SOLO, "address_invalid"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", [wallet(1, SEGWIT)], SOLO, "address_invalid"),
        (STRANGER, [wallet(1, SEGWIT)], SOLO, "other_address"),
        (SEGWIT, [wallet(1, SEGWIT, pool="public_pool")], SOLO, "other_pool"),
        (SEGWIT, [wallet(1, SEGWIT, pool="10.0.0.6:3333")], OWN, "other_pool"),
        (SEGWIT, [wallet(1, SEGWIT, pool="10.0.0.5:3334")], OWN, "other_pool"),
        (SEGWIT, [wallet(1, SEGWIT, pool="ckpool_btc")], OWN, "pool_not_recognised"),
        (SEGWIT, [wallet(1, SEGWIT, pool="ckpool_btc")], None, "pool_not_recognised"),
        (
            SEGWIT,
            [wallet(1, SEGWIT, pool="ckpool_btc")],
            "stratum+tcp://solo.ckpool.org.example:3333",
            "pool_not_recognised",
        ),
        (f"LTC:{SEGWIT}", [wallet(1, SEGWIT)], SOLO, "other_currency"),
        (OLD, [wallet(1, OLD, "BCH")], SOLO, "other_currency"),
        (OLD, [wallet(1, OLD, "BCH"), wallet(2, OLD, "BTC")], OWN, "ambiguous"),
    ],
)
def test_reasons(user, wallets, url, reason):
    found = matched(user, *wallets, url=url)
    assert (found.wallet_id, found.reason) == (None, reason)


def test_nothing_is_matched_by_a_part_of_it():
    tracked = wallet(1, SEGWIT)
    for user in (f"x{SEGWIT}", f"{SEGWIT}x", f"account.{SEGWIT}", SEGWIT[:20], f"{SEGWIT[:-4]}.rig"):
        assert matched(user, tracked).wallet_id is None


@pytest.mark.parametrize(
    ("pool", "url"),
    [
        (None, OWN),
        (None, None),
        ("ckpool_btc", "STRATUM+TCP://EUSOLO.ckpool.org.:443/"),
        ("ckpool_btc", "solo.ckpool.org"),
        ("public_pool", "public-pool.io:21496"),
        ("10.0.0.5:3333", "10.0.0.5"),
        ("ckpool_generic", OWN),
    ],
)
def test_pools_that_fit(pool, url):
    assert matched(SEGWIT, wallet(1, SEGWIT, pool=pool), url=url).wallet_id == 1


def test_a_generic_pool_is_none_of_the_known_ones():
    assert matched(SEGWIT, wallet(1, SEGWIT, pool="ckpool_generic")).reason == "other_pool"


def test_a_wallet_at_this_pool_stands_before_one_for_any():
    anywhere, here = wallet(1, SEGWIT), wallet(2, SEGWIT, pool="ckpool_btc")
    assert matched(SEGWIT, anywhere, here).wallet_id == 2
    assert matched(SEGWIT, anywhere, here, url=OWN).wallet_id == 1


@pytest.mark.parametrize(("currency", "wanted"), [("DOGE", 1), ("DGB", 2)])
def test_the_miners_currency_decides_between_equal_addresses(currency, wanted):
    both = wallet(1, DOGE, "DOGE"), wallet(2, DOGE, "DGB")
    assert matched(DOGE, *both, url=OWN).reason == "ambiguous"
    assert matched(DOGE, *both, url=OWN, currency=currency).wallet_id == wanted


def test_the_pools_currency_decides_where_nobody_said_anything():
    both = wallet(1, OLD, "BCH"), wallet(2, OLD, "BTC")
    assert matched(OLD, *both, url=SOLO).wallet_id == 2
    assert matched(OLD, *both, url=SOLO, currency="BCH").wallet_id == 1
    assert matched(f"BTC:{OLD}", *both, url=SOLO, currency="BCH").wallet_id == 2


def test_an_account_can_be_tracked_as_another_currency():
    account = wallet(1, "f2pool", "OTHER")
    assert matched("f2pool.worker", account, currency="BTC") == Match(1, "worker", None)
    assert matched("F2pool.worker", account).reason == "no_address_in_user"


def test_a_configured_host_is_recognised():
    pools = PoolDirectory(load_adapters(), [PoolHost("10.0.0.5", 3333, "public_pool", "http://10.0.0.5:3334")])
    tracked = wallet(1, SEGWIT, pool="public_pool")
    assert matched(SEGWIT, tracked, url=OWN, pools=pools).wallet_id == 1
    assert matched(SEGWIT, tracked, url="10.0.0.5:4444", pools=pools).reason == "pool_not_recognised"


# --- in words ---


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_and_a_remedy(reason):
    config = MinerConfig(1, 1, pool_url=SOLO, pool_user=f"{SEGWIT}.rig", reason=reason)
    for found in (explain(reason), explain(config)):
        assert found.sentence.endswith(".")
        assert found.remedy.endswith(".")
        assert SEGWIT not in found.sentence + found.remedy


def test_the_documents_name_every_reason():
    page = (Path(__file__).parents[2] / "docs" / "wallets.md").read_text()
    assert [word for word in REASONS if f"| `{word}` |" not in page] == []


def test_what_is_wrong_with_the_address_is_told():
    config = MinerConfig(1, 1, pool_user=f"{SEGWIT[:-1]}5.rig", reason="address_invalid")
    assert "checksum" in explain(config).sentence
    config = dataclasses.replace(config, pool_user="tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx")
    assert "test network" in explain(config).sentence


def test_where_the_miner_mines_is_told_without_secrets():
    config = MinerConfig(1, 1, pool_url="stratum+tcp://me:secret@10.0.0.5:3333", reason="other_pool")
    assert "10.0.0.5:3333" in explain(config).sentence
    assert "secret" not in explain(config).sentence
    assert "does not tell" in explain(dataclasses.replace(config, pool_url=None)).sentence


def test_several_pools_are_explained_together():
    configs = [
        MinerConfig(number, 1, url, f"{SEGWIT}.rig", reason="other_pool")
        for number, url in enumerate(["a.example:1", "me:secret@a..b", "stratum+tcp://A.example:1", None])
    ]
    found = explain_pools(configs)
    assert (
        found.sentence == f"At a.example:1, a..b, a pool that the miner does not name: {explain('other_pool').sentence}"
    )
    assert found.remedy == explain("other_pool").remedy
    assert explain_pools([MinerConfig(1, 1, reason="no_pools")]) == explain("no_pools")
    assert explain_pools([MinerConfig(1, 1, wallet_id=3)]) is None
    assert explain_pools([]) is None


def test_a_match_needs_no_explanation():
    assert explain(MinerConfig(1, 1, wallet_id=3)) is None
    assert explain(None).sentence
    assert explain("a word of a later version").remedy


@settings(deadline=None)
@given(st.text(max_size=80) | st.none(), st.text(max_size=80) | st.none())
def test_any_pool_gives_a_wallet_or_a_known_reason(url, user):
    found = matched(user, wallet(1, SEGWIT), wallet(2, "acc", "OTHER"), url=url)
    assert (found.wallet_id is None) == (found.reason in REASONS)


@settings(deadline=None)
@given(st.text(alphabet=string.ascii_letters + string.digits + "._-/ ", max_size=60))
def test_only_the_very_address_matches(user):
    assert matched(user, wallet(1, SEGWIT)).wallet_id is None
    assert matched(f"{SEGWIT}.{user}", wallet(1, SEGWIT)).wallet_id == 1
