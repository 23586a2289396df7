import dataclasses
import stat

import pytest

from exporter.errors import StoreError
from exporter.model import Identity, ModelInfo, Preset
from exporter.store.database import Database
from exporter.store.migrations import SCHEMA_VERSION
from exporter.store.rows import Credential, DuplicateKey, MinerRow
from exporter.store.secret import Secret
from exporter.units import HashesPerSecond, UnixSeconds, Watts

MAC = "02:00:5e:10:00:01"


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "flock.json") as opened:
        yield opened


@pytest.fixture
def reopened(database):
    """Call it for the database as a new process would see it."""
    opened = []

    def reopen():
        database.close()
        opened.append(Database.open(database.path))
        return opened[-1]

    yield reopen
    for other in opened:
        other.close()


FULL = {
    "key": MAC,
    "driver": "vnish",
    "mac": MAC,
    "serial": "SN-0001",
    "port_path": "1-1.2",
    "name": "Müller 1",
    "chipset": "BM1362",
    "location_notes": "rack 3,\nshelf 2",
    "currency": "BTC",
    "address": "192.0.2.10",
    "last_address": "192.0.2.10",
    "http_port": 80,
    "api_port": 4028,
    "managed": False,
    "enabled": False,
    "auto_discovered": False,
    "provisional": True,
    "fixed": True,
    "created_at": UnixSeconds(1.5),
    "last_seen": UnixSeconds(0.0),
    "identity": Identity(mac=MAC, make="Antminer", model="Antminer S19j Pro", hostname=""),
    "model_alias": "s19jpro",
    "details": {"variant": "1.2"},
    "labels": {"site": "hall-1"},
    "own_labels": {"rack": "3"},
    "muted_until": UnixSeconds(9e9),
    "dev_path": "/dev/ttyACM0",
    "attrs_idVendor": "303a",
    "attrs_idProduct": "1001",
    "attrs_serial": "SN-0001",
    "status": "Inactive",
    "state": "Not Connected",
    "pool_url": "stratum+tcp://pool.example:3333",
    "wallet_address": "bc1qexample",
    "nerdminer_vrs": "1.8.3",
    "nerdminer_rom": "rom",
    "last_config_json": "{}",
}


def test_every_field_survives_the_disk(database, reopened):
    assert {field.name for field in dataclasses.fields(MinerRow)} == {"id", *FULL}
    full = database.miners.insert(**FULL)
    bare = database.miners.insert(key="serial:x", driver="bitaxe", created_at=None)
    assert full == MinerRow(id=1, **FULL)
    assert bare == MinerRow(id=2, key="serial:x", driver="bitaxe")
    assert reopened().miners.all() == (full, bare)
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


def test_look_ups_follow_changes(database):
    row = database.miners.insert(key="addr:vnish:192.0.2.10", driver="vnish", provisional=True)
    assert row.created_at is not None
    assert database.miners.by_mac(MAC) is None
    changed = database.miners.update(row.id, key=MAC, mac=MAC, provisional=False)
    assert database.miners.get(row.id) is changed
    assert database.miners.by_key(MAC) is changed
    assert database.miners.by_mac(MAC) is changed
    assert database.miners.by_key("addr:vnish:192.0.2.10") is None
    database.miners.delete(row.id)
    assert [database.miners.get(row.id), database.miners.by_key(MAC), database.miners.by_mac(MAC)] == [None] * 3


def test_rows_that_share_an_address_or_a_serial_number(database, reopened):
    first = database.miners.insert(key="a", driver="vnish", address="192.0.2.1", serial="SN-0001")
    second = database.miners.insert(key="b", driver="vnish", address="192.0.2.1", serial="SN-0001")
    database.miners.insert(key="c", driver="vnish", address=None)
    assert database.miners.by_address("192.0.2.1") == (first, second)
    moved = database.miners.update(first.id, address="192.0.2.2")
    gone = database.miners.update(second.id, address=None)
    assert database.miners.by_address("192.0.2.1") == ()
    assert database.miners.by_address("192.0.2.2") == (moved,)
    assert database.miners.by_serial("SN-0001") == (moved, gone)
    later = reopened()
    assert later.miners.by_serial("SN-0001") == (moved, gone)
    later.miners.delete(moved.id)
    assert later.miners.by_address("192.0.2.2") == ()
    assert later.miners.by_serial("SN-0001") == (gone,)


