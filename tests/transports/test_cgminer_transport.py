"""CGMiner exchanges over real sockets: every way a reply ends, and every way it does not."""

from __future__ import annotations

import asyncio

import pytest

from exporter.errors import ConnectionRefused, ProtocolError, RequestTimeoutError, TooLarge
from exporter.protocols.cgminer import encode_command
from exporter.transports import cgminer
from exporter.transports.cgminer import exchange
from tests.transports.servers import free_port, run, serving

COMMAND = encode_command("summary")
REPLY = b'{"STATUS":[{"STATUS":"S","Code":11,"Msg":"Su}mary"}],"SUMMARY":[{"Elapsed":5}],"id":1}'


def device(*pieces, hold=False, reset=False, pause=0.0):
    """A device that reads one command, sends `pieces`, then closes, resets, or waits for the other side to close."""

    async def talk(client):
        assert await client.reader.readexactly(len(COMMAND)) == COMMAND
        for piece in pieces:
            await client.send(piece)
            await asyncio.sleep(pause)
        if reset:
            await asyncio.sleep(0.01)
            client.reset()
        elif hold:
            await client.closed()

    return talk


def ask(talk, **options):
    """The reply of a device that talks like `talk`, over exactly one connection."""
    replies = []

    async def main():
        async with serving(talk) as server:
            try:
                replies.append(await exchange("127.0.0.1", server.port, COMMAND, **options))
            finally:
                assert server.connections == 1

    run(main)
    return replies[0]


def single_bytes(data):
    return [data[n : n + 1] for n in range(len(data))]


@pytest.mark.parametrize(
    "talk",
    [
        device(REPLY + b"\0"),
        device(REPLY + b"\0", hold=True),
        device(REPLY),
        device(REPLY, b"\0", hold=True),
        device(b"\0" + REPLY + b"\0junk behind it", hold=True),
        device(*single_bytes(REPLY + b"\0"), hold=True),
        device(*single_bytes(REPLY)),
        device(REPLY, reset=True),
        device(REPLY + b"\0", reset=True),
    ],
    ids=[
        "NUL and close",
        "NUL, socket kept open",
        "close without NUL",
        "NUL alone",
        "junk around the NULs",
        "byte by byte with NUL",
        "byte by byte, then close",
        "reset behind the reply",
        "reset behind the NUL",
    ],
)
def test_ends_of_a_reply(talk):
    assert ask(talk) == REPLY


@pytest.mark.parametrize(
    "reply", [REPLY, b'{"STATS":[{"a":1}{"b":2}],"id":1}"}', b"STATUS=S,When=1|SUMMARY,Elapsed=5|"]
)
def test_a_device_that_neither_sends_nul_nor_closes(reply, monkeypatch):
    monkeypatch.setattr(cgminer, "QUIET_SECONDS", 0.02)
    half = len(reply) // 2
    assert ask(device(reply[:half], reply[half:], hold=True, pause=0.03)) == reply


def test_silence_in_the_middle_does_not_end_a_reply(monkeypatch):
    monkeypatch.setattr(cgminer, "QUIET_SECONDS", 0.005)
    assert ask(device(REPLY[:30], REPLY[30:50], REPLY[50:], hold=True, pause=0.03)) == REPLY


def test_a_long_reply():
    long = b'{"STATS":[' + b",".join(b'{"MM ID%d":"%b"}' % (n, b"x" * 2000) for n in range(300)) + b"]}"
    assert ask(device(long + b"\0")) == long
    assert ask(device(long)) == long


def test_text_behind_which_the_device_closes():
    assert ask(device(b"Please reboot miner to make config work.")) == b"Please reboot miner to make config work."


@pytest.mark.parametrize("talk", [device(), device(b"\0"), device(reset=True)], ids=["close", "only NUL", "reset"])
def test_an_empty_reply_is_an_error(talk):
    with pytest.raises(ProtocolError, match=r"^127\.0\.0\.1:\d+: "):
        ask(talk)


@pytest.mark.parametrize("pieces", [(), (REPLY[:40],), (b'{"a":"',)])
def test_a_device_that_falls_silent(pieces, monkeypatch):
    monkeypatch.setattr(cgminer, "QUIET_SECONDS", 0.01)
    with pytest.raises(RequestTimeoutError, match=r"^127\.0\.0\.1:\d+: no whole reply"):
        ask(device(*pieces, hold=True), timeout=0.5)


def test_a_reset_in_the_middle_is_an_error():
    with pytest.raises(ProtocolError, match="lost"):
        ask(device(REPLY[:40], reset=True))


def test_a_flood_without_end_is_cut_off():
    async def main():
        stopped = asyncio.Event()

        async def talk(client):
            try:
                while True:
                    await client.send(b"x" * 65536)
            except ConnectionError:
                stopped.set()

        async with serving(talk) as server:
            with pytest.raises(TooLarge, match="1000000"):
                await exchange("127.0.0.1", server.port, COMMAND, max_bytes=1_000_000)
            await stopped.wait()

    run(main)


def test_a_closed_port():
    async def main():
        port = free_port()
        with pytest.raises(ConnectionRefused, match=f"^127.0.0.1:{port}: connection refused$"):
            await exchange("127.0.0.1", port, COMMAND)

    run(main)


def test_cancelling_closes_the_connection():
    async def main():
        asked = asyncio.Event()
        closed = asyncio.Event()

        async def talk(client):
            await client.reader.readexactly(len(COMMAND))
            asked.set()
            await client.closed()
            closed.set()

        async with serving(talk) as server:
            task = asyncio.create_task(exchange("127.0.0.1", server.port, COMMAND))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()

    run(main)


def test_many_at_once():
    async def main():
        async def talk(client):
            word = await client.reader.readexactly(3)
            await client.send(word + b"\0")

        async with serving(talk) as server:
            words = [b"%03d" % n for n in range(100)]
            assert await asyncio.gather(*(exchange("127.0.0.1", server.port, word) for word in words)) == words

    run(main)
