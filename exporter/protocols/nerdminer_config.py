"""A NerdMiner's configuration out of its console: the JSON dumps and the plain listing behind them. Sans-IO.

The firmware prints ``/config.json`` when it loads or saves it, pretty printed (1.1 to HEAD) under SPIFFS names, an SD
card's file under other names, and after Wi-Fi once more as plain lines. Secrets are masked the moment they are read.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from exporter.text import clean_text

#: What stands in the place of a secret.
MASK: Final = "*****"
#: Longest dump in bytes and the lines of other tasks in it; the longest known has 20 keys and 1 KB.
MAX_DUMP: Final = 8192
_MAX_STRAYS: Final = 8
_MAX_KEYS: Final = 64
_MAX_VALUE: Final = 256

_SECRET_WORDS: Final = ("pass", "pw", "key", "secret", "token", "psk", "webhook")
_USER_INFO: Final = re.compile(r"(?<=//)[^/@\s\"]+(?=@)")
_POOL_KEYS: Final = ("poolString", "PoolUrl")
_PORT_KEYS: Final = ("portNumber", "PoolPort")
_USER_KEYS: Final = ("btcString", "BtcWallet")
_SAVE_KEYS: Final = ("saveStatsToNVS", "SaveStats")
#: Keys whose values may be shown: NerdMiner_v2, its SD card's file, AxeHub. A key that nobody knows may be a secret's,
#: perhaps with bytes lost from its name.
_SHOWN_KEYS: Final = frozenset(
    {
        *_POOL_KEYS, *_PORT_KEYS, *_USER_KEYS, *_SAVE_KEYS, "gmtZone", "Timezone", "invertColors", "Brightness", "SSID",
        "fbPoolString", "fbPortNumber", "fbBtcString", "axhShareAboveDiff", "axhCoinTicker",
    }
)  # fmt: skip
_PAIR: Final = re.compile(r'"([A-Za-z_]\w{0,39})"\s*:\s*')
_DECODER: Final = json.JSONDecoder()
#: The plain listing: its name -> the file's key.
_LISTED: Final = {
    "PoolString": "poolString",
    "portNumber": "portNumber",
    "poolPassword": "poolPassword",
    "btcString": "btcString",
    "TimeZone fromUTC": "gmtZone",
    "Invert Colors": "invertColors",
    "Brightness": "Brightness",
}
_LISTING: Final = re.compile(rf"\b({'|'.join(_LISTED)}): ?(\S{{0,256}})")
#: Secrets in a console line: a JSON pair (perhaps cut), a listed one, the password of an authorisation.
_SECRET_PAIRS: Final = (
    re.compile(rf'(?i)("\w*(?:{"|".join(_SECRET_WORDS)})\w*"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^\s,}}"]+)'),
    re.compile(rf"(?i)(\b\w*(?:{'|'.join(_SECRET_WORDS)})\w*\s*[:=]\s?)(?![\s\"*])(\S+)"),
)
_AUTHORIZE: Final = re.compile(r'("params"\s*:\s*\[\s*"(?:[^"\\]|\\.)*"\s*,\s*)"(?:[^"\\]|\\.)*"?')


def is_secret(key: str) -> bool:
    """Whether the name `key` is that of a secret."""
    lowered = key.lower()
    return any(word in lowered for word in _SECRET_WORDS)


def mask_secrets(line: str) -> str:
    """A console line fit for a log: passwords, keys and tokens replaced."""
    line = _SECRET_PAIRS[0].sub(rf'\1"{MASK}"', line)
    line = _SECRET_PAIRS[1].sub(rf"\1{MASK}", line)
    if "mining.authorize" in line or ("Sending" in line and '"params"' in line and '"method"' not in line):
        line = _AUTHORIZE.sub(rf'\1"{MASK}"', line)
    return _USER_INFO.sub(MASK, line)


@dataclass(frozen=True, slots=True)
class DumpedConfig:
    """What a board printed of its configuration.

    Attributes:
        pool_url: the pool's host as the board has it, without the port.
        user: the whole pool user; `wallet` and `worker` are its parts before and behind the first dot.
        firmware_version: from the subscription ("V1.8.3"), not part of the dump.
        raw: keys and values as printed, with secrets masked.
    """

    pool_url: str
    pool_port: int | None
    wallet: str
    worker: str | None
    user: str
    firmware_version: str | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def endpoint(self) -> str:
        """Host and port of the pool."""
        return self.pool_url if self.pool_port is None else f"{self.pool_url}:{self.pool_port}"

    @property
    def saves_counters(self) -> bool:
        """Whether the board keeps its counters over a boot (1.6.2 writes the flag as text)."""
        value = next((self.raw[key] for key in _SAVE_KEYS if key in self.raw), False)
        return value is True or (isinstance(value, str) and value.lower() in ("1", "true"))

    def to_json(self) -> str:
        """The masked dump as JSON text."""
        return json.dumps(dict(self.raw), ensure_ascii=False)


def build_config(raw: Mapping[str, Any]) -> DumpedConfig | None:
    """The configuration in the pairs of a dump; None where pool or wallet is missing."""
    pool, user = _text(raw, _POOL_KEYS), _text(raw, _USER_KEYS)
    if pool is None or user is None:
        return None
    wallet, _, worker = user.partition(".")
    port = next((raw[key] for key in _PORT_KEYS if type(raw.get(key)) is int and 0 < raw[key] < 65536), None)
    return DumpedConfig(pool, port, wallet, worker or None, user, raw=MappingProxyType(dict(raw)))


def _text(raw: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((raw[key] for key in keys if isinstance(raw.get(key), str) and raw[key]), None)


class Source(enum.Enum):
    """Where a configuration came from; a dump is quoted and counts more than the plain listing."""

    DUMP = "dump"
    LISTING = "listing"


class ConfigCapture:
    """Watches the lines of one console for its configuration."""

    __slots__ = ("_block", "_dumped", "_listed", "_loose_key", "_size", "_strays", "config")

    def __init__(self) -> None:
        self.config: DumpedConfig | None = None
        #: The dump being read, None outside of one.
        self._block: dict[str, Any] | None = None
        self._listed: dict[str, Any] = {}
        self._dumped = False
        self._size = self._strays = 0
        #: A key whose line had no comma: right only at the end of the object.
        self._loose_key: str | None = None

    def booted(self) -> None:
        """A new boot begins: half a dump will not be continued. The last whole one stays until there is another."""
        self._block = None
        self._listed = {}
        self._dumped = False

    def forget(self) -> None:
        """The board has no configuration any more."""
        self.booted()
        self.config = None

    def feed(self, line: str) -> Source | None:
        """Take one line; tells the source where it completed a configuration."""
        if self._block is not None:
            return self._inside(line, self._block)
        if "{" in line:
            return self._opening(line)
        if ": " in line and not self._dumped:
            match = _LISTING.search(line)
            if match is not None:
                return self._listing(match)
        return None

    # --- the dump -----------------------------------------------------------------------------------------------

    def _opening(self, line: str) -> Source | None:
        """A brace alone (or at the end of glued text) begins a dump; a compact one may stand on one line."""
        stripped = line.rstrip()
        if stripped.endswith("{"):
            self._begin()
            return None
        if not any(f'"{key}"' in line for key in (*_POOL_KEYS, *_USER_KEYS)):
            return None
        try:
            document = _DECODER.raw_decode(line, line.index("{"))[0]
        except (ValueError, RecursionError):
            return None
        block: dict[str, Any] = {}
        for key, value in list(document.items())[:_MAX_KEYS]:
            _store(block, key, value)
        return self._close(block)

    def _begin(self) -> None:
        self._block = {}
        self._size = self._strays = 0
        self._loose_key = None

    def _inside(self, line: str, block: dict[str, Any]) -> Source | None:
        stripped = line.strip()
        self._size += len(line)
        if stripped.startswith("}"):
            return self._close(block)
        if stripped.endswith("{"):  # the one before was cut
            self._begin()
            return None
        if not self._pair(stripped, block):
            listed = _LISTING.search(line)
            if listed is not None:  # the rest of the dump was lost
                self._block = None
                return self._listing(listed)
            self._strays += 1
        if self._size > MAX_DUMP or self._strays > _MAX_STRAYS or len(block) > _MAX_KEYS:
            self._block = None
        elif stripped.endswith("}") and self._loose_key is not None:
            return self._close(block)
        return None

    def _pair(self, text: str, block: dict[str, Any]) -> bool:
        """Read ``"key": value,``. A value that lost its end, or runs into the next key, is no value."""
        match = _PAIR.search(text)
        if match is None:
            return False
        if self._loose_key is not None:
            block.pop(self._loose_key, None)
            self._loose_key = None
        try:
            value, end = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return False
        rest = text[end:].strip()
        if rest not in ("", ",") and not rest.startswith("}"):
            return False
        _store(block, match[1], value)
        if rest != ",":
            self._loose_key = match[1]
        return True

    def _close(self, block: dict[str, Any]) -> Source | None:
        self._block = None
        config = build_config(block)
        if config is None:
            return None
        if self._dumped and self.config is not None:  # the SD card's file, then what was made of it
            config = replace(config, raw=MappingProxyType({**self.config.raw, **block}))
        self.config = config
        self._dumped = True
        return Source.DUMP

    # --- the listing ----------------------------------------------------------------------------------------------

    def _listing(self, match: re.Match[str]) -> Source | None:
        key, value = _LISTED[match[1]], match[2]
        if key == "poolString":
            self._listed = {}
        number = re.fullmatch(r"-?\d{1,9}", value)
        _store(self._listed, key, int(value) if number and key not in ("poolString", "btcString") else value)
        config = build_config(self._listed)
        if config is None:
            return None
        self.config = config
        return Source.LISTING


def _store(block: dict[str, Any], key: str, value: Any) -> None:
    """Keep a pair; a secret leaves nothing but its mask, and an empty one shows that there is none."""
    if key not in _SHOWN_KEYS:
        block[key] = value if value in ("", None) or (isinstance(value, bool) and not is_secret(key)) else MASK
    elif isinstance(value, str):
        block[key] = _USER_INFO.sub(MASK, clean_text(value, _MAX_VALUE) or "")
    elif isinstance(value, (bool, int)) or value is None or (isinstance(value, float) and math.isfinite(value)):
        block[key] = value
