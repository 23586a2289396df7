"""What other commands ask of the drivers, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from exporter.engine.api.drivers import DriversApi
from exporter.errors import UsageError


def answer_drivers(api: DriversApi, arguments: dict[str, Any]) -> dict[str, Any]:
    """Do what ``{"action": ..., "name": ...}`` asks.

    Returns:
        ``{"drivers": [DriverStatus as an object]}`` for "list" and "reload", ``{"changes": [DriverChange as an
        object]}`` for "update" (of "name"), "update-all" and "rollback" (of "name").

    Raises:
        UsageError: no such action, or no name; and what `DriversApi` raises.
    """
    action = arguments.get("action")
    match action:
        case "list":
            return {"drivers": [asdict(status) for status in api.all()]}
        case "reload":
            return {"drivers": [asdict(status) for status in api.reload()]}
        case "update":
            return {"changes": [asdict(api.update(_name(arguments)))]}
        case "update-all":
            return {"changes": [asdict(change) for change in api.update_all()]}
        case "rollback":
            return {"changes": [asdict(api.rollback(_name(arguments)))]}
    raise UsageError(
        f"drivers: no action is called {action!r:.40}; there are list, reload, update, update-all, rollback"
    )


def _name(arguments: dict[str, Any]) -> str:
    name = arguments.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError("drivers: say which driver by its type, such as bitaxe")
    return name
