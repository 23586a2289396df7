"""Rounds of requests: joins, variants, refusals, sign-in."""

import asyncio
import itertools

import pytest

from exporter.drivers.api import Auth, ConnectionRules, HttpRequest
from exporter.engine.exchange import Exchange, Session
from exporter.errors import AuthError, DecodeError, ProtocolError, RequestTimeoutError, Unsupported
from tests.engine.fakes import DENIED, HERE, INVALID, OK, RPC, FakeAuth, FakeDriver, FakeWire, page, reply


def ask(wire, requests, session=None):
    session = session or Session(HERE, FakeDriver())
    return asyncio.run(Exchange(wire).ask(session, requests))


SUMMARY = {**OK, "SUMMARY": [{"MHS av": 1.0}]}
POOLS = {**OK, "POOLS": []}
DEVS = {**OK, "DEVS": []}


def test_joined_commands_cost_one_connection_and_arrive_under_each_key():
    wire = FakeWire(commands={"summary+pools+devs": reply({"summary": [SUMMARY], "pools": [POOLS], "devs": [DEVS]})})
    answers = ask(wire, RPC)
    assert wire.asked == ["summary+pools+devs"]
    assert answers.document("rpc summary")["SUMMARY"] == [{"MHS av": 1.0}]
    assert set(answers.keys()) == {"rpc summary", "rpc pools", "rpc devs"}


def test_a_refused_join_falls_back_to_single_commands_and_is_remembered():
    wire = FakeWire(
        commands={
            "summary+pools+devs": reply(INVALID),
            "summary": reply(SUMMARY),
            "pools": reply(POOLS),
            "devs": reply(DENIED),
        }
    )
    session = Session(HERE, FakeDriver())
    answers = ask(wire, RPC, session)
    assert set(answers.keys()) == {"rpc summary", "rpc pools"}
    wire.asked.clear()
    ask(wire, RPC, session)
    assert wire.asked == ["summary", "pools", "devs"]


def test_one_garbled_reply_does_not_end_the_joins():
    joined = reply({"summary": [SUMMARY], "pools": [POOLS], "devs": [DEVS]})
    garbled = type(joined)(b'{"summary": [{')
    single = {"summary": reply(SUMMARY), "pools": reply(POOLS), "devs": reply(DEVS)}
    wire = FakeWire(commands={"summary+pools+devs": [garbled, joined], **single})
    session = Session(HERE, FakeDriver())
    for _ in range(2):
        assert set(ask(wire, RPC, session).keys()) == {"rpc summary", "rpc pools", "rpc devs"}
    assert wire.asked.count("summary+pools+devs") == 2
    wire = FakeWire(commands={"summary+pools+devs": garbled, **single})
    for _ in range(4):
        ask(wire, RPC, session)
    assert wire.asked.count("summary+pools+devs") == 2


def test_a_join_that_answers_only_in_part_is_completed_by_single_commands():
    wire = FakeWire(
        commands={
            "summary+pools+devs": reply({"summary": [SUMMARY], "pools": [POOLS], "devs": [INVALID]}),
            "devs": reply(DENIED),
        }
    )
    answers = ask(wire, RPC)
    assert wire.asked == ["summary+pools+devs", "devs"]
    assert set(answers.keys()) == {"rpc summary", "rpc pools"}


def test_a_required_command_that_is_refused_is_unsupported():
    wire = FakeWire(commands={"summary+pools+devs": reply(INVALID), "summary": reply(INVALID)})
    with pytest.raises(Unsupported, match="rpc summary"):
        ask(wire, RPC)


def test_a_reply_that_is_no_json_names_the_command():
    wire = FakeWire(commands={"summary": type(reply({}))(b"<html>")})
    with pytest.raises(DecodeError, match="rpc summary"):
        ask(wire, RPC[:1])


def test_a_missing_path_is_replaced_and_the_replacement_remembered():
    wire = FakeWire(pages={"GET /chains": page({}, 404), "GET /boards": page({"new": 1})})
    request = HttpRequest("/chains", otherwise=HttpRequest("/boards"))
    session = Session(HERE, FakeDriver())
    assert ask(wire, (request,), session).keys() == ("GET /boards",)
    assert ask(wire, (request,), session).keys() == ("GET /boards",)
    assert wire.asked == ["GET /chains", "GET /boards", "GET /boards"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthError), (403, AuthError), (404, Unsupported), (500, ProtocolError), (302, ProtocolError)],
)
def test_what_a_status_means_for_a_required_page(status, error):
    with pytest.raises(error, match="GET /a"):
        ask(FakeWire(pages={"GET /a": page({}, status)}), (HttpRequest("/a"),))


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_an_optional_page_is_left_out_whatever_its_status(status):
    wire = FakeWire(pages={"GET /a": page({}, status), "GET /b": page({})})
    assert ask(wire, (HttpRequest("/a", optional=True), HttpRequest("/b"))).keys() == ("GET /b",)


def test_an_optional_page_that_times_out_is_left_out():
    wire = FakeWire(pages={"GET /a": RequestTimeoutError("slow"), "GET /b": page({})})
    assert ask(wire, (HttpRequest("/a", optional=True), HttpRequest("/b"))).keys() == ("GET /b",)


def test_passwords_are_tried_in_order_each_once_and_the_right_one_is_kept():
    wire = FakeWire(pages={"GET /cgi": page({"ok": 1}), "password": "right"})
    session = Session(HERE, FakeDriver(), digests=[FakeAuth("old"), FakeAuth("right"), FakeAuth("never")])
    request = HttpRequest("/cgi", auth=Auth.DIGEST)
    assert ask(wire, (request,), session).keys() == ("GET /cgi",)
    assert len(wire.asked) == 2
    ask(wire, (request,), session)
    assert len(wire.asked) == 3
    assert not session.auth_blocked


def test_a_device_that_refuses_every_password_is_not_asked_again():
    wire = FakeWire(pages={"GET /cgi": page({}), "password": "unknown"})
    session = Session(HERE, FakeDriver(), digests=[FakeAuth("a"), FakeAuth("b")])
    request = HttpRequest("/cgi", auth=Auth.DIGEST)
    for _ in range(3):
        with pytest.raises(AuthError):
            ask(wire, (request,), session)
    assert len(wire.asked) == 2
    assert session.auth_blocked
    optional = HttpRequest("/cgi", auth=Auth.DIGEST, optional=True)
    assert ask(wire, (optional,), session).keys() == ()
    assert len(wire.asked) == 2


def test_the_api_key_travels_only_with_requests_that_want_it():
    wire = FakeWire(pages={"GET /open": page({}), "GET /closed": page({})})
    session = Session(HERE, FakeDriver(), key_headers=(("x-api-key", "k"),))
    ask(wire, (HttpRequest("/open"), HttpRequest("/closed", auth=Auth.API_KEY)), session)
    assert wire.headers == [(), (("x-api-key", "k"),)]


def test_a_device_gets_its_rest_between_connections_and_one_user_at_a_time():
    class Resting(FakeDriver):
        rules = ConnectionRules(spacing_seconds=0.05)

    spans = []

    class Slow(FakeWire):
        async def http(self, endpoint, request, headers, timeout, keep_alive):
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await asyncio.sleep(0.01)
            spans.append((begun, loop.time()))
            return page({})

    async def both():
        exchange, session = Exchange(Slow()), Session(HERE, Resting())
        await asyncio.gather(*(exchange.ask(session, (HttpRequest("/a"),)) for _ in range(3)))

    asyncio.run(both())
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(spans)]
    assert len(gaps) == 2
    assert min(gaps) >= 0.045
