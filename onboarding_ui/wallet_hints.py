"""What the wallet in a new board's configuration tells before anybody has named the board. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.store.rows import MinerConfig
from exporter.wallets.addresses import possible_addresses
from exporter.wallets.pool_user import split_user
from exporter.wallets.reasons import Reason, explain


@dataclass(frozen=True, slots=True)
class WalletHint:
    """A sentence about a pool user; `doubtful` where something is wrong with it.

    Attributes:
        currency: the only one that its address can be of; None where there are several or none.
    """

    words: str
    doubtful: bool
    currency: str | None = None


def wallet_hint(pool_user: str | None) -> WalletHint | None:
    """What to tell about the wallet of a pool user; None where there is nothing to say.

    An address that is mistyped earns for nobody, and no miner and no pool warns of it.
    """
    user = split_user(pool_user)
    if user.account is None:
        return None
    found = possible_addresses(user.account)
    if found:
        currencies = [address.currency for address in found]
        words = f"The address is a valid one of {' or '.join(currencies)}."
        return WalletHint(words, doubtful=False, currency=currencies[0] if len(currencies) == 1 else None)
    word = Reason.ADDRESS_INVALID if user.is_address else Reason.NO_ADDRESS
    why = explain(MinerConfig(id=0, miner_id=0, pool_user=pool_user, reason=word))
    return None if why is None else WalletHint(f"{why.sentence} {why.remedy}", doubtful=user.is_address)
