"""HTTP over real sockets: what devices send, from garbage to an answer byte by byte."""

from __future__ import annotations

import asyncio

import pytest

from exporter.errors import MinerError, ProtocolError, RequestTimeoutError, TooLarge
from tests.transports.http_tools import LOOPBACK, check, connections, get, polite, sending
from tests.transports.servers import run, serving


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x00\xff garbage", ProtocolError),
        (b'{"STATUS":"E"}\0', ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", TooLarge),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Pad: y\r\n" * 20_000, TooLarge),
    ],
    ids=["garbage", "cgminer", "cut body", "cut head", "cut chunk", "bad chunk", "too long", "endless head"],
)
def test_a_broken_answer_is_one_clear_error(data, error):
    async def test(server, http):
        with pytest.raises(error, match=rf"^127\.0\.0\.1:{server.port}: GET /info: ") as caught:
            await get(http, server, "/info")
        assert type(caught.value) is error
        assert server.connections == 1
        assert not http._hosts

    check(sending(data), test)


def test_a_flood_without_end_is_cut_off():
    stopped = asyncio.Event()

    async def talk(client):
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await client.send(b"x" * 65536)
        except ConnectionError:
            stopped.set()

    async def test(server, http):
        with pytest.raises(TooLarge):
            await get(http, server, max_body=1_000_000)
        await stopped.wait()

    check(talk, test)


def test_a_reset_in_an_answer_is_an_error():
    async def talk(client):
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await asyncio.sleep(0.01)
        client.reset()

    async def test(server, http):
        with pytest.raises(ProtocolError, match="lost"):
            await get(http, server)

    check(talk, test)


ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


def test_an_answer_byte_by_byte():
    async def test(server, http):
        assert (await get(http, server)).body == b"abcdefg"

    check(sending(*(ANSWER[n : n + 1] for n in range(len(ANSWER))), hold=True, pause=True), test)


@pytest.mark.parametrize("end", ["length", "close"])
def test_a_long_answer(end):
    body = bytes(range(256)) * 8000
    length = f"Content-Length: {len(body)}\r\n".encode() if end == "length" else b""

    async def test(server, http):
        assert (await get(http, server)).body == body

    check(sending(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + body, hold=end == "length"), test)


def test_a_long_request():
    body = bytes(range(256)) * 8000

    async def talk(client):
        _, _, _, received = await client.request()
        assert received == body
        await client.answer(b"ok")

    async def test(server, http):
        assert (await http.request(LOOPBACK, server.port, "POST", "/", body=body)).body == b"ok"

    check(talk, test)


def test_other_statuses_are_answers():
    async def talk(client):
        while True:
            await client.request()
            await client.answer(b"no", "404 Not Found")

    async def test(server, http):
        assert (await get(http, server)).status == 404
        assert (await get(http, server)).body == b"no"
        assert server.connections == 1

    check(talk, test)


def test_hosts_do_not_disturb_each_other():
    """Faulty and healthy hosts at once: each caller gets its own host's outcome."""

    async def main():
        kinds = {
            "healthy": polite,
            "silent": sending(hold=True),
            "garbage": sending(b"garbage\r\n\r\n"),
            "cut": sending(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        }
        expected = {"silent": RequestTimeoutError, "garbage": ProtocolError, "cut": ProtocolError}
        async with connections() as http:
            stacks = [(kind, serving(talk)) for kind, talk in kinds.items() for _ in range(5)]
            servers = [(kind, stack, await stack.__aenter__()) for kind, stack in stacks]
            try:
                for turn in range(3):
                    outcomes = await asyncio.gather(
                        *(
                            get(http, server, f"/{turn}", timeout=0.05 if kind == "silent" else 20)
                            for kind, _, server in servers
                        ),
                        return_exceptions=True,
                    )
                    for (kind, _, _), outcome in zip(servers, outcomes, strict=True):
                        if kind == "healthy":
                            assert outcome.body == f"/{turn}".encode()
                        else:
                            assert isinstance(outcome, MinerError)
                            assert type(outcome) is expected[kind]
            finally:
                for _, stack, _ in servers:
                    await stack.__aexit__(None, None, None)

    run(main)
