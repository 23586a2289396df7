"""Flockwatch's exporter: finds miners, polls them through drivers and shows them as Prometheus metrics."""

__version__ = "0.1.0"
