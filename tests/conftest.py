"""Hooks for all tests."""

from hypothesis import HealthCheck, settings

from tests.payloads.agreement import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

# Hypothesis measures time by the clock on the wall, and on a busy machine any example may take long.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
