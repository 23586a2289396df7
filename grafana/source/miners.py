"""The dashboard Miners: one row a miner, with what matters of it."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, figure, states
from grafana.source.queries import (
    IDENTITY,
    MINER,
    active_pool,
    chosen,
    heat_code,
    identity_table,
    live,
    named,
    of,
    per_miner,
    state_code,
)
from grafana.source.tables import ADDRESS, SITE, Column, rows
from grafana.source.tables import MINER as NAME

_HOTTEST = of("miner_board_chip_temperature_max_celsius")
_POOL = f"max by (miner, url) ({active_pool('miner_pool_info')})"


def _table() -> Panel:
    return rows(
        "Miners",
        "Every chosen miner. Empty cells are figures that the miner does not tell, or did not when it was last asked."
        " Click a name for its dashboard, its own web page or Flockwatch; the heads filter and sort. Heat says how the"
        " hottest chip is for its kind of miner: hot above the limit of the warning, too hot above the critical one.",
        identity_table("site, rack, group, driver, model, firmware, firmware_version"),
        [
            NAME,
            ADDRESS,
            SITE,
            Column("Rack", label="rack", width=80),
            Column("Model", label="model", width=150),
            Column("State", expression=per_miner(state_code()), mappings=looks.STATE_WORDS, width=100),
            Column(
                "Hash rate", expression=per_miner(of("miner_hashrate_hashes_per_second")), unit=looks.HASHES, width=100
            ),
            Column(
                "Of expected",
                expression=per_miner(live(of("miner:hashrate:ratio10m"))),
                unit=looks.RATIO,
                steps=looks.OF_EXPECTED,
                decimals=0,
                width=95,
            ),
            Column(
                "Credited",
                expression=per_miner(of("miner:hashrate_effective_hashes_per_second:rate1h")),
                unit=looks.HASHES,
                width=95,
            ),
            Column("Power", expression=per_miner(of("miner_power_watts")), unit=looks.WATTS, width=80),
            Column(
                "J/TH",
                expression=f"1e12 * {per_miner(live(of('miner:energy_per_hash_joules:avg10m')))}",
                unit=looks.EFFICIENCY,
                decimals=1,
                width=85,
            ),
            Column("Hottest chip", expression=per_miner(_HOTTEST), unit=looks.CELSIUS, width=100),
            Column("Heat", expression=per_miner(heat_code(_HOTTEST)), mappings=looks.HEAT_WORDS, width=80),
            Column(
                "Slowest fan",
                expression=per_miner(of("miner_fan_speed_rpm"), function="min"),
                unit=looks.RPM,
                steps=((None, looks.RED), (1, looks.GREEN)),
                width=95,
            ),
            Column("Shares 1 h", expression=per_miner(of("miner:shares_accepted:increase1h")), decimals=0, width=85),
            Column(
                "Rejected",
                expression=per_miner(of("miner:shares_rejected:ratio1h")),
                unit=looks.RATIO,
                steps=looks.REJECTS,
                decimals=2,
                width=80,
            ),
            Column(
                "Best share", expression=per_miner(of("miner_best_share_difficulty")), unit=looks.DIFFICULTY, width=90
            ),
            Column("Pool", label="url", expression=_POOL, width=170),
            Column("Uptime", expression=per_miner(of("miner_uptime_seconds")), unit=looks.DURATION, width=120),
            Column(
                "Last told",
                expression=f"1000 * {per_miner(of('miner_last_success_timestamp_seconds'))}",
                unit=looks.FROM_NOW,
                width=120,
            ),
            Column("Firmware", label="firmware", width=90),
            Column("Version", label="firmware_version"),
            Column("Driver", label="driver", width=90),
            Column("Group", label="group", width=80),
        ],
        sort="Miner",
        descending=False,
        height=22,
    )


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-miners",
        "Flockwatch / Miners",
        "One row for every miner, and the course of their states.",
        [
            Row(
                "Chosen miners",
                [
                    figure("Chosen miners", "Miners that fit the choice above.", f"count({IDENTITY})", width=6),
                    figure(
                        "Hash rate",
                        "What the chosen miners report together.",
                        f"sum({per_miner(of('miner_hashrate_hashes_per_second'))})",
                        looks.HASHES,
                        width=6,
                    ),
                    figure(
                        "Power",
                        "Power of the chosen miners that tell theirs.",
                        f"sum({per_miner(of('miner_power_watts'))})",
                        looks.WATTS,
                        width=6,
                    ),
                    figure(
                        "Hottest chip",
                        "The hottest chip of the chosen miners, and how the one nearest to its limit or furthest above"
                        " it is.",
                        f"max({per_miner(_HOTTEST)})",
                        looks.CELSIUS,
                        word=(f"max({chosen(heat_code(_HOTTEST))})", looks.HEAT_WORDS),
                        trend=False,
                        width=6,
                    ),
                    _table(),
                ],
            ),
            Row(
                "States",
                [
                    states(
                        "What they do",
                        "At each moment the fifty miners that are furthest from mining; all, where fewer are chosen.",
                        f"topk(50, {named(state_code(MINER))})",
                        "{{name}}",
                        mappings=looks.STATE_WORDS,
                        height=16,
                    )
                ],
            ),
        ],
        variables.of_miners(),
        alarm_matchers='job=~"$job", site=~"$site", miner=~"$miner"',
    )
