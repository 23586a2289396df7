"""A miner over time: hash rate, power, temperatures, fans and shares, as a function of seed, time and commands.

All quantities are base units: H/s, W, V, Hz, degC, s; fan speed in rpm; duty and ratios from 0 to 1. Times are Unix
seconds. The same seed, the same commands and the same time always give the same `State`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulator.chance import HASHES_PER_DIFFICULTY, best_of, between, poisson, uniform, wander

#: Shares are drawn per window of this many seconds.
WINDOW = 10.0
#: Seconds from power-on until the miner hashes.
STARTING = 20.0
#: Time constant of warming up and cooling down.
THERMAL_SECONDS = 90.0
#: Largest relative departure of the momentary hash rate from the expected one.
NOISE = 0.06


@dataclass(frozen=True, slots=True)
class Mode:
    """A work mode or preset: its factors of hash rate and power; `tuning` seconds pass before it holds."""

    hashrate: float = 1.0
    power: float = 1.0
    tuning: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model is in its normal mode: H/s and W of the whole miner, boards, chips, fans, clock and voltages."""

    model: str
    hashrate: float
    power: float
    boards: int = 1
    chips: int = 1
    fans: int = 1
    fan_max: float = 6000.0
    frequency: float = 500e6
    core_voltage: float = 1.2
    supply_voltage: float = 12.0
    chip_target: float = 60.0
    difficulty: float = 1000.0
    modes: Mapping[str, Mode] = field(default_factory=lambda: {"normal": Mode()})
    mode: str = "normal"
    reject_ratio: float = 0.004
    error_ratio: float = 0.0005


@dataclass(frozen=True, slots=True)
class BoardState:
    """One hashboard at one moment."""

    number: int
    hashrate: float
    expected: float
    power: float
    voltage: float
    frequency: float
    chip_min: float
    chip_avg: float
    chip_max: float
    inlet: float
    outlet: float
    hardware_errors: int
    chips: int


@dataclass(frozen=True, slots=True)
class State:
    """A miner at one moment. `state` is one of starting, tuning, mining, paused, fault."""

    time: float
    state: str
    mode: str
    uptime: float
    mining_uptime: float
    hashrate: float
    hashrate_1m: float
    hashrate_15m: float
    average: float
    expected: float
    power: float
    ambient: float
    chip: float
    regulator: float
    duty: float
    fans: tuple[float, ...]
    boards: tuple[BoardState, ...]
    accepted: int
    rejected: int
    stale: int
    difficulty: float
    best: float
    session_best: float
    last_share: float
    hardware_errors: int
    hashes: float


@dataclass(frozen=True, slots=True)
class _Counters:
    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    errors: int = 0
    session_best: float = 0.0
    last_share: float = 0.0
    hashes: float = 0.0


@dataclass(frozen=True, slots=True)
class _Segment:
    """The time from `start` until the next command: within it nothing but time changes."""

    start: float
    boot: float
    number: int
    mode: str
    paused: bool
    base: _Counters
    chip_at_start: float
    lifetime_best: float
    mining_from: float
    fault: str | None = None


