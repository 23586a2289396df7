"""Hooks for all tests."""

from tests.payloads.agreement import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
