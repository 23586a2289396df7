"""Label values and numbers as Prometheus' text format writes them."""

from __future__ import annotations

import functools
import re
import sys
from typing import Any, Final

#: Both ends of what a sample may be: NaN and the infinities are outside.
LARGEST: Final = sys.float_info.max
#: No honest device text is longer; `exporter.text.clean_text` keeps it far below.
MAX_LABEL: Final = 512

#: Control characters, line separators and lone surrogates: they break parsers, terminals or the UTF-8 encoding.
_UNSAFE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@functools.lru_cache(maxsize=16384)
def quoted(value: str | None) -> str:
    """`value` between double quotes, escaped; None is the empty string."""
    if value is None:
        return '""'
    text = _UNSAFE.sub("\ufffd", str(value)[:MAX_LABEL])
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def sample_number(value: Any, lowest: float) -> float:
    """`value` as a number whose `repr` is a sample value: truth values become 1 or 0.

    Raises:
        ValueError: NaN, an infinity, a counter below zero.
        TypeError: no number at all.
    """
    if value is True or value is False:
        return int(value)
    if not isinstance(value, (int, float)):
        raise TypeError(f"a sample is a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("a whole number beyond any sample") from None
    if not lowest <= number <= LARGEST:
        raise ValueError(f"a sample between {lowest:g} and {LARGEST:g}, not {number!r}")
    return number
