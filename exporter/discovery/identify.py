"""What is a host? Every driver's probes, merged and asked once; the most specific answer wins."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
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

#: Statuses that say no more than that the device lacks the page.
_NO_SUCH_PAGE: Final = frozenset({404, 405, 501})
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


def judging(
    drivers: tuple[Driver, ...], probes: tuple[Request, ...], *, http_open: bool, api_open: bool
) -> Generator[Request, Answer | MinerError, Verdict]:
    """The course of an identification without its I/O: yields probes one after the other until one is certain.

    A driver judges whenever one of its own probes was answered by more than "no such page". `Specificity.STOCK` and
    better waits for the other probes of its driver, in which imitators show, and for drivers that have had no say
    yet; then it stands.

    Args:
        probes: from `merged_probes(drivers)`.
        http_open: whether the HTTP port answers; its probes are left out otherwise.
        api_open: the same for the CGMiner port.
    """
    due = [probe for probe in probes if (api_open if isinstance(probe, CgminerRequest) else http_open)]
    bench = _Bench(drivers)
    failed = False
    timeouts = 0
    while due:
        probe = due.pop(0)
        answer = yield probe
        if isinstance(answer, MinerError):
            failed = failed or answer.transient
            if isinstance(answer, RequestTimeoutError):
                timeouts += 1
                if timeouts >= _MAX_TIMEOUTS:
                    break
            continue
        bench.judge(probe.key, answer)
        best = bench.best
        if best is None or best.specificity < Specificity.STOCK:
            continue
        if best.specificity >= Specificity.CERTAIN or bench.settled(due):
            break
    return Verdict(bench.best, failed, Answers(bench.collected))


async def identify_host(
    drivers: tuple[Driver, ...],
    probes: tuple[Request, ...],
    ask: Ask,
    *,
    http_open: bool,
    api_open: bool,
) -> Verdict:
    """Identify one host with `ask`; the arguments and the rules are those of `judging`."""
    course = judging(drivers, probes, http_open=http_open, api_open=api_open)
    reply: Answer | MinerError | None = None
    while True:
        try:
            probe = next(course) if reply is None else course.send(reply)
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict
        try:
            reply = await ask(probe)
        except MinerError as error:
            reply = error


@functools.lru_cache(maxsize=1)  # thousands of hosts are judged by the same drivers
def _askers(drivers: tuple[Driver, ...]) -> dict[str, tuple[Driver, ...]]:
    """Who asks for each probe, by its key; under "" those that list none."""
    askers: dict[str, tuple[Driver, ...]] = {}
    for driver in drivers:
        for key in [probe.key for probe in driver.probes] or [""]:
            askers[key] = (*askers.get(key, ()), driver)
    return askers


class _Bench:
    """The drivers that judge one host, and the last word of each."""

    def __init__(self, drivers: tuple[Driver, ...]) -> None:
        self._askers = _askers(drivers)
        self._always = self._askers.get("", ())
        self._heard: set[str] = set()
        self._said: dict[str, Identification] = {}  # in the order in which they first spoke
        self.collected: dict[str, Answer] = {}

    def judge(self, key: str, answer: Answer) -> None:
        """Let those who asked for `key` judge what has arrived so far."""
        self.collected[key] = answer
        askers = self._askers.get(key, ()) + self._always
        self._heard.update(driver.driver_type for driver in askers)
        if answer.status in _NO_SUCH_PAGE:
            return
        answers = Answers(self.collected)
        for driver in askers:
            try:
                found = driver.identify(answers)
            except MinerError as error:
                log.debug("driver %s could not judge a host: %s", driver.driver_type, error)
            except Exception:
                # A user's driver file must not keep the others from finding miners.
                log.warning("driver %s failed to judge a host", driver.driver_type, exc_info=True)
            else:
                if found is None:
                    self._said.pop(driver.driver_type, None)
                    continue
                self._said[driver.driver_type] = found
                if found.specificity >= Specificity.CERTAIN:
                    return

    @property
    def best(self) -> Identification | None:
        """The most specific word; of equal ones that of the driver that spoke first."""
        return max(self._said.values(), key=lambda found: found.specificity, default=None)

    def settled(self, due: Iterable[Request]) -> bool:
        """Whether none of the probes that are `due` is asked for by the best driver or by one without a say yet."""
        waited_for = max(self._said, key=lambda name: self._said[name].specificity)
        return not any(
            driver.driver_type == waited_for or driver.driver_type not in self._heard
            for probe in due
            for driver in self._askers.get(probe.key, ())
        )
