"""The dashboard Onboarding and discovery: what was found, what waits, what refuses."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, lines
from grafana.source.queries import IDENTITY_OF_SITE, ON, SITE, named, paged, per_miner
from grafana.source.tables import ADDRESS, Column, rows
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE as SITE_COLUMN

_JOB = 'job=~"$job"'


def _listed(expression: str, labels: str = "") -> str:
    inner = named(expression, "name, ip, site, model", IDENTITY_OF_SITE)
    return paged(f"max by (miner, name, ip, site, model{labels}) ({inner})")


def _waiting() -> list[Panel]:
    not_managed = f"sum((miner_managed{{{_JOB}}} == bool 0) and {ON} {IDENTITY_OF_SITE})"
    return [
        figure(
            "New devices waiting",
            "Devices that were found and that nobody has named yet; see New devices in Flockwatch.",
            f"sum(miner_exporter_devices_waiting{{{_JOB}}})",
            steps=looks.NONE_WANTED_MILD,
            width=6,
        ),
        figure(
            "Miners",
            "Miners that are configured or adopted.",
            f"sum(miner_exporter_targets{{{_JOB}}})",
            width=6,
        ),
        figure("Listed only", "Miners that are known and not managed: they are not polled.", not_managed, width=6),
        figure(
            "Devices on USB",
            "Serial devices that are attached and served.",
            f"sum(miner_exporter_usb_ports{{{_JOB}}})",
            width=6,
        ),
        lines(
            "Waiting, by where they were found",
            "By where they were found.",
            [(f"sum by (source) (miner_exporter_devices_waiting{{{_JOB}}})", "{{source}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        bars(
            "Miners by driver",
            "Configured and adopted miners, by driver and by how they came in.",
            f"sort_desc(sum by (driver, source) (miner_exporter_targets{{{_JOB}}}))",
            "{{driver}}, {{source}}",
        ),
        rows(
            "Known and not polled",
            "Miners that are known and not polled; switch them on in Flockwatch.",
            _listed(f"miner_managed{{{_JOB}}} == bool 0 > 0"),
            [NAME, ADDRESS, SITE_COLUMN],
            sort="Miner",
            descending=False,
            width=8,
            height=8,
        ),
    ]


def _discovery() -> list[Panel]:
    return [
        figure(
            "Last search",
            "When the last search of the networks ended.",
            f"1000 * max(miner_exporter_discovery_last_run_timestamp_seconds{{{_JOB}}})",
            looks.FROM_NOW,
            width=4,
            trend=False,
        ),
        lines(
            "Addresses tried",
            "Addresses and ports that discovery tries a second.",
            [
                (
                    f"sum by (method) (rate(miner_exporter_discovery_hosts_probed_total{{{_JOB}}}[$__rate_interval]))",
                    "{{method}}",
                )
            ],
            looks.PER_SECOND,
            low=0,
            width=10,
        ),
        lines(
            "Found by the last search",
            "Miners that each search found: adopted, or known before.",
            [
                (
                    f'sum by (method) (miner_exporter_discovery_miners_found{{{_JOB}, adopted="true"}})',
                    "{{method}}, adopted",
                ),
                (
                    f'sum by (method) (miner_exporter_discovery_miners_found{{{_JOB}, adopted="false"}})',
                    "{{method}}, known before",
                ),
            ],
            looks.COUNT,
            low=0,
            width=10,
        ),
    ]


def _refused() -> list[Panel]:
    now = per_miner(f"miner_sign_in_refused{{{_JOB}}}", IDENTITY_OF_SITE)
    auth = f'increase(miner_poll_errors_total{{{_JOB}, reason="auth"}}[1h])'
    return [
        rows(
            "Passwords refused",
            "Miners that refused every password within the last hour. Enter the right one in Flockwatch.",
            _listed(f"{auth} > 0"),
            [
                NAME,
                ADDRESS,
                SITE_COLUMN,
                Column("Model", label="model"),
                Column("Times", decimals=0),
                Column("Refused now", expression=now, mappings=looks.SIGN_WORDS),
            ],
            sort="Times",
            width=12,
            kept_by="miner",
        ),
        rows(
            "Not understood",
            "Miners whose answers could not be read within the last hour; their firmware may be too new or too old.",
            _listed(
                f'increase(miner_poll_errors_total{{{_JOB}, reason=~"decode|protocol|unsupported"}}[1h]) > 0',
                ", reason",
            ),
            [
                NAME,
                ADDRESS,
                SITE_COLUMN,
                Column("Model", label="model"),
                Column("Reason", label="reason"),
                Column("Times", decimals=0),
            ],
            sort="Times",
            width=12,
        ),
    ]


def _drivers() -> list[Panel]:
    return [
        rows(
            "Drivers",
            "The drivers that are loaded: bundled with the program, or files of your own.",
            f"max by (driver, version, source, sha256) (miner_exporter_driver_info{{{_JOB}}})",
            [
                Column("Driver", label="driver"),
                Column("Version", label="version"),
                Column("Source", label="source"),
                Column("SHA-256", label="sha256"),
            ],
            sort="Driver",
            descending=False,
            width=12,
        ),
        figure(
            "Drivers rejected",
            "Driver files that were refused; `flockwatch drivers list` says why.",
            f"sum(miner_exporter_drivers_rejected{{{_JOB}}})",
            steps=looks.NONE_WANTED,
            width=4,
        ),
        lines(
            "Commands",
            "Commands to miners within 10 minutes, by what came of them.",
            [
                (
                    f"sum by (command, result) (increase(miner_exporter_commands_total{{{_JOB}}}[10m]))",
                    "{{command}} {{result}}",
                )
            ],
            looks.COUNT,
            low=0,
            width=8,
            height=9,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-onboarding",
        "Flockwatch / Onboarding and discovery",
        "What was found and waits for a name, what the searches do, and who refuses.",
        [
            Row("New", _waiting()),
            Row("Search", _discovery()),
            Row("Refused", _refused()),
            Row("Drivers and commands", _drivers()),
        ],
        variables.of_sites(),
        alarm_matchers=SITE,
        span="24h",
    )
