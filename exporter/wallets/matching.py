"""From what a miner says of a pool to the wallet that it mines for, or to the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.store.rows import Wallet
from exporter.wallets.addresses import Address, AddressError, possible_addresses, read_address
from exporter.wallets.currencies import OTHER
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.pool_place import PoolPlace, read_place
from exporter.wallets.pool_user import PoolUser, split_user
from exporter.wallets.reasons import REASONS, Explanation, Reason, explain

__all__ = ["REASONS", "Explanation", "Match", "Reason", "WalletBook", "explain", "match"]


@dataclass(frozen=True, slots=True)
class Match:
    """Either `wallet_id` or `reason`, one of `REASONS`, is given; `worker` as far as it could be told."""

    wallet_id: int | None
    worker: str | None
    reason: str | None


class WalletBook:
    """The wallets, found by what their addresses pay to. Made anew when one changes."""

    def __init__(self, wallets: Iterable[Wallet]) -> None:
        self._by_key: dict[str, list[Wallet]] = {}
        self._by_id: dict[int, Wallet] = {}
        self._single: dict[int, WalletBook] = {}
        for wallet in wallets:
            self._by_id[wallet.id] = wallet
            self._by_key.setdefault(_key(wallet), []).append(wallet)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, wallet_id: object) -> bool:
        return wallet_id in self._by_id

    def only(self, wallet_id: int) -> WalletBook:
        """A book of one wallet, or of none where it is not here."""
        book = self._single.get(wallet_id)
        if book is None:
            book = WalletBook([wallet] if (wallet := self._by_id.get(wallet_id)) is not None else [])
            self._single[wallet_id] = book
        return book

    def of(self, addresses: Iterable[Address], text: str) -> list[Wallet]:
        """The wallets of these addresses, and those of other currencies whose address is `text`."""
        keys = dict.fromkeys(f"{address.currency} {address.key}" for address in addresses)
        found = [wallet for key in keys for wallet in self._by_key.get(key, ())]
        return found + self._by_key.get(f"{OTHER} text:{text}", [])


def _key(wallet: Wallet) -> str:
    try:
        return f"{wallet.currency} {read_address(wallet.address, wallet.currency).key}"
    except AddressError:
        return f"{wallet.currency} text:{wallet.address}"  # stored before its form was known


def match(
    pool_url: str | None, pool_user: str | None, currency: str | None, book: WalletBook, pools: PoolDirectory
) -> Match:
    """Find the wallet that a miner with this pool mines for.

    Args:
        pool_url: as the miner tells it, None where it does not.
        currency: what a person said the miner mines, None where nobody did.
    """
    user = split_user(pool_user)
    if user.account is None:
        return Match(None, user.worker, Reason.NO_USER)
    found = _wallet(user, read_place(pool_url), currency, book, pools)
    return Match(found, user.worker, None) if isinstance(found, int) else Match(None, user.worker, found)


def _wallet(
    user: PoolUser, place: PoolPlace | None, currency: str | None, book: WalletBook, pools: PoolDirectory
) -> int | str:
    """The id of the wallet, or the reason why there is none."""
    account = user.account or ""
    addresses = possible_addresses(account)
    candidates = book.of(addresses, account)
    if not candidates:
        if not user.is_address:
            return Reason.NO_ADDRESS
        if not addresses and user.currency != OTHER:
            return Reason.ADDRESS_INVALID
        return Reason.OTHER_ADDRESS if len(book) else Reason.NO_WALLETS
    said = _currencies(user, place, currency, pools)
    fitting = [wallet for wallet in candidates if said is None or wallet.currency in said]
    if not fitting:
        return Reason.OTHER_CURRENCY
    here = [wallet for wallet in fitting if pools.fits(wallet.pool, place)]
    if not here:
        recognised = place is not None and pools.source_at(place) is not None
        adapter_wanted = any(pools.adapter(wallet.pool or "") is not None for wallet in fitting)
        return Reason.OTHER_POOL if recognised or not adapter_wanted else Reason.POOL_NOT_RECOGNISED
    # A wallet at this very pool stands before one that is tracked for any.
    best = [wallet for wallet in here if wallet.pool is not None] or here
    if len({wallet.currency for wallet in best}) > 1:
        return Reason.AMBIGUOUS
    return min(wallet.id for wallet in best)


def _currencies(
    user: PoolUser, place: PoolPlace | None, currency: str | None, pools: PoolDirectory
) -> frozenset[str] | None:
    """What is mined: as the pool user says, else as a person said of the miner, else as the pool has it.

    None where nobody says. Wallets of "OTHER" are always among them: they match by their whole text.
    """
    said = user.currency or currency
    if said is not None:
        return frozenset({said, OTHER})
    known = pools.source_at(place) if place is not None else None
    return None if known is None or known.adapter.any_host else frozenset({*known.adapter.currencies, OTHER})
