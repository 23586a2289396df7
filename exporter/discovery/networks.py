"""Which addresses to search: this host's networks, the configured ones, and which of them are on-link."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ifaddr

log = logging.getLogger(__name__)

#: Virtual and tunnel interfaces: no miner lives behind them.
_VIRTUAL_PREFIXES: Final = (
    "docker", "br-", "veth", "virbr", "vnet", "cni", "flannel", "cali", "kube", "lxc", "lxd", "podman",
    "tun", "tap", "wg", "tailscale", "zt", "utun", "ppp", "ipsec", "nordlynx", "dummy", "ifb", "sit", "gre",
)  # fmt: skip
_LARGEST_AUTO_PREFIX: Final = 24

#: Where cloud providers answer hosts with secrets of theirs: AWS, Google, Azure and others; AWS for containers;
#: Alibaba. All lie in ranges that are private, and none is ever a miner.
METADATA_IPV4: Final = frozenset(
    ipaddress.IPv4Address(text) for text in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200")
)
_NEVER: Final = frozenset(map(int, METADATA_IPV4))


@dataclass(frozen=True, slots=True)
class Interface:
    """An IPv4 address of this host and the network it is in."""

    name: str
    address: ipaddress.IPv4Interface


@dataclass(frozen=True, slots=True)
class SearchNetwork:
    """A network to search. `interface` is the one it is on-link at, None where a router is between."""

    network: ipaddress.IPv4Network
    labels: tuple[tuple[str, str], ...] = ()
    interface: Interface | None = None

    def hosts(self) -> Iterator[str]:
        """The host addresses: without network and broadcast address, except in a /31 and a /32; never a cloud's
        metadata service."""
        return (str(ipaddress.IPv4Address(value)) for value in self._range() if value not in _NEVER)

    @property
    def host_count(self) -> int:
        """How many addresses `hosts` gives."""
        numbers = self._range()
        return len(numbers) - sum(value in numbers for value in _NEVER)

    def _range(self) -> range:
        first, last = int(self.network.network_address), int(self.network.broadcast_address)
        return range(first, last + 1) if self.network.prefixlen >= 31 else range(first + 1, last)

    def covers(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self.network
        except ValueError:
            return False


def local_interfaces() -> tuple[Interface, ...]:
    """The IPv4 addresses of this host's interfaces, loopback included."""
    return tuple(
        Interface(adapter.name, ipaddress.IPv4Interface(f"{ip.ip}/{ip.network_prefix}"))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str)
    )


def is_virtual(name: str, sysfs: Path = Path("/sys/class/net")) -> bool:
    """Whether an interface is virtual or a tunnel, by its name and by what the kernel says of its link type."""
    if name.startswith(_VIRTUAL_PREFIXES):
        return True
    try:
        link_type = int((sysfs / name / "type").read_text())
    except (OSError, ValueError):
        return False
    return link_type != 1  # ARPHRD_ETHER, which Wi-Fi is as well


def is_private(network: ipaddress.IPv4Network) -> bool:
    """Private (RFC 1918), loopback, link-local and shared (100.64/10) ranges."""
    return any(network.subnet_of(private) for private in PRIVATE_RANGES)


#: The ranges that may be searched without `network.allow_public`.
PRIVATE_RANGES: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")
)


def auto_networks(interfaces: Iterable[Interface]) -> tuple[ipaddress.IPv4Network, ...]:
    """This host's own private networks, at most the /24 around each address, without virtual interfaces."""
    networks: dict[ipaddress.IPv4Network, None] = {}
    for interface in interfaces:
        address = interface.address
        if address.ip.is_loopback or address.ip.is_link_local or is_virtual(interface.name):
            continue
        prefix = max(address.network.prefixlen, _LARGEST_AUTO_PREFIX)
        network = ipaddress.IPv4Network((int(address.ip), prefix), strict=False)
        if is_private(network):
            networks[network] = None
    return tuple(networks)


def on_link_interface(network: ipaddress.IPv4Network, interfaces: Iterable[Interface]) -> Interface | None:
    """The interface whose network overlaps `network`, so that the kernel resolves its hosts by ARP; not loopback."""
    for interface in interfaces:
        if not interface.address.ip.is_loopback and interface.address.network.overlaps(network):
            return interface
    return None


def search_networks(
    subnets: Iterable[tuple[ipaddress.IPv4Network | None, tuple[tuple[str, str], ...]]],
    interfaces: tuple[Interface, ...],
) -> tuple[SearchNetwork, ...]:
    """The networks to search for (network or None for "auto", labels) pairs, each once, in order; without those in
    which no address may be asked."""
    result: dict[ipaddress.IPv4Network, SearchNetwork] = {}
    for subnet, labels in subnets:
        for network in (subnet,) if subnet is not None else auto_networks(interfaces):
            if network not in result:
                result[network] = SearchNetwork(network, labels, on_link_interface(network, interfaces))
    return tuple(network for network in result.values() if network.host_count)
