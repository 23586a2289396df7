"""What is stored of boards on USB: which fields of a row a board's place, state and configuration fill. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from exporter.engine.usb_board import Board
from exporter.model_usb import UsbState, UsbStatus, UsbView

#: What a board tells (`Board.told`) under the names of the flock's table and of the waiting devices'.
FLOCK_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"pool": "pool_url", "user": "wallet_address", "version": "nerdminer_vrs", "json": "last_config_json"}
)
STAGING_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pool": "dumped_pool_url",
        "user": "dumped_wallet_address",
        "version": "dumped_firmware_version",
        "json": "config_json",
    }
)
#: A board that is not plugged in.
GONE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "dev_path": None,
        "port_path": None,
        "status": UsbStatus.INACTIVE.value,
        "state": UsbState.NOT_CONNECTED.value,
    }
)


def place_of(board: Board, view: UsbView) -> dict[str, str | None]:
    """A board that is gone has no paths, also where its port tells that before its unplug is reported."""
    if view.state is UsbState.NOT_CONNECTED:
        return {"dev_path": None, "port_path": None}
    return {"dev_path": board.device.dev_path, "port_path": board.device.port_path}


def staged_state(view: UsbView) -> dict[str, Any]:
    """A waiting device never becomes `Active`: it stays at the last step until a person has named it."""
    if view.status is UsbStatus.ACTIVE:
        return {"status": UsbStatus.INITIALIZING.value, "state": UsbState.AUTHORIZE.value}
    return {"status": view.status.value, "state": view.state.value}


def new_in(row: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the row does not have already."""
    return {name: value for name, value in values.items() if getattr(row, name) != value}
