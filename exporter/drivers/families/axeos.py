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
from exporter.model import Fan, Identity, MinerState, Pool
from exporter.text import normal_mac
from exporter.units import (
    Amperes,
    Bytes,
    Celsius,
    DecibelMilliwatts,
    Difficulty,
    HashesPerSecond,
    Hertz,
    Seconds,
    Volts,
    Watts,
    bytes_,
    celsius,
    decibel_milliwatts,
    difficulty,
    gigahashes_per_second,
    megahertz,
    milliamperes,
    milliseconds,
    millivolts,
    percent,
    rpm,
    seconds,
    watts,
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


def uptime(document: Mapping[str, Any], key: str = "uptimeSeconds") -> Seconds | None:
    value = fields.count(document, key)
    return None if value is None else seconds(value)


def power(document: Mapping[str, Any], key: str = "power") -> Watts | None:
    value = fields.count(document, key)
    return None if value is None else watts(value)


def voltage(document: Mapping[str, Any], key: str) -> Volts | None:
    value = fields.count(document, key)
    return None if value is None else millivolts(value)


def current(document: Mapping[str, Any], key: str) -> Amperes | None:
    value = fields.count(document, key)
    return None if value is None else milliamperes(value)


def frequency(document: Mapping[str, Any], key: str) -> Hertz | None:
    value = positive(document, key)
    return None if value is None else megahertz(value)


def set_difficulty(document: Mapping[str, Any], key: str) -> Difficulty | None:
    """The difficulty a pool or the network asks for, as a number or as "146.47T"; 0 means that none was set yet."""
    value = fields.suffixed_number(document, key)
    return difficulty(value) if value is not None and value > 0 else None


def fan(name: str, document: Mapping[str, Any], speed_key: str, duty_key: str | None) -> Fan | None:
    """A fan by the keys of its speed (rpm) and drive (percent); None where neither is told."""
    speed = fields.count(document, speed_key)
    duty = None if duty_key is None else fields.count(document, duty_key)
    if speed is None and duty is None:
        return None
    return Fan(name, speed=None if speed is None else rpm(speed), duty=None if duty is None else percent(duty))


def memory(document: Mapping[str, Any], regions: Mapping[str, str]) -> tuple[tuple[str, Bytes], ...]:
    """Free bytes of each region; `regions` maps its name to the key."""
    found = ((region, fields.count(document, key)) for region, key in regions.items())
    return tuple((region, bytes_(value)) for region, value in found if value is not None)


def running_state(now: HashesPerSecond | None, *, stopped: bool) -> MinerState | None:
    """Idle where it was stopped on purpose or does not hash; None where nothing tells."""
    if stopped:
        return MinerState.IDLE
    if now is None:
        return None
    return MinerState.MINING if now > 0 else MinerState.IDLE


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
