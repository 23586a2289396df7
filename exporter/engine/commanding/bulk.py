"""One order to many miners: so many at once, staggered, each with a result of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from exporter.engine.api.commands import Bulk, BulkResult, Order, SetPool
from exporter.engine.commanding.bounds import LONGEST_LIMIT
from exporter.engine.commanding.bulk_log import KEPT
from exporter.engine.commanding.desk import CONTROL_OFF, CommandDesk
from exporter.engine.commanding.planning import public_values
from exporter.engine.commanding.values import check_pool_form
from exporter.engine.tasks import Tasks
from exporter.errors import FieldError, FlockwatchError, ForbiddenError, NotOfferedError, TakenError, UnknownError
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

MOST_PARALLEL: Final = 100
LONGEST_STAGGER: Final = 600.0
#: No command takes longer: settling, looking for the effect, and the reads and writes before.
LONGEST_COMMAND: Final = 3.0 * LONGEST_LIMIT
#: States of results that have not come to their end.
_PENDING: Final = ("waiting", "running")


@dataclass(slots=True)
class _Run:
    """A bulk command as it goes on; `view` is what others see."""

    begun: Bulk
    results: list[BulkResult]
    state: str = "running"
    ended_at: UnixSeconds | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def view(self) -> Bulk:
        results = tuple(self.results)
        counts = dict(Counter(result.state for result in results))
        return replace(self.begun, results=results, counts=counts, state=self.state, ended_at=self.ended_at)

    def cancel(self) -> None:
        """Nothing more is sent from now on."""
        if self.state == "running":
            self.cancelled.set()
            for place, result in enumerate(self.results):
                if result.state == "waiting":
                    self.results[place] = replace(result, state="cancelled", words="nothing was sent")


class BulkCommands:
    """See the module. Lives on the engine's loop."""

    def __init__(self, desk: CommandDesk) -> None:
        self._desk = desk
        self._runs: dict[int, _Run] = {}
        self._tasks = Tasks()

    def get(self, bulk_id: int) -> Bulk | None:
        run = self._runs.get(bulk_id)
        return None if run is None else run.view()

    async def restore(self) -> None:
        """Know the commands to many miners of earlier runs of the program; the audit log has been loaded."""
        for bulk in self._desk.audit.earlier_bulks():
            shown = bulk
            if bulk.state == "running":
                shown = replace(bulk, state="interrupted")
                where = {"command": bulk.command, "who": bulk.who, "unsent": bulk.counts.get("not sent", 0)}
                log.warning("bulk %d was cut off by an end of the program; /bulk/%d", bulk.id, bulk.id, extra=where)
                await self._desk.audit.end_bulk(shown)
            self._runs[bulk.id] = _Run(shown, list(shown.results), shown.state, shown.ended_at)

    async def stop(self) -> None:
        """Send nothing more."""
        await self._tasks.stop()

    async def start(
        self,
        targets: Sequence[tuple[int, str]],
        order: Order,
        who: str,
        *,
        dry_run: bool,
        parallel: int,
        stagger_seconds: float,
    ) -> Bulk:
        """Begin; `targets` are (id, name). It is on disk on return. See `CommandsApi.start_bulk`."""
        if not self._desk.enabled:
            raise ForbiddenError(CONTROL_OFF)
        if isinstance(order, SetPool):
            check_pool_form(order.url)
        if not 1 <= parallel <= MOST_PARALLEL:
            raise FieldError(f"parallel: must be from 1 to {MOST_PARALLEL}", "parallel")
        if not 0.0 <= stagger_seconds <= LONGEST_STAGGER:
            raise FieldError(f"stagger_seconds: must be from 0 to {LONGEST_STAGGER:g}", "stagger_seconds")
        if not targets:
            raise FieldError("miners: no miner was chosen", "miners")
        results = self._first_results(dict(targets))
        self._make_room()
        begun = Bulk(
            id=self._desk.audit.next_bulk_id(),
            command=order.command,
            values=public_values(order),
            who=who,
            dry_run=dry_run,
            state="running",
            started_at=UnixSeconds(time.time()),
            ended_at=None,
            results=(),
            counts={},
        )
        run = self._runs[begun.id] = _Run(begun, results)
        if not dry_run:
            try:
                await self._desk.audit.begin_bulk(run.view())
            except BaseException:
                del self._runs[begun.id]
                raise
        self._tasks.spawn(self._run(run, order, parallel, 0.0 if dry_run else stagger_seconds), f"bulk {begun.id}")
        return run.view()

    def _first_results(self, names: dict[int, str]) -> list[BulkResult]:
        """A result for each miner: waiting, or why it is not told because another such command sees to it already.

        Raises:
            TakenError: another one sees to each of them.
        """
        taken: dict[int, tuple[int, str]] = {}
        for number, run in self._runs.items():
            if run.state == "running" and not run.begun.dry_run:
                taken |= {one.miner_id: (number, one.state) for one in run.results if one.state in _PENDING}
        others = sorted({taken[miner_id][0] for miner_id in names if miner_id in taken})
        if names.keys() <= taken.keys():
            where = ", ".join(map(str, others))
            raise TakenError(f"each of these miners waits or runs in bulk {where} already; cancel that first")
        return [
            BulkResult(miner_id, name, "failed", _words_of(*taken[miner_id]))
            if miner_id in taken
            else BulkResult(miner_id, name, "waiting")
            for miner_id, name in names.items()
        ]

    def _make_room(self) -> None:
        """Forget the oldest that have ended. Raises `TakenError` where too many run."""
        ended = [number for number, one in self._runs.items() if one.state != "running"]
        if len(self._runs) - len(ended) >= KEPT:
            raise TakenError(f"{KEPT} commands to many miners run already; wait for one, or cancel it")
        for number in ended[: max(0, len(self._runs) - KEPT + 1)]:
            del self._runs[number]

    def cancel(self, bulk_id: int) -> Bulk:
        """See `CommandsApi.cancel_bulk`."""
        run = self._runs.get(bulk_id)
        if run is None:
            raise UnknownError(f"no bulk command has the id {bulk_id}")
        run.cancel()
        return run.view()

    async def _run(self, run: _Run, order: Order, parallel: int, stagger: float) -> None:
        slots = asyncio.Semaphore(parallel)
        sent: list[asyncio.Task[None]] = []
        next_start = 0.0
        for place in range(len(run.results)):
            if run.results[place].state == "failed":
                continue  # another one sees to it
            await slots.acquire()
            await _sleep_unless(run.cancelled, next_start - time.monotonic())
            if run.cancelled.is_set():
                break
            next_start = time.monotonic() + stagger
            one = self._tasks.spawn(self._one(run, place, order), f"bulk {run.begun.id}, {run.results[place].name}")
            one.add_done_callback(lambda _: slots.release())
            sent.append(one)
        if sent:
            await asyncio.wait(sent)
        for place, result in enumerate(run.results):
            if result.state in _PENDING:  # an error of ours ended its task
                words = "an error of the program; its log says more"
                run.results[place] = replace(result, state="failed", words=words)
        state, ended_at = "cancelled" if run.cancelled.is_set() else "finished", UnixSeconds(time.time())
        if not run.begun.dry_run:
            await self._desk.audit.end_bulk(replace(run.view(), state=state, ended_at=ended_at))
        run.state, run.ended_at = state, ended_at

    async def _one(self, run: _Run, place: int, order: Order) -> None:
        result = run.results[place]
        try:
            run.results[place] = await self._sent(run, place, result, order)
        except NotOfferedError as error:
            run.results[place] = replace(result, state="not offered", words=str(error))
        except (ForbiddenError, FieldError) as error:
            run.results[place] = replace(result, state="not allowed", words=str(error))
        except FlockwatchError as error:
            run.results[place] = replace(result, state="failed", words=str(error))

    async def _sent(self, run: _Run, place: int, result: BulkResult, order: Order) -> BulkResult:
        if run.begun.dry_run:
            effect = await self._desk.effect(result.miner_id, order)
            return replace(result, state="would send", effect=effect)
        # From here on it cannot be called back: what is cancelled must never be sent.
        run.results[place] = replace(result, state="running")
        command = await self._desk.start(result.miner_id, order, run.begun.who, run.begun.id)
        result = replace(result, effect=command.effect, command_id=command.id)
        run.results[place] = replace(result, state="running")
        ended = await self._desk.wait(command.id, LONGEST_COMMAND) or command
        return replace(result, state=ended.state, words=ended.words)


def _words_of(bulk_id: int, state: str) -> str:
    """Why a miner whose result in another bulk is in `state` is not told."""
    if state == "waiting":
        return f"it waits in bulk {bulk_id} already; cancel that one first"
    return f"it is being told in bulk {bulk_id} already; wait for its end"


async def _sleep_unless(cancelled: asyncio.Event, seconds: float) -> None:
    """Sleep, and wake up at once where it is cancelled meanwhile."""
    if seconds <= 0.0:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await cancelled.wait()
