"""The dashboard Fleet: the whole flock in figures of sites, cheap with any number of miners."""

from __future__ import annotations

from functools import partial

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.links import OF_ALARM, OF_ROW
from grafana.source.panels import Panel, figure, lines, states
from grafana.source.queries import (
    IDENTITY_OF_SITE,
    ON,
    SITE,
    chosen,
    energy_of_sites,
    heat_code,
    heat_left,
    paged,
    per_miner,
    worst,
)
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE as SITE_COLUMN
from grafana.source.tables import Column, rows

_JOB = 'job=~"$job"'
_BOTH = (
    f"miner:hashrate_hashes_per_second:avg10m{{{_JOB}}}",
    f"miner:hashrate_expected_hashes_per_second:avg10m{{{_JOB}}}",
)


#: A figure; eight fill a line.
_narrow = partial(figure, width=3)


def _sum(series: str) -> str:
    return f"sum({series}{{{SITE}}})"


def _of_site(expression: str) -> str:
    return chosen(expression, IDENTITY_OF_SITE)


def _count(condition: str) -> str:
    """How many miners fulfil a `bool` comparison: 0 where none does, nothing where nobody knows."""
    return f"sum({_of_site(condition)})"


def _pair(first: str, second: str) -> str:
    """Sum of `first` over those miners that tell `second` too."""
    return f"sum({_of_site(f'{first} and {ON} {second}')})"


_POWER, _RATE = f"miner_power_watts{{{_JOB}}}", f"miner_hashrate_hashes_per_second{{{_JOB}}}"
_J_PER_TH = f"1e12 * {_pair(_POWER, _RATE)} / ({_pair(_RATE, _POWER)} > 0)"
_OF_EXPECTED = f"{_pair(_BOTH[0], _BOTH[1])} / ({_pair(_BOTH[1], _BOTH[0])} > 0)"
_RATIO = f"miner:hashrate:ratio10m{{{_JOB}}} unless {ON} miner:resting{{{_JOB}}}"


def _counts() -> list[Panel]:
    return [
        _narrow(
            "Miners",
            "Miners that are managed; those that are retired or listed only do not count.",
            _sum("site:miners:count"),
        ),
        _narrow("Up", "Miners whose last poll succeeded.", _sum("site:miners_up:sum")),
        _narrow(
            "Down",
            "Miners whose last poll failed.",
            f"{_sum('site:miners:count')} - {_sum('site:miners_up:sum')}",
            steps=looks.NONE_WANTED,
        ),
        _narrow(
            "Resting on purpose",
            "Miners that are paused, asleep or curtailed: not meant to hash now.",
            _count(f"miner_expected_mining{{{_JOB}}} == bool 0"),
        ),
        _narrow(
            "Below 90 %",
            "Miners that hash less than 90 % of what is expected (mean of 10 minutes), without those that rest. There"
            " the alarm begins.",
            _count(f"({_RATIO}) < bool 0.9"),
            steps=looks.NONE_WANTED_MILD,
        ),
        _narrow(
            "Overheated",
            "Miners whose firmware throttles or has stopped because of heat.",
            _count(f"miner_overheat{{{_JOB}}}"),
            steps=looks.NONE_WANTED,
        ),
        _narrow("Muted", "Miners whose alarms a person has muted.", _count(f"miner_muted{{{_JOB}}}")),
        _narrow(
            "Lamp on",
            "Miners whose lamp is on: a person looks for them, or the firmware reports a fault.",
            _count(f"miner_fault_light{{{_JOB}}}"),
        ),
    ]


