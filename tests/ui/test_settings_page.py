"""The pages of the settings: the configuration that runs, and device passwords."""

import dataclasses
import ipaddress
import json
from pathlib import Path

import pytest

from exporter.config import FixedMiner, Http, Intervals, Listen, Network, Prometheus, Serial, Settings, Subnet, Udp
from exporter.errors import ConfigError
from onboarding_ui import create_app
from onboarding_ui.credential_lists import credential_views, kept
from onboarding_ui.settings_text import setting_sections, setting_text
from tests.ui.fake_engine import FakeEngine
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    return create_app(engine).test_client()


def test_the_configuration_that_runs_and_where_it_is_from(client):
    markup = page(client, "/settings/")
    shown = text_of(markup.one("main"))
    assert "/etc/flockwatch/targets.yml" in shown
    assert "status_seconds 15 default" in shown
    assert "goldshell_driver.py is not used: line 3: invalid syntax" in shown
    links = {link.get("href") for link in markup.all("main//a")}
    assert {"/settings/credentials", "/settings/access", "/settings/api"} <= links
    assert "POST /api/settings/reload" in markup.calls()


def test_what_the_command_line_says_is_marked():
    engine = FakeEngine(settings=dataclasses.replace(Settings(), http=Http(Listen("127.0.0.1", 8080))))
    client = create_app(engine).test_client()
    assert "addr 127.0.0.1:8080 default" in text_of(page(client, "/settings/").one("main"))
    engine.program.command_line = frozenset({"http.addr"})
    markup = page(client, "/settings/")
    shown = text_of(markup.one("main"))
    assert "addr 127.0.0.1:8080 command line" in shown
    assert "addr :9877 default" in shown
    assert client.get("/api/settings").json["command_line"] == ["http.addr"]


def test_a_file_with_a_fault_is_told_and_nothing_changes(client, engine):
    engine.program.reload_fault = ConfigError("targets.yml:3: unknown key")
    answer = client.post("/api/settings/reload")
    assert answer.status_code == 400
    assert "targets.yml:3" in answer.json["error"]
    assert page(client, "/settings/") is not None


def test_every_key_stands_under_its_section_and_changes_are_marked():
    settings = dataclasses.replace(
        Settings(),
        network=Network(
            subnets=(Subnet(), Subnet(ipaddress.ip_network("10.1.0.0/22"), (("rack", "r1"), ("site", "hall-1")))),
            offline_after=5,
        ),
        miners=(FixedMiner("10.0.0.7", 80, "bitaxe", "desk", (("rack", "1"),)), FixedMiner("10.0.0.8")),
        intervals=Intervals(status_seconds=7.5),
        serial=Serial(enabled=False, ports=("/dev/ttyUSB0", "/dev/ttyUSB1")),
        udp=Udp(None),
        http=Http(Listen("", 8080)),
        prometheus=Prometheus("http://127.0.0.1:9090"),
    )
    sections = {section.name: {line.key: line for line in section.lines} for section in setting_sections(settings)}
    assert list(sections) == [field.name for field in dataclasses.fields(Settings)]

    def value(section, key):
        return sections[section][key].value, sections[section][key].default

    assert value("network", "subnets") == ("auto, 10.1.0.0/22 (rack: r1, site: hall-1)", False)
    assert value("network", "offline_after") == ("5", False)
    assert value("network", "ports.http") == ("80", True)
    assert value("miners", "") == ("10.0.0.7 port 80 bitaxe desk (rack: 1), 10.0.0.8", False)
    assert value("intervals", "status_seconds") == ("7.5", False)
    assert value("intervals", "discovery_seconds") == ("30", True)
    assert value("serial", "enabled") == ("no", False)
    assert value("serial", "ports") == ("/dev/ttyUSB0, /dev/ttyUSB1", False)
    assert value("udp", "nmminer_port") == ("not set", False)
    assert value("http", "addr") == (":8080", False)
    assert value("prometheus", "url") == ("http://127.0.0.1:9090", False)
    assert value("metrics", "collectors.chips") == ("no", True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not set"), (True, "yes"), (False, "no"), (400, "400"), (30.0, "30"), ((), "none"), (Path("a/b"), "a/b")],
)
def test_values_in_words(value, text):
    assert setting_text(value) == text


