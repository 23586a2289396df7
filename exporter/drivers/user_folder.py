"""The user's driver folder: filled with copies of the bundled files, and kept up to date where they were not edited.

``.installed.json`` in the folder records the SHA-256 of each file as we copied it. A file that still has it is ours to
refresh; any other is the user's and never touched. It also lists what we copied earlier: a kept file that is none of
that is the user's own work, and never overwritten.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.drivers.files import SUFFIX, TEMPLATE, ReadFile, driver_files, read_regular, write_whole
from exporter.drivers.keeping import keep_beside
from exporter.drivers.manifest import sha256_hex
from exporter.errors import DriverRejected

log = logging.getLogger(__name__)

RECORD: Final = ".installed.json"
_README: Final = "README.md"
_RECORD_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Copies:
    """What is known of the copies in a folder after `prepare`.

    Attributes:
        unedited: names of files that are exactly as we copied them, so that the bundled originals stand for them.
        outdated: names of edited files whose originals have changed since they were copied.
    """

    unedited: frozenset[str] = frozenset()
    outdated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Record:
    """What ``.installed.json`` tells.

    Attributes:
        files: SHA-256 of each file as we copied it last, by name.
        earlier: those of what we copied before that, whatever its name.
    """

    files: dict[str, str] = field(default_factory=dict)
    earlier: frozenset[str] = frozenset()

    @property
    def ours(self) -> frozenset[str]:
        return self.earlier | frozenset(self.files.values())

    def with_files(self, files: dict[str, str]) -> _Record:
        """The record once `files` are the copies; those that they replace become earlier ones."""
        return _Record(files, self.ours - frozenset(files.values()))


def prepare(folder: Path, bundled_folder: Path) -> Copies:
    """Fill a new (missing or empty) folder, refresh unedited copies, add drivers that are new in this version.

    A file that was deleted from the folder stays away. A folder that cannot be written is used as it is, with a
    warning: the bundled drivers serve in any case.
    """
    try:
        originals = {path.name: path.read_bytes() for path in _originals(bundled_folder)}
        record = _open_folder(folder)
    except OSError as error:
        _warn(folder, error)
        return Copies()
    return Copies() if record is None else _update(folder, originals, record)


def survey(folder: Path, bundled_folder: Path) -> Copies:
    """What is known of the copies in a folder, as `prepare` tells it, without a change to the folder.

    A folder that is missing or cannot be read holds none.
    """
    states: dict[str, str] = {}
    try:
        record = _read_record(folder, tell=False)
        for path in () if record is None else driver_files(bundled_folder):
            recorded = None if record is None else record.files.get(path.name)
            states[path.name] = _state(folder / path.name, path.read_bytes(), recorded)
    except OSError as error:
        log.debug("driver folder %s cannot be read: %s", folder, error)  # the loader warns of it
    return _copies(states)


def note_installed(folder: Path, name: str, content: bytes) -> None:
    """Record that the file `name` is a copy of ours with this content, so that it follows the program from now on.

    A folder without a record is the user's own work and stays so.

    Raises:
        OSError: the record cannot be written.
    """
    record = _read_record(folder)
    if record is not None and record.files.get(name) != sha256_hex(content):
        _write_record(folder, record.with_files({**record.files, name: sha256_hex(content)}))


def our_digests(folder: Path) -> frozenset[str]:
    """SHA-256, in hex, of all that we ever copied into the folder as far as its record knows.

    Raises:
        OSError: the record cannot be read.
    """
    record = _read_record(folder)
    return frozenset() if record is None else record.ours


def _open_folder(folder: Path) -> _Record | None:
    """The record of what we copied: empty for a new folder, None where the folder is the user's own work."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o755)
        log.info("driver folder %s does not exist: creating it with copies of the bundled drivers", folder)
        return _Record()
    record = _read_record(folder)
    if record is None and not any(folder.iterdir()):
        log.info("driver folder %s is empty: filling it with copies of the bundled drivers", folder)
        return _Record()
    return record


