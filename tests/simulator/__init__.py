"""Tests of the simulated miners."""
