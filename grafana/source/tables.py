"""Tables: one row a miner (or site, pool, ...), each column a query of its own, merged by the labels they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks
from grafana.source.links import OF_ROW
from grafana.source.panels import Panel, instant
from grafana.source.queries import kept
from grafana.source.variables import SOURCE

#: Fields that nobody wants to see.
_LEFT_OUT = ("Time", "job", "instance", "__name__", "site", "model", "wallet")
#: Fields that the links of a row need, so they are hidden but not left out.
_FOR_LINKS = ("miner", "page", "ip", "name")


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        title: its head.
        label: the label it shows; None for the figure of `expression`.
        expression: a query of its own; None for the first query of the table.
        unit: Grafana's name of the unit, for figures.
        steps: thresholds that colour the cell; None for no colour.
        mappings: words for figures.
        width: pixels; None lets Grafana choose.
        links: data links of the cells.
    """

    title: str
    label: str | None = None
    expression: str | None = None
    unit: str = looks.COUNT
    steps: looks.Steps | None = None
    mappings: list[models.ValueMapping] | None = None
    decimals: int | None = None
    width: int | None = None
    links: Sequence[dict[str, object]] = ()


#: The columns by which a miner is told, for a first query with the labels name, ip, miner and page.
MINER = Column("Miner", label="name", links=OF_ROW, width=190)
ADDRESS = Column(
    "Address",
    label="ip",
    width=130,
    links=({"title": "Its own web page", "url": "${__data.fields.page:raw}", "targetBlank": True},),
)
SITE = Column("Site", label="site", width=90)


def rows(
    title: str,
    description: str,
    base: str,
    columns: Sequence[Column],
    *,
    sort: str | None = None,
    descending: bool = True,
    width: int = 24,
    height: int = 9,
    kept_by: str | None = None,
) -> Panel:
    """A table.

    Args:
        base: the first query, whose rows there are.
        sort: head of a column.
        kept_by: label by which the other queries are narrowed to the rows of the first, see `queries.kept`. Needed
            where they would tell of more: of all miners in a table of the worst, say.
    """
    others = [column.expression for column in columns if column.expression is not None]
    if kept_by is not None:
        others = [kept(expression, base, kept_by) for expression in others]
    expressions = [base, *others]
    panel = (
        _framed(title, description, width, height)
        .unit(looks.TEXT)
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .filterable(filterable=True)
    )
    for number, expression in enumerate(expressions):
        panel = panel.with_target(instant(expression, number, table=True))
    fields = _fields(columns, several=len(expressions) > 1)
    panel = panel.transformations([models.DataTransformerConfig("merge", options={}), _order(fields, len(expressions))])
    for field, column in fields:
        panel = panel.with_override(
            models.MatcherConfig(id_val="byName", options=column.title),
            _properties(column, figure=field != column.label),
        )
    for name in _FOR_LINKS:
        if name not in (field for field, _ in fields):
            panel = panel.with_override(models.MatcherConfig(id_val="byName", options=name), _hidden())
    if sort is not None:
        panel = panel.sort_by([shared.TableSortByFieldState().display_name(sort).desc(desc=descending)])
    return panel


def _framed(title: str, description: str, width: int, height: int) -> table.Panel:
    """A table without queries."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .cell_height(common.TableCellHeight.SM)
    )


def matrix(
    title: str,
    description: str,
    expression: str,
    *,
    down: str,
    across: str,
    unit: str,
    width: int = 24,
    height: int = 12,
) -> Panel:
    """A cell for every series, coloured from the lowest to the highest figure. `down` is a label that holds numbers,
    which say the row; the label `across` says the column."""
    corner = f"{down}\\{across}"  # as Grafana names the first column
    return (
        _framed(title, description, width, height)
        .with_target(instant(expression, table=True))
        .unit(unit)
        .decimals(0)
        .mappings(looks.NOTHING)
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.CONTINUOUS_BL_YL_RD))
        .transformations(
            [
                models.DataTransformerConfig(
                    "convertFieldType",
                    options={"conversions": [{"targetField": down, "destinationType": "number"}]},
                ),
                models.DataTransformerConfig("sortBy", options={"sort": [{"field": down}]}),
                models.DataTransformerConfig(
                    "groupingToMatrix",
                    options={"rowField": down, "columnField": across, "valueField": "Value", "emptyValue": "null"},
                ),
            ]
        )
        .with_override(
            models.MatcherConfig(id_val="byType", options="number"),
            [models.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})],
        )
        .with_override(
            models.MatcherConfig(id_val="byName", options=corner),
            [
                models.DynamicConfigValue("displayName", down.capitalize()),
                models.DynamicConfigValue("unit", looks.PLAIN),
                models.DynamicConfigValue("custom.width", 70),
                models.DynamicConfigValue("custom.cellOptions", {"type": "auto"}),
            ],
        )
    )


def _value(number: int, *, several: bool) -> str:
    """The name that Grafana gives the figures of a query."""
    return f"Value #{chr(ord('A') + number)}" if several else "Value"


def _fields(columns: Sequence[Column], *, several: bool) -> list[tuple[str, Column]]:
    """The field that each column shows."""
    found, number = [], 0
    for column in columns:
        number += column.expression is not None
        own = number if column.expression is not None else 0
        found.append((column.label or _value(own, several=several), column))
    return found


def _order(fields: Sequence[tuple[str, Column]], queries: int) -> models.DataTransformerConfig:
    shown = [field for field, _ in fields]
    values = [_value(number, several=queries > 1) for number in range(queries)]
    return models.DataTransformerConfig(
        "organize",
        options={
            "excludeByName": {name: True for name in (*_LEFT_OUT, *values) if name not in shown},
            "indexByName": {field: index for index, field in enumerate(shown)},
            "renameByName": {field: column.title for field, column in fields},
        },
    )


def _hidden() -> list[models.DynamicConfigValue]:
    """Hides a field; Grafana renamed the property in 12.2."""
    return [
        models.DynamicConfigValue("custom.hidden", value=True),
        models.DynamicConfigValue("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False}),
    ]


def _properties(column: Column, *, figure: bool) -> list[models.DynamicConfigValue]:
    wanted: dict[str, Any] = {}
    if figure:
        wanted["unit"] = column.unit
    if column.decimals is not None:
        wanted["decimals"] = column.decimals
    if column.mappings is not None:
        wanted["mappings"] = column.mappings
    if column.steps is not None:
        wanted["thresholds"] = looks.thresholds(column.steps).build()
    if column.steps is not None or column.mappings is not None:
        wanted["custom.cellOptions"] = {"type": "color-text"}
    if column.width is not None:
        wanted["custom.width"] = column.width
    if column.links:
        wanted["links"] = list(column.links)
    return [models.DynamicConfigValue(id_val=name, value=value) for name, value in wanted.items()]
