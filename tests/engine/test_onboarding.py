"""Waiting devices become miners, all or nothing."""

import pytest

from exporter.engine.onboarding import TakenError, UnknownDeviceError, checked_name, onboard, suggested_name
from exporter.errors import StoreError, UsageError
from exporter.store.database import Database


@pytest.fixture
def db(tmp_path):
    with Database.open(tmp_path / "flockwatch.json") as opened:
        yield opened


def waiting(db, key="02:00:00:00:00:07", **fields):
    return db.unconfigured_devices.insert(
        key=key,
        **{
            "vendor_id": "303a",
            "product_id": "1001",
            "dev_path": "/dev/ttyACM0",
            "port_path": "1-1.2",
            "serial_number": "02:00:00:00:00:07",
            "mac": "02:00:00:00:00:07" if key.count(":") == 5 else None,
            "status": "Initializing",
            "state": "Mining Authorize",
            "dumped_pool_url": "pool.example:3333",
            "dumped_wallet_address": "bc1qexample.garage",
            "dumped_firmware_version": "V1.8.3",
            "config_json": '{"btcString": "bc1qexample.garage"}',
            **fields,
        },
    )


def test_everything_that_was_learnt_is_copied_and_the_staging_row_goes(db):
    device = waiting(db)
    row = onboard(db, device.id, " Garage ", "BTC", chipset="ESP32-S3", location_notes="shelf 2")
    assert db.unconfigured_devices.all() == ()
    assert db.miners.all() == (row,)
    assert (row.name, row.currency, row.chipset, row.location_notes) == ("Garage", "BTC", "ESP32-S3", "shelf 2")
    assert (row.key, row.mac, row.driver) == ("02:00:00:00:00:07", "02:00:00:00:00:07", "nerdminer")
    assert (row.dev_path, row.port_path) == ("/dev/ttyACM0", "1-1.2")
    assert (row.attrs_idVendor, row.attrs_idProduct, row.attrs_serial) == ("303a", "1001", "02:00:00:00:00:07")
    assert (row.status, row.state) == ("Inactive", "Mining Authorize")
    assert (row.pool_url, row.wallet_address) == ("pool.example:3333", "bc1qexample.garage")
    assert row.nerdminer_vrs == "V1.8.3"
    assert row.nerdminer_rom is None
    assert row.last_config_json == '{"btcString": "bc1qexample.garage"}'
    assert row.auto_discovered


@pytest.mark.parametrize(
    ("name", "currency", "field"),
    [("", "BTC", "name"), ("   ", "BTC", "name"), ("x" * 65, "BTC", "name"), ("a\nb", "BTC", "name"),
     ("Garage", "", "currency"), ("Garage", "btcc", "currency"), ("Garage", "GOLD", "currency")],
)  # fmt: skip
def test_bad_fields_change_nothing_and_are_named(db, name, currency, field):
    device = waiting(db)
    with pytest.raises(UsageError, match=field):
        onboard(db, device.id, name, currency)
    assert db.unconfigured_devices.all() == (device,)
    assert db.miners.all() == ()


def test_names_are_unique_whatever_their_case(db):
    onboard(db, waiting(db).id, "Garage", "BTC")
    second = waiting(db, key="port:1-1.3", mac=None)
    with pytest.raises(TakenError, match="garage"):
        onboard(db, second.id, "garage", "BTC")
    assert checked_name(db, "Attic") == "Attic"


def test_a_name_that_is_taken_is_refused_with_one_that_is_free(db):
    first = onboard(db, waiting(db).id, "Garage", "BTC")
    second = waiting(db, key="02:00:00:00:7f:11", mac=None)
    with pytest.raises(TakenError) as caught:
        onboard(db, second.id, "garage", "BTC")
    assert str(caught.value) == "name: another miner is called 'garage'; choose another, for example 'garage 7f11'"
    other = onboard(db, second.id, "garage 7f11", "BTC")
    with pytest.raises(TakenError, match="for example 'garage 2'"):
        checked_name(db, "garage", key="02:00:00:01:7f:11")  # the end of its key does not tell it apart
    with pytest.raises(TakenError, match="for example 'garage 2'"):
        checked_name(db, "garage")  # its key is not known yet
    with pytest.raises(TakenError, match="for example 'garage 7f11 2'"):
        checked_name(db, "garage 7f11")
    db.miners.update(first.id, name=None)
    db.miners.update(other.id, name="Garage")
    with pytest.raises(TakenError, match=f"for example 'Garage {first.key.replace(':', '')[-4:]}'"):
        checked_name(db, "Garage", besides=first.id)
    db.miners.update(first.id, name="x" * 64)
    with pytest.raises(TakenError) as caught:
        checked_name(db, "x" * 64)
    assert str(caught.value).endswith(f"for example '{'x' * 62} 2'")


def test_a_currency_may_be_written_small(db):
    assert onboard(db, waiting(db).id, "Garage", " btc").currency == "BTC"


def test_a_name_that_another_miner_is_shown_by_is_taken_too(db):
    first = onboard(db, waiting(db).id, "Garage", "BTC")
    db.miners.update(first.id, name=None)
    with pytest.raises(TakenError, match="NerdMiner 0007") as caught:
        checked_name(db, "NerdMiner 0007")
    assert caught.value.field == "name"
    assert checked_name(db, "nerdminer 0007", besides=first.id) == "nerdminer 0007"
    db.miners.update(first.id, name="Garage")
    assert checked_name(db, "NerdMiner 0007") == "NerdMiner 0007"


def test_the_board_of_another_miner_is_told_by_the_name_it_is_shown_by(db):
    first = onboard(db, waiting(db).id, "Garage", "BTC")
    db.miners.update(first.id, name=None)
    again = waiting(db, key="port:1-1.9", mac=first.mac)
    with pytest.raises(TakenError, match="is that of NerdMiner 0007 already"):
        onboard(db, again.id, "Attic", "BTC")


def test_an_unknown_device_and_a_known_board_are_told_apart(db):
    with pytest.raises(UnknownDeviceError, match="17"):
        onboard(db, 17, "Garage", "BTC")
    db.miners.insert(key="port:1-1.9", driver="nerdminer")
    device = waiting(db, key="port:1-1.9", mac=None)
    with pytest.raises(TakenError, match=r"port:1-1\.9"):
        onboard(db, device.id, "Garage", "BTC")


def test_a_failing_disk_loses_nothing(db, monkeypatch):
    device = waiting(db)
    db.commit_now()

    def fail(*_):
        raise StoreError("no room")

    monkeypatch.setattr(type(db.unconfigured_devices), "delete", fail)
    with pytest.raises(StoreError):
        onboard(db, device.id, "Garage", "BTC")
    assert db.miners.all() == ()
    assert db.unconfigured_devices.all() == (device,)


@pytest.mark.parametrize(
    ("wallet", "name"),
    [("bc1qexample.garage", "garage"), ("bc1qexample", None), (None, None), ("a.b.c", "b.c"), ("a.", None)],
)
def test_the_worker_is_the_suggested_name(db, wallet, name):
    assert suggested_name(waiting(db, dumped_wallet_address=wallet)) == name
