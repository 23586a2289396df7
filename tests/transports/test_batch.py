"""Scripts for many hosts at once: what comes of each request, whatever the devices do."""

from __future__ import annotations

import asyncio
import threading

import pytest

from exporter.drivers.api import CgminerRequest, HttpRequest
from exporter.engine.exchange import Endpoint
from exporter.errors import ConnectionRefused, ProtocolError, RequestTimeoutError, TooLarge, Unreachable
from exporter.protocols.http1 import MAX_BODY_BYTES
from exporter.transports.batch import Batch
from tests.transports.servers import free_port, run, serving

ONE, TWO, THREE = HttpRequest("/one"), HttpRequest("/two"), HttpRequest("/three")
VERSION, STATS = CgminerRequest("version"), CgminerRequest("stats")
REPLY = b'{"STATUS":[{"STATUS":"S","Msg":"a}b"}],"id":1}'


def asking(*requests):
    """A script that asks `requests` and returns what came of each."""
    came = []
    for request in requests:
        answer = yield request
        came += [answer]
    return came


async def ask(endpoints, *requests, timeout=5.0, at_once=200, stop=None):
    """What came of `requests` at each endpoint."""
    results = {}
    batch = Batch(timeout=timeout, on_end=lambda endpoint, came: results.update({endpoint: came}), at_once=at_once)
    scripts = [(endpoint, asking(*requests)) for endpoint in endpoints]
    await asyncio.to_thread(batch.run, scripts, stop)
    return results


def check(talk, *requests, rpc=False, connections=1, timeout=5.0):
    """What came of `requests` to one device that talks like `talk`."""
    came = []

    async def main():
        async with serving(talk) as server:
            port = server.port
            endpoint = Endpoint("127.0.0.1", *((1, port) if rpc else (port, 1)))
            came.extend((await ask([endpoint], *requests, timeout=timeout))[endpoint])
            assert server.connections == connections

    run(main)
    return came


async def echo(client):
    """Answers every request with its path, on one connection."""
    while True:
        _, path, _, _ = await client.request()
        await client.answer(path.encode())


# --- HTTP ---


def test_all_requests_of_a_host_share_a_connection():
    came = check(echo, ONE, TWO, THREE)
    assert [(answer.status, answer.body) for answer in came] == [(200, b"/one"), (200, b"/two"), (200, b"/three")]


def test_any_status_is_an_answer_with_its_headers():
    async def talk(client):
        await client.request()
        await client.answer(b"no", "401 Unauthorized", 'WWW-Authenticate: Digest realm="x"\r\n')

    (answer,) = check(talk, ONE)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Digest realm="x"')


def test_a_request_carries_its_headers_and_body():
    seen = []

    async def talk(client):
        seen.append(await client.request())
        await client.answer(b"")

    check(talk, HttpRequest("/set", method="POST", body=b"{}", headers=(("X-Token", "t"),)))
    method, path, headers, body = seen[0]
    assert (method, path, body) == ("POST", "/set", b"{}")
    assert (headers["x-token"], headers["content-type"]) == ("t", "application/json")


@pytest.mark.parametrize("says_so", [True, False])
def test_a_device_that_closes_after_each_answer_is_asked_on_new_connections(says_so):
    async def talk(client):
        _, path, _, _ = await client.request()
        await client.answer(path.encode(), headers="Connection: close\r\n" if says_so else "")

    assert [answer.body for answer in check(talk, ONE, TWO, connections=2)] == [b"/one", b"/two"]


def test_an_answer_may_end_with_the_connection_and_come_in_pieces():
    async def talk(client):
        await client.request()
        for piece in (b"HTTP/1.0 200 ", b"OK\r\n\r\n", b"some", b"thing"):
            await client.send(piece)
            await asyncio.sleep(0.005)

    assert check(talk, ONE)[0].body == b"something"


def test_a_long_answer_is_whole():
    async def talk(client):
        await client.request()
        await client.answer(bytes(300_000))

    assert check(talk, ONE)[0].body == bytes(300_000)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ProtocolError),
        (b"SSH-2.0-dropbear\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), TooLarge),
    ],
    ids=["nothing", "half", "another protocol", "too much"],
)
def test_a_broken_answer_is_an_error_and_the_script_goes_on(data, error):
    async def talk(client):
        _, path, _, _ = await client.request()
        if path == "/two":
            await client.answer(b"fine")
        else:
            await client.send(data)

    first, second = check(talk, ONE, TWO, connections=2)
    assert isinstance(first, error)
    assert "127.0.0.1" in str(first)
    assert second.body == b"fine"


