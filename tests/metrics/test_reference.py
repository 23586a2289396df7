"""The documentation of the metrics is that of the tables."""

from __future__ import annotations

from pathlib import Path

from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.catalog_wallet import WALLET_METRICS
from exporter.metrics.reference import markdown
from exporter.metrics.selfmetrics import SELF_METRICS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: python -m exporter.metrics.reference > docs/metrics.md"


def test_the_page_names_every_family_once():
    rows = [line for line in markdown().splitlines() if line.startswith("| `miner_")]
    names = [row.split("`")[1] for row in rows]
    assert names == [spec.name for spec in (*CATALOGUE, *WALLET_METRICS, *SELF_METRICS)]
    # A bar inside a cell would shift the columns.
    assert {row.count("|") for row in rows} == {6}
