"""What the flat ``GET /api/system/info`` of AxeOS and of its NerdQAxe relative have in common.

Units on the wire (ESP-Miner 2.15 and ESP-Miner-NerdQAxePlus sources): GH/s, W, mV, mA, MHz, degC, percent, ms, bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, HttpRequest
from exporter.errors import DecodeError
from exporter.model import Identity, Pool
from exporter.text import normal_mac
from exporter.units import (
    Celsius,
    DecibelMilliwatts,
    Difficulty,
    HashesPerSecond,
    Seconds,
    celsius,
    decibel_milliwatts,
    difficulty,
    gigahashes_per_second,
    milliseconds,
)

INFO: Final = HttpRequest("/api/system/info")

_NERD_MODEL: Final = re.compile(r"nerd|q13\d\d", re.IGNORECASE)


def info(answers: Answers) -> dict[str, Any]:
    """The system information. Raises `DecodeError` where it is missing or no object."""
    return fields.as_table(answers.document(INFO.key), INFO.key)


def probed_info(answers: Answers) -> dict[str, Any] | None:
    """As `info`, for identification: None for everything that is no flat AxeOS answer (a page, an error, a list)."""
    answer = answers.get(INFO.key)
    if answer is None or answer.status != 200:
        return None
    try:
        document = answers.optional_document(INFO.key)
    except DecodeError:
        return None
    if not isinstance(document, dict) or "hashRate" not in document or isinstance(document["hashRate"], (dict, list)):
        return None
    return document


def has_nerd_marks(document: Mapping[str, Any]) -> bool:
    """Whether the answer is that of ESP-Miner-NerdQAxePlus: its model names, or keys that AxeOS never had."""
    model = document.get("deviceModel")
    if isinstance(model, str) and _NERD_MODEL.match(model.strip()):
        return True
    return isinstance(document.get("stratum"), dict) or isinstance(document.get("asicTemps"), list)


def mac(document: Mapping[str, Any]) -> str | None:
    return normal_mac(document.get("macAddr"))


def same_device(make: str | None, model: str | None, firmware: str, document: Mapping[str, Any]) -> Identity:
    """The identity that every answer carries, so that a changed address is noticed."""
    return Identity(
        mac=mac(document),
        make=make,
        model=model,
        firmware=firmware,
        firmware_version=fields.text(document, "version", limit=64),
        hostname=fields.text(document, "hostname", limit=64),
    )


# --- values ----------------------------------------------------------------------------------------------------


def positive(document: Mapping[str, Any], key: str) -> float | None:
    """A number above zero; these firmwares write 0 or -1 for "not measured"."""
    value = fields.number(document, key)
    return value if value is not None and value > 0 else None


def temperature(document: Mapping[str, Any], key: str) -> Celsius | None:
    value = positive(document, key)
    return None if value is None else celsius(value)


def hashrate(document: Mapping[str, Any], key: str) -> HashesPerSecond | None:
    value = fields.count(document, key)
    return None if value is None else gigahashes_per_second(value)


def share_difficulty(document: Mapping[str, Any], key: str) -> Difficulty | None:
    """A best difficulty: a number since 2.11, text such as "572.14 M" before. Zero: no share yet."""
    value = fields.suffixed_number(document, key)
    return None if value is None or value < 0 else difficulty(value)


def wifi_signal(document: Mapping[str, Any], key: str = "wifiRSSI") -> DecibelMilliwatts | None:
    """dBm; 0, positive figures and -128 mean that nothing was measured."""
    value = fields.number(document, key)
    return decibel_milliwatts(value) if value is not None and -128 < value < 0 else None


def response_time(document: Mapping[str, Any], key: str) -> Seconds | None:
    value = positive(document, key)
    return None if value is None else milliseconds(value)


def rejections(document: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Rejected shares by reason of the closed list; several of the pool's wordings may fall under one."""
    counted: dict[str, float] = {}
    for entry in fields.tables(document, "sharesRejectedReasons"):
        many = fields.count(entry, "count", "sharesRejectedReasons[]")
        if many is not None:
            reason = fields.rejection_reason(fields.text(entry, "message", "sharesRejectedReasons[]"))
            counted[reason] = counted.get(reason, 0.0) + many
    return tuple(sorted(counted.items()))


def pool_url(document: Mapping[str, Any], host_key: str, port_key: str) -> str | None:
    """ "host:port" of a configured pool, None where there is none."""
    host = fields.text(document, host_key)
    port = fields.count(document, port_key)
    if host is None or port is None or port == 0 or re.search(r":\d+$", host):
        return host
    return f"{host}:{port:.0f}"


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The names of a pool's keys in the flat answer."""

    url: str
    port: str
    user: str


PRIMARY: Final = PoolKeys("stratumURL", "stratumPort", "stratumUser")
FALLBACK: Final = PoolKeys("fallbackStratumURL", "fallbackStratumPort", "fallbackStratumUser")


def flat_pools(document: Mapping[str, Any], active: int) -> tuple[Pool, ...]:
    """The primary pool (0) and, where one is configured, the fallback pool (1); `active` is the one in use."""
    pools = []
    for number, keys in enumerate((PRIMARY, FALLBACK)):
        url = pool_url(document, keys.url, keys.port)
        user = fields.text(document, keys.user)
        if url is not None or number == active:
            pools.append(Pool(str(number), url=url, user=user, active=number == active, priority=float(number)))
    return tuple(pools)
