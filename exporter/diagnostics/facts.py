"""What the checks judge: everything that was looked up, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.config_schema import Settings
from exporter.discovery.networks import Interface, SearchNetwork
from exporter.engine.api.devices import WaitingDevice
from exporter.engine.fleet import FleetSnapshot
from exporter.store.rows import MinerConfig, MinerRow


@dataclass(frozen=True, slots=True)
class LastScan:
    """The figures of the last discovery cycle.

    Attributes:
        at: when it ended, Unix time.
        tried: connections that were tried; `open_hosts` had a port open.
        found: hosts that are miners; `strangers` are none, `unsure` did not answer their questions.
        answering: miners that were left alone because they answer their polls.
    """

    at: float
    tried: int
    open_hosts: int
    found: int
    strangers: int
    unsure: int
    answering: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What became of a connection to a port: "open", "refused", "silent" or "unreachable"."""

    port: int
    outcome: str


@dataclass(frozen=True, slots=True)
class PortTrouble:
    """Why a serial port that should be read cannot be opened; `message` holds the remedy."""

    dev_path: str
    message: str


@dataclass(frozen=True, slots=True)
class UsbFacts:
    """USB as far as the host shows it.

    Attributes:
        boards: plugged in and taken for possible miners.
        udev: a udev daemon runs.
        libudev: pyudev can be used.
        troubles: ports of boards that wait and cannot be opened.
    """

    boards: int = 0
    udev: bool = True
    libudev: bool = True
    waiting: tuple[WaitingDevice, ...] = ()
    troubles: tuple[PortTrouble, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The program and its host.

    Attributes:
        share_error: why the log of shares does not reach the disk; None where it does.
        disk_free: bytes free where the database is; None where that cannot be told.
        descriptors: open ones; `descriptor_limit` how many there may be; None where not known.
        newest_stored: the latest time that the database holds; a clock behind it runs wrong.
        udp_port: the port that is listened to, None where none is.
        rejected: (file, reason) of drivers that are not used.
        prometheus: None where it answers or none is configured, else why not.
    """

    config_file: str
    database: str
    write_error: str | None = None
    disk_free: int | None = None
    descriptors: int | None = None
    descriptor_limit: int | None = None
    newest_stored: float | None = None
    udp_port: int | None = None
    drivers: int = 0
    rejected: tuple[tuple[str, str], ...] = ()
    prometheus: str | None = None
    share_error: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything together.

    Attributes:
        now: Unix time.
        networks: what is searched; `interfaces` this host's addresses.
        can_sweep: whether ARP may be used (CAP_NET_RAW).
        neighbours: address -> MAC of the host's neighbour table.
        rows: stored miners by id.
        reach: miner id -> what its ports did, for some of those that are offline.
        configs: pool configurations that miners have now; `wallets` how many are tracked.
    """

    now: float
    settings: Settings
    snapshot: FleetSnapshot
    host: HostFacts
    usb: UsbFacts = UsbFacts()
    networks: tuple[SearchNetwork, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    can_sweep: bool = True
    last_scan: LastScan | None = None
    neighbours: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[int, MinerRow] = field(default_factory=dict)
    reach: Mapping[int, tuple[Reach, ...]] = field(default_factory=dict)
    configs: tuple[MinerConfig, ...] = ()
    wallets: int = 0
