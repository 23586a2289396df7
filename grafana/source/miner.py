"""The dashboard of one miner."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.links import MINER_UID
from grafana.source.panels import Panel, figure, lines, states
from grafana.source.queries import IDENTITY_OF_MINER, MINER, active_pool, identity_table, live, named, of, state_code
from grafana.source.tables import ADDRESS, SITE, Column, rows
from grafana.source.tables import MINER as NAME

_NAMED_STATE = named(state_code(), identity=IDENTITY_OF_MINER)


def _who() -> list[Panel]:
    return [
        rows(
            "Identity",
            "Who this is. The key is what its series are labelled with: MAC, serial number or USB port.",
            identity_table(
                "site, rack, group, driver, make, model, firmware, firmware_version, serial", IDENTITY_OF_MINER
            ),
            [
                NAME,
                ADDRESS,
                Column("Key", label="miner", width=160),
                SITE,
                Column("Rack", label="rack", width=80),
                Column("Group", label="group", width=80),
                Column("Make", label="make"),
                Column("Model", label="model"),
                Column("Firmware", label="firmware"),
                Column("Version", label="firmware_version"),
                Column("Serial number", label="serial"),
                Column("Driver", label="driver"),
            ],
            height=4,
        ),
        figure(
            "State",
            "What the miner does now.",
            f"max({state_code()})",
            looks.PLAIN,
            mappings=looks.STATE_WORDS,
            trend=False,
        ),
        figure(
            "Hash rate", "What the firmware reports.", f"max({of('miner_hashrate_hashes_per_second')})", looks.HASHES
        ),
        figure(
            "Of the expected",
            "Mean of 10 minutes over what is expected at the present settings.",
            f"max({live(of('miner:hashrate:ratio10m'))})",
            looks.RATIO,
            looks.OF_EXPECTED,
            decimals=1,
        ),
        figure("Power", "Measured or estimated by the firmware.", f"max({of('miner_power_watts')})", looks.WATTS),
        figure(
            "Hottest chip",
            "The hottest chip of all boards.",
            f"max({of('miner_board_chip_temperature_max_celsius')})",
            looks.CELSIUS,
            looks.CHIP,
        ),
        figure(
            "Last told",
            "When the miner last answered a poll.",
            f"1000 * max({of('miner_last_success_timestamp_seconds')})",
            looks.FROM_NOW,
            trend=False,
        ),
        states(
            "State over time",
            "What the miner did. Unreachable: no answer to the poll.",
            _NAMED_STATE,
            "{{name}}",
            mappings=looks.STATE_WORDS,
            height=4,
        ),
    ]


def _work() -> list[Panel]:
    return [
        lines(
            "Hash rate over time",
            "Reported (shortest window), expected at the settings, the sticker's, and credited by pools (six hours).",
            [
                (f"max({of('miner_hashrate_hashes_per_second')})", "reported"),
                (f"max({of('miner_hashrate_expected_hashes_per_second')})", "expected"),
                (f"max({of('miner_hashrate_nameplate_hashes_per_second')})", "sticker"),
                (f"max({of('miner:hashrate_effective_hashes_per_second:rate6h')})", "credited"),
            ],
            looks.HASHES,
            low=0,
        ),
        lines(
            "Power and its limit",
            "Power that the firmware tells, and its limit.",
            [
                (f"max({of('miner_power_watts')})", "power"),
                (f"max({of('miner_power_limit_watts')})", "limit"),
            ],
            looks.WATTS,
            low=0,
        ),
        lines(
            "Efficiency",
            "Power over hash rate, and what is usual for its model in this flock (with three of it or more).",
            [
                (f"1e12 * max({of('miner:energy_per_hash_joules:avg10m')})", "this miner"),
                (f"1e12 * max({of('miner:energy_per_hash_joules:typical')})", "usual for the model"),
            ],
            looks.EFFICIENCY,
            low=0,
            width=8,
        ),
        lines(
            "Hardware errors",
            "Wrong nonces a second, as the firmware counts them.",
            [(f"sum(rate({of('miner_hardware_errors_total')}[$__rate_interval]))", "errors")],
            looks.PER_SECOND,
            low=0,
            width=8,
        ),
        states(
            "Mode",
            "The selected work mode or preset.",
            f"{of('miner_work_mode')} == 1",
            "{{mode}}",
            mappings=looks.words({"1": ("selected", looks.BLUE)}),
            width=8,
            height=8,
            linked=False,
        ),
    ]


def _boards() -> list[Panel]:
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
                Column("Hash rate", expression=by_board("miner_board_hashrate_hashes_per_second"), unit=looks.HASHES),
                Column(
                    "Expected",
                    expression=by_board("miner_board_hashrate_expected_hashes_per_second"),
                    unit=looks.HASHES,
                ),
                Column("Chips", expression=by_board("miner_board_chips")),
                Column("Should have", expression=by_board("miner_board_chips_expected")),
                Column(
                    "Dead",
                    expression=by_board("miner_board_chips_bad", 'kind="dead"'),
                    steps=looks.NONE_WANTED,
                ),
                Column(
                    "Slow",
                    expression=by_board("miner_board_chips_bad", 'kind="slow"'),
                    steps=looks.NONE_WANTED_MILD,
                ),
                Column("Voltage", expression=by_board("miner_board_voltage_volts"), unit=looks.VOLTS, decimals=2),
                Column("Clock", expression=by_board("miner_board_frequency_hertz"), unit=looks.HERTZ),
                Column("Power", expression=by_board("miner_board_power_watts"), unit=looks.WATTS),
                Column(
                    "Hottest chip",
                    expression=by_board("miner_board_chip_temperature_max_celsius"),
                    unit=looks.CELSIUS,
                    steps=looks.CHIP,
                ),
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
            "The hottest and the mean chip of each board.",
            [
                (by_board("miner_board_chip_temperature_max_celsius"), "board {{board}} hottest"),
                (by_board("miner_board_chip_temperature_avg_celsius"), "board {{board}} mean"),
            ],
            looks.CELSIUS,
            steps=looks.CHIP,
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


def _cooling() -> list[Panel]:
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
                (f"max by (position) ({of('miner_board_coolant_temperature_celsius')})", "water, {{position}}"),
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
        ),
        lines(
            "Power supply, temperature",
            "Sensors of the power supply.",
            [(f"max by (psu, sensor) ({of('miner_psu_temperature_celsius')})", "{{psu}} {{sensor}}")],
            looks.CELSIUS,
        ),
    ]


def _pools() -> list[Panel]:
    def by_pool(metric: str) -> str:
        return f"max by (pool) ({of(metric)})"

    return [
        rows(
            "Pools",
            "The pools as the miner has them; users are not shown unless the exporter is told to.",
            f"max by (pool, url) ({of('miner_pool_info')})",
            [
                Column("Pool", label="pool", width=60),
                Column("Address", label="url"),
                Column("Priority", expression=by_pool("miner_pool_priority")),
                Column("Up", expression=by_pool("miner_pool_up"), mappings=looks.UP_WORDS),
                Column("In use", expression=by_pool("miner_pool_active"), mappings=looks.YES_WORDS),
                Column("Difficulty", expression=by_pool("miner_pool_difficulty"), unit=looks.DIFFICULTY),
                Column("Accepted", expression=by_pool("miner_pool_shares_accepted_total")),
                Column("Rejected", expression=by_pool("miner_pool_shares_rejected_total")),
                Column("Stale", expression=by_pool("miner_pool_shares_stale_total")),
                Column(
                    "Last share",
                    expression=f"1000 * {by_pool('miner_pool_last_share_timestamp_seconds')}",
                    unit=looks.FROM_NOW,
                ),
                Column("Answers in", expression=by_pool("miner_pool_response_time_seconds"), unit=looks.SECONDS),
            ],
            sort="Pool",
            descending=False,
            height=6,
        ),
        lines(
            "Shares",
            "Shares a second, accepted and rejected.",
            [
                (f"sum(rate({of('miner_pool_shares_accepted_total')}[$__rate_interval]))", "accepted"),
                (f"sum(rate({of('miner_pool_shares_rejected_total')}[$__rate_interval]))", "rejected"),
            ],
            looks.PER_SECOND,
            low=0,
            width=8,
        ),
        lines(
            "Time since the last share",
            "Since the last accepted share, and how far apart they should be at this difficulty and hash rate.",
            [
                (f"min(time() - ({active_pool('miner_pool_last_share_timestamp_seconds')}))", "since the last"),
                (f"max({of('miner:share_interval_seconds:expected')})", "expected between two"),
            ],
            looks.SECONDS,
            low=0,
            width=8,
        ),
        lines(
            "Best share",
            "Difficulty of the best share ever and since the start.",
            [
                (f"max({of('miner_best_share_difficulty')})", "ever"),
                (f"max({of('miner_session_best_share_difficulty')})", "since the start"),
            ],
            looks.DIFFICULTY,
            width=8,
        ),
    ]


def _trouble() -> list[Panel]:
    return [
        rows(
            "Errors that the firmware reports",
            "Error codes that hold now; their meaning stands in the maker's documents.",
            f"max by (code, severity, component) ({of('miner_error_active')})",
            [
                Column("Code", label="code"),
                Column("Severity", label="severity"),
                Column("Part", label="component"),
            ],
            width=12,
            height=6,
        ),
        rows(
            "Alarms of this miner",
            "What Prometheus complains about now.",
            f'max by (alertname, severity) (ALERTS{{alertstate="firing", {MINER}}})',
            [Column("Alarm", label="alertname"), Column("Severity", label="severity")],
            width=12,
            height=6,
        ),
        lines(
            "Uptime",
            "Since the control board booted, and since the mining process began. A step down is a restart.",
            [
                (f"max({of('miner_uptime_seconds')})", "board"),
                (f"max({of('miner_mining_uptime_seconds')})", "mining"),
            ],
            looks.DURATION,
            low=0,
            width=8,
        ),
        lines(
            "How long a poll takes",
            "Duration of the polls of this miner.",
            [(f"max({of('miner_poll_duration_seconds')})", "poll")],
            looks.SECONDS,
            low=0,
            width=8,
        ),
        lines(
            "Failed polls",
            "Polls that failed within 10 minutes, by reason.",
            [(f"sum by (reason) (increase({of('miner_poll_errors_total')}[10m]))", "{{reason}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        MINER_UID,
        "Flockwatch / Miner",
        "Everything about one miner.",
        [
            Row("Who and how", _who()),
            Row("Work", _work()),
            Row("Boards", _boards()),
            Row("Cooling and power supply", _cooling()),
            Row("Pools", _pools()),
            Row("Trouble, restarts and polls", _trouble()),
        ],
        variables.of_one_miner(),
        alarm_matchers=MINER,
        span="24h",
    )
