"""Commands of Avalon miners, as text over port 4028: restart, standby, modes, fan, locate light, pools.

Sources: Canaan Avalon_Nano3s vendor source (driver-avalon.c, api.c), Canaan's API manual of the A10, cgminer's
driver-avalon8.c for controllers of the A7 to A9, captured answers of a Q and a Nano 3S. A pool and an A series mode
take effect at a restart; the Nano 3 and 3S have no standby; home miners have no locate light.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final

from exporter.drivers.api import Answer, Answers, CgminerRequest
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, PoolRules, PoolSetting, Write
from exporter.drivers.families.cgminer_commands import (
    check_reply,
    last_reading,
    put_pool_first,
    restart_program,
    restarted,
    running_for,
)
from exporter.drivers.families.cgminer_records import reply_time
from exporter.model import MinerState, Reading
from exporter.protocols.cgminer import reply_status
from exporter.text import MAX_LABEL_LENGTH, clean_text, pool_name
from exporter.units import Ratio, ratio

#: A second restart sooner than this has put miners into a loop of restarts.
_COOL_DOWN_SECONDS: Final = 180.0
#: A Q needs nearly four minutes.
_RESTART_SECONDS: Final = 360.0
_MODE_SECONDS: Final = 60.0
_STANDBY_SECONDS: Final = 90.0
#: Standby begins and ends at a time by the miner's own clock.
_STANDBY_DELAY: Final = 5
_FAN_SECONDS: Final = 30.0
_LEAST_DUTY: Final = ratio(0.15)
#: A duty is told in whole percent and reached in steps.
_DUTY_TOLERANCE: Final = 0.02
_LEVELS: Final = ("low", "medium", "high")
_SLOTS: Final = 3
_LONGEST_USER: Final = 128
_LONGEST_LOGIN: Final = 64
_DEFAULT_USER: Final = "admin"
_CONTROLLER: Final = re.compile(r"AvalonMiner [6-9]\d\d\b")
_HOME: Final = re.compile(r"\b(?:q|mini ?\d?)\b")
_CALIBRATES: Final = ("caling", "calibrat")
_WRONG_LOGIN: Final = ("userpass err", "username err")
_CLOCK: Final = CgminerRequest("version")


class Product(enum.Enum):
    """What decides which commands a device knows."""

    NANO = "Nano"
    HOME = "Q or Mini"
    A_SERIES = "A10 to A15"
    CONTROLLER = "A7 to A9"


def find_product(context: CommandContext) -> Product | None:
    """None where the miner does not say what it is."""
    model = context.decode.identity.model or ""
    lower = model.lower()
    if "nano" in lower:
        return Product.NANO
    if _HOME.search(lower):
        return Product.HOME
    if _CONTROLLER.match(model):
        return Product.CONTROLLER
    return Product.A_SERIES if lower.startswith("avalon") else None


def product_of(context: CommandContext) -> Product:
    """As `find_product`, but raises `CommandRefused` where the product is not known."""
    product = find_product(context)
    if product is None:
        raise CommandRefused("the miner does not say which Avalon it is")
    return product


class AvalonCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        if product_of(context) is Product.CONTROLLER:
            return restart_program(context)
        _check_cool_down(context)
        return Plan(
            effect="The miner restarts and mines again within four minutes.",
            writes=lambda _: (_REBOOT,),
            confirmed=restarted,
            limit_seconds=_RESTART_SECONDS,
            settle_seconds=3.0,
            goes_away=True,
        )

    def pause(self, context: CommandContext) -> Plan:
        return _standby("softoff", "The miner stops hashing and stays on the network until it is resumed.", context)

    def resume(self, context: CommandContext) -> Plan:
        return _standby("softon", "The miner leaves standby and hashes again.", context)

    def identify_light(self, on: bool, context: CommandContext) -> Plan:
        """The locate light; a controller lights all its modules."""
        product, reading = product_of(context), last_reading(context)
        if product in (Product.NANO, Product.HOME):
            raise CommandRefused("this miner has no locate light; its light is decoration")
        lights = [("0", "1")] if product is Product.A_SERIES else _modules(reading)
        if not lights:
            raise CommandRefused("the controller tells of no module whose light could be lit")
        return Plan(
            effect=f"The miner's locate light goes {'on' if on else 'off'}.",
            writes=lambda _: tuple(_set(f"led,{number}-{int(on)}", device) for device, number in lights),
            confirmed=lambda evidence: evidence.after.fault_light is on,
        )

    def supported_modes(self, context: CommandContext) -> tuple[str, ...]:
        """The names that the reading uses; empty where the device tells no mode."""
        return () if context.reading is None else context.reading.work_modes

    def set_mode(self, mode: str, context: CommandContext) -> Plan:
        modes = self.supported_modes(context)
        if mode not in modes:
            raise CommandRefused(f"this miner has no mode {mode!r}; it has {', '.join(modes) or 'none'}")
        number, product = modes.index(mode), product_of(context)
        if product is Product.A_SERIES:
            return _mode_at_restart(mode, number, context)
        option = "worklevel" if modes == _LEVELS else "workmode"
        return Plan(
            effect=f"The miner works in the mode {mode!r}.",
            writes=lambda _: (_set(f"{option},set,{number}"),),
            confirmed=lambda evidence: evidence.after.work_mode == mode,
            limit_seconds=_MODE_SECONDS,
            settle_seconds=2.0,
        )

    def fan_range(self, context: CommandContext) -> tuple[Ratio, Ratio] | None:
        if context.reading is None or not context.reading.fans:
            return None
        return None if find_product(context) in (None, Product.CONTROLLER) else (_LEAST_DUTY, ratio(1.0))

    def set_fan(self, duty: Ratio | None, context: CommandContext) -> Plan:
        if self.fan_range(context) is None:
            raise CommandRefused("the fans of this miner cannot be set")
        if duty is None:
            # Nothing tells afterwards that it steers by itself: the answer counts.
            return Plan(
                effect="The miner steers its fans by itself.",
                writes=lambda _: (_set("fan-spd,-1"),),
                confirmed=lambda _: True,
                visible=False,
            )
        percent = round(float(duty) * 100)
        return Plan(
            effect=f"The fans run at {percent} %.",
            writes=lambda _: (_set(f"fan-spd,{percent}"),),
            confirmed=lambda evidence: _runs_at(evidence.after, percent / 100),
            limit_seconds=_FAN_SECONDS,
            settle_seconds=2.0,
        )

    def pool_rules(self, context: CommandContext) -> PoolRules:
        product = find_product(context)
        if product is None or product is Product.CONTROLLER:
            return PoolRules(0 if product is None else 1, longest_url=MAX_LABEL_LENGTH, longest_user=MAX_LABEL_LENGTH)
        return PoolRules(_SLOTS, longest_url=MAX_LABEL_LENGTH, longest_user=_LONGEST_USER, restarts=True)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        if product_of(context) is Product.CONTROLLER:
            return put_pool_first(setting, context)
        _check_cool_down(context)
        request = _setpool(setting, context)
        secrets = tuple(filter(None, (context.web_password, setting.password)))
        return Plan(
            effect=f"{pool_name(setting.slot)} becomes {setting.url.partition('://')[2]}; the miner restarts for that.",
            writes=lambda _: (
                Write(request, repeatable=True, check=lambda answer: _check_pool(answer, secrets)),
                _REBOOT,
            ),
            confirmed=lambda evidence: restarted(evidence) and _has_pool(evidence.after, setting),
            limit_seconds=_RESTART_SECONDS,
            settle_seconds=3.0,
            goes_away=True,
        )


# --- requests -----------------------------------------------------------------------------------------------------


def _set(setting: str, device: str = "0") -> Write:
    """``ascset|0,...``: what sets a state may be sent twice."""
    return Write(CgminerRequest("ascset", f"{device},{setting}", text=True), repeatable=True, check=_check_set)


def _check_set(answer: Answer) -> None:
    status = reply_status(answer.document)
    words = (status.message if status is not None else None) or ""
    if status is not None and status.letter in ("E", "F") and any(mark in words.lower() for mark in _CALIBRATES):
        raise CommandRefused(f"{clean_text(words)}: the miner calibrates its chips; try again when it is done")
    check_reply(answer)


#: It goes away at once, mostly without an answer.
_REBOOT: Final = Write(CgminerRequest("ascset", "0,reboot,0", text=True), answers=False, check=_check_set)


def _setpool(setting: PoolSetting, context: CommandContext) -> CgminerRequest:
    """The firmware parts its six values at commas and knows no way to write one inside a value.

    Raises:
        CommandRefused: a value cannot be sent, or the web password is not known.
    """
    user, password = context.web_username or _DEFAULT_USER, context.web_password
    if not password:
        raise CommandRefused("the miner takes a pool with its web password only; store that under its credentials")
    values: Mapping[str, tuple[str, int]] = {
        "the miner's web user": (user, _LONGEST_LOGIN),
        "the miner's web password": (password, _LONGEST_LOGIN),
        "the pool's address": (setting.url, 384),
        "the pool's user": (setting.user, _LONGEST_USER),
        "the pool's password": (setting.password, _LONGEST_USER),
    }
    for name, (value, longest) in values.items():
        if "," in value:
            raise CommandRefused(f"{name} holds a comma, which this firmware cannot take")
        if len(value.encode()) > longest:
            raise CommandRefused(f"{name} is longer than the {longest} bytes that this firmware takes")
    parameter = ",".join((user, password, str(setting.slot), setting.url, setting.user, setting.password))
    return CgminerRequest("setpool", parameter, text=True, private=True)


def _check_pool(answer: Answer, secrets: tuple[str, ...]) -> None:
    """Only a plain yes may be followed by the restart. Its words hold the pool's password, so nobody sees them."""
    status = reply_status(answer.document)
    words = ((status.message if status is not None else None) or "").lower()
    if any(mark in words for mark in _WRONG_LOGIN):
        raise CommandRefused("the miner refused its web password; correct it under its credentials")
    check_reply(answer, secrets)
    if status is None:
        raise CommandRefused("the miner's answer to the new pool cannot be read; it was not restarted")


