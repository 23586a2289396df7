"""The dashboard of one miner."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.links import MINER_UID, OF_ALARM
from grafana.source.miner_hardware import boards, cooling
from grafana.source.panels import Panel, figure, lines, states
from grafana.source.queries import (
    IDENTITY_OF_MINER,
    MINER,
    active_pool,
    energy,
    fans_missing,
    heat_code,
    identity_table,
    live,
    named,
    of,
    state_code,
)
from grafana.source.tables import ADDRESS, SITE, Column, rows
from grafana.source.tables import MINER as NAME

_HOTTEST = of("miner_board_chip_temperature_max_celsius")
#: Width of a figure: eight in a line.
_NARROW = 3
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
            width=_NARROW,
        ),
        figure(
            "Hash rate",
            "What the firmware reports.",
            f"max({of('miner_hashrate_hashes_per_second')})",
            looks.HASHES,
            width=_NARROW,
        ),
        figure(
            "Of the expected",
            "Mean of 10 minutes over what is expected at the present settings.",
            f"max({live(of('miner:hashrate:ratio10m'))})",
            looks.RATIO,
            looks.OF_EXPECTED,
            decimals=1,
            width=_NARROW,
        ),
        figure(
            "Power",
            "Measured or estimated by the firmware.",
            f"max({of('miner_power_watts')})",
            looks.WATTS,
            width=_NARROW,
        ),
        figure(
            "Energy of the time above",
            "Energy within the time range: by the miner's own meter where it has one, else summed up from the power it"
            " told each minute, which counts nothing while it was silent.",
            f"sum({energy()})",
            looks.WATT_HOURS,
            trend=False,
            width=_NARROW,
        ),
        figure(
            "Hottest chip",
            "The hottest chip of all boards, and how it is for this kind of miner: hot above the limit of the warning,"
            " too hot above that of the critical alarm.",
            f"max({_HOTTEST})",
            looks.CELSIUS,
            word=(f"max({heat_code(_HOTTEST)})", looks.HEAT_WORDS),
            trend=False,
            width=_NARROW,
        ),
        figure(
            "Fans missing",
            "Fans that the model has, less those that it tells.",
            f"sum({fans_missing()})",
            steps=looks.NONE_WANTED,
            trend=False,
            width=_NARROW,
        ),
        figure(
            "Last told",
            "When the miner last answered a poll.",
            f"1000 * max({of('miner_last_success_timestamp_seconds')})",
            looks.FROM_NOW,
            trend=False,
            width=_NARROW,
        ),
        states(
            "State over time",
            "What the miner did. Unreachable: no answer to the poll.",
            _NAMED_STATE,
            "{{name}}",
            mappings=looks.STATE_WORDS,
            width=12,
            height=5,
        ),
        states(
            "Signs over time",
            "Whether the firmware throttled or stopped because of heat, and whether the lamp was on by which a miner is"
            " found or complains.",
            _signs(),
            "{{sign}}",
            mappings=looks.SIGN_WORDS,
            width=12,
            height=5,
            linked=False,
        ),
    ]


def _signs() -> str:
    """Yes-or-no figures as one answer, told apart by the label `sign`."""
    signs = {"too hot": f"max({of('miner_overheat')})", "lamp": f"2 * max({of('miner_fault_light')})"}
    return "\n  or ".join(f'label_replace({figure}, "sign", "{word}", "", "")' for word, figure in signs.items())


def _work() -> list[Panel]:
    return [
        lines(
            "Hash rate over time",
            "Reported (shortest window), expected at the settings, the sticker's, credited by pools (six hours), and"
            " counted by the firmware hash by hash.",
            [
                (f"max({of('miner_hashrate_hashes_per_second')})", "reported"),
                (f"max({of('miner_hashrate_expected_hashes_per_second')})", "expected"),
                (f"max({of('miner_hashrate_nameplate_hashes_per_second')})", "sticker"),
                (f"max({of('miner:hashrate_effective_hashes_per_second:rate6h')})", "credited"),
                (f"max(rate({of('miner_hashes_total')}[$__rate_interval]))", "counted"),
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
            "Wrong and doubled nonces a second, as the firmware counts them.",
            [
                (f"sum(rate({of('miner_hardware_errors_total')}[$__rate_interval]))", "wrong"),
                (f"sum(rate({of('miner_duplicate_nonces_total')}[$__rate_interval]))", "doubled"),
            ],
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
            [Column("Alarm", label="alertname", links=OF_ALARM), Column("Severity", label="severity")],
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
            Row("Boards", boards()),
            Row("Cooling and power supply", cooling()),
            Row("Pools", _pools()),
            Row("Trouble, restarts and polls", _trouble()),
        ],
        variables.of_one_miner(),
        alarm_matchers=MINER,
        span="24h",
    )
