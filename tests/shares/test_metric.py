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


def test_the_miners_linked_to_a_wallet_are_told_by_their_keys():
    registry = CollectorRegistry()
    figures = [WalletFigures("3", "Savings", "BTC", miners=("aa", "bb")), WalletFigures("4", "Nobody", "BTC")]
    registry.register(WalletCollector(lambda: figures))
    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("miner_wallet_link")]
    assert lines == [f'miner_wallet_link_info{{miner="{key}",wallet="3"}} 1.0' for key in ("aa", "bb")]
