"""``flockwatch try`` and ``flockwatch record``: one look at one miner, nothing is stored by the program."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.commands.bench import Bench, load_bench_settings, open_bench
from exporter.commands.words import device_words, firmware_words
from exporter.config_values import parse_listen
from exporter.drivers.api import Answer, Answers, DecodeContext, Driver, Identification, Request, Specificity
from exporter.drivers.fixture import Fixture, replay, to_json, write_fixture
from exporter.drivers.redact import redact_answers
from exporter.engine.exchange import Endpoint, Session
from exporter.engine.fleet import MinerRecord
from exporter.engine.merge import merge_identity, merge_readings
from exporter.engine.registry import miner_key
from exporter.errors import AuthError, MinerError, UsageError
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.page import PageStore
from exporter.model import Identity, Reading
from exporter.text import clean_text
from exporter.units import Seconds, UnixSeconds


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    endpoint: Endpoint
    driver: Driver
    identification: Identification
    identity: Identity
    reading: Reading
    answers: dict[str, Answer]
    seconds: float


def try_miner(options: argparse.Namespace) -> int:
    """Print the reading of one miner and the samples it gives."""
    look = _run(options)
    _print_reading(look)
    sys.stdout.write(_samples(look))
    return 0


def record_miner(options: argparse.Namespace) -> int:
    """Write the miner's answers, redacted, as a fixture folder."""
    look = _run(options)
    identity = look.identity
    fixture = Fixture(
        driver=look.driver.driver_type,
        model=identity.model or "unknown",
        firmware=identity.firmware_version or "unknown",
        answers=redact_answers(look.answers),
        details=look.identification.details,
        received_at=time.time(),
    )
    words = f"{fixture.model}-{fixture.firmware}".lower()
    name = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in words)
    folder = Path(options.output) / look.driver.driver_type / name
    if folder.exists():
        raise UsageError(f"{folder} is there already; move it away or name another --output")
    write_fixture(folder, fixture, replay(look.driver, fixture))
    sys.stdout.write(f"{folder}: {len(look.answers)} answers; read them once before you share them\n")
    return 0


def _run(options: argparse.Namespace) -> Look:
    settings = load_bench_settings(options.config_file)
    name: str | None = options.driver
    file = Path(name) if name is not None and name.endswith(".py") else None

    async def look() -> Look:
        async with open_bench(settings, file) as bench:
            wanted = name if file is None else _held_in(bench, file)
            return await _look(bench, _endpoint(bench, options.host, wanted), wanted)

    return asyncio.run(look())


def _held_in(bench: Bench, file: Path) -> str:
    """The type of the driver that the file holds."""
    return next(entry.driver_type for entry in bench.drivers.loaded if entry.path == file)


def _endpoint(bench: Bench, host: str, driver_name: str | None) -> Endpoint:
    ports = bench.settings.network.ports
    if ":" not in host:
        return Endpoint(host, ports.http[0], ports.cgminer[0])
    try:
        place = parse_listen(host)
    except ValueError as error:
        raise UsageError(f"{host}: {error}") from error
    tcp = driver_name is not None and bench.driver(driver_name).connection_type == "tcp"
    return Endpoint(
        place.host,
        ports.http[0] if tcp else place.port,
        place.port if tcp or driver_name is None else ports.cgminer[0],
    )


async def _look(bench: Bench, endpoint: Endpoint, driver_name: str | None) -> Look:
    begun = time.monotonic()
    if driver_name is not None:
        bench.driver(driver_name)
    await _check_name(endpoint.address)
    verdict = await bench.searcher.identify(endpoint)
    found = verdict.identification
    answers = dict(verdict.answers.items())
    if driver_name is not None and (found is None or found.driver_type != driver_name):
        refined = driver_name == "avalon" and found is not None and found.driver_type == "avalon_nano"
        if not refined:
            found = Identification(driver_name, Specificity.GENERIC, Identity() if found is None else found.identity)
    if found is None and not answers:
        raise UsageError(
            f"{endpoint.address}: nothing answers at TCP {endpoint.http_port} or {endpoint.api_port}; is the miner"
            " powered, is this its address, does a firewall let these ports through?"
        )
    if found is None:
        raise UsageError(
            f"{endpoint.address}: what answers here is no known miner; if it is one, name its driver by --driver"
            + (" (some questions failed: it may be starting)" if verdict.failed else "")
        )
    if found.driver_type is None:
        raise UsageError(f"{endpoint.address}: this is a {_describe(found.identity)}; there is no driver for it yet")
    driver = bench.driver(found.driver_type)
    identity = await bench.searcher.complete_identity(endpoint, found)
    reading = await _read(bench, Session(endpoint, driver), found, identity, answers)
    identity = merge_identity(reading.identity, identity)
    return Look(
        endpoint, driver, found, identity, replace(reading, identity=identity), answers, time.monotonic() - begun
    )


async def _check_name(host: str) -> None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host or repr(host)}: no address and no host name that is known here") from error


async def _read(
    bench: Bench, session: Session, found: Identification, identity: Identity, answers: dict[str, Answer]
) -> Reading:
    driver = session.driver
    bench.sessions.prepare(session)
    context = DecodeContext(time.time(), identity, found.details)

    async def ask(requests: tuple[Request, ...]) -> Answers:
        arrived = await bench.exchange.ask(session, requests)
        for key, answer in arrived.items():
            body = answer.body or json.dumps(answer.document).encode()
            answers[key] = Answer(body, answer.status, answer.headers)
        return arrived

    try:
        if driver.identity_requests(context):
            await ask(driver.identity_requests(context))
    except MinerError as error:
        sys.stderr.write(f"identity: {error}\n")
    try:
        status = driver.decode_status(await ask(driver.status_requests(context)), context)
    except AuthError as error:
        raise UsageError(f"{error}; name the password in FLOCKWATCH_CREDENTIALS_FILE") from error
    telemetry = None
    try:
        if driver.telemetry_requests(context):
            telemetry = driver.decode_telemetry(await ask(driver.telemetry_requests(context)), context)
    except MinerError as error:
        sys.stderr.write(f"telemetry: {error}\n")
    return merge_readings(status, telemetry)


def _describe(identity: Identity) -> str:
    return clean_text(" ".join((device_words(identity), firmware_words(identity)))) or "miner of an unknown family"


def _print_reading(look: Look) -> None:
    sys.stdout.write(
        f"{look.endpoint.address}: {_describe(look.identity)}, driver {look.driver.driver_type}"
        f" {look.driver.driver_version}, {look.seconds:.2f} s\n\n"
    )
    json.dump(to_json(look.reading), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n\n")


def _samples(look: Look) -> str:
    key, provisional = miner_key(look.identity, None, look.driver.driver_type, look.endpoint.address)
    page = PageStore(RenderOptions())
    now = time.monotonic()
    page.publish(
        MinerRecord(
            id=1,
            key=key,
            name=look.identity.hostname or key,
            driver=look.driver.driver_type,
            identity=look.identity,
            address=look.endpoint.address,
            provisional=provisional,
            up=True,
            reading=look.reading,
            expires_at=now + 60,
            poll_duration=Seconds(look.seconds),
            last_success=UnixSeconds(time.time()),
        )
    )
    return b"".join(page.write(openmetrics=False, now_monotonic=now)).decode()
