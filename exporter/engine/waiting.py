"""The list of new devices, as the command line, the UI and the API show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.engine.api.devices import WaitingDevice
from exporter.engine.onboarding import suggested_name
from exporter.store.database import Database
from exporter.store.rows import UnconfiguredDevice
from exporter.units import UnixSeconds


def waiting_devices(db: Database, held: Mapping[int, str]) -> tuple[WaitingDevice, ...]:
    """Boards that wait to be named, in order of discovery, then those whose port is held shut.

    Args:
        held: staging row -> why its port is not opened.
    """
    rows = db.unconfigured_devices.all()
    open_ones = [_waiting(row, None) for row in rows if row.id not in held]
    return (*open_ones, *(_waiting(row, held[row.id]) for row in rows if row.id in held))


def _waiting(row: UnconfiguredDevice, held_reason: str | None) -> WaitingDevice:
    held = held_reason is not None
    return WaitingDevice(
        id=None if held else row.id,
        miner=row.key,
        dev_path=row.dev_path,
        port_path=row.port_path,
        vendor_id=row.vendor_id,
        product_id=row.product_id,
        serial_number=row.serial_number,
        discovered_at=None if row.discovered_at is None else UnixSeconds(row.discovered_at),
        status=row.status,
        state=row.state,
        dumped_pool_url=row.dumped_pool_url,
        dumped_wallet_address=row.dumped_wallet_address,
        dumped_firmware_version=row.dumped_firmware_version,
        suggested_name=suggested_name(row),
        held=held,
        held_reason=held_reason,
    )


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