def test_the_list_is_the_same_until_something_changes(database):
    row = database.miners.insert(key="a", driver="vnish")
    listed = database.miners.all()
    assert database.miners.all() is listed
    assert database.miners.update(row.id, key="a", managed=True) == row
    assert database.miners.all() is listed
    database.commit_now()
    assert not database.unsaved
    database.miners.update(row.id, name="A")
    assert database.unsaved
    assert [row.name for row in database.miners.all()] == ["A"]
    assert [row.name for row in listed] == [None]
    assert len(database.miners) == 1


def test_an_id_is_never_given_twice(database, reopened):
    rows = [database.miners.insert(key=key, driver="vnish") for key in "abc"]
    database.miners.delete(rows[2].id)
    later = reopened()
    later.miners.delete(rows[1].id)
    assert later.miners.insert(key="d", driver="vnish").id == 4


def test_what_may_not_be_stored_is_refused(database):
    row = database.miners.insert(key="a", driver="vnish", mac=MAC)
    other = database.miners.insert(key="b", driver="vnish")
    for values, error in [
        ({"colour": "red"}, TypeError),
        ({"id": 7}, TypeError),
        ({"name": 5}, TypeError),
        ({"key": None}, TypeError),
        ({"http_port": True}, TypeError),
        ({"http_port": 80.0}, TypeError),
        ({"managed": 1}, TypeError),
        ({"last_seen": "now"}, TypeError),
        ({"last_seen": float("nan")}, ValueError),
        ({"labels": {"site": 1}}, TypeError),
        ({"labels": [("site", "x")]}, TypeError),
        ({"identity": {"mac": MAC}}, TypeError),
        ({"identity": Identity(model=5)}, TypeError),  # type: ignore[arg-type]
        ({"mac": MAC}, DuplicateKey),
        ({"key": "a"}, DuplicateKey),
    ]:
        with pytest.raises(error):
            database.miners.update(other.id, **values)
        with pytest.raises(error):
            database.miners.insert(**{"key": "c", "driver": "vnish"} | values)
    with pytest.raises(TypeError, match="driver"):
        database.miners.insert(key="c")
    for missing in (database.miners.update, database.miners.delete):
        with pytest.raises(KeyError, match="miners: no row 99"):
            missing(99)
    with pytest.raises(DuplicateKey, match="key a belongs to row 1 already") as refused:
        database.miners.update(other.id, key="a")
    assert refused.value.row_id == row.id
    assert database.miners.all() == (row, other)
    assert database.miners.insert(key="c", driver="vnish").id == 3


def test_rows_cannot_be_changed_from_outside(database):
    labels = {"site": "hall-1"}
    row = database.miners.insert(key="a", driver="vnish", labels=labels)
    labels["site"] = "hall-2"
    assert row.labels == {"site": "hall-1"}
    with pytest.raises(TypeError):
        row.labels["site"] = "hall-3"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.name = "x"  # type: ignore[misc]


def test_what_a_miner_forgets_is_kept_by_name_and_goes_with_it(database, reopened):
    first, second = (database.miners.insert(key=key, driver="vnish") for key in "ab")
    assert dict(database.memories.of(first.id)) == {}
    database.memories.remember(first.id, {"target": 65, "mode": "eco"})
    database.memories.remember(first.id, {"target": 60.5})
    database.memories.remember(second.id, {"mode": "normal"})
    database.miners.delete(second.id)
    for wrong in ({"target": True}, {"target": float("nan")}, {5: "x"}, "target"):
        with pytest.raises((TypeError, ValueError)):
            database.memories.remember(first.id, wrong)
    later = reopened()
    assert dict(later.memories.of(first.id)) == {"target": 60.5, "mode": "eco"}
    assert len(later.memories) == 1
    with pytest.raises(TypeError):
        later.memories.of(first.id)["target"] = 1.0


