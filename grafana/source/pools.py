"""The dashboard Pools and shares: who mines where, what arrives, what is refused; wallets."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, lines
from grafana.source.queries import IDENTITY, ON, active_pool, chosen, named, of, paged, per_miner, worst
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE, Column, rows

_POOL = "on (job, instance, miner, pool)"
_JOB = 'job=~"$job"'
_ACTIVE = active_pool("miner_pool_info")


def _by_url(expression: str) -> str:
    """Adds the address of the pool to series of pools."""
    return f"({expression}) * {_POOL} group_left (url) {of('miner_pool_info')}"


def _listed(expression: str, labels: str = "") -> str:
    """Rows of a table of miners; `labels` are labels of the expression to keep, with a comma before them."""
    return paged(f"max by (miner, name, ip, site{labels}) ({named(expression, 'name, ip, site')})")


def _where() -> list[Panel]:
    rate = of("miner_hashrate_hashes_per_second")
    by_pool = f"({rate}) * {ON} group_right () max by (job, instance, miner, url) ({chosen(_ACTIVE)})"
    credited = f"2 ^ 32 * rate({of('miner_pool_share_difficulty_accepted_total')}[1h])"
    # Where no priority is told, the first pool is the one numbered 0.
    active, not_first = of("miner_pool_active"), of("miner_pool_active", 'pool!="0"')
    backup = (
        f"({active} == 1) and {_POOL} ({of('miner_pool_priority')} > 0)"
        f" or ({not_first} == 1) unless {_POOL} {of('miner_pool_priority')}"
    )
    return [
        bars("Miners at each pool", "By the pool in use.", f"sort_desc(count by (url) ({chosen(_ACTIVE)}))", "{{url}}"),
        bars(
            "Hash rate at each pool",
            "What the miners report, by the pool in use.",
            f"sort_desc(sum by (url) ({by_pool}))",
            "{{url}}",
            looks.HASHES,
        ),
        lines(
            "Credited by each pool",
            "Hash rate from the difficulty of accepted shares over an hour.",
            [(f"sum by (url) ({_by_url(chosen(credited))})", "{{url}}")],
            looks.HASHES,
            stacked=True,
            low=0,
            width=8,
        ),
        rows(
            "On a fallback pool",
            "Miners that do not mine at their first pool.",
            _listed(_by_url(backup), ", url"),
            [NAME, SITE, Column("Pool", label="url")],
            sort="Miner",
            descending=False,
            width=12,
        ),
        rows(
            "Pools that do not answer",
            "Configured pools that the firmware calls dead, also those in reserve.",
            _listed(f"{_by_url(of('miner_pool_up') + ' == bool 0')} > 0", ", pool, url"),
            [NAME, SITE, Column("Pool", label="pool", width=60), Column("Address", label="url")],
            sort="Miner",
            descending=False,
            width=12,
        ),
    ]


def _shares() -> list[Panel]:
    accepted, rejected = (of(f"miner:shares_{kind}:increase1h") for kind in ("accepted", "rejected"))
    last = active_pool("miner_pool_last_share_timestamp_seconds")
    both = f"(sum({chosen(accepted)}) + sum({chosen(rejected)}))"
    return [
        figure(
            "Accepted within an hour",
            "Shares of the chosen miners that pools accepted.",
            f"sum({chosen(accepted)})",
            width=6,
            decimals=0,
        ),
        figure(
            "Rejected within an hour",
            "Part of the shares that pools refused.",
            f"sum({chosen(rejected)}) / ({both} > 0)",
            looks.RATIO,
            looks.REJECTS,
            width=6,
            decimals=2,
        ),
        figure(
            "Credited hash rate",
            "From the difficulty of accepted shares over an hour.",
            f"sum({chosen(of('miner:hashrate_effective_hashes_per_second:rate1h'))})",
            looks.HASHES,
            width=6,
        ),
        figure(
            "Led astray",
            "Miners whose pool or wallet is not the one they are linked to.",
            f"sum({chosen(of('miner_pool_expected') + ' == bool 0')})",
            steps=looks.NONE_WANTED,
            none="no miner is linked",
            width=6,
        ),
        lines(
            "Rejected shares by reason",
            "Within an hour, where the firmware tells reasons.",
            [(f"sum by (reason) ({chosen('increase(' + of('miner_pool_rejections_total') + '[1h])')})", "{{reason}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Stale shares of each pool",
            "Within an hour, discarded as too late.",
            [
                (
                    f"sum by (url) ({_by_url(chosen('increase(' + of('miner_pool_shares_stale_total') + '[1h])'))})",
                    "{{url}}",
                )
            ],
            looks.COUNT,
            low=0,
            width=8,
        ),
        lines(
            "Share difficulty of each pool",
            "The middle one of the miners that use the pool.",
            [(f"quantile by (url) (0.5, {_by_url(chosen(active_pool('miner_pool_difficulty')))})", "{{url}}")],
            looks.DIFFICULTY,
            low=0,
            width=8,
        ),
        rows(
            "Most rejected",
            "The twenty miners with the largest part of rejected shares within an hour.",
            worst("topk", of("miner:shares_rejected:ratio1h"), IDENTITY, 20),
            [NAME, SITE, Column("Rejected", unit=looks.RATIO, steps=looks.REJECTS, decimals=2)],
            sort="Rejected",
            width=12,
        ),
        rows(
            "Longest without a share",
            "The twenty miners whose last share at the pool in use is oldest, and how far apart shares should be at"
            " their hash rate and difficulty.",
            worst("topk", f"time() - max by (job, instance, miner) ({last})", IDENTITY, 20),
            [
                NAME,
                SITE,
                Column("Last share before", unit=looks.DURATION),
                Column(
                    "Expected every",
                    expression=f"max by (miner) ({chosen(of('miner:share_interval_seconds:expected'))})",
                    unit=looks.SECONDS,
                ),
            ],
            sort="Last share before",
            width=12,
            kept_by="miner",
        ),
    ]


def _connections() -> list[Panel]:
    failed = f"increase({of('miner_pool_connection_failures_total')}[10m])"
    jobs = f"rate({of('miner_pool_jobs_received_total')}[$__rate_interval])"
    return [
        lines(
            "Pools' response time",
            "The middle one of the miners that use the pool.",
            [(f"quantile by (url) (0.5, {_by_url(chosen(of('miner_pool_response_time_seconds')))})", "{{url}}")],
            looks.SECONDS,
            low=0,
            width=6,
        ),
        lines(
            "Lost pings",
            "Part of the pings to the pool that were lost, mean of the miners that tell it.",
            [(f"avg by (url) ({_by_url(chosen(of('miner_pool_ping_loss_ratio')))})", "{{url}}")],
            looks.RATIO,
            low=0,
            high=1,
            width=6,
        ),
        lines(
            "Jobs",
            "Jobs a second that each pool sends; none means that it is silent or not in use.",
            [(f"sum by (url) ({_by_url(chosen(jobs))})", "{{url}}")],
            looks.PER_SECOND,
            low=0,
            width=6,
        ),
        lines(
            "Failed attempts to get work",
            "Within 10 minutes.",
            [
                (f"sum by (url) ({_by_url(chosen(failed))})", "{{url}}"),
            ],
            looks.COUNT,
            low=0,
            width=6,
        ),
    ]


def _wallets() -> list[Panel]:
    def by_wallet(metric: str, more: str = "") -> str:
        return f"max by (wallet) ({metric}{{{_JOB}{more}}})"

    window = "max by (job, instance, wallet, window)"
    rate = f"{window} (miner_wallet_pool_hashrate_hashes_per_second{{{_JOB}}})"
    info = f"max by (job, instance, wallet, name) (miner_wallet_info{{{_JOB}}})"
    named_wallet = f"on (job, instance, wallet) group_left (name) {info}"
    link = of("miner_wallet_link_info")
    linked = f'label_replace({info}, "linked", "$1", "name", "(.*)")'
    logged = f"increase(miner_wallet_shares_total{{{_JOB}}}[1h])"
    live = f"{link} * {ON} group_left () {of('miner_hashrate_hashes_per_second')}"
    return [
        rows(
            "Wallets",
            "Tracked wallets, what their pools say, and what the chosen miners report that are linked to them."
            " Addresses never leave Flockwatch.",
            f"max by (wallet, name, currency, pool) (miner_wallet_info{{{_JOB}}})",
            [
                Column("Wallet", label="name"),
                Column("Currency", label="currency", width=90),
                Column("Pool", label="pool"),
                Column(
                    "Credited, 1 h",
                    expression=by_wallet("miner_wallet_pool_hashrate_hashes_per_second", ', window="1h"'),
                    unit=looks.HASHES,
                ),
                Column("Workers", expression=by_wallet("miner_wallet_workers")),
                Column("Best share", expression=by_wallet("miner_wallet_best_share_difficulty"), unit=looks.DIFFICULTY),
                Column("Shares logged", expression=by_wallet("miner_wallet_shares_total", ', result="accepted"')),
                Column("Rejected", expression=by_wallet("miner_wallet_shares_total", ', result="rejected"')),
                Column("Linked miners", expression=f"count by (wallet) ({chosen(link)})"),
                Column("They report", expression=f"sum by (wallet) ({chosen(live)})", unit=looks.HASHES),
            ],
            sort="Wallet",
            descending=False,
            height=6,
            kept_by="wallet",
        ),
        lines(
            "Credited to wallets",
            "Hash rate that the pool reports for a wallet, by the window it averages over.",
            [(f"{rate} * {named_wallet}", "{{name}}, {{window}}")],
            looks.HASHES,
            low=0,
            width=8,
        ),
        lines(
            "Reported for wallets",
            "Hash rate that the chosen miners report together which are linked to a wallet. A miner that is linked to"
            " two counts for both.",
            [(f"(sum by (job, instance, wallet) ({chosen(live)})) * {named_wallet}", "{{name}}")],
            looks.HASHES,
            low=0,
            width=8,
        ),
        lines(
            "Shares of wallets",
            "Shares of an hour that were logged for a wallet: by people, by the API, or counted up from its miners.",
            [(f"sum by (job, instance, wallet, result) ({logged}) * {named_wallet}", "{{name}}, {{result}}")],
            looks.COUNT,
            low=0,
            width=8,
        ),
        rows(
            "Linked wallet and actual pool",
            "Whether a linked miner mines at the pool and for the address of its wallet.",
            _listed(f"{link} * on (job, instance, wallet) group_left (linked) ({linked})", ", wallet, linked"),
            [
                NAME,
                SITE,
                Column("Linked wallet", label="linked"),
                Column("Pool in use", label="url", expression=f"max by (miner, url) ({chosen(_ACTIVE)})"),
                Column("As linked", expression=per_miner(of("miner_pool_expected")), mappings=looks.GOOD_YES_WORDS),
                Column("Hash rate", expression=per_miner(of("miner_hashrate_hashes_per_second")), unit=looks.HASHES),
            ],
            kept_by="miner",
            sort="As linked",
            descending=False,
            height=7,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-pools",
        "Flockwatch / Pools and shares",
        "Where the miners mine, what the pools credit and refuse, and what arrives at the wallets.",
        [
            Row("Where", _where()),
            Row("Shares", _shares()),
            Row("Connections", _connections()),
            Row("Wallets", _wallets()),
        ],
        variables.of_miners(),
        alarm_matchers='job=~"$job", site=~"$site", miner=~"$miner"',
    )
