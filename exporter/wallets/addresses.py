"""Wallet addresses, checked: the right network, the right form, a checksum that fits.

The checksums are those of `base58_bech32`; what is wrong is said here, in words for the person who typed the address.
No message repeats an address.
"""

from __future__ import annotations

import functools
import string
from dataclasses import dataclass
from typing import Final

from base58_bech32.base58 import b58decode_check
from base58_bech32.bech32 import BECH32_1_CONST, BECH32_M_CONST, bech32_decode, convertbits
from base58_bech32.cashaddr import cashaddr_decode

from exporter.errors import UsageError
from exporter.wallets.currencies import COINS, KEY_HASH, OTHER, SCRIPT_HASH, Coin

#: No address of any currency we know is longer.
LONGEST: Final = 128
#: Base58 addresses have 26 to 35 characters; what is longer and has no prefix is a cashaddr without one.
_LONGEST_BASE58: Final = 36
_LONGEST_BECH32: Final = 90
_BECH32_LETTERS: Final = frozenset("qpzry9x8gf2tvdw0s3jn54khce6mua7l")
_BASE58_LETTERS: Final = frozenset(string.digits + string.ascii_letters) - frozenset("0OIl")
_ADDRESS_BYTES: Final = 21
_CASHADDR_KINDS: Final = {0: KEY_HASH, 1: SCRIPT_HASH}
#: Bitcoin Cash only: the same, able to hold tokens.
_TOKEN_KINDS: Final = {2: KEY_HASH, 3: SCRIPT_HASH}

_COPY_AGAIN: Final = "copy it again from your wallet"
_CHECKSUM: Final = f"has a checksum that does not fit, so a character is wrong or missing; {_COPY_AGAIN}"


class AddressError(UsageError):
    """What is wrong with an address; the message goes on from "the address"."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that was checked.

    Attributes:
        text: as its currency writes it (bech32 in lower case, cashaddr with its prefix).
        key: what all writings of it have in common: Bitcoin Cash has an old and a new one.
    """

    currency: str
    text: str
    key: str


def read_address(text: str, currency: str) -> Address:
    """Check `text` as an address of `currency`.

    Raises:
        AddressError: it is none; the message says what is wrong and what to do.
    """
    written = text.strip()
    if not written:
        raise AddressError("is empty; paste the address that the pool pays to")
    if len(written) > LONGEST:
        raise AddressError(f"is longer than any address ({len(written)} characters); {_COPY_AGAIN}")
    if not written.isprintable() or any(character.isspace() for character in written):
        raise AddressError(f"holds a blank or a character that cannot be printed; {_COPY_AGAIN}")
    if currency == OTHER:
        return Address(OTHER, written, f"text:{written}")
    coin = COINS[currency]
    if not written.isascii():
        place = next(index for index, character in enumerate(written) if ord(character) > 127)
        raise AddressError(f"holds a character that no address has, at place {place + 1}; {_COPY_AGAIN}")
    _refuse_payment_link(coin, written)
    lower = written.lower()
    prefix = _bech32_prefix(lower)
    if prefix is not None:
        return _read_bech32(coin, written, prefix)
    if ":" in written or (coin.cashaddr is not None and len(written) > _LONGEST_BASE58):
        return _read_cashaddr(coin, written)
    return _read_base58(coin, written)


@functools.lru_cache(maxsize=4096)  # miners share their owner's wallets
def possible_addresses(text: str) -> tuple[Address, ...]:
    """`text` as an address of each currency that it could be of; "OTHER" takes anything and is left out."""
    found = []
    for currency in COINS:
        try:
            found.append(read_address(text, currency))
        except AddressError:
            continue
    return tuple(found)


def _refuse_payment_link(coin: Coin, text: str) -> None:
    scheme, colon, rest = text.partition(":")
    if not colon:
        return
    if any(scheme.lower() == other.uri for other in COINS.values() if other.uri is not None):
        raise AddressError(f"is a payment link; leave {scheme}: out")
    if "?" in rest:
        raise AddressError("is a payment link; leave out everything from the question mark on")
    if coin.cashaddr is None and scheme.lower() not in _foreign_cashaddr(coin):
        raise AddressError(f"holds a colon, which no {coin.name} address has; {_COPY_AGAIN}")


def _other_coin(coin: Coin, names: tuple[str, ...]) -> AddressError:
    return AddressError(f"is one of {' or '.join(names)}, not of {coin.name}; choose that currency, or another address")


def _testnet(coin: Coin) -> AddressError:
    return AddressError(
        f"is of a test network, whose coins are worth nothing; a {coin.name} address begins with {coin.example}"
    )


# --- bech32 and bech32m -------------------------------------------------------------------------------------------


def _bech32_prefix(lower: str) -> str | None:
    """The human-readable part where it is one that we know of any currency."""
    prefix, one, _ = lower.rpartition("1")
    # A mistyped character may be a "1" of its own, so that the known prefixes are tried first.
    for coin in COINS.values():
        for known in (coin.bech32, *coin.bech32_test):
            if known is not None and lower.startswith(f"{known}1"):
                return known
    return prefix if one and prefix == "ltcmweb" else None


