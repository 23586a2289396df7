"""What people see instead of a page that cannot be shown."""

import pytest

from exporter.errors import StoreError, UnavailableError
from exporter.store.secret import Secret
from onboarding_ui import create_app
from onboarding_ui.options import UiOptions
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE
from tests.ui.markup import page, text_of


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    app = create_app(engine)
    app.testing = False  # errors are answered as they are for everybody
    return app.test_client()


def test_what_is_not_there_leads_back_to_the_flock(client):
    markup = page(client, "/nothing-of-ours", 404)
    assert "No page has this address" in text_of(markup.one("main"))
    assert "/" in [link.get("href") for link in markup.all("main//a")]
    assert markup.all("nav")
    assert "No miner has the id 999." in text_of(page(client, "/miners/999", 404).one("main"))


def test_an_address_is_not_put_into_the_page(client):
    answer = client.get(f"/nothing/{HOSTILE}")
    assert answer.status_code == 404
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize(
    ("fault", "status"), [(UnavailableError("the engine is stopping"), 503), (StoreError("the disk is full"), 503)]
)
def test_what_fails_for_now_can_be_tried_again(engine, client, monkeypatch, fault, status):
    def fail():
        raise fault

    monkeypatch.setattr(engine.wallets, "all", fail)
    markup = page(client, "/wallets", status)
    shown = text_of(markup.one("main"))
    assert str(fault)[1:] in shown
    assert "Try again" in shown


def test_a_fault_of_ours_tells_nothing_of_itself(engine, client, monkeypatch, caplog):
    monkeypatch.setattr(engine.wallets, "all", lambda: [None])
    shown = text_of(page(client, "/wallets", 500).one("main"))
    assert "Something went wrong" in shown
    assert "the log says more" in shown
    assert "Traceback" not in shown
    assert "Traceback" in caplog.text


def test_what_cannot_be_written_is_not_told_to_strangers(engine):
    engine.program.failing = "/var/lib/flockwatch/flockwatch.json: the disk is full"
    client = create_app(engine, UiOptions(api_token=Secret("a token of twenty characters"))).test_client()
    markup = page(client, "/static/nothing.js", 404)
    assert "flockwatch.json" not in text_of(markup.one("body"))
    assert markup.all("nav//a") == []


def test_every_error_page_forbids_foreign_content(client):
    assert client.get("/nothing").headers["Content-Security-Policy"].startswith("default-src 'none'")
