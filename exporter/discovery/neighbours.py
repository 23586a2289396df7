"""The host's neighbour table: which MAC answers at an on-link address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exporter.text import normal_mac

_COMPLETE: Final = 0x2


def neighbour_macs(table: Path = Path("/proc/net/arp")) -> dict[str, str]:
    """Address -> MAC of the complete entries (Linux, ``/proc/net/arp``); empty where there is no such table."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        columns = line.split()
        if len(columns) >= 4 and int(columns[2], 16) & _COMPLETE:
            mac = normal_mac(columns[3])
            if mac is not None:
                found[columns[0]] = mac
    return found


def own_macs(macs: Mapping[str, str]) -> dict[str, str]:
    """`macs` without those that answer for several addresses: a router with proxy ARP, or a Wi-Fi repeater, stands
    there for the devices behind it, and who they are it does not tell.
    """
    times = Counter(macs.values())
    return {address: mac for address, mac in macs.items() if times[mac] == 1}
