"""What an Avalon lets be changed over its open port, and how (Canaan Nano3s vendor source: driver-avalon.c, api.c).

Home miners take ``workmode,set,N`` (the Nano 3 ``worklevel,set,N``) at once and refuse the next one while they
calibrate; the A series takes ``workmode,N`` and works by it after a restart, as all do with pools. Standby begins and
ends at the time the client names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.physics import State

#: Seconds without an answer after a reboot.
AWAY_SECONDS = 4.0
#: Seconds of calibration after a change of mode.
CALIBRATING_SECONDS = 30.0
SLOTS = 3
WEB_USER, WEB_PASSWORD = "admin", "admin"
_LONGEST_LOGIN, _LONGEST_URL, _LONGEST_USER = 64, 384, 128


@dataclass(frozen=True, slots=True)
class Reply:
    """The STATUS of an answer."""

    letter: str
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Pool:
    """A configured pool."""

    url: str
    user: str


@dataclass(slots=True)
class Settings:
    """What was changed, and what is due at the next restart or at a time (Unix seconds)."""

    duty: float | None = None
    led: bool = False
    pools: dict[int, Pool] = field(default_factory=dict)
    stored_pools: dict[int, Pool] = field(default_factory=dict)
    stored_mode: str | None = None
    calibrating_until: float = 0.0
    due: list[tuple[float, bool]] = field(default_factory=list)

    def restarted(self) -> None:
        """Use what was stored."""
        self.pools |= self.stored_pools
        self.stored_pools = {}
        self.due = []

    def shown(self, state: State) -> State:
        """`state` with the fans at the duty that was set."""
        if self.duty is None or state.duty <= 0.0:
            return state
        share = self.duty / state.duty
        return replace(state, duty=self.duty, fans=tuple(round(fan * share / 10.0) * 10.0 for fan in state.fans))


OK = Reply("S", 119, "ASC 0 set OK")


def info(words: str) -> Reply:
    """A success that tells something."""
    return Reply("I", 118, f"ASC 0 set info: {words}")


def failed(words: str) -> Reply:
    """A refusal of ``ascset``."""
    return Reply("E", 120, f"ASC 0 set failed: {words}")


def pool_failed(words: str) -> Reply:
    """A refusal of ``setpool``."""
    return Reply("E", 132, f"Pool set error: {words}")


@dataclass(frozen=True, slots=True)
class Change:
    """A documented write: its line in the records, the answer (None: it goes away without one), what it does."""

    line: str
    reply: Reply | None
    act: Callable[[], None] = lambda: None


class Changes:
    """Reads writes of one device. `device` is the `Avalon` they belong to."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self.settings = Settings()

    def read(self, name: str, parameter: str | None) -> Change | Reply | None:
        """The change that a request asks for; the refusal of one that is not documented; None for other commands."""
        if name == "setpool":
            return self._setpool(parameter or "")
        if name != "ascset":
            return None
        device, _, rest = (parameter or "").partition(",")
        option, _, value = rest.partition(",")
        if device != "0":
            return Reply("E", 107, f"Invalid ASC id {device} - range is 0 - 0")
        known: dict[str, Callable[[str], Change | Reply]] = {
            "reboot": self._reboot,
            "fan-spd": self._fan,
            "workmode": self._workmode,
        }
        product = self._device.product
        if not product.home:
            known["led"] = self._led
        if product.home:
            known["worklevel"] = self._worklevel
        if not self._device.spec.model.startswith("nano"):
            known |= {"softoff": self._softoff, "softon": self._softon}
        if option not in known:
            return failed(f"Unknown option: {option}")
        return known[option](value) if value else failed(f"missing {option} setting")

    def settle(self, now: float) -> None:
        """Do what is due."""
        for at, asleep in sorted(self.settings.due):
            if at <= now:
                (self._device.physics.pause if asleep else self._device.physics.resume)(at)
        self.settings.due = [one for one in self.settings.due if one[0] > now]

    def _change(self, setting: str, reply: Reply | None, act: Callable[[], None] = lambda: None) -> Change:
        return Change(f"rpc ascset|0,{setting}", reply, act)

    def _reboot(self, value: str) -> Change | Reply:
        if value != "0":
            return failed("reboot value should be 0~300 seconds")

        def act() -> None:
            settings = self.settings
            settings.restarted()
            self._device.restart(AWAY_SECONDS)
            if self._device.physics.paused:
                self._device.physics.resume(self._device.clock.now())
            if settings.stored_mode is not None:
                self._device.physics.set_mode(settings.stored_mode, self._device.clock.now())
                settings.stored_mode = None

        return self._change("reboot,0", None, act)

    def _fan(self, value: str) -> Change | Reply:
        speed = _whole(value)
        if speed is None:
            return failed("No value passed to avalon-fan")
        if speed != -1 and not 15 <= speed <= 100:
            return failed("invalid fan value, valid range 15-100 for stable pwm,-1 for auto adjust")

        def act() -> None:
            self.settings.duty = None if speed == -1 else speed / 100

        return self._change(f"fan-spd,{speed}", OK, act)

    def _led(self, value: str) -> Change | Reply:
        if value not in ("1-0", "1-1"):
            return failed("invalid LED status")

        def act() -> None:
            self.settings.led = value == "1-1"

        return self._change(f"led,{value}", OK, act)

    def _worklevel(self, value: str) -> Change | Reply:
        if not self._device.product.levels:
            return failed("worklevel unknown argument")
        return self._mode_now("worklevel", value, failed("worklevel unknown argument"))

    def _workmode(self, value: str) -> Change | Reply:
        if self._device.product.levels:
            return failed("Unknown option: workmode")
        if self._device.product.home:
            return self._mode_now("workmode", value, failed("error:2 parameter error"))
        if value not in ("0", "1"):
            return failed("workmode unknown argument")

        def act() -> None:
            self.settings.stored_mode = value

        return self._change(f"workmode,{value}", OK, act)

    def _mode_now(self, option: str, value: str, unknown: Reply) -> Change | Reply:
        match = re.fullmatch(r"set,([0-2])", value)
        if match is None:
            return unknown
        mode, device, now = match[1], self._device, self._device.clock.now()
        if now < self.settings.calibrating_until:
            kind = "level" if option == "worklevel" else "mode"
            words = f"current {kind} {device.physics.mode} is caling Don't permit switch {kind}"
            return self._change(f"{option},{value}", failed(words))

        def act() -> None:
            if mode != device.physics.mode:
                device.physics.set_mode(mode, now)
                self.settings.calibrating_until = now + CALIBRATING_SECONDS

        return self._change(f"{option},{value}", OK, act)

    def _softoff(self, value: str) -> Change | Reply:
        return self._standby("softoff", value)

    def _softon(self, value: str) -> Change | Reply:
        return self._standby("softon", value)

    def _standby(self, option: str, value: str) -> Change | Reply:
        match = re.fullmatch(r"1:(\d{1,10})", value)
        if match is None:
            return failed(f"{option} unknown argument")
        at = float(match[1])

        def act() -> None:
            self.settings.due.append((at, option == "softoff"))

        return self._change(f"{option},{value}", info(f"success {option}:{match[1]}"), act)

    def _setpool(self, parameter: str) -> Change | Reply:
        values = parameter.split(",")
        if len(values) == 5:
            values.append("")
        if len(values) != 6:
            return pool_failed(f"we need 5 | 6 arguments, your input is {len(values)} arguments.")
        user, password, slot, url, worker, worker_password = values
        longest = (_LONGEST_LOGIN, _LONGEST_LOGIN, 2, _LONGEST_URL, _LONGEST_USER, _LONGEST_USER)
        if any(len(value.encode()) > most for value, most in zip(values, longest, strict=True)):
            return pool_failed("The pool user length is too long.")
        line = f"rpc setpool|{user},***,{slot},{url},{worker},***"
        if user != WEB_USER:
            return Change(line, pool_failed("username err"))
        if password != (self._device.password or WEB_PASSWORD):
            return Change(line, pool_failed("userpass err"))
        number = _whole(slot)
        if number is None or not 0 <= number < SLOTS:
            return pool_failed(f"pool num must between 0 and 2 , your input is {slot}")
        words = (
            f"Pool set info: \npool {slot} success set to {url}\nworker is {worker}\n"
            f"workerpassword is {worker_password}\nPlease reboot miner to make config work.\n"
        )

        def act() -> None:
            self.settings.stored_pools[number] = Pool(url, worker)

        return Change(line, Reply("S", 133, words), act)


def _whole(value: str) -> int | None:
    return int(value) if re.fullmatch(r"-?\d{1,4}", value) else None
