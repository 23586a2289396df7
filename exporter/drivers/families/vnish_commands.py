"""Commands of VNish: mining restarted, stopped and started, the light, presets, fans, pools.

Sources: the vendor's OpenAPI descriptions 1.2.6, 1.2.7 and 1.3.4 (an API key signs every request here, and GET
/settings takes nothing else); captured answers; other programs' findings: pyasic #245 (/settings says yes also where
nothing changes), asic-rs #284 (an untuned preset starts a tuning run), and that /find-miner of 1.2 may toggle whatever
it is told. So the state is read before, and the effect after; and which presets are tuned, how slow the fans may run
and how they are steered is asked of the miner itself when a command is offered or sent.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, HttpRequest, Request
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, PoolRules, PoolSetting, Write
from exporter.drivers.families import vnish_telemetry as telemetry
from exporter.drivers.families.cgminer_records import told
from exporter.drivers.families.vnish_settings import (
    LIMITS,
    POOLS,
    PRESETS,
    SETTINGS,
    STATUS,
    fan_plan,
    least_duty,
    pool_plan,
    post,
    preset_plan,
    refuse_errors,
    usable,
)
from exporter.model import MinerState, Preset
from exporter.units import Ratio, ratio

_RELEASE: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})")
_WORKING: Final = frozenset({MinerState.STARTING, MinerState.TUNING, MinerState.MINING})
_STANDING_STILL: Final = frozenset({MinerState.STARTING, MinerState.IDLE, MinerState.CURTAILED, MinerState.FAULT})
_GOING_DOWN: Final = frozenset({"restarting", "shutting-down"})
#: Until a miner that was starting when it was told to mines: its boards come up one after the other.
_RESTART_SECONDS: Final = 300.0
_STATE_SECONDS: Final = 90.0


class VnishCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        """The mining process; the control board, and with it the API, stays up."""
        return Plan(
            effect="The miner restarts its mining and hashes again in some minutes; its control board stays on.",
            writes=lambda _: (Write(post("mining/restart")),),
            check=refuse_errors,
            confirm_reads=(STATUS,),
            confirmed=_mines_anew,
            limit_seconds=_RESTART_SECONDS,
        )

    def pause(self, context: CommandContext) -> Plan:
        """By /mining/stop: /mining/pause goes to the mining process and fails where that does not run."""
        return Plan(
            effect="The miner stops hashing until it is resumed; its control board stays on.",
            writes=lambda _: (Write(post("mining/stop")),),
            check=refuse_errors,
            confirmed=lambda evidence: evidence.after.state is MinerState.CURTAILED,
            limit_seconds=_STATE_SECONDS,
        )

    def resume(self, context: CommandContext) -> Plan:
        return Plan(
            effect="The miner starts to mine and hashes in some minutes.",
            writes=lambda _: (Write(post("mining/start")),),
            check=refuse_errors,
            confirmed=lambda evidence: evidence.after.state in _WORKING,
            limit_seconds=_STATE_SECONDS,
        )

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        word = "blinks" if on else "stops blinking"
        newer = _release(context.decode.identity.firmware_version) >= (1, 3)
        request = post("locate-miner", {"is_enabled": on}) if newer else post("find-miner", {"on": on})
        return Plan(
            effect=f"The light on the miner's control board {word}.",
            reads=(STATUS,),
            writes=functools.partial(_light_writes, request, on),
            check=refuse_errors,
            confirm_reads=(STATUS,),
            confirmed=lambda evidence: _light(evidence.answers) is on,
        )

    def offer_reads(self, command: str, context: CommandContext) -> tuple[Request, ...]:
        """Which presets are tuned is a fact of one miner, and so is how its fans are steered."""
        if command == "preset":
            return (PRESETS,)
        return (LIMITS, SETTINGS) if command == "fan" and _has_fans(context) else ()

    def list_presets(self, context: CommandContext) -> tuple[Preset, ...]:
        listed = context.answers.optional_document(PRESETS.key)
        return () if listed is None else telemetry.decode_presets(listed)

    def apply_preset(self, name: str, context: CommandContext) -> Plan:
        return preset_plan(usable(name, self.list_presets(context)))

    def pool_rules(self, context: CommandContext) -> PoolRules:
        return PoolRules(slots=POOLS)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        return pool_plan(setting)

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        """Nothing where no fan turns; else from the device's own least duty on."""
        return (least_duty(context.answers), ratio(1.0)) if _has_fans(context) else None

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        return fan_plan(duty, context)


def _release(version: str | None) -> tuple[int, int]:
    """Major and minor; of an unknown version that of the oldest API."""
    match = _RELEASE.match(version or "")
    return (1, 2) if match is None else (int(match[1]), int(match[2]))


def _has_fans(context: CommandContext) -> bool:
    return context.reading is not None and bool(context.reading.fans)


def _mines_anew(evidence: Evidence) -> bool:
    """On the way down or up, or mining for a shorter time than before.

    One that was starting already when it was told can be seen by its mining only: that has begun since.
    """
    before, after = evidence.before, evidence.after
    status = fields.as_table(evidence.answers.document(STATUS.key), STATUS.key)
    if told(status, "miner_state", STATUS.key) in _GOING_DOWN:
        return True
    if after.state is MinerState.STARTING:
        return before is None or before.state is not MinerState.STARTING
    if after.mining_uptime is None:
        return False
    if before is not None and before.mining_uptime is not None and after.mining_uptime < before.mining_uptime:
        return True
    stood_still = before is not None and before.state in _STANDING_STILL and after.state is MinerState.MINING
    return (stood_still or evidence.went_away) and after.mining_uptime <= _RESTART_SECONDS


def _light(answers: Answers) -> bool | None:
    return telemetry.decode_lamp(answers.document(STATUS.key)).fault_light


def _light_writes(request: HttpRequest, on: bool, answers: Answers) -> tuple[Write, ...]:
    """Nothing where the light does so already: 1.2 may toggle it."""
    now = _light(answers)
    if now is None:
        raise CommandRefused("the miner does not tell whether its light blinks")
    return () if now is on else (Write(request),)
