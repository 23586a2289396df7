"""A running flock: one listener per device and port, the clock, and the switches that tests use."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.chance import between
from simulator.clock import Clock
from simulator.devices import build_device
from simulator.devices.base import DeviceSpec, SimulatedDevice
from simulator.faults import Fault, read_fault
from simulator.http_server import HttpConnection
from simulator.rpc_server import RpcConnection, RpcLine
from simulator.silence import SilentPort
from simulator.udp import Broadcaster, SettingsPort
from simulator.wire import Connection, Gate

logger = logging.getLogger(__name__)

HTTP_PORT = 80
RPC_PORT = 4028
#: Used where the ordinary ports may not be bound.
UNPRIVILEGED_HTTP_PORT = 18080
UNPRIVILEGED_RPC_PORT = 14028


@dataclass(slots=True)
class Host:
    """A device on the network: its listeners, its connections and its fault."""

    device: SimulatedDevice
    gate: Gate = field(default_factory=Gate)
    ports: dict[str, int] = field(default_factory=dict)
    servers: dict[str, asyncio.Server] = field(default_factory=dict)
    connections: dict[str, set[Connection]] = field(default_factory=lambda: {"http": set(), "rpc": set()})
    broadcaster: Broadcaster | None = None
    settings_port: SettingsPort | None = None
    timer: asyncio.TimerHandle | None = None
    silenced: list[SilentPort] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the device is now."""
        return self.device.address

    def describe(self) -> dict[str, Any]:
        """What a client needs to know to talk to it."""
        return {
            "address": self.address,
            "http_port": self.ports.get("http"),
            "rpc_port": self.ports.get("rpc"),
            "kind": self.device.kind,
            "driver": self.device.served_by,
            "model": self.device.profile.model,
            "mac": self.device.spec.mac,
        }

    def truth(self, at: float | None = None) -> dict[str, Any]:
        """The device's truth with what its listeners saw."""
        fault = self.gate.fault
        traffic = {
            port: {
                "connections": seen.connections,
                "open_most": seen.open_most,
                "requests": seen.requests,
                "shortest_gap_s": seen.shortest_gap,
            }
            for port, seen in self.gate.traffic.items()
        }
        document = self.device.truth(at)
        return (
            document
            | self.describe()
            | {
                "fault": None if fault is None else fault.name,
                "traffic": traffic,
                "datagrams": 0 if self.broadcaster is None else self.broadcaster.sent,
            }
        )


