"""What a simulated NerdMiner knows while it runs: memory, network, counters, and the truth that tests compare with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.chance import between, mix
from simulator.devices.nerdminer_config import StoredConfig, first_config
from simulator.devices.nerdminer_firmware import MILESTONES, MODELS
from simulator.devices.nerdminer_scenarios import SCENARIOS, Scenario
from simulator.physics import STARTING, Physics

#: A task of the firmware: how many seconds after the step before, and the bytes that are printed then.
Steps = Iterator[tuple[float, bytes]]

#: Conditions that end with a reset; a crash is remembered until the board mines again.
_KEPT_OVER_RESET: Final = frozenset({"crashed"})


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One simulated board.

    Attributes:
        model: a key of `MODELS`.
        scenario: a key of `SCENARIOS`.
        seed: the same seed gives the same console.
        uptime: seconds it has been mining already, None to start with the boot text.
        khashes: what the 32-bit counter of the Completed line starts with.
        difficulty: of the pool; None takes the model's.
        config: fields of `StoredConfig` that differ from what the seed gives.
    """

    model: str = "devkit-1.8.3"
    scenario: str = "good"
    seed: int = 1
    uptime: float | None = None
    khashes: int = 0
    difficulty: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Counters:
    """What counts from a reset on. Hashes are whole hashes, `best` a difficulty, `uptime` seconds."""

    hashes: float = 0.0
    shares32: int = 0
    accepted: int = 0
    rejected: int = 0
    blocks: int = 0
    templates: int = 0
    best: float = 0.0
    uptime: int = 0


