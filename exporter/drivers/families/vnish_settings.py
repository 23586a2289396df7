"""Plans that change VNish's settings (POST /settings): preset, pools, fans. Pure.

The request names only what changes. The device answers with success also where nothing changed, so the settings are
read again, and beside them what the mining process made of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, Auth, HttpRequest
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, PoolSetting, Write
from exporter.drivers.families import vnish_telemetry as telemetry
from exporter.drivers.families.cgminer_records import told
from exporter.drivers.families.pool_entries import EMPTY_POOL, is_starred, same_pool
from exporter.errors import DecodeError
from exporter.model import MinerState, Preset
from exporter.text import pool_name
from exporter.units import Ratio, percent

SETTINGS: Final = HttpRequest("/api/v1/settings", auth=Auth.API_KEY)
STATUS: Final = HttpRequest("/api/v1/status")
#: What the fans and their control may be set to; firmware without it takes no duty from here.
LIMITS: Final = HttpRequest("/api/v1/model", optional=True)
PERFORMANCE: Final = HttpRequest("/api/v1/perf-summary")
PRESETS: Final = HttpRequest("/api/v1/autotune/presets", auth=Auth.API_KEY)
#: Every configuration has this many pools, the unused ones empty.
POOLS: Final = 3
_LIMIT_SECONDS: Final = 60.0
_MOST_PERCENT: Final = 100.0
_HASHING: Final = frozenset({MinerState.MINING, MinerState.TUNING})


def post(path: str, content: Mapping[str, Any] | None = None) -> HttpRequest:
    """A signed POST below /api/v1, without a body where there is no `content`."""
    body = None if content is None else json.dumps(content).encode()
    return HttpRequest(f"/api/v1/{path}", method="POST", body=body, auth=Auth.API_KEY)


def refuse_errors(answers: Answers) -> None:
    """Raise `CommandRefused` with the device's words: ``{"err": "..."}`` beside a status that is no success."""
    for key, answer in answers.items():
        try:
            document = answers.document(key)
        except DecodeError:
            continue  # most commands are answered without a body: the status tells
        if not isinstance(document, dict):
            continue
        words = told(document, "err", key, 200)
        if words is not None and not 200 <= answer.status < 300:
            raise CommandRefused(words)
        if document.get("success") is False:
            raise CommandRefused(words or f"{key}: the miner says no")


def miner_settings(answers: Answers, part: str) -> dict[str, Any]:
    """One part of the `miner` block of GET /settings, empty where it is missing."""
    miner = fields.table(fields.as_table(answers.document(SETTINGS.key), SETTINGS.key), "miner", SETTINGS.key) or {}
    return fields.table(miner, part, SETTINGS.key) or {}


def _settings_write(miner: Mapping[str, Any]) -> tuple[Write, ...]:
    # Not sent twice: a change may restart the mining.
    return (Write(post("settings", {"miner": miner})),)


def _refuse_if_it_waits(evidence: Evidence) -> None:
    """Raise `CommandRefused` where the device has the setting and waits for a restart with it."""
    status = fields.as_table(evidence.answers.document(STATUS.key), STATUS.key)
    for key, what in (("reboot_required", "a reboot"), ("restart_required", "a restart of the mining")):
        if fields.flag(status, key, STATUS.key):
            raise CommandRefused(f"the miner has stored the setting and waits for {what} to use it")


# --- preset -------------------------------------------------------------------------------------------------------


def preset_plan(preset: Preset) -> Plan:
    """Apply `preset`, which the miner's list calls tuned."""
    return Plan(
        effect=f"The miner applies the preset {preset.pretty or preset.name}; it may stop hashing for some minutes.",
        reads=(PRESETS, SETTINGS),
        writes=functools.partial(_preset_writes, preset.name),
        check=refuse_errors,
        confirm_reads=(SETTINGS, PERFORMANCE, STATUS),
        confirmed=functools.partial(_has_preset, preset.name),
        limit_seconds=_LIMIT_SECONDS,
    )


