import json

import pytest

from exporter.store.database import Database
from exporter.store.rows import ApiToken, DuplicateKey, UiPassword, UiSession
from exporter.store.secret import Secret


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "flock.json") as opened:
        yield opened


def test_tokens_are_found_by_their_hash_and_survive_the_disk(database):
    full = database.api_tokens.add("grafana", Secret("a" * 64), "read", 9e9)
    bare = database.api_tokens.add("script", Secret("b" * 64), "full")
    assert full == ApiToken(1, "grafana", Secret("a" * 64), "read", full.created_at, 9e9)
    assert full.created_at is not None
    assert bare.expires_at is None
    database.close()
    with Database.open(database.path) as later:
        assert later.api_tokens.all() == (full, bare)
        assert later.api_tokens.by_hash("b" * 64) == bare
        assert later.api_tokens.by_hash("c" * 64) is None
        later.api_tokens.delete(bare.id)
        assert later.api_tokens.by_hash("b" * 64) is None
        assert later.api_tokens.get(full.id) == full
        with pytest.raises(KeyError, match="api_tokens: no row 2"):
            later.api_tokens.delete(bare.id)


def test_token_names_and_hashes_are_unique(database):
    first = database.api_tokens.add("grafana", Secret("a" * 64), "read")
    for name, token_hash in (("Grafana", "b" * 64), ("other", "a" * 64)):
        with pytest.raises(DuplicateKey) as refused:
            database.api_tokens.add(name, Secret(token_hash), "full")
        assert refused.value.row_id == first.id
    with pytest.raises(TypeError, match="Secret"):
        database.api_tokens.add("x", "in clear", "full")  # type: ignore[arg-type]
    assert database.api_tokens.all() == (first,)


def test_sessions_whose_time_is_over_leave_with_the_next_sign_in(database):
    old = database.ui_sessions.add(Secret("a"), 100.0, 200.0)
    young = database.ui_sessions.add(Secret("b"), 150.0, 250.0)
    assert database.ui_sessions.by_hash("a") == old == UiSession(1, Secret("a"), 100.0, 200.0)
    newest = database.ui_sessions.add(Secret("c"), 200.0, 300.0)
    assert database.ui_sessions.all() == (young, newest)
    database.ui_sessions.delete(young.id)
    database.ui_sessions.delete(young.id)
    assert database.ui_sessions.by_hash("b") is None
    database.ui_sessions.clear()
    assert database.ui_sessions.all() == ()


def test_there_is_one_password_or_none(database):
    assert database.ui_password.get() is None
    database.ui_password.delete()
    database.ui_password.set(Secret("scrypt:one"))
    second = database.ui_password.set(Secret("scrypt:two"))
    assert second == UiPassword(1, Secret("scrypt:two"), second.changed_at)
    assert "scrypt" not in repr(second)
    database.close()
    stored = json.loads(database.path.read_text())
    assert stored["ui_password"]["1"]["password_hash"] == "scrypt:two"
    with Database.open(database.path) as later:
        assert later.ui_password.get() == second
        later.ui_password.delete()
        assert later.ui_password.get() is None
