"""The doors of `exporter.engine.api` over the running engine."""
