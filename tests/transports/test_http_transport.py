"""HTTP over real sockets: connections kept, turns taken, and every way a device can misbehave."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections import Counter

import httpx
import pytest

from exporter.errors import (
    ConnectionRefused,
    ProtocolError,
    RequestTimeoutError,
    Unreachable,
    Unsupported,
)
from exporter.transports.http import KeepAliveTransport
from tests.transports.http_tools import LOOPBACK, check, connections, get, polite
from tests.transports.servers import free_port, run, serving

# --- connections ---


def test_a_connection_is_kept():
    async def test(server, http):
        for n in range(5):
            answer = await get(http, server, f"/{n}")
            assert (answer.status, answer.body) == (200, f"/{n}".encode())
            assert answer.headers == {"content-length": "2"}
        assert server.connections == 1

    check(polite, test)


def test_each_host_has_its_own_connection():
    async def main():
        async with serving(polite) as first, serving(polite) as second, connections() as http:
            for _ in range(2):
                await asyncio.gather(get(http, first), get(http, second))
            assert (first.connections, second.connections) == (1, 1)

    run(main)


def test_callers_to_one_host_wait_their_turn():
    at_once = Counter()

    async def talk(client):
        while True:
            _, path, _, _ = await client.request()
            at_once["now"] += 1
            at_once["most"] = max(at_once["most"], at_once["now"])
            await asyncio.sleep(0.001)
            at_once["now"] -= 1
            await client.answer(path.encode())

    async def test(server, http):
        answers = await asyncio.gather(*(get(http, server, f"/{n}") for n in range(20)))
        assert [answer.body for answer in answers] == [f"/{n}".encode() for n in range(20)]
        assert at_once["most"] == 1
        assert server.connections == 1

    check(talk, test)


def test_no_keep_alive_when_not_wanted():
    async def talk(client):
        while True:
            _, _, headers, _ = await client.request()
            assert headers["connection"] == "close"
            # A device that does not care: it must be closed from this side.
            await client.answer(b"x")

    async def test(server, http):
        for _ in range(3):
            await get(http, server, keep_alive=False)
        assert server.connections == 3
        assert not http._hosts

    check(talk, test)


def test_a_request_arrives_as_meant():
    seen = []

    async def talk(client):
        seen.append(await client.request())
        await client.answer(b"", "204 No Content")

    async def test(server, http):
        answer = await http.request(
            LOOPBACK, server.port, "PATCH", "/api/system?x=1", headers=[("X-Key", "k")], body=b'{"a":1}'
        )
        assert answer.status == 204
        method, path, headers, body = seen[0]
        assert (method, path, body) == ("PATCH", "/api/system?x=1", b'{"a":1}')
        assert headers == {
            "host": f"{LOOPBACK}:{server.port}",
            "accept-encoding": "identity",
            "x-key": "k",
            "content-length": "7",
        }

    check(talk, test)


@pytest.mark.parametrize("reset", [False, True])
def test_a_stale_connection_is_replaced_for_a_get(reset):
    async def talk(client):
        _, path, _, _ = await client.request()
        await client.answer(path.encode())
        # The second request reaches a device that has given the connection up.
        await client.request()
        if reset:
            client.reset()

    async def test(server, http):
        for n in range(3):
            assert (await get(http, server, f"/{n}")).body == f"/{n}".encode()
        assert server.connections == 3

    check(talk, test)


def test_a_connection_closed_while_idle_is_noticed():
    gone = asyncio.Event()

    async def talk(client):
        await client.request()
        await client.answer(b"x")
        client.writer.close()
        gone.set()

    async def test(server, http):
        await get(http, server)
        await gone.wait()
        await asyncio.sleep(0.01)
        await get(http, server, "/again")
        assert server.requests == [("GET", "/"), ("GET", "/again")]

    check(talk, test)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_command_is_never_sent_twice(method):
    async def talk(client):
        sent, *_ = await client.request()
        if sent == "GET":
            await client.answer(b"x")
            await client.request()

    async def test(server, http):
        await get(http, server)
        with pytest.raises(ProtocolError):
            await http.request(LOOPBACK, server.port, method, "/restart")
        assert Counter(server.requests) == {("GET", "/"): 1, (method, "/restart"): 1}
        assert server.connections == 2

    check(talk, test)


def test_a_new_connection_closed_without_an_answer_is_an_error():
    async def talk(client):
        await client.request()

    async def test(server, http):
        with pytest.raises(ProtocolError, match=rf"127\.0\.0\.1:{server.port}: GET /api/info: .*without an answer"):
            await get(http, server, "/api/info")
        assert server.connections == 1

    check(talk, test)


def test_a_kept_connection_that_breaks_in_an_answer_is_an_error():
    async def talk(client):
        await client.request()
        await client.answer(b"x")
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async def test(server, http):
        await get(http, server)
        with pytest.raises(ProtocolError, match="middle"):
            await get(http, server)
        assert server.connections == 1
        assert (await get(http, server)).body == b"x"

    check(talk, test)


def test_data_nobody_asked_for_closes_the_connection():
    sent = asyncio.Event()

    async def talk(client):
        await client.request()
        await client.answer(b"x")
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        sent.set()
        await client.closed()

    async def test(server, http):
        for n in range(1, 4):
            sent.clear()
            assert (await get(http, server)).body == b"x"
            await sent.wait()
            await asyncio.sleep(0.01)
            assert server.connections == n

    check(talk, test)


def test_junk_behind_an_answer_never_meets_the_next_request():
    async def talk(client):
        _, path, _, _ = await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%bHTTP/1.1 200 OK\r\n\r\njunk" % path.encode())
        await client.closed()

    async def test(server, http):
        for n in range(4):
            assert (await get(http, server, f"/{n}")).body == f"/{n}".encode()
        assert server.connections == 4

    check(talk, test)


# --- time ---


def test_a_late_answer_never_meets_the_next_request():
    late = asyncio.Event()

    async def talk(client):
        _, path, _, _ = await client.request()
        if path == "/slow":
            await late.wait()
        await client.answer(path.encode())
        await client.closed()

    async def test(server, http):
        with pytest.raises(RequestTimeoutError, match="GET /slow"):
            await get(http, server, "/slow", timeout=0.02)
        late.set()
        assert (await get(http, server, "/next")).body == b"/next"
        assert server.connections == 2

    check(talk, test)


def test_the_time_limit_counts_for_the_whole_answer():
    async def talk(client):
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await client.send(b"x")
            await asyncio.sleep(0.002)

    async def test(server, http):
        with pytest.raises(RequestTimeoutError):
            await get(http, server, timeout=0.05)

    check(talk, test)


def test_the_time_limit_counts_for_connecting():
    async def main():
        with socket.socket() as listener:
            listener.bind((LOOPBACK, 0))
            listener.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            try:
                # A full queue: the system answers no further connection attempt.
                for filler in fillers:
                    filler.setblocking(False)
                    filler.connect_ex(listener.getsockname())
                async with connections() as http:
                    with pytest.raises(RequestTimeoutError, match="no connection"):
                        await http.request(LOOPBACK, listener.getsockname()[1], "GET", "/", timeout=0.05)
                    assert not http._hosts
            finally:
                for filler in fillers:
                    filler.close()

    run(main)


def test_a_cancelled_request_leaves_nothing_behind():
    async def talk(client):
        _, path, _, _ = await client.request()
        if path == "/slow":
            await client.closed()
        await client.answer(path.encode())
        await client.closed()

    async def test(server, http):
        slow = asyncio.create_task(get(http, server, "/slow"))
        waiting = asyncio.create_task(get(http, server, "/never"))
        after = asyncio.create_task(get(http, server, "/after"))
        await server.asked.wait()
        waiting.cancel()
        slow.cancel()
        assert (await after).body == b"/after"
        assert ("GET", "/never") not in server.requests

    check(talk, test)


# --- reaching the device ---


def test_a_closed_port_is_refused():
    async def main():
        port = free_port()
        async with connections() as http:
            with pytest.raises(ConnectionRefused, match=rf"^127\.0\.0\.1:{port}: GET /x: connection refused$"):
                await http.request(LOOPBACK, port, "GET", "/x")
            assert not http._hosts

    run(main)


def test_names_and_ipv6():
    async def test(server, http):
        answer = await http.request("localhost", server.port, "GET", "/name")
        assert answer.body == b"/name"

    check(polite, test)
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return

    async def test6(server, http):
        answer = await http.request("::1", server.port, "GET", "/six")
        assert answer.body == b"/six"
        with pytest.raises(ProtocolError, match=rf"^\[::1\]:{server.port}: "):
            await http.request("::1", server.port, "GET", "six")

    check(polite, test6, "::1")


@pytest.mark.parametrize("name", ["no-such-host.invalid", "bad..name", "x" * 70])
def test_an_unknown_name_is_unreachable(name, monkeypatch):
    def unknown(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def main():
        if name.endswith(".invalid"):
            monkeypatch.setattr(socket, "getaddrinfo", unknown)
        async with connections() as http:
            with pytest.raises(Unreachable):
                await http.request(name, 80, "GET", "/")

    run(main)


# --- closing ---


def test_closing_a_host_ends_what_is_under_way():
    async def talk(client):
        _, path, _, _ = await client.request()
        if path != "/slow":
            await client.answer(path.encode())
        await client.closed()

    async def test(server, http):
        slow = asyncio.create_task(get(http, server, "/slow"))
        queued = asyncio.create_task(get(http, server, "/queued"))
        await server.asked.wait()
        await http.close_host("192.0.2.1")
        await http.close_host(LOOPBACK, server.port + 1)
        assert not slow.done()
        await http.close_host(LOOPBACK)
        for task in (slow, queued):
            with pytest.raises(ProtocolError):
                await task
        assert (await get(http, server, "/new")).body == b"/new"
        assert server.requests == [("GET", "/slow"), ("GET", "/new")]

    check(talk, test)


def test_closing_everything():
    async def test(server, http):
        await get(http, server)
        assert len(http._hosts) == 1
        await http.close()
        assert not http._hosts

    check(polite, test)


# --- httpx ---


def test_httpx_over_the_same_connections():
    async def talk(client):
        while True:
            method, path, headers, body = await client.request()
            assert headers["accept-encoding"] == "identity"
            assert "connection" not in headers
            if path == "/page":
                packed = gzip.compress(b"<html>")
                await client.answer(packed, headers="Content-Encoding: gzip\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
            else:
                echo = {"method": method, "path": path, "key": headers.get("x-key"), "body": body.decode()}
                await client.answer(json.dumps(echo).encode())

    async def test(server, http):
        base = f"http://{LOOPBACK}:{server.port}"
        async with httpx.AsyncClient(transport=KeepAliveTransport(http), base_url=base) as client:
            first = await client.get("/api?a=b%20c", headers={"X-Key": "k"})
            assert first.json() == {"method": "GET", "path": "/api?a=b%20c", "key": "k", "body": ""}
            page = await client.get("/page")
            assert page.text == "<html>"
            assert page.headers.get_list("set-cookie") == ["a=1", "b=2"]
            assert server.connections == 1
            posted = await client.post("/unlock", json={"pw": "x"})
            assert posted.json()["body"] == '{"pw":"x"}'

    check(talk, test)


def test_httpx_errors_are_ours():
    async def talk(client):
        await client.request()
        await client.closed()

    async def test(server, http):
        async with httpx.AsyncClient(transport=KeepAliveTransport(http)) as client:
            with pytest.raises(Unsupported, match="https"):
                await client.get(f"https://{LOOPBACK}:{server.port}/")
            with pytest.raises(RequestTimeoutError, match=rf"{LOOPBACK}:{server.port}: GET /"):
                await client.get(f"http://{LOOPBACK}:{server.port}/", timeout=0.02)
            with pytest.raises(ConnectionRefused):
                await client.get(f"http://{LOOPBACK}:{free_port()}/")

    check(talk, test)
