"""What a miner is asked before it is known what it offers, or how a command is planned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from exporter.drivers.api import Answer, Answers, Driver, Request
from exporter.drivers.commands import AsksFirst, CommandContext, CommandRefused, Tunes, TuningRange
from exporter.drivers.loader import DriverSet
from exporter.engine.commanding.bounds import checked_reads
from exporter.engine.commanding.device import Device
from exporter.engine.commanding.planning import commands_of
from exporter.engine.isolation import is_trusted, run_driver
from exporter.errors import FlockwatchError, InternalError, MinerError, UnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Questions:
    """Asks in the name of drivers; `drivers` are the present ones."""

    def __init__(self, drivers: Callable[[], DriverSet]) -> None:
        self._drivers = drivers

    async def for_order(
        self, driver: Driver, device: Device, context: CommandContext, command: str
    ) -> tuple[CommandContext, tuple[TuningRange, ...]]:
        """The context with what a command wants to know of the device, and its ranges where it is tuning.

        Raises:
            UnavailableError: the device does not tell.
        """
        reads = await self._reads(driver, command, context)
        if reads:
            try:
                context = replace(context, answers=await device.ask(reads))
            except MinerError as error:
                raise UnavailableError(f"the miner does not tell what it offers: {error}") from error
        return context, await self._ranges(driver, device, context) if command == "tuning" else ()

    async def for_all(
        self, driver: Driver, device: Device, context: CommandContext, miner: str
    ) -> tuple[CommandContext, tuple[TuningRange, ...]]:
        """As `for_order` for all commands of a driver; what the device does not tell is left out.

        Args:
            miner: its label, for the log.
        """
        answers: dict[str, Answer] = {}
        ranges: tuple[TuningRange, ...] = ()
        for command in commands_of(driver):
            try:
                reads = await self._reads(driver, command, context)
                missing = tuple(one for one in reads if one.key not in answers)
                answers.update((await device.ask(missing)).items() if missing else ())
                if command == "tuning":
                    ranges = await self._ranges(driver, device, context)
            except InternalError:
                raise
            except (MinerError, UnavailableError) as error:
                # A miner that does not tell this can still be restarted.
                log.info("%s is not offered: %s", command, error, extra={"miner": miner})
        return replace(context, answers=Answers(answers)), ranges

    async def _reads(self, driver: Driver, command: str, context: CommandContext) -> tuple[Request, ...]:
        if not isinstance(driver, AsksFirst):
            return ()
        try:
            return checked_reads(await self.of_driver(driver, driver.offer_reads, command, context))
        except CommandRefused:
            return ()  # the command itself says why

    async def _ranges(self, driver: Driver, device: Device, context: CommandContext) -> tuple[TuningRange, ...]:
        if not isinstance(driver, Tunes):
            return ()
        try:
            reads = checked_reads(await self.of_driver(driver, driver.tuning_reads, context))
            answers = await device.ask(reads) if reads else Answers({})
            return await self.of_driver(driver, driver.decode_tuning, answers, context)
        except CommandRefused:
            return ()  # this firmware cannot be tuned
        except MinerError as error:
            raise UnavailableError(f"the miner does not tell its ranges: {error}") from error

    async def of_driver(self, driver: Driver, function: Callable[..., T], *arguments: object) -> T:
        """Call what calls the driver, with its errors and ours told apart."""
        trusted = is_trusted(self._drivers(), driver.driver_type)
        outcome: T | FlockwatchError = await run_driver(_told, function, *arguments, trusted=trusted, owner=driver)
        if isinstance(outcome, FlockwatchError):
            raise outcome
        return outcome


def _told(function: Callable[..., T], *arguments: Any) -> T | FlockwatchError:
    """The result, or the error that was raised on purpose (others are the driver's fault and go on)."""
    try:
        return function(*arguments)
    except InternalError:
        raise
    except FlockwatchError as error:
        return error
