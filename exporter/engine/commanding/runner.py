"""Carries out one plan: reads, writes, then looks at the miner until the effect is seen or the time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from exporter.drivers.api import Answer, Answers, HttpRequest, Request
from exporter.drivers.commands import CommandRefused, Evidence, Plan, Write
from exporter.engine.commanding.bounds import checked_writes
from exporter.engine.commanding.device import AMBIGUOUS, words_of
from exporter.engine.isolation import run_driver
from exporter.errors import AuthError, InternalError, MinerError, StoreError
from exporter.model import Reading

T = TypeVar("T")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0


class Commanded(Protocol):
    """See `device.Device`."""

    async def ask(self, requests: tuple[Request, ...]) -> Answers: ...

    async def write(self, write: Write) -> Answer | None: ...

    async def look(self, reads: tuple[Request, ...]) -> tuple[Reading | None, Answers]: ...


class Memory(Protocol):
    """See `memory.PlanMemory`."""

    async def keep(self) -> None: ...

    async def take_back(self) -> None: ...

    async def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended ("confirmed", "refused", "unconfirmed" or "failed"), why, and what was seen last."""

    state: str
    words: str | None = None
    after: Reading | None = None


class Runner:
    """Runs the plans of one driver.

    Args:
        trusted: whether the driver is one of ours; functions of a user's run in a worker thread.
        owner: the driver.
        memory: of the plan; None where it has none.
    """

    def __init__(self, device: Commanded, owner: Any, *, trusted: bool, memory: Memory | None = None) -> None:
        self._device = device
        self._owner = owner
        self._trusted = trusted
        self._memory = memory
        self._kept = self._sent = False

    async def run(self, plan: Plan, before: Reading | None) -> Outcome:
        """Carry out `plan`. Whatever goes wrong is an outcome; nothing is sent twice unless it is safe to."""
        try:
            writes = checked_writes(await self._call(plan.writes, await self._device.ask(plan.reads)))
            doubt = await self._write_all(plan, writes)
        except MinerError as error:
            if self._memory is not None and self._kept and not self._sent:
                await self._memory.take_back()
            return _ended_by(error)
        except StoreError as error:
            return Outcome("failed", str(error))
        outcome = await self._confirm(plan, before, doubt)
        if self._memory is not None and outcome.state == "confirmed":
            await self._memory.forget()
        return outcome

    async def _write_all(self, plan: Plan, writes: tuple[Write, ...]) -> str | None:
        """Send the writes until one is refused or in doubt. Why one may not have arrived, else None.

        Raises:
            MinerError: the device said no, or a write was not sent.
            StoreError: what the device forgets cannot be stored, so nothing was sent.
        """
        if self._memory is not None and writes:
            # Before, since it must outlive whatever comes next; it is true now as well.
            await self._memory.keep()
            self._kept = True
        answers: dict[str, Answer] = {}
        for write in writes:
            try:
                answer = await self._send(write)
            except AMBIGUOUS as error:
                return str(error)  # it may have acted: the effect tells
            if answer is None:
                continue
            answers[write.request.key] = answer
            if write.check is not None:
                await self._call(write.check, answer)
            if write is not writes[-1]:
                _check_status(write, answer)  # what is built on it must not be sent
        await self._call(plan.check, Answers(answers))
        for write in writes:
            if write.request.key in answers:
                _check_status(write, answers[write.request.key])
        return None

    async def _send(self, write: Write) -> Answer | None:
        try:
            answer = await self._device.write(write)
        except AMBIGUOUS:
            self._sent = True  # or may be
            if not write.repeatable:
                raise
            return await self._device.write(write)
        self._sent = True
        return answer

    async def _confirm(self, plan: Plan, before: Reading | None, doubt: str | None) -> Outcome:
        if doubt is not None and not plan.visible:
            return Outcome("failed", doubt)
        until = time.monotonic() + plan.limit_seconds
        fault: str | None = None
        pause, went_away = _FIRST_PAUSE, False
        after: Reading | None = None
        await asyncio.sleep(min(plan.settle_seconds, plan.limit_seconds))
        while True:
            reading, answers = await self._device.look(plan.confirm_reads)
            if reading is None:
                went_away = True
            else:
                after = reading
                went_away = went_away or _restarted(before, reading)
                try:
                    if await self._call(plan.confirmed, Evidence(before, reading, answers, went_away)):
                        return Outcome("confirmed", None, after)
                    fault = None
                except InternalError as error:
                    return Outcome("failed", str(error), after)
                except MinerError as error:
                    fault = str(error)  # an answer may be cut short while the device changes
            left = until - time.monotonic()
            if left <= 0.0:
                break
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if doubt is not None or fault is not None:
            return Outcome("failed", doubt or fault, after)
        if reading is None:
            return Outcome("failed", f"the miner did not answer again within {plan.limit_seconds:g} s", after)
        words = f"the miner did not say no, and within {plan.limit_seconds:g} s the effect was not seen"
        return Outcome("unconfirmed", words, after)

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        return await run_driver(function, *arguments, trusted=self._trusted, owner=self._owner)


def _restarted(before: Reading | None, after: Reading) -> bool:
    return (
        before is not None and before.uptime is not None and after.uptime is not None and after.uptime < before.uptime
    )


def _ended_by(error: MinerError) -> Outcome:
    refused = isinstance(error, CommandRefused | AuthError)
    return Outcome("refused" if refused else "failed", str(error))


def _check_status(write: Write, answer: Answer) -> None:
    """An HTTP status that is no success is a refusal, where the driver has not said so in better words."""
    if isinstance(write.request, HttpRequest) and not 200 <= answer.status < 300:
        raise CommandRefused(words_of(answer) or f"{write.request.key}: status {answer.status}")
