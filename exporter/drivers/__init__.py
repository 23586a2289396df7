"""Drivers: one file for each family of miners, found and loaded by `exporter.drivers.loader`."""