def _sums() -> list[Panel]:
    return [
        _narrow(
            "Hash rate",
            "What the firmwares report together, over their shortest window.",
            _sum("site:hashrate_hashes_per_second:sum"),
            looks.HASHES,
        ),
        _narrow(
            "Of the expected",
            "Reported over expected hash rate (means of 10 minutes) of the miners that tell both.",
            _OF_EXPECTED,
            looks.RATIO,
            looks.OF_EXPECTED,
            decimals=1,
        ),
        _narrow(
            "Credited by pools",
            "Hash rate from the difficulty of accepted shares over an hour: what is paid for. It wavers by luck.",
            _sum("site:hashrate_effective_hashes_per_second:sum"),
            looks.HASHES,
        ),
        _narrow("Power", "Power of the miners that tell theirs.", _sum("site:power_watts:sum"), looks.WATTS),
        _narrow(
            "Efficiency",
            "Power over hash rate of the miners that tell both; less is better.",
            _J_PER_TH,
            looks.EFFICIENCY,
            decimals=1,
        ),
        _narrow(
            "Energy of the time above",
            "Energy within the time range, summed up from the power that the miners told each minute; no meter is read,"
            " and who does not tell its power is not in it.",
            f"sum({energy_of_sites()})",
            looks.WATT_HOURS,
            trend=False,
        ),
        _narrow(
            "It cost, in ${currency}",
            "That energy at the price above.",
            f"sum({energy_of_sites()}) / 1000 * $price",
            looks.MONEY,
            decimals=2,
            trend=False,
        ),
        _narrow(
            "A day costs, in ${currency}",
            "The present power for 24 hours at the price above.",
            f"{_sum('site:power_watts:sum')} / 1000 * 24 * $price",
            looks.MONEY,
            decimals=2,
        ),
    ]


def _courses() -> list[Panel]:
    return [
        lines(
            "Hash rate over time",
            "Reported by the firmwares, expected at their settings, and credited by pools (an hour's mean).",
            [
                (_sum("site:hashrate_hashes_per_second:sum"), "reported"),
                (_sum("site:hashrate_expected_hashes_per_second:sum"), "expected"),
                (_sum("site:hashrate_effective_hashes_per_second:sum"), "credited"),
            ],
            looks.HASHES,
            low=0,
        ),
        lines(
            "Hash rate of each site",
            "Reported hash rate, stacked. Miners without a site are one without a name.",
            [(f"sum by (site) (site:hashrate_hashes_per_second:sum{{{SITE}}})", "{{site}}")],
            looks.HASHES,
            stacked=True,
            low=0,
        ),
        lines(
            "Power of each site",
            "Power that the miners tell, stacked.",
            [(f"sum by (site) (site:power_watts:sum{{{SITE}}})", "{{site}}")],
            looks.WATTS,
            stacked=True,
            low=0,
        ),
        lines(
            "Efficiency of each site",
            "Power over hash rate of the miners that tell both; less is better.",
            [(f"1e12 * max by (site) (site:energy_per_hash_joules:ratio{{{SITE}}})", "{{site}}")],
            looks.EFFICIENCY,
            low=0,
        ),
        lines(
            "Shares of an hour",
            "Shares that pools accepted and rejected within the hour before.",
            [
                (f"sum({_of_site(f'miner:shares_accepted:increase1h{{{_JOB}}}')})", "accepted"),
                (f"sum({_of_site(f'miner:shares_rejected:increase1h{{{_JOB}}}')})", "rejected"),
            ],
            looks.COUNT,
            low=0,
        ),
        lines(
            "Miners up",
            "Miners whose last poll succeeded, and all there are.",
            [(_sum("site:miners_up:sum"), "up"), (_sum("site:miners:count"), "all")],
            looks.COUNT,
            low=0,
        ),
        states(
            "Sites over time",
            "The part of each site's miners that is up.",
            f"sum by (site) (site:miners_up:sum{{{SITE}}}) / sum by (site) (site:miners:count{{{SITE}}})",
            "{{site}}",
            steps=looks.ALL_UP,
            unit=looks.RATIO,
            linked=False,
        ),
    ]


_GROUP_COLUMNS = {
    "Miners": ("miners:count", looks.COUNT, None),
    "Up": ("miners_up:sum", looks.COUNT, None),
    "Hash rate": ("hashrate_hashes_per_second:sum", looks.HASHES, None),
    "Of expected": ("hashrate:ratio10m", looks.RATIO, looks.OF_EXPECTED),
    "Credited": ("hashrate_effective_hashes_per_second:sum", looks.HASHES, None),
    "Power": ("power_watts:sum", looks.WATTS, None),
}


def _groups(level: str, matchers: str, head: str, description: str) -> Panel:
    def column(series: str) -> str:
        return f"max by ({level}) ({level}:{series}{{{matchers}}})"

    columns = [Column(head, label=level)]
    for title, (series, unit, steps) in _GROUP_COLUMNS.items():
        expression = None if title == "Miners" else column(series)
        columns.append(Column(title, expression=expression, unit=unit, steps=steps))
    efficiency = f"1e12 * {column('energy_per_hash_joules:ratio')}"
    columns.append(Column("J/TH", expression=efficiency, unit=looks.EFFICIENCY, decimals=1))
    base = column("miners:count")
    return rows(f"By {level}", description, base, columns, sort="Miners", height=8, kept_by=level)


