"""JSON as miners send it: strict where it is valid, repaired where a known firmware breaks it.

A document that is valid JSON is never touched. The repairs look at the text between strings only; what stands inside
a string stays as it is, except for escapes JSON does not know. Nothing is ever closed or shortened: a document that was
cut off is an error. Bare NaN and infinity are no values and become None.

Repairs, each for firmware seen in the field: NUL at the end (CGMiner's terminator), callback wrappers and trailing
commas (Avalon's web pages), ``}{`` (``stats`` of Antminer L3+, S9, Blackminer, VNish 3), bare ``nan`` (Avalon 10xx
just started), ``\\'`` (Whatsminer M20S), raw line breaks in strings and ``"}`` or ``"`` behind the end (S9k, StrongU),
``"value""key":`` and a list written as ``["key":value]`` (BTMiner), ``[,{`` (BMMiner), a leading ``,"id":1}``
(Avalon), a byte order mark, and text in Latin-1 or GBK.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

_fast_loads: Callable[[bytes], Any] | None
try:
    import orjson
except ImportError:
    _fast_loads = None
else:
    _fast_loads = orjson.loads

#: Longer bodies are refused; the longest honest answer seen is below 100 KB.
MAX_BYTES: Final = 16 * 1024 * 1024

#: Missing commas mended one by one before the whole text is gone through.
_QUICK_REPAIRS: Final = 8

_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_ATOM: Final = rf"(?:{_STRING}|-?[\w.+-]++)"

#: What a repair may touch. Strings come first so that nothing inside of them is taken for anything else; one without
#: an end takes the rest of the text, which keeps the search linear.
_SPOTS: Final = re.compile(
    rf"""
      (?P<string>{_STRING}) (?P<glued>\s*+(?={_STRING}\s*+:))?
    | (?P<gap>}}\s*+(?=\{{))
    | (?P<surplus>,\s*+(?=[}}\]]))
    | (?P<early>\[\s*+,(?=\s*+\{{))
    | \[(?P<pairs>(?:\s*+{_STRING}\s*+:\s*+{_ATOM}\s*+(?:,|(?=\])))++)\]
    | (?P<nonumber>(?<![\w.+-])[+-]?(?:nan|inf(?:inity)?)(?![\w.]))
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_CALLBACK: Final = re.compile(r"[A-Za-z_$][\w.$]*+\s*+\(")
#: What may follow the value: nothing, a stray quote, or whatever a C string held behind its NUL.
_BEHIND: Final = re.compile(r'\s*+(?:"\s*+\}?\s*+)?(?:\0.*+)?', re.DOTALL)
_BEHIND_CALL: Final = re.compile(r"\s*+(?:\)\s*+;?\s*+(?:[A-Za-z_$][\w.$]*+\s*+\(.*+)?)?", re.DOTALL)
_BLANKS: Final = "\ufeff\0 \t\r\n"


def _no_value(_word: str) -> None:
    """NaN and infinity are no values."""


_STRICT: Final = json.JSONDecoder(parse_constant=_no_value)
_LENIENT: Final = json.JSONDecoder(parse_constant=_no_value, strict=False)


def parse_json(body: bytes) -> Any:
    """Parse `body`: strictly first, then with the repairs.

    Integers beyond 64 bits are floats where orjson is installed. A key given twice has its last value.

    Raises:
        ValueError: it is no JSON even after the repairs, is cut off, nested too deep or longer than `MAX_BYTES`.
    """
    if len(body) > MAX_BYTES:
        raise ValueError(f"no JSON: {len(body)} bytes are more than {MAX_BYTES}")
    if _fast_loads is not None:
        try:
            return _fast_loads(body)
        except ValueError:
            # What the standard library takes and orjson does not (NaN, lone surrogates) is decided below.
            return _parse(body)
    return _parse(body)


def _parse(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        try:
            return _repair(body.decode(errors="replace"))
        except ValueError:
            # The second byte of a GBK character may look like a backslash.
            return _repair(body.decode("gb18030", errors="replace"))
    for _ in range(_QUICK_REPAIRS):
        try:
            return _STRICT.decode(text)
        except json.JSONDecodeError as error:
            # By far the commonest damage is a comma missing between two objects, and mended cheaply: the strict parser
            # has found the place, so it lies in no string.
            place = error.pos
            if not (error.msg.startswith("Expecting ','") and text.startswith("{", place)):
                break
            if text[:place].rstrip()[-1:] != "}":
                break
            text = f"{text[:place]},{text[place:]}"
        except (ValueError, RecursionError) as error:
            raise _no_json(error) from None
    return _repair(text)


def _no_json(error: Exception) -> ValueError:
    """The error for a document that even the repaired text cannot be."""
    if isinstance(error, json.JSONDecodeError):
        return ValueError(f"no JSON: {error.msg} at character {error.pos}")
    if isinstance(error, RecursionError):
        return ValueError("no JSON: nested too deep")
    return ValueError(f"no JSON: {error}")


def _repair(text: str) -> Any:
    """Parse `text` with the repairs; its value must be an object or a list."""
    text = text.lstrip(_BLANKS)
    behind = _BEHIND
    if callback := _CALLBACK.match(text):
        text = text[callback.end() :].lstrip()
        behind = _BEHIND_CALL
    if text.startswith(',"id":'):
        text = "{" + text[1:]
    if not text.startswith(("{", "[")):
        raise ValueError("no JSON: starts with neither { nor [")
    text = _SPOTS.sub(_mend, text)
    try:
        value, end = _LENIENT.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from None
    if not behind.fullmatch(text, end):
        raise ValueError(f"no JSON: text behind the end of the value at character {end}")
    return value


def _mend(match: re.Match[str]) -> str:
    kind = match.lastgroup
    found = match[0]
    if kind == "string":
        return _ESCAPE.sub(_escape, found) if "\\" in found else found
    if kind == "glued":
        return _ESCAPE.sub(_escape, match["string"]) + ","
    if kind == "gap":
        return "},"
    if kind == "early":
        return "["
    if kind == "pairs":
        return "{" + _SPOTS.sub(_mend, match["pairs"].rstrip().removesuffix(",")) + "}"
    return "null" if kind == "nonumber" else ""


def _escape(match: re.Match[str]) -> str:
    character = match[1]
    if character in '"\\/bfnrtu':
        return match[0]
    return "'" if character == "'" else "\\\\" + character