# --- plans -------------------------------------------------------------------------------------------------------


def _standby(option: str, effect: str, context: CommandContext) -> Plan:
    product = product_of(context)
    if product in (Product.NANO, Product.CONTROLLER):
        raise CommandRefused("this miner has no standby; it can be restarted, and its mode can be changed")

    def writes(answers: Answers) -> tuple[Write, ...]:
        # The miner's clock may count from its start, or run wrong: only its own time will do.
        now = reply_time(answers.document(_CLOCK.key))
        if now is None:
            raise CommandRefused("the miner does not tell its time, by which standby is set")
        request = CgminerRequest("ascset", f"0,{option},1:{int(now) + _STANDBY_DELAY}", text=True)
        # Some wake up without an answer.
        return (Write(request, repeatable=True, answers=option == "softoff", check=_check_set),)

    return Plan(
        effect=effect,
        reads=(_CLOCK,),
        writes=writes,
        confirmed=_sleeps if option == "softoff" else _awake,
        limit_seconds=_STANDBY_SECONDS,
        settle_seconds=float(_STANDBY_DELAY),
    )


def _mode_at_restart(mode: str, number: int, context: CommandContext) -> Plan:
    _check_cool_down(context)
    return Plan(
        effect=f"The miner restarts and then works in the mode {mode!r}.",
        writes=lambda _: (_set(f"workmode,{number}"), _REBOOT),
        confirmed=lambda evidence: restarted(evidence) and evidence.after.work_mode == mode,
        limit_seconds=_RESTART_SECONDS,
        settle_seconds=3.0,
        goes_away=True,
    )