class Simulation:
    """Runs devices on loopback addresses until `close`. Use it as an asynchronous context manager in tests.

    Args:
        specs: the devices.
        http_port, rpc_port: the ports to listen on; 0 lets the system choose one per device.
        udp_target: where datagrams go.
        clock: a clock of the caller's, frozen or not.
        compact: seconds for which a rendered answer is used again; for large flocks.
    """

    def __init__(
        self,
        specs: Iterable[DeviceSpec],
        *,
        http_port: int = 0,
        rpc_port: int = 0,
        udp_target: tuple[str, int] = ("127.0.0.1", 12345),
        clock: Clock | None = None,
        compact: float = 0.0,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.wanted_ports = {"http": http_port, "rpc": rpc_port}
        self.udp_target = udp_target
        self.compact = compact
        self.hosts: dict[str, Host] = {}
        self._specs = list(specs)

    async def __aenter__(self) -> Simulation:
        """Start all devices."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all devices."""
        await self.close()

    async def start(self) -> None:
        """Listen on every device's ports; on any failure nothing stays open."""
        allow_many_files(4 * len(self._specs) + 256)
        try:
            for spec in self._specs:
                await self.add(spec)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every listener and connection."""
        for host in list(self.hosts.values()):
            await self._silence(host)
        self.hosts.clear()

    # Devices --------------------------------------------------------------------------------------------------

    async def add(self, spec: DeviceSpec) -> Host:
        """Start one more device.

        Raises:
            ValueError: the address is taken, or kind or model are unknown.
        """
        if spec.address in self.hosts:
            raise ValueError(f"{spec.address} is taken by another device")
        host = Host(build_device(spec, self.clock, compact=self.compact))
        self.hosts[spec.address] = host
        for fault in spec.faults:
            options = dict(fault)
            await self.set_fault(spec.address, str(options.pop("fault")), **options)
        if host.gate.fault is None or host.gate.fault.name not in ("vanish", "reboot"):
            await self._listen(host)
        return host

    async def remove(self, address: str) -> None:
        """Take a device off the network for good."""
        await self._silence(self.host(address))
        del self.hosts[address]

    async def move(self, old: str, new: str) -> None:
        """The device gets another address, as after a new DHCP lease; it keeps its MAC and its counters."""
        host = self.host(old)
        if new in self.hosts:
            raise ValueError(f"{new} is taken by another device")
        await self._silence(host)
        del self.hosts[old]
        host.device.address = new
        host.device.spec = replace(host.device.spec, address=new)
        host.device.forget_rendered()
        self.hosts[new] = host
        await self._listen(host)

    def host(self, address: str) -> Host:
        """The device at an address; KeyError with a clear message where there is none."""
        if address not in self.hosts:
            raise KeyError(f"no simulated device at {address}")
        return self.hosts[address]

    def truth(self, at: float | None = None) -> dict[str, dict[str, Any]]:
        """The truth of every device by address."""
        return {address: host.truth(at) for address, host in self.hosts.items()}

    # Faults ---------------------------------------------------------------------------------------------------

    async def set_fault(self, address: str, name: str | None, **options: Any) -> None:
        """Switch a fault on, or with None off.

        Raises:
            KeyError: no device there.
            ValueError: the fault or an option is unknown.
        """
        host = self.host(address)
        fault = None if name is None else read_fault(name, options)
        await self._lift(host, host.gate.fault)
        host.gate.fault = fault
        if fault is None:
            return
        logger.debug("%s: fault %s", address, fault.name)
        if fault.name == "auth" and fault.password is not None:
            host.device.change_password(fault.password)
        elif fault.name == "ignores_writes":
            host.device.obeys = False
        elif fault.name in ("vanish", "reboot"):
            await self._silence(host)
            if fault.name == "reboot":
                self._come_back_later(host, fault)
            elif fault.silent:
                host.silenced = [SilentPort(host.address, port) for port in host.ports.values()]
        elif fault.name == "stale_keepalive":
            for connection in host.connections["http"]:
                connection.later(fault.seconds, connection.close)

    async def _lift(self, host: Host, fault: Fault | None) -> None:
        if fault is None:
            return
        if host.timer is not None:
            host.timer.cancel()
            host.timer = None
        if fault.name == "auth" and fault.password is not None:
            host.device.change_password(None)
        host.device.obeys = True
        host.gate.fault = None
        if fault.name == "half_open":
            self._drop_connections(host)
        if fault.name in ("vanish", "reboot"):
            await self._listen(host)

    def _come_back_later(self, host: Host, fault: Fault) -> None:
        def come_back() -> None:
            host.timer = None
            if host.gate.fault is not fault:
                return
            host.gate.fault = None
            host.device.reboot()
            self._task = asyncio.get_running_loop().create_task(self._listen(host))

        host.timer = asyncio.get_running_loop().call_later(fault.seconds, come_back)

    # Listeners ------------------------------------------------------------------------------------------------

    async def _listen(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        device = host.device
        while host.silenced:
            host.silenced.pop().close()
        for port in device.listens:
            if port in host.servers or port == "udp":
                continue
            wanted = host.ports.get(port) or self.wanted_ports[port]
            factory = self._http_factory(host) if port == "http" or device.http_on_rpc else self._rpc_factory(host)
            server = await loop.create_server(factory, host.address, wanted, backlog=128, reuse_address=True)
            host.servers[port] = server
            host.ports[port] = server.sockets[0].getsockname()[1]
        if device.settings_port is not None and host.settings_port is None:
            host.settings_port = SettingsPort(device.take_datagram)
            try:
                await host.settings_port.listen(host.address, device.settings_port)
            except OSError as error:
                # The port is fixed: another simulator has a device at this address. All else still works.
                logger.warning("%s takes no settings by UDP: %s", host.address, error)
        if device.broadcast_seconds is not None and host.broadcaster is None:
            host.broadcaster = Broadcaster(
                host.address, self.udp_target, device.broadcast_seconds, lambda: self._datagram(host)
            )
            host.broadcaster.start(between(0.0, min(1.0, device.broadcast_seconds), device.spec.seed, 2))

    @staticmethod
    def _datagram(host: Host) -> bytes | None:
        return host.device.datagram()

    @staticmethod
    def _http_factory(host: Host) -> Any:
        device, gate = host.device, host.gate
        return lambda: HttpConnection(device.http, gate, host.connections["http"], device.http_policy)

    @staticmethod
    def _rpc_factory(host: Host) -> Any:
        device, gate = host.device, host.gate
        line = RpcLine()
        return lambda: RpcConnection(device.rpc, gate, host.connections["rpc"], device.rpc_policy, line)

    @staticmethod
    def _drop_connections(host: Host) -> None:
        for connections in host.connections.values():
            for connection in list(connections):
                connection.abort()

    async def _silence(self, host: Host) -> None:
        if host.timer is not None:
            host.timer.cancel()
            host.timer = None
        if host.broadcaster is not None:
            host.broadcaster.close()
            host.broadcaster = None
        if host.settings_port is not None:
            host.settings_port.close()
            host.settings_port = None
        while host.silenced:
            host.silenced.pop().close()
        servers = list(host.servers.values())
        host.servers.clear()
        for server in servers:
            server.close()
        self._drop_connections(host)
        for server in servers:
            await server.wait_closed()


def allow_many_files(wanted: int) -> None:
    """Raise the soft limit of open files towards `wanted`, within the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def usable_port(address: str, port: int, instead: int) -> int:
    """`port` where this process may bind it on `address`, else `instead`.

    Raises:
        OSError: another program holds the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                return instead
            raise
    return port


def describe_fault_options(body: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Address, fault name and options of a request to switch a fault; ValueError where one is missing."""
    options = dict(body)
    address = options.pop("address", None)
    if not isinstance(address, str) or "fault" not in options:
        raise ValueError('give {"address": ..., "fault": name or null}')
    name = options.pop("fault")
    if name is not None and not isinstance(name, str):
        raise ValueError("fault must be a name or null")
    return address, name, options
