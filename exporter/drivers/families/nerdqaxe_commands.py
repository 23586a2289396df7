"""Commands of ESP-Miner-NerdQAxePlus: restart, shut-down as pause, frequency and voltage, fan, pools.

Sources: ESP-Miner-NerdQAxePlus from 1.0.25 to 1.0.38 (handler_system.cpp, stratum_manager.cpp, http_utils.cpp) and its
API description. The settings of ``/api/system`` work in all of them; those of v2 are the same under other names. Keys
differ from AxeOS in type: flags are JSON booleans, numbers are whole, and what has another type is ignored.

With the one-time password switched on, the device refuses changes with 401, and after five of them everything for
five minutes: nothing is sent where it says beforehand that it wants one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from exporter.drivers.families.axeos_commands import ASIC, patch, tells
from exporter.drivers.families.esp_commands import (
    LEAST_DUTY,
    RESTART,
    RESTART_SECONDS,
    RESTART_SETTLE_SECONDS,
    at_least,
    is_tls,
    numbers,
    older_than,
    option_range,
    place,
    restarted,
)
from exporter.text import pool_name
from exporter.units import Ratio, megahertz, millivolts, ratio

_SHUTDOWN: Final = HttpRequest("/api/system/shutdown", method="POST")
_HAS_SHUTDOWN: Final = (1, 0, 36)
#: Restart and shut-down asked for the one-time password before.
_RESTARTS_FREELY: Final = (1, 0, 38)
#: A changed pool is used at once; before, at the next restart.
_RECONNECTS: Final = (1, 0, 35)
#: `autofanspeed` is a number; before, a boolean.
_HAS_FAN_MODES: Final = (1, 0, 30)
_MANUAL, _BY_CURVE, _BY_TARGET = 0, 1, 2
_PLAIN_STRATUM: Final = 0

Info = Mapping[str, Any]


class NerdQAxeCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        return _restart_plan("The miner restarts and mines again in about a minute.", context)

    def pause(self, context: CommandContext) -> Plan:
        """Shut the chips down; the firmware has no way back but a restart."""
        _check_shutdown(context)

        def writes(answers: Answers) -> tuple[Write, ...]:
            _check_open(axeos.info(answers), context, restart=True)
            return (Write(_SHUTDOWN),)

        return Plan(
            effect="The miner shuts its chips down and stays on the network; resuming restarts it.",
            reads=(axeos.INFO,),
            writes=writes,
            confirm_reads=(axeos.INFO,),
            confirmed=lambda evidence: fields.flag(axeos.info(evidence.answers), "shutdown") is True,
            settle_seconds=2.0,
        )

    def resume(self, context: CommandContext) -> Plan:
        _check_shutdown(context)
        return _restart_plan("The miner restarts, and mines again in about a minute.", context)

    def tuning_reads(self, context: CommandContext) -> tuple[Request, ...]:
        return (axeos.INFO, ASIC)

    def decode_tuning(self, answers: Answers, context: CommandContext) -> tuple[TuningRange, ...]:
        """The options that the device lists (since 1.0.32)."""
        info = axeos.info(answers)
        asic = fields.as_table(answers.optional_document(ASIC.key) or {}, ASIC.key)
        frequency, voltage = fields.number(info, "frequency"), fields.number(info, "coreVoltage")
        found = (
            option_range("frequency", "Hz", megahertz, numbers(asic.get("frequencyOptions")), frequency),
            option_range("core_voltage", "V", millivolts, numbers(asic.get("voltageOptions")), voltage),
        )
        return tuple(one for one in found if one is not None)

    def set_tuning(self, values: Mapping[str, float], context: CommandContext) -> Plan:
        body: dict[str, Any] = {}
        if "frequency" in values:
            body["frequency"] = round(values["frequency"] / 1e6)
        if "core_voltage" in values:
            body["coreVoltage"] = round(values["core_voltage"] * 1e3)
        effect = "The miner runs its chips at another frequency or voltage at once."
        return _settings_plan(effect, lambda _: body, context)

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        """The device tells no least duty of its own."""
        return LEAST_DUTY, ratio(1.0)

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        """The first fan's, where there are two: the second one has settings of its own."""
        percent = None if duty is None else round(float(duty) * 100)

        def body(info: Info) -> Info:
            mode = _MANUAL if percent is not None else _own_control(info)
            body = {"autofanspeed": mode != _MANUAL if older_than(context, _HAS_FAN_MODES) else mode}
            if percent is not None:
                body["manualFanSpeed" if "manualFanSpeed" in info else "fanspeed"] = percent
            return body

        effect = "The miner steers its fan by itself." if percent is None else f"The fan runs at {percent} %."
        return _settings_plan(effect, body, context)

    def pool_rules(self, context: CommandContext) -> PoolRules:
        """Slot 0 is the first pool, slot 1 the fallback or the second one; encryption since 1.0.36."""
        schemes = ("stratum+tcp", "stratum+ssl") if at_least(context, (1, 0, 36)) else ("stratum+tcp",)
        slots = 2 if at_least(context, (1, 0, 25)) else 1
        restarts = not at_least(context, _RECONNECTS)
        return PoolRules(slots=slots, schemes=schemes, longest_user=127, restarts=restarts)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        host, port = place(setting.url)
        restarts = self.pool_rules(context).restarts
        effect = f"{pool_name(setting.slot)} becomes {host}:{port}"

        def writes(answers: Answers) -> tuple[Write, ...]:
            info = axeos.info(answers)
            _check_open(info, context)
            change = Write(patch(_pool_body(info, setting)), repeatable=True)
            return (change, Write(RESTART, answers=False)) if restarts else (change,)

        def confirmed(evidence: Evidence) -> bool:
            return (not restarts or restarted(evidence)) and _has_pool(axeos.info(evidence.answers), setting)

        return Plan(
            effect=f"{effect}; the miner restarts for that." if restarts else f"{effect}.",
            reads=(axeos.INFO,),
            writes=writes,
            confirm_reads=(axeos.INFO,),
            confirmed=confirmed,
            limit_seconds=RESTART_SECONDS if restarts else 30.0,
            settle_seconds=RESTART_SETTLE_SECONDS if restarts else 1.0,
            goes_away=restarts,
        )


