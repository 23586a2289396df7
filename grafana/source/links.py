"""Where a click leads: to a miner's dashboard, to its own web page, to Flockwatch."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

TAG: Final = "flockwatch"
MINER_UID: Final = "flockwatch-miner"
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
    _link("In Flockwatch", "${flockwatch:raw}/?q=${__data.fields.name:percentencode}"),
)
#: For a series with the labels miner and name.
OF_SERIES: Final[tuple[tuple[str, str], ...]] = (
    (
        "Dashboard of ${__field.labels.name}",
        f"/d/{MINER_UID}?var-miner=${{__field.labels.miner:percentencode}}&{_KEPT}",
    ),
    ("${__field.labels.name} in Flockwatch", "${flockwatch:raw}/?q=${__field.labels.name:percentencode}"),
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