class Physics:
    """The state of one simulated miner. `booted` is Unix seconds; a miner may have been running long before."""

    def __init__(self, profile: Profile, seed: int, booted: float, started: float | None = None) -> None:
        self.profile = profile
        self.seed = seed
        self.ambient_base = between(19.0, 29.0, seed, 11)
        self._lifetime_best = best_of(200_000, profile.difficulty, seed, 12)
        began = booted if started is None else started
        self._segments = [
            _Segment(began, booted, 0, profile.mode, False, _Counters(), self.ambient_base, 0.0, booted + STARTING)
        ]
        if began > booted + STARTING:
            self._segments[0] = replace(
                self._segments[0], base=self._past(began - booted - STARTING, began), chip_at_start=profile.chip_target
            )
        self._segments[0] = replace(
            self._segments[0], lifetime_best=max(self._lifetime_best, self._segments[0].base.session_best)
        )
        self._window: tuple[int, int, _Counters] = (0, 0, self._segments[0].base)

    # Commands -------------------------------------------------------------------------------------------------

    def set_mode(self, mode: str, at: float) -> None:
        """Choose a mode of the profile; a mode that needs tuning hashes less until it is tuned."""
        if mode not in self.profile.modes:
            raise ValueError(f"{self.profile.model} has no mode {mode!r}; it has {', '.join(self.profile.modes)}")
        self._command(at, mode=mode)

    def retune(self, at: float, *, frequency: float | None = None, core_voltage: float | None = None) -> None:
        """Another clock (Hz) or core voltage (V): the hash rate follows the clock, the power both."""
        self._command(at)
        old = self.profile
        clock, volts = frequency or old.frequency, core_voltage or old.core_voltage
        speed, drive = clock / old.frequency, (volts / old.core_voltage) ** 2
        self.profile = replace(
            old, frequency=clock, core_voltage=volts, hashrate=old.hashrate * speed, power=old.power * speed * drive
        )

    def pause(self, at: float) -> None:
        """Stop hashing; the fans and the controller keep running."""
        self._command(at, paused=True)

    def resume(self, at: float) -> None:
        """Hash again after `pause`."""
        self._command(at, paused=False, mining_from=at + STARTING / 2)

    def fail(self, fault: str | None, at: float) -> None:
        """A hardware fault ("fan", "overheat", "board") from now on, or None to mend it."""
        self._command(at, fault=fault)

    def reboot(self, at: float) -> None:
        """Uptime and counters start again from zero; the best difficulty ever stays."""
        self._command(at, boot=at, base=_Counters(), mining_from=at + STARTING)

    def _command(self, at: float, **change: object) -> None:
        last = self._segments[-1]
        at = max(at, last.start)
        counters = self._counters(last, at)
        segment = replace(
            last,
            start=at,
            number=last.number + 1,
            base=counters,
            chip_at_start=self._chip(last, at),
            lifetime_best=max(last.lifetime_best, counters.session_best),
        )
        self._segments.append(replace(segment, **change))  # type: ignore[arg-type]

    @property
    def mode(self) -> str:
        """The mode chosen last."""
        return self._segments[-1].mode

    @property
    def paused(self) -> bool:
        """Whether the miner was told to stop hashing."""
        return self._segments[-1].paused

    # Shares ---------------------------------------------------------------------------------------------------

    def _past(self, seconds: float, at: float) -> _Counters:
        """Counters of a miner that has been hashing for `seconds`."""
        hashes = self.profile.hashrate * seconds
        shares = hashes / (self.profile.difficulty * HASHES_PER_DIFFICULTY)
        accepted = poisson(shares, self.seed, 21)
        return _Counters(
            accepted=accepted,
            rejected=poisson(shares * self.profile.reject_ratio, self.seed, 22),
            stale=poisson(shares * self.profile.reject_ratio / 3, self.seed, 23),
            errors=poisson(shares * self.profile.error_ratio * 50, self.seed, 24),
            session_best=best_of(accepted, self.profile.difficulty, self.seed, 25),
            last_share=at - between(0.5, 8.0, self.seed, 26) if accepted else 0.0,
            hashes=hashes,
        )

    def _draw(self, segment: _Segment, window: int, counters: _Counters, part: float) -> _Counters:
        """`counters` plus what happened in the first `part` (0 to 1) of a window."""
        begin = segment.start + window * WINDOW
        rate = self._expected(segment, begin + WINDOW / 2)
        if rate <= 0.0:
            return counters
        keys = (self.seed, segment.number, window)
        shares = rate * WINDOW / (self.profile.difficulty * HASHES_PER_DIFFICULTY)
        drawn = poisson(shares, *keys, 31)
        accepted = drawn if part >= 1.0 else int(drawn * part)
        late = uniform(*keys, 35) <= part
        last = begin + WINDOW * accepted / drawn if accepted else counters.last_share
        best = best_of(drawn, self.profile.difficulty, *keys, 34) if accepted == drawn else 0.0
        return _Counters(
            accepted=counters.accepted + accepted,
            rejected=counters.rejected + (poisson(shares * self.profile.reject_ratio, *keys, 32) if late else 0),
            stale=counters.stale + (poisson(shares * self.profile.reject_ratio / 3, *keys, 36) if late else 0),
            errors=counters.errors + (poisson(shares * self.profile.error_ratio * 50, *keys, 33) if late else 0),
            session_best=max(counters.session_best, best),
            last_share=last,
            hashes=counters.hashes + rate * WINDOW * part,
        )

    def _counters(self, segment: _Segment, at: float) -> _Counters:
        elapsed = max(0.0, at - segment.start)
        whole = int(elapsed // WINDOW)
        number, window, counters = self._window
        if number != segment.number or window > whole:
            window, counters = 0, segment.base
        while window < whole:
            counters = self._draw(segment, window, counters, 1.0)
            window += 1
        self._window = (segment.number, window, counters)
        return self._draw(segment, whole, counters, (elapsed - whole * WINDOW) / WINDOW)

    # Hash rate, heat and air ----------------------------------------------------------------------------------

    def _segment(self, at: float) -> _Segment:
        for segment in reversed(self._segments):
            if segment.start <= at:
                return segment
        return self._segments[0]

    def _phase(self, segment: _Segment, at: float) -> str:
        if segment.fault == "overheat":
            return "fault"
        if segment.paused:
            return "paused"
        if at < segment.mining_from:
            return "starting"
        tuning = self.profile.modes[segment.mode].tuning
        return "tuning" if segment.number and at - segment.start < tuning else "mining"

    def _expected(self, segment: _Segment, at: float) -> float:
        phase = self._phase(segment, at)
        if phase in ("fault", "paused", "starting"):
            return 0.0
        share = 0.8 if phase == "tuning" else 1.0
        if segment.fault == "board" and self.profile.boards > 1:
            share *= (self.profile.boards - 1) / self.profile.boards
        return self.profile.hashrate * self.profile.modes[segment.mode].hashrate * share

    def _power(self, segment: _Segment, at: float) -> float:
        phase = self._phase(segment, at)
        idle = 0.04 * self.profile.power
        if phase in ("fault", "paused"):
            return idle
        if phase == "starting":
            return 0.3 * self.profile.power
        level = self.profile.power * self.profile.modes[segment.mode].power
        return level * (1.0 + 0.015 * wander(at, 40.0, self.seed, 41))

    def _ambient(self, at: float) -> float:
        return self.ambient_base + 2.5 * math.sin(at / 86400.0 * 2.0 * math.pi) + 0.4 * wander(at, 600.0, self.seed, 42)

    def _air(self, segment: _Segment, at: float) -> tuple[float, float]:
        """Fan duty (0 to 1) and the chip temperature that settles with it."""
        ambient = self._ambient(at)
        power = self._power(segment, at)
        # Heat taken away per degree: a little without fans, the rest by how fast they turn.
        span = self.profile.chip_target - 25.0
        full = self.profile.power / (span * 0.6)
        still = full * 0.12
        moving = full - still
        if segment.fault == "fan" and self.profile.fans:
            moving *= max(0.15, (self.profile.fans - 1) / self.profile.fans)
        wanted = power / max(self.profile.chip_target - ambient, 4.0)
        duty = min(1.0, max(0.2, (wanted - still) / moving)) if self.profile.fans else 0.0
        return duty, ambient + power / (still + moving * (duty if self.profile.fans else 0.7))

    def _chip(self, segment: _Segment, at: float) -> float:
        _, settled = self._air(segment, at)
        settled = min(settled, 125.0)
        fade = math.exp(-max(0.0, at - segment.start) / THERMAL_SECONDS)
        return settled + (segment.chip_at_start - settled) * fade

    def _fans(self, segment: _Segment, at: float, duty: float) -> tuple[float, ...]:
        speeds = []
        for fan in range(self.profile.fans):
            if segment.fault == "fan" and fan == 0:
                speeds.append(0.0)
                continue
            turn = self.profile.fan_max * duty * (1.0 + 0.02 * wander(at, 15.0, self.seed, 51, fan))
            speeds.append(round(turn / 10.0) * 10.0)
        return tuple(speeds)

    def _boards(self, segment: _Segment, at: float, chip: float, power: float, errors: int) -> tuple[BoardState, ...]:
        profile = self.profile
        mode = profile.modes[segment.mode]
        expected = self._expected(segment, at)
        broken = segment.fault == "board" and profile.boards > 1
        alive = profile.boards - 1 if broken else profile.boards
        ambient = self._ambient(at)
        boards = []
        for number in range(profile.boards):
            dead = broken and number == 0
            share = 0.0 if dead else expected / alive
            noise = 0.6 * wander(at, 12.0, self.seed, 61, number) + 0.4 * wander(at, 90.0, self.seed, 62, number)
            lean = between(-2.0, 2.0, self.seed, 63, number) if profile.boards > 1 else 0.0
            hot = (chip + lean) if not dead else ambient
            # A single chip is its own coolest and hottest.
            spread = max(0.0, (hot - ambient) * 0.08) if profile.chips > 1 else 0.0
            boards.append(
                BoardState(
                    number=number,
                    hashrate=share * (1.0 + NOISE * noise),
                    expected=0.0 if dead else expected / alive,
                    power=0.0 if dead else power * 0.97 / alive,
                    voltage=0.0 if dead else profile.core_voltage * (0.995 + 0.004 * noise),
                    frequency=0.0 if dead else profile.frequency * (0.5 + 0.5 * mode.hashrate),
                    chip_min=hot - spread,
                    chip_avg=hot,
                    chip_max=hot + spread,
                    inlet=ambient + (hot - ambient) * 0.35,
                    outlet=ambient + (hot - ambient) * 0.7,
                    hardware_errors=errors // profile.boards + (errors % profile.boards if number == 0 else 0),
                    chips=0 if dead else profile.chips,
                )
            )
        return tuple(boards)

    def at(self, time: float) -> State:
        """The whole state at `time`."""
        segment = self._segment(time)
        counters = self._counters(segment, time)
        duty, _ = self._air(segment, time)
        chip = self._chip(segment, time)
        power = self._power(segment, time)
        boards = self._boards(segment, time, chip, power, counters.errors)
        expected = self._expected(segment, time)
        minute = expected * (1.0 + 0.012 * wander(time, 60.0, self.seed, 71))
        quarter = expected * (1.0 + 0.006 * wander(time, 900.0, self.seed, 72))
        uptime = max(0.0, time - segment.boot)
        hashing = max(0.0, time - max(segment.mining_from, segment.boot))
        return State(
            time=time,
            state=self._phase(segment, time),
            mode=segment.mode,
            uptime=uptime,
            mining_uptime=hashing,
            hashrate=sum(board.hashrate for board in boards),
            hashrate_1m=minute,
            hashrate_15m=quarter,
            average=counters.hashes / hashing if hashing > 1.0 else 0.0,
            expected=expected,
            power=power,
            ambient=self._ambient(time),
            chip=chip,
            regulator=self._ambient(time) + (chip - self._ambient(time)) * 1.05,
            duty=duty,
            fans=self._fans(segment, time, duty),
            boards=boards,
            accepted=counters.accepted,
            rejected=counters.rejected,
            stale=counters.stale,
            difficulty=self.profile.difficulty,
            best=max(segment.lifetime_best, counters.session_best),
            session_best=counters.session_best,
            last_share=counters.last_share,
            hardware_errors=counters.errors,
            hashes=counters.hashes,
        )

    def chip_temperature(self, board: BoardState, chip: int) -> float:
        """Temperature of one chip: spread over the board, from the inlet side to the outlet side."""
        place = chip / max(1, self.profile.chips - 1)
        jitter = (uniform(self.seed, 81, board.number, chip) - 0.5) * 0.2
        return board.chip_min + (board.chip_max - board.chip_min) * min(1.0, max(0.0, place + jitter))
