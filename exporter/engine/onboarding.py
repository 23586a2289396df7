"""From "plugged in" to "one of the flock": the onboarding transaction of USB boards."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Final

from exporter.engine.names import key_end, shown_name
from exporter.errors import FieldError, TakenError, UnknownError
from exporter.model import Identity
from exporter.store.database import Database
from exporter.store.rows import MinerRow, UnconfiguredDevice
from exporter.text import clean_text

#: What a person may say a miner mines.
CURRENCIES: Final = ("BTC", "BCH", "DGB", "DOGE", "LTC", "NMC", "XEC", "OTHER")
_LONGEST_NAME: Final = 64
_LONGEST_NOTE: Final = 256


class UnknownDeviceError(UnknownError):
    """No such device waits."""


def onboard(
    db: Database,
    device_id: int,
    name: str,
    currency: str,
    chipset: str | None = None,
    location_notes: str | None = None,
) -> MinerRow:
    """Move a waiting device into the flock: all or nothing, also across a crash (one transaction, one write).

    The row starts `Inactive`, as documented; the engine then adopts a board that is still plugged in at once, as a
    re-connection.

    Raises:
        UnknownDeviceError: no device with this id waits.
        TakenError: another miner has this name, or the board is known already.
        FieldError: a field is missing or too long; the message names it.
    """
    device = db.unconfigured_devices.get(device_id)
    wanted = checked_name(db, name, key=device.key if device is not None else None)
    mined = checked_currency(currency)
    chip = checked_note("chipset", chipset)
    notes = checked_note("location_notes", location_notes)
    if device is None:
        raise UnknownDeviceError(f"no device with the id {device_id} waits; `flockwatch devices list` shows them")
    if db.miners.by_key(device.key) is not None:
        raise TakenError(f"the board {device.key} is in the flock already")
    if device.mac is not None and (other := db.miners.by_mac(device.mac)) is not None:
        raise TakenError(f"the board's MAC {device.mac} is that of {shown_name(other)} already")
    with db.transaction():
        row = db.miners.insert(**_copied(device), name=wanted, currency=mined, chipset=chip, location_notes=notes)
        db.unconfigured_devices.delete(device_id)
    return row


def _copied(device: UnconfiguredDevice) -> dict[str, object]:
    """All that the waiting device told, under the names of the flock's table."""
    wallet = device.dumped_wallet_address
    return {
        "key": device.key,
        "driver": "nerdminer",
        "mac": device.mac,
        "serial": device.serial_number if device.key.startswith("serial:") else None,
        "port_path": device.port_path,
        "dev_path": device.dev_path,
        "attrs_idVendor": device.vendor_id,
        "attrs_idProduct": device.product_id,
        "attrs_serial": device.serial_number,
        "auto_discovered": True,
        "status": "Inactive",
        "state": device.state,
        "pool_url": device.dumped_pool_url,
        "wallet_address": wallet,
        "nerdminer_vrs": device.dumped_firmware_version,
        "last_config_json": device.config_json,
        "identity": Identity(
            mac=device.mac,
            make="NerdMiner",
            firmware="NerdMiner",
            firmware_version=device.dumped_firmware_version,
        ),
    }


def checked_currency(currency: str) -> str:
    """One of `CURRENCIES`, however it is written ("btc"). Raises `FieldError`."""
    wanted = currency.strip().upper()
    if wanted not in CURRENCIES:
        raise FieldError(
            f"currency: must be one of {', '.join(CURRENCIES)}, got {clean_text(currency, 20)!r}", "currency"
        )
    return wanted


def checked_name(db: Database, name: str, besides: int | None = None, key: str | None = None) -> str:
    """A miner's name as it will be kept.

    Args:
        besides: the id of the miner that it is for; None for one that is new.
        key: the key of that one, where it is known.

    Raises:
        TakenError: another miner is called so, by a person or by what it is shown by while nobody named it; the
            message has a name that is free.
        FieldError: it is empty, too long or not printable.
    """
    wanted = clean_text(name, _LONGEST_NAME + 1)
    if wanted is None or wanted != name.strip() or len(wanted) > _LONGEST_NAME:
        raise FieldError(f"name: must be 1 to {_LONGEST_NAME} printable characters", "name")
    taken = {shown_name(row).casefold() for row in db.miners.all() if row.id != besides}
    if wanted.casefold() in taken:
        own = db.miners.get(besides) if besides is not None else None
        free = _free_name(wanted, taken, own.key if own is not None else key)
        raise TakenError(f"name: another miner is called {wanted!r}; choose another, for example {free!r}", "name")
    return wanted


def _free_name(wanted: str, taken: Collection[str], key: str | None) -> str:
    """`wanted` with the end of the miner's key, else with the first number that is free."""
    ends = itertools.chain([key_end(key)] if key is not None else [], map(str, itertools.count(2)))
    names = (f"{wanted[: _LONGEST_NAME - len(end) - 1]} {end}" for end in ends)
    return next(name for name in names if name.casefold() not in taken)


def suggested_name(device: UnconfiguredDevice) -> str | None:
    """The worker of the dumped pool user ("bc1q....garage" -> "garage"), to fill the form with."""
    user = device.dumped_wallet_address or ""
    _, dot, worker = user.partition(".")
    return clean_text(worker, _LONGEST_NAME) if dot else None


def checked_note(field: str, text: str | None) -> str | None:
    """A note as it will be kept, None where it is empty. Raises `FieldError`."""
    if text is None or not text.strip():
        return None
    cleaned = clean_text(text, _LONGEST_NOTE + 1)
    if cleaned is None or len(cleaned) > _LONGEST_NOTE:
        raise FieldError(f"{field}: must be at most {_LONGEST_NOTE} printable characters", field)
    return cleaned
