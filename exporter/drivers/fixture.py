"""Fixtures: a folder of answers as a device sent them, and what its driver must make of them.

``<model>-<firmware>/fixture.json`` holds::

    {"driver": "bitaxe", "model": "Gamma 601", "firmware": "2.12.2", "received_at": 1760000000,
     "answers": {"GET /api/system/info": {"file": "http_system_info.json", "status": 200, "headers": {}}},
     "details": {"api": "http"}, "stream": ["udp_status.json"]}

``details`` and ``stream`` (datagrams or pieces of a console, in order) may be missing. ``reading.json`` holds the
expected result, `Replay.to_json`: only what is known, so that a reader sees at once what a device tells.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from exporter.drivers.api import Answer, Answers, DecodeContext, Driver, Identification, Request, StreamSource
from exporter.errors import UsageError
from exporter.model import Identity, Reading

_RECEIVED_AT: Final = 1_760_000_000.0


@dataclass(frozen=True, slots=True)
class Fixture:
    """A fixture in memory.

    Attributes:
        answers: by request key.
        details: for `DecodeContext.details` where the fixture holds no probe answers.
        stream: what a device that talks by itself sent, in order.
        expected: the content of reading.json, None where there is none yet.
    """

    driver: str
    model: str
    firmware: str
    answers: Mapping[str, Answer]
    details: Mapping[str, str] = field(default_factory=dict)
    stream: tuple[bytes, ...] = ()
    received_at: float = _RECEIVED_AT
    expected: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a driver makes of a fixture, phase by phase. A phase without answers gives None."""

    identification: Identification | None = None
    identity: Identity | None = None
    status: Reading | None = None
    telemetry: Reading | None = None
    stream: tuple[Reading, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, stable in order, without what is unknown."""
        parts: dict[str, Any] = {}
        if self.identification is not None:
            found = self.identification
            parts["identification"] = {
                "driver_type": found.driver_type,
                "specificity": found.specificity.name,
                "identity": to_json(found.identity),
                "details": dict(found.details),
            }
        for name in ("identity", "status", "telemetry"):
            value = getattr(self, name)
            if value is not None:
                parts[name] = to_json(value)
        if self.stream:
            parts["stream"] = [to_json(reading) for reading in self.stream]
        return parts


def to_json(value: Any) -> Any:
    """A model value as plain JSON: unknown fields and empty lists left out, enums by their word."""
    if is_dataclass(value) and not isinstance(value, type):
        items = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: to_json(part) for name, part in items if part is not None and part != ()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_json(part) for part in value]
    return value


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """A reading as plain JSON, see `to_json`."""
    result: dict[str, Any] = to_json(reading)
    return result


def request_keys(requests: tuple[Request, ...]) -> set[str]:
    """The keys under which the answers to `requests` may arrive."""
    keys: set[str] = set()
    for request in requests:
        current: Request | None = request
        while current is not None:
            keys.add(current.key)
            current = getattr(current, "otherwise", None)
    return keys


def replay(driver: Driver, fixture: Fixture) -> Replay:
    """Run every phase of `driver` for which the fixture holds answers. Raises what the driver raises."""
    if fixture.stream and isinstance(driver, StreamSource):
        stream = driver.new_stream()
        moments = (fixture.received_at + index * stream.period for index in range(len(fixture.stream)))
        readings = [
            reading for data, now in zip(fixture.stream, moments, strict=True) for reading in stream.feed(data, now)
        ]
        return Replay(identification=driver.identify_datagram(fixture.stream[0]), stream=tuple(readings))
    identification = driver.identify(only(fixture, driver.probes))
    details = identification.details if identification is not None and identification.details else fixture.details
    known = identification.identity if identification is not None else Identity()
    context = DecodeContext(fixture.received_at, known, dict(details))
    identity = None
    requests = driver.identity_requests(context)
    if only(fixture, requests).keys():
        identity = driver.decode_identity(only(fixture, requests), context)
        context = replace(context, identity=identity)
    return Replay(
        identification=identification,
        identity=identity,
        status=driver.decode_status(only(fixture, driver.status_requests(context)), context),
        telemetry=_telemetry(driver, fixture, context),
    )


def _telemetry(driver: Driver, fixture: Fixture, context: DecodeContext) -> Reading | None:
    answers = only(fixture, driver.telemetry_requests(context))
    return driver.decode_telemetry(answers, context) if answers.keys() else None


def only(fixture: Fixture, requests: tuple[Request, ...]) -> Answers:
    """The fixture's answers to `requests` alone, fresh (they are parsed anew)."""
    keys = request_keys(requests)
    return Answers(
        {
            key: Answer(answer.body, answer.status, answer.headers)
            for key, answer in fixture.answers.items()
            if key in keys
        }
    )


def load_fixture(folder: Path) -> Fixture:
    """Read a fixture folder.

    Raises:
        UsageError: a file is missing or is not what it should be; the message names it.
    """
    place = folder / "fixture.json"
    try:
        table = json.loads(place.read_text(encoding="utf-8"))
        answers = {
            key: Answer((folder / entry["file"]).read_bytes(), entry.get("status", 200), dict(entry.get("headers", {})))
            for key, entry in table.get("answers", {}).items()
        }
        stream = tuple((folder / name).read_bytes() for name in table.get("stream", ()))
        expected = folder / "reading.json"
        return Fixture(
            driver=table["driver"],
            model=table["model"],
            firmware=table["firmware"],
            answers=answers,
            details=dict(table.get("details", {})),
            stream=stream,
            received_at=float(table.get("received_at", _RECEIVED_AT)),
            expected=json.loads(expected.read_text(encoding="utf-8")) if expected.exists() else None,
        )
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; a fixture needs every file it names") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{place}: not a fixture ({type(error).__name__}: {error})") from error


def file_name(key: str) -> str:
    """A file name for the answer to a request key: "rpc summary" -> "rpc_summary"."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", key.replace("GET /", "http_")).strip("_")[:80]


def write_fixture(folder: Path, fixture: Fixture, replayed: Replay | None = None) -> None:
    """Write `fixture` into `folder` (made where missing); `replayed` becomes reading.json."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, Any] = {}
    for key, answer in fixture.answers.items():
        name = file_name(key) + _suffix(answer.body)
        (folder / name).write_bytes(answer.body)
        entries[key] = {"file": name, "status": answer.status}
        if answer.headers:
            entries[key]["headers"] = dict(answer.headers)
    streamed = []
    for index, data in enumerate(fixture.stream):
        streamed.append(f"stream_{index}{_suffix(data)}")
        (folder / streamed[-1]).write_bytes(data)
    table: dict[str, Any] = {
        "driver": fixture.driver,
        "model": fixture.model,
        "firmware": fixture.firmware,
        "received_at": fixture.received_at,
        "answers": entries,
    }
    if fixture.details:
        table["details"] = dict(fixture.details)
    if streamed:
        table["stream"] = streamed
    _write_json(folder / "fixture.json", table)
    if replayed is not None:
        write_reading(folder, replayed)


def write_reading(folder: Path, replayed: Replay) -> None:
    """Write what a driver makes of the fixture in `folder` as its reading.json."""
    _write_json(folder / "reading.json", replayed.to_json())


def _suffix(body: bytes) -> str:
    start = body.lstrip()[:1]
    return ".json" if start in (b"{", b"[") else ".html" if start == b"<" else ".txt"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
