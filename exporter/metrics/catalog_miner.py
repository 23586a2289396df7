"""Metrics of the miner as a whole: its row, its last poll, its state, power, fans and air."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from exporter.engine.fleet import MinerRecord
from exporter.errors import REASONS
from exporter.metrics import spec
from exporter.metrics.scopes import FAN, MINER, POLL, PSU, READING, counter, counters, gauge, gauges
from exporter.metrics.spec import Labelled, MetricSpec
from exporter.model import MinerState, Reading, Temperature


def _identity(record: MinerRecord) -> tuple[Labelled, ...]:
    who = record.identity
    shown = (
        record.name,
        record.address,
        record.driver,
        who.make,
        who.model,
        who.firmware,
        who.firmware_version,
        who.hostname,
        who.serial,
    )
    return ((shown, 1.0),)


def _watched(record: MinerRecord) -> bool:
    """Whether the miner is polled at all; a listed one (`managed` false) has no more than its identity."""
    return record.managed


def _poll_errors(record: MinerRecord) -> Sequence[Labelled]:
    """Every reason, from 0: a first failure must show as an increase."""
    if not _watched(record):
        return ()
    return [((reason,), record.poll_errors.get(reason, 0)) for reason in REASONS]


_STATES: Final[dict[MinerState, tuple[Labelled, ...]]] = {
    current: tuple(((state.value,), state is current) for state in MinerState) for current in MinerState
}


def _states(reading: Reading) -> tuple[Labelled, ...]:
    return () if reading.state is None else _STATES[reading.state]


@functools.lru_cache(maxsize=1024)
def _mode_table(current: str, modes: tuple[str, ...]) -> tuple[Labelled, ...]:
    return tuple(((mode,), mode == current) for mode in dict.fromkeys((current, *modes)))


def _work_modes(reading: Reading) -> tuple[Labelled, ...]:
    return () if reading.work_mode is None else _mode_table(reading.work_mode, reading.work_modes)


def by_position(temperatures: tuple[Temperature, ...]) -> Sequence[Labelled]:
    """A sample for each place a temperature was taken at."""
    return [((taken.position,), taken.celsius) for taken in temperatures]


MINER_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauge(
        "miner_up",
        spec.BOOL,
        "1 if the last poll of the miner succeeded, else 0 (also before the first poll).",
        MINER,
        lambda record: record.up is True if record.managed else None,
    ),
    gauges(
        "miner_info",
        spec.INFO,
        "Identity of the miner and its configured labels; the value is always 1.",
        MINER,
        ("name", "ip", "driver", "make", "model", "firmware", "firmware_version", "hostname", "serial"),
        _identity,
        configured_labels=True,
    ),
    gauge(
        "miner_managed",
        spec.BOOL,
        "1 if the miner is managed, 0 if it is listed only.",
        MINER,
        lambda record: record.managed,
    ),
    gauge(
        "miner_muted",
        spec.BOOL,
        "1 while a person has muted the miner's alarms.",
        MINER,
        lambda record: record.muted if record.managed else None,
    ),
    gauge(
        "miner_sign_in_refused",
        spec.BOOL,
        "1 while the miner takes none of the passwords that are known for it.",
        MINER,
        lambda record: record.sign_in_refused if record.managed else None,
    ),
    gauge(
        "miner_last_success_timestamp_seconds",
        spec.UNIX_SECONDS,
        "Unix time of the last successful poll.",
        MINER,
        lambda record: record.last_success if record.managed else None,
    ),
    counters(
        "miner_poll_errors_total",
        spec.COUNT,
        f"Failed polls by reason ({', '.join(REASONS)}).",
        MINER,
        ("reason",),
        _poll_errors,
    ),
    gauge(
        "miner_poll_duration_seconds",
        spec.SECONDS,
        "Duration of the last poll of the miner.",
        POLL,
        lambda record: record.poll_duration,
    ),
    gauge(
        "miner_uptime_seconds",
        spec.SECONDS,
        "Time since the miner's control board booted.",
        READING,
        lambda reading: reading.uptime,
    ),
    gauge(
        "miner_mining_uptime_seconds",
        spec.SECONDS,
        "Time since the mining process started (cgminer Elapsed).",
        READING,
        lambda reading: reading.mining_uptime,
    ),
    gauges(
        "miner_state",
        spec.STATES,
        f"1 for the current state, 0 for the others ({', '.join(state.value for state in MinerState)}).",
        READING,
        ("state",),
        _states,
    ),
    gauges(
        "miner_work_mode",
        spec.STATES,
        "1 for the selected work mode or power preset, 0 for the others the miner is known to offer.",
        READING,
        ("mode",),
        _work_modes,
    ),
    gauge(
        "miner_expected_mining",
        spec.BOOL,
        "1 if the miner is meant to hash now, 0 while it is paused, asleep or curtailed on purpose.",
        READING,
        lambda reading: reading.expected_mining,
    ),
    gauge(
        "miner_fault_light",
        spec.BOOL,
        "1 if the fault or locate light is on.",
        READING,
        lambda reading: reading.fault_light,
    ),
    gauges(
        "miner_error_active",
        spec.BOOL,
        "1 for every error code the firmware reports now.",
        READING,
        ("code", "severity", "component"),
        lambda reading: [((error.code, error.severity, error.component), 1.0) for error in reading.errors],
    ),
    gauge(
        "miner_hashrate_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Hashrate the firmware reports over its shortest window.",
        READING,
        lambda reading: reading.hashrate,
    ),
    gauge(
        "miner_hashrate_expected_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Hashrate expected at the present settings.",
        READING,
        lambda reading: reading.hashrate_expected,
    ),
    gauge(
        "miner_hashrate_nameplate_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Factory (sticker) hashrate of the model.",
        READING,
        lambda reading: reading.hashrate_nameplate,
    ),
    counter(
        "miner_hashes_total",
        spec.HASHES,
        "Hashes computed since the mining process started, as the firmware counts them.",
        READING,
        lambda reading: reading.hashes,
    ),
    counter(
        "miner_hardware_errors_total",
        spec.COUNT,
        "Nonces the hardware got wrong since the mining process started.",
        READING,
        lambda reading: reading.hardware_errors,
    ),
    counter(
        "miner_duplicate_nonces_total",
        spec.COUNT,
        "Nonces the hardware returned twice.",
        READING,
        lambda reading: reading.duplicate_nonces,
    ),
    gauge(
        "miner_power_watts",
        spec.WATTS,
        "Power draw the firmware reports (measured or estimated).",
        READING,
        lambda reading: reading.power,
    ),
    gauge(
        "miner_power_limit_watts",
        spec.WATTS,
        "Configured power limit or target.",
        READING,
        lambda reading: reading.power_limit,
    ),
    counter(
        "miner_energy_joules_total",
        spec.JOULES,
        "Energy drawn, where the device or its plug has a meter.",
        READING,
        lambda reading: reading.energy,
    ),
    gauge("miner_psu_input_voltage_volts", spec.VOLTS, "PSU input voltage.", PSU, lambda psu: psu.input_voltage),
    gauge("miner_psu_input_current_amperes", spec.AMPERES, "PSU input current.", PSU, lambda psu: psu.input_current),
    gauge("miner_psu_output_voltage_volts", spec.VOLTS, "PSU output voltage.", PSU, lambda psu: psu.output_voltage),
    gauge("miner_psu_output_current_amperes", spec.AMPERES, "PSU output current.", PSU, lambda psu: psu.output_current),
    gauges(
        "miner_psu_temperature_celsius",
        spec.CELSIUS,
        "PSU temperature.",
        PSU,
        ("sensor",),
        lambda psu: by_position(psu.temperatures),
    ),
    gauge("miner_psu_fan_speed_rpm", spec.RPM, "PSU fan speed.", PSU, lambda psu: psu.fan_speed),
    gauge("miner_fan_speed_rpm", spec.RPM, "Fan speed.", FAN, lambda fan: fan.speed),
    gauge("miner_fan_duty_ratio", spec.RATIO, "Fan drive level.", FAN, lambda fan: fan.duty),
    gauge(
        "miner_fans_expected",
        spec.COUNT,
        "Fans the model should have.",
        READING,
        lambda reading: reading.fans_expected,
    ),
    gauges(
        "miner_environment_temperature_celsius",
        spec.CELSIUS,
        "Air temperature at the miner (inlet, outlet, ambient).",
        READING,
        ("position",),
        lambda reading: by_position(reading.environment_temperatures),
    ),
    gauges(
        "miner_coolant_temperature_celsius",
        spec.CELSIUS,
        "Coolant temperature (inlet, outlet) of hydro and immersion models.",
        READING,
        ("position",),
        lambda reading: by_position(reading.coolant_temperatures),
    ),
    gauge(
        "miner_temperature_target_celsius",
        spec.CELSIUS,
        "Temperature the fan control aims at.",
        READING,
        lambda reading: reading.temperature_target,
    ),
    gauge(
        "miner_overheat",
        spec.BOOL,
        "1 while the firmware throttles or stops because of heat.",
        READING,
        lambda reading: reading.overheat,
    ),
)

SYSTEM_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauge(
        "miner_best_share_difficulty",
        spec.COUNT,
        "Best share difficulty ever seen by the miner.",
        READING,
        lambda reading: reading.best_share_difficulty,
    ),
    gauge(
        "miner_session_best_share_difficulty",
        spec.COUNT,
        "Best share difficulty since boot.",
        READING,
        lambda reading: reading.session_best_share_difficulty,
    ),
    counter(
        "miner_blocks_found_total",
        spec.COUNT,
        "Blocks found, as the miner counts them.",
        READING,
        lambda reading: reading.blocks_found,
    ),
    counter(
        "miner_block_templates_total",
        spec.COUNT,
        "Block templates received.",
        READING,
        lambda reading: reading.block_templates,
    ),
    gauge(
        "miner_network_difficulty",
        spec.COUNT,
        "Network difficulty, as the miner knows it.",
        READING,
        lambda reading: reading.network_difficulty,
    ),
    gauges(
        "miner_system_memory_free_bytes",
        spec.BYTES,
        "Free memory of the controller.",
        READING,
        ("region",),
        lambda reading: [((region,), free) for region, free in reading.memory_free],
    ),
    gauge(
        "miner_wifi_signal_dbm",
        spec.DBM,
        "WiFi signal strength.",
        READING,
        lambda reading: reading.wifi_signal,
    ),
    gauges(
        "miner_reset_reason_info",
        spec.INFO,
        "Reason of the last restart; the value is always 1.",
        READING,
        ("reason",),
        lambda reading: () if reading.reset_reason is None else (((reading.reset_reason,), 1.0),),
    ),
)
