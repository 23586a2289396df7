"""Loads the bundled drivers and those of the user's folder, each file in isolation.

A user's file replaces the bundled driver of the same `driver_type`. A file that cannot be used is rejected with its
traceback, and the bundled driver serves in its place. User drivers run with the program's own rights: that is why a
file that others may write or exchange is refused.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from exporter.drivers import user_folder as folders
from exporter.drivers.api import Driver
from exporter.drivers.execution import run_file
from exporter.drivers.files import SUFFIX, TEMPLATE, driver_files, read_driver_file
from exporter.drivers.manifest import Manifest, read_manifest, sha256_hex, version_key
from exporter.drivers.writers import check_writers
from exporter.errors import DriverRejected

log = logging.getLogger(__name__)

BUNDLED_FOLDER: Final = Path(__file__).with_name("bundled")


@dataclass(frozen=True, slots=True)
class LoadedDriver:
    """A driver in use.

    Attributes:
        source: "bundled" or "user".
        update_available: version of the bundled driver that would replace an edited or older user's file; None
            where there is none.
    """

    driver: Driver
    manifest: Manifest
    source: str
    update_available: str | None = None

    @property
    def driver_type(self) -> str:
        return self.manifest.driver_type

    @property
    def version(self) -> str:
        return self.manifest.driver_version

    @property
    def path(self) -> Path:
        return self.manifest.path

    @property
    def sha256(self) -> str:
        return self.manifest.sha256


@dataclass(frozen=True, slots=True)
class Rejected:
    """A driver file that is not used. `driver_type` is what it says, else the bundled driver its name points to.

    `sha256` is that of the file, in hex; None where it could not be read.
    """

    path: Path
    source: str
    driver_type: str | None
    reason: str
    traceback: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DriverSet:
    """The drivers in use by `driver_type`, how each was loaded (sorted by type), and what was rejected."""

    drivers: Mapping[str, Driver]
    loaded: tuple[LoadedDriver, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class _File:
    manifest: Manifest
    content: bytes


def load_drivers(
    user_folder: Path | None,
    *,
    bundled_folder: Path = BUNDLED_FOLDER,
    refresh: bool = True,
    before: DriverSet | None = None,
) -> DriverSet:
    """Load every driver. Never raises for a bad file; None as `user_folder` means the bundled drivers alone.

    Args:
        user_folder: created and filled at first start, see `exporter.drivers.user_folder.prepare`.
        bundled_folder: where ours are.
        refresh: False leaves the user's folder as it is, for those who only look.
        before: drivers loaded earlier; one whose file is still the same is used on instead of being made anew.
    """
    if user_folder is not None and not refresh and not user_folder.exists():
        user_folder = None
    known = (
        {} if before is None else {(entry.source, entry.path, entry.sha256): entry.driver for entry in before.loaded}
    )
    originals = _Folder("bundled", known)
    bundled = originals.load(driver_files(bundled_folder))
    loaded = dict(bundled)
    users = _Folder("user", known, frozenset(bundled))
    if user_folder is not None:
        look = folders.prepare if refresh else folders.survey
        copies = look(user_folder, bundled_folder)
        digests = {entry.sha256 for entry in bundled.values()}
        for driver_type, entry in users.load(_user_files(user_folder, copies.unedited), digests).items():
            outdated = entry.path.name in copies.outdated
            loaded[driver_type] = _with_update(entry, bundled.get(driver_type), outdated)
    result = DriverSet(
        MappingProxyType({driver_type: loaded[driver_type].driver for driver_type in sorted(loaded)}),
        tuple(loaded[driver_type] for driver_type in sorted(loaded)),
        (*originals.rejected, *users.rejected),
    )
    _log_result(result)
    return result


def _user_files(folder: Path, unedited: frozenset[str]) -> list[Path]:
    """The files of the user's folder that are more than copies of ours."""
    try:
        paths = driver_files(folder)
        others = sorted(path.name for path in folder.glob("*.py") if path not in paths and path.name != TEMPLATE)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        log.error("driver folder %s cannot be read: %s; the bundled drivers serve", folder, reason)  # noqa: TRY400
        return []
    if others:
        log.warning("driver folder %s: no drivers by their names, not loaded: %s", folder, ", ".join(others))
    return [path for path in paths if path.name not in unedited]


