"""Commands of NMAxe: restart, pause, light, frequency and voltage, fan, pools.

Source: ESP-Miner-NMAxe from 3.0 (docs/API.md, http_server.cpp); 2.x has other paths and is restarted only. Settings of
frequency, voltage and fan take effect at once, pools at a restart. Pausing is forgotten at a restart.
"""

from __future__ import annotations

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
from exporter.drivers.families.esp_commands import (
    LEAST_DUTY,
    RESTART,
    RESTART_SECONDS,
    RESTART_SETTLE_SECONDS,
    at_least,
    numbers,
    option_range,
    restarted,
    settings_request,
)
from exporter.text import pool_name
from exporter.units import Ratio, megahertz, millivolts, ratio

MINING: Final = HttpRequest("/api/setting/mining")
PREFERENCE: Final = HttpRequest("/api/setting/preference")
FIND: Final = HttpRequest("/api/swarm/find", method="POST")
_STATE_PATH: Final = "/api/mining/state"
_HAS_SETTINGS: Final = (3, 0)
_HAS_PAUSE: Final = (3, 0, 21)
#: The chips' fan; another one cools the regulator and is left alone.
_CHIP_FAN: Final = 0


def pause_plan(context: CommandContext, *, paused: bool) -> Plan:
    """Stop mining, or take it up again."""
    if not at_least(context, _HAS_PAUSE):
        raise CommandRefused("this firmware cannot pause; NMAxe can from 3.0.21 on")
    effect = "The miner stops hashing until it is resumed or restarted." if paused else "The miner hashes again."

    def confirmed(evidence: Evidence) -> bool:
        miner = fields.table(axeos.info(evidence.answers), "miner") or {}
        return fields.flag(miner, "paused", "miner") is paused

    return Plan(
        effect=effect,
        writes=lambda _: (Write(settings_request(_STATE_PATH, {"paused": paused}), repeatable=True),),
        confirm_reads=(axeos.INFO,),
        confirmed=confirmed,
    )


def tuning_reads(context: CommandContext) -> tuple[Request, ...]:
    _check_settings(context)
    return (MINING,)


def decode_tuning(answers: Answers) -> tuple[TuningRange, ...]:
    """The options of the device's own settings page."""
    mining = _mining(answers)
    found = (
        option_range("frequency", "Hz", megahertz, _options(mining, "overclock"), fields.number(mining, "freqReq")),
        option_range("core_voltage", "V", millivolts, _options(mining, "vcore"), fields.number(mining, "vcoreReq")),
    )
    return tuple(one for one in found if one is not None)


def tuning_plan(values: Mapping[str, float]) -> Plan:
    """Another frequency or voltage. They are read under other names than they are written under."""
    body: dict[str, int] = {}
    told: dict[str, int] = {}
    if "core_voltage" in values:
        body["asicVcoreReq"] = told["vcoreReq"] = round(values["core_voltage"] * 1e3)
    if "frequency" in values:
        body["asicFreqReq"] = told["freqReq"] = round(values["frequency"] / 1e6)

    def confirmed(evidence: Evidence) -> bool:
        mining = _mining(evidence.answers)
        return all(fields.number(mining, key) == value for key, value in told.items())

    return Plan(
        effect="The miner runs its chips at another frequency or voltage at once.",
        writes=lambda _: (Write(settings_request(MINING.path, body), repeatable=True),),
        confirm_reads=(MINING,),
        confirmed=confirmed,
    )


def fan_range(context: CommandContext) -> tuple[Ratio, Ratio] | None:
    """The device tells no least duty of its own."""
    return (LEAST_DUTY, ratio(1.0)) if at_least(context, _HAS_SETTINGS) else None


def fan_plan(duty: Ratio | None) -> Plan:
    """The duty of the chips' fan, or its own control."""
    percent = None if duty is None else round(float(duty) * 100)
    fan = {"id": _CHIP_FAN, "auto": 1} if percent is None else {"id": _CHIP_FAN, "auto": 0, "speed": percent}

    def confirmed(evidence: Evidence) -> bool:
        preference = fields.as_table(evidence.answers.document(PREFERENCE.key), PREFERENCE.key)
        told = next((one for one in fields.tables(preference, "fans") if fields.number(one, "id") == _CHIP_FAN), {})
        return all(fields.number(told, key, "fans[]") == value for key, value in fan.items())

    return Plan(
        effect="The miner steers its fan by itself." if percent is None else f"The chip fan runs at {percent} %.",
        writes=lambda _: (Write(settings_request(PREFERENCE.path, {"fans": [fan]}), repeatable=True),),
        confirm_reads=(PREFERENCE,),
        confirmed=confirmed,
    )


def pool_rules(context: CommandContext) -> PoolRules:
    """Slot 0 is the first pool, slot 1 the fallback."""
    slots = 2 if at_least(context, _HAS_SETTINGS) else 0
    return PoolRules(slots=slots, schemes=("stratum+tcp", "stratum+ssl"), longest_user=127, restarts=True)


def pool_plan(setting: PoolSetting) -> Plan:
    """Another pool; the other one stays as it is."""
    name = "fallback" if setting.slot else "primary"
    body = {"stratum": {name: {"url": setting.url, "user": setting.user, "pwd": setting.password}}}

    def confirmed(evidence: Evidence) -> bool:
        pools = fields.table(_mining(evidence.answers), "stratum") or {}
        told = fields.table(pools, name, "stratum") or {}
        return restarted(evidence) and (told.get("url"), told.get("user")) == (setting.url, setting.user)

    return Plan(
        effect=f"{pool_name(setting.slot)} becomes {setting.url}; the miner restarts for that.",
        writes=lambda _: (
            Write(settings_request(MINING.path, body), repeatable=True),
            Write(RESTART, answers=False),
        ),
        confirm_reads=(MINING,),
        confirmed=confirmed,
        limit_seconds=RESTART_SECONDS,
        settle_seconds=RESTART_SETTLE_SECONDS,
        goes_away=True,
    )


def _check_settings(context: CommandContext) -> None:
    if not at_least(context, _HAS_SETTINGS):
        raise CommandRefused("this firmware takes no settings that are known here; NMAxe does from 3.0 on")


def _mining(answers: Answers) -> dict[str, Any]:
    return fields.as_table(answers.document(MINING.key), MINING.key)


def _options(mining: Mapping[str, Any], name: str) -> tuple[float, ...]:
    listed = fields.tables(fields.table(mining, name) or {}, "options", name)
    return numbers([one.get("value") for one in listed])
