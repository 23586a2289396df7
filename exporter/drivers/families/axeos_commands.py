"""Commands of AxeOS: restart, pause, light, frequency and voltage, fan, pools.

Sources: ESP-Miner's OpenAPI description (2.15); ESP-Miner #1608 (pause and resume came with 2.14), #1795 (from 2.15 on
a pool is written whole, by its slot), #1723 (pools take effect at a restart). Unknown keys are answered with 200 and
ignored, so every effect is read again.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, HttpRequest, Request
from exporter.drivers.commands import (
    CommandContext,
    CommandRefused,
    Evidence,
    Plan,
    PoolRules,
    PoolSetting,
    TuningRange,
    Write,
)
from exporter.drivers.families import axeos
from exporter.units import Ratio, ratio

ASIC: Final = HttpRequest("/api/system/asic")
_RESTART: Final = HttpRequest("/api/system/restart", method="POST")
_RELEASE: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?!\d)")
#: What a pool of 2.15 has beside its address, user and password (which is starred out when read).
_POOL_KEYS: Final = (
    "stratumProtocol", "stratumSuggestedDifficulty", "stratumExtranonceSubscribe", "stratumTLS", "stratumCert",
    "stratumDecodeCoinbase", "stratumV2ChannelType", "stratumV2AuthorityPubkey", "stratumV2RequireAuth",
)  # fmt: skip
_RESTART_SECONDS: Final = 120.0
_LEAST_DUTY: Final = ratio(0.0)


@functools.lru_cache(maxsize=64)
def release(version: str | None) -> tuple[int, int] | None:
    """Major and minor of a firmware version; None where it is none of AxeOS' numbers."""
    match = _RELEASE.match(version or "")
    return None if match is None else (int(match[1]), int(match[2]))


class AxeOsCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        return Plan(
            effect="The miner restarts and mines again in about a minute.",
            writes=lambda _: (Write(_RESTART, answers=False),),
            confirmed=restarted,
            limit_seconds=_RESTART_SECONDS,
            settle_seconds=3.0,
            goes_away=True,
        )

    def pause(self, context: CommandContext) -> Plan:
        return _pausing("pause", "The miner stops hashing and stays on the network until it is resumed.", context)

    def resume(self, context: CommandContext) -> Plan:
        return _pausing("resume", "The miner hashes again.", context)

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        """The screen says hello for half a minute; nothing tells afterwards that it did, so the answer counts."""
        if not on:
            raise CommandRefused("the miner says hello for a while by itself; it cannot be told to stop")
        return Plan(
            effect="The miner says hello on its screen for a while.",
            writes=lambda _: (Write(HttpRequest("/api/system/identify", method="POST"), repeatable=True),),
            confirmed=lambda _: True,
        )

    def tuning_reads(self, context: CommandContext) -> tuple[Request, ...]:
        return (axeos.INFO, ASIC)

    def decode_tuning(self, answers: Answers, context: CommandContext) -> tuple[TuningRange, ...]:
        """The options that the device lists for its chip; any value between them where overclocking was unlocked."""
        info, asic = axeos.info(answers), fields.as_table(answers.document(ASIC.key), ASIC.key)
        free = fields.flag(info, "overclockEnabled") or False
        found = (
            _range("frequency", "Hz", 1e6, _numbers(asic, "frequencyOptions"), fields.number(info, "frequency"), free),
            _range(
                "core_voltage", "V", 1e-3, _numbers(asic, "voltageOptions"), fields.number(info, "coreVoltage"), free
            ),
        )
        return tuple(one for one in found if one is not None)

    def set_tuning(self, values: Mapping[str, float], context: CommandContext) -> Plan:
        body: dict[str, Any] = {}
        if "frequency" in values:
            body["frequency"] = round(values["frequency"] / 1e6)
        if "core_voltage" in values:
            body["coreVoltage"] = round(values["core_voltage"] * 1e3)  # "voltage" is ignored
        return settings_plan("The miner runs its chips at another frequency or voltage at once.", body)

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        return _LEAST_DUTY, ratio(1.0)

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        if duty is None:
            return settings_plan("The miner steers its fan by itself.", {"autofanspeed": 1})
        percent = round(float(duty) * 100)
        key = "manualFanSpeed" if _at_least(context, (2, 11)) else "fanspeed"
        return settings_plan(
            f"The fan runs at {percent} %.", {"autofanspeed": 0, "fanspeed": percent}, shown_as={"fanspeed": key}
        )

    def pool_rules(self, context: CommandContext) -> PoolRules:
        """Slot 0 is the pool in use, slot 1 the fallback (since 2.2)."""
        return PoolRules(slots=2 if _at_least(context, (2, 2)) else 1, longest_user=127, restarts=True)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        host, _, port = setting.url.partition("://")[2].rpartition(":")
        return Plan(
            effect=f"Pool {setting.slot} becomes {host}:{port}; the miner restarts for that.",
            reads=(axeos.INFO,),
            writes=lambda answers: (
                Write(patch(_pool_body(axeos.info(answers), setting, host, int(port))), repeatable=True),
                Write(_RESTART, answers=False),
            ),
            confirm_reads=(axeos.INFO,),
            confirmed=lambda evidence: (
                restarted(evidence) and _has_pool(axeos.info(evidence.answers), setting, host, int(port))
            ),
            limit_seconds=_RESTART_SECONDS,
            settle_seconds=3.0,
            goes_away=True,
        )


