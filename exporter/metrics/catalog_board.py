"""Metrics of hashboards and, behind the collector ``chips``, of single chips."""

from __future__ import annotations

from typing import Any, Final

from exporter.metrics import spec
from exporter.metrics.catalog_miner import by_position
from exporter.metrics.scopes import BOARD, CHIP, READING, counter, gauge, gauges
from exporter.metrics.spec import Labelled, MetricSpec
from exporter.model import Board

_CHIPS: Final = "chips"


def _identity(board: Board) -> tuple[Labelled, ...]:
    if board.serial is None and board.chip_model is None:
        return ()
    return (((board.serial, board.chip_model), 1.0),)


BOARD_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauge("miner_board_up", spec.BOOL, "1 if the hashboard is present and hashing.", BOARD, lambda board: board.up),
    gauges(
        "miner_board_info",
        spec.INFO,
        "Identity of the hashboard; the value is always 1.",
        BOARD,
        ("serial", "chip_model"),
        _identity,
    ),
    gauge(
        "miner_boards_expected",
        spec.COUNT,
        "Hashboards the model should have.",
        READING,
        lambda reading: reading.boards_expected,
    ),
    gauge(
        "miner_board_hashrate_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Hashrate of the hashboard.",
        BOARD,
        lambda board: board.hashrate,
    ),
    gauge(
        "miner_board_hashrate_expected_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Hashrate expected of the hashboard.",
        BOARD,
        lambda board: board.hashrate_expected,
    ),
    gauge(
        "miner_board_chips",
        spec.COUNT,
        "Chips that answer on the hashboard.",
        BOARD,
        lambda board: board.chips_working,
    ),
    gauge(
        "miner_board_chips_expected",
        spec.COUNT,
        "Chips the hashboard should have.",
        BOARD,
        lambda board: board.chips_expected,
    ),
    gauges(
        "miner_board_chips_bad",
        spec.COUNT,
        "Chips the firmware or we call bad: dead, slow, hot (grade orange or red).",
        BOARD,
        ("kind",),
        lambda board: [((kind,), count) for kind, count in board.chips_bad or ()],
    ),
    gauges(
        "miner_board_temperature_celsius",
        spec.CELSIUS,
        "Temperature of one PCB sensor.",
        BOARD,
        ("sensor",),
        lambda board: by_position(board.temperatures),
    ),
    gauge(
        "miner_board_chip_temperature_min_celsius",
        spec.CELSIUS,
        "Coolest chip reading of the hashboard.",
        BOARD,
        lambda board: board.chip_temperature_min,
    ),
    gauge(
        "miner_board_chip_temperature_avg_celsius",
        spec.CELSIUS,
        "Mean chip reading of the hashboard.",
        BOARD,
        lambda board: board.chip_temperature_avg,
    ),
    gauge(
        "miner_board_chip_temperature_max_celsius",
        spec.CELSIUS,
        "Hottest chip reading of the hashboard.",
        BOARD,
        lambda board: board.chip_temperature_max,
    ),
    gauges(
        "miner_board_coolant_temperature_celsius",
        spec.CELSIUS,
        "Coolant temperature at the hashboard (inlet, outlet) of hydro models.",
        BOARD,
        ("position",),
        lambda board: by_position(board.coolant_temperatures),
    ),
    gauge(
        "miner_board_vreg_temperature_celsius",
        spec.CELSIUS,
        "Voltage regulator temperature.",
        BOARD,
        lambda board: board.vreg_temperature,
    ),
    gauge(
        "miner_board_voltage_volts",
        spec.VOLTS,
        "Hashboard or core voltage as measured.",
        BOARD,
        lambda board: board.voltage,
    ),
    gauge(
        "miner_board_voltage_target_volts",
        spec.VOLTS,
        "Hashboard or core voltage as set.",
        BOARD,
        lambda board: board.voltage_target,
    ),
    gauge(
        "miner_board_frequency_hertz",
        spec.HERTZ,
        "Mean chip clock of the hashboard.",
        BOARD,
        lambda board: board.frequency,
    ),
    gauge("miner_board_power_watts", spec.WATTS, "Power of the hashboard.", BOARD, lambda board: board.power),
    counter(
        "miner_board_hardware_errors_total",
        spec.COUNT,
        "Nonces the hashboard got wrong.",
        BOARD,
        lambda board: board.hardware_errors,
    ),
)

CHIP_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauge(
        "miner_chip_temperature_celsius",
        spec.CELSIUS,
        "Temperature of one chip.",
        CHIP,
        lambda item: item[1].temperature,
        optional=_CHIPS,
    ),
    gauge(
        "miner_chip_hashrate_hashes_per_second",
        spec.HASHES_PER_SECOND,
        "Hashrate of one chip.",
        CHIP,
        lambda item: item[1].hashrate,
        optional=_CHIPS,
    ),
    gauge(
        "miner_chip_frequency_hertz",
        spec.HERTZ,
        "Clock of one chip.",
        CHIP,
        lambda item: item[1].frequency,
        optional=_CHIPS,
    ),
    gauge(
        "miner_chip_voltage_volts",
        spec.VOLTS,
        "Voltage of one chip or domain.",
        CHIP,
        lambda item: item[1].voltage,
        optional=_CHIPS,
    ),
    counter(
        "miner_chip_hardware_errors_total",
        spec.COUNT,
        "Nonces one chip got wrong.",
        CHIP,
        lambda item: item[1].hardware_errors,
        optional=_CHIPS,
    ),
)