def test_a_fact_is_forgotten_by_its_name_and_the_row_with_the_last_one(database, reopened):
    row = database.miners.insert(key="a", driver="vnish")
    database.memories.remember(row.id, {"target": None})
    assert len(database.memories) == 0
    database.memories.remember(row.id, {"target": 65.0, "mode": "eco"})
    database.memories.remember(row.id, {"target": None, "other": None})
    later = reopened()
    assert dict(later.memories.of(row.id)) == {"mode": "eco"}
    later.memories.remember(row.id, {"mode": None})
    assert len(later.memories) == 0


def test_deleting_a_miner_deletes_its_secrets(database, reopened):
    row = database.miners.insert(key="a", driver="vnish")
    kept = database.miners.insert(key="b", driver="vnish")
    for miner in (row, kept):
        database.api_keys.set(miner.id, Secret("0123456789abcdef0123456789abcdef"), "Flockwatch")
        database.passwords.set(miner.id, Secret("example-password"), "root")
    database.miners.delete(row.id)
    later = reopened()
    assert later.api_keys.get(row.id) is None
    assert later.passwords.get(row.id) is None
    key, password = later.api_keys.get(kept.id), later.passwords.get(kept.id)
    assert (key.key.reveal(), key.description) == ("0123456789abcdef0123456789abcdef", "Flockwatch")
    assert (password.password.reveal(), password.username) == ("example-password", "root")
    assert "example-password" not in repr(later.passwords.all())


def test_the_same_key_again_keeps_its_date(database):
    first = database.api_keys.set(1, Secret("a"))
    assert database.api_keys.set(1, Secret("a")) == first
    assert database.api_keys.set(1, Secret("b")).key.reveal() == "b"
    database.api_keys.delete(1)
    database.api_keys.delete(1)
    database.passwords.delete(1)
    assert database.api_keys.all() == ()
    with pytest.raises(TypeError, match="Secret"):
        database.passwords.set(1, "in clear")  # type: ignore[arg-type]


def test_models_keep_what_a_person_chose_and_what_is_not_known_again(database, reopened):
    presets = (Preset("2350", power=Watts(2350.0), hashrate=HashesPerSecond(84e12), tuned=True), Preset("disabled"))
    info = ModelInfo("s19jpro", "Antminer S19j Pro", "sha256d", 3, 126, presets)
    first = database.models.upsert(info)
    assert first.updated_at is not None
    assert database.models.set_max_preset("s19jpro", "2350").max_preset == "2350"
    unchanged = database.models.upsert(ModelInfo("s19jpro"))
    assert (unchanged.max_preset, unchanged.presets, unchanged.boards) == ("2350", presets, 3)
    assert unchanged.updated_at == first.updated_at
    changed = database.models.upsert(ModelInfo("s19jpro", presets=()))
    assert (changed.id, changed.max_preset, changed.presets) == (first.id, "2350", ())
    other = database.models.upsert(ModelInfo("s9"))
    later = reopened()
    assert later.models.all() == (changed, other)
    assert later.models.get("s9") == other
    assert later.models.get("s21") is None
    assert later.models.set_max_preset("s19jpro", None).max_preset is None
    with pytest.raises(KeyError, match="no model 's21'"):
        later.models.set_max_preset("s21", "x")
    with pytest.raises(TypeError):
        later.models.set_max_preset("s9", 5)  # type: ignore[arg-type]


