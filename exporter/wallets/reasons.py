"""Why a miner's pool belongs to no wallet, in words for people: what was found, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.store.rows import MinerConfig
from exporter.text import clean_text
from exporter.wallets.addresses import AddressError, read_address
from exporter.wallets.currencies import COINS
from exporter.wallets.pool_place import read_place, without_user
from exporter.wallets.pool_user import split_user


class Reason:
    """The words that `MinerConfig.reason` may hold."""

    NO_POOLS: Final = "no_pools"
    NO_WALLETS: Final = "no_wallets"
    NO_USER: Final = "no_user"
    NO_ADDRESS: Final = "no_address_in_user"
    ADDRESS_INVALID: Final = "address_invalid"
    OTHER_ADDRESS: Final = "other_address"
    OTHER_CURRENCY: Final = "other_currency"
    OTHER_POOL: Final = "other_pool"
    POOL_NOT_RECOGNISED: Final = "pool_not_recognised"
    AMBIGUOUS: Final = "ambiguous"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`sentence` says what was found, `remedy` what a person may do. Neither repeats an address."""

    sentence: str
    remedy: str


_LINK: Final = "link the miner to a wallet by hand"
_TEXTS: Final[dict[str, Explanation]] = {
    Reason.NO_POOLS: Explanation(
        "The miner has not told of any pool.",
        f"Wait for its next poll and set a pool in the miner; or {_LINK}.",
    ),
    Reason.NO_WALLETS: Explanation(
        "No wallet is tracked.",
        "Add the wallet that the miner mines for; it is matched at once.",
    ),
    Reason.NO_USER: Explanation(
        "The miner does not tell its pool user.",
        f"Some firmwares hide it: look at the miner's own page, and {_LINK}.",
    ),
    Reason.NO_ADDRESS: Explanation(
        "The pool user is the name of an account and no address; such a pool keeps the coins until it pays them out.",
        f"Track the account as a wallet of currency OTHER whose address is that name, or {_LINK}.",
    ),
    Reason.ADDRESS_INVALID: Explanation(
        "The address in the pool user is no valid one.",
        "Correct the pool user in the miner: what it earns with a wrong address may be lost.",
    ),
    Reason.OTHER_ADDRESS: Explanation(
        "The address in the pool user is that of no tracked wallet.",
        "Where it is yours add it as a wallet; where it is not, somebody has changed the miner's pool: check it now.",
    ),
    Reason.OTHER_CURRENCY: Explanation(
        "The address is that of a tracked wallet, but of another currency than the miner mines.",
        "Correct the currency of the miner or of the wallet.",
    ),
    Reason.OTHER_POOL: Explanation(
        "The address is that of a tracked wallet, but the wallet is tracked at another pool.",
        "Set the wallet's pool to any, add the wallet a second time with this pool, or correct the miner's pool.",
    ),
    Reason.POOL_NOT_RECOGNISED: Explanation(
        "The address is that of a tracked wallet, but the miner's pool is none that is known.",
        "Set the wallet's pool to any or to host:port, or name the host under pools.hosts in targets.yml.",
    ),
    Reason.AMBIGUOUS: Explanation(
        "The address is that of several tracked wallets of different currencies.",
        f"Choose the currency of the miner, or {_LINK}.",
    ),
}
#: Every word, in the order in which a match is tried.
REASONS: Final = tuple(_TEXTS)
_UNKNOWN: Final = Explanation("No wallet matched.", f"Check the pool and its user, or {_LINK}.")


def explain(config: MinerConfig | str | None) -> Explanation | None:
    """Why a configuration has no wallet; None where it has one.

    Args:
        config: the configuration, a word of `REASONS` alone, or None for a miner that has none (`no_pools`).
    """
    if config is None:
        return _TEXTS[Reason.NO_POOLS]
    if isinstance(config, str):
        return _TEXTS.get(config, _UNKNOWN)
    if config.wallet_id is not None or config.reason is None:
        return None
    found = _TEXTS.get(config.reason, _UNKNOWN)
    detail = _detail(config)
    return Explanation(f"{found.sentence} {detail}", found.remedy) if detail else found


def explain_pools(configs: Sequence[MinerConfig]) -> Explanation | None:
    """Why several configurations of one miner, all with the same reason, have no wallet; names their pools.

    None where there are none, or where the first of them has a wallet.
    """
    if not configs or explain(configs[0]) is None:
        return None
    reason = configs[0].reason or ""
    found = _TEXTS.get(reason, _UNKNOWN)
    faults = dict.fromkeys(_fault(config.pool_user) for config in configs if reason == Reason.ADDRESS_INVALID)
    sentence = " ".join(filter(None, (found.sentence, *faults)))
    if reason == Reason.NO_POOLS:
        return Explanation(sentence, found.remedy)
    places = dict.fromkeys(_shown(config) or "a pool that the miner does not name" for config in configs)
    return Explanation(f"At {', '.join(places)}: {sentence}", found.remedy)


def _detail(config: MinerConfig) -> str | None:
    if config.reason == Reason.ADDRESS_INVALID:
        return _fault(config.pool_user)
    if config.reason in (Reason.OTHER_POOL, Reason.POOL_NOT_RECOGNISED):
        shown = _shown(config)
        return f"The miner mines at {shown}." if shown else "The miner does not tell which one it is."
    return None


def _shown(config: MinerConfig) -> str | None:
    """The pool of a configuration; None where the miner does not tell it."""
    place = read_place(config.pool_url)
    return clean_text(without_user(config.pool_url), 80) if place is None else str(place)


def _fault(pool_user: str | None) -> str:
    """What is wrong with the address, judged by the currency that it is most likely of."""
    user = split_user(pool_user)
    account = user.account or ""
    currency = user.currency or _likely(account)
    try:
        read_address(account, currency)
    except AddressError as error:
        return f"Read as one of {COINS[currency].name}, it {error}."
    return ""


def _likely(account: str) -> str:
    lower = account.lower()
    for coin in COINS.values():
        if coin.bech32 is not None and lower.startswith(f"{coin.bech32}1"):
            return coin.ticker
        if coin.cashaddr is not None and lower.startswith(f"{coin.cashaddr}:"):
            return coin.ticker
    return "BTC"
