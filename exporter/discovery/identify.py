"""What is a host? Every driver's probes, merged and asked once; the most specific answer wins."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from exporter.drivers.api import (
    Answer,
    Answers,
    CgminerRequest,
    Driver,
    HttpRequest,
    Identification,
    Request,
    Specificity,
)
from exporter.errors import MinerError, RequestTimeoutError

log = logging.getLogger(__name__)

Ask = Callable[[Request], Awaitable[Answer]]
"""Sends one probe and returns its answer whatever the status; raises `MinerError`."""

#: A server that lets this many probes time out is left.
_MAX_TIMEOUTS: Final = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of probing one host.

    Attributes:
        identification: the best match, None where no driver and no known family fits.
        failed: a probe failed in a way that may pass (time-out, refused), so "no miner" is not certain.
        answers: everything that was answered, for diagnostics.
    """

    identification: Identification | None
    failed: bool
    answers: Answers


def merged_probes(drivers: Iterable[Driver]) -> tuple[Request, ...]:
    """The union of all drivers' probes, each once: HTTP first, then by the place in its driver's list."""
    ranked: dict[str, tuple[int, int, Request]] = {}
    for driver in drivers:
        for place, probe in enumerate(driver.probes):
            rank = (0 if isinstance(probe, HttpRequest) else 1, place)
            if probe.key not in ranked or rank < ranked[probe.key][:2]:
                ranked[probe.key] = (*rank, probe)
    return tuple(entry[2] for entry in sorted(ranked.values(), key=lambda entry: entry[:2]))


async def identify_host(
    drivers: tuple[Driver, ...],
    probes: tuple[Request, ...],
    ask: Ask,
    *,
    http_open: bool,
    api_open: bool,
) -> Verdict:
    """Ask `probes` one after the other until an identification is certain.

    Args:
        probes: from `merged_probes(drivers)`.
        http_open: whether the HTTP port answers; its probes are left out otherwise.
        api_open: the same for the CGMiner port.
    """
    collected: dict[str, Answer] = {}
    best: Identification | None = None
    failed = False
    timeouts = 0
    for probe in probes:
        if not (api_open if isinstance(probe, CgminerRequest) else http_open):
            continue
        try:
            collected[probe.key] = await ask(probe)
        except MinerError as error:
            failed = failed or error.transient
            if isinstance(error, RequestTimeoutError):
                timeouts += 1
                if timeouts >= _MAX_TIMEOUTS:
                    break
            continue
        best = _best(drivers, Answers(collected), best)
        if best is not None and best.specificity >= Specificity.CERTAIN:
            break
    return Verdict(best, failed, Answers(collected))


def _best(drivers: tuple[Driver, ...], answers: Answers, best: Identification | None) -> Identification | None:
    for driver in drivers:
        try:
            found = driver.identify(answers)
        except MinerError as error:
            log.debug("driver %s could not judge a host: %s", driver.driver_type, error)
            continue
        except Exception:
            # A user's driver file must not keep the others from finding miners.
            log.warning("driver %s failed to judge a host", driver.driver_type, exc_info=True)
            continue
        if found is not None and (best is None or found.specificity >= best.specificity):
            if best is not None and found.specificity == best.specificity and found.driver_type != best.driver_type:
                continue
            best = found
    return best
