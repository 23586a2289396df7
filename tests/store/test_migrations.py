import json

import pytest

from exporter.errors import StoreError
from exporter.model import ModelInfo, Preset
from exporter.store.database import Database
from exporter.store.migrations import MIGRATIONS, SCHEMA_VERSION, meta_of, migrate, new_document
from exporter.units import Watts


def name_everybody(document):
    for row in document.get("miners", {}).values():
        row.setdefault("name", f"miner of {row['driver']}")
    return document


def rename_driver(document):
    renamed = {row_id: row | {"driver": row["driver"].upper()} for row_id, row in document.get("miners", {}).items()}
    return document | {"miners": renamed}


def break_rows(document):
    for row in document["miners"].values():
        row["colour"] = "red"
    return document


@pytest.fixture
def old_path(tmp_path):
    """A file of the first schema, as the first released program wrote it."""
    with Database.open(tmp_path / "flock.json", migrations=[]) as database:
        database.miners.insert(key="a", driver="vnish")
        database.miners.insert(key="b", driver="bitaxe", name="B")
        database.miners.delete(database.miners.insert(key="c", driver="bitaxe").id)
    return tmp_path / "flock.json"


def test_a_migration_runs_once_and_the_old_file_stays(old_path):
    before = old_path.read_bytes()
    with Database.open(old_path, migrations=[name_everybody, rename_driver]) as database:
        assert [(row.driver, row.name) for row in database.miners.all()] == [
            ("VNISH", "miner of vnish"),
            ("BITAXE", "B"),
        ]
        # Durable at once, not with the next change.
        assert json.loads(old_path.read_bytes())["meta"]["1"]["schema_version"] == 3
        assert database.miners.insert(key="d", driver="vnish").id == 4
    kept = old_path.with_name("flock.json.before-v3")
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o777 == 0o600
    with Database.open(old_path, migrations=[name_everybody, rename_driver]) as database:
        assert len(database.miners) == 3
    assert sorted(entry.name for entry in old_path.parent.iterdir()) == [
        "flock.json",
        "flock.json.before-v3",
        "flock.json.lock",
    ]


def test_only_the_missing_migrations_run(old_path):
    Database.open(old_path, migrations=[rename_driver]).close()
    with Database.open(old_path, migrations=[break_rows, name_everybody]) as database:
        assert database.miners.by_key("a").name == "miner of VNISH"


def test_a_migration_that_makes_nonsense_changes_nothing(old_path):
    before = old_path.read_bytes()
    with pytest.raises(StoreError, match="unknown field 'colour'"):
        Database.open(old_path, migrations=[break_rows])
    assert old_path.read_bytes() == before
    Database.open(old_path, migrations=[]).close()


def test_an_earlier_copy_is_not_overwritten(old_path):
    old_path.with_name("flock.json.before-v2").write_bytes(b"precious")
    Database.open(old_path, migrations=[name_everybody]).close()
    assert old_path.with_name("flock.json.before-v2").read_bytes() == b"precious"
    assert old_path.with_name("flock.json.before-v2.2").exists()


def test_a_newer_schema_is_refused(old_path):
    Database.open(old_path, migrations=[name_everybody]).close()
    before = old_path.read_bytes()
    with pytest.raises(StoreError, match=r"flock\.json: written by a newer Flockwatch \(schema 2, this one knows 1\)"):
        Database.open(old_path, migrations=[])
    assert old_path.read_bytes() == before


def test_a_file_of_the_first_schema_gets_the_tables_of_wallets_and_access(old_path):
    before = old_path.read_bytes()
    with Database.open(old_path) as database:
        assert [row.key for row in database.miners.all()] == ["a", "b"]
        assert database.wallets.insert(name="w", currency="BTC", address="bc1qexample").id == 1
        assert len(database.miner_configs) == len(database.api_tokens) == len(database.ui_sessions) == 0
        assert database.ui_password.get() is None
    assert old_path.with_name(f"flock.json.before-v{SCHEMA_VERSION}").read_bytes() == before
    with Database.open(old_path) as database:
        assert [row.name for row in database.wallets.all()] == ["w"]


def test_the_second_schema_held_a_miners_presets_for_those_of_its_model(tmp_path):
    path = tmp_path / "flock.json"
    presets = (Preset("2350", power=Watts(2350.0), tuned=True, modified_psu_required=False), Preset("disabled"))
    with Database.open(path, migrations=MIGRATIONS[:1]) as database:
        database.models.upsert(ModelInfo("s19", presets=presets))
        database.models.upsert(ModelInfo("plain"))
    with Database.open(path) as database:
        known = Preset("2350", power=Watts(2350.0), modified_psu_required=False)
        assert database.models.get("s19").presets == (known, Preset("disabled"))
        assert database.models.get("plain").presets is None
        assert len(database.memories) == 0


def test_migrate_is_pure():
    document = new_document(1) | {"miners": {"1": {"driver": "vnish"}}}
    migrated = migrate(document, "test", [name_everybody])
    assert document["miners"] == {"1": {"driver": "vnish"}}
    assert migrated["miners"] == {"1": {"driver": "vnish", "name": "miner of vnish"}}
    assert migrate(migrated, "test", [name_everybody]) is migrated
    assert meta_of(migrated, "test") == {"schema_version": 2, "next_ids": {}}


@pytest.mark.parametrize(
    "meta", [{}, {"schema_version": 0}, {"schema_version": "1"}, {"schema_version": 1, "next_ids": {"miners": "2"}}]
)
def test_json_of_another_program_is_refused(meta):
    with pytest.raises(StoreError, match="not a Flockwatch database"):
        meta_of({"meta": {"1": meta}}, "test")


def test_the_version_counts_the_migrations():
    assert len(MIGRATIONS) + 1 == SCHEMA_VERSION
    assert meta_of(new_document(), "test")["schema_version"] == SCHEMA_VERSION