def usable(name: str, presets: tuple[Preset, ...]) -> Preset:
    """The preset called `name`. Raises `CommandRefused` where there is none, or it is not tuned."""
    preset = next((one for one in presets if one.name == name), None)
    if preset is None:
        offered = ", ".join(one.name for one in presets if one.tuned) or "none that is tuned"
        raise CommandRefused(f"there is no preset {name}; the miner has {offered}")
    if not preset.tuned:
        raise CommandRefused(f"the preset {name} is not tuned yet; the miner would tune for hours instead of using it")
    return preset


def _preset_writes(name: str, answers: Answers) -> tuple[Write, ...]:
    """By the presets as they are now: the miner may have been told otherwise since they were offered."""
    preset = usable(name, telemetry.decode_presets(answers.document(PRESETS.key)))
    modified = fields.flag(miner_settings(answers, "overclock"), "modded_psu", SETTINGS.key)
    if preset.modified_psu_required and not modified:
        raise CommandRefused(
            f"the preset {name} needs a modified power supply, and the miner's own settings say that it has none; "
            "change that on the miner's page first"
        )
    return _settings_write({"overclock": {"preset": name}})


def _has_preset(name: str, evidence: Evidence) -> bool:
    """Stored and in use. The device's own switching between presets may use another one at once: then stored is all."""
    answers = evidence.answers
    if told(miner_settings(answers, "overclock"), "preset", SETTINGS.key) != name:
        return False
    performance = fields.as_table(answers.document(PERFORMANCE.key), PERFORMANCE.key)
    switcher = fields.table(performance, "preset_switcher", PERFORMANCE.key) or {}
    if telemetry.decode_perf_summary(performance).work_mode == name or fields.flag(switcher, "enabled"):
        return True
    _refuse_if_it_waits(evidence)
    return False


# --- pools --------------------------------------------------------------------------------------------------------


def pool_plan(setting: PoolSetting) -> Plan:
    """Put a pool in its place; the other pools are written back as they were read."""
    place = setting.url.partition("://")[2]
    return Plan(
        effect=f"{pool_name(setting.slot)} becomes {place}.",
        reads=(SETTINGS,),
        writes=functools.partial(_pool_writes, setting, place),
        check=refuse_errors,
        confirm_reads=(SETTINGS, STATUS),
        confirmed=functools.partial(_has_pool, setting, place),
        limit_seconds=_LIMIT_SECONDS,
    )


def _pools(answers: Answers) -> list[dict[str, Any]]:
    miner = fields.table(fields.as_table(answers.document(SETTINGS.key), SETTINGS.key), "miner", SETTINGS.key) or {}
    return fields.tables(miner, "pools", SETTINGS.key)


def _pool_writes(setting: PoolSetting, place: str, answers: Answers) -> tuple[Write, ...]:
    known = _pools(answers)
    if not known:
        raise CommandRefused("the miner does not tell its pools, so that the others would be lost")
    pools = [{key: entry.get(key) or "" for key in EMPTY_POOL} for entry in known[:POOLS]]
    pools += [dict(EMPTY_POOL) for _ in range(POOLS - len(pools))]
    if any(is_starred(entry["pass"]) for slot, entry in enumerate(pools) if slot != setting.slot):
        raise CommandRefused("the miner hides the passwords of its other pools, so that they would be lost")
    pools[setting.slot] = {"url": place, "user": setting.user, "pass": setting.password}
    return _settings_write({"pools": pools})


def _has_pool(setting: PoolSetting, place: str, evidence: Evidence) -> bool:
    """Stored, and among the pools of the mining process (which has none while it stands still)."""
    pools = _pools(evidence.answers)
    entry = pools[setting.slot] if setting.slot < len(pools) else {}
    if not same_pool(
        told(entry, "url", SETTINGS.key, 255), told(entry, "user", SETTINGS.key, 255), place, setting.user
    ):
        return False
    after = evidence.after
    if after.state not in _HASHING or any(same_pool(one.url, one.user, place, setting.user) for one in after.pools):
        return True
    _refuse_if_it_waits(evidence)
    return False


