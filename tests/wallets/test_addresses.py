"""Addresses: the vectors of BIP 173, BIP 350 and the cashaddr specification, and what people get wrong."""

import pytest
from base58_bech32.base58 import b58encode_check
from base58_bech32.bech32 import bech32_encode, convertbits
from base58_bech32.cashaddr import cashaddr_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.engine.onboarding import CURRENCIES
from exporter.wallets.addresses import AddressError, possible_addresses, read_address
from exporter.wallets.currencies import COINS, OTHER

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def fault(text, currency="BTC"):
    with pytest.raises(AddressError) as caught:
        read_address(text, currency)
    message = str(caught.value)
    assert len(text) < 12 or text not in message
    return message


def test_every_currency_is_known_here():
    assert {*COINS, OTHER} == set(CURRENCIES)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        # BIP 350, valid addresses of the main network, with the scripts that it lists.
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "wit0:751e76e8199196d454941c45d1b3a323f1433bd6"),
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "wit1:751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "wit16:751e"),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "wit2:751e76e8199196d454941c45d1b3a323"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "wit1:79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        # The address of the first block, and a script hash.
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "pkh:62e907b15cbf27d5425399ebf6f0fb50ebb88f18"),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "sh:b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"),
    ],
)
def test_bitcoin_addresses(text, key):
    address = read_address(f"  {text}\n", "BTC")
    assert address.key == key
    assert address.text == (text.lower() if text.lower().startswith("bc1") else text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # BIP 350, invalid addresses.
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "kind of checksum"),
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "kind of checksum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "kind of checksum"),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "'o'"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "version of addresses"),
        ("bc1pw5dgrnzv", "wrong length"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "wrong length"),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "wrong length"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "wrong length"),
        ("bc1gmk9yu", "version of addresses"),
        ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "test network"),
        ("bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "capital and small"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t", "checksum"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "test network"),
        ("bc1" + "q" * 100, "too long"),
        # What else people paste.
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "checksum"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf0a", "'0' at place 33"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "test network"),
        ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", "test network"),
        ("bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "leave bitcoin: out"),
        ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "private key"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "of Litecoin"),
        ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "of Bitcoin Cash"),
        ("ltcmweb1qqqq", "MWEB"),
        ("b", "checksum"),
        ("", "is empty"),
        ("   ", "is empty"),
        ("1A1zP1eP5QGefi2D MPTfTL5SLmv7DivfNa", "blank"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7Divfüa", "place 33"),
        ("x" * 200, "longer than any"),
        ("foo:bar", "colon"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    assert said in fault(text)


@pytest.mark.parametrize(
    ("currency", "version", "first"),
    [
        *(("BTC", 0x00, "1"), ("BTC", 0x05, "3"), ("BCH", 0x00, "1"), ("BCH", 0x05, "3"), ("XEC", 0x00, "1")),
        *(("DGB", 0x1E, "D"), ("DGB", 0x3F, "S"), ("DGB", 0x05, "3"), ("DOGE", 0x1E, "D"), ("DOGE", 0x16, "9A")),
        *(("LTC", 0x30, "L"), ("LTC", 0x32, "M"), ("LTC", 0x05, "3"), ("NMC", 0x34, "MN"), ("NMC", 0x0D, "6")),
    ],
)
def test_base58_of_each_currency(currency, version, first):
    digest = bytes(range(60, 80))
    text = b58encode_check(bytes([version]) + digest).decode()
    assert text[0] in first
    assert read_address(text, currency).key.endswith(f"h:{digest.hex()}")


@pytest.mark.parametrize(
    ("currency", "version"),
    [("BTC", 0x6F), ("BTC", 0xC4), ("DGB", 0x7E), ("DGB", 0x8C), ("DOGE", 0x71), ("LTC", 0x3A), ("NMC", 0x6F)],
)
def test_test_networks_are_refused(currency, version):
    assert "test network" in fault(b58encode_check(bytes([version]) + bytes(20)).decode(), currency)


@pytest.mark.parametrize(("currency", "prefix"), [("BTC", "bc"), ("DGB", "dgb"), ("LTC", "ltc"), ("NMC", "nc")])
def test_bech32_of_each_currency(currency, prefix):
    text = bech32_encode(prefix, [0, *convertbits(bytes(range(20)), 8, 5)]).decode()
    assert read_address(text.upper(), currency).text == text
    others = {"BTC", "DGB", "LTC", "NMC", "DOGE", "BCH", "XEC"} - {currency}
    assert all(COINS[currency].name in fault(text, other) for other in others)


@pytest.mark.parametrize("currency", ["BTC", "DGB", "LTC", "NMC"])
def test_bech32_of_test_networks(currency):
    for prefix in COINS[currency].bech32_test:
        text = bech32_encode(prefix, [0, *convertbits(bytes(20), 8, 5)]).decode()
        assert "test network" in fault(text, currency)
        assert "test network" in fault(text, "BCH")


# The cashaddr specification: each old address beside its new one.
CASHADDR = [
    ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
    ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
    ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
    ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
    ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
    ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
]


@pytest.mark.parametrize(("old", "new"), CASHADDR)
def test_both_writings_of_bitcoin_cash_are_one(old, new):
    address = read_address(new, "BCH")
    assert address.text == new
    assert read_address(new.partition(":")[2], "BCH") == address
    assert read_address(new.upper(), "BCH") == address
    legacy = read_address(old, "BCH")
    assert (legacy.key, legacy.text) == (address.key, old)


def test_ecash_is_not_bitcoin_cash():
    digest = bytes(range(20))
    ecash, cash = cashaddr_encode("ecash", 0, digest).decode(), cashaddr_encode("bitcoincash", 0, digest).decode()
    assert read_address(ecash, "XEC").text == ecash
    assert "of Bitcoin Cash" in fault(cash, "XEC")
    assert "of Bitcoin Cash" in fault(cash.partition(":")[2], "XEC")
    assert "of eCash" in fault(ecash, "BCH")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cashaddr_encode("bchtest", 0, bytes(20)).decode(), "test network"),
        (cashaddr_encode("bitcoincash", 0, bytes(32)).decode(), "of a kind"),
        (cashaddr_encode("bitcoincash", 5, bytes(20)).decode(), "of a kind"),
        ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6b", "'b' at place 54"),
        ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6q", "checksum"),
        ("bitcoincash:Qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "capital"),
        ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a?amount=1", "payment link"),
        ("coin:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "unknown prefix"),
        ("bitcoincash:", "checksum"),
    ],
)
def test_wrong_cashaddr(text, said):
    assert said in fault(text, "BCH")


def test_addresses_that_can_hold_tokens_pay_to_the_same_key():
    digest = bytes(range(20))
    token, plain = (read_address(cashaddr_encode("bitcoincash", kind, digest).decode(), "BCH") for kind in (2, 0))
    assert token.key == plain.key
    assert "of a kind" in fault(cashaddr_encode("ecash", 2, digest).decode(), "XEC")


def test_other_currencies_are_taken_as_they_are():
    assert read_address(" 0xAbC ", OTHER).text == "0xAbC"
    assert "blank" in fault("two words", OTHER)


def test_one_text_may_be_an_address_of_several_currencies():
    dogecoin = b58encode_check(bytes([0x1E]) + bytes(20)).decode()
    assert {address.currency for address in possible_addresses(dogecoin)} == {"DGB", "DOGE"}
    assert {address.currency for address in possible_addresses("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")} == {
        "BTC",
        "BCH",
        "XEC",
    }
    assert possible_addresses("account") == ()


programs = st.tuples(st.integers(0, 16), st.binary(min_size=2, max_size=40)).filter(
    lambda pair: pair[0] > 0 or len(pair[1]) in (20, 32)
)


@settings(deadline=None)
@given(programs)
def test_every_witness_program_is_read_back(program):
    version, content = program
    text = bech32_encode("bc", [version, *convertbits(content, 8, 5)]).decode()
    address = read_address(text, "BTC")
    assert (address.text, address.key) == (text, f"wit{version}:{content.hex()}")


@settings(deadline=None)
@given(programs, st.data())
def test_one_wrong_character_of_a_bech32_address_is_refused(program, data):
    text = bech32_encode("bc", [program[0], *convertbits(program[1], 8, 5)]).decode()
    place = data.draw(st.integers(3, len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in BECH32 + "bio1" if letter != text[place]]))
    fault(text[:place] + other + text[place + 1 :])


@settings(deadline=None)
@given(st.binary(min_size=20, max_size=20), st.data())
def test_one_wrong_character_of_a_cashaddr_is_refused(digest, data):
    text = cashaddr_encode("bitcoincash", 0, digest).decode()
    place = data.draw(st.integers(len("bitcoincash:"), len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in BECH32 if letter != text[place]]))
    fault(text[:place] + other + text[place + 1 :], "BCH")


@settings(deadline=None)
@given(st.binary(min_size=20, max_size=20), st.data())
def test_one_wrong_character_of_a_base58_address_is_refused(digest, data):
    text = b58encode_check(b"\0" + digest).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in BASE58 if letter != text[place]]))
    fault(text[:place] + other + text[place + 1 :])


@settings(deadline=None)
@given(st.text(max_size=140), st.sampled_from(CURRENCIES))
def test_any_text_gives_an_address_or_an_error_in_words(text, currency):
    try:
        address = read_address(text, currency)
    except AddressError:
        return
    assert read_address(address.text, currency) == address
