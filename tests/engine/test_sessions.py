"""What sessions are made of, and what is remembered of refusals."""

import asyncio

import pytest

from exporter.drivers.api import Auth, HttpRequest
from exporter.engine.exchange import Endpoint, Exchange
from exporter.engine.login import KEY_DESCRIPTION, Candidate
from exporter.engine.sessions import Sessions
from exporter.errors import AuthError, NoChallenge
from exporter.store.database import Database
from exporter.store.secret import Secret
from tests.engine.fakes import HERE, FakeDriver
from tests.engine.test_login import Device, LockedDriver

PAGE = HttpRequest("/page", auth=Auth.DIGEST)


class Wire(Device):
    """Takes signed requests with one password; while it is `confused` it asks for a sign-in and says not how."""

    confused = False

    async def http_signed(self, endpoint, request, auth, timeout, keep_alive):
        if self.confused:
            raise NoChallenge("status 401 without a challenge")
        word = auth._digest._password.decode()
        self.tried.append((auth._digest._username.decode(), word))
        if word != self.password:
            raise AuthError("wrong password")
        return await self.http(endpoint, HttpRequest("/keys", headers=(("token", "token"),)), (), timeout, keep_alive)

    async def close_host(self, endpoint):
        self.asked.append("close")


@pytest.fixture
def db(tmp_path):
    with Database.open(tmp_path / "flockwatch.json") as opened:
        opened.miners.insert(key="a", driver="locked", address=HERE.address)
        yield opened


class Bench:
    def __init__(self, db, *words, **options):
        self.words = list(words)
        self.wire = Wire()
        self.exchange = Exchange(self.wire)
        self.sessions = Sessions(db, self.exchange, self._candidates, create_keys=True, **options)

    def _candidates(self, driver_type, address, miner_id):
        return tuple(Candidate(None, Secret(word)) for word in self.words)

    def ask(self, session):
        return asyncio.run(self.exchange.ask(session, (PAGE,)))


def test_a_session_signs_with_the_configured_passwords_else_the_makers(db):
    bench = Bench(db)
    bench.wire.password = "factory"
    session = bench.sessions.new(HERE, FakeDriver(), 1)
    assert bench.ask(session).keys() == ("GET /page",)
    assert bench.wire.tried == [("root", "factory")]
    assert not session.auth_blocked


def test_what_a_device_refused_no_later_session_tries_again(db):
    bench = Bench(db, "wrong", "right")
    for _ in range(3):
        assert bench.ask(bench.sessions.new(HERE, FakeDriver(), 1)).keys() == ("GET /page",)
    assert [word for _, word in bench.wire.tried].count("wrong") == 1
    bench.words = ["wrong"]
    blocked = bench.sessions.new(HERE, FakeDriver(), 1)
    assert blocked.auth_blocked
    with pytest.raises(AuthError):
        bench.ask(blocked)
    assert [word for _, word in bench.wire.tried].count("wrong") == 1


def test_a_device_that_judged_no_password_has_refused_none(db):
    """A web server that starts may say 401 and nothing else."""
    bench = Bench(db, "right")
    bench.wire.password = "right"
    session = bench.sessions.new(HERE, FakeDriver(), 1)
    bench.wire.confused = True
    with pytest.raises(NoChallenge):
        bench.ask(session)
    assert not session.auth_blocked
    bench.wire.confused = False
    assert bench.ask(session).keys() == ("GET /page",)
    assert not bench.sessions.new(HERE, FakeDriver(), 1).auth_blocked


def test_a_refusal_counts_for_its_device_only_and_until_it_is_forgiven(db):
    bench = Bench(db, "wrong")
    with pytest.raises(AuthError):
        bench.ask(bench.sessions.new(HERE, FakeDriver(), 1))
    elsewhere = bench.sessions.new(Endpoint("192.0.2.8"), FakeDriver(), 2)
    assert not elsewhere.auth_blocked
    bench.sessions.forgive("192.0.2.8")
    assert bench.sessions.new(HERE, FakeDriver(), 1).auth_blocked
    bench.sessions.forgive(HERE.address)
    assert not bench.sessions.new(HERE, FakeDriver(), 1).auth_blocked


def test_refusals_are_remembered_of_a_bounded_number_of_devices(db, monkeypatch):
    monkeypatch.setattr("exporter.engine.sessions._MOST_PLACES", 3)
    bench = Bench(db, "wrong")
    for number in range(10):
        with pytest.raises(AuthError):
            bench.ask(bench.sessions.new(Endpoint(f"192.0.2.{number}"), FakeDriver(), 1))
    assert len(bench.sessions._refused) == 3


def test_a_change_of_the_passwords_is_seen(db):
    bench = Bench(db, "old")
    session = bench.sessions.new(HERE, FakeDriver(), 1)
    assert not bench.sessions.has_changed(session, 1)
    bench.words = ["new"]
    assert bench.sessions.has_changed(session, 1)


def test_the_stored_key_is_used_and_a_new_one_is_stored(db):
    bench = Bench(db, "right")
    session = bench.sessions.new(HERE, LockedDriver(), 1)
    assert session.key_headers == ()
    asyncio.run(bench.sessions.login_for(session, 1)())
    stored = db.api_keys.get(1)
    assert stored.description == KEY_DESCRIPTION
    assert session.key_headers == (("x-api-key", stored.key.reveal()),)
    assert bench.sessions.new(HERE, LockedDriver(), 1).key_headers == session.key_headers
    asyncio.run(bench.sessions.forget_key(session, 1))
    assert bench.wire.keys == {}


def test_a_refused_unlock_is_not_tried_by_the_next_session_either(db):
    bench = Bench(db, "wrong", "right")
    for _ in range(2):
        asyncio.run(bench.sessions.login_for(bench.sessions.new(HERE, LockedDriver(), 1), 1)())
    assert bench.wire.tried == ["wrong", "right", "right"]


def test_there_is_no_login_where_it_is_switched_off_or_the_driver_has_none(db):
    bench = Bench(db)
    assert bench.sessions.login_for(bench.sessions.new(HERE, FakeDriver(), 1), 1) is None
    bench.sessions.create_keys = False
    assert bench.sessions.login_for(bench.sessions.new(HERE, LockedDriver(), 1), 1) is None


def test_a_driver_that_cannot_make_its_headers_does_not_stop_the_start(db):
    class Odd(LockedDriver):
        def key_headers(self, key):
            raise KeyError(key)

    db.api_keys.set(1, Secret("f" * 32), KEY_DESCRIPTION)
    assert Bench(db).sessions.new(HERE, Odd(), 1).key_headers == ()


def test_without_a_database_nothing_is_stored():
    bench = Bench(None, "right")
    session = bench.sessions.new(HERE, LockedDriver(), 1)
    assert bench.sessions.login_for(session, 1) is None
    assert session.key_headers == ()
