"""Lines out of the bytes of a serial console. Sans-IO.

A line ends with a line feed; the firmware of one board mixes CRLF and LF. NUL and 0xFF never belong to text (a line
that idles, erased flash dumped as text), so they are dropped on the way in and a flood of them takes no memory.
However the bytes are cut into pieces, the lines are the same.
"""

from __future__ import annotations

from typing import Final

#: Longest line in bytes; the longest honest one is a job with many transactions, about 2 KB.
MAX_LINE: Final = 4096
_NO_TEXT: Final = b"\x00\xff"


class LineSplitter:
    """Collects the bytes of one console. What is longer than `max_line` is cut into lines of that length."""

    __slots__ = ("_max_line", "_rest")

    def __init__(self, max_line: int = MAX_LINE) -> None:
        if max_line < 1:
            raise ValueError("max_line must be at least 1")
        self._max_line = max_line
        self._rest = b""

    @property
    def pending(self) -> int:
        """Bytes of the line that has not ended yet, never more than `max_line`."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without line ends; empty ones are left out. Bad UTF-8 becomes U+FFFD."""
        pieces = (self._rest + data.translate(None, _NO_TEXT)).split(b"\n")
        lines: list[str] = []
        for piece in pieces[:-1]:
            if len(piece) > self._max_line:
                piece = self._cut(piece, lines)
            self._add(piece, lines)
        self._rest = self._cut(pieces[-1], lines)
        return lines

    def clear(self) -> None:
        """Forget the line that has not ended: its rest will never come."""
        self._rest = b""

    def _cut(self, piece: bytes, lines: list[str]) -> bytes:
        """Take whole lengths off the front of `piece`; the rest, at most `max_line` long."""
        start = 0
        while len(piece) - start > self._max_line:
            self._add(piece[start : start + self._max_line], lines)
            start += self._max_line
        return piece[start:]

    @staticmethod
    def _add(piece: bytes, lines: list[str]) -> None:
        line = piece.strip(b"\r").decode("utf-8", "replace")
        if line:
            lines.append(line)
