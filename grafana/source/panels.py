"""Panels with the house's looks. A query is (expression, legend)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import (
    bargauge,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    common as shared,
)
from grafana_foundation_sdk.builders import (
    dashboard as builders,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.source import looks
from grafana.source.links import series_links
from grafana.source.queries import paged
from grafana.source.variables import SOURCE

Panel = Builder[models.Panel]
Query = tuple[str, str]
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def target(expression: str, number: int = 0, legend: str = "") -> prometheus.Dataquery:
    """A query over the time range."""
    query = prometheus.Dataquery().expr(expression).range().ref_id(_LETTERS[number]).datasource(SOURCE)
    return query.legend_format(legend) if legend else query


def instant(expression: str, number: int = 0, legend: str = "", *, table: bool = False) -> prometheus.Dataquery:
    """A query at the end of the time range."""
    query = prometheus.Dataquery().expr(expression).instant().ref_id(_LETTERS[number]).datasource(SOURCE)
    query = query.format(PromQueryFormat.TABLE) if table else query
    return query.legend_format(legend) if legend else query


def figure(
    title: str,
    description: str,
    expression: str,
    unit: str = looks.COUNT,
    steps: looks.Steps = looks.NEUTRAL,
    *,
    width: int = 4,
    height: int = 4,
    mappings: list[models.ValueMapping] | None = None,
    decimals: int | None = None,
    legend: str = "",
    none: str = "not told",
    trend: bool = True,
    word: tuple[str, list[models.ValueMapping]] | None = None,
) -> Panel:
    """One figure, with its course behind it unless `trend` is off. `none` stands where there is no value. `word` is a
    second query and the words for its figures, which stand below the first."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .with_target(target(expression, legend=legend) if trend else instant(expression, legend=legend))
        .unit(unit)
        .thresholds(looks.thresholds(steps))
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA if trend else common.BigValueGraphMode.NONE)
        .reduce_options(shared.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(none)
    )
    if mappings is not None:
        panel = panel.mappings(mappings)
    if word is not None:
        expression, texts = word
        panel = (
            panel.with_target(target(expression, 1) if trend else instant(expression, 1))
            .text_mode(common.BigValueTextMode.VALUE)
            .with_override(
                models.MatcherConfig(id_val="byFrameRefID", options=_LETTERS[1]),
                [
                    models.DynamicConfigValue("unit", looks.PLAIN),
                    models.DynamicConfigValue("mappings", texts),
                ],
            )
        )
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str = looks.COUNT,
    *,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    low: float | None = None,
    high: float | None = None,
    linked: bool = False,
    steps: looks.Steps | None = None,
    dashed: Mapping[str, str] | None = None,
) -> Panel:
    """Courses over time.

    Args:
        linked: adds the links of a miner; the series must have the labels miner, name and ip.
        dashed: legend -> colour of the series that are limits.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .unit(unit)
        .line_width(1)
        .fill_opacity(30 if stacked else 5)
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(span_nulls=False)
        .legend(
            shared.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(shared.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    for number, (expression, legend) in enumerate(queries):
        panel = panel.with_target(target(paged(expression) if linked else expression, number, legend))
    for legend, colour in (dashed or {}).items():
        panel = panel.with_override(models.MatcherConfig(id_val="byName", options=legend), _dashed(colour))
    if stacked:
        panel = panel.stacking(shared.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps is not None:
        panel = panel.thresholds(looks.thresholds(steps)).thresholds_style(
            shared.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    return panel.data_links(series_links()) if linked else panel


def _dashed(colour: str) -> list[models.DynamicConfigValue]:
    return [
        models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
        models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
    ]


def states(
    title: str,
    description: str,
    expression: str,
    legend: str,
    *,
    mappings: list[models.ValueMapping] | None = None,
    steps: looks.Steps | None = None,
    unit: str = looks.PLAIN,
    width: int = 24,
    height: int = 6,
    linked: bool = True,
) -> Panel:
    """A strip of colour for each series, by value mappings or thresholds."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .with_target(target(paged(expression) if linked else expression, legend=legend))
        .unit(unit)
        .show_value(common.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
        .row_height(0.85)
        .fill_opacity(80)
        .line_width(0)
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .thresholds(looks.thresholds(steps or ((None, looks.GREY),)))
        .legend(
            shared.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
    )
    if mappings is not None:
        panel = panel.mappings(mappings)
    return panel.data_links(series_links()) if linked else panel


def bars(
    title: str,
    description: str,
    expression: str,
    legend: str,
    unit: str = looks.COUNT,
    steps: looks.Steps = looks.NEUTRAL,
    *,
    width: int = 8,
    height: int = 8,
    low: float | None = 0,
    linked: bool = False,
    none: str = "none",
) -> Panel:
    """Present values as bars, the largest first where the query sorts them."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .with_target(instant(paged(expression) if linked else expression, legend=legend))
        .unit(unit)
        .thresholds(looks.thresholds(steps))
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .orientation(common.VizOrientation.HORIZONTAL)
        .reduce_options(shared.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(none)
    )
    if low is not None:
        panel = panel.min(low)
    return panel.data_links(series_links()) if linked else panel


def heat(
    title: str, description: str, query: Query, unit: str, *, buckets: bool, width: int = 12, height: int = 9
) -> Panel:
    """How many fall into which range. `buckets`: the series are of a histogram, with the label le; else each series is
    the count of one range, lowest first. `unit` is that of the axis."""
    asked = target(query[0], legend=query[1])
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .max_data_points(100)
        .with_target(asked.format(PromQueryFormat.HEATMAP) if buckets else asked)
        .unit(unit)
        .calculate(calculate=False)
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
            .exponent(0.5)
        )
        .show_legend()
    )
