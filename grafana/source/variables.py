"""The variables on top of the dashboards. Each narrows those that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${datasource}")

Variable = Builder[models.VariableModel]


def _option(value: str) -> models.VariableOption:
    return models.VariableOption(selected=True, text=value, value=value)


def datasource() -> Variable:
    """The Prometheus to ask."""
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .description("The Prometheus that scrapes Flockwatch.")
    )


def job() -> Variable:
    """The scrape job. "All" is missing on purpose."""
    return (
        builders.QueryVariable("job")
        .label("Job")
        .description(
            "The scrape job. Where the same miners are scraped by two jobs, /metrics and /probe, choose one of them, or"
            " sums count every miner twice; that is why there is no All."
        )
        .datasource(SOURCE)
        .query(_query("label_values(miner_up, job)"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .current(_option("flockwatch"))
        .multi(multi=True)
        .include_all(include_all=False)
    )


def _query(text: str) -> dict[str, object]:
    """As Grafana's own editor writes it; 1 is a query for label values, 3 for results."""
    kind = 1 if text.startswith("label_values") else 3
    return {"qryType": kind, "query": text, "refId": "PrometheusVariableQueryEditor-VariableQuery"}


#: name, label, description.
_LABELS: Final = {
    "site": ("Site", "The label `site` of targets.yml or of the web UI. All includes miners without a site."),
    "rack": ("Rack", "The label `rack`. All includes miners without a rack."),
    "group": ("Group", "The label `group`. All includes miners without a group."),
    "driver": ("Driver", "The driver that polls the miner."),
    "model": ("Model", "The model. All includes miners that do not tell theirs."),
}


def _label(name: str, before: Sequence[str]) -> Variable:
    label, description = _LABELS[name]
    matchers = ", ".join(f'{each}=~"${each}"' for each in before)
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query(_query(f"label_values(miner:info{{{matchers}}}, {name})"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        # Unlike .+ it matches miners that lack the label.
        .all_value(".*")
    )


def _miner(before: Sequence[str], *, one: bool) -> Variable:
    matchers = ", ".join(f'{each}=~"${each}"' for each in before)
    found = (
        builders.QueryVariable("miner")
        .label("Miner")
        .description("Names of miners; the queries use their key, which outlives a new name or address.")
        .datasource(SOURCE)
        .query(_query(f"query_result(max by (miner, name) (miner:info{{{matchers}}}))"))
        .regex('/miner="(?<value>[^"]+)",name="(?<text>[^"]*)"/')
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(multi=not one)
        .include_all(include_all=not one)
    )
    return found if one else found.all_value(".+")


def flockwatch() -> Variable:
    """Where links to the web UI lead."""
    return (
        builders.TextBoxVariable("flockwatch")
        .label("Flockwatch")
        .description("The address of the web UI, as your browser reaches it; links lead there.")
        .default_value("http://127.0.0.1:8080")
        .current(_option("http://127.0.0.1:8080"))
    )


def cost() -> list[Variable]:
    """What a kilowatt-hour costs, and in what."""
    currencies = ("EUR", "USD", "GBP", "CHF", "CAD", "AUD", "NOK", "SEK", "JPY", "BRL", "PYG", "BTC")
    return [
        builders.TextBoxVariable("price")
        .label("Price of 1 kWh")
        .description(
            "What a kilowatt-hour costs you, with a point: 0.12. A tariff that changes needs a series of its own."
        )
        .default_value("0.15")
        .current(_option("0.15")),
        builders.CustomVariable("currency")
        .label("Currency")
        .description("Only the word in titles; nothing is converted.")
        .values(",".join(currencies))
        .options([models.VariableOption(selected=each == "EUR", text=each, value=each) for each in currencies])
        .current(_option("EUR")),
    ]


def income() -> Variable:
    """What hashing brings in."""
    return (
        builders.TextBoxVariable("income")
        .label("Income of 1 TH/s a day")
        .description(
            "What a terahash a second earns you in a day after fees, in the currency of the price, with a point: 0.045."
            " Pools call it the hash price. It is a figure of today: earlier days are shown at it too."
        )
        .default_value("0.05")
        .current(_option("0.05"))
    )


def of_sites() -> list[Variable]:
    """For dashboards of sums: data source, job, site."""
    return [datasource(), job(), _label("site", ["job"])]


def of_miners() -> list[Variable]:
    """For dashboards of single miners: all labels and the miners themselves."""
    names = ["job", *_LABELS]
    labels = [_label(name, names[: names.index(name)]) for name in _LABELS]
    return [datasource(), job(), *labels, _miner(names, one=False)]


def of_one_miner() -> list[Variable]:
    """For the dashboard of one miner."""
    return [datasource(), job(), _label("site", ["job"]), _miner(["job", "site"], one=True)]


def of_job() -> list[Variable]:
    """For dashboards of the exporter."""
    return [datasource(), job()]