def test_credentials_are_an_ordered_list(database, reopened):
    first = Credential("vnish", Secret("one"), cidr="192.0.2.0/24", username="root")
    second = Credential("*", Secret("two"))
    assert database.credentials.replace([first, second]) == (first, second)
    assert [credential.id for credential in database.credentials.all()] == [1, 2]
    database.credentials.replace([second])
    with pytest.raises(ValueError, match="not-a-network"):
        database.credentials.replace([first, Credential("*", Secret("x"), cidr="not-a-network")])
    later = reopened()
    assert later.credentials.all() == (second,)
    assert later.credentials.replace([]) == ()


def test_the_id_of_a_credential_never_comes_to_mean_another_one(database, reopened):
    first, second = Credential("vnish", Secret("one")), Credential("antminer", Secret("two"))

    def ids(database):
        return [credential.id for credential in database.credentials.all()]

    database.credentials.replace([first, second])
    assert ids(database) == [1, 2]
    database.credentials.replace([first, second])  # nothing has changed
    assert ids(database) == [1, 2]
    assert database.credentials.replace([second, first]) == (second, first)
    assert ids(database) == [3, 4]
    database.credentials.replace([])
    later = reopened()
    assert later.credentials.replace([second, first]) == (second, first)
    assert ids(later) == [5, 6]


def test_settings_hold_any_json(database, reopened):
    values = {"a": {}, "b": [], "c": None, "d": 0, "e": False, "f": "", "g": {"nested": [1, {"x": None}]}, "h": 1.5}
    for key, value in values.items():
        database.settings.set(key, value)
    database.settings.set("gone", 1)
    database.settings.delete("gone")
    database.settings.delete("never there")
    later = reopened()
    for key, value in values.items():
        assert later.settings.get(key, "default") == value
        assert type(later.settings.get(key)) is type(value)
    assert later.settings.get("gone") is None
    assert later.settings.get("gone", 5) == 5


def test_settings_tell_one_from_true_and_are_copies(database):
    database.settings.set("flag", 1)
    database.settings.set("flag", True)
    assert database.settings.get("flag") is True
    value = {"list": [1]}
    database.settings.set("value", value)
    value["list"].append(2)
    database.settings.get("value")["list"].append(3)
    assert database.settings.get("value") == {"list": [1]}
    for bad in (float("inf"), object(), Secret("x"), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            database.settings.set("value", bad)
    assert database.settings.get("value") == {"list": [1]}


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"driver":"vnish"', '"driver":5', "table miners, row 1: driver: text expected, not int"),
        ('"driver":"vnish",', "", "table miners, row 1: field 'driver' is missing"),
        ('"driver":"vnish"', '"driver":"vnish","colour":"red"', "table miners, row 1: unknown field 'colour'"),
        ('"identity":{}', '"identity":[]', "identity: an object expected, not list"),
        ('"driver":"vnish"', '"driver":"vnish","id":3', "unknown field 'id'"),
        ('"key":"b"', '"key":"a"', "table miners, row 2: key a belongs to row 1 already"),
        ('"meta"', '"meter"', "no schema version"),
        (f'"schema_version":{SCHEMA_VERSION}', '"schema_version":true', "no schema version"),
        ('"miners": {', '"pools": {"1":{}},\n"miners": {', "unknown table 'pools'"),
        ('"value":1', '"value":1', None),
    ],
)
def test_a_damaged_row_is_named(database, old, new, place):
    database.miners.insert(key="a", driver="vnish")
    database.miners.insert(key="b", driver="vnish")
    database.settings.set("x", 1)
    database.close()
    text = database.path.read_text()
    assert old in text
    database.path.write_text(text.replace(old, new, 1))
    if place is None:
        Database.open(database.path).close()
        return
    with pytest.raises(StoreError, match="restore a backup") as refused:
        Database.open(database.path)
    assert str(database.path) in str(refused.value)
    assert place in str(refused.value)
    assert "red" not in str(refused.value)
    assert database.path.read_text() == text.replace(old, new, 1)
