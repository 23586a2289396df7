"""Pool users as pools and miners really write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.wallets.pool_user import PoolUser, split_user

SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
OLD = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
CASH = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
BARE = CASH.partition(":")[2]


@pytest.mark.parametrize(
    ("user", "account", "worker", "currency"),
    [
        (SEGWIT, SEGWIT, None, None),
        (f"{SEGWIT}.nerdminer01", SEGWIT, "nerdminer01", None),
        (f"  {SEGWIT}.rig ", SEGWIT, "rig", None),
        (f"{SEGWIT}.bitaxe.shelf.2", SEGWIT, "bitaxe.shelf.2", None),
        (f"{SEGWIT}.", SEGWIT, None, None),
        (f"{OLD}_rig", OLD, "rig", None),
        (f"{OLD}/rig", OLD, "rig", None),
        (f"{OLD}-rig-7", OLD, "rig-7", None),
        (f"{OLD}+1024", OLD, None, None),
        (f"{OLD}.rig+0.5", OLD, "rig", None),
        (f"{OLD}/1000+5", OLD, None, None),
        (f"{OLD}+rig", OLD, "rig", None),
        (CASH, CASH, None, None),
        (f"{CASH}.rig", CASH, "rig", None),
        (f"{BARE}.rig", BARE, "rig", None),
        (f"BITCOINCASH:{BARE.upper()}.rig", f"BITCOINCASH:{BARE.upper()}", "rig", None),
        (f"BTC:{SEGWIT}.rig", SEGWIT, "rig", "BTC"),
        (f"btc:{SEGWIT}.rig#ab12-cd34", SEGWIT, "rig", "BTC"),
        (f"BCH:{CASH}.rig", CASH, "rig", "BCH"),
        (f"solo:{SEGWIT}.rig", SEGWIT, "rig", None),
        (f"solo:LTC:{SEGWIT}", SEGWIT, None, "LTC"),
        (f"bitcoin:{SEGWIT}.rig", SEGWIT, "rig", "BTC"),
        # Mistyped, and still meant as an address.
        (f"{SEGWIT[:-1]}5.rig", f"{SEGWIT[:-1]}5", "rig", None),
        ("bc1sw50qgdz25j.rig", "bc1sw50qgdz25j", "rig", None),
    ],
)
def test_addresses(user, account, worker, currency):
    assert split_user(user) == PoolUser(account, worker, currency, is_address=True)


@pytest.mark.parametrize(
    ("user", "account", "worker"),
    [
        ("f2pool.worker", "f2pool", "worker"),
        ("my-account.rack1.7", "my-account", "rack1.7"),
        ("lab_test_m60s-440", "lab_test_m60s-440", None),
        ("antminer_1", "antminer_1", None),
        ("Yop yop", "Yop yop", None),
        (f"x{SEGWIT[:8]}.{SEGWIT}", f"x{SEGWIT[:8]}", SEGWIT),  # an address as the worker is no wallet
        (".rig", None, "rig"),
        ("bc1q...4t3.rig", "bc1q", "..4t3.rig"),
        ("", None, None),
        ("  ", None, None),
        (None, None, None),
        ("...", None, ".."),
    ],
)
def test_accounts_are_no_addresses(user, account, worker):
    assert split_user(user) == PoolUser(account, worker)


def test_an_address_inside_a_longer_word_is_not_found():
    assert split_user(f"prefix{SEGWIT}.rig").account == f"prefix{SEGWIT}"


@settings(deadline=None)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABC0123456789._-", min_size=1, max_size=40))
def test_any_worker_behind_a_dot_is_kept(worker):
    split = split_user(f"{SEGWIT}.{worker}")
    assert (split.account, split.worker) == (SEGWIT, worker)


@settings(deadline=None)
@given(st.text(max_size=600))
def test_nothing_makes_it_fail(text):
    split = split_user(text)
    assert split.worker is None or split.worker.isprintable()
