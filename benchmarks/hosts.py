"""Thousands of hosts in one process, so that the CPU of the side that is measured stands alone.

    python -m benchmarks.hosts < specification

The answers are those of the simulator's devices, rendered once and kept until the clock moves. Any number of loopback
addresses cost nothing: each host listens on its own, or, with `everywhere`, one listener stands for all of them and
looks at the address a client came for. Plain epoll without timers or faults; the simulator itself is for tests.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from simulator.chance import mix
from simulator.clock import Clock
from simulator.devices import build_device
from simulator.devices.base import DeviceSpec, SimulatedDevice
from simulator.fleet import make_mac
from simulator.http_server import REASONS, Request, Response

_BACKLOG: Final = 4096
_ROOM: Final = 65536
_NAP: Final = 0.001
#: Where the frozen clocks of benchmarks begin (Unix seconds).
_BEGINNING: Final = 1_760_000_000.0


def mac_of(number: int) -> str:
    """The MAC of the host that stands at this place of the specification."""
    return make_mac(mix(7, number))


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the hosts listen."""

    http: int
    rpc: int


class Hosts:
    """A running process of hosts. Use `started` to get one."""

    def __init__(self, process: subprocess.Popen[str], ports: Ports) -> None:
        self._process = process
        self.ports = ports

    def _tell(self, line: str) -> str:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError("the hosts have no pipes")
        pipe_in.write(line + "\n")
        pipe_in.flush()
        return pipe_out.readline()

    def advance(self, seconds: float) -> None:
        """Move the hosts' clock, so that the next answers have other figures."""
        self._tell(f"advance {seconds}")

    def served(self) -> int:
        """How many requests were answered so far."""
        return int(self._tell("served"))


@contextlib.contextmanager
def started(
    hosts: Mapping[str, tuple[str, str]],
    *,
    everywhere: bool = False,
    frozen: bool = True,
    ports: Ports | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Hosts]:
    """Run hosts: address -> (kind, model) of the simulator.

    Args:
        everywhere: one listener for each port on every address of this machine.
        frozen: the clock stands until `advance`; otherwise it is real time and answers are kept for five seconds.
        ports: fixed ones; free ones where None.
        prefix: a command in front of the interpreter, for example to enter a network namespace.
    """
    command = (*prefix, sys.executable, "-m", "benchmarks.hosts")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        specification = {
            "hosts": hosts,
            "everywhere": everywhere,
            "frozen": frozen,
            "ports": [ports.http, ports.rpc] if ports else None,
        }
        running = Hosts(process, Ports(0, 0))
        answer = running._tell(json.dumps(specification))  # noqa: SLF001 - its own maker
        if not answer:
            raise RuntimeError("the hosts did not start; see their message above")
        running.ports = Ports(*json.loads(answer))
        yield running
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        process.wait()


# --- the process ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Host:
    device: SimulatedDevice
    kept: dict[tuple[bytes, bool], tuple[bytes, bool]] = field(default_factory=dict)
    asked: dict[bytes, bool] = field(default_factory=dict)  # what to render ahead, and whether it came over HTTP

    def render_ahead(self) -> None:
        """Render anew what was asked so far, so that a round waits for nothing."""
        self.kept.clear()
        for data, http in self.asked.items():
            _ = self.http(data) if http else self.rpc(data)

    def http(self, data: bytes) -> tuple[bytes, bool]:
        """The bytes of the answer, and whether the connection stays."""
        head, _, body = data.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        signed = b"\r\nauthorization:" in head.lower()
        known = self.kept.get((line, signed)) if not body else None
        if known is None:
            response = self.device.http(_request(line, fields, body))
            known = b"" if response.drop else _encode(response), not response.drop
            if not body and not (signed and response.status == 401):
                self.kept[line, signed] = known
                self.asked[data] = True
        policy = self.device.http_policy
        stays = known[1] and policy.keep_alive and not policy.silent_close
        return known[0], stays and b"\r\nconnection: close" not in head.lower()

    def rpc(self, data: bytes) -> tuple[bytes, bool]:
        """The bytes of the reply; the connection always ends."""
        known = self.kept.get((data, False))
        if known is None:
            self.asked[data] = False
            reply = self.device.rpc(data)
            known = self.kept[data, False] = (reply or b"") + b"\0", False
        return known


