"""The dashboard Energy, cooling and cost."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, lines
from grafana.source.queries import (
    IDENTITY,
    ON,
    SITE,
    chosen,
    coolant,
    energy,
    energy_of_sites,
    named,
    of,
    per_miner,
    worst,
)
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE as SITE_COLUMN
from grafana.source.tables import Column, rows

_POWER = of("miner_power_watts")
_RATE = of("miner_hashrate_hashes_per_second")
_PER_HASH = of("miner:energy_per_hash_joules:avg10m")
_SUM = f"sum({chosen(_POWER)})"
_BY_SITE = f"sum by (site) ({named(_POWER, 'site')})"
_ENERGY = energy_of_sites()
#: Joules per terahash at which a miner costs as much as it brings in.
_BREAK_EVEN = "1000 * $income / (24 * $price)"


def _j_per_th(group: str = "") -> str:
    both = (f"({_POWER} and {ON} {_RATE})", f"({_RATE} and {ON} {_POWER})")
    if not group:
        return f"1e12 * sum({chosen(both[0])}) / (sum({chosen(both[1])}) > 0)"
    power, rate = (f"sum by ({group}) ({named(each, group)})" for each in both)
    return f"1e12 * {power} / ({rate} > 0)"


def _now() -> list[Panel]:
    return [
        figure("Power", "Power of the chosen miners that tell theirs.", _SUM, looks.WATTS),
        figure(
            "Telling their power",
            "Part of the chosen miners that tell their power; the others are missing in every figure here.",
            f"count({chosen(_POWER)}) / count({IDENTITY})",
            looks.RATIO,
            decimals=0,
        ),
        figure(
            "Efficiency", "Power over hash rate of miners that tell both.", _j_per_th(), looks.EFFICIENCY, decimals=1
        ),
        figure(
            "A day costs, in ${currency}",
            "The present power of the chosen miners for 24 hours.",
            f"{_SUM} / 1000 * 24 * $price",
            looks.MONEY,
            decimals=2,
        ),
        figure(
            "A month costs, in ${currency}",
            "The present power of the chosen miners for 30 days and a half.",
            f"{_SUM} / 1000 * 24 * 30.5 * $price",
            looks.MONEY,
            decimals=2,
        ),
        figure(
            "A day of 1 TH/s costs, in ${currency}",
            "Efficiency times price: what a day of one terahash a second costs.",
            f"({_j_per_th()}) / 1000 * 24 * $price",
            looks.MONEY,
            decimals=4,
        ),
    ]


def _used() -> list[Panel]:
    return [
        figure(
            "Energy of the time above",
            "Energy within the time range, of whole sites: it knows the variable Site only. It is summed up from the"
            " power that the miners told each minute; no meter is read.",
            f"sum({_ENERGY})",
            looks.WATT_HOURS,
            width=6,
            height=6,
            trend=False,
        ),
        figure(
            "It cost, in ${currency}",
            "That energy at the price above, of whole sites.",
            f"sum({_ENERGY}) / 1000 * $price",
            looks.MONEY,
            width=6,
            height=6,
            decimals=2,
            trend=False,
        ),
        rows(
            "Sites",
            "Energy and cost of each site within the time range. The row without a name is of miners without a site.",
            f"sum by (site) ({_ENERGY})",
            [
                Column("Site", label="site"),
                Column("Energy", unit=looks.WATT_HOURS),
                Column("Cost", expression=f"sum by (site) ({_ENERGY}) / 1000 * $price", unit=looks.MONEY, decimals=2),
                Column("Power now", expression=f"sum by (site) (site:power_watts:sum{{{SITE}}})", unit=looks.WATTS),
                Column(
                    "J/TH",
                    expression=f"1e12 * max by (site) (site:energy_per_hash_joules:ratio{{{SITE}}})",
                    unit=looks.EFFICIENCY,
                    decimals=1,
                ),
            ],
            sort="Energy",
            width=12,
            height=6,
        ),
        lines(
            "Power of each site",
            "Of the chosen miners, stacked.",
            [(_BY_SITE, "{{site}}")],
            looks.WATTS,
            stacked=True,
            low=0,
        ),
        lines(
            "Cost of an hour, in ${currency}",
            "At the power of each moment.",
            [(f"({_BY_SITE}) / 1000 * $price", "{{site}}")],
            looks.MONEY,
            stacked=True,
            low=0,
        ),
        lines(
            "Energy of an hour",
            "Energy of the hour before each moment, of whole sites, from the power that the miners told each minute.",
            [(f"sum by (site) ({energy_of_sites('1h')})", "{{site}}")],
            looks.WATT_HOURS,
            stacked=True,
            low=0,
        ),
        rows(
            "Energy of each miner",
            "The twenty miners that needed most within the time range: by their own meters where they have one, else"
            " summed up from the power they told each minute. Choose few miners before you look at many days.",
            worst("topk", energy(), IDENTITY, 20),
            [NAME, SITE_COLUMN, Column("Energy", unit=looks.WATT_HOURS)],
            sort="Energy",
            width=12,
            height=8,
        ),
        bars(
            "Efficiency of each model",
            "Power over hash rate of the miners that tell both; less is better.",
            f"sort({_j_per_th('model')})",
            "{{model}}",
            looks.EFFICIENCY,
            width=12,
        ),
        rows(
            "Least efficient",
            "The twenty miners that need most for a hash, and what is usual for their model.",
            worst("topk", f"1e12 * {_PER_HASH}", IDENTITY, 20),
            [
                NAME,
                SITE_COLUMN,
                Column("J/TH", unit=looks.EFFICIENCY, decimals=1),
                Column(
                    "Usual",
                    expression=f"1e12 * max by (miner) ({chosen(of('miner:energy_per_hash_joules:typical'))})",
                    unit=looks.EFFICIENCY,
                    decimals=1,
                ),
            ],
            sort="J/TH",
            width=12,
            height=8,
            kept_by="miner",
        ),
    ]


def _earned() -> list[Panel]:
    both = _of_both()
    hour = 24
    return [
        figure(
            "A day brings, in ${currency}",
            "Hash rate that the chosen miners report, times the income above.",
            f"sum({chosen(_RATE)}) / 1e12 * $income",
            looks.MONEY,
            decimals=2,
            width=6,
        ),
        figure(
            "Left of a day, in ${currency}",
            "Income less the cost of energy, of the chosen miners that tell power and hash rate both.",
            f"sum({chosen(both)})",
            looks.MONEY,
            looks.GAIN,
            decimals=2,
            width=6,
        ),
        figure(
            "Break-even efficiency",
            "A miner that needs more joules for a terahash than this costs more than it brings in.",
            _BREAK_EVEN,
            looks.EFFICIENCY,
            decimals=1,
            width=6,
        ),
        figure(
            "Cost more than they bring",
            "Miners that need more for a hash than the break-even efficiency (mean of 10 minutes).",
            f"sum({chosen(f'1e12 * {_PER_HASH} > bool {_BREAK_EVEN}')})",
            steps=looks.NONE_WANTED_MILD,
            width=6,
        ),
        lines(
            "Income and cost of an hour, in ${currency}",
            "At the hash rate and the power of each moment and the prices above, of the miners that tell both.",
            [
                (f"sum({chosen(f'{_RATE} and {ON} {_POWER}')}) / 1e12 * $income / {hour}", "income"),
                (f"sum({chosen(f'{_POWER} and {ON} {_RATE}')}) / 1000 * $price", "cost"),
                (f"sum({chosen(both)}) / {hour}", "left"),
            ],
            looks.MONEY,
            width=12,
        ),
        rows(
            "Left of a day for each miner",
            "The twenty miners that bring least above their cost, in the currency above.",
            worst("bottomk", both, IDENTITY, 20),
            [
                NAME,
                SITE_COLUMN,
                Column("Left of a day", unit=looks.MONEY, steps=looks.GAIN, decimals=2),
                Column("J/TH", expression=f"1e12 * {per_miner(_PER_HASH)}", unit=looks.EFFICIENCY, decimals=1),
            ],
            sort="Left of a day",
            descending=False,
            width=12,
            height=8,
            kept_by="miner",
        ),
    ]


def _of_both() -> str:
    """Income less cost of a day, one series a miner that tells hash rate and power."""
    return f"{_RATE} / 1e12 * $income - {ON} {_POWER} / 1000 * 24 * $price"


def _saved() -> list[Panel]:
    resting = of("miner_expected_mining") + " == bool 0"
    return [
        lines(
            "Resting on purpose",
            "Miners that are paused, asleep or curtailed.",
            [(f"sum by (site) ({named(resting, 'site')})", "{{site}}")],
            looks.COUNT,
            low=0,
        ),
        lines(
            "Power and limits",
            "Of the miners that tell a limit: what they draw, and what they may.",
            [
                (f"sum({chosen(_POWER + f' and {ON} ' + of('miner_power_limit_watts'))})", "power"),
                (f"sum({chosen(of('miner_power_limit_watts'))})", "limit"),
            ],
            looks.WATTS,
            low=0,
        ),
    ]


def _cooling() -> list[Panel]:
    pair = "max by (job, instance, miner)"
    inlet, outlet = (coolant(f'position="{position}"') for position in ("inlet", "outlet"))
    delta = f"{pair} ({outlet}) - {pair} ({inlet})"
    air = named(of("miner_environment_temperature_celsius"), "site")
    duty = chosen(of("miner_fan_duty_ratio"))
    return [
        lines(
            "Air",
            "Air at the miners that tell it: the mean of each site and place.",
            [(f"avg by (site, position) ({air})", "{{site}} {{position}}")],
            looks.CELSIUS,
            width=8,
        ),
        lines(
            "Water",
            "Water at water-cooled miners or their boards: the hottest of each place.",
            [(f"max by (position) ({chosen(coolant())})", "{{position}}")],
            looks.CELSIUS,
            width=8,
        ),
        lines(
            "Water, outlet less inlet",
            "The ten largest differences. A difference that grows means too little flow.",
            [(f"topk(10, {named(delta)})", "{{name}}")],
            looks.CELSIUS,
            low=0,
            width=8,
            linked=True,
        ),
        lines(
            "Fan drive",
            "How hard fans are driven: the middle one and the hardest.",
            [(f"quantile(0.5, {duty})", "middle"), (f"max({duty})", "hardest")],
            looks.RATIO,
            low=0,
            high=1,
            width=8,
        ),
        lines(
            "Slowest fans",
            "The ten slowest of the chosen miners; 0 is a fan that stands still.",
            [(f"bottomk(10, {named(of('miner_fan_speed_rpm'))})", "{{name}} fan {{fan}}")],
            looks.RPM,
            low=0,
            width=8,
            linked=True,
        ),
        lines(
            "Input of power supplies",
            "The lowest input voltage of each model that tells it; a sag points at a cable or an overloaded supply.",
            [(f"min by (model) ({named(of('miner_psu_input_voltage_volts'), 'model')})", "{{model}}")],
            looks.VOLTS,
            width=8,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-energy",
        "Flockwatch / Energy, cooling and cost",
        "What the miners draw, what it costs and brings in, what is saved, and how they are cooled.",
        [
            Row("Now", _now()),
            Row("Used", _used()),
            Row("Earned", _earned()),
            Row("Saved", _saved()),
            Row("Cooling", _cooling()),
        ],
        [*variables.of_miners(), *variables.cost(), variables.income()],
        alarm_matchers='job=~"$job", site=~"$site", miner=~"$miner"',
        span="24h",
    )
