"""The user's driver folder: filled with copies of the bundled files, and kept up to date where they were not edited.

``.installed.json`` in the folder records the SHA-256 of each file as we copied it. A file that still has it is ours to
refresh; any other is the user's and never touched.
"""

from __future__ import annotations

import json
import logging
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.drivers.files import SUFFIX, TEMPLATE, USUAL_MODE, driver_files, kept_place, write_whole
from exporter.drivers.manifest import sha256_hex

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
            states[path.name] = _state(folder / path.name, path.read_bytes(), (record or {}).get(path.name))
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
    if record is not None and record.get(name) != sha256_hex(content):
        _write_record(folder, {**record, name: sha256_hex(content)})


def _open_folder(folder: Path) -> dict[str, str] | None:
    """The record of what we copied: empty for a new folder, None where the folder is the user's own work."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o755)
        log.info("driver folder %s does not exist: creating it with copies of the bundled drivers", folder)
        return {}
    record = _read_record(folder)
    if record is None and not any(folder.iterdir()):
        log.info("driver folder %s is empty: filling it with copies of the bundled drivers", folder)
        return {}
    return record


def _update(folder: Path, originals: dict[str, bytes], record: dict[str, str]) -> Copies:
    updated = dict(record)
    states: dict[str, str] = {}
    for name, original in originals.items():
        try:
            states[name] = _state(folder / name, original, record.get(name))
            if states[name] in ("missing", "stale"):
                _put(folder / name, original, keep=states[name] == "stale" and name.endswith(SUFFIX))
                what = "copied" if states[name] == "missing" else "refreshed an unedited copy from another version:"
                log.info("driver folder: %s %s", what, folder / name)
                states[name] = "same"
            if states[name] == "same":
                updated[name] = sha256_hex(original)
        except OSError as error:
            _warn(folder / name, error)
    if updated != record:
        try:
            _write_record(folder, updated)
        except OSError as error:
            _warn(folder / RECORD, error)
    return _copies(states)


def _copies(states: dict[str, str]) -> Copies:
    return Copies(
        frozenset(name for name, state in states.items() if state in ("same", "stale")),
        frozenset(name for name, state in states.items() if state == "outdated"),
    )


def _put(path: Path, content: bytes, *, keep: bool) -> None:
    """Write a copy; with `keep` the file that was there stays beside it, so that a person can go back to it."""
    kept = [(kept_place(path), path.read_bytes(), stat.S_IMODE(path.stat().st_mode))] if keep else []
    write_whole(*kept, (path, content, USUAL_MODE))


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
        current = sha256_hex(target.read_bytes())
    except FileNotFoundError:
        return "missing" if recorded is None else "theirs"
    if current == wanted:
        return "same"
    if recorded is None or recorded == wanted:
        return "theirs"
    return "stale" if current == recorded else "outdated"


def _read_record(folder: Path, *, tell: bool = True) -> dict[str, str] | None:
    """The record of the folder; None where there is none, so that the folder is the user's own."""
    path = folder / RECORD
    try:
        document = json.loads(path.read_bytes())
        files = document["files"]
        if all(isinstance(name, str) and isinstance(digest, str) for name, digest in files.items()):
            return dict(files)
        raise ValueError("files must map names to digests")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        words = "%s cannot be understood (%s): no copy is refreshed; delete the file to silence this"
        log.log(logging.WARNING if tell else logging.DEBUG, words, path, error)
        return None


def _write_record(folder: Path, files: dict[str, str]) -> None:
    document = {"version": _RECORD_VERSION, "files": dict(sorted(files.items()))}
    write_whole((folder / RECORD, (json.dumps(document, indent=1) + "\n").encode(), USUAL_MODE))
