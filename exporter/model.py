"""What a miner can tell, as frozen typed values in base units.

`None` always means "the device did not say" and gives no sample; zero is a value. Nothing here does I/O or knows
a vendor. Tuples, not lists or dicts, so that a value can be shared between threads.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar

from exporter.units import (
    Amperes,
    Bytes,
    Celsius,
    DecibelMilliwatts,
    Difficulty,
    Hashes,
    HashesPerSecond,
    Hertz,
    Joules,
    Ratio,
    Rpm,
    Seconds,
    UnixSeconds,
    Volts,
    Watts,
)


class MinerState(enum.Enum):
    """What the miner is doing, as one word of a closed list."""

    MINING = "mining"
    IDLE = "idle"
    STARTING = "starting"
    TUNING = "tuning"
    CURTAILED = "curtailed"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device says it is. `mac` is lower case with colons; `firmware` is the maker ("VNish"), not the version."""

    mac: str | None = None
    serial: str | None = None
    make: str | None = None
    model: str | None = None
    firmware: str | None = None
    firmware_version: str | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceError:
    """An error the firmware reports now. `code` is short and of a closed vocabulary, never free text."""

    code: str
    severity: str  # "warning", "error"
    component: str  # "rate", "network", "fan", "temperature", "power", "board", "chip", "firmware"


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature and where it was taken: a `position` (inlet, outlet, ambient) or a sensor's name or number."""

    position: str
    celsius: Celsius


@dataclass(frozen=True, slots=True)
class Fan:
    """A fan; `fan` is the device's own number or name as text, counted as the device counts."""

    fan: str
    speed: Rpm | None = None
    duty: Ratio | None = None


@dataclass(frozen=True, slots=True)
class Psu:
    """A power supply unit."""

    psu: str = "0"
    input_voltage: Volts | None = None
    input_current: Amperes | None = None
    output_voltage: Volts | None = None
    output_current: Amperes | None = None
    fan_speed: Rpm | None = None
    temperatures: tuple[Temperature, ...] = ()