def _check_cool_down(context: CommandContext) -> None:
    running = running_for(last_reading(context))
    if running is not None and running < _COOL_DOWN_SECONDS:
        raise CommandRefused(
            f"the miner restarted {running:.0f} s ago; a second restart within {_COOL_DOWN_SECONDS:.0f} s can put it "
            f"into a loop, so wait {_COOL_DOWN_SECONDS - running:.0f} s"
        )


# --- effects -----------------------------------------------------------------------------------------------------


def _sleeps(evidence: Evidence) -> bool:
    return evidence.after.state is MinerState.IDLE and evidence.after.expected_mining is False


def _awake(evidence: Evidence) -> bool:
    return evidence.after.expected_mining is True and evidence.after.state is not MinerState.IDLE


def _runs_at(reading: Reading, duty: float) -> bool:
    duties = [fan.duty for fan in reading.fans if fan.duty is not None]
    return bool(duties) and all(abs(one - duty) <= _DUTY_TOLERANCE for one in duties)


def _has_pool(reading: Reading, setting: PoolSetting) -> bool:
    """In its slot; slots without a pool are left out of the count, so a pool behind them has another number."""
    placed = [pool for pool in reading.pools if pool.pool == str(setting.slot)] or reading.pools
    return any((pool.url, pool.user) == (setting.url, setting.user) for pool in placed)


def _modules(reading: Reading) -> list[tuple[str, str]]:
    """(bus adapter, module) of each box behind a controller; boards are named "3" or "1-3"."""
    parts = [board.board.rpartition("-") for board in reading.boards]
    return [(adapter or "0", number) for adapter, _, number in parts]
