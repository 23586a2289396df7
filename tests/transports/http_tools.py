"""What the tests of the HTTP transport share."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from exporter.transports.http import HttpConnections
from tests.transports.servers import run, serving

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def connections():
    opened = HttpConnections()
    try:
        yield opened
    finally:
        await opened.close()


def check(talk, test, host=LOOPBACK):
    """Run `test(server, connections)` against a server that talks like `talk`."""

    async def main():
        async with serving(talk, host) as server, connections() as http:
            await test(server, http)

    run(main)


async def polite(client):
    """Answer each request with its path."""
    while True:
        _, path, _, _ = await client.request()
        await client.answer(path.encode())


async def get(http, server, path="/", **options):
    return await http.request(LOOPBACK, server.port, "GET", path, **options)


def sending(*pieces, hold=False, pause=False):
    """A device that sends `pieces` whatever it is asked, then closes (or waits)."""

    async def talk(client):
        await client.request()
        for piece in pieces:
            await client.send(piece)
            if pause:
                await asyncio.sleep(0)
        if hold:
            await client.closed()

    return talk
