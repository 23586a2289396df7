"""The status datagram that NMMiner 0.3 to 1.x broadcasts on UDP 12345 (NMController documents). Sans-IO.

One JSON object of about 370 bytes every two to five seconds; most figures are text with a suffix.
"""

from __future__ import annotations

import re
from typing import Any, Final

from exporter.errors import DecodeError, TooLarge
from exporter.protocols.tolerant_json import parse_json
from exporter.text import clean_text

PORT: Final = 12345
_LARGEST: Final = 4096
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:h/s)?", re.IGNORECASE)
_SUFFIX: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_SHARES: Final = re.compile(r"(\d+)\s*/\s*(\d+)(?:\s*/\s*\d+(?:\.\d+)?\s*%?)?")


def parse_datagram(data: bytes) -> dict[str, Any]:
    """The object in a status datagram.

    Raises:
        TooLarge: longer than any honest one.
        DecodeError: no JSON, or not the status of an NMMiner (its configuration messages come on another port).
    """
    if len(data) > _LARGEST:
        raise TooLarge(f"datagram of {len(data)} bytes")
    try:
        document = parse_json(data)
    except ValueError as error:
        raise DecodeError(f"datagram: {error}") from error
    if not isinstance(document, dict) or not {"HashRate", "Share", "Version"} <= document.keys():
        raise DecodeError("datagram: not the status of an NMMiner")
    return document


def hash_rate(text: str) -> float:
    """Hashes per second of "113.13K", "1.0154MH/s" or "950"."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise DecodeError(f"HashRate: expected a rate, got {clean_text(repr(text), 40)}")
    return float(match[1]) * _SUFFIX[match[2].lower()]


def shares(text: str) -> tuple[float, float]:
    """(rejected, accepted) of "1/138" or "1/138/99.3%"; in this order (NMController)."""
    match = _SHARES.fullmatch(text.strip())
    if match is None:
        raise DecodeError(f"Share: expected rejected/accepted, got {clean_text(repr(text), 40)}")
    return float(match[1]), float(match[2])
