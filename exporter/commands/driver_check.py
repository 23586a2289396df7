"""``flockwatch drivers test FILE``: what the loader checks, and the contract on recordings of real devices."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from exporter.drivers.api import Driver
from exporter.drivers.conformance import check_driver, check_foreign, check_without_device
from exporter.drivers.conformance_commands import check_commands
from exporter.drivers.fixture import Fixture, load_fixture, replay, write_reading
from exporter.drivers.loader import LoadedDriver, load_drivers, load_single
from exporter.errors import DriverRejected, MinerError, UsageError

#: Of one recording; a driver with one slip fails in hundreds of ways.
_SHOWN = 20

_Recordings = list[tuple[Path, Fixture]]


def check_driver_file(options: argparse.Namespace) -> int:
    """Print each fault; status 1 where there is one."""
    file: Path = options.file
    recordings = _recordings(options.fixtures)
    try:
        entry = load_single(file)
    except DriverRejected as error:
        sys.stdout.write(f"{file} {error}\n")
        if error.__cause__ is not None and not isinstance(error.__cause__, OSError):
            sys.stdout.write("".join(traceback.format_exception(error.__cause__)))
        return 1
    manifest = entry.manifest
    sys.stdout.write(
        f"{file}: {manifest.driver_type} {manifest.driver_version}, {manifest.display_name}\nSHA-256 {entry.sha256}\n"
    )
    own = [(folder, fixture) for folder, fixture in recordings if fixture.driver == entry.driver_type]
    if options.accept:
        own = [(folder, _accepted(entry.driver, folder, fixture)) for folder, fixture in own]
    faulty = _tell("metadata, loading, hosts that are no miners", check_without_device(entry.driver))
    for folder, fixture in own:
        faults = check_driver(entry.driver, fixture) + check_commands(entry.driver, fixture)
        faulty = _tell(f"{folder}", faults) or faulty
    others = [fixture for _, fixture in recordings if fixture.driver != entry.driver_type]
    if others:
        faulty = _tell(f"{len(others)} devices of other drivers are left alone", _foreign(entry, others)) or faulty
    if not own:
        sys.stdout.write(
            f"No recording of a device of {entry.driver_type} was given, so nothing was decoded. Make one with"
            f" `flockwatch record HOST --driver {file}`, and name its folder by --fixtures.\n"
        )
    return 1 if faulty else 0


def _recordings(folder: Path | None) -> _Recordings:
    if folder is None:
        return []
    places = sorted(folder.rglob("fixture.json"))
    if not places:
        raise UsageError(f"{folder}: no recording below it; each is a folder with a fixture.json")
    return [(place.parent, load_fixture(place.parent)) for place in places]


def _accepted(driver: Driver, folder: Path, fixture: Fixture) -> Fixture:
    """The fixture with what the driver makes of it now as the expected reading."""
    try:
        write_reading(folder, replay(driver, fixture))
    except MinerError as error:
        raise UsageError(f"{folder}: the driver makes nothing of it: {error}") from error
    return load_fixture(folder)


def _foreign(entry: LoadedDriver, others: list[Fixture]) -> list[str]:
    owners = load_drivers(None).drivers
    return [
        fault
        for fixture in others
        if fixture.driver in owners
        for fault in check_foreign(entry.driver, owners[fixture.driver], fixture)
    ]


def _tell(what: str, faults: list[str]) -> bool:
    """Print how a check went; returns whether there are faults."""
    if not faults:
        sys.stdout.write(f"ok    {what}\n")
        return False
    sys.stdout.write(f"FAULT {what}\n" + "".join(f"      {fault}\n" for fault in faults[:_SHOWN]))
    if len(faults) > _SHOWN:
        sys.stdout.write(f"      and {len(faults) - _SHOWN} more\n")
    return True
