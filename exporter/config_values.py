"""What single settings mean: listen addresses, networks, hosts, labels. Each parser raises `ValueError` with a
message that holds the remedy; the reader adds file, line and key. The command line uses the same parsers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from exporter.discovery.networks import METADATA_IPV4, PRIVATE_RANGES
from exporter.wallets.pool_place import read_host

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Where miners live without asking: RFC 1918, loopback, link-local, shared (RFC 6598), unique local IPv6.
LOCAL_IPV4: Final = PRIVATE_RANGES
LOCAL_IPV6: Final = tuple(ipaddress.IPv6Network(text) for text in ("::1/128", "fe80::/10", "fc00::/7"))
#: No host has such an address, whatever `allow_public` says: "this network", multicast, reserved.
_NO_HOSTS: Final = tuple(ipaddress.IPv4Network(text) for text in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"))
#: A longer scan than a /16 (65,536 addresses) is most often a slip of the pen.
LARGEST_PREFIX: Final = 16

#: Labels that the program's own series carry.
RESERVED_LABELS: Final = frozenset(
    "miner name ip make model firmware firmware_version hostname serial driver".split()  # noqa: SIM905
)

_LISTEN: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/@]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_HOST_PART: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener binds. `host` "" is every interface; `port` 0 is any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Read "host:port", ":port" (every interface) or "[::1]:port"."""
    match = _LISTEN.fullmatch(text)
    if match is None:
        raise ValueError('must be "host:port", ":port" or "[::1]:port"')
    port = int(match["port"])
    if port > 65535:
        raise ValueError(f"port must be between 0 and 65535, got {port}")
    if match["six"] is not None:
        try:
            return Listen(str(ipaddress.IPv6Address(match["six"])), port)
        except ValueError:
            raise ValueError("the part in brackets must be an IPv6 address") from None
    host = match["host"]
    if host and not _is_ipv4(host) and not _is_host(host):
        raise ValueError("the part before the colon must be an IP address of this host or a host name")
    return Listen(host, port)


