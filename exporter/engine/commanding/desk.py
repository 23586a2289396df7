"""Takes orders for miners: checks them, notes them, carries them out one at a time for each miner."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

from exporter.config import Settings
from exporter.drivers.api import DecodeContext, Driver
from exporter.drivers.commands import CommandContext, Plan
from exporter.drivers.loader import DriverSet
from exporter.engine.api.commands import CommandRun, Offers, Order, SetPool
from exporter.engine.commanding.audit import AuditLog
from exporter.engine.commanding.certainty import make_sure, without_secrets
from exporter.engine.commanding.device import Device
from exporter.engine.commanding.memory import PlanMemory
from exporter.engine.commanding.offers import offers_of
from exporter.engine.commanding.planning import make_plan, named_for, public_values
from exporter.engine.commanding.questions import Questions
from exporter.engine.commanding.runner import Outcome, Runner
from exporter.engine.commanding.summary import summary
from exporter.engine.commanding.values import Limits
from exporter.engine.exchange import Exchange
from exporter.engine.flock import Flock, talks_by_itself
from exporter.engine.isolation import is_trusted
from exporter.engine.miner import Miner, record_of
from exporter.engine.sessions import Sessions
from exporter.engine.tasks import Tasks
from exporter.errors import (
    ForbiddenError,
    MinerError,
    NotOfferedError,
    TakenError,
    UnavailableError,
    UnknownError,
)
from exporter.model import ModelInfo
from exporter.store.database import Database

log = logging.getLogger(__name__)

CONTROL_OFF: Final = "control is switched off: control.enabled is false in targets.yml"


class CommandMeter(Protocol):
    """The self metric of commands."""

    def command_ended(self, driver: str, command: str, result: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Shop:
    """What the desk works with; settings and drivers change at a reload."""

    db: Database
    flock: Flock
    exchange: Exchange
    sessions: Sessions
    settings: Callable[[], Settings]
    drivers: Callable[[], DriverSet]
    meter: CommandMeter


@dataclass(frozen=True, slots=True)
class _Job:
    """An order that was found possible."""

    miner: Miner
    order: Order
    device: Device
    driver: Driver
    context: CommandContext
    plan: Plan
    trusted: bool
    secrets: tuple[str, ...] = field(repr=False)


class CommandDesk:
    """See the module. Lives on the engine's loop."""

    def __init__(self, shop: Shop, audit: AuditLog) -> None:
        self._shop = shop
        self.audit = audit
        self._busy: set[int] = set()
        self._ended: dict[int, asyncio.Event] = {}
        self._tasks = Tasks()
        self._stopped = False
        self._questions = Questions(shop.drivers)

    @property
    def enabled(self) -> bool:
        return self._shop.settings().control.enabled

    async def stop(self) -> None:
        """Give up what runs; the log says so at the next start."""
        self._stopped = True
        await self._tasks.stop()

    # --- what is offered ---

    async def offers(self, miner_id: int) -> Offers:
        """See `CommandsApi.offers`."""
        miner = self._known(miner_id)
        if not self.enabled:
            return Offers(reason=CONTROL_OFF)
        try:
            driver, device, context = self._approach(miner)
            context, ranges = await self._questions.for_all(driver, device, context, miner.row.key)
            of_driver = self._questions.of_driver
            return await of_driver(driver, offers_of, driver, context, ranges, self._limits(miner))
        except (ForbiddenError, UnavailableError, MinerError) as error:
            return Offers(reason=str(error))

    # --- one command ---

    async def start(self, miner_id: int, order: Order, who: str, bulk_id: int | None = None) -> CommandRun:
        """See `CommandsApi.start`."""
        miner = self._miner(miner_id)
        if miner_id in self._busy:
            raise TakenError("another command runs on this miner; wait for its end")
        self._busy.add(miner_id)
        try:
            self._approach(miner)
            await make_sure(miner)
            job = await self._prepare(miner, order)  # from what the miner told just now
            record = record_of(miner)
            run = await self.audit.begin(
                miner_id=miner_id,
                miner=record.key,
                name=record.name,
                command=order.command,
                values=public_values(job.order),
                who=who,
                effect=job.plan.effect,
                before=summary(job.context.reading),
                bulk_id=bulk_id,
            )
        except BaseException:
            self._busy.discard(miner_id)
            raise
        self._ended[run.id] = asyncio.Event()
        self._tasks.spawn(self._carry_out(job, run), f"command {run.id}")
        return run

    async def effect(self, miner_id: int, order: Order) -> str:
        """What an order would do, without doing it. Raises as `start`."""
        miner = self._miner(miner_id)
        return (await self._prepare(miner, order)).plan.effect

    async def wait(self, run_id: int, seconds: float) -> CommandRun | None:
        """The command once it has ended, or as it is after `seconds`."""
        ended = self._ended.get(run_id)
        if ended is not None:
            try:
                async with asyncio.timeout(seconds):
                    await ended.wait()
            except TimeoutError:
                return self.audit.get(run_id)
        return self.audit.get(run_id)

    async def _carry_out(self, job: _Job, run: CommandRun) -> None:
        outcome = Outcome("failed", "an error of the program; its log says more")
        if job.plan.goes_away:
            job.miner.state.away_until = time.monotonic() + job.plan.limit_seconds
        try:
            memory = PlanMemory(self._shop.db, self._shop.flock, job.miner, job.plan.remember)
            runner = Runner(job.device, job.driver, trusted=job.trusted, memory=memory)
            outcome = await runner.run(job.plan, job.context.reading)
            if outcome.words is not None:
                outcome = replace(outcome, words=without_secrets(outcome.words, job.secrets))
        except asyncio.CancelledError:
            outcome = Outcome("interrupted", "the program ended before the command did")
            raise
        finally:
            self._busy.discard(run.miner_id)
            self._shop.meter.command_ended(job.driver.driver_type, run.command, outcome.state)
            where = {"miner": run.miner, "command": run.command, "who": run.who, "state": outcome.state}
            log.info("command ended: %s", outcome.words or outcome.state, extra=where)
            await self.audit.end(run, outcome.state, outcome.words, summary(outcome.after))
            self._ended.pop(run.id).set()

    # --- getting ready ---

    def _miner(self, miner_id: int) -> Miner:
        if not self.enabled:
            raise ForbiddenError(CONTROL_OFF)
        return self._known(miner_id)

    def _known(self, miner_id: int) -> Miner:
        miner = self._shop.flock.get(miner_id)
        if miner is None:
            raise UnknownError(f"no miner has the id {miner_id}")
        return miner

    def _approach(self, miner: Miner) -> tuple[Driver, Device, CommandContext]:
        row, shop = miner.row, self._shop
        if not (row.enabled and row.managed):
            raise ForbiddenError("the miner is retired or only listed; manage it first")
        driver = shop.drivers().drivers.get(row.driver)
        if driver is None:
            raise UnavailableError(f"there is no driver {row.driver} now; see the drivers page")
        poller = miner.poller
        alone = talks_by_itself(driver, row)
        if not shop.flock.is_alive(miner) or row.address is None or (poller is None and not alone):
            raise UnavailableError("the miner does not answer now")
        known = () if poller is None else shop.sessions.candidates(poller.session, row.id)
        reading = miner.stream[0] if miner.stream is not None else poller.reading() if poller is not None else None
        context = CommandContext(
            DecodeContext(time.time(), miner.state.identity, miner.state.details),
            reading=reading,
            model=self._model(miner),
            address=row.address,
            web_username=(known[0].username or driver.default_username) if known else None,
            web_password=known[0].password.reveal() if known else None,
            remembered=shop.db.memories.of(row.id),
        )
        obstacle = partial(self._obstacle, miner, row.address)
        return driver, Device(miner, None if alone else poller, shop.exchange, row.address, obstacle), context

    def _obstacle(self, miner: Miner, address: str) -> str | None:
        """Why nothing may be sent to a miner any more, whatever was allowed when its command began."""
        row = miner.row
        if self._stopped:
            return "the program ends"
        if not self.enabled:
            return CONTROL_OFF
        if self._shop.flock.get(row.id) is not miner:
            return "the miner was forgotten"
        if not (row.enabled and row.managed):
            return "the miner is retired or only listed by now"
        return None if row.address == address else "the miner has another address by now"

    async def _prepare(self, miner: Miner, order: Order) -> _Job:
        order = named_for(order, record_of(miner).name)
        driver, device, context = self._approach(miner)
        secrets = _secrets(order, context)
        try:
            plan = await self._plan(miner, driver, device, context, order)
        except MinerError as error:
            raise UnavailableError(without_secrets(str(error), secrets)) from None
        except NotOfferedError as error:
            raise NotOfferedError(without_secrets(str(error), secrets), error.offered) from None
        trusted = is_trusted(self._shop.drivers(), driver.driver_type)
        return _Job(miner, order, device, driver, context, plan, trusted, secrets)

    async def _plan(self, miner: Miner, driver: Driver, device: Device, context: CommandContext, order: Order) -> Plan:
        questions, limits = self._questions, self._limits(miner)
        asked, ranges = await questions.for_order(driver, device, context, order.command)
        try:
            return await questions.of_driver(driver, make_plan, driver, order, asked, ranges, limits)
        except NotOfferedError:
            # What it offers instead is known once it was asked for all of that.
            asked, ranges = await questions.for_all(driver, device, context, miner.row.key)
            return await questions.of_driver(driver, make_plan, driver, order, asked, ranges, limits)

    def _model(self, miner: Miner) -> ModelInfo | None:
        alias = miner.row.model_alias
        row = None if alias is None else self._shop.db.models.get(alias)
        if row is None:
            return None
        return ModelInfo(row.alias, row.name, row.algorithm, row.boards, row.chips_per_board, row.presets)

    def _limits(self, miner: Miner) -> Limits:
        alias = miner.row.model_alias
        row = None if alias is None else self._shop.db.models.get(alias)
        require = self._shop.settings().control.require_max_preset
        return Limits(None if row is None else row.max_preset, require)


def _secrets(order: Order, context: CommandContext) -> tuple[str, ...]:
    """What must not come back in words that are shown or logged."""
    pool = (order.password.reveal(),) if isinstance(order, SetPool) else ()
    return (*pool, context.web_password) if context.web_password else pool