def _parts() -> list[Panel]:
    return [
        _groups("site", SITE, "Site", "Each site. The row without a name is of the miners that have no site."),
        _groups(
            "model", _JOB, "Model", "Each model, of all sites. The row without a name is of the miners that tell none."
        ),
        rows(
            "Firmwares",
            "How many miners run which version, and which driver asks them. Empty where a miner does not tell its"
            " firmware.",
            f"count by (driver, firmware, firmware_version) ({IDENTITY_OF_SITE})",
            [
                Column("Firmware", label="firmware"),
                Column("Version", label="firmware_version"),
                Column("Driver", label="driver"),
                Column("Miners"),
            ],
            sort="Miners",
            height=8,
        ),
    ]


def _worst_table(
    title: str, description: str, operator: str, expression: str, head: str, unit: str, steps: looks.Steps
) -> Panel:
    return rows(
        title,
        description,
        worst(operator, expression, IDENTITY_OF_SITE),
        [NAME, SITE_COLUMN, Column(head, unit=unit, steps=steps)],
        sort=head,
        descending=operator == "topk",
        width=8,
    )


def _hottest() -> Panel:
    chips = f"max by (job, instance, miner) (miner_board_chip_temperature_max_celsius{{{_JOB}}})"
    words = per_miner(heat_code(chips, _JOB), IDENTITY_OF_SITE)
    return rows(
        "Hottest chips",
        "The ten miners whose hottest chip is nearest to the limit of its kind, or furthest above it. Hot is above the"
        " limit of the warning, too hot above that of the critical alarm.",
        worst("bottomk", heat_left(chips, _JOB), IDENTITY_OF_SITE),
        [
            NAME,
            Column("To the limit", unit=looks.CELSIUS, steps=looks.HEAT_LEFT, decimals=0, width=100),
            Column(
                "Hottest chip", expression=per_miner(chips, IDENTITY_OF_SITE), unit=looks.CELSIUS, decimals=0, width=110
            ),
            Column("Heat", expression=words, mappings=looks.HEAT_WORDS, width=80),
        ],
        sort="To the limit",
        descending=False,
        width=8,
        kept_by="miner",
    )


def _attention() -> list[Panel]:
    firing = f'ALERTS{{alertstate="firing", severity!="none", {SITE}}}'
    of_miners = f"({firing}) * {ON} group_left (ip) miner:info{{{_JOB}}}"
    with_address = f"{of_miners} or ({firing} unless {ON} miner:info{{{_JOB}}})"
    return [
        rows(
            "Alarms that fire",
            "What Prometheus complains about now. Silences and inhibitions of Alertmanager are not seen here.",
            paged(f"max by (alertname, severity, name, miner, ip, site) ({with_address})"),
            [
                Column("Alarm", label="alertname", links=OF_ALARM),
                Column("Severity", label="severity", width=90),
                Column("Miner", label="name", links=OF_ROW),
                SITE_COLUMN,
            ],
            width=24,
            height=7,
        ),
        _worst_table(
            "Furthest below what is expected",
            "The ten with the least of their expected hash rate (means of 10 minutes), without those that rest.",
            "bottomk",
            _RATIO,
            "Of expected",
            looks.RATIO,
            looks.OF_EXPECTED,
        ),
        _hottest(),
        _worst_table(
            "Most rejected shares",
            "The ten with the largest part of rejected shares within an hour.",
            "topk",
            f"miner:shares_rejected:ratio1h{{{_JOB}}}",
            "Rejected",
            looks.RATIO,
            looks.REJECTS,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-fleet",
        "Flockwatch / Fleet",
        "All miners together: what they do, what they should do, what they cost, and which need a hand.",
        [
            Row("Now", [*_counts(), *_sums()]),
            Row("Needs a hand", _attention()),
            Row("Over time", _courses()),
            Row("Sites, models, firmwares", _parts()),
        ],
        [*variables.of_sites(), *variables.cost()],
        alarm_matchers=SITE,
    )
