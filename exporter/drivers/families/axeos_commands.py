"""Commands of AxeOS: restart, pause, light, frequency and voltage, fan, pools.

Sources: ESP-Miner from 2.0 to 2.15 (http_server.c, nvs_config.c) and its OpenAPI description; pause and resume came
with 2.14 (#1608), the screen's greeting with 2.12, `manualFanSpeed` in place of `fanspeed` with 2.11 (#1331), pools
that are written whole by their slot with 2.15 (#1795); a pool takes effect at a restart (#1723). Unknown keys are
answered with 200 and ignored, so every effect is read again.
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
from exporter.drivers.families.axeos_pools import has_pool, pool_settings
from exporter.drivers.families.esp_commands import (
    LEAST_DUTY,
    RESTART,
    RESTART_SECONDS,
    RESTART_SETTLE_SECONDS,
    at_least,
    numbers,
    older_than,
    option_range,
    place,
    plain,
    restarted,
    settings_request,
)
from exporter.text import pool_name
from exporter.units import Ratio, megahertz, millivolts, percent, ratio

#: Since 2.7; older firmware lists no options anywhere, so nothing is offered there.
ASIC: Final = HttpRequest("/api/system/asic", optional=True)
SETTINGS_PATH: Final = "/api/system"
#: Before, one missing key of all settings crashed the firmware.
_TAKES_SINGLE_SETTINGS: Final = (2, 0, 5)
#: How far the clock of the chips may be off the wanted one, which it reaches in steps.
_CLOCK_TOLERANCE: Final = 0.02

Settings = Mapping[str, Any]


class AxeOsCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        return restart_plan("The miner restarts and mines again in about a minute.")

    def pause(self, context: CommandContext) -> Plan:
        return _pausing("pause", "The miner stops hashing and stays on the network until it is resumed.", context)

    def resume(self, context: CommandContext) -> Plan:
        return _pausing("resume", "The miner hashes again.", context)

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        """The screen says hello for half a minute. Nothing tells of it afterwards, so the answer counts."""
        if not on:
            raise CommandRefused("the miner stops saying hello by itself after half a minute")
        if not at_least(context, (2, 12)):
            raise CommandRefused("this firmware cannot say hello; AxeOS can from 2.12 on")
        # The same request again would switch it off: it is never repeated.
        request = HttpRequest("/api/system/identify", method="POST")
        return Plan(
            effect="The miner says hello on its screen for half a minute.",
            writes=lambda _: (Write(request),),
            check=lambda answers: _check_greeting(answers, request.key),
            confirmed=lambda _: True,
            visible=False,
        )

    def tuning_reads(self, context: CommandContext) -> tuple[Request, ...]:
        if older_than(context, _TAKES_SINGLE_SETTINGS):
            raise CommandRefused("this firmware cannot take single settings; AxeOS can from 2.0.5 on")
        return (axeos.INFO, ASIC)

    def decode_tuning(self, answers: Answers, context: CommandContext) -> tuple[TuningRange, ...]:
        """The options that the device lists for its chip; any value between them where overclocking was unlocked."""
        info = axeos.info(answers)
        asic = fields.as_table(answers.optional_document(ASIC.key) or {}, ASIC.key)
        free = fields.flag(info, "overclockEnabled") or False
        frequency, voltage = fields.number(info, "frequency"), fields.number(info, "coreVoltage")
        found = (
            option_range("frequency", "Hz", megahertz, numbers(asic.get("frequencyOptions")), frequency, free=free),
            option_range("core_voltage", "V", millivolts, numbers(asic.get("voltageOptions")), voltage, free=free),
        )
        return tuple(one for one in found if one is not None)

    def set_tuning(self, values: Mapping[str, float], context: CommandContext) -> Plan:
        body: dict[str, Any] = {}
        if "frequency" in values:
            body["frequency"] = plain(values["frequency"] / 1e6)
        if "core_voltage" in values:
            body["coreVoltage"] = round(values["core_voltage"] * 1e3)  # "voltage" is ignored
        effect = "The miner runs its chips at another frequency or voltage at once."
        return settings_plan(effect, lambda _: body, also=_clock_is_there)

    def offer_reads(self, command: str, context: CommandContext) -> tuple[Request, ...]:
        return (axeos.INFO,) if command == "fan" and not older_than(context, _TAKES_SINGLE_SETTINGS) else ()

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        """From the least duty that the device keeps to when it steers its fan, where it tells one (since 2.10)."""
        if older_than(context, _TAKES_SINGLE_SETTINGS):
            return None
        info = axeos.info(context.answers) if axeos.INFO.key in context.answers else {}
        told = axeos.positive(info, "minFanSpeed")
        return LEAST_DUTY if told is None else percent(min(told, 100.0)), ratio(1.0)

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        if duty is None:
            return settings_plan("The miner steers its fan by itself.", lambda _: {"autofanspeed": 1})
        shown = round(float(duty) * 100)

        def body(info: Settings) -> Settings:
            # The vendor's description names the old key only, which newer firmware ignores.
            key = "manualFanSpeed" if "manualFanSpeed" in info else "fanspeed"
            return {"autofanspeed": 0, key: shown}

        return settings_plan(f"The fan runs at {shown} %.", body)

    def pool_rules(self, context: CommandContext) -> PoolRules:
        """Slot 0 is the pool in use, slot 1 the fallback (since 2.3); encryption since 2.13."""
        if older_than(context, _TAKES_SINGLE_SETTINGS):
            return PoolRules(slots=0)
        schemes = ("stratum+tcp", "stratum+ssl") if at_least(context, (2, 13)) else ("stratum+tcp",)
        slots = 2 if at_least(context, (2, 3)) else 1
        return PoolRules(slots=slots, schemes=schemes, longest_user=127, restarts=True)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        host, port = place(setting.url)
        return Plan(
            effect=f"{pool_name(setting.slot)} becomes {host}:{port}; the miner restarts for that.",
            reads=(axeos.INFO,),
            writes=lambda answers: (
                Write(patch(pool_settings(axeos.info(answers), setting)), repeatable=True),
                Write(RESTART, answers=False),
            ),
            confirm_reads=(axeos.INFO,),
            confirmed=lambda evidence: restarted(evidence) and has_pool(axeos.info(evidence.answers), setting),
            limit_seconds=RESTART_SECONDS,
            settle_seconds=RESTART_SETTLE_SECONDS,
            goes_away=True,
        )


def patch(body: Settings) -> HttpRequest:
    """A change of settings."""
    return settings_request(SETTINGS_PATH, body)


def restart_plan(effect: str) -> Plan:
    """Restart, and see the uptime counted anew."""
    return Plan(
        effect=effect,
        writes=lambda _: (Write(RESTART, answers=False),),
        confirmed=restarted,
        limit_seconds=RESTART_SECONDS,
        settle_seconds=RESTART_SETTLE_SECONDS,
        goes_away=True,
    )


def settings_plan(
    effect: str, body: Callable[[Settings], Settings], *, also: Callable[[Settings, Settings], bool] | None = None
) -> Plan:
    """Change settings that take effect at once and that the device tells under the same keys.

    Args:
        body: the settings, from what the device tells now.
        also: what must hold besides, of what the device tells afterwards and the settings.
    """

    def confirmed(evidence: Evidence) -> bool:
        info = axeos.info(evidence.answers)
        wanted = body(info)
        return all(tells(info, key, float(value)) for key, value in wanted.items()) and (
            also is None or also(info, wanted)
        )

    return Plan(
        effect=effect,
        reads=(axeos.INFO,),
        writes=lambda answers: (Write(patch(body(axeos.info(answers))), repeatable=True),),
        confirm_reads=(axeos.INFO,),
        confirmed=confirmed,
    )


def tells(info: Settings, key: str, wanted: float) -> bool:
    """Whether the device tells a setting as wanted; flags are 0 and 1 in some releases, percent may be rounded."""
    value = info.get(key)
    told = float(value) if isinstance(value, bool) else fields.number(info, key)
    return told is not None and abs(told - wanted) < 0.5


def _clock_is_there(info: Settings, wanted: Settings) -> bool:
    """Whether the chips run at the wanted frequency, where the device tells (since 2.15) and is not stopped."""
    actual, frequency = axeos.positive(info, "actualFrequency"), wanted.get("frequency")
    return actual is None or frequency is None or abs(actual - frequency) <= _CLOCK_TOLERANCE * frequency


def _check_greeting(answers: Answers, key: str) -> None:
    answer = answers.get(key)
    if answer is not None and b"no longer" in answer.body:
        raise CommandRefused("the miner was saying hello already, and has stopped now; ask again")


def _pausing(command: str, effect: str, context: CommandContext) -> Plan:
    if not at_least(context, (2, 14)):
        raise CommandRefused("this firmware cannot pause; AxeOS can from 2.14 on")
    request = HttpRequest(f"/api/system/{command}", method="POST")
    return Plan(
        effect=effect,
        writes=lambda _: (Write(request, repeatable=True),),
        confirm_reads=(axeos.INFO,),
        confirmed=lambda evidence: fields.flag(axeos.info(evidence.answers), "miningPaused") is (command == "pause"),
    )
