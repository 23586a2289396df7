"""An ARP sweep of an on-link network: who is there at all, and with which MAC. Needs CAP_NET_RAW.

Requests sent on a packet socket take no entry of the kernel's neighbour table, so a mostly empty /20 is swept in a
second instead of paced connects (RFC 826 for the packet format).
"""

from __future__ import annotations

import ipaddress
import logging
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

from exporter.discovery.networks import Interface, local_interfaces, on_link_interface
from exporter.text import normal_mac

log = logging.getLogger(__name__)

_ETHERTYPE_ARP: Final = 0x0806
_HEADER: Final = struct.Struct("!6s6sH HHBBH 6s4s6s4s")
_BATCH: Final = 128
_ETHERNET: Final = 1


def can_sweep() -> bool:
    """Whether this process may open packet sockets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE_ARP)).close()
    except (PermissionError, OSError, AttributeError):
        return False
    return True


def sweep(interface: Interface, addresses: Sequence[str], *, wait: float = 0.5, rounds: int = 2) -> dict[str, str]:
    """Ask for every address and return address -> MAC of those that answered. Blocking.

    Args:
        wait: seconds to listen after the last request of a round.
        rounds: how often silent addresses are asked.

    Raises:
        OSError: the packet socket cannot be opened or the interface is gone.
    """
    found: dict[str, str] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE_ARP)) as sock:
        sock.setblocking(False)
        sock.bind((interface.name, _ETHERTYPE_ARP))
        _, _, _, hardware_type, own_mac = sock.getsockname()
        if hardware_type != _ETHERNET or len(own_mac) != 6:
            return found
        own_address = interface.address.ip.packed
        for _ in range(rounds):
            silent = [address for address in addresses if address not in found]
            if not silent:
                break
            for start in range(0, len(silent), _BATCH):
                for address in silent[start : start + _BATCH]:
                    _send(sock, own_mac, own_address, address)
                _listen(sock, found, 0.005)
            _listen(sock, found, wait)
    wanted = set(addresses)
    return {address: mac for address, mac in found.items() if address in wanted}


def who_has(address: str) -> str | None:
    """The MAC that answers at an address now, whatever the neighbour table holds. Blocking, for half a second or one.

    None where nobody answers, where a router is between, or where this process may not ask.
    """
    try:
        interface = on_link_interface(ipaddress.IPv4Network(address), local_interfaces())
    except ValueError:
        return None
    if interface is None or not can_sweep():
        return None
    try:
        return sweep(interface, (address,)).get(address)
    except OSError as error:
        log.debug("%s could not be asked by ARP: %s", address, error)
        return None


def _send(sock: socket.socket, own_mac: bytes, own_address: bytes, address: str) -> None:
    frame = _HEADER.pack(
        b"\xff" * 6, own_mac, _ETHERTYPE_ARP, 1, 0x0800, 6, 4, 1, own_mac, own_address, b"\0" * 6,
        socket.inet_aton(address),
    )  # fmt: skip
    for _ in range(50):
        try:
            sock.send(frame)
        except BlockingIOError:
            select.select((), (sock,), (), 0.01)
        else:
            return


def _listen(sock: socket.socket, found: dict[str, str], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select((sock,), (), (), left)
        if not readable:
            return
        while True:
            try:
                frame = sock.recv(128)
            except BlockingIOError:
                break
            if len(frame) < _HEADER.size:
                continue
            *_, operation, sender_mac, sender_address, _, _ = _HEADER.unpack_from(frame)
            mac = normal_mac(sender_mac.hex())
            if operation == 2 and mac is not None:
                found[socket.inet_ntoa(sender_address)] = mac
