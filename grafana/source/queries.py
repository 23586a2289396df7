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


def named(expression: str, labels: str = "name", identity: str = IDENTITY) -> str:
    """The series of the chosen miners, with labels of `miner:info` added."""
    return f"({expression}) * {ON} group_left ({labels}) {identity}"


def per_miner(expression: str, identity: str = IDENTITY, function: str = "max") -> str:
    """One series a miner, labelled with its key only: a column of a table."""
    return f"{function} by (miner) ({chosen(expression, identity)})"


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
