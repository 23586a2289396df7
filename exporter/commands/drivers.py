"""``flockwatch drivers``."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from exporter.commands.bench import load_bench_settings
from exporter.drivers.loader import load_drivers


def list_drivers(options: argparse.Namespace) -> int:
    """Show the loaded drivers and the rejected files."""
    folder = load_bench_settings(options.config_file).drivers.path
    drivers = load_drivers(folder if folder.exists() else None)  # looking does not make the folder
    table = Table("driver", "version", "name", "from", "SHA-256")
    for loaded in drivers.loaded:
        table.add_row(
            loaded.driver_type,
            loaded.version,
            drivers.drivers[loaded.driver_type].display_name,
            loaded.source,
            loaded.sha256[:12],
        )
    console = Console()
    console.print(table)
    for rejected in drivers.rejected:
        console.print(f"rejected: {rejected.path}: {rejected.reason}", markup=False)
    return 1 if drivers.rejected else 0
