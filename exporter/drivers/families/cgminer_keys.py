"""Keys of CGMiner answers that are left out on purpose, with the reason."""

from __future__ import annotations

from typing import Final

from exporter.drivers.families.cgminer_records import UNUSED_POOL_KEYS, UNUSED_SUMMARY_KEYS, ignored

IGNORED_KEYS: Final = (
    *ignored("rpc summary SUMMARY[].", UNUSED_SUMMARY_KEYS),
    *ignored("rpc pools POOLS[].", UNUSED_POOL_KEYS),
)
