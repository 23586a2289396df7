"""Prometheus rules, Alertmanager and what goes with them, with the real programs."""
