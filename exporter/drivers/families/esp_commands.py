"""What the commands of the ESP32 firmwares (AxeOS and its relatives) have in common."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from exporter.drivers.api import HttpRequest
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, TuningRange
from exporter.units import ratio

RESTART: Final = HttpRequest("/api/system/restart", method="POST")
#: How slow a fan may be set where the device itself tells no limit: it stops some fans below, and the chip is small.
LEAST_DUTY: Final = ratio(0.15)
#: Until a restarted miner must answer again.
RESTART_SECONDS: Final = 120.0
#: All of them restart a second after they said so.
RESTART_SETTLE_SECONDS: Final = 3.0

_RELEASE: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\d)")

Release = tuple[int, int, int]


@functools.lru_cache(maxsize=64)
def release(version: str | None) -> Release | None:
    """Major, minor and patch of a firmware version ("v2.12.1-TB"); None where it is not written like that."""
    match = _RELEASE.match(version or "")
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def release_of(context: CommandContext) -> Release | None:
    """The release of a miner's firmware; None where it is not known."""
    return release(context.decode.identity.firmware_version)


def at_least(context: CommandContext, wanted: tuple[int, ...]) -> bool:
    """Whether the firmware is known to be `wanted` or newer."""
    known = release_of(context)
    return known is not None and known >= wanted


def older_than(context: CommandContext, wanted: tuple[int, ...]) -> bool:
    """Whether the firmware is known to be older than `wanted`."""
    known = release_of(context)
    return known is not None and known < wanted


def settings_request(path: str, body: Mapping[str, Any], method: str = "PATCH") -> HttpRequest:
    """A change of settings; only the keys in `body` are touched."""
    return HttpRequest(path, method=method, body=json.dumps(body).encode())


def restarted(evidence: Evidence) -> bool:
    """Whether the device counts its uptime anew.

    One that had only just started may have counted past its old uptime before it was looked at: then it counts that
    it was away.
    """
    after = evidence.after.uptime
    if after is None:
        return False
    before = None if evidence.before is None else evidence.before.uptime
    return (before is not None and after < before) or (evidence.went_away and after <= RESTART_SECONDS)


def place(url: str) -> tuple[str, int]:
    """Host and port of a checked pool URL, for firmwares that keep them apart.

    Raises:
        CommandRefused: an IPv6 address, which these firmwares cannot tell from a host name with ports.
    """
    host, _, port = url.partition("://")[2].rstrip("/").rpartition(":")
    if host.startswith("["):
        raise CommandRefused("this firmware takes a host name or an IPv4 address as pool, no IPv6 address")
    return host, int(port)


def is_tls(url: str) -> bool:
    """Whether a pool URL asks for encryption."""
    return url.startswith("stratum+ssl://")


def plain(value: float) -> int | float:
    """A number as these firmwares write it: whole where it is whole."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def numbers(values: object) -> tuple[float, ...]:
    """The numbers above zero of a list of options, ascending; empty where it is no list."""
    if not isinstance(values, list):
        return ()
    found = (float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool))
    return tuple(sorted({one for one in found if 0.0 < one < math.inf}))


def option_range(
    name: str,
    unit: str,
    in_base_units: Callable[[float], float],
    options: tuple[float, ...],
    current: float | None,
    *,
    free: bool = False,
) -> TuningRange | None:
    """What may be set where the device lists options; `free`: anything between them. None where it lists none.

    Args:
        in_base_units: from the device's unit, for example `exporter.units.megahertz`.
    """
    if not options:
        return None
    return TuningRange(
        name,
        unit,
        in_base_units(options[0]),
        in_base_units(options[-1]),
        () if free else tuple(in_base_units(option) for option in options),
        None if current is None else in_base_units(current),
    )