def test_no_page_shows_a_device_password(client):
    for path in ("/settings/", "/settings/credentials"):
        assert "hunter2" not in client.get(path).text


def test_the_list_in_its_order(client):
    entries = page(client, "/settings/credentials").all("ol/li")
    assert len(entries) == 2
    assert "vnish" in text_of(entries[0])
    assert "10.1.0.0/22" in text_of(entries[0])
    assert "every network" in text_of(entries[1])
    assert "root" in text_of(entries[1])
    assert [text_of(button) for button in entries[0].iter("button")] == ["Down", "Delete"]
    assert [text_of(button) for button in entries[1].iter("button")] == ["Up", "Delete"]


def pressed(client, words, number):
    """What the button of an entry sends."""
    entry = page(client, "/settings/credentials").all("ol/li")[number]
    (button,) = (button for button in entry.iter("button") if text_of(button) == words)
    assert button.get("data-api") == "PUT /api/settings/credentials"
    return client.put("/api/settings/credentials", json=json.loads(button.get("data-body")))


@pytest.mark.parametrize(
    ("words", "number", "left"),
    [
        ("Down", 0, [("antminer", "hunter2-root"), ("vnish", "hunter2-vnish")]),
        ("Up", 1, [("antminer", "hunter2-root"), ("vnish", "hunter2-vnish")]),
        ("Delete", 0, [("antminer", "hunter2-root")]),
        ("Delete", 1, [("vnish", "hunter2-vnish")]),
    ],
)
def test_moving_and_deleting_keeps_each_password_with_its_entry(client, engine, words, number, left):
    assert pressed(client, words, number).status_code == 200
    assert [(one.driver, one.password.reveal()) for one in engine.program.credentials()] == left


def test_a_page_that_somebody_else_has_overtaken_changes_nothing(client, engine):
    form_of_mine = page(client, "/settings/credentials").all("ol/li")
    assert pressed(client, "Down", 0).status_code == 200
    stored = engine.program.credentials()
    for entry in form_of_mine:
        for button in entry.iter("button"):
            refused = client.put("/api/settings/credentials", json=json.loads(button.get("data-body")))
            assert refused.status_code == 409
    assert engine.program.credentials() is stored


def test_adding_one_keeps_the_others(client, engine):
    form = page(client, "/settings/credentials").one("form[@data-api='PUT /api/settings/credentials']")
    entries = json.loads(form.find(".//input[@name='credentials']").get("value"))
    names = [field.get("name") for kind in ("select", "input") for field in form.iter(kind)]
    assert {f"credentials.2.{part}" for part in ("driver", "cidr", "username", "password")} < set(names)
    assert form.find(".//input[@name='credentials.2.password']").get("type") == "password"
    entries.append({"driver": "*", "cidr": None, "username": None, "password": "new one"})
    version = form.find(".//input[@name='version']")
    assert version.get("data-type") == "number"
    sent = {"version": int(version.get("value")), "credentials": entries}
    assert client.put("/api/settings/credentials", json=sent).status_code == 200
    assert client.put("/api/settings/credentials", json=sent).status_code == 409  # the page is old by now
    passwords = [one.password.reveal() for one in engine.program.credentials()]
    assert passwords == ["hunter2-vnish", "hunter2-root", "new one"]


def test_drivers_to_choose_from_are_those_that_are_loaded(client):
    select = page(client, "/settings/credentials").one("select[@name='credentials.2.driver']")
    offered = [option.get("value") for option in select.iter("option")]
    assert offered[0] == "*"
    assert "vnish" in offered
    assert "goldshell" not in offered


def test_no_password_yet():
    client = create_app(FakeEngine(empty=True)).test_client()
    markup = page(client, "/settings/credentials")
    assert "No password is stored" in text_of(markup.one("main"))
    assert markup.one("input[@name='credentials.0.password']") is not None


def test_lists_of_three(engine):
    first, second = engine.program.credentials()
    third = dataclasses.replace(first, id=3)
    top, middle, bottom = credential_views((first, second, third))
    assert (top.higher, bottom.lower) == (None, None)
    assert [entry["id"] for entry in middle.higher] == [2, 1, 3]
    assert [entry["id"] for entry in middle.lower] == [1, 3, 2]
    assert [entry["id"] for entry in middle.without] == [1, 3]
    assert all(entry["password"] is None for entry in kept((first, second, third)))
