"""Puts rows of panels together to a dashboard with variables, annotations and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard as models

from grafana.source.links import TAG, board_links
from grafana.source.panels import Panel
from grafana.source.variables import SOURCE, Variable, flockwatch


@dataclass(frozen=True, slots=True)
class Row:
    """A headed row of panels, filled from the left, 24 columns wide."""

    title: str
    panels: Sequence[Panel]


def alarms(matchers: str) -> builders.AnnotationQuery:
    """Marks where alarms fired."""
    expression = f'ALERTS{{alertstate="firing", severity=~"warning|critical", {matchers}}}'
    return (
        builders.AnnotationQuery()
        .name("Alarms")
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color("red")
        .target(_annotation_target(expression))
        .expr(expression)
        .step("30s")
        .title_format("{{alertname}} {{name}}")
        .text_format("{{severity}} {{site}}")
        .tag_keys("severity,site")
    )


def _annotation_target(expression: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).range().ref_id("Alarms").datasource(SOURCE)


def dashboard(
    uid: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    variables: Sequence[Variable],
    *,
    alarm_matchers: str,
    span: str = "6h",
) -> models.Dashboard:
    """The whole dashboard. Panels are numbered in their order: Grafana's permalinks need numbers, and the SDK gives
    none."""
    board = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time(f"now-{span}", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .annotation(alarms(alarm_matchers))
    )
    for variable in (*variables, flockwatch()):
        board = board.with_variable(variable)
    for link in board_links():
        board = board.link(link)
    for row in rows:
        board = board.with_row(builders.Row(row.title))
        for panel in row.panels:
            board = board.with_panel(panel)
    built = board.build()
    for number, panel_or_row in enumerate(built.panels or [], 1):
        panel_or_row.id_val = number
    return built
