"""The ceiling that a person sets for a model's presets."""

import pytest

from exporter.engine.doors.models import ModelsDoor
from exporter.errors import FieldError, UnknownError
from exporter.model import ModelInfo, Preset
from tests.engine.bench import run
from tests.engine.doors.calls import ask, door_of, on_disk


def test_a_ceiling_is_set_kept_and_taken_away(tmp_path, monkeypatch):
    async def story(bench):
        bench.db.models.upsert(ModelInfo("s19", presets=(Preset("low"), Preset("high"))))
        bench.db.models.upsert(ModelInfo("A10"))
        door = door_of(ModelsDoor, bench)
        assert [model.alias for model in door.all()] == ["A10", "s19"]
        assert (await ask(door.set_max_preset, "s19", "low")).max_preset == "low"
        with on_disk(bench, tmp_path) as stored:
            assert stored.models.get("s19").max_preset == "low"
        bench.db.models.upsert(ModelInfo("s19", presets=(Preset("other"),)))
        assert door.all()[1].max_preset == "low"
        assert (await ask(door.set_max_preset, "s19", None)).max_preset is None

    run(tmp_path, monkeypatch, story)


def test_what_a_model_does_not_offer_is_refused(tmp_path, monkeypatch):
    async def story(bench):
        bench.db.models.upsert(ModelInfo("s19", presets=(Preset("low"), Preset("high"))))
        bench.db.models.upsert(ModelInfo("a10"))
        door = door_of(ModelsDoor, bench)
        with pytest.raises(FieldError, match="low, high") as caught:
            await ask(door.set_max_preset, "s19", "highest")
        assert caught.value.field == "max_preset"
        with pytest.raises(FieldError, match="not known"):
            await ask(door.set_max_preset, "a10", "low")
        with pytest.raises(UnknownError, match="t21"):
            await ask(door.set_max_preset, "t21", None)

    run(tmp_path, monkeypatch, story)
