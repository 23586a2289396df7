"""Metrics of tracked wallets. `wallet` is the wallet's id, never its address; only the link names a miner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.metrics.selfmetrics import SelfSpec
from exporter.metrics.spec import COUNT, HASHES_PER_SECOND, INFO


@dataclass(frozen=True, slots=True)
class WalletFigures:
    """What is shown of one wallet, base units; None and empty parts give no sample.

    Attributes:
        wallet: its id as text.
        pool: how people call the pool; None for any.
        hashrates: (window, H/s) pairs.
        shares: (result, number) pairs, logged since the program started.
        miners: keys of the miners that are linked to it.
    """

    wallet: str
    name: str
    currency: str
    pool: str | None = None
    hashrates: tuple[tuple[str, float], ...] = ()
    best_share_difficulty: float | None = None
    workers: int | None = None
    shares: tuple[tuple[str, int], ...] = ()
    miners: tuple[str, ...] = ()


WALLET_INFO: Final = SelfSpec(
    "miner_wallet_info",
    "gauge",
    INFO,
    "A tracked wallet; the value is always 1.",
    ("wallet", "name", "currency", "pool"),
)
WALLET_HASHRATE: Final = SelfSpec(
    "miner_wallet_pool_hashrate_hashes_per_second",
    "gauge",
    HASHES_PER_SECOND,
    "Hashrate the pool credits to the wallet, averaged over a window (1m, 10m, 1h, ...).",
    ("wallet", "window"),
)
WALLET_BEST: Final = SelfSpec(
    "miner_wallet_best_share_difficulty", "gauge", COUNT, "Best share difficulty the pool reports.", ("wallet",)
)
WALLET_WORKERS: Final = SelfSpec("miner_wallet_workers", "gauge", COUNT, "Workers the pool sees.", ("wallet",))
WALLET_SHARES: Final = SelfSpec(
    "miner_wallet_shares_total",
    "counter",
    COUNT,
    "Shares logged for the wallet since the program started: accepted, rejected.",
    ("wallet", "result"),
)
WALLET_LINK: Final = SelfSpec(
    "miner_wallet_link_info",
    "gauge",
    INFO,
    "A miner that is linked to the wallet; the value is always 1.",
    ("wallet", "miner"),
)

_GAUGES: Final = (WALLET_INFO, WALLET_HASHRATE, WALLET_BEST, WALLET_WORKERS, WALLET_LINK)
#: Every family of wallets, for the reference and the checks.
WALLET_METRICS: Final = (*_GAUGES, WALLET_SHARES)


class WalletCollector(Collector):
    """Gives a registry the wallets' families that have a sample.

    Args:
        wallets: what is known now; called by the scraping thread.
    """

    def __init__(self, wallets: Callable[[], Iterable[WalletFigures]]) -> None:
        self._wallets = wallets

    def collect(self) -> Iterator[Metric]:
        info, rate, best, workers, links = (
            GaugeMetricFamily(spec.name, spec.help, labels=spec.labels, unit=spec.unit.openmetrics) for spec in _GAUGES
        )
        shares = CounterMetricFamily(WALLET_SHARES.name, WALLET_SHARES.help, labels=WALLET_SHARES.labels)
        for each in self._wallets():
            info.add_metric((each.wallet, each.name, each.currency, each.pool or ""), 1.0)
            for window, value in each.hashrates:
                rate.add_metric((each.wallet, window), value)
            if each.best_share_difficulty is not None:
                best.add_metric((each.wallet,), each.best_share_difficulty)
            if each.workers is not None:
                workers.add_metric((each.wallet,), each.workers)
            for miner in each.miners:
                links.add_metric((each.wallet, miner), 1.0)
            for result, number in each.shares:
                shares.add_metric((each.wallet, result), number)
        return (family for family in (info, rate, best, workers, links, shares) if family.samples)

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking for the families before the engine runs is of no use."""
        return ()
