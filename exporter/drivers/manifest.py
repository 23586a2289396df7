"""What a driver file says about itself, read without running it.

The metadata must be literals in the body of the one class that derives from `exporter.drivers.api.Driver`, so that a
list of drivers, a comparison of versions and the decision to load need none of the file's code.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter.drivers.api import INTERFACE_VERSION, REQUIRED_METADATA
from exporter.errors import DriverRejected

CONNECTION_TYPES: Final = ("http", "tcp", "udp", "serial")
#: No honest driver file comes near.
MAX_BYTES: Final = 1_000_000
_API_MODULE: Final = "exporter.drivers.api"
_DRIVER_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
#: Semantic Versioning 2.0.0: numbers without leading zeros, pre-release, build.
_VERSION: Final = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The metadata of one driver file. `sha256` is that of the file, in hex; `class_name` the driver's class."""

    driver_type: str
    driver_version: str
    display_name: str
    manufacturer: str
    supported_models: tuple[str, ...]
    connection_type: str
    default_port: int | None
    interface_version: int
    class_name: str
    path: Path
    sha256: str


def sha256_hex(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def version_key(version: str) -> tuple[Any, ...]:
    """A key that sorts semantic versions by their precedence; build metadata does not count.

    Raises:
        ValueError: `version` is not a semantic version.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError("must be a semantic version such as 1.2.0")
    numbers = tuple(int(match[index]) for index in (1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    # Numbers sort before words; a number and a word are never compared.
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in match[4].split("."))
    return (*numbers, 0, parts)


def read_manifest(path: Path, source: bytes | None = None) -> Manifest:
    """The manifest of the driver file at `path`; `source` is its content where it was read already.

    Raises:
        DriverRejected: the file cannot be read or parsed, holds no driver or more than one, or its metadata is missing,
            no literal or wrong. The message names all that is wrong with the metadata.
    """
    if source is None:
        try:
            source = path.read_bytes()
        except OSError as error:
            raise DriverRejected(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(source) > MAX_BYTES:
        raise DriverRejected(f"is larger than {MAX_BYTES} bytes")
    driver_class = _driver_class(_parse(source, path))
    literals = _literals(driver_class)
    faults = [fault for name in REQUIRED_METADATA if (fault := _fault(name, literals)) is not None]
    if faults:
        raise DriverRejected(f"class {driver_class.name}: {'; '.join(faults)}")
    return Manifest(
        **{name: literals[name] for name in REQUIRED_METADATA if name != "supported_models"},
        supported_models=tuple(literals["supported_models"]),
        class_name=driver_class.name,
        path=path,
        sha256=sha256_hex(source),
    )


def _parse(source: bytes, path: Path) -> ast.Module:
    try:
        return ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise DriverRejected(f"syntax error in line {error.lineno or 0}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DriverRejected(f"cannot be parsed: {error}") from error


def _driver_class(module: ast.Module) -> ast.ClassDef:
    """The one class that derives from `Driver`, or that says by `driver_type` that it means to."""
    names, modules = _driver_names(module)
    classes = [
        node
        for node in module.body
        if isinstance(node, ast.ClassDef)
        and (any(_is_driver(base, names, modules) for base in node.bases) or "driver_type" in _literals(node))
    ]
    if not classes:
        raise DriverRejected("holds no class that derives from Driver (from exporter.drivers.api import Driver)")
    if len(classes) > 1:
        names_found = ", ".join(node.name for node in classes)
        raise DriverRejected(f"holds {len(classes)} driver classes ({names_found}); a file holds exactly one")
    return classes[0]


def _driver_names(module: ast.Module) -> tuple[set[str], set[str]]:
    """The names under which the file knows `Driver` itself, and the module that holds it."""
    names: set[str] = set()
    modules = {_API_MODULE}
    package, _, leaf = _API_MODULE.rpartition(".")
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                if node.module == _API_MODULE and alias.name == "Driver":
                    names.add(alias.asname or alias.name)
                elif node.module == package and alias.name == leaf:
                    modules.add(alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            modules.update(alias.asname for alias in node.names if alias.name == _API_MODULE and alias.asname)
    return names, modules


def _is_driver(base: ast.expr, names: set[str], modules: set[str]) -> bool:
    if isinstance(base, ast.Name):
        return base.id in names
    return isinstance(base, ast.Attribute) and base.attr == "Driver" and ast.unparse(base.value) in modules


_NO_LITERAL: Final = object()


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    """Names assigned in the body of a class; what is no literal is `_NO_LITERAL`."""
    found: dict[str, Any] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = _literal(value)
    return found


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NO_LITERAL


def _fault(name: str, literals: dict[str, Any]) -> str | None:
    """What is wrong with one piece of metadata; None where nothing is."""
    if name not in literals:
        return f"{name} is missing"
    value = literals[name]
    if value is _NO_LITERAL:
        return f"{name} must be a literal, so that it can be read without running the file"
    problem = _CHECKS[name](value)
    return None if problem is None else f"{name} {problem}"


def _check_text(value: Any) -> str | None:
    fine = isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 100
    return None if fine else "must be a text of 1 to 100 printable characters"


def _check_type(value: Any) -> str | None:
    fine = isinstance(value, str) and _DRIVER_TYPE.fullmatch(value)
    return None if fine else "must be one lower-case word such as bitaxe or avalon_nano"


def _check_version(value: Any) -> str | None:
    fine = isinstance(value, str) and _VERSION.fullmatch(value)
    return None if fine else 'must be a semantic version such as "1.2.0"'


def _check_models(value: Any) -> str | None:
    fine = isinstance(value, (tuple, list)) and value and all(_check_text(item) is None for item in value)
    return None if fine else "must be a tuple of model names"


def _check_connection(value: Any) -> str | None:
    return None if value in CONNECTION_TYPES else f"must be one of {', '.join(CONNECTION_TYPES)}"


def _check_port(value: Any) -> str | None:
    fine = value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536)
    return None if fine else "must be a port number or None"


def _check_interface(value: Any) -> str | None:
    if value == INTERFACE_VERSION and type(value) is int:
        return None
    return f"must be {INTERFACE_VERSION}, the version of the driver contract this program has, got {value!r:.20}"


_CHECKS: Final = {
    "driver_type": _check_type,
    "driver_version": _check_version,
    "display_name": _check_text,
    "manufacturer": _check_text,
    "supported_models": _check_models,
    "connection_type": _check_connection,
    "default_port": _check_port,
    "interface_version": _check_interface,
}
