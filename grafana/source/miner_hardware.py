"""Of the dashboard of one miner: its hashboards, its cooling and its power supply."""

from __future__ import annotations

from grafana.source import looks
from grafana.source.panels import Panel, lines
from grafana.source.queries import coolant, heat_code, limit, of
from grafana.source.tables import Column, rows

_HOTTEST = of("miner_board_chip_temperature_max_celsius")


def boards() -> list[Panel]:
    """The row about its hashboards."""

    def by_board(metric: str, more: str = "") -> str:
        return f"max by (board) ({of(metric, more)})"

    return [
        rows(
            "Boards",
            "Each hashboard now.",
            f"max by (board) ({of('miner_board_up')})",
            [
                Column("Board", label="board", width=70),
                Column("Up", mappings=looks.UP_WORDS, width=70),
                Column(
                    "Hash rate",
                    expression=by_board("miner_board_hashrate_hashes_per_second"),
                    unit=looks.HASHES,
                    width=105,
                ),
                Column(
                    "Expected",
                    expression=by_board("miner_board_hashrate_expected_hashes_per_second"),
                    unit=looks.HASHES,
                    width=105,
                ),
                Column("Chips", expression=by_board("miner_board_chips"), width=65),
                Column("Should have", expression=by_board("miner_board_chips_expected"), width=95),
                Column(
                    "Dead",
                    expression=by_board("miner_board_chips_bad", 'kind="dead"'),
                    steps=looks.NONE_WANTED,
                    width=60,
                ),
                Column(
                    "Slow",
                    expression=by_board("miner_board_chips_bad", 'kind="slow"'),
                    steps=looks.NONE_WANTED_MILD,
                    width=60,
                ),
                Column(
                    "Voltage", expression=by_board("miner_board_voltage_volts"), unit=looks.VOLTS, decimals=2, width=80
                ),
                Column("Clock", expression=by_board("miner_board_frequency_hertz"), unit=looks.HERTZ, width=85),
                Column("Power", expression=by_board("miner_board_power_watts"), unit=looks.WATTS, width=75),
                Column(
                    "Hottest chip",
                    expression=by_board("miner_board_chip_temperature_max_celsius"),
                    unit=looks.CELSIUS,
                    width=100,
                ),
                Column(
                    "Heat", expression=f"max by (board) ({heat_code(_HOTTEST)})", mappings=looks.HEAT_WORDS, width=80
                ),
                Column(
                    "Coolest chip",
                    expression=by_board("miner_board_chip_temperature_min_celsius"),
                    unit=looks.CELSIUS,
                    width=100,
                ),
                Column(
                    "Kind of chip",
                    label="chip_model",
                    expression=f"max by (board, chip_model, serial) ({of('miner_board_info')})",
                    width=110,
                ),
                Column("Serial number", label="serial"),
            ],
            sort="Board",
            descending=False,
            height=7,
        ),
        lines(
            "Hash rate of each board",
            "What each hashboard does.",
            [(by_board("miner_board_hashrate_hashes_per_second"), "board {{board}}")],
            looks.HASHES,
            low=0,
        ),
        lines(
            "Chip temperatures",
            "The hottest and the mean chip of each board, and above which temperatures the alarms are raised.",
            [
                (by_board("miner_board_chip_temperature_max_celsius"), "board {{board}} hottest"),
                (by_board("miner_board_chip_temperature_avg_celsius"), "board {{board}} mean"),
                (f"max({limit('warning')})", "warning"),
                (f"max({limit('critical')})", "critical"),
            ],
            looks.CELSIUS,
            dashed={"warning": looks.ORANGE, "critical": looks.RED},
        ),
        lines(
            "Board and regulator temperatures",
            "Sensors on the boards and voltage regulators.",
            [
                (f"max by (board, sensor) ({of('miner_board_temperature_celsius')})", "board {{board}} {{sensor}}"),
                (by_board("miner_board_vreg_temperature_celsius"), "regulator {{board}}"),
            ],
            looks.CELSIUS,
        ),
        lines(
            "Voltage and its target",
            "Of each board or of the core: measured and set.",
            [
                (by_board("miner_board_voltage_volts"), "board {{board}}"),
                (by_board("miner_board_voltage_target_volts"), "board {{board}} set"),
            ],
            looks.VOLTS,
        ),
    ]


def cooling() -> list[Panel]:
    """The row about fans, air, water and power supply."""
    return [
        lines(
            "Fans",
            "Speed of each fan.",
            [(f"max by (fan) ({of('miner_fan_speed_rpm')})", "fan {{fan}}")],
            looks.RPM,
            low=0,
            width=8,
        ),
        lines(
            "Fan drive",
            "How hard the fans are driven.",
            [(f"max by (fan) ({of('miner_fan_duty_ratio')})", "fan {{fan}}")],
            looks.RATIO,
            low=0,
            high=1,
            width=8,
        ),
        lines(
            "Air, water and target",
            "Temperatures around the miner and what its fan control aims at.",
            [
                (f"max by (position) ({of('miner_environment_temperature_celsius')})", "air, {{position}}"),
                (f"max by (position) ({coolant()})", "water, {{position}}"),
                (f"max({of('miner_temperature_target_celsius')})", "target"),
            ],
            looks.CELSIUS,
            width=8,
        ),
        lines(
            "Power supply, voltage",
            "What goes into the power supply and out of it.",
            [
                (f"max by (psu) ({of('miner_psu_input_voltage_volts')})", "in {{psu}}"),
                (f"max by (psu) ({of('miner_psu_output_voltage_volts')})", "out {{psu}}"),
            ],
            looks.VOLTS,
            low=0,
            width=8,
        ),
        lines(
            "Power supply, current",
            "What goes into the power supply and out of it.",
            [
                (f"max by (psu) ({of('miner_psu_input_current_amperes')})", "in {{psu}}"),
                (f"max by (psu) ({of('miner_psu_output_current_amperes')})", "out {{psu}}"),
            ],
            looks.AMPERES,
            low=0,
            width=8,
        ),
        lines(
            "Power supply, temperature",
            "Sensors of the power supply.",
            [(f"max by (psu, sensor) ({of('miner_psu_temperature_celsius')})", "{{psu}} {{sensor}}")],
            looks.CELSIUS,
            width=8,
        ),
    ]