class BoardState:
    """State shared by the tasks of one board. `now` is the time of the step that is being made, Unix seconds."""

    def __init__(self, spec: BoardSpec, now: float) -> None:
        if spec.model not in MODELS:
            raise ValueError(f"no NerdMiner model {spec.model!r}; known are {', '.join(MODELS)}")
        self.spec = spec
        self.model = MODELS[spec.model]
        self.firmware = self.model.firmware
        self.seed = spec.seed
        self.now = now
        self.ssid = f"net-{mix(spec.seed, 101) % 1000:03d}"
        self.wifi_password = f"wifi-secret-{mix(spec.seed, 102) % 10**8:08d}"
        self.ip = f"192.0.2.{mix(spec.seed, 103) % 250 + 2}"
        self.pool_ip = f"198.51.100.{mix(spec.seed, 104) % 89 + 10}"
        self.difficulty = self.model.profile.difficulty if spec.difficulty is None else spec.difficulty
        self.boots = 0
        self.boots_without_mining = 0
        self.accepted_ever = 0
        self.rejected_ever = 0
        self.seen: set[str] = set()
        self.flags: set[str] = set()
        self.printed_config: dict[str, Any] | None = None
        self.stored: StoredConfig | None = None
        self.card: StoredConfig | None = None
        self.scenario: Scenario = SCENARIOS["good"]
        self.choose(spec.scenario)
        self.begin()

    def choose(self, scenario: str) -> None:
        """Put the board into the state in which a scenario starts.

        Raises:
            ValueError: there is no such scenario.
        """
        if scenario not in SCENARIOS:
            raise ValueError(f"no scenario {scenario!r}; known are {', '.join(SCENARIOS)}")
        self.scenario_name = scenario
        self.scenario = SCENARIOS[scenario]
        config = self.own_config()
        self.corrupt = self.scenario.config == "corrupt"
        self.stored = config if self.scenario.config in ("stored", "corrupt") else None
        self.card = config if self.scenario.config == "card" else None
        self.has_wifi = self.scenario.wifi and self.scenario.config in ("stored", "card")
        self.download = self.scenario.download
        self.hazards_over = False

    def own_config(self) -> StoredConfig:
        """The configuration that the board's owner gave it."""
        fields: dict[str, Any] = {
            "pool": "pool.example.com",
            "port": self.firmware.port,
            "password": f"pool-secret-{mix(self.seed, 105) % 10**8:08d}",
            "wallet": f"bc1qexample{mix(self.seed, 106) % 10**24:024d}.rig{self.seed % 100:02d}",
        }
        return StoredConfig(**(fields | dict(self.spec.config)))

    @property
    def config(self) -> StoredConfig:
        """What the firmware works with: the stored configuration, or its defaults."""
        return first_config(self.firmware) if self.stored is None or self.corrupt else self.stored

    def secrets(self) -> tuple[str, ...]:
        """Texts that nobody but the board may show."""
        return self.own_config().password, self.wifi_password

    # A reset --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget what does not survive a reset."""
        self.booted = self.now
        self.tasks_from: float | None = None
        self.reached = -1
        self.flags &= _KEPT_OVER_RESET
        self.restart: str | None = None
        self.wifi = False
        self.tcp = False
        self.subscribed = False
        self.resolved = False
        self.lossy = False
        self.physics: Physics | None = None
        self.hashing_from: float | None = None
        self.count = Counters()
        self.mega_hashes = 0
        self.printed_rate: float | None = None
        self.rates: deque[float] = deque(maxlen=10)
        self.top_rate = 0.0
        self.message_id = 0
        self.last_sent = 0.0
        self.job = ""
        self.ntp_told = False

    # What happens ---------------------------------------------------------------------------------------------

    def reach(self, milestone: str) -> None:
        """A milestone is reached; the earlier ones are implied."""
        self.reached = max(self.reached, MILESTONES.index(milestone))
        if milestone == "Mining":
            self.boots_without_mining = 0
            self.flags.discard("crashed")

    def flag(self, name: str) -> None:
        """A condition holds from now on."""
        self.flags.add(name)
        self.seen.add(name)

    def config_gone(self, flag: str) -> None:
        """There is no configuration, or none that can be read."""
        self.printed_config = None
        self.flag(flag)

    def config_shown(self, config: StoredConfig) -> None:
        """The console shows a configuration that is now stored."""
        self.printed_config = config.public(self.firmware)
        self.flags -= {"no_config", "config_corrupt"}

    def start_hashing(self) -> None:
        """Work at a job from now on; the chip starts cold."""
        if self.physics is None:
            self.physics = Physics(self.model.profile, self.seed, self.now - STARTING, self.now)
        if self.hashing_from is None:
            self.hashing_from = self.now

    def stop_hashing(self) -> None:
        """There is no job any more."""
        self.hashing_from = None

    def rate(self, at: float) -> float:
        """Hashes per second at a time."""
        if self.hashing_from is None or self.physics is None or at < self.hashing_from:
            return 0.0
        return self.physics.at(at).hashrate

    def due(self, seconds: float | None) -> bool:
        """Whether an event of the scenario, `seconds` after the start of the tasks, is due and has not happened yet."""
        if seconds is None or self.hazards_over or self.tasks_from is None:
            return False
        return self.now - self.tasks_from >= seconds

    @property
    def temperature(self) -> float:
        """Of the chip, degC."""
        if self.physics is None:
            return between(24.0, 34.0, self.seed, 107)
        return self.physics.at(self.now).chip

    @property
    def khashes(self) -> int:
        """The counter of the Completed line: thousands of hashes, 32 bits."""
        return (self.spec.khashes + int(self.count.hashes // 1000)) % 2**32

    # Truth ----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The furthest milestone of this boot."""
        return MILESTONES[max(self.reached, 0)]

    @property
    def status(self) -> str:
        """Initializing until the board mines."""
        return "Active" if self.state == "Mining" else "Initializing"

    def truth(self) -> dict[str, Any]:
        """The board as tests must see it, base units, without secrets.

        Counters are those since the last reset, with `_ever` since the board exists; `flags` hold now, `seen` have
        held once. `config` is the stored configuration as the console has shown it, None where it has shown none or
        says that there is none (the defaults that a board without one lists do not count).
        """
        count = self.count
        return {
            "model": self.model.name,
            "scenario": self.scenario_name,
            "firmware_version": self.firmware.version,
            "chip": self.model.chip,
            "display": self.model.display,
            "status": self.status,
            "state": self.state,
            "milestones": list(MILESTONES[: self.reached + 1]),
            "flags": sorted(self.flags),
            "seen": sorted(self.seen),
            "boots": self.boots,
            "boots_without_mining": self.boots_without_mining,
            "ip": self.ip if self.wifi else None,
            "hashrate_hs": self.rate(self.now),
            "printed_hashrate_hs": self.printed_rate,
            "khashes": self.khashes,
            "hashes": count.hashes,
            "shares32": count.shares32,
            "accepted": count.accepted,
            "rejected": count.rejected,
            "accepted_ever": self.accepted_ever,
            "rejected_ever": self.rejected_ever,
            "best_difficulty": count.best,
            "templates": count.templates,
            "blocks": count.blocks,
            "difficulty": self.difficulty,
            "temperature_celsius": self.temperature,
            "uptime_s": count.uptime,
            "config": self.printed_config,
        }


def crlf(text: str) -> bytes:
    """A line of Serial.println."""
    return text.encode() + b"\r\n"


def lf(text: str) -> bytes:
    """A line of Serial.printf."""
    return text.encode() + b"\n"


def together(board: BoardState, *tasks: Steps) -> Steps:
    """Tasks side by side, their steps in the order of time; ends when the board restarts."""
    waiting: list[tuple[float, int, bytes, Steps]] = []
    for number, task in enumerate(tasks):
        _queue(waiting, board.now, number, task)
    while waiting and board.restart is None:
        waiting.sort(key=lambda entry: entry[:2])
        at, number, data, task = waiting.pop(0)
        yield max(0.0, at - board.now), data
        if board.restart is None:
            _queue(waiting, board.now, number, task)


def _queue(waiting: list[tuple[float, int, bytes, Steps]], now: float, number: int, task: Steps) -> None:
    step = next(task, None)
    if step is not None:
        waiting.append((now + step[0], number, step[1], task))
