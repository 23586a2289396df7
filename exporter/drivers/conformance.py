"""What every driver owes the rest of the program, tried on a fixture with its answers broken in many ways.

A driver may raise `MinerError`, and nothing else; it never lets garbage through as a figure or a text; it sends
nothing but reads; and it claims no device of another family.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from exporter.drivers.api import (
    REQUIRED_METADATA,
    Answer,
    Answers,
    DecodeContext,
    DescribesModel,
    Driver,
    Request,
    may_write,
)
from exporter.drivers.fixture import Fixture, Replay, replay, request_keys
from exporter.errors import InternalError, MinerError
from exporter.model import Reading
from exporter.protocols.tolerant_json import parse_json

_WRONG: Final[tuple[Any, ...]] = (
    *(None, True, "garbage", "", -1, 1e23, math.inf, math.nan, 10**30),
    *([], {}, [None]),
)
#: Figures that only grow or only count: never below zero.
_COUNTS: Final = frozenset(
    {
        "accepted", "rejected", "stale", "difficulty_accepted", "jobs_received", "connection_failures", "hashes",
        "hardware_errors", "duplicate_nonces", "blocks_found", "uptime", "mining_uptime", "speed", "fan_speed",
        "hashrate", "hashrate_average", "hashrate_expected", "hashrate_nameplate", "chips_working", "chips_expected",
        "fans_expected", "boards_expected", "energy", "power", "power_limit", "best_share_difficulty",
        "session_best_share_difficulty", "network_difficulty", "difficulty", "response_time", "last_share",
        "frequency", "memory_free", "rejections", "chips_bad",
    }
)  # fmt: skip
_NO_TEXT: Final = frozenset({"none", "null", "nan", "undefined", ""})
_LONGEST_TEXT: Final = 256
#: What a faulty driver raises instead of a MinerError.
ESCAPES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
_ROUTER: Final = b"<!DOCTYPE html><html><head><title>Router</title></head><body>Sign in</body></html>"


def check_driver(driver: Driver, fixture: Fixture) -> list[str]:
    """The faults of `driver` on `fixture`; empty where it keeps the contract."""
    faults = [f"metadata {name} is missing" for name in REQUIRED_METADATA if not hasattr(driver, name)]
    faults += [f"ignored key {pattern!r} has no reason" for pattern, reason in driver.ignored_keys if not reason]
    faults += _writes(driver, fixture)
    faults += _expected(driver, fixture)
    for place, broken in _broken_fixtures(fixture):
        faults += [f"{place}: {fault}" for fault in _run(driver, broken)]
    faults += _claims_anything(driver)
    return faults


def check_without_device(driver: Driver) -> list[str]:
    """The faults that show without any answer of a device of its own."""
    nothing = Fixture(driver.driver_type, "none", "none", {})
    requests = (request for request in driver.probes if may_write(request))
    faults = [f"ignored key {pattern!r} has no reason" for pattern, reason in driver.ignored_keys if not reason]
    faults += [f"{request.key} may write, and is a probe" for request in requests]
    faults += [f"without any answer: {fault}" for fault in _run(driver, nothing)]
    return faults + _claims_anything(driver)


def check_foreign(driver: Driver, owner: Driver, fixture: Fixture) -> list[str]:
    """The faults where `driver` claims the device of `owner` at least as surely as `owner` does."""
    own = owner.identify(_probe_answers(owner, fixture))
    found = driver.identify(_probe_answers(driver, fixture))
    if own is None or found is None or found.driver_type in (None, own.driver_type):
        return []
    if found.specificity < own.specificity:
        return []
    return [f"{driver.driver_type} claims {fixture.driver}/{fixture.model} with {found.specificity.name}"]


def _probe_answers(driver: Driver, fixture: Fixture) -> Answers:
    keys = request_keys(driver.probes)
    return Answers({key: Answer(a.body, a.status, a.headers) for key, a in fixture.answers.items() if key in keys})


def reading_faults(value: Any, place: str = "reading") -> Iterator[str]:
    """What no reading may hold: infinities, NaN, negative counts, the word None, unbounded text."""
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            held = getattr(value, item.name)
            if held is not None:  # as most are
                yield from reading_faults(held, f"{place}.{item.name}")
    elif isinstance(value, tuple):
        for part in value:
            yield from reading_faults(part, place)
    elif isinstance(value, bool):
        return
    elif isinstance(value, (int, float)):
        if not math.isfinite(value):
            yield f"{place} is {value}"
        elif value < 0 and place.rpartition(".")[2] in _COUNTS:
            yield f"{place} is negative: {value}"
    elif isinstance(value, str) and _bad_text(value):
        yield f"{place} holds {value[:40]!r}"


def _bad_text(value: str) -> bool:
    return value.strip().lower() in _NO_TEXT or len(value) > _LONGEST_TEXT or not value.isprintable()


def _run(driver: Driver, fixture: Fixture) -> list[str]:
    try:
        result = replay(driver, fixture)
    except InternalError as error:
        return [f"InternalError: {error}"]
    except MinerError:
        return []
    except ESCAPES as error:
        return [f"{type(error).__name__} escaped: {error}"]
    return list(_result_faults(result))


def _result_faults(result: Replay) -> Iterator[str]:
    for name in ("identity", "status", "telemetry"):
        yield from reading_faults(getattr(result, name), name)
    for reading in result.stream:
        yield from reading_faults(reading, "stream")
    if result.identification is not None:
        yield from reading_faults(result.identification.identity, "identification")


def _expected(driver: Driver, fixture: Fixture) -> list[str]:
    try:
        result = replay(driver, fixture)
    except MinerError as error:
        return [f"the fixture itself fails: {type(error).__name__}: {error}"]
    faults = list(_result_faults(result))
    if result.status == Reading():
        faults.append("the status tells nothing")
    if fixture.expected is None:
        return [*faults, "the fixture has no reading.json"]
    ours = json.loads(json.dumps(result.to_json()))
    wanted = fixture.expected
    faults += [
        f"{part} differs from reading.json: {_difference(wanted.get(part), ours.get(part))}"
        for part in sorted({*ours, *wanted})
        if ours.get(part) != wanted.get(part)
    ]
    return faults


def _difference(expected: Any, got: Any, place: str = "") -> str:
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted({*expected, *got}):
            if expected.get(key) != got.get(key):
                return _difference(expected.get(key), got.get(key), f"{place}.{key}")
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (left, right) in enumerate(zip(expected, got, strict=True)):
            if left != right:
                return _difference(left, right, f"{place}[{index}]")
    return f"{place}: expected {expected!r}, got {got!r}"


def _writes(driver: Driver, fixture: Fixture) -> list[str]:
    """Requests of the loops, and those that ask for the model, that could change a device."""
    context = DecodeContext(fixture.received_at, details=fixture.details)
    requests: list[Request] = [*driver.probes]
    if not fixture.stream:
        requests += [*driver.identity_requests(context), *driver.status_requests(context)]
        requests += driver.telemetry_requests(context)
        requests += driver.model_requests(context) if isinstance(driver, DescribesModel) else ()
    return [f"{request.key} may write" for request in requests if may_write(request)]


# --- broken answers --------------------------------------------------------------------------------------------


def _broken_fixtures(fixture: Fixture) -> Iterator[tuple[str, Fixture]]:
    for key, answer in fixture.answers.items():
        others = {name: value for name, value in fixture.answers.items() if name != key}
        yield f"{key} missing", replace(fixture, answers=others)
        for what, body in broken_bodies(answer.body):
            changed = Answer(body, answer.status, answer.headers)
            yield f"{key} {what}", replace(fixture, answers={**fixture.answers, key: changed})
    for index, data in enumerate(fixture.stream):
        for what, body in broken_bodies(data):
            pieces = (*fixture.stream[:index], body, *fixture.stream[index + 1 :])
            yield f"piece {index} {what}", replace(fixture, stream=pieces)


def broken_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the answer with it: cut, without a key, with a wrong value, and so on."""
    for fifth in range(1, 5):
        yield f"cut at {fifth}/5", body[: len(body) * fifth // 5]
    yield from (("empty", b""), ("HTML", _ROUTER), ("binary", bytes(range(256))), ("null", b"null"))
    try:
        document = parse_json(body)
    except ValueError:
        return
    for wrong in _WRONG:
        yield f"is {wrong!r}", _encoded(wrong)
    for path in _places(document):
        shown = ".".join(map(str, path))
        yield f"without {shown}", _encoded(_changed(document, path, None, drop=True))
        for wrong in _WRONG:
            yield f"{shown} = {wrong!r}", _encoded(_changed(document, path, wrong))


def _places(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key; of a list the first and the last entry."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        entries = list(document.items())
    elif isinstance(document, list):
        entries = [(index, document[index]) for index in sorted({0, len(document) - 1}) if document]
    for key, value in entries:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _changed(document: Any, path: tuple[str | int, ...], value: Any, *, drop: bool = False) -> Any:
    changed = copy.copy(document)
    if len(path) == 1:
        if drop:
            del changed[path[0]]
        else:
            changed[path[0]] = value
    else:
        changed[path[0]] = _changed(document[path[0]], path[1:], value, drop=drop)
    return changed


def _encoded(document: Any) -> bytes:
    """JSON; an infinity is written as a number too large for a float, which is how it gets past a JSON parser."""
    return json.dumps(document).replace("Infinity", "1e999").encode()


def _claims_anything(driver: Driver) -> list[str]:
    """Hosts that answer everything alike are nobody's miner."""
    faults = []
    for body in (_ROUTER, b"{}", b"[]", b"null", b'"ok"', b"", b'{"error":"not found"}', bytes(range(256))):
        answers = Answers({key: Answer(body) for key in request_keys(driver.probes)})
        try:
            found = driver.identify(answers)
        except MinerError:
            continue
        if found is not None:
            faults.append(f"identifies a host that answers {body[:24]!r} to everything")
    return faults
