"""A pool user taken apart as pools write it: an address or an account, and the worker. Pure.

Addresses hold letters and digits only, so whatever else comes first ends one; nothing is ever searched for in the
middle of a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from exporter.text import clean_text
from exporter.wallets.addresses import possible_addresses
from exporter.wallets.currencies import COINS

_LONGEST: Final = 512
_LONGEST_WORKER: Final = 128
#: What is at least so long, of letters and digits alone, is meant as an address; accounts of pools are shorter.
_SHORTEST_ADDRESS: Final = 25
_WORD: Final = re.compile(r"([A-Za-z]{2,12}):(?=.)", re.ASCII)
_HEAD: Final = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_CASHADDR: Final = frozenset(
    prefix for coin in COINS.values() for prefix in (coin.cashaddr, *coin.cashaddr_test) if prefix is not None
)
_URIS: Final = {coin.uri: coin.ticker for coin in COINS.values() if coin.uri is not None}
#: Ways of payment that some pools want in front of the address.
_PAYMENTS: Final = frozenset({"solo", "pplns", "pps", "fpps", "prop", "party"})
#: "bc1", "ltc1": how addresses begin that nobody calls an account.
_SHORTEST_BECH32: Final = 14
_BEGINNINGS: Final = tuple(f"{coin.bech32}1" for coin in COINS.values() if coin.bech32 is not None)
#: "+1024", "/1000+5": difficulties that the miner asks for.
_DIFFICULTY: Final = re.compile(r"(?:/\d+(?:\.\d+)?)?\+\d+(?:\.\d+)?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class PoolUser:
    """What a pool user says.

    Attributes:
        account: an address with its prefix as written, or the account at a pool that keeps the coins; None where empty.
        worker: None where there is none.
        currency: ticker that stood in front ("LTC:..."), None where none did.
        is_address: whether `account` is one, or is meant as one and mistyped.
    """

    account: str | None = None
    worker: str | None = None
    currency: str | None = None
    is_address: bool = False


def split_user(user: str | None) -> PoolUser:
    """Take a pool user apart: "bc1q….rig1", "LTC:ltc1q…/rig1", "solo:bitcoincash:qp….rig1+1024", "account.rig1"."""
    text = clean_text(user, _LONGEST)
    if text is None:
        return PoolUser()
    currency, prefix, rest = _strip_words(text)
    head = _HEAD.match(rest)
    account = prefix + (head[0] if head else "")
    tail = rest[len(account) - len(prefix) :]
    if prefix or _is_meant_as_address(account):
        worker = _DIFFICULTY.sub("", tail)
        if currency is not None:
            worker = worker.partition("#")[0]  # a referral code of multi-coin pools
        return PoolUser(account, _worker(worker[1:]), currency, is_address=True)
    account, _, worker = _DIFFICULTY.sub("", rest).partition(".")
    return PoolUser(clean_text(account, _LONGEST), _worker(worker), currency)


def _is_meant_as_address(account: str) -> bool:
    shortest = _SHORTEST_BECH32 if account.lower().startswith(_BEGINNINGS) else _SHORTEST_ADDRESS
    return len(account) >= shortest or bool(possible_addresses(account))


def _strip_words(text: str) -> tuple[str | None, str, str]:
    """Currency and cashaddr prefix ("" where none) in front of a user, and what is behind them."""
    currency: str | None = None
    while match := _WORD.match(text):
        word, rest = match[1], text[match.end() :]
        if word.lower() in _CASHADDR:
            return currency, f"{word}:", rest
        if word.upper() in COINS:
            currency = word.upper()
        elif word.lower() in _URIS:
            currency = _URIS[word.lower()]
        elif word.lower() not in _PAYMENTS:
            break
        text = rest
    return currency, "", text


def _worker(text: str) -> str | None:
    return clean_text(text, _LONGEST_WORKER)
