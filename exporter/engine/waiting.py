"""The list of new devices, as the command line and the API show it."""

from __future__ import annotations

from typing import Any

from exporter.engine.onboarding import suggested_name
from exporter.store.database import Database


def list_devices(db: Database) -> list[dict[str, Any]]:
    """Waiting devices as JSON values; secrets were masked before they were stored."""
    return [
        {
            "id": device.id,
            "miner": device.key,
            "dev_path": device.dev_path,
            "port_path": device.port_path,
            "vendor_id": device.vendor_id,
            "product_id": device.product_id,
            "serial_number": device.serial_number,
            "discovered_at": device.discovered_at,
            "status": device.status,
            "state": device.state,
            "dumped_pool_url": device.dumped_pool_url,
            "dumped_wallet_address": device.dumped_wallet_address,
            "dumped_firmware_version": device.dumped_firmware_version,
            "suggested_name": suggested_name(device),
        }
        for device in db.unconfigured_devices.all()
    ]
