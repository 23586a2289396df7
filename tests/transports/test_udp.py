"""Datagrams on loopback."""

from __future__ import annotations

import asyncio
import socket

import pytest

from exporter.errors import UsageError
from exporter.transports.udp import listen
from tests.transports.servers import run


class Inbox:
    """Collects datagrams until as many as expected are there."""

    def __init__(self, expected):
        self.expected = expected
        self.items = []
        self.full = asyncio.Event()

    def __call__(self, data, sender):
        self.items.append((data, sender))
        if len(self.items) >= self.expected:
            self.full.set()


def send(port, *datagrams, address="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        for data in datagrams:
            sock.sendto(data, (address, port))


def test_datagrams_arrive_whole_with_their_sender():
    async def main():
        inbox = Inbox(3)
        listener = await listen(0, inbox, address="127.0.0.1")
        send(listener.port, b'{"HashRate":"1K"}', b"\xff\0", b"x" * 20_000)
        await inbox.full.wait()
        listener.close()
        listener.close()
        assert inbox.items == [
            (b'{"HashRate":"1K"}', "127.0.0.1"),
            (b"\xff\0", "127.0.0.1"),
            (b"x" * 20_000, "127.0.0.1"),
        ]

    run(main)


def test_it_listens_on_every_address():
    async def main():
        inbox = Inbox(1)
        listener = await listen(0, inbox)
        send(listener.port, b"one")
        await inbox.full.wait()
        listener.close()
        assert inbox.items == [(b"one", "127.0.0.1")]

    run(main)


def test_a_second_listener_that_shares_the_port():
    async def main():
        inbox = Inbox(1)
        first = await listen(0, Inbox(1))
        second = await listen(first.port, inbox)
        assert second.port == first.port
        # Broadcasts reach both; a datagram to one address reaches one of them, whichever the system picks.
        first.close()
        await asyncio.sleep(0)
        send(second.port, b"still here")
        await inbox.full.wait()
        second.close()

    run(main)


def test_nothing_arrives_behind_close():
    async def main():
        inbox = Inbox(1)
        listener = await listen(0, inbox, address="127.0.0.1")
        send(listener.port, b"early")
        listener.close()
        await asyncio.sleep(0.01)
        assert inbox.items == []

    run(main)


def test_a_taken_port_is_one_clear_error():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", 0))
            port = other.getsockname()[1]
            with pytest.raises(UsageError, match=rf"UDP port {port} is taken.*udp\.nmminer_port"):
                await listen(port, Inbox(1))

    run(main)


def test_an_address_of_somebody_else():
    async def main():
        with pytest.raises(UsageError, match=r"UDP port 12345 on 192\.0\.2\.1: "):
            await listen(12345, Inbox(1), address="192.0.2.1")

    run(main)


def test_a_failing_receiver_does_not_close_the_port(caplog):
    async def main():
        inbox = Inbox(1)

        def failing(data, sender):
            if data == b"bad":
                raise RuntimeError("receiver")
            inbox(data, sender)

        listener = await listen(0, failing, address="127.0.0.1")
        send(listener.port, b"bad", b"good")
        await inbox.full.wait()
        listener.close()
        assert inbox.items == [(b"good", "127.0.0.1")]

    run(main)
    assert "receiver" in caplog.text
