import dataclasses

import pytest

from exporter.store.database import Database
from exporter.store.rows import DuplicateKey, MinerConfig, Wallet
from exporter.units import UnixSeconds

WALLET = {
    "name": "Solo",
    "currency": "BTC",
    "address": "bc1qexample",
    "pool": "ckpool_btc",
    "created_at": UnixSeconds(1.5),
}
CONFIG = {
    "miner_id": 7,
    "pool_url": "stratum+tcp://pool.example:3333",
    "pool_user": "bc1qexample.desk",
    "worker_name": "desk",
    "wallet_id": 1,
    "manual": True,
    "active": False,
    "reason": "no_wallet",
    "detected_at": UnixSeconds(2.5),
}


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "flock.json") as opened:
        yield opened


def test_every_field_survives_the_disk(database):
    assert {field.name for field in dataclasses.fields(Wallet)} == {"id", *WALLET}
    assert {field.name for field in dataclasses.fields(MinerConfig)} == {"id", *CONFIG}
    wallets = (
        database.wallets.insert(**WALLET),
        database.wallets.insert(name="Bare", currency="DGB", address="dgb1qexample", created_at=None),
    )
    configs = (database.miner_configs.add(**CONFIG), database.miner_configs.add(8, detected_at=None))
    assert wallets == (Wallet(id=1, **WALLET), Wallet(id=2, name="Bare", currency="DGB", address="dgb1qexample"))
    assert configs == (MinerConfig(id=1, **CONFIG), MinerConfig(id=2, miner_id=8))
    database.close()
    with Database.open(database.path) as later:
        assert later.wallets.all() == wallets
        assert later.miner_configs.all() == configs
        assert later.wallets.insert(name="Third", currency="BTC", address="x").id == 3


def test_a_wallet_is_tracked_once_a_pool_and_names_are_unique(database):
    first = database.wallets.insert(**WALLET)
    other = database.wallets.insert(**WALLET | {"name": "Other", "pool": None})
    for wrong in (
        WALLET | {"address": "bc1qother", "name": "SOLO"},
        WALLET | {"name": "New"},
        WALLET | {"name": "New", "pool": None},
    ):
        with pytest.raises(DuplicateKey):
            database.wallets.insert(**wrong)
    with pytest.raises(DuplicateKey) as refused:
        database.wallets.update(other.id, pool="ckpool_btc")
    assert refused.value.row_id == first.id
    assert database.wallets.update(other.id, name="Solo 2").name == "Solo 2"
    database.wallets.delete(first.id)
    assert database.wallets.update(other.id, pool="ckpool_btc", name="Solo").name == "Solo"
    assert database.wallets.get(first.id) is None
    for missing in (database.wallets.delete, database.wallets.update):
        with pytest.raises(KeyError, match="wallets: no row 9"):
            missing(9)


def test_configurations_are_found_by_miner_and_by_wallet(database):
    configs = database.miner_configs
    mine, linked, others = configs.add(1), configs.add(1, wallet_id=5), configs.add(2, wallet_id=5)
    assert configs.of(1) == (mine, linked)
    assert configs.of_wallet(5) == (linked, others)
    moved = configs.update(linked.id, wallet_id=6)
    assert (configs.of_wallet(5), configs.of_wallet(6)) == ((others,), (moved,))
    configs.delete(others.id)
    assert configs.get(others.id) is None
    assert configs.of_wallet(5) == ()
    configs.delete_of(1)
    configs.delete_of(99)
    assert configs.all() == configs.of(1) == ()
    for missing in (configs.delete, configs.update):
        with pytest.raises(KeyError, match="miner_configs: no row 9"):
            missing(9)


def test_old_configurations_make_room_but_not_those_a_person_linked(database):
    configs = database.miner_configs
    manual = configs.add(1, active=False, manual=True, wallet_id=5)
    active = configs.add(1)
    ended = [configs.add(1, active=False, worker_name=f"w{number}") for number in range(20)]
    left = configs.of(1)
    assert manual in left
    assert active in left
    assert [row for row in left if row not in (manual, active)] == ended[-8:]


def test_a_transaction_takes_links_and_wallet_back_together(database):
    wallet = database.wallets.insert(**WALLET)
    config = database.miner_configs.add(1, wallet_id=wallet.id)

    def delete_half():
        with database.transaction():
            database.miner_configs.update(config.id, wallet_id=None)
            database.wallets.delete(wallet.id)
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        delete_half()
    assert database.wallets.all() == (wallet,)
    assert database.miner_configs.of_wallet(wallet.id) == (config,)
