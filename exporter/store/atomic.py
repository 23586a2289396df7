"""A TinyDB storage that survives being killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from exporter.errors import StoreError
from exporter.store.files import remove_leftovers, write_atomically

#: Table name -> document id as text -> fields: the form in which TinyDB keeps everything.
RawDocument = dict[str, dict[str, Any]]


class AtomicJSONStorage(Storage):
    """Keeps the document in memory and replaces the file atomically; reads never touch the disk.

    The caller holds the lock of the file (`exporter.store.lock`): opening removes the temporary files of processes
    that were killed, and two writers would undo each other's changes.

    Args:
        path: the file; a symbolic link is followed once, so that the link stays and its target is replaced.
        deferred: `write` changes the memory only, and `save` brings it to disk (`exporter.store.writer` joins the
            changes of a short time that way). Documents must then be replaced, never changed in place, because the
            text of an unchanged one is re-used. Without it every `write` is durable when it returns.

    Raises:
        StoreError: the file is there but unreadable. It is never overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], *, deferred: bool = False) -> None:
        self.path = Path(path).resolve()
        self._deferred = deferred
        remove_leftovers(self.path)
        self._document: RawDocument | None = read_document(self.path)
        self._encoder = DocumentEncoder()

    def read(self) -> RawDocument | None:
        """The document in memory; None before the first write to a new file."""
        return self._document

    def write(self, data: RawDocument) -> None:
        """Take `data` as the new document.

        Raises:
            StoreError: (not deferred) the disk refused it. File and memory both hold the last saved document.
        """
        if not self._deferred:
            try:
                write_atomically(self.path, encode_document(data))
            except StoreError:
                # TinyDB may have changed documents in place before it called us.
                self._document = read_document(self.path)
                raise
        self._document = data

    def snapshot(self) -> RawDocument:
        """The document as it is now, unaffected by later writes. Cheap: nothing below the tables is copied."""
        return dict(self._document or {})

    def save(self, snapshot: RawDocument) -> None:
        """Write a snapshot to disk. Called by one thread at a time.

        Raises:
            StoreError: the disk refused it; the file is as it was.
        """
        write_atomically(self.path, self._encoder.encode(snapshot))

    def close(self) -> None:
        """Nothing is kept open."""


class DocumentEncoder:
    """Turns documents into text and re-uses the text of rows that are still the same object."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[Any, bytes]]] = {}

    def encode(self, document: RawDocument) -> list[bytes]:
        """The file's content in pieces, one row on a line.

        Raises:
            TypeError, ValueError: a value that JSON cannot hold.
        """
        fresh: dict[str, dict[str, tuple[Any, bytes]]] = {}
        for table, rows in document.items():
            known = self._known.get(table, {})
            kept: dict[str, tuple[Any, bytes]] = {}
            for row_id, row in rows.items():
                entry = known.get(row_id)
                if entry is None or entry[0] is not row:
                    entry = (row, f"{_dumps(row_id)}: {_dumps(row)}".encode("ascii"))
                kept[row_id] = entry
            fresh[table] = kept
        self._known = fresh
        return list(_join({table: (text for _row, text in rows.values()) for table, rows in fresh.items()}))


def encode_document(document: RawDocument) -> list[bytes]:
    """As `DocumentEncoder.encode`, for once."""
    return DocumentEncoder().encode(document)


def _join(tables: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    yield b"{"
    for number, (table, rows) in enumerate(tables.items()):
        yield b",\n" if number else b"\n"
        yield _dumps(table).encode("ascii") + b": {\n"
        for place, row in enumerate(rows):
            if place:
                yield b",\n"
            yield row
        yield b"\n}"
    yield b"\n}\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def read_document(path: Path) -> RawDocument | None:
    """The document in a file; None where there is no file.

    Raises:
        StoreError: the file cannot be read or is no database; names the file and the remedy.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read: {(error.strerror or str(error)).lower()}; "
            "give the user that runs Flockwatch permission, or change database.path"
        ) from error
    return parse_document(content, str(path))


def parse_document(content: bytes, source: str) -> RawDocument:
    """The document in `content`, which came from `source`.

    Raises:
        StoreError: no JSON, or not tables of rows of fields.
    """
    remedy = f"restore a backup (flockwatch restore FILE), or move {source} away to start anew"
    if not content:
        raise StoreError(f"{source}: the file is empty; {remedy}")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{source}: not readable as JSON ({error}); {remedy}") from error
    if not _is_tables(document):
        raise StoreError(f"{source}: not a Flockwatch database; {remedy}")
    tables: RawDocument = document
    return tables


def _is_tables(document: Any) -> bool:
    return isinstance(document, dict) and all(
        isinstance(rows, dict) and all(row_id.isdecimal() and isinstance(row, dict) for row_id, row in rows.items())
        for rows in document.values()
    )
