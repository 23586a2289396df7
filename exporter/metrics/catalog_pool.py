"""Metrics of configured pools. Fee pools of a firmware's developer are left out by the scope."""

from __future__ import annotations

import re
from typing import Any, Final

from exporter.metrics import spec
from exporter.metrics.scopes import POLL, POOL, counter, counters, gauge, gauges
from exporter.metrics.spec import Labelled, MetricSpec
from exporter.model import Pool

_USERINFO: Final = re.compile(r"^((?:[A-Za-z0-9+.-]+:)?//)?[^/@\s]*@")


def public_url(url: str | None) -> str | None:
    """`url` as the device told it, without a user and password in front of the host."""
    if url is None or "@" not in url:
        return url
    return _USERINFO.sub(lambda match: match[1] or "", url)


def _redacted(pool: Pool) -> tuple[Labelled, ...]:
    return () if pool.url is None and pool.user is None else (((public_url(pool.url), ""), 1.0),)


def _with_user(pool: Pool) -> tuple[Labelled, ...]:
    return () if pool.url is None and pool.user is None else (((public_url(pool.url), pool.user), 1.0),)


def pool_info(*, show_user: bool) -> MetricSpec[Pool]:
    """``miner_pool_info``; the label ``user`` is empty unless the collector ``pool_user`` is on."""
    return gauges(
        "miner_pool_info",
        spec.INFO,
        "Configured pool; the value is always 1 (user is empty unless the collector pool_user is on).",
        POOL,
        ("url", "user"),
        _with_user if show_user else _redacted,
    )


POOL_METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    gauge("miner_pool_up", spec.BOOL, "1 if the firmware says the pool is alive.", POOL, lambda pool: pool.up),
    gauge("miner_pool_active", spec.BOOL, "1 for the pool that work is taken from.", POOL, lambda pool: pool.active),
    gauge("miner_pool_priority", spec.COUNT, "Order of the pool; 0 is the first.", POOL, lambda pool: pool.priority),
    gauges(
        "miner_pool_expected",
        spec.BOOL,
        "1 if the active pool's host and wallet are those of the linked wallet, 0 if not; absent without a link.",
        POLL,
        ("pool",),
        lambda record: record.pools_expected,
    ),
    counter(
        "miner_pool_shares_accepted_total",
        spec.COUNT,
        "Shares the pool accepted.",
        POOL,
        lambda pool: pool.accepted,
    ),
    counter(
        "miner_pool_shares_rejected_total",
        spec.COUNT,
        "Shares the pool rejected, for any reason.",
        POOL,
        lambda pool: pool.rejected,
    ),
    counter(
        "miner_pool_shares_stale_total",
        spec.COUNT,
        "Shares discarded as stale.",
        POOL,
        lambda pool: pool.stale,
    ),
    counters(
        "miner_pool_rejections_total",
        spec.COUNT,
        "Rejected shares by the reason the pool gave (closed list).",
        POOL,
        ("reason",),
        lambda pool: [((reason,), count) for reason, count in pool.rejections],
    ),
    counter(
        "miner_pool_share_difficulty_accepted_total",
        spec.COUNT,
        "Sum of the difficulties of the accepted shares.",
        POOL,
        lambda pool: pool.difficulty_accepted,
    ),
    gauge("miner_pool_difficulty", spec.COUNT, "Present share difficulty.", POOL, lambda pool: pool.difficulty),
    gauge(
        "miner_pool_last_share_timestamp_seconds",
        spec.UNIX_SECONDS,
        "Unix time of the last accepted share.",
        POOL,
        lambda pool: pool.last_share,
    ),
    gauge(
        "miner_pool_response_time_seconds",
        spec.SECONDS,
        "Share response time or ping round trip to the pool.",
        POOL,
        lambda pool: pool.response_time,
    ),
    gauge(
        "miner_pool_ping_loss_ratio",
        spec.RATIO,
        "Share of recent pings to the pool that were lost.",
        POOL,
        lambda pool: pool.ping_loss,
    ),
    counter(
        "miner_pool_jobs_received_total",
        spec.COUNT,
        "Jobs the pool sent.",
        POOL,
        lambda pool: pool.jobs_received,
    ),
    counter(
        "miner_pool_connection_failures_total",
        spec.COUNT,
        "Failed attempts to get work from the pool.",
        POOL,
        lambda pool: pool.connection_failures,
    ),
)
