"""Puts bundled drivers in place of the user's files, and back: each file whole or not at all, the old one kept.

Nothing here runs a driver or tells the program: who changed files loads them again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.drivers.files import PREVIOUS, ReadFile, write_whole
from exporter.drivers.keeping import file_at, keep_beside
from exporter.drivers.loader import BUNDLED_FOLDER, DriverSet
from exporter.drivers.status import DriverStatus, FoundFile, Shelves, is_newer, look, statuses
from exporter.drivers.user_folder import note_installed, our_digests
from exporter.drivers.writers import check_writers
from exporter.errors import DriverRejected, FieldError, FlockwatchError, StoreError, UnknownError, UsageError
from exporter.text import clean_text

log = logging.getLogger(__name__)

UPDATED: Final = "updated"
ROLLED_BACK: Final = "rolled-back"
UNCHANGED: Final = "unchanged"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class DriverChange:
    """What became of one file.

    Attributes:
        result: "updated", "rolled-back", "unchanged" (it was up to date) or "failed" (nothing was changed).
        version_before, version: before and now; None where the file tells none.
        sha256: of the file that is in place now.
        kept: the name of the file that holds what was there before, None where nothing was kept.
        kept_before: the name that the file kept before that has now; None where there was none that is the user's.
        error: why it failed; or, where the file is in place, why the program cannot use it.
    """

    driver_type: str
    result: str
    version_before: str | None = None
    version: str | None = None
    sha256: str | None = None
    kept: str | None = None
    kept_before: str | None = None
    error: str | None = None


class DriverFolder:
    """The user's folder and the bundled one beside it. One change at a time: who has several threads locks."""

    def __init__(self, folder: Path, bundled_folder: Path = BUNDLED_FOLDER) -> None:
        self.folder = folder
        self.bundled_folder = bundled_folder

    def statuses(self, loaded: DriverSet) -> tuple[DriverStatus, ...]:
        """How every driver stands; `loaded` are those in use."""
        return statuses(self._look(), loaded)

    def update(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """Put the bundled driver in place of the user's file.

        Args:
            driver_type: which one.
            sha256: of the bundled file that a person was shown; None where nobody was.

        Raises:
            UnknownError: no such bundled driver.
            FieldError: `sha256` is another one.
            UsageError: several files hold the driver, another one has its place, or what is there cannot be kept.
            StoreError: the folder cannot be written; it is as it was.
        """
        shelves = self._look()
        original = shelves.bundled.get(driver_type)
        if original is None or original.read is None or original.manifest is None:
            raise UnknownError(f"no bundled driver is called {clean_text(driver_type, 40)!r}; {_known(shelves)}")
        _check_shown(sha256, original, "bundled")
        users = shelves.users.get(driver_type, ())
        if not users:
            return DriverChange(driver_type, UNCHANGED, original.version, original.version, original.sha256)
        old = _only(users, driver_type)
        if old.read is None:
            raise UsageError(f"{old.path} {old.error}; move it away first, since it cannot be kept")
        target = self.folder / original.path.name
        if old.path != target:
            self._check_free(target, shelves)
        new = ReadFile(original.read.content)
        with _writing(target):
            ours = our_digests(self.folder) | {one.sha256 for one in shelves.bundled.values() if one.sha256}
            keeping = keep_beside(old.path, old.read, ours)
            write_whole(*keeping.writes, (target, new))
            if old.path != target:
                old.path.unlink(missing_ok=True)  # a file of another user was moved
            note_installed(self.folder, target.name, new.content)
        kept, before = keeping.place.name, None if keeping.moved is None else keeping.moved.name
        log.info("driver %s: %s put in place of %s, which is kept as %s", driver_type, target, old.path.name, kept)
        if before is not None:
            log.info("driver %s: what was kept before is %s now", driver_type, before)
        return DriverChange(driver_type, UPDATED, old.version, original.version, original.sha256, kept, before)

    def update_all(self) -> tuple[DriverChange, ...]:
        """Update every driver of which the program brings a newer one. What fails stops no other."""
        shelves = self._look()
        names = [
            name
            for name, original in sorted(shelves.bundled.items())
            if is_newer(original, shelves.users.get(name, ()), shelves.outdated)
        ]
        return tuple(self._try(name, shelves) for name in names)

    def _try(self, driver_type: str, shelves: Shelves) -> DriverChange:
        try:
            return self.update(driver_type)
        except FlockwatchError as error:
            log.error("driver %s is not updated: %s", driver_type, error)  # noqa: TRY400 - an expected fault
            before = shelves.users[driver_type][-1].version
            return DriverChange(driver_type, FAILED, before, error=str(error))

    def rollback(self, driver_type: str, sha256: str | None = None) -> DriverChange:
        """Put the file that was kept back in its place; the one that is there is kept in its stead.

        Raises:
            UnknownError: nothing was kept.
            FieldError: `sha256`, which a person was shown, is another one.
            UsageError: the kept file cannot be used, or another file holds the driver.
            StoreError: the folder cannot be written; it is as it was.
        """
        shelves = self._look()
        if driver_type not in shelves.kept:
            raise UnknownError(
                f"no earlier file of driver {clean_text(driver_type, 40)!r} was kept; one is at each update"
            )
        old = _only(shelves.kept[driver_type], driver_type)
        _check_shown(sha256, old, "kept")
        kept = _usable(old)
        target = old.path.with_name(old.path.name.removesuffix(PREVIOUS))
        others = [one.path.name for one in shelves.users.get(driver_type, ()) if one.path != target]
        if others:
            raise UsageError(
                f"{', '.join(others)} holds driver {driver_type} too, and one file is enough; take it out of the"
                f" folder {self.folder} first"
            )
        return self._swap(old, kept, target, shelves)

    def _swap(self, old: FoundFile, read: ReadFile, target: Path, shelves: Shelves) -> DriverChange:
        with _writing(target):
            present = file_at(target)
            if present is None:
                os.replace(old.path, target)
            else:
                write_whole((old.path, present), (target, read))
        served = (*shelves.users.get(old.driver_type, ()), shelves.bundled.get(old.driver_type))
        before = next((one.version for one in served if one is not None), None)
        log.info("driver %s: %s is the kept file again", old.driver_type, target)
        kept = None if present is None else old.path.name
        return DriverChange(old.driver_type, ROLLED_BACK, before, old.version, old.sha256, kept)

    def _look(self) -> Shelves:
        return look(self.folder, self.bundled_folder)

    def _check_free(self, target: Path, shelves: Shelves) -> None:
        for driver_type, found in shelves.users.items():
            if any(one.path == target for one in found):
                raise UsageError(
                    f"{target} holds driver {driver_type}; give it another name first, such as {driver_type}_driver.py"
                )


def _known(shelves: Shelves) -> str:
    return f"there are {', '.join(sorted(shelves.bundled)) or 'none'}"


def _only(found: tuple[FoundFile, ...], driver_type: str) -> FoundFile:
    if len(found) > 1:
        names = ", ".join(one.path.name for one in found)
        raise UsageError(f"driver {driver_type} is in {len(found)} files ({names}); keep one of them first")
    return found[0]


def _check_shown(sha256: str | None, found: FoundFile, which: str) -> None:
    if sha256 is not None and sha256 != found.sha256:
        raise FieldError(
            f"sha256: the {which} file is another one by now ({found.sha256}); look at it again, then ask again",
            "sha256",
        )


def _usable(found: FoundFile) -> ReadFile:
    try:
        if found.read is not None:
            check_writers(found.path, found.read.mode, found.read.owner)
    except DriverRejected as error:
        raise UsageError(f"{found.path} {error}") from error
    if found.read is None or found.error is not None:
        raise UsageError(f"{found.path} cannot be used: {found.error}; mend it, or delete it")
    return found.read


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """What the disk refuses becomes a `StoreError` that names the place; what cannot be kept, a `UsageError`."""
    try:
        yield
    except DriverRejected as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"{place} cannot be written: {reason}; check space, owner and mode") from error