#: Where a driver came from: source, path, SHA-256.
_Key = tuple[str, Path, str]


class _Folder:
    """Loads the files of one folder; what is wrong with one is noted in `rejected`."""

    def __init__(self, source: str, known: Mapping[_Key, Driver], bundled: Collection[str] = ()) -> None:
        self.source = source
        self.rejected: list[Rejected] = []
        self._known = known
        self._bundled = bundled

    def load(self, paths: Iterable[Path], skip: Collection[str] = ()) -> dict[str, LoadedDriver]:
        """The drivers by type. `skip` holds digests of files to leave out."""
        files: list[_File] = []
        for path in paths:
            digest = None
            try:
                read = read_driver_file(path)
                digest = sha256_hex(read.content)
                if digest in skip:
                    continue
                if self.source == "user":
                    check_writers(path, read.mode, read.owner)
                files.append(_File(read_manifest(path, read.content), read.content))
            except DriverRejected as error:
                named = path.name.removesuffix(SUFFIX)
                self._reject(path, named if named in self._bundled else None, digest, error)
        loaded: dict[str, LoadedDriver] = {}
        for file in files:
            manifest = file.manifest
            try:
                _check_single(file, files)
                driver = self._known.get((self.source, manifest.path, manifest.sha256))
                driver = driver or run_file(manifest, file.content, self.source)
                loaded[manifest.driver_type] = LoadedDriver(driver, manifest, self.source)
            except DriverRejected as error:
                self._reject(manifest.path, manifest.driver_type, manifest.sha256, error)
        return loaded

    def _reject(self, path: Path, driver_type: str | None, digest: str | None, error: DriverRejected) -> None:
        serves = "; the bundled driver serves in its place" if driver_type in self._bundled else ""
        log.error("driver file %s rejected: %s%s", path, error, serves, exc_info=error)
        text = "".join(traceback.format_exception(error))
        self.rejected.append(Rejected(path, self.source, driver_type, str(error), text, digest))


def _check_single(file: _File, files: list[_File]) -> None:
    same = [other.manifest.path.name for other in files if other.manifest.driver_type == file.manifest.driver_type]
    if len(same) > 1:
        raise DriverRejected(
            f"driver_type {file.manifest.driver_type} is in {len(same)} files ({', '.join(same)}),"
            " and none of them is used; keep one"
        )


def load_single(path: Path) -> LoadedDriver:
    """Load one file by itself, wherever it is: a person named it, so its group may write it, as many a mask lets it.

    Raises:
        DriverRejected: it cannot be used; the message says why.
    """
    read = read_driver_file(path)
    check_writers(path, read.mode, read.owner, group=True)
    manifest = read_manifest(path, read.content)
    return LoadedDriver(run_file(manifest, read.content, "user"), manifest, "user")


def _with_update(entry: LoadedDriver, original: LoadedDriver | None, outdated: bool) -> LoadedDriver:
    """Note where the bundled driver is newer than the user's, or than what the user's was made of."""
    if original is None:
        return entry
    newer = version_key(original.version) > version_key(entry.version)
    if not newer and not outdated:
        log.info("driver %s: %s replaces the bundled %s", entry.driver_type, entry.path, original.version)
        return entry
    log.warning(
        "driver %s: an update is available, bundled %s; %s (%s) was edited and is kept",
        entry.driver_type, original.version, entry.path, entry.version,
    )  # fmt: skip
    return LoadedDriver(entry.driver, entry.manifest, entry.source, original.version)


def _log_result(result: DriverSet) -> None:
    for entry in result.loaded:
        log.info("driver %s %s loaded (%s, %s)", entry.driver_type, entry.version, entry.source, entry.path)
    log.info(
        "%d drivers loaded: %s; %d files rejected",
        len(result.loaded), ", ".join(result.drivers) or "none", len(result.rejected),
    )  # fmt: skip
