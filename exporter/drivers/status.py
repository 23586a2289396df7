"""How each driver stands: what serves, what the program brings with it, what the user's folder holds, what was kept."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.drivers.files import PREVIOUS, SUFFIX, ReadFile, driver_files, kept_files, read_driver_file
from exporter.drivers.loader import DriverSet, LoadedDriver, Rejected
from exporter.drivers.manifest import Manifest, read_manifest, sha256_hex, version_key
from exporter.drivers.user_folder import survey
from exporter.errors import DriverRejected

UP_TO_DATE: Final = "up-to-date"
UPDATE_AVAILABLE: Final = "update-available"
ERROR: Final = "error"
OWN: Final = "own"


@dataclass(frozen=True, slots=True)
class DriverStatus:
    """How one driver stands.

    Attributes:
        driver_type: what it is called by.
        display_name, manufacturer, version, source, sha256: of the driver that serves now; `source` is "bundled" or
            "user". All None where none serves.
        file: the name of the file in the user's folder that stands for it, None where there is none.
        status: "error" where a file of the user's was rejected, else "update-available" where the program brings a
            newer one than the user's file, else "own" where the user's file serves, else "up-to-date".
        available_version, available_sha256: of the bundled driver, which an update puts in place; None where there is
            none.
        update_available: the bundled driver is newer than the user's file, or than what that was made of.
        previous_version, previous_sha256: of the file that was kept at the last update, None where none was; the
            version alone is None where that file cannot be read.
        reload_needed: the files are other ones by now than those that were loaded.
        error, traceback: why the user's file (or a bundled one) was rejected.
    """

    driver_type: str
    display_name: str | None
    manufacturer: str | None
    version: str | None
    source: str | None
    sha256: str | None
    file: str | None
    status: str
    available_version: str | None
    available_sha256: str | None
    update_available: bool
    previous_version: str | None
    previous_sha256: str | None
    reload_needed: bool
    error: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A driver file as it lies on disk.

    `read` and `sha256` are None where it cannot be read, `manifest` also where that is not in it; `error` says why.
    """

    path: Path
    driver_type: str
    read: ReadFile | None
    sha256: str | None
    manifest: Manifest | None
    error: str | None

    @property
    def version(self) -> str | None:
        return None if self.manifest is None else self.manifest.driver_version


@dataclass(frozen=True, slots=True)
class Shelves:
    """What lies in both folders by `driver_type`.

    Attributes:
        bundled: our own files.
        users: the user's files that are more than copies of ours; more than one for a type is a fault.
        kept: files that were kept at an update.
        copies: names of files that are copies of ours.
        outdated: names of edited files whose originals have changed since they were copied.
    """

    bundled: dict[str, FoundFile]
    users: dict[str, tuple[FoundFile, ...]]
    kept: dict[str, tuple[FoundFile, ...]]
    copies: frozenset[str]
    outdated: frozenset[str]


def look(folder: Path, bundled_folder: Path) -> Shelves:
    """Read both folders; nothing is run and nothing is changed. A user's folder that cannot be read is empty."""
    bundled = {found.driver_type: found for found in map(_read, driver_files(bundled_folder))}
    ours = {found.sha256 for found in bundled.values()}
    try:
        files = [_read(path) for path in driver_files(folder)]
        kept = [_read(path) for path in kept_files(folder)]
    except OSError:
        files, kept = [], []  # the loader tells of it
    known = survey(folder, bundled_folder)
    copies = {found.path.name for found in files if found.sha256 in ours} | known.unedited
    users = [found for found in files if found.path.name not in copies]
    return Shelves(bundled, _by_type(users), _by_type(kept), frozenset(copies), known.outdated)


def _by_type(found: Iterable[FoundFile]) -> dict[str, tuple[FoundFile, ...]]:
    result: dict[str, tuple[FoundFile, ...]] = {}
    for one in found:
        result[one.driver_type] = (*result.get(one.driver_type, ()), one)
    return result


