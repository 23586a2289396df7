"""Fake miners that speak the real protocols on loopback addresses: an independent witness for tests and demos.

Nothing here is imported from the exporter, and the exporter imports nothing from here.
`simulator.simulation.Simulation` runs a flock inside a test; ``python -m simulator`` runs one as a process.
"""
