"""Keeps the file that another one takes the place of: beside it, and nothing of the user's is overwritten by that."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from exporter.drivers.files import PREVIOUS, ReadFile, read_regular
from exporter.drivers.manifest import sha256_hex
from exporter.errors import DriverRejected


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a file is kept that another one takes the place of.

    Attributes:
        place: where it is kept.
        writes: for `write_whole`, before the file that takes the place.
        moved: where the file that was kept there before is now; None where there was none, or one of ours.
    """

    place: Path
    writes: tuple[tuple[Path, ReadFile], ...]
    moved: Path | None = None


def keep_beside(path: Path, present: ReadFile, ours: Collection[str]) -> Keeping:
    """What to write so that `present`, the file at `path`, is kept when another one takes its place.

    A file kept earlier makes room. One of the user's is not lost by that: it is kept on under the first free number.

    Args:
        ours: SHA-256 of contents that are ours, in hex; only such a kept file is overwritten.

    Raises:
        OSError: the file kept earlier cannot be read.
        DriverRejected: what lies in its place is no file that can be kept; the message names it.
    """
    kept = path.with_name(path.name + PREVIOUS)
    earlier = file_at(kept)
    if earlier is None or earlier.content == present.content or sha256_hex(earlier.content) in ours:
        return Keeping(kept, ((kept, present),))
    for number in itertools.count(1):
        place = kept.with_name(f"{kept.name}.{number}")
        if not os.path.lexists(place):
            return Keeping(kept, ((place, earlier), (kept, present)), place)
        if _holds(place, earlier.content):
            return Keeping(kept, ((kept, present),), place)
    raise AssertionError("there is always a next number")


def file_at(path: Path) -> ReadFile | None:
    """The file at a place that another one is to take, None where there is none.

    Raises:
        OSError: it cannot be read.
        DriverRejected: what is there is no file that can be kept; the message names it.
    """
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None
    except (DriverRejected, IsADirectoryError) as error:
        why = "is a directory" if isinstance(error, OSError) else str(error)
        raise DriverRejected(f"{path} {why}; move it away first, since it cannot be kept") from error


def _holds(path: Path, content: bytes) -> bool:
    try:
        return read_regular(path).content == content
    except (OSError, DriverRejected):
        return False
