"""The host's neighbour table: which MAC answers at an on-link address."""

from __future__ import annotations

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
