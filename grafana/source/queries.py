"""Parts of PromQL that the dashboards share. All functions are pure: text in, text out.

Two ways to choose miners. Sums of sites (`SITE`) come from recording rules, stay cheap with any number of miners and
know the variables job and site only. Everything about single miners (`of`, `chosen`, `named`) obeys every variable.
"""

from __future__ import annotations

from typing import Final

SITE: Final = 'job=~"$job", site=~"$site"'
MINER: Final = 'job=~"$job", miner=~"$miner"'
#: The labels of `miner:info` by which miners are chosen.
IDENTITY: Final = (
    'miner:info{job=~"$job", site=~"$site", rack=~"$rack", group=~"$group", driver=~"$driver", model=~"$model",'
    ' miner=~"$miner"}'
)
IDENTITY_OF_SITE: Final = f"miner:info{{{SITE}}}"
IDENTITY_OF_MINER: Final = f"miner:info{{{MINER}}}"
ON: Final = "on (job, instance, miner)"
#: Degrees below the limit of the warning from which chips count as warm.
WARM: Final = 5
#: The code of a state in timelines and tables, the further from mining the larger; "unreachable" is our own, the others
#: are the label of `miner_state`.
STATES: Final = {
    "mining": 1, "tuning": 2, "starting": 3, "idle": 4, "curtailed": 5, "unknown": 6, "fault": 7, "unreachable": 8,
}  # fmt: skip


def of(metric: str, more: str = "") -> str:
    """A metric of the chosen miners, by their key alone; `more` are further matchers."""
    return f"{metric}{{{MINER}{', ' if more else ''}{more}}}"


def chosen(expression: str, identity: str = IDENTITY) -> str:
    """The series of `expression` that belong to the chosen miners, with their labels as they are."""
    return f"({expression}) and {ON} {identity}"


def named(expression: str, labels: str = "name, ip", identity: str = IDENTITY) -> str:
    """The series of the chosen miners, with labels of `miner:info` added; name and address are what links need."""
    return f"({expression}) * {ON} group_left ({labels}) {identity}"


def per_miner(expression: str, identity: str = IDENTITY, function: str = "max") -> str:
    """One series a miner, labelled with its key only: a column of a table."""
    return f"{function} by (miner) ({chosen(expression, identity)})"


def kept(expression: str, base: str, label: str = "miner") -> str:
    """The series of `expression` whose `label` is one of those of `base`: the column of a table that has fewer rows
    than there are miners. Grafana's merge keeps what fits no row as a row of its own, without a name."""
    return f"({expression}) and on ({label}) ({base})"


def limit(level: str, matchers: str = MINER) -> str:
    """The chip temperature above which the alarm of `level` (warning, critical) is raised, one series a miner."""
    return f"miner:chip_temperature_limit_celsius:{level}{{{matchers}}}"


def heat_code(temperature: str, matchers: str = MINER) -> str:
    """How hot chips are for their kind of miner, see `looks.HEAT_WORDS`: 3 and 2 above the limits of the alarms, 1 less
    than `WARM` degrees below them, else 0. `temperature` are series with the labels of a miner."""
    return "\n  + ".join(
        f"(({temperature}){more} > bool {ON} group_left () {limit(level, matchers)})"
        for level, more in (("critical", ""), ("warning", ""), ("warning", f" + {WARM}"))
    )


def heat_left(temperature: str, matchers: str = MINER) -> str:
    """Degrees up to the limit of the warning; below zero above it."""
    return f"{limit('warning', matchers)} - {ON} group_right () ({temperature})"


def fans_missing(matchers: str = MINER) -> str:
    """Fans that each miner's model has, less those that it tells; not below 0."""
    seen = f"count by (job, instance, miner) (miner_fan_speed_rpm{{{matchers}}})"
    return f"clamp_min(miner_fans_expected{{{matchers}}} - {ON} {seen}, 0)"


def coolant(more: str = "") -> str:
    """Temperatures of the water, at the miner or at its boards, as the alarms read them."""
    return " or ".join(of(f"miner_{part}coolant_temperature_celsius", more) for part in ("", "board_"))


def energy() -> str:
    """Watt-hours of each miner within the time range: of its meter where it has one, else from its power, a point every
    minute that has one, so gaps cost nothing."""
    metered = f"increase({of('miner_energy_joules_total')}[$__range]) / 3600"
    return f"({metered}) or (sum_over_time({of('miner_power_watts')}[$__range:1m]) / 60)"


def energy_of_sites(window: str = "$__range") -> str:
    """Watt-hours of each site within a time, from the sums of power: a point every minute that has one."""
    return f"sum_over_time(site:power_watts:sum{{{SITE}}}[{window}:1m]) / 60"


def paged(expression: str) -> str:
    """Adds the label ``page``, the address of the device's own web page; that of Flockwatch for a device on USB."""
    with_address = f'label_replace({expression}, "page", "http://$1", "ip", "(.+)")'
    return f'label_replace({with_address}, "page", "$flockwatch/", "ip", "")'


def live(expression: str) -> str:
    """The series of miners that answer: means and rates of rules outlive the last answer by their window."""
    return f"({expression}) and {ON} ({of('miner_up')} == 1)"


def identity_table(labels: str, identity: str = IDENTITY) -> str:
    """One series a miner with `labels` of its identity: what the other columns of a table are merged to."""
    return paged(f"max by (miner, name, ip, {labels}) ({identity})")


def worst(operator: str, expression: str, identity: str, number: int = 10) -> str:
    """The first `number` miners by `operator` (topk or bottomk), with name, site and page."""
    inner = f"max by (miner, name, ip, site) ({named(expression, 'name, ip, site', identity)})"
    return paged(f"{operator}({number}, {inner})")


def state_code(matchers: str = MINER) -> str:
    """The number of each miner's state, see `STATES`. A miner that nobody can reach has no `miner_state`."""
    told = "\n  or ".join(
        f'{code} * (miner_state{{{matchers}, state="{state}"}} == 1)'
        for state, code in STATES.items()
        if state != "unreachable"
    )
    unreachable = STATES["unreachable"]
    return f"max without (state) (\n  {told}\n)\nor {unreachable} * (miner_up{{{matchers}}} == bool 0) > 0"


def active_pool(metric: str, matchers: str = MINER) -> str:
    """A metric of the pool that work is taken from."""
    return f"{metric}{{{matchers}}} and on (job, instance, miner, pool) (miner_pool_active{{{matchers}}} == 1)"
