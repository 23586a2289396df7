"""Checks of what a person says of a wallet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from exporter.engine.onboarding import CURRENCIES
from exporter.errors import FieldError, TakenError
from exporter.store.rows import Wallet
from exporter.text import clean_text
from exporter.wallets.addresses import AddressError, read_address
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.pool_place import PoolPlace, read_host, read_place

FIELDS: Final = ("name", "address", "currency", "pool")
_LONGEST_NAME: Final = 64


def checked_wallet(fields: Mapping[str, Any], pools: PoolDirectory) -> dict[str, Any]:
    """The four fields of a wallet as they will be stored.

    Raises:
        FieldError: one of them is missing or wrong.
    """
    unknown = next((name for name in fields if name not in FIELDS), None)
    if unknown is not None:
        raise FieldError(f"{unknown}: is no field of a wallet; it has {', '.join(FIELDS)}", unknown)
    currency = fields.get("currency")
    if currency not in CURRENCIES:
        raise FieldError(f"currency: must be one of {', '.join(CURRENCIES)}", "currency")
    written = _text(fields, "address")
    try:
        address = read_address(written, currency).text
    except AddressError as error:
        raise FieldError(f"address: the address {error}", "address") from error
    return {
        "name": _name(fields, address),
        "currency": currency,
        "address": address,
        "pool": _pool(fields, currency, pools),
    }


def refuse_taken(checked: Mapping[str, Any], others: Iterable[Wallet]) -> None:
    """Refuse a name that another wallet has, and an address that is tracked at the same pool already.

    Raises:
        TakenError: naming the other one.
    """
    key = read_address(checked["address"], checked["currency"]).key
    for other in others:
        if other.name.casefold() == checked["name"].casefold():
            raise TakenError(f"name: another wallet is called {other.name!r}", "name")
        same_place = (other.currency, other.pool) == (checked["currency"], checked["pool"])
        if same_place and _key(other) == key:
            raise TakenError(f"address: it is tracked already, as {other.name!r} with the same pool", "address")


def _key(wallet: Wallet) -> str | None:
    try:
        return read_address(wallet.address, wallet.currency).key
    except AddressError:
        return None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise FieldError(f"{name}: must be text", name)
    return value


def _name(fields: Mapping[str, Any], address: str) -> str:
    written = _text(fields, "name")
    name = clean_text(written, _LONGEST_NAME + 1)
    if name is None or name != written.strip() or len(name) > _LONGEST_NAME:
        raise FieldError(f"name: must be 1 to {_LONGEST_NAME} printable characters", "name")
    if address.rpartition(":")[2].casefold() in name.casefold():
        raise FieldError("name: must not hold the address, because names stand on /metrics; call it otherwise", "name")
    return name


def _pool(fields: Mapping[str, Any], currency: str, pools: PoolDirectory) -> str | None:
    """The name of an adapter, or host:port of a pool without one."""
    if fields.get("pool") is None:
        return None
    written = _text(fields, "pool").strip()
    if not written:
        return None
    adapter = pools.adapter(written)
    place = None if adapter is not None else _place(written)
    if adapter is None and place is None:
        names = ", ".join(choice.name for choice in pools.choices())
        raise FieldError(
            f"pool: must be one of {names}, or host:port or a URL as the miners have it, or empty for any", "pool"
        )
    known = pools.source_at(place) if place is not None else None
    if known is not None and not known.adapter.any_host:
        adapter = known.adapter
    if adapter is not None and currency not in adapter.currencies:
        mined = ", ".join(adapter.currencies)
        raise FieldError(
            f"pool: at {adapter.display_name} {mined} can be mined, not {currency}; choose another", "pool"
        )
    return adapter.name if adapter is not None else str(place)


def _place(written: str) -> PoolPlace | None:
    """The place of host:port, or of a URL as miners have it; its scheme says that no pool's name is meant."""
    if "://" in written:
        return read_place(written)
    found = read_host(written)
    return PoolPlace(found[0], found[1]) if found is not None and found[1] is not None else None
