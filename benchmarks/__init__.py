"""Measurements: what the program costs. Each module runs by itself, ``python -m benchmarks.transports``."""
