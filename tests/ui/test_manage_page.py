"""The page Manage configuration of a miner on USB."""

import dataclasses

import pytest

from exporter.config import Control, Settings
from exporter.store.rows import MinerCommand
from onboarding_ui import create_app
from onboarding_ui.views.manage import config_lines
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE
from tests.ui.markup import page, text_of

ASK = "button[@data-api='POST /api/miner/9/get_config']"


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def test_the_configuration_read_last_and_the_commands(client):
    markup = page(client, "/miners/manage/9")
    rows = [(text_of(row[0]), text_of(row[1])) for row in markup.all("table[@class='config']/tbody/tr")]
    assert rows == [("PoolUrl", "public-pool.io"), ("PoolPort", "21496"), ("PoolPassword", "<secret>")]
    shown = text_of(markup.one("main"))
    assert "Writing a configuration is not offered." in shown
    assert "no dump within 60 s" in shown
    assert markup.one("div[@id='commands']").get("data-live") == "2"
    assert "restarts" in markup.one(ASK).get("data-confirm")


def test_asking_again_is_shown_while_it_runs(client, engine):
    assert client.post("/api/miner/9/get_config").status_code == 202
    markup = page(client, "/miners/manage/9")
    assert markup.all(ASK) == []
    assert "Pending" in text_of(markup.one("p[@role='status']"))
    command = engine.miners.commands(9)[-1]
    engine.miners.commands = lambda _: (dataclasses.replace(command, status="running"),)
    assert "Running" in text_of(page(client, "/miners/manage/9").one("p[@role='status']"))
    engine.miners.commands = lambda _: (
        dataclasses.replace(command, status="error", error="unplugged", ended_at=command.created_at + 3),
    )
    markup = page(client, "/miners/manage/9")
    assert markup.one(ASK) is not None
    assert "Error 3 s unplugged" in text_of(markup.one("tr[@data-key]"))


def test_only_the_last_twenty_commands_are_shown(client, engine):
    many = tuple(MinerCommand(number, 9, "GET_CONFIG", "complete", created_at=float(number)) for number in range(50))
    engine.miners.commands = lambda _: many
    keys = [row.get("data-key") for row in page(client, "/miners/manage/9").all("tr[@data-key]")]
    assert keys == [f"command-{number}" for number in range(49, 29, -1)]


def test_a_board_that_is_not_plugged_in_cannot_be_asked(client):
    markup = page(client, "/miners/manage/20")
    assert "The board is not plugged in." in text_of(markup.one("main"))
    assert not [call for call in markup.calls() if "get_config" in call]
    assert "None was read yet" in text_of(markup.one("main"))


def test_nothing_is_offered_where_commands_are_switched_off():
    settings = dataclasses.replace(Settings(), control=Control(enabled=False))
    markup = page(create_app(FakeEngine(settings=settings)).test_client(), "/miners/manage/9")
    assert markup.all(ASK) == []
    assert "control.enabled" in text_of(markup.one("main"))


def test_a_miner_on_the_network_has_no_such_configuration(client):
    markup = page(client, "/miners/manage/1")
    assert "not on USB" in text_of(markup.one("main"))
    assert not [call for call in markup.calls() if "get_config" in call]


def test_an_unknown_miner(client):
    answer = client.get("/miners/manage/999")
    assert answer.status_code == 404
    assert "999" in answer.text
    assert client.get("/miners/manage/x").status_code == 404


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (None, ()),
        ("", ()),
        ('{"a": "b", "n": 3.0, "t": true}', (("a", "b"), ("n", "3.0"), ("t", "true"))),
        ('{"o": {"x": [1]}}', (("o", '{"x": [1]}'),)),
        ("{broken", (("not readable", "{broken"),)),
        ("[1, 2]", (("not readable", "[1, 2]"),)),
        ("null", (("not readable", "null"),)),
    ],
)
def test_lines_of_a_stored_configuration(text, lines):
    assert config_lines(text) == lines


def test_a_hostile_configuration_stays_harmless(client, engine):
    text = f'{{"{HOSTILE.replace(chr(34), "")}": "<img src=x onerror=alert(1)>"}}'
    engine.rows[9] = dataclasses.replace(engine.rows[9], last_config_json=text)
    assert "<img src=x" not in client.get("/miners/manage/9").text
    page(client, "/miners/manage/9")
