"""The settings as frozen values, with their defaults. How they are read is in `config_build`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.config_values import Listen

Labels = tuple[tuple[str, str], ...]

_UI_ADDRESS: Final = Listen("127.0.0.1", 8080)
_METRICS_ADDRESS: Final = Listen("", 9877)


@dataclass(frozen=True, slots=True)
class Database:
    path: Path = Path("data/flockwatch.json")


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network to search. `cidr` None is "auto": this host's own private networks. `labels` are sorted pairs."""

    cidr: ipaddress.IPv4Network | None = None
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports that are probed, by protocol."""

    http: tuple[int, ...] = (80,)
    cgminer: tuple[int, ...] = (4028,)


@dataclass(frozen=True, slots=True)
class Network:
    """Discovery on the network.

    Attributes:
        timeout_ms: how long one connection of the light scan may take.
        offline_after: missed discovery cycles before a miner's address is cleared.
        manage_discovered: whether a miner that was found is polled at once.
        allow_public: whether addresses outside private, loopback and link-local ranges are accepted.
        allow_large: whether networks larger than a /16 are accepted.
    """

    subnets: tuple[Subnet, ...] = (Subnet(),)
    ports: Ports = Ports()
    timeout_ms: int = 400
    offline_after: int = 3
    manage_discovered: bool = True
    allow_public: bool = False
    allow_large: bool = False


@dataclass(frozen=True, slots=True)
class FixedMiner:
    """A miner by address. `port` None: the driver's own; `driver` None: found out by probing."""

    address: str
    port: int | None = None
    driver: str | None = None
    name: str | None = None
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Serial:
    """USB boards.

    Attributes:
        open: which ports may be opened: "known" (in the database or in `match`), "hotplug" (those, and what is plugged
            in while the program runs), "all".
        ports: device files that are opened in any case.
        match: boards that count as known: "vid:pid" in lower-case hex, or shell patterns of serial or port path.
        ignore: boards that are never opened, as `match`; it wins.
    """

    enabled: bool = True
    open: str = "hotplug"
    ports: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Udp:
    """`nmminer_port` None: not listened to; 0: any free port."""

    nmminer_port: int | None = 12345


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds from one start to the next."""

    discovery_seconds: float = 30.0
    status_seconds: float = 15.0
    telemetry_seconds: float = 60.0
    shares_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Http:
    """Web UI and REST API.

    Attributes:
        allowed_hosts: host names that requests may be sent to, beside addresses, loopback names and this host's own.
    """

    addr: Listen = _UI_ADDRESS
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collectors:
    """What /metrics shows beyond the usual. `pool_user` shows pool users as they are instead of redacted."""

    chips: bool = False
    pool_user: bool = False


@dataclass(frozen=True, slots=True)
class Metrics:
    addr: Listen = _METRICS_ADDRESS
    collectors: Collectors = Collectors()


@dataclass(frozen=True, slots=True)
class Control:
    enabled: bool = True
    require_max_preset: bool = False


@dataclass(frozen=True, slots=True)
class Drivers:
    path: Path = Path("data/miner_drivers")
    vnish_create_api_key: bool = True


@dataclass(frozen=True, slots=True)
class PoolHost:
    """A pool whose statistics are asked for elsewhere than usual, such as one's own.

    Attributes:
        host: what the miners mine at, lower case; `port` None: at any port.
        adapter: the kind of pool; None where the host is a known one.
        url: base URL of its statistics, without a slash at the end; None: as its adapter has it.
    """

    host: str
    port: int | None = None
    adapter: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Pools:
    """`statistics` False: no pool is ever asked."""

    statistics: bool = True
    hosts: tuple[PoolHost, ...] = ()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`url` None: no Prometheus to ask for history."""

    url: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that targets.yml and the environment say, checked as a whole. Relative paths are relative to the
    working directory."""

    database: Database = Database()
    network: Network = Network()
    miners: tuple[FixedMiner, ...] = ()
    serial: Serial = Serial()
    udp: Udp = Udp()
    intervals: Intervals = Intervals()
    http: Http = Http()
    metrics: Metrics = Metrics()
    control: Control = Control()
    drivers: Drivers = Drivers()
    pools: Pools = Pools()
    prometheus: Prometheus = Prometheus()

    @property
    def creates_api_keys(self) -> bool:
        """Whether API keys may be made on miners; a program that only watches makes none."""
        return self.control.enabled and self.drivers.vnish_create_api_key
