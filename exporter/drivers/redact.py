"""Takes out of recorded answers what tells whose miner it is, and leaves everything else as it was.

Works on the text of an answer, not on its parsed form: the answers worth recording are often broken. One value gets
one stand-in in all answers of a recording, of the same shape: a MAC stays a MAC, a serial number keeps its letters
and digits, "wallet.worker" keeps its dot. Numbers that measure something are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from exporter.drivers.api import Answer

_MAC: Final = re.compile(
    r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])"
)
_IPV4: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IPV6: Final = re.compile(r"(?<![\w:])f[ed][0-9a-f]{2}(?::{1,2}[0-9a-f]{1,4}){2,7}(?![\w:])", re.IGNORECASE)
_WALLET: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:bc1|ltc1|tb1)[02-9ac-hj-np-z]{25,87}|[13LM][1-9A-HJ-NP-Za-km-z]{25,34}|0x[0-9A-Fa-f]{40})"
    r"(?![0-9A-Za-z])"
)
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s\"']+:[^/@\s\"']+(?=@)")
#: A key with its value: JSON, "Key=value," of the CGMiner text form, "Key[value]" of Avalon.
_PAIRS: Final = (
    re.compile(r'(?P<head>"(?P<key>[^"\\]{1,48})"\s*:\s*")(?P<value>(?:[^"\\]|\\.)*)'),
    re.compile(r'(?P<head>"(?P<key>[^"\\]{1,48})"\s*:\s*)(?P<value>\d{6,})'),
    re.compile(r"(?P<head>(?:^|[,|])(?P<key>[A-Za-z][\w .-]{0,40})=)(?P<value>[^,|\x00]*)"),
    re.compile(r"(?P<head>\b(?P<key>[A-Za-z]\w{0,30})\[)(?P<value>[^\]]*)"),
)
_SECRET: Final = re.compile(r"(?:.*(?:pass|passwd|password|pwd|secret|token|apikey|psk)|key|sessionid|authorization)")
_SSID: Final = re.compile(r".*ssid")
_HOSTNAME: Final = re.compile(r".*hostname")
_SERIAL: Final = re.compile(r"(?:.*serial|.*serialno|.*serialnumber|serinum|sn|.*[_ ]sn|dna|chipid|.*boardsn|.*psusn)")
_USER: Final = re.compile(r"(?:.*user|username|worker|.*workername|.*wallet|.*poolusername|.*address|account)")
_MAC_KEY: Final = re.compile(r"mac(?:addr|address)?")
_ADDRESS_KEY: Final = re.compile(r"(?:.*ip|.*ipv4|.*ipaddr|.*ipaddress|.*gateway|.*dns\d?|.*url|.*host|self|ips)")
#: Names of the firmware's own pool and words for "none": they tell nothing about the owner.
_KEPT: Final = frozenset({"", "devfee", "none", "null", "unknown", "n/a", "na", "-", "*****", "redacted", "x"})
#: Host names as they leave the factory; they stand in model names too.
_FACTORY_NAMES: Final = frozenset(
    {"antminer", "bitaxe", "nerdqaxe", "nerdaxe", "nmaxe", "nmminer", "avalon", "vnish", "miner", "localhost"}
)
_SECRET_HEADERS: Final = frozenset({"cookie", "set-cookie", "authorization", "x-api-key", "token"})


def redact_answers(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """Copies of `answers` without MACs, serial numbers, addresses, SSIDs, host names, pool users and secrets."""
    redactor = Redactor()
    texts = {key: _text(answer.body) for key, answer in answers.items()}
    first = {key: redactor.redact(text) for key, text in texts.items()}
    return {
        key: Answer(
            redactor.replace_known(first[key]).encode("utf-8", "surrogateescape"),
            answer.status,
            {name: "redacted" if name in _SECRET_HEADERS else value for name, value in answer.headers.items()},
        )
        for key, answer in answers.items()
    }


def redact_stream(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same for datagrams or pieces of a console."""
    redacted = redact_answers({str(index): Answer(piece) for index, piece in enumerate(pieces)})
    return tuple(answer.body for answer in redacted.values())


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


