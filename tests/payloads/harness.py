"""Captured answers as the drivers see them, with a record of every key that a driver reads.

A capture is a folder ``<shared>/payloads/<family>/<device>/``. Its files become answers under the request keys of
`exporter.drivers.api`; parsed documents are wrapped so that ``get``, ``[]`` and ``in`` leave a trace. Iterating over
a document leaves none: a driver that looks for numbered keys iterates over the names and reads each through
`exporter.drivers.fields`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext, Driver, Identification, Request
from exporter.drivers.fixture import request_keys as keys_of
from exporter.engine.merge import merge_identity, merge_readings
from exporter.errors import MinerError
from exporter.model import Identity, Reading
from exporter.protocols.cgminer import split_joined
from exporter.protocols.tolerant_json import parse_json

#: When every capture is taken to have arrived.
RECEIVED_AT: Final = 1_760_000_000.0

Path_ = tuple[str | int, ...]


def shared_folder() -> Path:
    configured = os.environ.get("FLOCKWATCH_SHARED")
    return Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared"


# --- file names to request keys ------------------------------------------------------------------------------------


def _vnish(name: str) -> str:
    return "/" if name == "root" else "/api/v1/" + name.replace("_", "/")


def _antminer(name: str) -> str:
    return f"/cgi-bin/{name}.cgi"


def _avalon(name: str) -> str:
    return f"/{name}.cgi"


def _axeos(name: str) -> str:
    return "/api/" + name.replace("_", "/")


def _nmminer(name: str) -> str:
    return f"/{name}" if name in ("probe", "alive") else _axeos(name)


#: family -> how the rest of ``http_<rest>`` becomes a path. Where meta.json names the request, that wins.
HTTP_PATHS: Final[Mapping[str, Callable[[str], str]]] = {
    "vnish": _vnish,
    "antminer-stock": _antminer,
    "avalon": _avalon,
    "cgminer-generic": _antminer,
    "bitaxe": _axeos,
    "nerdqaxe": _axeos,
    "nmminer": _nmminer,
    "nmaxe": _axeos,
}
_NO_ANSWERS: Final = frozenset({"meta.json", "SOURCE.md", "expected.json", "expected_derived.json"})
_METHOD: Final = re.compile(r"(post|put|patch|delete)_(.+)")


def _http_key(family: str, name: str) -> str:
    method = _METHOD.fullmatch(name)
    verb, rest = (method[1].upper(), method[2]) if method else ("GET", name)
    path = HTTP_PATHS.get(family, lambda text: "/" + text.replace("_", "/"))(rest)
    return f"{verb} {path}"


def _named_request(request: str) -> str:
    """The key for an entry of meta.json: a path, or a CGMiner command as JSON."""
    if request.startswith("/"):
        return f"GET {request}"
    command = json.loads(request)
    parameter = command.get("parameter")
    return f"rpc {command['command']}" + ("" if parameter is None else f"|{parameter}")


def request_keys(family: str, stem: str, named: Mapping[str, str]) -> list[str]:
    """The request keys that the file `stem` answers: several for a joined command, none for what is no answer."""
    stem = stem.removesuffix("_truncated").removesuffix("_closed")
    if stem in named:
        key = _named_request(named[stem])
        return [f"rpc {command}" for command in key[4:].split("+")] if key.startswith("rpc ") else [key]
    kind, _, rest = stem.partition("_")
    if kind in ("rpc", "rpctext"):
        return [f"rpc {command}" for command in rest.split("+")]
    if kind == "mmid0":
        return [f"rpc {rest}"]
    if kind == "http":
        return [_http_key(family, re.sub(r"_\d{3}$", "", rest))]
    return []


# --- reading a folder ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Capture:
    """The files of one device.

    Attributes:
        files: request key -> name of the file that answers it (the whole one where there is also a truncated one).
        raw: request key -> Answer, not parsed and not tracked.
        others: files that answer no request (datagrams, consoles, privileged answers), by name.
        truncated: request keys of which only the beginning is there.
        expected: "expected.json" and "expected_derived.json", where there are any.
    """

    family: str
    device: str
    folder: Path
    meta: Mapping[str, Any]
    files: Mapping[str, str]
    raw: Mapping[str, Answer]
    others: tuple[str, ...]
    truncated: frozenset[str]
    expected: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        return f"{self.family}/{self.device}"

    def body(self, file: str) -> bytes:
        return (self.folder / file).read_bytes()


def _split(body: bytes, commands: list[str]) -> dict[str, bytes]:
    document = parse_json(body)
    return {name: json.dumps(part).encode() for name, part in split_joined(document, commands).items()}


def _bodies(family: str, path: Path, keys: list[str]) -> dict[str, bytes]:
    body = path.read_bytes()
    if path.name.startswith("mmid0_"):
        wrapped = {"STATUS": [{"STATUS": "S", "When": 0}], "STATS": [{"STATS": 0, "MM ID0": body.decode().strip()}]}
        return {keys[0]: json.dumps(wrapped).encode()}
    if len(keys) > 1 and "_truncated" not in path.stem:
        return {f"rpc {name}": part for name, part in _split(body, [key[4:] for key in keys]).items()}
    return dict.fromkeys(keys, body)


def load_capture(folder: Path) -> Capture:
    """Read the folder of one device."""
    meta = json.loads((folder / "meta.json").read_text())
    family = folder.parent.name
    files: dict[str, str] = {}
    raw: dict[str, Answer] = {}
    others: list[str] = []
    truncated: set[str] = set()
    names = sorted((path for path in folder.iterdir() if path.name not in _NO_ANSWERS), key=_whole_first)
    for path in names:
        keys = request_keys(family, path.stem, meta.get("requests") or {})
        if not keys:
            others.append(path.name)
            continue
        status = re.search(r"_(\d{3})$", path.stem)
        try:
            bodies = _bodies(family, path, keys)
        except ValueError:
            bodies = dict.fromkeys(keys, path.read_bytes())  # a joined answer that cannot be parsed
        for key, body in bodies.items():
            if key in raw:
                continue  # the single command's own answer came first
            files[key] = path.name
            raw[key] = Answer(body, status=int(status[1]) if status else 200)
            if "_truncated" in path.stem:
                truncated.add(key)
    expected = {
        name: json.loads((folder / name).read_text())
        for name in ("expected.json", "expected_derived.json")
        if (folder / name).exists()
    }
    return Capture(family, folder.name, folder, meta, files, raw, tuple(sorted(others)), frozenset(truncated), expected)


def _whole_first(path: Path) -> tuple[bool, bool, str]:
    """Whole answers before truncated ones, single commands before joined ones."""
    return "_truncated" in path.stem, "+" in path.stem, path.name


def captures(*families: str) -> list[Capture]:
    """All captures of `families`; empty where the shared folder is absent."""
    found: list[Capture] = []
    for family in families:
        folder = shared_folder() / "payloads" / family
        if folder.is_dir():
            found.extend(load_capture(path) for path in sorted(folder.iterdir()) if path.is_dir())
    return found


def capture_params(*families: str) -> list[Any]:
    """Parameters for `pytest.mark.parametrize("capture", ...)`: the captures, or one visible skip."""
    found = [pytest.param(capture, id=capture.name) for capture in captures(*families)]
    return found or [_absent()]


def file_params(*families: str) -> list[Any]:
    """Parameters for `parametrize(("capture", "file"), ...)`: every answer file of every device."""
    found = [
        pytest.param(capture, file, id=f"{capture.name}/{file}")
        for capture in captures(*families)
        for file in sorted({*capture.files.values(), *capture.others})
    ]
    return found or [_absent(2)]


def _absent(arguments: int = 1) -> Any:
    reason = f"no captured answers at {shared_folder()} (set FLOCKWATCH_SHARED)"
    return pytest.param(*[None] * arguments, marks=pytest.mark.skip(reason=reason))


# --- tracking ----------------------------------------------------------------------------------------------------


class TrackingDict(dict[str, Any]):
    """A dict that records which of its keys were asked for."""

    def __init__(self, document: Mapping[str, Any], seen: set[Path_], path: Path_) -> None:
        super().__init__({key: track(value, seen, (*path, key)) for key, value in document.items()})
        self._seen = seen
        self._path = path

    def get(self, key: str, default: Any = None) -> Any:
        self._seen.add((*self._path, key))
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self._seen.add((*self._path, key))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._seen.add((*self._path, str(key)))
        return super().__contains__(key)


def track(document: Any, seen: set[Path_], path: Path_ = ()) -> Any:
    """`document` with its objects wrapped; reads are added to `seen` as paths of keys and list positions."""
    if isinstance(document, dict):
        return TrackingDict(document, seen, path)
    if isinstance(document, list):
        return [track(value, seen, (*path, index)) for index, value in enumerate(document)]
    return document


def leaves(document: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The paths of everything that is no object: values, empty objects, and lists of plain values as one."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif isinstance(document, list) and any(isinstance(item, (dict, list)) for item in document):
        for index, value in enumerate(document):
            yield from leaves(value, (*path, index))
    else:
        yield path


def shown_path(path: Path_) -> str:
    """A path in the syntax of `Driver.ignored_keys`: "STATS[].chain[].sn"."""
    text = ""
    for part in path:
        text += "[]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _was_read(path: Path_, seen: set[Path_]) -> bool:
    while path and isinstance(path[-1], int):  # a value inside a list is read with the list
        path = path[:-1]
    return not path or path in seen


def ignored(key: str, path: str, driver: Driver) -> str | None:
    """Why the driver leaves this key out, None where it gives no reason."""
    for pattern, reason in driver.ignored_keys:
        if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), f"{key} {path}", re.DOTALL):
            return reason
    return None


def unread(key: str, document: Any, seen: set[Path_], driver: Driver) -> list[str]:
    """The keys of one answer that were neither read nor are ignored with a reason, each once."""
    missed = {shown_path(path) for path in leaves(document) if not _was_read(path, seen)}
    return sorted(path for path in missed if ignored(key, path, driver) is None)


# --- running a driver on a capture -----------------------------------------------------------------------------------


@dataclass
class Look:
    """What one driver made of one capture.

    Attributes:
        reading: status and telemetry merged, with the identity completed from all phases.
        requested: every request key the driver asks for in any phase.
        seen: request key -> paths read.
        skipped: phase -> the required answer that was not captured.
        errors: phase -> the `MinerError` a decoder raised.
    """

    driver: Driver
    capture: Capture
    identification: Identification | None = None
    identity: Identity = field(default_factory=Identity)
    reading: Reading = field(default_factory=Reading)
    model: Any = None
    requested: set[str] = field(default_factory=set)
    seen: dict[str, set[Path_]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, MinerError] = field(default_factory=dict)

    def unread(self, file: str) -> list[str]:
        """Unread keys of every answer that came from `file`, as "<request key> <path>"."""
        missed: list[str] = []
        for key, name in self.capture.files.items():
            if name == file and key in self.requested and key in self.seen:
                document = parse_json(self.capture.raw[key].body)
                missed += [f"{key} {path}" for path in unread(key, document, self.seen[key], self.driver)]
        return missed


def tracked_answers(capture: Capture, seen: dict[str, set[Path_]], keys: Iterable[str] | None = None) -> Answers:
    """The answers of a capture (those of `keys`), parsed documents tracked. What is no JSON stays as bytes."""
    answers: dict[str, Answer] = {}
    for key, raw in capture.raw.items():
        if keys is not None and key not in keys:
            continue
        answer = Answer(raw.body, status=raw.status, headers=raw.headers)
        try:
            document = parse_json(raw.body)
        except ValueError:
            document = None
        if isinstance(document, (dict, list)):
            answer.document = track(document, seen.setdefault(key, set()))
        answers[key] = answer
    return Answers(answers)


def _missing(requests: Iterable[Request], answers: Answers) -> str | None:
    """The first required request without an answer (nor one to what is asked otherwise)."""
    for request in requests:
        if not request.optional and not any(key in answers for key in keys_of((request,))):
            return request.key
    return None


def look(driver: Driver, capture: Capture, *, details: Mapping[str, str] | None = None) -> Look:
    """Run every phase of `driver` whose required answers were captured.

    `details` stands in for those of the identification where the probes' answers were not captured.
    """
    result = Look(driver, capture)
    result.requested |= keys_of(driver.probes)
    probed = tracked_answers(capture, result.seen, keys_of(driver.probes))
    result.identification = driver.identify(probed)
    if result.identification is not None:
        result.identity = result.identification.identity
        details = details or result.identification.details
    context = DecodeContext(RECEIVED_AT, result.identity, dict(details or {}))

    def phase(name: str, requests: tuple[Request, ...], decode: Callable[[Answers, DecodeContext], Any]) -> Any:
        keys = keys_of(requests)
        result.requested.update(keys)
        if not requests:
            return None
        answers = tracked_answers(capture, result.seen, keys)
        missing = _missing(requests, answers)
        if missing is not None or not answers.keys():
            result.skipped[name] = missing or "all of them"
            return None
        try:
            return decode(answers, context)
        except MinerError as error:
            result.errors[name] = error
            return None

    identity = phase("identity", driver.identity_requests(context), driver.decode_identity)
    result.identity = merge_identity(identity or Identity(), result.identity)
    context = replace(context, identity=result.identity)
    status = phase("status", driver.status_requests(context), driver.decode_status) or Reading()
    telemetry = phase("telemetry", driver.telemetry_requests(context), driver.decode_telemetry) or Reading()
    reading = merge_readings(status, telemetry)
    result.reading = replace(reading, identity=merge_identity(reading.identity, result.identity))
    model_requests = getattr(driver, "model_requests", None)
    if model_requests is not None:
        result.model = phase("model", model_requests(context), driver.decode_model)  # type: ignore[attr-defined]
    return result


def assert_every_key_read(result: Look, file: str, not_requested: Mapping[str, str]) -> None:
    """Fail unless every key of `file` is read or ignored with a reason, or the whole file is listed with one.

    `not_requested` maps a file name, or a pattern with ``*``, to the reason why no request of the driver has it.
    """
    capture = result.capture
    keys = [key for key, name in capture.files.items() if name == file and key in result.requested]
    reason = next(
        (why for pattern, why in not_requested.items() if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), file)),
        None,
    )
    if not keys:
        assert reason, f"{capture.name}/{file} is not requested; list it with a reason"
        return
    assert not reason, f"{capture.name}/{file} is listed as not requested ({reason}) but {keys} are"
    assert not result.errors, f"{capture.name}: {result.errors}"
    missed = result.unread(file)
    assert not missed, f"{capture.name}/{file}: neither read nor ignored with a reason:\n  " + "\n  ".join(missed)
