"""A pool in the settings of AxeOS: flat keys before 2.15, a list of whole pools by slot from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.commands import CommandRefused, PoolSetting
from exporter.drivers.families.esp_commands import is_tls, place
from exporter.text import pool_name

#: What a pool of 2.15 has beside address, user and password. A key left out falls back to the firmware's own default,
#: so what the slot has is written again; the password is starred out when read and is always given anew.
_KEPT_KEYS: Final = (
    "stratumSuggestedDifficulty", "stratumExtranonceSubscribe", "stratumCert", "stratumDecodeCoinbase",
    "stratumV2ChannelType", "stratumV2AuthorityPubkey", "stratumV2RequireAuth",
)  # fmt: skip
#: Encryption checked against the certificates that the firmware brings along.
_TLS_ON: Final = 1
_PLAIN_STRATUM: Final = "SV1"


def pool_settings(info: Mapping[str, Any], setting: PoolSetting) -> dict[str, Any]:
    """The settings that put a pool in its place; other pools and other settings stay as they are.

    Args:
        info: what the device tells now.

    Raises:
        CommandRefused: the device has no such slot, or cannot encrypt.
    """
    if not isinstance(info.get("pools"), list):
        return _flat(info, setting)
    number = _slot_number(info, setting.slot)
    entry = _entry(info, number) or {}
    kept = {key: entry[key] for key in _KEPT_KEYS if key in entry}
    protocol = {"stratumProtocol": _PLAIN_STRATUM, "stratumTLS": _encryption(entry, "stratum", setting)}
    return {"pools": [{"id": number, **_address(setting, "stratum"), **protocol, **kept}]}


def has_pool(info: Mapping[str, Any], setting: PoolSetting) -> bool:
    """Whether the device tells the pool as it was set, as far as it tells of it (never the password)."""
    body, told = pool_settings(info, setting), info
    if isinstance(info.get("pools"), list):
        (body,) = body["pools"]
        told = _entry(info, body["id"]) or {}
    shown = {key: value for key, value in body.items() if not key.endswith("Password")}
    prefix = "fallbackStratum" if "fallbackStratumURL" in shown else "stratum"
    required = {f"{prefix}{name}" for name in ("URL", "Port", "User")}
    return all(told.get(key) == value for key, value in shown.items() if key in told or key in required)


def _flat(info: Mapping[str, Any], setting: PoolSetting) -> dict[str, Any]:
    prefix = "fallbackStratum" if setting.slot else "stratum"
    body = _address(setting, prefix)
    if f"{prefix}TLS" in info:
        body[f"{prefix}TLS"] = _encryption(info, prefix, setting)
    elif is_tls(setting.url):
        raise CommandRefused("this firmware cannot encrypt the connection to a pool; use stratum+tcp")
    if f"{prefix}Protocol" in info:
        body[f"{prefix}Protocol"] = _PLAIN_STRATUM
    return body


def _address(setting: PoolSetting, prefix: str) -> dict[str, Any]:
    host, port = place(setting.url)
    return {
        f"{prefix}URL": host,
        f"{prefix}Port": port,
        f"{prefix}User": setting.user,
        f"{prefix}Password": setting.password,
    }


def _encryption(told: Mapping[str, Any], prefix: str, setting: PoolSetting) -> int:
    """Off or on as the URL says; for the same host, a certificate of the operator's own stays in use."""
    if not is_tls(setting.url):
        return 0
    same_host = told.get(f"{prefix}URL") == place(setting.url)[0]
    known = fields.count(told, f"{prefix}TLS") if same_host and not isinstance(told.get(f"{prefix}TLS"), bool) else None
    return int(known or _TLS_ON)


def _slot_number(info: Mapping[str, Any], slot: int) -> int:
    number = fields.count(info, ("primaryPoolIndex", "secondaryPoolIndex")[slot])
    if number is None:
        raise CommandRefused(f"the miner does not say which of its pools is {pool_name(slot)}")
    return int(number)


def _entry(info: Mapping[str, Any], number: int) -> Mapping[str, Any] | None:
    return next((one for one in fields.tables(info, "pools") if fields.count(one, "id", "pools[]") == number), None)
