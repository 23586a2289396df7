"""Environment variables as overrides of settings, and what to say about names that nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from exporter.config_yaml import Place, Scalar

_SECRET_KEY: Final = re.compile(
    r"pass(?:word|wd|phrase|wort)?$|^pwd|_pwd|token|secret|api_?key|credential|private_?key|^auth(?:orization)?$|bearer"
)
SECRETS_GO: Final = (
    "secrets do not belong in this file: use the environment (or a variable that ends in _FILE), for device passwords"
    " FLOCKWATCH_CREDENTIALS_FILE or the settings page"
)


class Environment:
    """The variables ``FLOCKWATCH_<SECTION>_<KEY>``; those that no reader asked for are unknown."""

    PREFIX: Final = "FLOCKWATCH_"
    #: Variables of other parts of the program. Those that end in _FILE name files with secrets.
    _OTHERS: Final = frozenset({"FLOCKWATCH_API_TOKEN", "FLOCKWATCH_CREDENTIALS_FILE", "FLOCKWATCH_SHARED"})

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name: text for name, text in variables.items() if name.startswith(self.PREFIX)}
        self._asked: list[str] = []

    def scalar(self, path: str) -> Scalar | None:
        """The override of the setting `path` ("network.timeout_ms"), None where there is none."""
        name = self.PREFIX + path.upper().replace(".", "_")
        self._asked.append(name)
        text = self._variables.get(name)
        return None if text is None else Scalar(text, "word", Place(name))

    def unknown(self, sections: Iterable[str]) -> Iterator[tuple[Place, str]]:
        """The variables of one of `sections` that nobody asked for, each with what to say about it."""
        prefixes = tuple(f"{self.PREFIX}{section.upper()}" for section in sections)
        for name in self._variables:
            known = name in self._asked or name in self._OTHERS or name.endswith("_FILE")
            if known or not any(name == prefix or name.startswith(f"{prefix}_") for prefix in prefixes):
                continue
            if name.startswith(f"{self.PREFIX}MINERS"):
                yield Place(name), "is no setting: fixed miners are listed in the file only; unset it"
            else:
                yield Place(name), f"is no setting{_suggestion(name, self._asked)}; unset it or correct its name"


def unknown_key(key: str, known: Iterable[str], *, secrets: bool = False) -> str:
    """What to say about a key that is none of `known`; where `secrets` belong elsewhere, that a secret does."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_")
    if secrets and _SECRET_KEY.search(words):
        return SECRETS_GO
    names = sorted(known)
    close = _suggestion(key, names)
    return f"unknown key{close}" if close else f"unknown key; known here: {', '.join(names)}"


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.65)
    return f"; did you mean {close[0]}?" if close else ""


def dotted(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
