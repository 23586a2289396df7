"""The page Models and presets."""

import dataclasses

import pytest

from onboarding_ui import create_app
from tests.ui.fake_engine import FakeEngine, FakeModels
from tests.ui.fake_records import HOSTILE, MODELS
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def test_a_model_with_its_presets_and_ceiling(client):
    markup = page(client, "/models")
    shown = text_of(markup.one("main"))
    for words in ("Antminer S19j Pro", "s19jpro", "sha256d", "126", "3 250 W", "100.00 TH/s"):
        assert words in shown
    assert "Which presets a miner has tuned stands at the miner" in shown
    assert "needs a modified one" in shown
    ceiling = markup.one("select[@data-patch='/api/models/s19jpro']")
    assert (ceiling.get("data-field"), ceiling.get("data-type")) == ("max_preset", "null-if-empty")
    chosen = [option.get("value") for option in ceiling.iter("option") if option.get("selected") is not None]
    assert chosen == ["3250"]
    assert [option.get("value") for option in ceiling.iter("option")] == ["", "2600", "3250", "4200"]


def test_the_ceiling_that_is_chosen_is_the_one_shown_next(client):
    assert client.patch("/api/models/s19jpro", json={"max_preset": None}).status_code == 200
    ceiling = page(client, "/models").one("select[@data-patch='/api/models/s19jpro']")
    assert [option.get("value") for option in ceiling.iter("option") if option.get("selected") is not None] == [""]


def test_presets_that_nobody_could_read_are_no_choice(client):
    markup = page(client, "/models")
    assert markup.all("select[@data-patch='/api/models/t21']") == []
    assert "have not been read yet" in text_of(markup.one("main"))


def test_the_miners_of_a_model(client, engine):
    engine.change(3, model_alias="s19jpro")
    engine.change(4, model_alias="s19jpro", enabled=False)
    markup = page(client, "/models")
    assert "1 miner of this model" in text_of(markup.one("main"))
    assert [link.get("href") for link in markup.all("details//a")] == ["/miners/3"]


def test_a_ceiling_that_is_no_longer_offered_is_told(engine):
    engine.models = FakeModels(engine, (dataclasses.replace(MODELS[0], max_preset="9999"),))
    ceiling = page(create_app(engine).test_client(), "/models").one("select[@data-field='max_preset']")
    (chosen,) = (option for option in ceiling.iter("option") if option.get("selected") is not None)
    assert text_of(chosen) == "9999 (no longer offered)"
    assert chosen.get("disabled") is not None


def test_a_firmware_without_presets_and_no_model(engine):
    engine.models = FakeModels(engine, (dataclasses.replace(MODELS[0], presets=(), max_preset=None),))
    assert "offers no presets" in text_of(page(create_app(engine).test_client(), "/models").one("main"))
    empty = page(create_app(FakeEngine(empty=True)).test_client(), "/models")
    assert "No model is known yet" in text_of(empty.one("main"))


def test_a_hostile_model_stays_harmless(engine):
    preset = dataclasses.replace(MODELS[0].presets[0], name=HOSTILE, pretty=HOSTILE, power=None, hashrate=None)
    hostile = dataclasses.replace(MODELS[0], alias=f"a/b?{HOSTILE}", name=HOSTILE, presets=(preset,), max_preset=None)
    engine.models = FakeModels(engine, (hostile,))
    client = create_app(engine).test_client()
    assert HOSTILE not in client.get("/models").text
    path = page(client, "/models").one("select[@data-field='max_preset']").get("data-patch")
    assert set("?<>&\"' ").isdisjoint(path)
