"""The metric table as a page of documentation: ``python -m exporter.metrics.reference > docs/metrics.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.catalog_wallet import WALLET_METRICS
from exporter.metrics.selfmetrics import SELF_METRICS

_INTRODUCTION = """\
# Metrics

Made from the tables in `exporter/metrics` by `python -m exporter.metrics.reference > docs/metrics.md`; change those.

Quantities are in base units. Flags and states are gauges of 0 or 1. A value the device did not tell has no sample;
zero is a value.

A *durable* metric is there for every enabled and managed miner, also when a poll failed, while the miner has no
address and after a restart. All others vanish with the first poll that fails, and when a reading has expired. A miner
that is listed only (`managed: false`) has `miner_info` and `miner_managed 0`; a retired one (`enabled: false`) has
nothing.

`miner` is the MAC in lower case, else `serial:`, `port:` or the provisional `addr:<driver>:<address>`. `miner_info`
carries everything else that identifies a miner, with the configured labels (`site`, `rack`, `group`); join it:
`miner_power_watts * on (job, miner) group_left (name, site) miner_info`.

Fee pools of a firmware's developer give no series. The label `user` of `miner_pool_info` is empty unless
`metrics.collectors.pool_user` is on.

## Miners

| name | type | unit | labels | meaning |
|---|---|---|---|---|
"""
_WALLETS = """
## Wallets

`wallet` is the id of a tracked wallet, never its address. What a pool says of it vanishes ten minutes after the pool's
last answer; see [Wallets](wallets.md).

| name | type | unit | labels | meaning |
|---|---|---|---|---|
"""
_OWN = """
## The exporter

Beside `process_*` and `python_*`:

| name | type | unit | labels | meaning |
|---|---|---|---|---|
"""


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for spec in CATALOGUE:
        labels = ", ".join(spec.all_labels) + (", configured labels" if spec.configured_labels else "")
        notes = "" if not spec.optional else f" Only with `metrics.collectors.{spec.optional}`."
        durable = " Durable." if spec.scope.durable else ""
        yield f"| `{spec.name}` | {spec.type} | {spec.unit.shown} | {labels} | {spec.help}{durable}{notes} |\n"
    for heading, families in ((_WALLETS, WALLET_METRICS), (_OWN, SELF_METRICS)):
        yield heading
        for own in families:
            yield f"| `{own.name}` | {own.type} | {own.unit.shown} | {', '.join(own.labels)} | {own.help} |\n"


def markdown() -> str:
    """The whole page."""
    return "".join(_lines())


if __name__ == "__main__":
    sys.stdout.write(markdown())
