"""Commands of Bitmain's own firmware, over its web interface: restart, sleep, modes, light, pools, fans.

Sources: captured settings and answers (S19, KS5 Pro), and how other programs write them (asic-rs #120, pyasic,
Foreman, proto-fleet). POST set_miner_conf.cgi takes a JSON object with the keys of the settings page: `pools`,
`bitmain-fan-ctrl`, `bitmain-fan-pwm`, `freq-level` and `miner-mode`, which GET get_miner_conf.cgi shows under the same
names or as `bitmain-freq-level` and `bitmain-work-mode`. What is not to change is written back as it was read. Every
such write restarts the mining process. Firmware of before the S19 takes a form with other names, which is not written
here: a part that is left out would be lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, Auth, HttpRequest, Request
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, PoolRules, PoolSetting, Write
from exporter.drivers.families import bitmain_cgi as cgi
from exporter.drivers.families.bitmain_units import MODES, SLEEP, work_mode
from exporter.drivers.families.cgminer_records import told
from exporter.drivers.families.pool_entries import EMPTY_POOL, is_starred, same_pool
from exporter.errors import DecodeError
from exporter.model import Reading
from exporter.text import pool_name
from exporter.units import Ratio, ratio

REBOOT: Final = "/cgi-bin/reboot.cgi"
SET_CONF: Final = "/cgi-bin/set_miner_conf.cgi"
SET_BLINK: Final = "/cgi-bin/blink.cgi"
CONF: Final = HttpRequest(cgi.CONF, auth=Auth.DIGEST)
BLINK: Final = HttpRequest(cgi.BLINK, auth=Auth.DIGEST)
#: Asked before a restart: a wrong password, or no web interface at all, is found before anything is sent.
_SYSTEM: Final = HttpRequest(cgi.SYSTEM, auth=Auth.DIGEST)
_CODES: Final[Mapping[str, int]] = {name: code for code, name in MODES.items()}
#: What is remembered: the mode before a sleep.
_AWAKE_MODE: Final = "awake_mode"
_NAMELESS: Final = "another"
_SLOTS: Final = 3
#: The settings page takes less, and so would stop the air of a miner of 3 kW; VNish on the same boards takes no less.
_LEAST_DUTY: Final = ratio(0.1)
_RESTART_SECONDS: Final = 240.0
_CONF_SECONDS: Final = 120.0


class AntminerCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        _refuse_where(_foreign(context))
        return Plan(
            effect="The miner reboots and hashes again in some minutes.",
            reads=(_SYSTEM,),
            writes=lambda _: (Write(_post(REBOOT), answers=False),),
            check=_refuse_errors,
            confirmed=_restarted,
            limit_seconds=_RESTART_SECONDS,
            settle_seconds=5.0,
            goes_away=True,
        )

    def offer_reads(self, command: str, context: CommandContext) -> tuple[Request, ...]:
        """The mode of now: the last reading may have it from the slow part of a poll, a minute ago."""
        return (CONF,) if command in ("pause", "resume", "mode") and _obstacle(context) is None else ()

    def pause(self, context: CommandContext) -> Plan:
        return _mode_plan(
            "The miner sleeps: it stops hashing and stays on the network until it is resumed.", SLEEP, context
        )

    def resume(self, context: CommandContext) -> Plan:
        """Back into the mode before the sleep, which the miner forgets: it is never to take more power than before."""
        _refuse_where(_obstacle(context))
        now = _mode_now(context)
        if now is not None and now != SLEEP:
            return _awake_already(now)
        former = context.remembered.get(_AWAKE_MODE)
        mode = former if isinstance(former, str) and former in _CODES and former != SLEEP else "normal"
        return _mode_plan(f"The miner wakes up in its {_shown(mode)} mode and hashes in some minutes.", mode, context)

    def supported_modes(self, context: CommandContext) -> tuple[str, ...]:
        return tuple(_CODES) if _obstacle(context) is None else ()

    def set_mode(self, mode: str, context: CommandContext) -> Plan:
        if mode not in _CODES:
            raise CommandRefused(f"there is no mode {mode}; the miner has {', '.join(_CODES)}")
        return _mode_plan(f"The miner restarts its mining in its {_shown(mode)} mode.", mode, context)

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        _refuse_where(_obstacle(context))
        return Plan(
            effect=f"The light on the miner's control board {'blinks' if on else 'stops blinking'}.",
            writes=lambda _: (Write(_post(SET_BLINK, {"blink": on}), repeatable=True),),
            check=_refuse_errors,
            confirm_reads=(BLINK,),
            confirmed=lambda evidence: cgi.decode_blink(evidence.answers.document(BLINK.key)).fault_light is on,
        )

    def pool_rules(self, context: CommandContext) -> PoolRules:
        return PoolRules(slots=_SLOTS if _obstacle(context) is None else 0, restarts=True)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        place = setting.url.partition("://")[2]
        return _conf_plan(
            f"{pool_name(setting.slot)} becomes {place}; the miner restarts its mining for that.",
            lambda conf: {"pools": _with_pool(_pools(conf), setting)},
            lambda conf, _: _has_pool(conf, setting, place),
            context,
            slot=setting.slot,
        )

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        """Nothing where no fan turns: in a liquid, or asleep."""
        if _obstacle(context) is not None or context.reading is None or not context.reading.fans:
            return None
        return _LEAST_DUTY, ratio(1.0)

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        change: dict[str, Any] = {"bitmain-fan-ctrl": duty is not None}
        if duty is not None:
            change["bitmain-fan-pwm"] = str(round(float(duty) * 100))
        how = "steers its fans by itself" if duty is None else f"runs its fans at {change['bitmain-fan-pwm']} %"
        return _conf_plan(
            f"The miner {how}; it restarts its mining for that.",
            lambda conf: _known(conf, change),
            lambda conf, _: _has_fan(conf, change),
            context,
        )


# --- what the device can do ---------------------------------------------------------------------------------------


def _foreign(context: CommandContext) -> str | None:
    """VNish 3.x is polled by the same driver; nothing is known of its writes."""
    firmware = context.decode.identity.firmware
    known = firmware in (None, "Bitmain")
    return None if known else f"{firmware} is only read; commands are sent to Bitmain's own firmware"


def _obstacle(context: CommandContext) -> str | None:
    """Why the settings cannot be written now.

    The light's state and the mode are told by the newer web interface only, and only to who has the password.
    """
    foreign = _foreign(context)
    if foreign is not None:
        return foreign
    reading = context.reading or Reading()
    if reading.fault_light is None or reading.work_mode is None:
        return (
            "the miner's web interface does not tell its settings: its password is not known, or its firmware is older "
            "than that of the S19"
        )
    return None


def _mode_now(context: CommandContext) -> str | None:
    """The mode by the settings where they were asked for, else by the last reading."""
    conf = context.answers.optional_document(CONF.key)
    if conf is not None:
        return work_mode(fields.as_table(conf, CONF.key), CONF.key)
    return None if context.reading is None else context.reading.work_mode


def _shown(mode: str) -> str:
    return mode.replace("_", " ")


def _refuse_where(obstacle: str | None) -> None:
    if obstacle is not None:
        raise CommandRefused(obstacle)


# --- plans --------------------------------------------------------------------------------------------------------


def _post(path: str, content: Mapping[str, Any] | None = None) -> HttpRequest:
    body = None if content is None else json.dumps(content).encode()
    return HttpRequest(path, method="POST", body=body, auth=Auth.DIGEST)


def _refuse_errors(answers: Answers) -> None:
    """Raise `CommandRefused` for ``{"stats": "error", "code": "M001", "msg": "..."}`` and ``{"success": false}``."""
    asked = answers.keys()
    for key in asked:
        try:
            document = answers.document(key)
        except DecodeError:
            continue  # a page or nothing: the status tells
        if not isinstance(document, dict):
            continue
        said = told(document, "stats", key)
        if (said is not None and said.lower() != "success") or document.get("success") is False:
            words = (told(document, name, key, 200) for name in ("msg", "code"))
            raise CommandRefused(" ".join(word for word in words if word) or "the miner says no")


def _restarted(evidence: Evidence) -> bool:
    """Mining for a shorter time than before.

    One that did not mine, or had only just begun to, must have been away.
    """
    before = None if evidence.before is None else evidence.before.mining_uptime
    after = evidence.after.mining_uptime
    if after is None:
        return False
    return (before is not None and after < before) or (evidence.went_away and after <= _RESTART_SECONDS)


def _mode_plan(effect: str, mode: str, context: CommandContext) -> Plan:
    code, now = _CODES[mode], _mode_now(context)

    def seen(conf: Mapping[str, Any], after: Reading) -> bool:
        return work_mode(conf, CONF.key) == mode and (mode != SLEEP or not after.hashrate)

    plan = _conf_plan(effect, lambda conf: _mode_keys(conf, code), seen, context)
    if mode != SLEEP:
        return replace(plan, remember={_AWAKE_MODE: None})  # it tells its mode itself again
    if now is None or now == SLEEP:
        return plan
    # One that has no name here takes the place of an older one all the same, which would be the wrong one.
    return replace(plan, remember={_AWAKE_MODE: now if now in _CODES else _NAMELESS})


def _awake_already(mode: str) -> Plan:
    """Nothing is sent: the mining would restart for it."""
    return Plan(
        effect=f"The miner is awake already, in its {_shown(mode)} mode: nothing is sent.",
        writes=lambda _: (),
        confirm_reads=(CONF,),
        confirmed=lambda evidence: work_mode(_conf(evidence.answers), CONF.key) not in (None, SLEEP),
        remember={_AWAKE_MODE: None},
    )


def _conf_plan(
    effect: str,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    seen: Callable[[Mapping[str, Any], Reading], bool],
    context: CommandContext,
    *,
    slot: int | None = None,
) -> Plan:
    """Write the settings back with a change.

    Args:
        change: the keys that become different, from the settings as they are.
        seen: whether the settings and the reading of afterwards show it.
        slot: the pool that is replaced, if any.
    """
    _refuse_where(_obstacle(context))

    def writes(answers: Answers) -> tuple[Write, ...]:
        conf = _conf(answers)
        # Not sent twice: the mining restarts for it, and the device often answers too late.
        return (Write(_post(SET_CONF, {**_page_keys(conf, slot), **change(conf)})),)

    def confirmed(evidence: Evidence) -> bool:
        try:
            conf = _conf(evidence.answers)
        except DecodeError:
            return False  # while the mining restarts, the page may be cut short
        return seen(conf, evidence.after)

    return Plan(
        effect=effect,
        reads=(CONF,),
        writes=writes,
        check=_refuse_errors,
        confirm_reads=(CONF,),
        confirmed=confirmed,
        limit_seconds=_CONF_SECONDS,
        settle_seconds=3.0,
        goes_away=True,
    )


# --- settings -----------------------------------------------------------------------------------------------------


def _conf(answers: Answers) -> dict[str, Any]:
    return fields.as_table(answers.document(CONF.key), CONF.key)


def _page_keys(conf: Mapping[str, Any], slot: int | None) -> dict[str, Any]:
    """The settings under the names they are written by, all as they were read."""
    page = {key: conf[key] for key in ("bitmain-fan-ctrl", "bitmain-fan-pwm") if key in conf}
    for key in ("freq-level", "bitmain-freq-level"):
        if key in conf:
            page["freq-level"] = conf[key]
            break
    code = next((fields.count(conf, key, CONF.key) for key in ("miner-mode", "bitmain-work-mode") if key in conf), None)
    if code is None:
        raise CommandRefused("the miner's settings are of an older kind, which is not written")
    pools = _pools(conf)
    if any(is_starred(pool.get("pass")) for number, pool in enumerate(pools) if number != slot):
        raise CommandRefused("the miner hides the passwords of its pools, so that they would be lost")
    return {**page, **_mode_keys(conf, int(code)), "pools": pools}


def _mode_keys(conf: Mapping[str, Any], code: int) -> dict[str, Any]:
    """The page writes `miner-mode`; firmware that shows the other name takes both."""
    keys = {"miner-mode": code}
    return {**keys, "bitmain-work-mode": code} if "bitmain-work-mode" in conf else keys


def _pools(conf: Mapping[str, Any]) -> list[dict[str, Any]]:
    pools = fields.tables(conf, "pools", CONF.key)
    if not pools:
        raise CommandRefused("the miner does not tell its pools, so that they would be lost")
    return [dict(pool) for pool in pools]


def _with_pool(pools: list[dict[str, Any]], setting: PoolSetting) -> list[dict[str, Any]]:
    pools += [dict(EMPTY_POOL) for _ in range(setting.slot + 1 - len(pools))]
    pools[setting.slot] = {"url": setting.url, "user": setting.user, "pass": setting.password}
    return pools


def _has_pool(conf: Mapping[str, Any], setting: PoolSetting, place: str) -> bool:
    pools = _pools(conf)
    entry = pools[setting.slot] if setting.slot < len(pools) else {}
    return same_pool(told(entry, "url", CONF.key, 255), told(entry, "user", CONF.key, 255), place, setting.user)


def _known(conf: Mapping[str, Any], change: Mapping[str, Any]) -> Mapping[str, Any]:
    missing = [key for key in change if key not in conf]
    if missing:
        raise CommandRefused(f"the miner's settings have no {missing[0]}")
    return change


def _has_fan(conf: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    if fields.flag(conf, "bitmain-fan-ctrl", CONF.key) is not change["bitmain-fan-ctrl"]:
        return False
    wanted = change.get("bitmain-fan-pwm")
    return wanted is None or fields.count(conf, "bitmain-fan-pwm", CONF.key) == float(wanted)
