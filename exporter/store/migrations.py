"""From an older file to the present schema."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from exporter.errors import StoreError
from exporter.store.atomic import RawDocument

#: A pure function: takes the document of one version and returns that of the next. It may change its argument,
#: which is a copy. It does not touch the table `meta`.
Migration = Callable[[RawDocument], RawDocument]


def _more_tables(document: RawDocument) -> RawDocument:
    """Version 2 has tables that version 1 does not know: wallets, their links, and the access to the web UI."""
    return document


def _memories(document: RawDocument) -> RawDocument:
    """Version 3 has the table of what miners forget; whether a preset is tuned is no fact of a model any more."""
    for model in document.get("models", {}).values():
        for preset in model.get("presets") or ():
            preset.pop("tuned", None)
    return document


#: ``MIGRATIONS[n]`` leads from version n + 1 to version n + 2. An entry never changes once it was released.
MIGRATIONS: Final[tuple[Migration, ...]] = (_more_tables, _memories)
SCHEMA_VERSION: Final = 1 + len(MIGRATIONS)

META: Final = "meta"
_META_ROW: Final = "1"


def new_document(version: int = SCHEMA_VERSION, next_ids: Mapping[str, int] = MappingProxyType({})) -> RawDocument:
    """The document of a database without rows; `next_ids` as in `meta_of`."""
    return {META: {_META_ROW: {"schema_version": version, "next_ids": dict(next_ids)}}}


def meta_of(document: RawDocument, source: str) -> dict[str, Any]:
    """The row with `schema_version` and `next_ids` (table -> id of its next new row).

    Raises:
        StoreError: there is none: the file is JSON of some other program.
    """
    meta: Mapping[str, Any] = document.get(META, {}).get(_META_ROW, {})
    version, next_ids = meta.get("schema_version"), meta.get("next_ids")
    well_formed = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    if (
        not well_formed
        or not isinstance(next_ids, dict)
        or not all(type(row_id) is int for row_id in next_ids.values())
    ):
        raise StoreError(
            f"{source}: not a Flockwatch database (no schema version); restore a backup (flockwatch restore FILE), "
            "or choose another database.path"
        )
    return dict(meta)


def migrate(document: RawDocument, source: str, migrations: Sequence[Migration] = MIGRATIONS) -> RawDocument:
    """`document` in the newest schema; the same object where it is that already.

    Raises:
        StoreError: it was written by a newer Flockwatch, or is no database.
    """
    version = meta_of(document, source)["schema_version"]
    newest = 1 + len(migrations)
    if version > newest:
        raise StoreError(
            f"{source}: written by a newer Flockwatch (schema {version}, this one knows {newest}); install that "
            "version again, or restore a backup made before the update"
        )
    if version == newest:
        return document
    changed = copy.deepcopy(document)
    for migration in migrations[version - 1 :]:
        changed = migration(changed)
    changed[META] = {_META_ROW: {**meta_of(document, source), "schema_version": newest}}
    return changed
