"""The token with full rights that the environment may give: ``FLOCKWATCH_API_TOKEN`` or ``FLOCKWATCH_API_TOKEN_FILE``.

No message shows any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exporter.credentials import read_private
from exporter.errors import ConfigError
from exporter.store.secret import Secret

VARIABLE: Final = "FLOCKWATCH_API_TOKEN"
FILE_VARIABLE: Final = "FLOCKWATCH_API_TOKEN_FILE"

#: Shorter ones could be guessed.
_SHORTEST: Final = 16
_LONGEST: Final = 256


def load_api_token(environ: Mapping[str, str]) -> Secret | None:
    """The token of the environment; None where neither variable is set. A file may end in a line feed.

    Raises:
        ConfigError: both are set; the file is missing or open to others; the token is too short, too long, or holds
            blanks.
    """
    text, name = environ.get(VARIABLE, ""), environ.get(FILE_VARIABLE, "")
    if text and name:
        raise ConfigError(f"{VARIABLE} and {FILE_VARIABLE} are both set; unset one of them")
    if name:
        return _checked(_read(Path(name)), name)
    return _checked(text, VARIABLE) if text else None


def _read(path: Path) -> str:
    try:
        return read_private(path, FILE_VARIABLE).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: must hold a token of printable ASCII characters alone") from None


def _checked(text: str, source: str) -> Secret:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{source}: must be a token of printable ASCII characters without blanks")
    if not _SHORTEST <= len(text) <= _LONGEST:
        raise ConfigError(
            f"{source}: must have {_SHORTEST} to {_LONGEST} characters; make one with: openssl rand -base64 32"
        )
    return Secret(text)
