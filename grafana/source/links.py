"""Where a click leads: to a miner's dashboard, to its own web page, to Flockwatch."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

TAG: Final = "flockwatch"
MINER_UID: Final = "flockwatch-miner"
#: Where the pages about alarms are, as the rules name them.
RUNBOOKS: Final = "https://github.com/flockwatch/flockwatch/blob/main/docs/runbooks"
_KEPT: Final = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"

Link = dict[str, object]
LinkBuilder = Builder[models.DashboardLink]


def _link(title: str, url: str, *, blank: bool = True) -> Link:
    return {"title": title, "url": url, "targetBlank": blank}


#: For a table's column `name`; the row has the fields miner, name and page.
OF_ROW: Final[tuple[Link, ...]] = (
    _link(
        "This miner's dashboard",
        f"/d/{MINER_UID}?var-miner=${{__data.fields.miner:percentencode}}&{_KEPT}",
        blank=False,
    ),
    _link("Its own web page", "${__data.fields.page:raw}"),
    _link("In Flockwatch", "${flockwatch:raw}/miners/by-key/${__data.fields.miner:percentencode}"),
)
#: For a column `alertname`.
OF_ALARM: Final[tuple[Link, ...]] = (_link("What to do", f"{RUNBOOKS}/${{__data.fields.alertname}}.md"),)
#: For a series with the labels miner, name and page.
OF_SERIES: Final[tuple[tuple[str, str], ...]] = (
    (
        "Dashboard of ${__field.labels.name}",
        f"/d/{MINER_UID}?var-miner=${{__field.labels.miner:percentencode}}&{_KEPT}",
    ),
    ("Web page of ${__field.labels.name}", "${__field.labels.page}"),
    (
        "${__field.labels.name} in Flockwatch",
        "${flockwatch:raw}/miners/by-key/${__field.labels.miner:percentencode}",
    ),
)


def series_links() -> list[LinkBuilder]:
    """`OF_SERIES` as builders."""
    return [builders.DashboardLink(title).url(url).type(models.DashboardLinkType.LINK) for title, url in OF_SERIES]


def board_links() -> list[LinkBuilder]:
    """The links on top of every dashboard: the other dashboards with the same choice, and Flockwatch."""
    others = (
        builders.DashboardLink("Flockwatch dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    ui = (
        builders.DashboardLink("Flockwatch")
        .type(models.DashboardLinkType.LINK)
        .url("${flockwatch:raw}/")
        .icon("external link")
        .target_blank(target_blank=True)
    )
    return [others, ui]
