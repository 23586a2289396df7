"""Networks of their own for measurements: a segment with few living hosts, and one that loses every packet.

Needs root and iproute2. Nothing outside the namespaces is touched, and they are deleted at the end.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence

#: What is put in front of a command so that it runs in a namespace.
Prefix = tuple[str, ...]


def available() -> bool:
    """Whether this process may make network namespaces."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def _ip(*words: str, batch: str | None = None) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True, input=batch)  # noqa: S603, S607


@contextlib.contextmanager
def _pair() -> Iterator[tuple[str, str, str, str]]:
    """Two namespaces joined by a cable: (scanner, its end, miners, their end)."""
    tag = uuid.uuid4().hex[:6]
    scanner, miners = f"fb-s-{tag}", f"fb-m-{tag}"
    try:
        for name in (scanner, miners):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", f"s{tag}", "netns", scanner, "type", "veth", "peer", "name", f"m{tag}", "netns", miners)
        for name, end in ((scanner, f"s{tag}"), (miners, f"m{tag}")):
            _ip("-n", name, "link", "set", end, "up")
        yield scanner, f"s{tag}", miners, f"m{tag}"
    finally:
        for name in (scanner, miners):
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)  # noqa: S603, S607


def _inside(name: str) -> Prefix:
    return ("ip", "netns", "exec", name)


@contextlib.contextmanager
def segment(network: str, living: Sequence[str]) -> Iterator[tuple[Prefix, Prefix]]:
    """A segment in which only `living` addresses exist; yields the prefixes of the scanner and of the miners."""
    prefix = ipaddress.IPv4Network(network).prefixlen
    own = next(str(a) for a in reversed(list(ipaddress.IPv4Network(network).hosts())) if str(a) not in living)
    with _pair() as (scanner, near, miners, far):
        _ip("-n", scanner, "addr", "add", f"{own}/{prefix}", "dev", near)
        batch = "".join(f"addr add {address}/{prefix} dev {far}\n" for address in living)
        _ip("-n", miners, "-batch", "-", batch=batch)
        yield _inside(scanner), _inside(miners)


@contextlib.contextmanager
def lossy(network: str) -> Iterator[Prefix]:
    """A namespace in which packets to `network` leave through a router that throws them away without a word."""
    with _pair() as (scanner, near, miners, far):
        _ip("-n", scanner, "addr", "add", "10.255.255.1/30", "dev", near)
        _ip("-n", miners, "addr", "add", "10.255.255.2/30", "dev", far)
        # A route of type blackhole drops silently what is forwarded; without forwarding it is dropped as well.
        _ip("-n", miners, "route", "add", "blackhole", network)
        _ip("-n", scanner, "route", "add", network, "via", "10.255.255.2")
        yield _inside(scanner)
