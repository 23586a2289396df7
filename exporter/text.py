"""Device-supplied text made harmless: one line, printable, bounded."""

from __future__ import annotations

import functools
from typing import Any, Final

MAX_LABEL_LENGTH: Final = 128


def clean_text(value: Any, limit: int = MAX_LABEL_LENGTH) -> str | None:
    """Return `value` as one printable line of at most `limit` characters, or None where nothing is left.

    Runs of white space (a model string may hold a newline: "Antminer S9\\nV1.3.58") become one blank, other
    control and non-printable characters are dropped. Numbers are accepted, containers and booleans are not text.
    """
    if value.__class__ is str and value.isascii() and value.isprintable() and len(value) <= limit:
        return value.strip() or None  # by far the most frequent case
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    raw = value if isinstance(value, str) else str(value)
    if raw.isascii() and raw.isprintable() and len(raw) <= limit:
        return raw.strip() or None
    line = " ".join(raw[: limit * 4].split())
    kept = "".join(character for character in line if character.isprintable())[:limit].strip()
    return kept or None


def make_and_model(make: str | None, model: str | None) -> str:
    """Make and model without saying the make twice ("Bitaxe Gamma 601"); empty where neither is known."""
    make, model = make or "", model or ""
    return model if model.lower().startswith(make.lower()) and model else f"{make} {model}".strip()


def pool_name(slot: int) -> str:
    """What people call a miner's pool, counted from 1 as in forms and on miners' own pages: 0 -> "Pool 1"."""
    return f"Pool {slot + 1}"


def normal_mac(value: Any) -> str | None:
    """Return a MAC address as ``aa:bb:cc:dd:ee:ff``, or None where `value` is none that can identify a device.

    Accepts colons, hyphens or nothing between the digits (Avalon sends "e0e1a93ef5a5"). All-zero, all-ones and
    multicast addresses are refused: devices send them while they boot (hass-miner #593).
    """
    return _mac_of(value) if isinstance(value, str) else None


# Every answer of a device repeats it.
@functools.lru_cache(maxsize=32768)
def _mac_of(value: str) -> str | None:
    digits = value.strip().lower().replace(":", "").replace("-", "").replace(".", "")
    if len(digits) != 12 or any(character not in "0123456789abcdef" for character in digits):
        return None
    if digits in ("000000000000", "ffffffffffff") or int(digits[:2], 16) & 1:
        return None
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))
