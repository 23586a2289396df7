"""``flockwatch drivers``: through the running program, or on the folder where none runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from exporter.commands.bench import load_bench_settings
from exporter.control.client import ControlClient
from exporter.control.drivers import answer_drivers
from exporter.drivers.loader import DriverSet, load_drivers
from exporter.drivers.update import FAILED, DriverFolder
from exporter.drivers.writers import user_to_run_as
from exporter.engine.doors.drivers import DriversDoor
from exporter.errors import StoreError, UsageError

_STATUS = {
    "up-to-date": "up to date",
    "update-available": "update available",
    "error": "error",
    "own": "your own",
}
_RESULT = {
    "updated": "updated from {version_before} to {version}",
    "rolled-back": "back from {version_before} to {version}",
    "unchanged": "up to date already, {version}",
    "failed": "not changed",
}


def list_drivers(options: argparse.Namespace) -> int:
    """``drivers list``: the drivers in use, and the files that were rejected (then status 1)."""
    return _show(options, _ask(options, "list")["drivers"], "no driver is loaded")


def check_updates(options: argparse.Namespace) -> int:
    """``drivers check-updates``: those of which the program brings a newer one."""
    found = [driver for driver in _ask(options, "list")["drivers"] if driver["update_available"]]
    _show(options, found, "every driver is up to date")
    return 0


def reload_drivers(options: argparse.Namespace) -> int:
    """``drivers reload``: have the running program load the files that changed."""
    return _show(options, _ask(options, "reload", needs_program=True)["drivers"], "no driver is loaded")


def update_drivers(options: argparse.Namespace) -> int:
    """``drivers update NAME`` or ``drivers update --all``."""
    if options.all == (options.name is not None):
        raise UsageError("drivers update: name a driver, or say --all")
    action = "update-all" if options.all else "update"
    return _report(_ask(options, action, options.name)["changes"])


def roll_back_driver(options: argparse.Namespace) -> int:
    """``drivers rollback NAME``."""
    return _report(_ask(options, "rollback", options.name)["changes"])


def _ask(
    options: argparse.Namespace, action: str, name: str | None = None, *, needs_program: bool = False
) -> dict[str, Any]:
    settings = load_bench_settings(options.config_file)
    arguments = {"action": action, "name": name}
    client = ControlClient.connect(settings.database.path)
    if client is not None:
        answer: dict[str, Any] = client.call("drivers", arguments)
        return answer
    if needs_program:
        raise UsageError("no program runs on this database, and the next one loads its drivers when it starts")
    if action != "list":
        _check_user(settings.drivers.path)
    return answer_drivers(_offline(settings.drivers.path), arguments)


def _check_user(folder: Path) -> None:
    """Files that root leaves in the folder of another user are in the way of the program, which runs as that user."""
    try:
        remedy = user_to_run_as(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder} cannot be looked at: {(error.strerror or str(error)).lower()}") from error
    if remedy is not None:
        raise UsageError(f"the driver folder {folder} belongs to another user; run as that user: {remedy} drivers ...")


def _offline(folder: Path) -> DriversDoor:
    """The drivers of a folder that no program uses. Looking does not change it."""
    loaded: list[DriverSet] = []

    def load() -> None:
        loaded[:] = [load_drivers(folder, refresh=False)]

    load()
    return DriversDoor(DriverFolder(folder), lambda: loaded[0], load)


def _show(options: argparse.Namespace, drivers: list[dict[str, Any]], nothing: str) -> int:
    if not drivers:
        sys.stdout.write(f"{nothing}\n")
        return 0
    table = Table("driver", "version", "from", "available", "status", "SHA-256", "name")
    for driver in drivers:
        status = _STATUS[driver["status"]] + (", not loaded yet" if driver["reload_needed"] else "")
        table.add_row(
            driver["driver_type"],
            driver["version"] or "none",
            driver["source"] or "",
            driver["available_version"] or "",
            status,
            (driver["sha256"] or "")[:12],
            driver["display_name"] or "",
        )
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=160)).print(table)
    faulty = [driver for driver in drivers if driver["error"] is not None]
    folder = load_bench_settings(options.config_file).drivers.path
    for driver in faulty:
        sys.stdout.write(f"rejected: {folder}/{driver['error']}\n")
    return 1 if faulty else 0


def _report(changes: list[dict[str, Any]]) -> int:
    if not changes:
        sys.stdout.write("every driver is up to date\n")
    for change in changes:
        words = _RESULT[change["result"]].format(
            version_before=change["version_before"] or "an unreadable file", version=change["version"]
        )
        sys.stdout.write(f"{change['driver_type']}: {words}\n")
        if change["sha256"] is not None:
            sys.stdout.write(f"  SHA-256 {change['sha256']}\n")
        if change["kept"] is not None:
            sys.stdout.write(f"  the file before is kept as {change['kept']}\n")
        if change["kept_before"] is not None:
            sys.stdout.write(f"  your file that was kept before is {change['kept_before']} now\n")
        if change["error"] is not None:
            what = "failed" if change["result"] == FAILED else "the program cannot use it"
            sys.stdout.write(f"  {what}: {change['error']}\n")
    return 1 if any(change["error"] is not None for change in changes) else 0
