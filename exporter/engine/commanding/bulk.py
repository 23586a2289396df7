"""One order to many miners: so many at once, staggered, each with a result of its own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from exporter.engine.api.commands import Bulk, BulkResult, Order
from exporter.engine.commanding.desk import CONTROL_OFF, CommandDesk
from exporter.engine.commanding.planning import public_values
from exporter.engine.tasks import Tasks
from exporter.errors import FieldError, FlockwatchError, ForbiddenError, NotOfferedError, UnknownError
from exporter.units import UnixSeconds

_KEPT: Final = 20
MOST_PARALLEL: Final = 100
LONGEST_STAGGER: Final = 600.0
#: No command looks for its effect longer than this.
_LONGEST_COMMAND: Final = 3600.0


@dataclass(slots=True)
class _Run:
    """A bulk command as it goes on; `view` is what others see."""

    begun: Bulk
    results: list[BulkResult]
    state: str = "running"
    ended_at: UnixSeconds | None = None
    cancelled: bool = False

    def view(self) -> Bulk:
        results = tuple(self.results)
        counts = dict(Counter(result.state for result in results))
        return replace(self.begun, results=results, counts=counts, state=self.state, ended_at=self.ended_at)


class BulkCommands:
    """See the module. Lives on the engine's loop."""

    def __init__(self, desk: CommandDesk) -> None:
        self._desk = desk
        self._runs: dict[int, _Run] = {}
        self._tasks = Tasks()
        self._next_id = 1

    def get(self, bulk_id: int) -> Bulk | None:
        run = self._runs.get(bulk_id)
        return None if run is None else run.view()

    async def stop(self) -> None:
        """Send nothing more."""
        await self._tasks.stop()

    def start(
        self,
        targets: Sequence[tuple[int, str]],
        order: Order,
        who: str,
        *,
        dry_run: bool,
        parallel: int,
        stagger_seconds: float,
    ) -> Bulk:
        """Begin; `targets` are (id, name). See `CommandsApi.start_bulk`."""
        if not self._desk.enabled:
            raise ForbiddenError(CONTROL_OFF)
        if not 1 <= parallel <= MOST_PARALLEL:
            raise FieldError(f"parallel: must be from 1 to {MOST_PARALLEL}", "parallel")
        if not 0.0 <= stagger_seconds <= LONGEST_STAGGER:
            raise FieldError(f"stagger_seconds: must be from 0 to {LONGEST_STAGGER:g}", "stagger_seconds")
        if not targets:
            raise FieldError("miners: no miner was chosen", "miners")
        begun = Bulk(
            id=self._next_id,
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
        self._next_id += 1
        run = _Run(begun, [BulkResult(miner_id, name, "waiting") for miner_id, name in dict(targets).items()])
        self._runs[begun.id] = run
        ended = [number for number, one in self._runs.items() if one.state != "running"]
        for number in ended[: max(0, len(self._runs) - _KEPT)]:
            del self._runs[number]
        self._tasks.spawn(self._run(run, order, parallel, 0.0 if dry_run else stagger_seconds), f"bulk {begun.id}")
        return run.view()

    def cancel(self, bulk_id: int) -> Bulk:
        """See `CommandsApi.cancel_bulk`."""
        run = self._runs.get(bulk_id)
        if run is None:
            raise UnknownError(f"no bulk command has the id {bulk_id}")
        run.cancelled = run.cancelled or run.state == "running"
        return run.view()

    async def _run(self, run: _Run, order: Order, parallel: int, stagger: float) -> None:
        slots = asyncio.Semaphore(parallel)
        begun = time.monotonic() - stagger
        async with asyncio.TaskGroup() as group:
            for place in range(len(run.results)):
                await slots.acquire()
                pause = begun + stagger - time.monotonic()
                if pause > 0 and not run.cancelled:
                    await asyncio.sleep(pause)
                begun = time.monotonic()
                group.create_task(self._one(run, place, order, slots))
        run.state = "cancelled" if run.cancelled else "finished"
        run.ended_at = UnixSeconds(time.time())

    async def _one(self, run: _Run, place: int, order: Order, slots: asyncio.Semaphore) -> None:
        result = run.results[place]
        try:
            if run.cancelled:
                run.results[place] = replace(result, state="cancelled", words="nothing was sent")
            else:
                await self._send(run, place, result, order)
        except NotOfferedError as error:
            run.results[place] = replace(result, state="not offered", words=str(error))
        except (ForbiddenError, FieldError) as error:
            run.results[place] = replace(result, state="not allowed", words=str(error))
        except FlockwatchError as error:
            run.results[place] = replace(result, state="failed", words=str(error))
        finally:
            slots.release()

    async def _send(self, run: _Run, place: int, result: BulkResult, order: Order) -> None:
        if run.begun.dry_run:
            effect = await self._desk.effect(result.miner_id, order)
            run.results[place] = replace(result, state="would send", effect=effect)
            return
        command = await self._desk.start(result.miner_id, order, run.begun.who, run.begun.id)
        result = replace(result, state="running", effect=command.effect, command_id=command.id)
        run.results[place] = result
        ended = await self._desk.wait(command.id, _LONGEST_COMMAND) or command
        run.results[place] = replace(result, state=ended.state, words=ended.words)