def _request(line: bytes, fields: bytes, body: bytes) -> Request:
    method, target, _ = line.decode("latin-1").split(" ", 2)
    path, _, query = target.partition("?")
    headers = {}
    for entry in fields.decode("latin-1").split("\r\n"):
        name, _, value = entry.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, target, unquote(path), dict(parse_qsl(query)), headers, body, "127.0.0.1")


def _encode(response: Response) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body


class _Server:
    def __init__(self, specification: Mapping[str, Any]) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._clock = Clock(_BEGINNING if specification["frozen"] else None)
        compact = 0.0 if specification["frozen"] else 5.0
        self._keeps = specification["frozen"]
        self._hosts: dict[str, _Host] = {}
        for number, (address, (kind, model)) in enumerate(specification["hosts"].items()):
            spec = DeviceSpec(kind, model, address, mac_of(number), seed=mix(7, number))
            self._hosts[address] = _Host(build_device(spec, self._clock, compact=compact))
        self._epoll = select.epoll()
        self._listeners: dict[int, tuple[socket.socket, bool]] = {}
        self._clients: dict[int, tuple[socket.socket, _Host, bool]] = {}
        self.served = 0
        self.ports = specification["ports"] or (_free_port(), _free_port())
        for port, http in zip(self.ports, (True, False), strict=True):
            wanted = "http" if http else "rpc"
            if specification["everywhere"]:
                self._listen("", port, http=http)
            else:
                for address, host in self._hosts.items():
                    if wanted in host.device.listens:
                        self._listen(address, port, http=http)

    def _listen(self, address: str, port: int, *, http: bool) -> None:
        listener = socket.create_server((address, port), backlog=_BACKLOG)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, http
        self._epoll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        self._epoll.register(0, select.EPOLLIN)
        while True:
            events = self._epoll.poll(0)
            if not events:
                # Not in epoll: who sends to a process that waits there pays for waking it up, on virtual machines
                # ten times what sending costs. Miners do not sleep in their pollers' kernel.
                time.sleep(_NAP)
            for number, _ in events:
                if number == 0:
                    if not self._command(sys.stdin.readline()):
                        return
                elif number in self._listeners:
                    self._accept(*self._listeners[number])
                else:
                    self._answer(number)

    def _command(self, line: str) -> bool:
        word, _, value = line.strip().partition(" ")
        if word == "advance":
            self._clock.advance(float(value))
            for host in self._hosts.values():
                host.render_ahead()
        elif word != "served":
            return False
        sys.stdout.write(f"{self.served}\n")
        sys.stdout.flush()
        return True

    def _accept(self, listener: socket.socket, http: bool) -> None:
        for _ in range(256):
            try:
                client, _ = listener.accept()
            except OSError:  # nobody waits, or the client has gone again
                return
            client.setblocking(False)
            host = self._hosts.get(client.getsockname()[0])
            if host is None:
                client.close()
                continue
            self._clients[client.fileno()] = client, host, http
            self._epoll.register(client, select.EPOLLIN)

    def _answer(self, number: int) -> None:
        client, host, http = self._clients[number]
        stays = False
        with contextlib.suppress(OSError):
            data = client.recv(_ROOM)
            if data:
                answer, stays = host.http(data) if http else host.rpc(data)
                if not self._keeps:
                    host.kept.clear()
                self.served += 1
                if len(answer) > _ROOM:
                    client.setblocking(True)
                client.sendall(answer)
        if not stays:
            del self._clients[number]
            client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    server = _Server(json.loads(sys.stdin.readline()))
    sys.stdout.write(json.dumps(list(server.ports)) + "\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