def _read(path: Path) -> FoundFile:
    """A file as it lies there. One that cannot be read counts as the type that its name says."""
    named = path.name.removesuffix(PREVIOUS).removesuffix(SUFFIX)
    try:
        read = read_driver_file(path)
    except DriverRejected as error:
        return FoundFile(path, named, None, None, None, str(error))
    try:
        manifest = _manifest(path, read.content)
    except DriverRejected as error:
        return FoundFile(path, named, read, sha256_hex(read.content), None, str(error))
    return FoundFile(path, manifest.driver_type, read, manifest.sha256, manifest, None)


@functools.lru_cache(maxsize=64)
def _manifest(path: Path, content: bytes) -> Manifest:
    """Pages look every few seconds, and parsing all files takes a fifth of a second."""
    return read_manifest(path, content)


def is_newer(original: FoundFile | None, users: tuple[FoundFile, ...], outdated: frozenset[str]) -> bool:
    """Whether the bundled file is newer than the user's, or has changed since that was made of it."""
    if original is None or original.manifest is None:
        return False
    ours = version_key(original.manifest.driver_version)
    return any(
        one.path.name in outdated or (one.manifest is not None and ours > version_key(one.manifest.driver_version))
        for one in users
    )


def statuses(shelves: Shelves, loaded: DriverSet) -> tuple[DriverStatus, ...]:
    """How every driver stands, by type: those that were loaded, those that were rejected, those on disk."""
    serving = {entry.driver_type: entry for entry in loaded.loaded}
    rejected = {_type_of(entry): entry for entry in loaded.rejected}
    names = sorted({*serving, *rejected, *shelves.bundled, *shelves.users})
    return tuple(_status(name, shelves, serving.get(name), rejected.get(name), loaded) for name in names)


def _type_of(entry: Rejected) -> str:
    return entry.driver_type or entry.path.name.removesuffix(SUFFIX)


def _status(
    name: str, shelves: Shelves, serving: LoadedDriver | None, rejected: Rejected | None, loaded: DriverSet
) -> DriverStatus:
    original, users = shelves.bundled.get(name), shelves.users.get(name, ())
    kept = shelves.kept.get(name, ())
    newer = is_newer(original, users, shelves.outdated)
    manifest = None if serving is None else serving.manifest
    own = serving is not None and serving.source == "user"
    return DriverStatus(
        driver_type=name,
        display_name=None if manifest is None else manifest.display_name,
        manufacturer=None if manifest is None else manifest.manufacturer,
        version=None if manifest is None else manifest.driver_version,
        source=None if serving is None else serving.source,
        sha256=None if manifest is None else manifest.sha256,
        file=_file_name(users, original, shelves),
        status=ERROR if rejected else UPDATE_AVAILABLE if newer else OWN if own or users else UP_TO_DATE,
        available_version=None if original is None else original.version,
        available_sha256=None if original is None else original.sha256,
        update_available=newer,
        previous_version=kept[-1].version if kept else None,
        previous_sha256=kept[-1].sha256 if kept else None,
        reload_needed=_on_disk(original, users) != _in_use(name, loaded),
        error=None if rejected is None else f"{rejected.path.name}: {rejected.reason}",
        traceback=None if rejected is None else rejected.traceback,
    )


def _file_name(users: tuple[FoundFile, ...], original: FoundFile | None, shelves: Shelves) -> str | None:
    if users:
        return users[-1].path.name
    return original.path.name if original is not None and original.path.name in shelves.copies else None


def _on_disk(original: FoundFile | None, users: tuple[FoundFile, ...]) -> set[str | None]:
    """The hashes that a load of what lies there would use or reject; the user's stand before ours."""
    return {one.sha256 for one in users} or {None if original is None else original.sha256}


def _in_use(name: str, loaded: DriverSet) -> set[str | None]:
    users: set[str | None] = {entry.sha256 for entry in loaded.rejected if _type_of(entry) == name}
    users |= {entry.sha256 for entry in loaded.loaded if entry.driver_type == name and entry.source == "user"}
    return users or {entry.sha256 for entry in loaded.loaded if entry.driver_type == name} or {None}
