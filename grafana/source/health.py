"""The dashboard Health: the exporter, Prometheus and Alertmanager themselves."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, figure, heat, lines
from grafana.source.tables import Column, rows

_JOB = 'job=~"$job"'


def _rate(metric: str, more: str = _JOB) -> str:
    return f"rate({metric}{{{more}}}[$__rate_interval])"


def _now() -> list[Panel]:
    return [
        figure("Exporters up", "Exporters that Prometheus could scrape.", f"sum(up{{{_JOB}}})", width=4),
        figure(
            "Exporters down",
            "Exporters that Prometheus could not scrape.",
            f"sum(up{{{_JOB}}} == bool 0)",
            steps=looks.NONE_WANTED,
        ),
        figure(
            "Behind",
            "How late the most overdue poll is. Seconds are usual; minutes mean more miners than one process can poll.",
            f"max(miner_exporter_poll_lag_seconds{{{_JOB}}})",
            looks.SECONDS,
            ((None, looks.GREEN), (15, looks.ORANGE), (60, looks.RED)),
        ),
        figure(
            "Polls in progress",
            "Polls that run now.",
            f"sum(miner_exporter_polls_in_flight{{{_JOB}}})",
        ),
        figure(
            "Configuration",
            "Whether the last load of targets.yml succeeded; if not, the one before is in use.",
            f"min(miner_exporter_config_last_reload_successful{{{_JOB}}})",
            looks.PLAIN,
            looks.YES_WANTED,
            mappings=looks.words({"0": ("rejected", looks.RED), "1": ("loaded", looks.GREEN)}),
            trend=False,
        ),
        figure(
            "Samples left out",
            "Samples left out of the page because they had no usable value or came twice; the log names them.",
            f"sum(increase(miner_exporter_exposition_faults_total{{{_JOB}}}[1h]))",
            steps=looks.NONE_WANTED,
            decimals=0,
        ),
        rows(
            "Exporters",
            "Each process: its version, how long it runs, what it needs.",
            f"max by (instance, version, revision, pythonversion) (miner_exporter_build_info{{{_JOB}}})",
            [
                Column("Exporter", label="instance"),
                Column("Version", label="version"),
                Column("Revision", label="revision"),
                Column("Python", label="pythonversion"),
                Column(
                    "Runs for",
                    expression=f"time() - max by (instance) (process_start_time_seconds{{{_JOB}}})",
                    unit=looks.DURATION,
                ),
                Column(
                    "Memory",
                    expression=f"max by (instance) (process_resident_memory_bytes{{{_JOB}}})",
                    unit=looks.BYTES,
                ),
                Column(
                    "Configuration read",
                    expression="1000 * max by (instance)"
                    f" (miner_exporter_config_last_reload_success_timestamp_seconds{{{_JOB}}})",
                    unit=looks.FROM_NOW,
                ),
            ],
            sort="Exporter",
            descending=False,
            height=6,
        ),
    ]


def _polls() -> list[Panel]:
    failed, begun = (
        f"sum by (driver) ({_rate(f'miner_exporter_{name}_total')})" for name in ("poll_failures", "polls")
    )
    durations = _rate("miner_exporter_poll_duration_seconds_bucket")
    return [
        lines(
            "Polls",
            "Polls begun a second, by driver.",
            [(f"sum by (driver) ({_rate('miner_exporter_polls_total')})", "{{driver}}")],
            looks.PER_SECOND,
            stacked=True,
            low=0,
            width=8,
        ),
        lines(
            "Failed polls",
            "Polls a second that failed, by driver and reason.",
            [(f"sum by (driver, reason) ({_rate('miner_exporter_poll_failures_total')})", "{{driver}}, {{reason}}")],
            looks.PER_SECOND,
            stacked=True,
            low=0,
            width=8,
        ),
        lines(
            "Failed of all polls",
            "Part of the polls that failed, by driver.",
            [
                (f"{failed} / ({begun} > 0)", "{{driver}}"),
            ],
            looks.RATIO,
            low=0,
            high=1,
            width=8,
        ),
        heat(
            "How long polls take",
            "Polls a second by their duration.",
            (f"sum by (le) ({durations})", "{{le}}"),
            looks.SECONDS,
            buckets=True,
        ),
        lines(
            "Slow polls of each driver",
            "Within this time 95 of 100 polls are done.",
            [
                # Drivers whose miners are not polled but listened to have no number here.
                (f"histogram_quantile(0.95, sum by (driver, le) ({durations})) >= 0", "{{driver}}"),
            ],
            looks.SECONDS,
            low=0,
            height=9,
        ),
    ]


def _process() -> list[Panel]:
    return [
        lines(
            "Processor",
            "Seconds of processor time a second: 1 is a whole core.",
            [(f"sum by (instance) ({_rate('process_cpu_seconds_total')})", "{{instance}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Memory",
            "Resident memory of the exporters.",
            [(f"max by (instance) (process_resident_memory_bytes{{{_JOB}}})", "{{instance}}")],
            looks.BYTES,
            low=0,
            width=8,
        ),
        lines(
            "Open files",
            "Open files and sockets, of those the system allows.",
            [(f"max by (instance) (process_open_fds{{{_JOB}}} / process_max_fds{{{_JOB}}})", "{{instance}}")],
            looks.RATIO,
            low=0,
            width=8,
        ),
        lines(
            "How long a scrape takes",
            "As Prometheus measures it.",
            [(f"max by (instance) (scrape_duration_seconds{{{_JOB}}})", "{{instance}}")],
            looks.SECONDS,
            low=0,
        ),
        lines(
            "Samples of a scrape",
            "How many samples a page has.",
            [(f"sum by (instance) (scrape_samples_scraped{{{_JOB}}})", "{{instance}}")],
            looks.COUNT,
            low=0,
        ),
    ]


def _prometheus() -> list[Panel]:
    behind = (
        "prometheus_remote_storage_highest_timestamp_in_seconds{}"
        " - ignoring (remote_name, url) group_right () prometheus_remote_storage_queue_highest_sent_timestamp_seconds{}"
    )
    return [
        lines(
            "Series of Prometheus",
            "Series in the head block; each costs about 3 KiB of memory.",
            [("sum by (instance) (prometheus_tsdb_head_series{})", "{{instance}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Failed evaluations of rules",
            "Within 10 minutes. Any is a fault in a rule or an overloaded Prometheus.",
            [("sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{}[10m]))", "{{rule_group}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "How long rules take",
            "The last evaluation of each group; it must stay below the interval of the group.",
            [("max by (rule_group) (prometheus_rule_group_last_duration_seconds{})", "{{rule_group}}")],
            looks.SECONDS,
            low=0,
            width=8,
        ),
        lines(
            "Messages that failed",
            "Messages of Alertmanager within 10 minutes that a receiver did not take.",
            [("sum by (integration) (increase(alertmanager_notifications_failed_total{}[10m]))", "{{integration}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Alarms that were not handed over",
            "Alarms within 10 minutes that Prometheus could not give to any Alertmanager.",
            [("sum by (instance) (increase(prometheus_notifications_dropped_total{}[10m]))", "{{instance}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Remote write is behind",
            "How far the store that Prometheus writes to is behind; absent without remote_write.",
            [(f"max by (instance, remote_name) ({behind})", "{{instance}}, {{remote_name}}")],
            looks.SECONDS,
            low=0,
            width=8,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-health",
        "Flockwatch / Health of the stack",
        "Whether exporter, Prometheus and Alertmanager do their work.",
        [
            Row("Exporter", _now()),
            Row("Polls", _polls()),
            Row("Process and scrapes", _process()),
            Row("Prometheus and Alertmanager", _prometheus()),
        ],
        variables.of_job(),
        alarm_matchers='alertname=~"Exporter.*|Prometheus.*|Alertmanager.*|Monitoring.*"',
    )