def test_a_reset_is_an_error():
    async def talk(client):
        await client.request()
        client.reset()

    assert isinstance(check(talk, ONE)[0], ProtocolError)


def test_silence_ends_after_the_timeout_and_the_next_request_is_still_asked():
    async def talk(client):
        _, path, _, _ = await client.request()
        if path == "/two":
            await client.answer(b"late riser")
        await client.closed()

    first, second = check(talk, ONE, TWO, connections=2, timeout=1.0)
    assert isinstance(first, RequestTimeoutError)
    assert second.body == b"late riser"


# --- CGMiner ---


@pytest.mark.parametrize("end", [b"\0", b""])
def test_a_cgminer_reply_is_raw_and_each_takes_a_connection(end):
    async def talk(client):
        await client.reader.read(100)
        await client.send(REPLY + end)

    came = check(talk, VERSION, STATS, rpc=True, connections=2)
    assert [answer.body for answer in came] == [REPLY, REPLY]


def test_a_reply_without_an_end_is_whole_by_its_brackets_after_a_quiet_time():
    async def talk(client):
        await client.reader.read(100)
        await client.send(REPLY[:20])
        await asyncio.sleep(0.01)
        await client.send(REPLY[20:])
        await client.closed()

    assert check(talk, VERSION, rpc=True)[0].body == REPLY


def test_half_a_reply_is_waited_for_until_the_timeout():
    async def talk(client):
        await client.reader.read(100)
        await client.send(REPLY[:20])
        await client.closed()

    assert isinstance(check(talk, VERSION, rpc=True, timeout=0.4)[0], RequestTimeoutError)


def test_a_reset_behind_a_whole_reply_is_forgiven():
    async def talk(client):
        await client.reader.read(100)
        await client.send(REPLY)
        await asyncio.sleep(0.02)
        client.reset()

    assert check(talk, VERSION, rpc=True)[0].body == REPLY


def test_a_reply_that_never_ends_is_too_large():
    async def talk(client):
        await client.reader.read(100)
        while True:
            await client.send(bytes(b"x" * 65536))

    assert isinstance(check(talk, VERSION, rpc=True)[0], TooLarge)


# --- many hosts ---


def test_both_ports_of_a_host_one_after_the_other():
    async def rpc(client):
        await client.reader.read(100)
        await client.send(REPLY + b"\0")

    async def main():
        async with serving(echo) as web, serving(rpc) as api:
            endpoint = Endpoint("127.0.0.1", web.port, api.port)
            came = (await ask([endpoint], ONE, VERSION, TWO))[endpoint]
            assert [answer.body for answer in came] == [b"/one", REPLY, b"/two"]
            assert (web.connections, api.connections) == (2, 1)

    run(main)


def test_many_hosts_are_asked_a_few_at_a_time():
    open_now, most = 0, 0

    async def talk(client):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await client.request()
        await asyncio.sleep(0.002)
        open_now -= 1
        await client.answer(b"here")
        await client.closed()

    async def main():
        async with serving(talk, "0.0.0.0") as server:
            endpoints = [Endpoint(f"127.0.1.{n}", server.port) for n in range(1, 61)]
            results = await ask(endpoints, ONE, at_once=7)
            assert [came[0].body for came in results.values()] == [b"here"] * 60
            assert set(results) == set(endpoints)

    run(main)
    assert most <= 7


def test_a_refused_port_is_an_error_at_once():
    async def main():
        endpoint = Endpoint("127.0.0.1", free_port())
        came = (await ask([endpoint], ONE, TWO))[endpoint]
        assert [type(error) for error in came] == [ConnectionRefused, ConnectionRefused]

    run(main)


def test_a_host_name_is_not_looked_up():
    async def main():
        endpoint = Endpoint("localhost", 80)
        (came,) = (await ask([endpoint], ONE))[endpoint]
        assert isinstance(came, Unreachable)

    run(main)


def test_a_script_may_end_without_asking():
    async def main():
        endpoint = Endpoint("127.0.0.1", 1)
        assert await ask([endpoint]) == {endpoint: []}
        assert await ask([]) == {}

    run(main)


def test_a_stop_drops_what_is_under_way():
    stop = threading.Event()

    async def talk(client):
        await client.request()
        stop.set()
        await client.closed()

    async def main():
        async with serving(talk) as server:
            endpoints = [Endpoint("127.0.0.1", server.port), Endpoint("127.0.0.2", server.port)]
            assert await ask(endpoints[:1], ONE, timeout=60.0, stop=stop) == {}

    run(main)
