"""The store of sign-ins behind its door: on disk when a call returns, hashes only."""

import asyncio
import time

import pytest

from exporter.engine.doors.access import AccessDoor
from exporter.errors import FieldError, TakenError, UnknownError
from exporter.store.secret import Secret
from tests.engine.bench import run
from tests.engine.doors.calls import ask, door_of, on_disk


@pytest.fixture
def with_door(tmp_path, monkeypatch):
    def go(story):
        async def whole(bench):
            return await story(bench, door_of(AccessDoor, bench))

        return run(tmp_path, monkeypatch, whole)

    return go


def test_a_password_is_on_disk_and_ends_all_sessions(with_door, tmp_path):
    async def story(bench, door):
        assert door.password_hash() is None
        await ask(door.add_session, Secret("cookie hash"), 1.0, 2e9)
        await ask(door.set_password, Secret("scrypt:one"))
        assert door.password_hash() == Secret("scrypt:one")
        assert door.session("cookie hash") is None
        with on_disk(bench, tmp_path) as stored:
            assert stored.ui_password.get().password_hash == Secret("scrypt:one")
            assert stored.ui_sessions.all() == ()
        await ask(door.add_session, Secret("cookie hash"), 1.0, 2e9)
        await ask(door.set_password, None)
        assert door.password_hash() is None
        assert door.session("cookie hash") is None

    with_door(story)


def test_sessions_are_on_disk_longer_when_used_and_gone_when_ended(with_door, tmp_path):
    async def story(bench, door):
        now = time.time()
        made = await ask(door.add_session, Secret("a"), now, now + 10)
        await ask(door.extend_session, "a", now + 20)
        assert (door.session("a").id, door.session("a").expires_at) == (made.id, now + 20)
        with on_disk(bench, tmp_path) as stored:
            assert stored.ui_sessions.by_hash("a").expires_at == now + 20
        await ask(door.extend_session, "unknown", now + 20)
        await ask(door.end_session, "a")
        await ask(door.end_session, "a")
        assert door.session("a") is None
        await ask(door.add_session, Secret("b"), now, now + 10)
        await ask(door.add_session, Secret("c"), now, now + 10)
        await ask(door.end_all_sessions)
        assert door.session("b") is door.session("c") is None
        with on_disk(bench, tmp_path) as stored:
            assert stored.ui_sessions.all() == ()

    with_door(story)


def test_tokens(with_door, tmp_path):
    async def story(bench, door):
        made = await ask(door.add_token, " Grafana ", Secret("a" * 64), "read", 2e9)
        assert (made.name, made.scope, made.expires_at) == ("Grafana", "read", 2e9)
        assert door.token("a" * 64) == made
        with on_disk(bench, tmp_path) as stored:
            assert stored.api_tokens.all() == door.tokens() == (made,)
        for name, token_hash in (("grafana", "b" * 64), ("other", "a" * 64)):
            with pytest.raises(TakenError) as taken:
                await ask(door.add_token, name, Secret(token_hash), "full")
            assert taken.value.field == "name"
            assert token_hash not in str(taken.value)
        await ask(door.revoke_token, made.id)
        assert door.token("a" * 64) is None
        with pytest.raises(UnknownError, match="no token has the id"):
            await ask(door.revoke_token, made.id)

    with_door(story)


@pytest.mark.parametrize(
    ("name", "scope", "field"),
    [
        ("", "read", "name"),
        ("   ", "read", "name"),
        ("x" * 65, "read", "name"),
        ("two\nlines", "read", "name"),
        ("x", "", "scope"),
        ("x", "READ", "scope"),
    ],
)
def test_what_is_no_token_is_refused(with_door, name, scope, field):
    async def story(_, door):
        with pytest.raises(FieldError) as refused:
            await ask(door.add_token, name, Secret("a" * 64), scope)
        assert refused.value.field == field
        assert door.tokens() == ()

    with_door(story)


def test_many_threads_at_once(with_door):
    async def story(_, door):
        now = time.time()
        names = [f"token {number}" for number in range(20)]
        await asyncio.gather(
            *(ask(door.add_token, name, Secret(name), "full") for name in names),
            *(ask(door.add_session, Secret(name), now, now + 60) for name in names),
            return_exceptions=False,
        )
        assert sorted(token.name for token in door.tokens()) == sorted(names)
        assert all(door.session(name) for name in names)

    with_door(story)
