"""Who is a host? As a script: the probes, and then what completes the identity as far as it needs no sign-in.

Runs in a thread for many hosts at once (see `Wire.run_scripts`), so it is for the bundled drivers only: a user's
driver is called through `run_driver`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from exporter.discovery.identify import Verdict, judging
from exporter.drivers.api import (
    Answer,
    Answers,
    Auth,
    CgminerRequest,
    DecodeContext,
    Driver,
    HttpRequest,
    Identification,
    Request,
)
from exporter.engine.exchange import Script, probe_answer
from exporter.engine.isolation import call_driver
from exporter.engine.merge import merge_identity
from exporter.errors import MinerError, Unsupported
from exporter.model import Identity
from exporter.protocols import cgminer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination found. `identity` is None where completing it needs a sign-in or has failed for now."""

    verdict: Verdict
    identity: Identity | None


def examination(
    drivers: Mapping[str, Driver],
    ordered: tuple[Driver, ...],
    probes: tuple[Request, ...],
    *,
    http_open: bool,
    api_open: bool,
) -> Script[Examined]:
    """The script for one host; `ordered` are the drivers in the order of their judging."""
    verdict = yield from _read_replies(judging(ordered, probes, http_open=http_open, api_open=api_open))
    found = verdict.identification
    if found is None:
        return Examined(verdict, None)
    driver = drivers.get(found.driver_type or "")
    if driver is None:
        return Examined(verdict, found.identity)
    try:
        identity = yield from _completion(driver, found, verdict.answers)
    except MinerError as error:
        log.info("identity incomplete: %s", error)
        identity = found.identity
    return Examined(verdict, identity)


def _read_replies(
    course: Generator[Request, Answer | MinerError, Verdict],
) -> Generator[Request, Answer | MinerError, Verdict]:
    """`course`, sent CGMiner replies that are parsed."""
    came: Answer | MinerError | None = None
    while True:
        try:
            request = next(course) if came is None else course.send(came)
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict
        came = yield request
        if isinstance(came, Answer) and isinstance(request, CgminerRequest):
            came = probe_answer(request, came.body)


def _completion(
    driver: Driver, found: Identification, probed: Answers
) -> Generator[Request, Answer | MinerError, Identity | None]:
    """Ask what the driver wants to know beside the probes' answers.

    Raises:
        MinerError: a required request failed, or the driver could not read an answer.
    """
    context = DecodeContext(time.time(), found.identity, found.details)
    requests = call_driver(driver.identity_requests, context)
    if not requests:
        return found.identity
    answers = reusable(probed)
    left = [request for request in requests if request.key not in answers]
    if any(
        isinstance(request, HttpRequest) and (request.auth is not Auth.NONE or request.otherwise) for request in left
    ):
        return None
    for request in left:
        came = yield request
        if isinstance(came, Answer):
            came = _checked(request, came)
        if isinstance(came, Answer):
            answers[request.key] = came
        elif came.transient:
            return None  # the driver's own rules may be more patient
        elif not request.optional:
            raise came
    return merge_identity(call_driver(driver.decode_identity, Answers(answers), context), found.identity)


def _checked(request: Request, answer: Answer) -> Answer | MinerError:
    """`answer`, or why it is none to a poll's request."""
    if isinstance(request, CgminerRequest):
        answer = probe_answer(request, answer.body)
    if _is_good(request.key, answer):
        return answer
    return Unsupported(f"{request.key}: status {answer.status}, or refused")


def reusable(probed: Answers) -> dict[str, Answer]:
    """The probes' answers that would also be answers to a poll's requests."""
    return {key: answer for key, answer in probed.items() if _is_good(key, answer)}


def _is_good(key: str, answer: Answer) -> bool:
    if key.startswith("rpc "):
        return isinstance(answer.document, dict) and not cgminer.refused(answer.document)
    return 200 <= answer.status < 300
