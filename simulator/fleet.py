"""Which devices a flock has: the default mix, or a file.

A file is YAML::

    seed: 1
    devices:
      - {kind: bitaxe, model: gamma-2.12, address: 127.77.0.1}
      - {kind: vnish, model: s19jpro-1.2.6, count: 20, faults: [{fault: slow, seconds: 2}]}

`address`, `mac`, `seed`, `uptime` and `faults` are optional; `count` repeats a device at the next free addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from simulator.chance import mix
from simulator.devices import KINDS
from simulator.devices.base import DeviceSpec
from simulator.faults import read_fault

__all__ = ["DEFAULT_BASE", "DeviceSpec", "addresses", "default_fleet", "read_fleet"]

DEFAULT_BASE: Final = "127.77.0.0"

#: One of each.
_FIRST: Final[tuple[tuple[str, str], ...]] = (
    ("bitaxe", "gamma-2.12"),
    ("bitaxe", "supra-2.4"),
    ("bitaxe", "gamma-2.15"),
    ("nerdqaxe", "nerdqaxe++"),
    ("vnish", "s19jpro-1.2.6"),
    ("vnish", "s21-1.3.4"),
    ("antminer", "s19"),
    ("antminer", "s9"),
    ("avalon", "nano3s"),
    ("avalon", "q"),
    ("cgminer", "bfgminer"),
    ("nmminer", "nmlotto-0.3"),
)
#: What a larger flock has beyond that, over and over.
_MORE: Final[tuple[tuple[str, str], ...]] = (
    ("nmminer-http", "nmminer-2.0"),
    ("bitaxe", "ultra-2.1"),
    ("bitaxe", "supra-2.9"),
    ("nerdqaxe", "nerdqaxe+-old"),
    ("vnish", "s19-1.2.7"),
    ("antminer", "s21"),
    ("antminer", "s17"),
    ("avalon", "nano3"),
    ("avalon", "mini3"),
    ("avalon", "a1246"),
    ("avalon", "a1566"),
    ("cgminer", "cgminer"),
    ("cgminer", "sgminer"),
    ("antminer", "s19"),
    ("antminer", "s19-drops"),
    ("vnish", "s19jpro-1.2.6"),
    ("bitaxe", "gamma-2.12"),
    ("bitaxe", "gamma-2.15"),
    ("nerdqaxe", "nerdqaxe++"),
    ("antminer", "s9-web"),
    ("nmaxe", "nmaxe-3.0.21"),
    ("nerdqaxe", "nerdqaxe++-1.0.38"),
    ("cgminer", "cgminer-open"),
)


def addresses(base: str) -> Iterator[str]:
    """Addresses after `base`, without those that end in 0 or 255.

    Raises:
        ValueError: `base` is no loopback address.
    """
    start = ipaddress.IPv4Address(base)
    if not start.is_loopback:
        raise ValueError(f"{base}: simulated devices live on loopback addresses, 127.0.0.0/8")
    number = int(start) + 1
    while number < int(ipaddress.IPv4Address("127.255.255.255")):
        if number & 0xFF not in (0, 255):
            yield str(ipaddress.IPv4Address(number))
        number += 1


def make_mac(seed: int) -> str:
    """A locally administered MAC, lower case, that depends on the seed only."""
    bits = mix(seed, 99)
    octets = [0x02, *((bits >> shift) & 0xFF for shift in range(0, 40, 8))]
    return ":".join(f"{octet:02x}" for octet in octets)


def default_fleet(count: int = len(_FIRST), seed: int = 1, base: str = DEFAULT_BASE) -> list[DeviceSpec]:
    """`count` devices: first one of each, then a mix."""
    specs = []
    free = addresses(base)
    for number in range(count):
        kind, model = _FIRST[number] if number < len(_FIRST) else _MORE[(number - len(_FIRST)) % len(_MORE)]
        own = mix(seed, number)
        specs.append(DeviceSpec(kind, model, next(free), make_mac(own), seed=own))
    return specs


_KEYS: Final = frozenset({"kind", "model", "address", "mac", "seed", "uptime", "faults", "count"})


def read_fleet(path: Path, *, seed: int = 1, base: str = DEFAULT_BASE) -> list[DeviceSpec]:
    """The devices of a file.

    Raises:
        ValueError: the file is no such YAML; the message names the file and the device.
        OSError: the file cannot be read.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("devices"), list):
        raise ValueError(f"{path}: expected a list under `devices`")  # noqa: TRY004 - one kind of error for a bad file
    unknown = set(document) - {"devices", "seed"}
    if unknown:
        raise ValueError(f"{path}: unknown key {', '.join(sorted(map(str, unknown)))}")
    seed = int(document.get("seed", seed))
    rows = document["devices"]
    taken = {row["address"] for row in rows if isinstance(row, dict) and "address" in row}
    free = (address for address in addresses(base) if address not in taken)
    specs: list[DeviceSpec] = []
    for position, row in enumerate(rows, 1):
        try:
            specs.extend(_read_row(row, seed, len(specs), free))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: device {position}: {error}") from error
    return specs


def _read_row(row: Any, seed: int, before: int, free: Iterator[str]) -> Iterator[DeviceSpec]:
    if not isinstance(row, Mapping):
        raise TypeError("expected keys like kind and model")
    unknown = set(row) - _KEYS
    if unknown:
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}")
    kind = KINDS.get(str(row.get("kind")))
    if kind is None:
        raise ValueError(f"unknown kind {row.get('kind')!r}; known are {', '.join(KINDS)}")
    model = str(row.get("model", next(iter(kind.models))))
    if model not in kind.models:
        raise ValueError(f"{kind.kind} has no model {model!r}; it has {', '.join(kind.models)}")
    faults = tuple(row.get("faults", ()))
    for fault in faults:
        options = dict(fault)
        read_fault(str(options.pop("fault", None)), options)
    count = int(row.get("count", 1))
    if count > 1 and ("address" in row or "mac" in row):
        raise ValueError("a device with a count can have no address or mac of its own")
    for number in range(count):
        own = int(row["seed"]) + number if "seed" in row else mix(seed, before + number)
        yield DeviceSpec(
            kind=kind.kind,
            model=model,
            address=str(row["address"]) if "address" in row else next(free),
            mac=str(row.get("mac", make_mac(own))).lower(),
            faults=faults,
            seed=own,
            uptime=None if row.get("uptime") is None else float(row["uptime"]),
        )