def _read_bech32(coin: Coin, text: str, prefix: str) -> Address:
    if prefix in coin.bech32_test:
        raise _testnet(coin)
    if prefix != coin.bech32:
        if prefix == "ltcmweb":
            raise AddressError(
                "is a private one of Litecoin (MWEB), which no pool pays to; give one that begins with ltc1"
            )
        owners = tuple(other.name for other in COINS.values() if prefix == other.bech32)
        if owners:
            raise _other_coin(coin, owners)
        raise _testnet(coin)
    if text not in (text.lower(), text.upper()):
        raise AddressError(f"mixes capital and small letters; {_COPY_AGAIN}")
    lower = text.lower()
    for place, character in enumerate(lower[len(prefix) + 1 :], len(prefix) + 2):
        if character not in _BECH32_LETTERS:
            raise AddressError(f"holds {character!r} at place {place}, which such addresses never do; {_COPY_AGAIN}")
    if len(lower) > _LONGEST_BECH32:
        raise AddressError(f"is too long for an address that begins with {prefix}1; {_COPY_AGAIN}")
    try:
        _, values, checksum = bech32_decode(lower, limit=_LONGEST_BECH32)
    except ValueError as error:
        raise AddressError(_CHECKSUM) from error
    return Address(coin.ticker, lower, _witness_key(values, checksum))


def _witness_key(values: list[int], checksum: int) -> str:
    """The key of a witness program, whose version says which checksum and which lengths it has."""
    if not values or values[0] > 16:
        raise AddressError(f"names a version of addresses that does not exist; {_COPY_AGAIN}")
    version = values[0]
    if checksum != (BECH32_1_CONST if version == 0 else BECH32_M_CONST):
        wanted = "bech32" if version == 0 else "bech32m"
        raise AddressError(
            f"has the wrong kind of checksum (version {version} wants {wanted}): the program that made it is outdated"
        )
    try:
        program = bytes(convertbits(values[1:], 5, 8, False))
    except ValueError as error:
        raise AddressError(f"has a wrong length; {_COPY_AGAIN}") from error
    if not 2 <= len(program) <= 40 or (version == 0 and len(program) not in (20, 32)):
        raise AddressError(f"has a wrong length; {_COPY_AGAIN}")
    return f"wit{version}:{program.hex()}"


# --- cashaddr -----------------------------------------------------------------------------------------------------


def _foreign_cashaddr(coin: Coin) -> dict[str, str]:
    """Prefixes of other currencies, with their names."""
    return {prefix: other.name for other in COINS.values() if (prefix := other.cashaddr) and other is not coin}


def _read_cashaddr(coin: Coin, text: str) -> Address:
    prefix, colon, payload = text.rpartition(":")
    if colon:
        if prefix.lower() in coin.cashaddr_test:
            raise _testnet(coin)
        owner = _foreign_cashaddr(coin).get(prefix.lower())
        if owner is not None:
            raise _other_coin(coin, (owner,))
        if prefix.lower() != coin.cashaddr:
            raise AddressError(f"begins with an unknown prefix; a {coin.name} address begins with {coin.example}")
    if coin.cashaddr is None:
        raise AddressError(f"is none of {coin.name}, which begin with {coin.example}; {_COPY_AGAIN}")
    if payload not in (payload.lower(), payload.upper()):
        raise AddressError(f"mixes capital and small letters; {_COPY_AGAIN}")
    for place, character in enumerate(payload.lower(), len(text) - len(payload) + 1):
        if character not in _BECH32_LETTERS:
            raise AddressError(f"holds {character!r} at place {place}, which such addresses never do; {_COPY_AGAIN}")
    try:
        _, kind, digest = cashaddr_decode(payload.lower(), prefix=coin.cashaddr)
    except ValueError as error:
        if not colon and _fits_another(coin, payload.lower()):
            raise _other_coin(coin, tuple(_foreign_cashaddr(coin).values())) from error
        raise AddressError(_CHECKSUM) from error
    kinds = _CASHADDR_KINDS | (_TOKEN_KINDS if coin.ticker == "BCH" else {})
    meaning = kinds.get(kind)
    if meaning is None or len(digest) not in ((20,) if meaning == KEY_HASH else (20, 32)):
        raise AddressError(f"is of a kind that {coin.name} does not have; {_COPY_AGAIN}")
    return Address(coin.ticker, f"{coin.cashaddr}:{payload.lower()}", f"{meaning}:{digest.hex()}")


def _fits_another(coin: Coin, payload: str) -> bool:
    """Whether an address without its prefix has the checksum of another currency."""
    for prefix in _foreign_cashaddr(coin):
        try:
            cashaddr_decode(payload, prefix=prefix)
        except ValueError:
            continue
        return True
    return False


# --- base58check --------------------------------------------------------------------------------------------------


def _read_base58(coin: Coin, text: str) -> Address:
    for place, character in enumerate(text, 1):
        if character not in _BASE58_LETTERS:
            raise AddressError(f"holds {character!r} at place {place}, which such addresses never do; {_COPY_AGAIN}")
    try:
        payload = b58decode_check(text)
    except ValueError as error:
        raise AddressError(f"is none of {coin.name}, which begin with {coin.example}, or {_CHECKSUM}") from error
    if len(payload) in (33, 34) and payload[0] >= 0x80:
        raise AddressError("is a private key and no address: never give it to any program, and move what it holds")
    if len(payload) != _ADDRESS_BYTES:
        raise AddressError(f"has a wrong length; {_COPY_AGAIN}")
    version, digest = payload[0], payload[1:]
    meaning = coin.base58.get(version)
    if meaning is not None:
        return Address(coin.ticker, text, f"{meaning}:{digest.hex()}")
    if version in coin.base58_test:
        raise _testnet(coin)
    owners = tuple(other.name for other in COINS.values() if version in other.base58)
    if owners:
        raise _other_coin(coin, owners)
    if any(version in other.base58_test for other in COINS.values()):
        raise _testnet(coin)
    raise AddressError(f"is of an unknown network; a {coin.name} address begins with {coin.example}")
