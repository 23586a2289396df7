"""The page of the drivers, and what its buttons ask of the API."""

import dataclasses

import pytest

from onboarding_ui import create_app
from tests.ui.fake_drivers import STATUSES, status
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE
from tests.ui.markup import page, text_of

PAGE = "/settings/miner-driver-updates"


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def row(markup, driver_type):
    return markup.one(f"tr[@data-key='{driver_type}']")


def buttons(element):
    return {text_of(button): button for button in element.iter("button")}


def press(client, button):
    """Do what the button asks the API for."""
    method, path = button.get("data-api").split()
    assert method == "POST"
    return client.post(path)


def test_the_page_is_reached_from_the_settings(client):
    assert page(client, "/settings/").all(f"a[@href='{PAGE}']")
    markup = page(client, PAGE)
    assert [link.get("href") for link in markup.one("nav[@class='crumbs']").iter("a")] == ["/settings/"]
    assert markup.one("a[@aria-current]").get("href") == "/settings/"


def test_versions_and_status_of_each_driver(client):
    markup = page(client, PAGE)
    assert len(markup.all("tbody/tr")) == len(STATUSES)
    expected = {
        "antminer": ("1.1.0, the program's", "1.1.0", "Up to date"),
        "bitaxe": ("1.0.0, yours", "1.1.0", "Update available"),
        "cgminer": ("1.2.0, yours", "1.1.0", "Your own"),
        "torch": ("1.1.0, yours", "none", "Your own"),
        "goldshell": ("nothing", "none", "Error"),
        "vnish": ("1.1.0, the program's", "1.1.0", "Error Not loaded yet"),
    }
    for name, cells in expected.items():
        assert tuple(text_of(cell) for cell in row(markup, name).findall("td")[:3]) == cells
    code = row(markup, "bitaxe").findall("td")[3].find("code")
    assert (code.text, code.get("title")) == ("cdcdcdcdcdcd", "cd" * 32)
    assert "Files have changed since they were loaded" in text_of(markup.one("main"))


def test_a_rejected_file_is_told_with_its_traceback(client):
    markup = page(client, PAGE)
    told = text_of(markup.one("div[@data-key='error-vnish']"))
    assert "interface_version must be 1" in told
    assert "Version 1.1.0, the program's, serves in its place." in told
    assert "Traceback" in told
    assert "serves in its place" not in text_of(markup.one("div[@data-key='error-goldshell']"))


def test_an_update_asks_with_version_and_hash_and_sends_that_hash(client):
    button = buttons(row(page(client, PAGE), "bitaxe"))["Update"]
    assert "bitaxe 1.1.0" in button.get("data-confirm")
    assert "ab" * 32 in button.get("data-confirm")
    assert button.get("data-api") == f"POST /api/miner-drivers/update/bitaxe?sha256={'ab' * 32}"
    assert press(client, button).json["message"] == "bitaxe is 1.1.0 now."
    markup = page(client, PAGE)
    assert "Up to date" in text_of(row(markup, "bitaxe"))
    back = buttons(row(markup, "bitaxe"))["Go back to 1.0.0"]
    assert "cd" * 32 in back.get("data-confirm")
    assert press(client, back).json["message"] == "bitaxe is back at 1.0.0."
    assert "Update available" in text_of(row(page(client, PAGE), "bitaxe"))


def test_only_what_can_be_done_has_a_button(client):
    markup = page(client, PAGE)
    offered = {one.driver_type: list(buttons(row(markup, one.driver_type))) for one in STATUSES}
    assert offered == {
        "antminer": [],
        "avalon": ["Go back to 1.0.0"],
        "bitaxe": ["Update", "Go back to 0.9.0"],
        "cgminer": ["Use the program's"],
        "goldshell": [],
        "torch": [],
        "vnish": ["Update", "Go back to the kept file"],
    }


def test_update_all_names_each_file(client):
    button = buttons(page(client, PAGE).one("div[@class='section-head']"))["Update all 2"]
    assert "bitaxe 1.1.0 (SHA-256 abab" in button.get("data-confirm")
    assert "vnish 1.1.0" in button.get("data-confirm")
    assert "cgminer" not in button.get("data-confirm")
    answer = press(client, button)
    assert [change["result"] for change in answer.json] == ["updated", "updated"]
    assert "Update all" not in text_of(page(client, PAGE).one("section[@id='drivers']"))


def test_load_changed_files(client, engine):
    button = buttons(page(client, PAGE).one("div[@class='page-head']"))["Load changed files"]
    assert press(client, button).status_code == 200
    assert engine.drivers.reloads == 1
    assert "Files have changed" not in text_of(page(client, PAGE).one("main"))


def test_the_hash_that_was_shown_must_still_be_that_of_the_file(client, engine):
    button = buttons(row(page(client, PAGE), "bitaxe"))["Update"]
    statuses = engine.drivers._statuses
    statuses["bitaxe"] = dataclasses.replace(statuses["bitaxe"], available_sha256="11" * 32)
    answer = press(client, button)
    assert (answer.status_code, answer.json["field"]) == (422, "sha256")
    assert statuses["bitaxe"].status == "update-available"


def test_words_of_files_stay_harmless(client, engine):
    words = {"error": HOSTILE, "traceback": HOSTILE, "file": HOSTILE}
    engine.drivers._statuses = {HOSTILE: status(HOSTILE, status="error", previous_sha256="aa" * 32, **words)}
    answer = client.get(PAGE)
    assert answer.status_code == 200
    assert HOSTILE not in answer.text
    assert "<script>alert" not in answer.text


def test_without_drivers_of_ones_own(client):
    markup = page(create_app(FakeEngine(empty=True)).test_client(), PAGE)
    assert "Update all" not in text_of(markup.one("main"))
