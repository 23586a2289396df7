"""A miner as the lists of the API show it. Plain dictionaries: thousands are made for one answer."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from math import isfinite
from operator import attrgetter
from typing import Any, Final

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.errors import UnknownError
from exporter.model import Reading

log = logging.getLogger(__name__)

#: What a miner shows that does not answer now.
NO_FIGURES: Final[Mapping[str, Any]] = {
    "state": None,
    "hashrate": None,
    "hashrate_expected": None,
    "power": None,
    "temperature": None,
    "shares_accepted": None,
    "shares_rejected": None,
    "reject_ratio": None,
    "chips_bad": None,
}


def live_reading(record: MinerRecord, monotonic: float | None = None) -> Reading | None:
    """The reading of a miner while it may be shown; never an old one."""
    now = time.monotonic() if monotonic is None else monotonic
    return record.reading if record.expires_at > now else None


def status(record: MinerRecord, monotonic: float | None = None) -> str:
    """ "online" or "offline"; a miner whose reading is too old to be shown is offline."""
    online = record.up and (record.reading is None or live_reading(record, monotonic) is not None)
    return "online" if online else "offline"


def hottest(reading: Reading) -> float | None:
    """The highest temperature told, chips first, degC; None where none is."""
    chips = [board.chip_temperature_max for board in reading.boards if board.chip_temperature_max is not None]
    if chips:
        return max(chips)
    return max((taken.celsius for board in reading.boards for taken in board.temperatures), default=None)


def shares(reading: Reading) -> tuple[float | None, float | None]:
    """Accepted and rejected shares over the owner's pools; None where no pool tells."""
    accepted: float | None = None
    rejected: float | None = None
    for pool in reading.pools:
        if not pool.fee:
            if pool.accepted is not None:
                accepted = (accepted or 0.0) + pool.accepted
            if pool.rejected is not None:
                rejected = (rejected or 0.0) + pool.rejected
    return accepted, rejected


def reject_ratio(accepted: float | None, rejected: float | None) -> float | None:
    """Rejected shares of all, 0 to 1; None before the first one."""
    if accepted is None or rejected is None or accepted + rejected <= 0:
        return None
    return rejected / (accepted + rejected)


def bad_chips(reading: Reading) -> int | None:
    """Chips that are dead, slow or too hot, over all boards; None where no board grades its chips."""
    graded = [board.chips_bad for board in reading.boards if board.chips_bad is not None]
    return sum(count for kinds in graded for _, count in kinds) if graded else None


def wallet_ids(engine: EngineApi) -> dict[int, list[int]]:
    """The wallets that each miner mines to, by the miner's id."""
    linked: dict[int, list[int]] = {}
    for view in engine.wallets.all():
        for miner_id in view.miners:
            linked.setdefault(miner_id, []).append(view.wallet.id)
    return linked


def miner_json(record: MinerRecord, wallets: Sequence[int] = (), monotonic: float | None = None) -> dict[str, Any]:
    """A miner as the API shows it: what `MinerAnswer` describes."""
    identity = record.identity
    document: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "named": record.named,
        "miner": record.key,
        "miner_type": record.driver,
        "ip_address": record.address,
        "mac_address": identity.mac,
        "api_port": record.port,
        "status": status(record, monotonic),
        "managed": record.managed,
        "enabled": record.enabled,
        "auto_discovered": record.auto_discovered,
        "provisional": record.provisional,
        "created_at": record.created_at,
        "last_seen": record.last_seen,
        "make": identity.make,
        "model": identity.model,
        "model_alias": record.model_alias,
        "firmware": identity.firmware,
        "firmware_version": identity.firmware_version,
        "currency": record.currency,
        "chipset": record.chipset,
        "location_notes": record.location_notes,
        "labels": dict(record.labels),
        "muted_until": record.muted_until,
        "auth_failed": record.auth_failed,
        "last_error": record.last_error,
        "wallet_ids": list(wallets),
    }
    document |= figures(record, monotonic)
    if record.usb is not None:
        document["usb"] = {
            "status": record.usb.view.status.value,
            "state": record.usb.view.state.value,
            "dev_path": record.usb.dev_path,
            "port_path": record.usb.port_path,
            "conditions": sorted(condition.value for condition in record.usb.view.conditions),
        }
    return document


def figures(record: MinerRecord, monotonic: float | None = None) -> Mapping[str, Any]:
    """The live figures of a miner, or `NO_FIGURES`. A driver's nonsense hurts its own miner only."""
    reading = live_reading(record, monotonic)
    if reading is None:
        return NO_FIGURES
    try:
        return _told(reading)
    except (AttributeError, TypeError, ValueError):
        log.debug("a reading of the wrong kind", extra={"driver": record.driver, "miner": record.key}, exc_info=True)
        return NO_FIGURES


def _number(value: float | None) -> float | None:
    """`value` where it is a finite number or unknown; raises `TypeError` for what is no number."""
    return None if value is None or not isfinite(value) else value


def _told(reading: Reading) -> dict[str, Any]:
    accepted, rejected = shares(reading)
    return {
        "state": reading.state.value if reading.state is not None else None,
        "hashrate": _number(reading.hashrate),
        "hashrate_expected": _number(reading.hashrate_expected),
        "power": _number(reading.power),
        "temperature": _number(hottest(reading)),
        "shares_accepted": _number(accepted),
        "shares_rejected": _number(rejected),
        "reject_ratio": reject_ratio(accepted, rejected),
        "chips_bad": bad_chips(reading),
    }


def record_of(engine: EngineApi, miner_id: int) -> MinerRecord:
    """The record of a miner. Raises `UnknownError`."""
    miners = engine.snapshot().miners
    place = bisect_left(miners, miner_id, key=attrgetter("id"))
    if place < len(miners) and miners[place].id == miner_id:
        return miners[place]
    raise UnknownError(f"no miner has the id {miner_id}")


def record_of_key(engine: EngineApi, key: str) -> MinerRecord:
    """The record of the miner that metrics call `key`. Raises `UnknownError`."""
    found = next((record for record in engine.snapshot().miners if record.key == key), None)
    if found is None:
        raise UnknownError(
            f"no miner here has the key {key}; it may have been forgotten, or belong to another Flockwatch"
        )
    return found


def one_miner_json(engine: EngineApi, miner_id: int) -> dict[str, Any]:
    """The document of one miner. Raises `UnknownError`."""
    record = record_of(engine, miner_id)
    return miner_json(record, wallet_ids(engine).get(miner_id, ()))
