"""How the addresses of each currency are told apart: version bytes, prefixes, names. Of the main networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: What a base58 version byte or a cashaddr type stands for.
KEY_HASH: Final = "pkh"
SCRIPT_HASH: Final = "sh"


@dataclass(frozen=True, slots=True)
class Coin:
    """The address forms of one currency.

    Attributes:
        base58: version byte -> `KEY_HASH` or `SCRIPT_HASH`; `base58_test` holds those of its test networks.
        bech32: the human-readable part, None where it has no such addresses; `bech32_test` those of its test networks.
        cashaddr: the prefix, likewise.
        uri: the scheme in front of an address in a payment link.
        example: how an address begins, for messages.
    """

    ticker: str
    name: str
    base58: dict[int, str]
    base58_test: frozenset[int]
    example: str
    bech32: str | None = None
    bech32_test: tuple[str, ...] = ()
    cashaddr: str | None = None
    cashaddr_test: tuple[str, ...] = ()
    uri: str | None = None


_BITCOIN_TEST: Final = frozenset({0x6F, 0xC4})
_BITCOIN: Final = {0x00: KEY_HASH, 0x05: SCRIPT_HASH}

#: The currencies whose addresses have a checksum that we know. "OTHER" is not among them.
COINS: Final[dict[str, Coin]] = {
    coin.ticker: coin
    for coin in (
        Coin("BTC", "Bitcoin", _BITCOIN, _BITCOIN_TEST, "bc1, 1 or 3", "bc", ("tb", "bcrt"), uri="bitcoin"),
        Coin(
            "BCH",
            "Bitcoin Cash",
            _BITCOIN,
            _BITCOIN_TEST,
            "bitcoincash:, 1 or 3",
            cashaddr="bitcoincash",
            cashaddr_test=("bchtest", "bchreg"),
        ),
        # 0x05 is the script version of its first years, which wallets still know.
        Coin(
            "DGB",
            "DigiByte",
            {0x1E: KEY_HASH, 0x3F: SCRIPT_HASH, 0x05: SCRIPT_HASH},
            frozenset({0x7E, 0x8C}),
            "dgb1, D or S",
            "dgb",
            ("dgbt", "dgbrt"),
            uri="digibyte",
        ),
        Coin("DOGE", "Dogecoin", {0x1E: KEY_HASH, 0x16: SCRIPT_HASH}, frozenset({0x71, 0xC4}), "D", uri="dogecoin"),
        Coin(
            "LTC",
            "Litecoin",
            {0x30: KEY_HASH, 0x32: SCRIPT_HASH, 0x05: SCRIPT_HASH},
            frozenset({0x6F, 0x3A, 0xC4}),
            "ltc1, L or M",
            "ltc",
            ("tltc", "rltc"),
            uri="litecoin",
        ),
        Coin(
            "NMC",
            "Namecoin",
            {0x34: KEY_HASH, 0x0D: SCRIPT_HASH},
            _BITCOIN_TEST,
            "nc1, N or M",
            "nc",
            ("tn", "ncrt"),
            uri="namecoin",
        ),
        Coin(
            "XEC",
            "eCash",
            _BITCOIN,
            _BITCOIN_TEST,
            "ecash:, 1 or 3",
            cashaddr="ecash",
            cashaddr_test=("ectest", "ecregtest"),
        ),
    )
}
#: A currency without a checksum that we know: its addresses are taken as they are.
OTHER: Final = "OTHER"