# --- fans ---------------------------------------------------------------------------------------------------------


#: What is remembered: the temperature that the device steers its fans to, which it forgets while they are set by hand.
_TARGET: Final = "fan_target_celsius"


def least_duty(answers: Answers) -> Ratio:
    """How slow the device lets its fans run.

    Raises:
        CommandRefused: it does not tell.
    """
    least = fields.count(_limits(answers), "min_fan_pwm", LIMITS.key)
    if least is None or least > _MOST_PERCENT:
        raise CommandRefused("the miner does not tell how slow its fans may run, so that no duty is set from here")
    return percent(least)


def fan_plan(duty: Ratio | None, context: CommandContext) -> Plan:
    """Run the fans at `duty`, or let the device steer them by a target temperature.

    Args:
        context: its answers are those to `LIMITS` and `SETTINGS`.

    Raises:
        CommandRefused: the device has no fans, or no target temperature is known.
    """
    name, parameter = _cooling_mode(context.answers)
    if name is None or name.startswith("immers"):
        raise CommandRefused("the miner is set to be cooled without fans")
    if duty is None:
        return _steered_plan(None if name == "auto" else _former_target(context))
    shown = round(float(duty) * 100)
    plan = _cooling_plan(
        f"The fans run at {shown} %, however hot it gets, until they are given back to automatic control.",
        {"name": "manual", "param": shown},
    )
    return replace(plan, remember={_TARGET: parameter}) if name == "auto" else plan


def _steered_plan(target: int | None) -> Plan:
    """Automatic control; `target` in degC is None where it is on already, which needs no write."""
    # Once it steers them it knows the target again, and may be given another one on its own page.
    if target is not None:
        plan = _cooling_plan(f"The miner steers its fans to {target} °C.", {"name": "auto", "param": target})
        return replace(plan, remember={_TARGET: None})
    return Plan(
        effect="The miner steers its fans by its target temperature, as it does already: nothing is sent.",
        writes=lambda _: (),
        confirm_reads=(SETTINGS,),
        confirmed=lambda evidence: _cooling_mode(evidence.answers)[0] == "auto",
        remember={_TARGET: None},
    )


def _cooling_plan(effect: str, mode: Mapping[str, Any]) -> Plan:
    return Plan(
        effect=effect,
        writes=lambda _: _settings_write({"cooling": {"mode": mode}}),
        check=refuse_errors,
        confirm_reads=(SETTINGS,),
        confirmed=lambda evidence: _cooling_mode(evidence.answers) == (mode["name"], float(mode["param"])),
        limit_seconds=_LIMIT_SECONDS,
    )


def _former_target(context: CommandContext) -> int:
    """The target temperature that the device had before its fans were set by hand, in degC."""
    target = context.remembered.get(_TARGET)
    if not isinstance(target, int | float):
        raise CommandRefused(
            "automatic control needs a target temperature, which the miner forgets while its fans are set by hand, and "
            "they were not set from here; choose it on the miner's page"
        )
    limits = _limits(context.answers)
    least, most = (fields.count(limits, key, LIMITS.key) for key in ("min_target_temp", "max_target_temp"))
    if least is None or most is None or not least <= target <= most:
        raise CommandRefused(
            f"the miner does not take the target temperature of {target:g} °C any more; choose one on the miner's page"
        )
    return round(target)


def _limits(answers: Answers) -> dict[str, Any]:
    """The block `cooling` of /model, empty where it is missing."""
    document = answers.optional_document(LIMITS.key)
    return fields.table(fields.as_table(document or {}, LIMITS.key), "cooling", LIMITS.key) or {}


def _cooling_mode(answers: Answers) -> tuple[str | None, float | None]:
    """Name and parameter: of "auto" the target in degC, of "manual" the duty in percent."""
    mode = fields.table(miner_settings(answers, "cooling"), "mode", SETTINGS.key) or {}
    return told(mode, "name", SETTINGS.key), fields.count(mode, "param", SETTINGS.key)