#: As `METADATA_IPV4`: AWS, AWS for containers, Google.
_METADATA_IPV6: Final = frozenset(map(ipaddress.IPv6Address, ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")))


def is_metadata(address: IpAddress) -> bool:
    """Whether a cloud's metadata service is at `address`, where hosts read secrets of theirs."""
    if isinstance(address, ipaddress.IPv4Address):
        return address in METADATA_IPV4
    return address in _METADATA_IPV6 or address.ipv4_mapped in METADATA_IPV4


def is_local(address: IpAddress) -> bool:
    """Whether `address` is private, loopback, link-local or shared (100.64.0.0/10); not a cloud's metadata service."""
    if is_metadata(address):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in LOCAL_IPV4)
    return any(address in network for network in LOCAL_IPV6)


def parse_network(text: str, *, allow_public: bool = False, allow_large: bool = False) -> ipaddress.IPv4Network:
    """Read an IPv4 network in CIDR notation, which must be one that may be searched."""
    network = _network(text)
    if any(network.overlaps(nowhere) for nowhere in _NO_HOSTS):
        raise ValueError("holds addresses that no host can have (0.0.0.0/8, multicast or reserved)")
    if all(address in METADATA_IPV4 for address in islice(network, len(METADATA_IPV4) + 1)):
        raise ValueError("is the metadata service of cloud hosts, where no miner is")
    if not allow_public and not any(network.subnet_of(local) for local in LOCAL_IPV4):
        raise ValueError(
            "is not within private, loopback or link-local ranges;"
            " set network.allow_public: true if it is your own network"
        )
    if network.prefixlen < LARGEST_PREFIX and not allow_large:
        raise ValueError(
            f"holds {network.num_addresses} addresses, more than a /{LARGEST_PREFIX};"
            " list smaller networks, or set network.allow_large: true (command line: --yes)"
        )
    return network


def _network(text: str) -> ipaddress.IPv4Network:
    address, slash, prefix = text.partition("/")
    if not slash:
        raise ValueError(f'must be a network in CIDR notation such as "10.0.0.0/24"{_single(address)}')
    if ":" in address:
        raise ValueError("IPv6 networks are too large to search; list the miners under miners: instead")
    if re.fullmatch("[0-9]{1,2}", prefix, re.ASCII) is None or int(prefix) > 32:
        raise ValueError('must end in a prefix length between /0 and /32, such as "10.0.0.0/24"')
    try:
        inside = ipaddress.IPv4Interface(text)
    except ValueError:
        raise ValueError('must be a network in CIDR notation such as "10.0.0.0/24"') from None
    if inside.ip != inside.network.network_address:
        raise ValueError(f"has bits set behind the prefix; write {inside.network} for the network it is in")
    return inside.network


def _single(text: str) -> str:
    return f", or {text}/32 for this one address" if _is_ipv4(text) else ""


def parse_host(text: str, *, allow_public: bool = False) -> str:
    """Read the address of one miner: IPv4, IPv6 or a host name. IP addresses are returned in their usual writing."""
    if "://" in text or "/" in text:
        raise ValueError("must be an address alone, without scheme and path")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _host_name(text)
    if isinstance(address, ipaddress.IPv4Address):
        nowhere = any(address in network for network in _NO_HOSTS)
    else:
        nowhere = address.is_multicast or address.is_unspecified
    if nowhere:
        raise ValueError("is an address that no host can have")
    if is_metadata(address):
        raise ValueError("is the metadata service of cloud hosts, not a miner")
    if not allow_public and not is_local(address):
        raise ValueError(
            "is a public address; miners are expected in private, loopback or link-local ranges"
            " (set network.allow_public: true if it is your own network)"
        )
    return str(address)


def _host_name(text: str) -> str:
    if text.count(":") == 1 and text.rpartition(":")[2].isdecimal():
        raise ValueError("must be the address alone; the port goes under port:")
    if not _is_host(text):
        raise ValueError("must be an IP address or a host name (letters, digits, dots and hyphens)")
    return text


def parse_site_name(text: str) -> str:
    """Read the host name under which browsers reach a page; lower case."""
    if _is_ipv4(text) or not _is_host(text):
        raise ValueError("must be a host name alone, without scheme and port; addresses need not be listed")
    return text.lower().removesuffix(".")


def _is_host(text: str) -> bool:
    """Whether `text` is a host name. The last part of one is never a number, so that "10.0.0" is no name."""
    parts = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(_HOST_PART.fullmatch(part) for part in parts) and not parts[-1].isdecimal()


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def check_label_name(name: str) -> None:
    """Refuse a name that is no Prometheus label name or that the program uses itself."""
    if name.startswith("__"):
        raise ValueError("labels that start with two underscores belong to Prometheus; choose another name")
    if _LABEL.fullmatch(name) is None:
        raise ValueError("is no label name; use letters, digits and underscores, the first one no digit")
    if name in RESERVED_LABELS:
        raise ValueError("is a label of the program's own; choose another name, such as site, rack or group")


def check_driver_word(text: str) -> str:
    """Read a driver type: one lower-case word. Which ones exist is known once the drivers are loaded."""
    if _WORD.fullmatch(text) is None:
        raise ValueError("must be a driver's name, one lower-case word such as bitaxe or avalon_nano")
    return text


def check_fixed_driver(text: str) -> str:
    """As `check_driver_word`, for a miner with a network address."""
    if check_driver_word(text) == "nerdminer":
        raise ValueError(
            "stock NerdMiners speak over USB only and cannot be polled by address;"
            " plug the board into this host and remove the entry"
        )
    return text


def parse_url(text: str) -> str:
    """Read the base URL of a server (http or https), without a closing slash."""
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError('must be a URL such as "http://127.0.0.1:9090"') from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or not text.isprintable():
        raise ValueError('must be a URL such as "http://127.0.0.1:9090"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if parts.query or parts.fragment:
        raise ValueError("must be the base URL, without query and fragment")
    return text.rstrip("/")


def parse_pool_host(text: str) -> tuple[str, int | None]:
    """Read what miners mine at: a host, with a port where only that one is meant."""
    found = read_host(text)
    if found is None:
        raise ValueError('must be the pool\'s host as the miners have it, such as "pool.example" or "10.0.0.5:3333"')
    return found


def check_adapter_word(text: str) -> str:
    """Read the name of a pool adapter. Which ones exist is known once they are loaded."""
    if _WORD.fullmatch(text) is None:
        raise ValueError("must be a pool adapter's name, one lower-case word such as public_pool or ckpool_generic")
    return text


def parse_path(text: str) -> str:
    """Read a path; a relative one is relative to the working directory."""
    if not text.strip() or "\0" in text:
        raise ValueError("must be a path")
    if text.startswith("~"):
        raise ValueError("must be a full path or one relative to the working directory; ~ is not expanded")
    return text


_USB_ID: Final = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", re.ASCII)


def parse_usb_pattern(text: str) -> str:
    """Read what tells USB boards apart: "VID:PID" in hex, or a shell pattern over serial number and port path."""
    if _USB_ID.fullmatch(text):
        return text.lower()
    if not text.strip() or not text.isprintable():
        raise ValueError('must be a USB id such as "303a:1001", a serial number, or a port path; * stands for anything')
    return text


def parse_device(text: str) -> str:
    """Read the device file of a serial port."""
    if not text.startswith("/") or not text.isprintable():
        raise ValueError('must be a device file such as "/dev/ttyUSB0"')
    return text
