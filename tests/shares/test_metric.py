"""The counter of shares by wallet on the page."""

from prometheus_client import CollectorRegistry, generate_latest

from exporter.metrics.catalog_wallet import WalletCollector, WalletFigures


def test_the_shares_of_a_wallet_are_counters_by_result_without_its_address():
    registry = CollectorRegistry()
    figures = WalletFigures("3", "Savings", "BTC", shares=(("accepted", 12), ("rejected", 0)))
    registry.register(WalletCollector(lambda: (figures,)))
    text = generate_latest(registry).decode()
    assert "# TYPE miner_wallet_shares_total counter\n" in text
    assert 'miner_wallet_shares_total{result="accepted",wallet="3"} 12.0\n' in text
    assert 'miner_wallet_shares_total{result="rejected",wallet="3"} 0.0\n' in text
    assert "_created" not in text