def _check_open(info: Info, context: CommandContext, *, restart: bool = False) -> None:
    """Refuse what the device would refuse, so that it does not count as a failed sign-in there."""
    if (fields.flag(info, "otp") or False) and not (restart and at_least(context, _RESTARTS_FREELY)):
        raise CommandRefused("the miner wants a one-time password for this; switch that off on the miner's own page")


def _check_shutdown(context: CommandContext) -> None:
    if not at_least(context, _HAS_SHUTDOWN):
        raise CommandRefused("this firmware cannot pause; NerdQAxe can from 1.0.36 on")


def _restart_plan(effect: str, context: CommandContext) -> Plan:
    def writes(answers: Answers) -> tuple[Write, ...]:
        _check_open(axeos.info(answers), context, restart=True)
        return (Write(RESTART, answers=False),)

    return Plan(
        effect=effect,
        reads=(axeos.INFO,),
        writes=writes,
        confirmed=restarted,
        limit_seconds=RESTART_SECONDS,
        settle_seconds=RESTART_SETTLE_SECONDS,
        goes_away=True,
    )


def _settings_plan(effect: str, body: Callable[[Info], Info], context: CommandContext) -> Plan:
    """Change settings that take effect at once and that the device tells under the same keys."""

    def writes(answers: Answers) -> tuple[Write, ...]:
        info = axeos.info(answers)
        _check_open(info, context)
        return (Write(patch(body(info)), repeatable=True),)

    def confirmed(evidence: Evidence) -> bool:
        info = axeos.info(evidence.answers)
        return all(tells(info, key, float(value)) for key, value in body(info).items())

    return Plan(effect=effect, reads=(axeos.INFO,), writes=writes, confirm_reads=(axeos.INFO,), confirmed=confirmed)


def _own_control(info: Info) -> int:
    """The automatic mode that is on, else the best one that the board has."""
    known = fields.count(info, "autofanspeed") if not isinstance(info.get("autofanspeed"), bool) else None
    if known:
        return int(known)
    return _BY_TARGET if axeos.positive(info, "pidTargetTemp") else _BY_CURVE


def _pool_body(info: Info, setting: PoolSetting) -> dict[str, Any]:
    host, port = place(setting.url)
    prefix = "fallbackStratum" if setting.slot else "stratum"
    body: dict[str, Any] = {
        f"{prefix}URL": host,
        f"{prefix}Port": port,
        f"{prefix}User": setting.user,
        f"{prefix}Password": setting.password,
    }
    if f"{prefix}TLS" in info:
        body[f"{prefix}TLS"] = is_tls(setting.url)
    elif is_tls(setting.url):
        raise CommandRefused("this firmware cannot encrypt the connection to a pool; use stratum+tcp")
    if f"{prefix}Protocol" in info:
        body[f"{prefix}Protocol"] = _PLAIN_STRATUM
    return body


def _has_pool(info: Info, setting: PoolSetting) -> bool:
    body = _pool_body(info, setting)
    return all(info.get(key) == value for key, value in body.items() if not key.endswith("Password"))
