"""``flockwatch devices``: new USB boards that wait to be named."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from exporter.config import load_settings
from exporter.control.client import ControlClient
from exporter.engine.onboarding import onboard
from exporter.engine.waiting import list_devices
from exporter.errors import UsageError
from exporter.store.database import Database


def show_devices(options: argparse.Namespace) -> int:
    """``flockwatch devices list``."""
    settings = load_settings(options.config_file, os.environ)
    client = ControlClient.connect(settings.database.path)
    if client is not None:
        devices = client.call("devices")["devices"]
    elif settings.database.path.exists():
        with Database.open(settings.database.path) as db:
            devices = list_devices(db)
    else:
        devices = []
    if options.json:
        json.dump(devices, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif devices:
        _show(devices)
    else:
        sys.stdout.write("no new device waits\n")
    return 0


def _show(devices: list[dict[str, Any]]) -> None:
    table = Table(show_edge=False)
    for heading in ("id", "device", "USB", "port", "status", "state", "pool", "wallet", "name could be"):
        table.add_column(heading)
    for device in devices:
        table.add_row(
            str(device["id"]),
            device["miner"],
            f"{device['vendor_id']}:{device['product_id']}" if device["vendor_id"] else "",
            device["port_path"] or "unplugged",
            device["status"] or "not opened",
            device["state"] or "",
            device["dumped_pool_url"] or "",
            device["dumped_wallet_address"] or "",
            device["suggested_name"] or "",
        )
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=220)).print(table)


def onboard_device(options: argparse.Namespace) -> int:
    """``flockwatch devices onboard ID --name N --currency C``."""
    settings = load_settings(options.config_file, os.environ)
    client = ControlClient.connect(settings.database.path)
    fields = {"chipset": options.chipset, "location_notes": options.location}
    if client is not None:
        arguments = {"id": options.id, "name": options.name, "currency": options.currency, **fields}
        done = client.call("onboard", arguments)
    else:
        if not settings.database.path.exists():
            raise UsageError(f"{settings.database.path}: no such database; is --config.file right?")
        with Database.open(settings.database.path) as db:
            row = onboard(db, options.id, options.name, options.currency, **fields)
            db.commit_now()
            done = {"id": row.id, "miner": row.key, "name": row.name}
    sys.stdout.write(f"{done['name']} is miner {done['id']} now ({done['miner']})\n")
    return 0