def restarted(evidence: Evidence) -> bool:
    """Whether the device counts its uptime anew."""
    before = None if evidence.before is None else evidence.before.uptime
    after = evidence.after.uptime
    return after is not None and (after < before if before is not None else evidence.went_away)


def patch(body: Mapping[str, Any]) -> HttpRequest:
    """A change of settings."""
    return HttpRequest("/api/system", method="PATCH", body=json.dumps(body).encode())


def settings_plan(effect: str, body: Mapping[str, Any], *, shown_as: Mapping[str, str] | None = None) -> Plan:
    """Change settings that take effect at once and that the device tells under the same keys (or `shown_as`)."""
    keys = {key: (shown_as or {}).get(key, key) for key in body}

    def confirmed(evidence: Evidence) -> bool:
        info = axeos.info(evidence.answers)
        return all(_told(info, keys[key]) == float(value) for key, value in body.items())

    return Plan(
        effect=effect,
        writes=lambda _: (Write(patch(body), repeatable=True),),
        confirm_reads=(axeos.INFO,),
        confirmed=confirmed,
    )


def _told(info: Mapping[str, Any], key: str) -> float | None:
    value = info.get(key)
    return float(value) if isinstance(value, bool) else fields.number(info, key)


def _pausing(command: str, effect: str, context: CommandContext) -> Plan:
    if not _at_least(context, (2, 14)):
        raise CommandRefused("this firmware cannot pause; AxeOS can from 2.14 on")
    request = HttpRequest(f"/api/system/{command}", method="POST")
    return Plan(
        effect=effect,
        writes=lambda _: (Write(request, repeatable=True),),
        confirm_reads=(axeos.INFO,),
        confirmed=lambda evidence: fields.flag(axeos.info(evidence.answers), "miningPaused") is (command == "pause"),
    )


def _at_least(context: CommandContext, wanted: tuple[int, int]) -> bool:
    known = release(context.decode.identity.firmware_version)
    return known is not None and known >= wanted


def _numbers(table: Mapping[str, Any], key: str) -> tuple[float, ...]:
    values = table.get(key)
    if not isinstance(values, list):
        return ()
    return tuple(sorted(float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)))


def _range(
    name: str, unit: str, scale: float, options: tuple[float, ...], current: float | None, free: bool
) -> TuningRange | None:
    if not options:
        return None
    return TuningRange(
        name,
        unit,
        options[0] * scale,
        options[-1] * scale,
        () if free else tuple(option * scale for option in options),
        None if current is None else current * scale,
    )


def _pool_body(info: Mapping[str, Any], setting: PoolSetting, host: str, port: int) -> dict[str, Any]:
    """The settings that put a pool in its place; other pools and other settings stay as they are."""
    address = {"URL": host, "Port": port, "User": setting.user, "Password": setting.password}
    if not isinstance(info.get("pools"), list):
        prefix = "fallbackStratum" if setting.slot else "stratum"
        return {f"{prefix}{name}": value for name, value in address.items()}
    number = _pool_number(info, setting.slot)
    entry = _pool_entry(info, number) or {}
    kept = {key: entry[key] for key in _POOL_KEYS if key in entry}
    return {"pools": [{"id": number, **kept, **{f"stratum{name}": value for name, value in address.items()}}]}


def _pool_number(info: Mapping[str, Any], slot: int) -> int:
    key = ("primaryPoolIndex", "secondaryPoolIndex")[slot]
    number = fields.count(info, key)
    if number is None:
        raise CommandRefused(f"the miner does not say which of its pools is number {slot}")
    return int(number)


def _pool_entry(info: Mapping[str, Any], number: int) -> Mapping[str, Any] | None:
    return next((one for one in fields.tables(info, "pools") if fields.count(one, "id", "pools[]") == number), None)


def _has_pool(info: Mapping[str, Any], setting: PoolSetting, host: str, port: int) -> bool:
    if isinstance(info.get("pools"), list):
        entry, prefix = _pool_entry(info, _pool_number(info, setting.slot)), "stratum"
    else:
        entry, prefix = info, "fallbackStratum" if setting.slot else "stratum"
    wanted = {f"{prefix}URL": host, f"{prefix}Port": port, f"{prefix}User": setting.user}
    return entry is not None and all(entry.get(key) == value for key, value in wanted.items())
