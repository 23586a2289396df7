"""Commands of NMMiner and NMAxe.

Sources: the NMMiner wiki (HTTP, 2.x), NMController's README and source (UDP, 0.3 to 1.x), `nmaxe_commands`.

The old firmware is told its settings in one datagram, in which the vendor's program sends the Wi-Fi's name and password
as well. Neither can be read back, so only the three keys of the pool are sent (as other software does, without harm
that is known of): wrong Wi-Fi settings would lose the miner, and no password of a network travels in clear. No answer
comes; the pool that the miner says it uses tells whether it obeyed. "IP" names the one miner that is meant; "0.0.0.0"
would mean all of them.
"""

from __future__ import annotations

import json
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
    UdpRequest,
    Write,
)
from exporter.drivers.families import nmaxe_commands as nmaxe
from exporter.drivers.families.axeos_commands import restart_plan
from exporter.drivers.families.esp_commands import restarted, settings_request
from exporter.model import Reading
from exporter.text import pool_name
from exporter.units import Ratio

SETTINGS_PORT: Final = 12347
#: As the vendor's own program sends it: ten times, a tenth of a second apart.
_REPEAT: Final = 10
_MINING: Final = HttpRequest("/api/setting/mining")
_NAMES: Final = ("Primary", "Secondary")
#: Messages come every few seconds; the miner has to leave one pool and find the other.
_POOL_SECONDS: Final = 60.0


class NMMinerCommands:
    """The commands of all three interfaces, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        _check_http(context)
        return restart_plan("The miner restarts and mines again in about a minute.")

    def pause(self, context: CommandContext) -> Plan:
        _check_axe(context, "pause")
        return nmaxe.pause_plan(context, paused=True)

    def resume(self, context: CommandContext) -> Plan:
        _check_axe(context, "pause")
        return nmaxe.pause_plan(context, paused=False)

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        """The screen flashes. Nothing tells of it afterwards, so the answer counts."""
        _check_http(context)
        if not on:
            raise CommandRefused("the miner stops flashing by itself, or at a touch of its button")
        return Plan(
            effect="The miner flashes its screen and its light for a while.",
            writes=lambda _: (Write(nmaxe.FIND, repeatable=True),),
            confirmed=lambda _: True,
            visible=False,
        )

    def tuning_reads(self, context: CommandContext) -> tuple[Request, ...]:
        _check_axe(context, "take a frequency or a voltage")
        return nmaxe.tuning_reads(context)

    def decode_tuning(self, answers: Answers, context: CommandContext) -> tuple[TuningRange, ...]:
        return nmaxe.decode_tuning(answers)

    def set_tuning(self, values: Mapping[str, float], context: CommandContext) -> Plan:
        _check_axe(context, "take a frequency or a voltage")
        return nmaxe.tuning_plan(values)

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        return nmaxe.fan_range(context) if _is_axe(context) else None

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        _check_axe(context, "take a fan speed")
        return nmaxe.fan_plan(duty)

    def pool_rules(self, context: CommandContext) -> PoolRules:
        """Both pools over HTTP; over UDP the first one only, since no message tells of the second."""
        if _is_axe(context):
            return nmaxe.pool_rules(context)
        if _is_udp(context):
            # NMAxe tells its state like that too, but does not listen.
            model = context.decode.identity.model or ""
            return PoolRules(slots=0 if "axe" in model.lower() else 1, longest_user=127)
        return PoolRules(slots=2, schemes=("stratum+tcp", "stratum+ssl"), longest_user=127)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        if _is_axe(context):
            return nmaxe.pool_plan(setting)
        return _pool_by_datagram(setting, context) if _is_udp(context) else _pool_over_http(setting)


def _pool_over_http(setting: PoolSetting) -> Plan:
    """The settings are told back; the first pool must also be the one in use."""
    body = _pool_keys(setting)

    def confirmed(evidence: Evidence) -> bool:
        told = fields.as_table(evidence.answers.document(_MINING.key), _MINING.key)
        kept = all(told.get(key) == value for key, value in body.items() if not key.endswith("Password"))
        return kept and (setting.slot > 0 or _mines_to(evidence.after, setting))

    return Plan(
        effect=f"{pool_name(setting.slot)} becomes {setting.url}.",
        writes=lambda _: (Write(settings_request(_MINING.path, body, "POST"), repeatable=True),),
        confirm_reads=(_MINING,),
        confirmed=confirmed,
        limit_seconds=_POOL_SECONDS,
    )


def _pool_by_datagram(setting: PoolSetting, context: CommandContext) -> Plan:
    address = context.address
    if address is None or address == "0.0.0.0":  # noqa: S104 - the address that must not be named
        raise CommandRefused("the miner's address is not known")
    body = json.dumps({"IP": address, **_pool_keys(setting)}).encode()

    def confirmed(evidence: Evidence) -> bool:
        """A change of the user alone shows in no message: then only a restart tells that something was taken."""
        was_there = evidence.before is not None and _mines_to(evidence.before, setting)
        return _mines_to(evidence.after, setting) and (not was_there or restarted(evidence))

    return Plan(
        effect=f"The miner's first pool becomes {setting.url}; nothing else is sent.",
        writes=lambda _: (Write(UdpRequest(SETTINGS_PORT, body, repeat=_REPEAT)),),
        confirmed=confirmed,
        limit_seconds=_POOL_SECONDS,
    )


def _pool_keys(setting: PoolSetting) -> dict[str, Any]:
    name = _NAMES[setting.slot]
    return {f"{name}Pool": setting.url, f"{name}Address": setting.user, f"{name}Password": setting.password}


def _mines_to(reading: Reading, setting: PoolSetting) -> bool:
    """Whether the pool in use is the one that was set; devices write it with and without the scheme."""
    wanted = setting.url.partition("://")[2]
    used = [pool.url for pool in reading.pools if pool.active and pool.url is not None]
    return any(url.rpartition("://")[2] == wanted for url in used)


def _is_udp(context: CommandContext) -> bool:
    return context.decode.details.get("api") == "udp"


def _is_axe(context: CommandContext) -> bool:
    return not _is_udp(context) and context.decode.identity.make == "NMAxe"


def _check_http(context: CommandContext) -> None:
    if _is_udp(context):
        raise CommandRefused("this firmware only takes a pool; NMMiner takes more from 2.0 on")


def _check_axe(context: CommandContext, what: str) -> None:
    if not _is_axe(context):
        raise CommandRefused(f"NMMiner cannot {what}; NMAxe can")
