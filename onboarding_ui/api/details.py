"""Everything that a miner told at its last poll, as the API shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from onboarding_ui.api.miner_shapes import MinerAnswer, State
from onboarding_ui.api.shapes import WORD, Answer, Pairs


class TemperatureAnswer(Answer):
    """°C, and where it was taken."""

    position: str
    celsius: float


class FanAnswer(Answer):
    """A fan; `speed` in rpm, `duty` from 0 to 1."""

    fan: str
    speed: float | None
    duty: float | None


class PsuAnswer(Answer):
    """A power supply; V, A, rpm."""

    psu: str
    input_voltage: float | None
    input_current: float | None
    output_voltage: float | None
    output_current: float | None
    fan_speed: float | None
    temperatures: list[TemperatureAnswer]


class ChipAnswer(Answer):
    """A chip; °C, H/s, Hz, V."""

    chip: str
    temperature: float | None
    hashrate: float | None
    frequency: float | None
    voltage: float | None
    hardware_errors: float | None
    grade: Annotated[Literal["good", "slow", "hot", "dead"] | None, WORD]


class BoardAnswer(Answer):
    """A hashboard; H/s, °C, V, Hz, W."""

    board: str
    up: bool | None
    serial: str | None
    chip_model: str | None
    hashrate: float | None
    hashrate_expected: float | None
    chips_working: float | None
    chips_expected: float | None
    chips_bad: Pairs | None = Field(description="Bad chips by kind; null where the device grades none.")
    temperatures: list[TemperatureAnswer]
    chip_temperature_min: float | None
    chip_temperature_avg: float | None
    chip_temperature_max: float | None
    coolant_temperatures: list[TemperatureAnswer]
    vreg_temperature: float | None
    voltage: float | None
    voltage_target: float | None
    frequency: float | None
    power: float | None
    hardware_errors: float | None
    chips: list[ChipAnswer]


class PoolAnswer(Answer):
    """A pool that is set on a miner. The pool's password is never read."""

    pool: str
    url: str | None
    user: str | None
    up: bool | None
    active: bool | None
    priority: float | None
    fee: bool = Field(description="The firmware developer's own pool (DevFee); its shares never count.")
    accepted: float | None
    rejected: float | None
    stale: float | None
    rejections: Pairs = Field(description="Rejected shares by reason.")
    difficulty_accepted: float | None
    difficulty: float | None
    last_share: float | None
    response_time: float | None = Field(description="s")
    ping_loss: float | None
    jobs_received: float | None
    connection_failures: float | None


class DeviceErrorAnswer(Answer):
    """An error that the firmware reports."""

    code: str
    severity: str
    component: str


class ReadingAnswer(Answer):
    """One look at a miner, base units; null and empty where it did not say."""

    state: Annotated[State | None, WORD]
    work_mode: str | None
    work_modes: list[str]
    expected_mining: bool | None = Field(description="False while it is paused or asleep on purpose.")
    fault_light: bool | None
    overheat: bool | None
    errors: list[DeviceErrorAnswer]
    uptime: float | None = Field(description="s")
    mining_uptime: float | None = Field(description="s")
    hashrate: float | None
    hashrate_average: float | None
    hashrate_expected: float | None
    hashrate_nameplate: float | None
    hashes: float | None
    hardware_errors: float | None
    duplicate_nonces: float | None
    power: float | None
    power_limit: float | None
    energy: float | None = Field(description="J")
    psus: list[PsuAnswer]
    fans: list[FanAnswer]
    fans_expected: float | None
    environment_temperatures: list[TemperatureAnswer]
    coolant_temperatures: list[TemperatureAnswer]
    temperature_target: float | None
    boards: list[BoardAnswer]
    boards_expected: float | None
    pools: list[PoolAnswer]
    best_share_difficulty: float | None
    session_best_share_difficulty: float | None
    blocks_found: float | None
    block_templates: float | None
    network_difficulty: float | None
    memory_free: Pairs = Field(description="Bytes by region.")
    wifi_signal: float | None = Field(description="dBm")
    reset_reason: str | None


class DetailsAnswer(Answer):
    """A miner and its last reading; `reading` is null where it does not answer now."""

    miner: MinerAnswer
    reading: ReadingAnswer | None


class InfoAnswer(Answer):
    """A miner's live figures in short."""

    id: int
    miner_type: str
    make: str | None
    model: str | None
    firmware_version: str | None
    status: Literal["online"]
    state: State | None
    hashrate: float | None = Field(description="H/s, the shortest window that the firmware tells.")
    hashrate_average: float | None = Field(description="H/s, its longest.")
    hashrate_expected: float | None
    temperature: float | None = Field(description="°C, the hottest chip, else the hottest board.")
    power: float | None
    uptime: float | None
    work_mode: str | None
    fans: list[FanAnswer]
    pool_url: str | None = Field(description="Of the active pool of the owner's.")
    pool_user: str | None
    worker_name: str | None
    shares_accepted: float | None
    shares_rejected: float | None
    last_success: float | None = Field(description="When it answered.")
