"""Signing in for an API key: order, tries, lock-outs, one key of our own."""

import asyncio
import json
import re

import pytest

from exporter.drivers.api import Answer, HttpRequest
from exporter.engine.exchange import Exchange, Session
from exporter.engine.login import (
    KEY_DESCRIPTION,
    MAX_TRIES,
    Candidate,
    SignIn,
    delete_api_key,
    obtain_api_key,
    with_defaults,
)
from exporter.errors import AuthError, LockedOut, ProtocolError, Unsupported
from exporter.store.secret import Secret
from tests.engine.fakes import HERE, FakeDriver


class LockedDriver(FakeDriver):
    """Unlocks with a password, lists, makes and deletes keys."""

    driver_type = "locked"

    def unlock_request(self, password):
        return HttpRequest("/unlock", "POST", json.dumps(password).encode())

    def decode_unlock(self, answer):
        if answer.status == 429:
            raise LockedOut("locked", 90.0)
        if answer.status != 200:
            raise AuthError("wrong password")
        return json.loads(answer.body)

    def list_keys_request(self, token):
        return HttpRequest("/keys", headers=(("token", token),))

    def find_key(self, answer, description):
        return json.loads(answer.body).get(description)

    def create_key_request(self, token, key, description):
        return HttpRequest("/keys", "POST", json.dumps([description, key]).encode(), headers=(("token", token),))

    def delete_key_request(self, token, key):
        return HttpRequest("/keys/delete", "POST", json.dumps(key).encode(), headers=(("token", token),))

    def key_headers(self, key):
        return (("x-api-key", key),)


class Device:
    """The other side: one password, tokens, keys by description."""

    def __init__(self, password="right", keys=None, tries=None):
        self.password = password
        self.keys = dict(keys or {})
        self.tries_left = tries
        self.tried = []
        self.asked = []
        self.statuses = {}

    async def http(self, endpoint, request, headers, timeout, keep_alive):
        self.asked.append(request.key)
        if request.key in self.statuses:
            return Answer(b"{}", self.statuses[request.key])
        if request.path == "/unlock":
            return self._unlock(json.loads(request.body))
        assert dict(request.headers)["token"] == "token"
        if request.key == "GET /keys":
            return Answer(json.dumps(self.keys).encode())
        if request.key == "POST /keys":
            description, key = json.loads(request.body)
            assert description not in self.keys
            self.keys[description] = key
        else:
            wanted = json.loads(request.body)
            self.keys = {name: key for name, key in self.keys.items() if key != wanted}
        return Answer(b"{}")

    def _unlock(self, password):
        self.tried.append(password)
        if self.tries_left is not None:
            self.tries_left -= 1
            if self.tries_left < 0:
                return Answer(b"{}", 429)
        return Answer(b'"token"') if password == self.password else Answer(b"{}", 403)


def candidates(*words):
    return [Candidate(None, Secret(word)) for word in words]


def sign_in(device, *words, work=obtain_api_key, trusted=True, refused=None):
    exchange = Exchange(device)
    driver = LockedDriver()
    on_refused = (lambda candidate: None) if refused is None else refused.append
    made = SignIn(exchange, Session(HERE, driver), driver, trusted=trusted, on_refused=on_refused)
    return asyncio.run(work(made, candidates(*words)))


@pytest.mark.parametrize("trusted", [True, False])
def test_a_key_is_made_once_with_exactly_32_hex_characters_and_used_again(trusted):
    device = Device()
    key = sign_in(device, "right", trusted=trusted)
    assert re.fullmatch(r"[0-9a-f]{32}", key.reveal())
    assert device.keys == {KEY_DESCRIPTION: key.reveal()}
    assert sign_in(device, "right", trusted=trusted) == key
    assert device.asked.count("POST /keys") == 1


def test_a_key_of_somebody_else_is_left_alone():
    device = Device(keys={"Other": "f" * 32})
    key = sign_in(device, "right")
    assert device.keys == {"Other": "f" * 32, KEY_DESCRIPTION: key.reveal()}


def test_passwords_are_tried_in_order_each_once_until_one_fits():
    device, refused = Device(), []
    sign_in(device, "first", "right", "never", refused=refused)
    assert device.tried == ["first", "right"]
    assert refused == candidates("first")


def test_a_device_that_refuses_all_is_asked_for_nothing_else():
    device, refused = Device(), []
    with pytest.raises(AuthError, match="wrong password"):
        sign_in(device, "a", "b", refused=refused)
    assert device.asked == ["POST /unlock"] * 2
    assert refused == candidates("a", "b")


def test_without_a_password_nothing_is_sent():
    device = Device()
    with pytest.raises(AuthError, match="no device password"):
        sign_in(device)
    assert device.asked == []


def test_a_lock_out_ends_the_tries_at_once():
    device, refused = Device(tries=1), []
    with pytest.raises(LockedOut) as caught:
        sign_in(device, "a", "b", "right", refused=refused)
    assert caught.value.retry_after == 90.0
    assert device.tried == ["a", "b"]
    assert refused == candidates("a")  # the second one was not judged


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (404, Unsupported), (500, ProtocolError)]
)
def test_what_a_refused_list_of_keys_means(status, error):
    device = Device()
    device.statuses["GET /keys"] = status
    with pytest.raises(error, match="GET /keys"):
        sign_in(device, "right")


def test_our_key_is_deleted_and_no_other():
    device = Device(keys={"Other": "f" * 32})
    key = sign_in(device, "right")
    sign_in(device, "right", work=lambda made, words: delete_api_key(made, words, key))
    assert device.keys == {"Other": "f" * 32}


def test_at_most_three_passwords_none_twice_and_the_makers_only_where_none_is_configured():
    driver = LockedDriver()
    assert [c.password.reveal() for c in with_defaults(driver, candidates("a", "a", "b", "c", "d"))] == ["a", "b", "c"]
    assert len(with_defaults(driver, candidates("a", "b", "c", "d"))) == MAX_TRIES
    assert with_defaults(driver, ()) == (Candidate(None, Secret("factory")),)
    both = (Candidate("root", Secret("a")), Candidate("admin", Secret("a")))
    assert with_defaults(driver, both) == both