class Redactor:
    """Remembers which stand-in a value got; counts upwards, so that nothing of a value can be guessed from it."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}

    def redact(self, text: str) -> str:
        """`text` with everything replaced that its form or its key gives away."""
        for pattern in _PAIRS:
            text = pattern.sub(self._pair, text)
        text = _USER_INFO.sub("user:redacted", text)
        text = _MAC.sub(lambda match: self._mac(match[0]), text)
        text = _IPV6.sub(lambda match: self._stand_in("ipv6", match[0], lambda count, _: f"2001:db8::{count:x}"), text)
        text = _IPV4.sub(self._private_address, text)
        return _WALLET.sub(lambda match: self._wallet(match[0]), text)

    def replace_known(self, text: str) -> str:
        """`text` with names and serials replaced that only another answer gave away."""
        for kind in ("hostname", "serial", "ssid", "user"):
            for value, stand_in in self._known.get(kind, {}).items():
                if len(value) >= 6:
                    text = re.sub(rf"(?<![\w]){re.escape(value)}(?![\w])", lambda _, new=stand_in: new, text)  # type: ignore[misc]
        return text

    def _pair(self, match: re.Match[str]) -> str:
        key = re.sub(r"[_ .-](?!sn$)", "", match["key"].strip().lower())
        return match["head"] + self._value(key, match["value"])

    def _value(self, key: str, value: str) -> str:
        if value.strip().lower() in _KEPT:
            return value
        if _MAC_KEY.fullmatch(key):
            return self._mac(value)
        if _SECRET.fullmatch(key):
            return "0" if value.isdigit() else "redacted"
        if _SSID.fullmatch(key):
            return self._stand_in("ssid", value, lambda count, _: f"example-wifi-{count}")
        if _HOSTNAME.fullmatch(key):
            if value.strip().lower() in _FACTORY_NAMES:
                return value
            return self._stand_in("hostname", value, lambda count, _: f"miner-{count}")
        if _SERIAL.fullmatch(key):
            return self._stand_in("serial", value, _same_shape)
        if _ADDRESS_KEY.fullmatch(key):
            return _IPV4.sub(lambda match: self._address(match[0]), value)
        if _USER.fullmatch(key) and not _IPV4.fullmatch(value):
            return self._user(value)
        return value

    def _stand_in(self, kind: str, value: str, make: Callable[[int, str], str]) -> str:
        known = self._known.setdefault(kind, {})
        if value in known.values():
            return value
        if value not in known:
            known[value] = make(len(known) + 1, value)
        return known[value]

    def _mac(self, value: str) -> str:
        """A locally administered address, written as the device writes it; addresses that name nobody stay."""
        digits = re.sub(r"[:.-]", "", value).lower()
        if not re.fullmatch(r"[0-9a-f]{12}", digits) or digits in ("000000000000", "ffffffffffff"):
            return value
        fake = self._stand_in("mac", digits, lambda count, _: f"02{count:010x}")
        written = iter(fake.upper() if value.upper() == value else fake)
        return "".join(character if character in ":.-" else next(written) for character in value)

    def _address(self, value: str) -> str:
        if value.startswith(("0.", "127.", "255.", "192.0.2.")):
            return value
        return self._stand_in("ip", value, lambda count, _: f"192.0.2.{count % 254 or 254}")

    def _private_address(self, match: re.Match[str]) -> str:
        """Addresses of private networks, wherever they stand; other dotted figures may be versions."""
        first, second = (int(part) for part in match[0].split(".")[:2])
        private = first == 10 or (first, second) in ((192, 168), (169, 254)) or (first == 172 and 16 <= second <= 31)
        return self._address(match[0]) if private or (first == 100 and 64 <= second <= 127) else match[0]

    def _wallet(self, value: str) -> str:
        if "example" in value:
            return value
        return self._stand_in(
            "wallet", value, lambda count, text: _padded(_prefix(text) + "qexample", count, len(text))
        )

    def _user(self, value: str) -> str:
        """ "wallet.worker" with both parts replaced; a wallet keeps its kind."""
        head, dot, tail = value.partition(".")
        head = self._wallet(head) if _WALLET.fullmatch(head) else self._account(head)
        return head + dot + (self._stand_in("worker", tail, lambda count, _: f"worker{count}") if tail else "")

    def _account(self, value: str) -> str:
        if value.lower() in _KEPT or "example" in value:
            return value
        return self._stand_in("user", value, lambda count, _: f"example{count}")


def _prefix(wallet: str) -> str:
    return wallet.split("1")[0] + "1" if wallet.startswith(("bc1", "ltc1", "tb1")) else wallet[:1]


def _padded(start: str, count: int, length: int) -> str:
    return start + str(count).rjust(max(1, length - len(start)), "0")


def _same_shape(count: int, value: str) -> str:
    """Letters become A or a, digits 0, and the last places count."""
    number = str(count)
    if value.isdigit():
        return "1" + number.rjust(len(value) - 1, "0")
    shape = re.sub(r"[0-9]", "0", re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", value)))
    return shape[: -len(number)] + number if len(shape) > len(number) else number
