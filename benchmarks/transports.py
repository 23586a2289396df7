"""CPU time of the transports against hosts on loopback, and of httpx with one client for each host beside it.

    python -m benchmarks.transports [HOSTS]

One forked process plays all hosts: it listens on every loopback address, and 127.0.0.1, 127.0.0.2, ... are as many
hosts to the client. CPU is user + system time of the client process. Only ratios travel between machines.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import httpx

from exporter.protocols.cgminer import encode_command
from exporter.protocols.tolerant_json import parse_json
from exporter.transports.cgminer import exchange
from exporter.transports.http import HttpConnections, KeepAliveTransport

AT_ONCE: Final = 100
ROUNDS: Final = 3
_BODY: Final = b"{" + b",".join(b'"field%03d":%d.25' % (n, n * 7) for n in range(180)) + b"}"
_HTTP: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_REPLY: Final = b'{"STATUS":[{"STATUS":"S","Code":11}],"SUMMARY":[' + _BODY + b'],"id":1}\0'


def _serve(http: socket.socket, cgminer: socket.socket) -> None:
    """Answer for ever: HTTP with keep-alive on one socket, CGMiner with close on the other."""
    selector = selectors.DefaultSelector()
    selector.register(http, selectors.EVENT_READ, (True, _HTTP, False))
    selector.register(cgminer, selectors.EVENT_READ, (True, _REPLY, True))
    while True:
        for key, _ in selector.select():
            listening, answer, close = key.data
            sock: socket.socket = key.fileobj  # type: ignore[assignment]
            with suppress(BlockingIOError, ConnectionError):
                if listening:
                    client, _ = sock.accept()
                    client.setblocking(False)
                    selector.register(client, selectors.EVENT_READ, (False, answer, close))
                    continue
                request = sock.recv(65536)
                if request:
                    sock.send(answer)
                if not request or close or b"Connection: close" in request:
                    selector.unregister(sock)
                    sock.close()


def start_hosts() -> tuple[int, int, int]:
    """Fork the hosts; returns (process id, HTTP port, CGMiner port)."""
    listeners = []
    for _ in range(2):
        listener = socket.socket()
        listener.bind(("0.0.0.0", 0))  # noqa: S104
        listener.listen(4096)
        listener.setblocking(False)
        listeners.append(listener)
    ports = [listener.getsockname()[1] for listener in listeners]
    process = os.fork()
    if process == 0:
        try:
            _serve(*listeners)
        finally:
            os._exit(1)
    for listener in listeners:
        listener.close()
    return process, ports[0], ports[1]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def addresses(hosts: int) -> list[str]:
    return [f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}" for n in range(hosts)]


async def measure(name: str, hosts: list[str], ask: Callable[[str], Awaitable[object]], rounds: int = ROUNDS) -> float:
    """Microseconds of CPU for one request, over `rounds` rounds after a first one."""

    async def worker(share: list[str]) -> None:
        for address in share:
            await ask(address)

    async def all_hosts() -> None:
        await asyncio.gather(*(worker(hosts[n::AT_ONCE]) for n in range(AT_ONCE)))

    await all_hosts()
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        await all_hosts()
        best = min(best, time.process_time() - started)
    cost = best / len(hosts) * 1e6
    _say(f"{name:<44}{cost:9.1f} us of CPU a request")
    return cost


async def run(hosts: int, http_port: int, cgminer_port: int) -> None:
    every = addresses(hosts)
    connections = HttpConnections()
    keep = await measure(
        "HTTP, keep-alive", every, lambda a: connections.request(a, http_port, "GET", "/api/system/info")
    )
    new = await measure(
        "HTTP, new connection",
        every,
        lambda a: connections.request(a, http_port, "GET", "/api/system/info", keep_alive=False),
    )
    command = encode_command("summary")
    await measure("CGMiner, one command", every, lambda a: exchange(a, cgminer_port, command))
    started = time.process_time()
    for _ in range(1000):
        parse_json(_BODY)
    _say(f"{f'parsing {len(_BODY)} bytes of JSON':<44}{(time.process_time() - started) * 1e3:9.1f} us of CPU")
    few = every[:200]
    async with httpx.AsyncClient(transport=KeepAliveTransport(connections)) as client:
        through = await measure("httpx over our transport", few, lambda a: client.get(f"http://{a}:{http_port}/x"))
    await connections.close()
    clients = {address: httpx.AsyncClient() for address in few}
    peer = await measure(
        "httpx, one client for each host, keep-alive", few, lambda a: clients[a].get(f"http://{a}:{http_port}/x")
    )
    for one in clients.values():
        await one.aclose()
    ratios = f"keep-alive {peer / keep:.1f}, new connection {peer / new:.1f}, through httpx {peer / through:.1f}"
    _say(f"httpx / ours: {ratios}")


def main() -> None:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    process, http_port, cgminer_port = start_hosts()
    try:
        asyncio.run(run(hosts, http_port, cgminer_port))
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


if __name__ == "__main__":
    main()