def _update(folder: Path, originals: dict[str, bytes], record: _Record) -> Copies:
    updated = dict(record.files)
    states: dict[str, str] = {}
    ours = record.ours | {sha256_hex(original) for original in originals.values()}
    for name, original in originals.items():
        try:
            states[name] = _state(folder / name, original, record.files.get(name))
            if states[name] in ("missing", "stale"):
                keep = states[name] == "stale" and name.endswith(SUFFIX)
                _put(folder / name, original, ours if keep else None)
                what = "copied" if states[name] == "missing" else "refreshed an unedited copy from another version:"
                log.info("driver folder: %s %s", what, folder / name)
                states[name] = "same"
            if states[name] == "same":
                updated[name] = sha256_hex(original)
        except OSError as error:
            _warn(folder / name, error)
        except DriverRejected as error:
            log.warning("%s cannot be kept up to date: %s", folder / name, error)
    if updated != record.files:
        try:
            _write_record(folder, record.with_files(updated))
        except OSError as error:
            _warn(folder / RECORD, error)
    return _copies(states)


def _copies(states: dict[str, str]) -> Copies:
    return Copies(
        frozenset(name for name, state in states.items() if state in ("same", "stale")),
        frozenset(name for name, state in states.items() if state == "outdated"),
    )


def _put(path: Path, content: bytes, ours: frozenset[str] | None) -> None:
    """Write a copy. With `ours` (see `keep_beside`) the file that was there stays beside it, for the way back."""
    if ours is None:
        write_whole((path, ReadFile(content)))
        return
    keeping = keep_beside(path, read_regular(path), ours)
    write_whole(*keeping.writes, (path, ReadFile(content)))
    if keeping.moved is not None:
        log.info("driver folder: what was kept before is %s now", keeping.moved.name)


def _warn(path: Path, error: OSError) -> None:
    log.warning("%s cannot be kept up to date: %s; check owner and mode", path, (error.strerror or str(error)).lower())


def _originals(bundled_folder: Path) -> list[Path]:
    extra = [bundled_folder / name for name in (_README, TEMPLATE)]
    return [*driver_files(bundled_folder), *(path for path in extra if path.is_file())]


def _state(target: Path, original: bytes, recorded: str | None) -> str:
    """How a file stands to its original: "same", "missing" (to be copied), "stale" (unedited copy of another version),
    "outdated" (edited, and the original has changed since), "theirs" (edited, deleted, or never ours)."""
    wanted = sha256_hex(original)
    try:
        current = sha256_hex(read_regular(target).content)
    except FileNotFoundError:
        return "missing" if recorded is None else "theirs"
    except DriverRejected:
        current = None  # a pipe, say, or a file that no driver is as large as: not ours
    if current == wanted:
        return "same"
    if recorded is None or recorded == wanted:
        return "theirs"
    return "stale" if current == recorded else "outdated"


def _read_record(folder: Path, *, tell: bool = True) -> _Record | None:
    """The record of the folder; None where there is none, so that the folder is the user's own."""
    path = folder / RECORD
    try:
        document = json.loads(read_regular(path).content)
        files, earlier = document["files"], document.get("earlier", [])
        if all(isinstance(one, str) for one in (*files.keys(), *files.values(), *earlier)):
            return _Record(dict(files), frozenset(earlier))
        raise ValueError("files must map names to digests, and earlier list digests")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DriverRejected) as error:
        words = "%s cannot be understood (%s): no copy is refreshed; delete the file to silence this"
        log.log(logging.WARNING if tell else logging.DEBUG, words, path, error)
        return None


def _write_record(folder: Path, record: _Record) -> None:
    files = dict(sorted(record.files.items()))
    document = {"version": _RECORD_VERSION, "files": files, "earlier": sorted(record.earlier)}
    write_whole((folder / RECORD, ReadFile((json.dumps(document, indent=1) + "\n").encode())))
