"""Which format and encoding a scraper gets, and how the page is packed for it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

#: Pieces smaller than this are sent together.
PIECE: Final = 64 * 1024
_LONGEST_HEADER: Final = 4096


def _elements(header: str | None) -> Iterator[tuple[str, dict[str, str], float]]:
    """(value, parameters, quality) of each element of an Accept or Accept-Encoding header (RFC 9110, 12.4)."""
    for element in (header or "")[:_LONGEST_HEADER].lower().split(","):
        value, *rest = (part.strip() for part in element.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        parameters = {name.strip(): given.strip().strip('"') for name, given in parameters.items()}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if value:
            yield value, parameters, quality if 0.0 <= quality <= 1.0 else 0.0


def wants_openmetrics(accept: str | None) -> bool:
    """Whether OpenMetrics 1.0.0 is offered by name and the text format 0.0.4 is not preferred to it."""
    openmetrics = 0.0
    text: dict[str, float] = {}
    for value, parameters, quality in _elements(accept):
        version = parameters.get("version")
        if value == "application/openmetrics-text" and version in (None, "1.0.0"):
            openmetrics = max(openmetrics, quality)
        elif value in ("text/plain", "text/*", "*/*") and version in (None, "0.0.4"):
            text[value] = max(text.get(value, 0.0), quality)
    # The most specific element counts, whatever the others say.
    named = (text[value] for value in ("text/plain", "text/*", "*/*") if value in text)
    return openmetrics > 0.0 and openmetrics >= next(named, 0.0)


def wants_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip is asked for by name."""
    return any(value in ("gzip", "x-gzip") and quality > 0.0 for value, _, quality in _elements(accept_encoding))


def _zlib_packer() -> Any:
    return zlib.compressobj(1, zlib.DEFLATED, 31)


def _fastest_packer() -> Callable[[], Any]:
    """isal's igzip where it is installed (extra "fast"): a tenth of zlib's CPU."""
    try:
        from isal import isal_zlib
    except ImportError:
        return _zlib_packer
    return lambda: isal_zlib.compressobj(level=1, wbits=31)


new_packer: Final = _fastest_packer()


def gzipped(pieces: Iterable[bytes], packer: Any | None = None) -> Iterator[bytes]:
    """Pack `pieces` one after the other at level 1, so that nothing is held whole."""
    packer = new_packer() if packer is None else packer
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()


def coalesced(pieces: Iterable[bytes], size: int = PIECE) -> Iterator[bytes]:
    """Join small pieces until they are `size` bytes; larger ones pass as they are."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        if len(piece) < size:
            waiting.append(piece)
            length += len(piece)
            if length < size:
                continue
            piece = b""
        if waiting:
            yield b"".join(waiting)
            waiting, length = [], 0
        if piece:
            yield piece
    if waiting:
        yield b"".join(waiting)