class ChipGrade(enum.Enum):
    """How the firmware (or we) judge a chip."""

    GOOD = "good"
    SLOW = "slow"
    HOT = "hot"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Chip:
    """One ASIC chip; `chip` is its number on the board as the device counts."""

    chip: str
    temperature: Celsius | None = None
    hashrate: HashesPerSecond | None = None
    frequency: Hertz | None = None
    voltage: Volts | None = None
    hardware_errors: float | None = None
    grade: ChipGrade | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """One hashboard (chain); `board` is its number as the device counts.

    `chips_bad` counts chips per kind ("dead", "slow", "hot"); None where the device grades no chips.
    """

    board: str
    up: bool | None = None
    serial: str | None = None
    chip_model: str | None = None
    hashrate: HashesPerSecond | None = None
    hashrate_expected: HashesPerSecond | None = None
    chips_working: float | None = None
    chips_expected: float | None = None
    chips_bad: tuple[tuple[str, int], ...] | None = None
    temperatures: tuple[Temperature, ...] = ()
    chip_temperature_min: Celsius | None = None
    chip_temperature_avg: Celsius | None = None
    chip_temperature_max: Celsius | None = None
    coolant_temperatures: tuple[Temperature, ...] = ()
    vreg_temperature: Celsius | None = None
    voltage: Volts | None = None
    voltage_target: Volts | None = None
    frequency: Hertz | None = None
    power: Watts | None = None
    hardware_errors: float | None = None
    chips: tuple[Chip, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """A configured pool; `pool` is its number as the device counts.

    `fee` marks the firmware developer's own pool (DevFee): its shares never count for the owner.
    `user` is the whole pool user (wallet and worker) and is redacted before it reaches /metrics.
    `rejections` counts rejected shares per reason of the closed list in `drivers.fields.rejection_reason`.
    """

    pool: str
    url: str | None = None
    user: str | None = None
    up: bool | None = None
    active: bool | None = None
    priority: float | None = None
    fee: bool = False
    accepted: float | None = None
    rejected: float | None = None
    stale: float | None = None
    rejections: tuple[tuple[str, float], ...] = ()
    difficulty_accepted: Difficulty | None = None
    difficulty: Difficulty | None = None
    last_share: UnixSeconds | None = None
    response_time: Seconds | None = None
    ping_loss: Ratio | None = None
    jobs_received: float | None = None
    connection_failures: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything one look at a miner told. Parts the answers did not contain stay None or empty.

    `hashrate` is the firmware's shortest window, `hashrate_average` its long one (for the API; not a series).
    `work_mode` is the selected mode or preset; `work_modes` all that the device is known to offer.
    `expected_mining` is False while the miner is paused, asleep or curtailed on purpose.
    """

    identity: Identity = Identity()
    state: MinerState | None = None
    work_mode: str | None = None
    work_modes: tuple[str, ...] = ()
    expected_mining: bool | None = None
    fault_light: bool | None = None
    overheat: bool | None = None
    errors: tuple[DeviceError, ...] = ()
    uptime: Seconds | None = None
    mining_uptime: Seconds | None = None
    hashrate: HashesPerSecond | None = None
    hashrate_average: HashesPerSecond | None = None
    hashrate_expected: HashesPerSecond | None = None
    hashrate_nameplate: HashesPerSecond | None = None
    hashes: Hashes | None = None
    hardware_errors: float | None = None
    duplicate_nonces: float | None = None
    power: Watts | None = None
    power_limit: Watts | None = None
    energy: Joules | None = None
    psus: tuple[Psu, ...] = ()
    fans: tuple[Fan, ...] = ()
    fans_expected: float | None = None
    environment_temperatures: tuple[Temperature, ...] = ()
    coolant_temperatures: tuple[Temperature, ...] = ()
    temperature_target: Celsius | None = None
    boards: tuple[Board, ...] = ()
    boards_expected: float | None = None
    pools: tuple[Pool, ...] = ()
    best_share_difficulty: Difficulty | None = None
    session_best_share_difficulty: Difficulty | None = None
    blocks_found: float | None = None
    block_templates: float | None = None
    network_difficulty: Difficulty | None = None
    memory_free: tuple[tuple[str, Bytes], ...] = ()  # (region, free bytes)
    wifi_signal: DecibelMilliwatts | None = None
    reset_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A tuning preset a model offers. `tuned` presets take effect at once; others start a tuning run."""

    name: str
    pretty: str | None = None
    power: Watts | None = None
    hashrate: HashesPerSecond | None = None
    tuned: bool | None = None
    modified_psu_required: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as its firmware describes it; `alias` is the key ("s19jpro")."""

    alias: str
    name: str | None = None
    algorithm: str | None = None
    boards: int | None = None
    chips_per_board: int | None = None
    presets: tuple[Preset, ...] | None = None


# --- speed --------------------------------------------------------------------------------------------------------
#
# Every poll makes a dozen of these values. The constructor that dataclasses writes for frozen classes sets each field
# by a look-up of its name, and their `replace` calls getattr for each: half and two thirds of the time can be saved.

_Value = TypeVar("_Value")

_READERS: Final[dict[type, tuple[attrgetter[tuple[Any, ...]], dict[str, int]]]] = {}


def replace(value: _Value, **changes: Any) -> _Value:
    """A copy of a value of this module with `changes`, as `dataclasses.replace`."""
    read, places = _READERS[value.__class__]
    items = list(read(value))
    for name, item in changes.items():
        items[places[name]] = item
    return value.__class__(*items)


def _quicken(kind: type) -> None:
    fields = dataclasses.fields(kind)
    scope: dict[str, Any] = {f"set_{field.name}": kind.__dict__[field.name].__set__ for field in fields}
    scope |= {f"default_{field.name}": field.default for field in fields}
    parameters = ", ".join(
        field.name if field.default is dataclasses.MISSING else f"{field.name}=default_{field.name}" for field in fields
    )
    lines = "".join(f"    set_{field.name}(self, {field.name})\n" for field in fields)
    exec(f"def __init__(self, {parameters}):\n{lines}", scope)  # noqa: S102 - as dataclasses itself does
    kind.__init__ = scope["__init__"]  # type: ignore[misc]
    names = [field.name for field in fields]
    if len(names) > 1:
        _READERS[kind] = attrgetter(*names), {name: place for place, name in enumerate(names)}


for _kind in (
    Identity, DeviceError, Temperature, Fan, Psu, Chip, Board, Pool, Reading, Preset, ModelInfo,
):  # fmt: skip
    _quicken(_kind)
