"""The commands of `FakeEngine`: each ends as confirmed at the second look at it.

What a miner offers follows from its driver (`OFFERED`). A test may put a state and words into `outcomes[miner_id]` for
a command to end otherwise, and set `control` to False for a program that only watches.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from exporter.engine.api.commands import (
    Bulk,
    BulkResult,
    CommandRun,
    OfferedCommand,
    Offers,
    Order,
    SetMode,
    SetPool,
    SetPreset,
    SetTuning,
)
from exporter.engine.commanding.planning import public_values
from exporter.engine.commanding.values import check_pool_form
from exporter.errors import (
    FieldError,
    FlockwatchError,
    ForbiddenError,
    NotOfferedError,
    TakenError,
    UnavailableError,
    UnknownError,
)

CONTROL_OFF = "control is switched off: control.enabled is false in targets.yml"
_RESTART = OfferedCommand("restart", "The miner restarts and mines again in about a minute.")
_PAUSE = OfferedCommand("pause", "The miner stops hashing and stays on the network until it is resumed.")
_RESUME = OfferedCommand("resume", "The miner hashes again.")
_LIGHT = OfferedCommand("identify", "The miner's light blinks.")
_MODES = OfferedCommand(
    "mode", "The miner changes its mode of work.", choices=(("eco", None), ("standard", None), ("turbo", None))
)
_PRESETS = OfferedCommand(
    "preset",
    "The miner applies another tuning preset; it may stop hashing for some minutes.",
    choices=(
        ("2600", None),
        ("3250", "it is above the ceiling '2600' that was set for this model"),
        ("4200", "it is not tuned yet, and the firmware applies tuned presets only"),
    ),
)
_TUNING = OfferedCommand(
    "tuning",
    "The miner runs its chips at another frequency or voltage.",
    ranges=(
        ("frequency", "Hz", 400e6, 625e6, (400e6, 490e6, 525e6, 550e6, 625e6), 525e6),
        ("core_voltage", "V", 1.0, 1.25, (), 1.15),
    ),
)
_POOL = OfferedCommand("pool", "The miner mines to another pool. It restarts for that.", slots=2)
_FAN = OfferedCommand(
    "fan", "The miner runs its fans at another speed.", ranges=(("duty", "ratio", 0.0, 1.0, (), None),)
)

#: Commands by driver; others offer none.
OFFERED: dict[str, tuple[OfferedCommand, ...]] = {
    "bitaxe": (_RESTART, _PAUSE, _RESUME, _LIGHT, _TUNING, _POOL, _FAN),
    "nerdqaxe": (_RESTART, _TUNING, _POOL, _FAN),
    "vnish": (_RESTART, _PAUSE, _RESUME, _LIGHT, _PRESETS, _POOL),
    "avalon_nano": (_RESTART, _MODES, dataclasses.replace(_POOL, slots=3)),
    "nmminer": (dataclasses.replace(_POOL, slots=1),),
}


def interrupted() -> Bulk:
    """A restart of two miners that an end of the program cut off after the first."""
    results = (
        BulkResult(1, "garage", "confirmed", None, _RESTART.effect, 1),
        BulkResult(2, "nerdqaxe-2", "not sent", "the program ended before it was told; nothing was sent"),
    )
    counts = {"confirmed": 1, "not sent": 1}
    return Bulk(7, "restart", {}, "local", False, "interrupted", time.time() - 900, None, results, counts)


class FakeCommands:
    """`CommandsApi`. `orders` are those that were taken, with the id of their miner."""

    def __init__(self, engine: Any, *, empty: bool) -> None:
        self._engine = engine
        self.control = True
        self.orders: list[tuple[int, Order]] = []
        self.outcomes: dict[int, tuple[str, str | None]] = {}
        self._looked: set[int] = set()
        self._runs: dict[int, CommandRun] = {}
        self._bulks: dict[int, Bulk] = {}
        if not empty:
            self._remember(time.time())

    def _remember(self, now: float) -> None:
        before, after = {"state": "mining", "hashrate": 1.0e12, "uptime": 86_000.0}, {"state": "mining", "uptime": 21.0}
        done = CommandRun(
            1, 1, "02:00:00:00:00:01", "garage", "restart", {}, "a signed-in browser", "confirmed", now - 900,
            now - 868, None, _RESTART.effect, before, after,
        )  # fmt: skip
        refused = dataclasses.replace(
            done, id=2, miner_id=3, miner="02:00:00:00:00:03", name="vnish-3", command="preset", bulk_id=1,
            values={"preset": "2600", "confirm_modified_psu": False}, who='token "night shift"', state="refused",
            words='{"err": "auto-tuning <b>runs</b>"}', started_at=now - 600, ended_at=now - 599, after={},
        )  # fmt: skip
        self._runs = {1: done, 2: refused}
        results = (
            BulkResult(3, "vnish-3", "refused", refused.words, _PRESETS.effect, 2),
            BulkResult(1, "garage", "not offered", "this miner does not offer 'preset'"),
        )
        self._bulks = {
            1: Bulk(1, "preset", refused.values, refused.who, False, "finished", now - 600, now - 599, results,
                    {"refused": 1, "not offered": 1}),
        }  # fmt: skip

    def enabled(self) -> bool:
        return self.control

    def offers(self, miner_id: int) -> Offers:
        self._engine.row(miner_id)
        try:
            return Offers(self._offered(miner_id))
        except FlockwatchError as error:
            return Offers(reason=str(error))

    def _offered(self, miner_id: int) -> tuple[OfferedCommand, ...]:
        if not self.control:
            raise ForbiddenError(CONTROL_OFF)
        record = self._engine.records[miner_id]
        if not (record.enabled and record.managed):
            raise ForbiddenError("the miner is retired or only listed; manage it first")
        if record.up is not True:
            raise UnavailableError("the miner does not answer now")
        return OFFERED.get(record.driver, ())

    def start(self, miner_id: int, order: Order, who: str) -> CommandRun:
        return self._start(miner_id, order, who, None)

    def _start(self, miner_id: int, order: Order, who: str, bulk_id: int | None) -> CommandRun:
        self._engine.writes()
        effect = self._checked(miner_id, order)
        if any(run.miner_id == miner_id and run.state == "running" for run in self._runs.values()):
            raise TakenError("another command runs on this miner; wait for its end")
        record, number = self._engine.records[miner_id], max(self._runs, default=0) + 1
        self._runs[number] = CommandRun(
            number, miner_id, record.key, record.name, order.command, public_values(order), who, "running",
            time.time(), None, None, effect, {"state": "mining"}, {}, bulk_id,
        )  # fmt: skip
        self.orders.append((miner_id, order))
        return self._runs[number]

    def _checked(self, miner_id: int, order: Order) -> str:
        """What the order would do; raises as `CommandsApi.start`."""
        if not self.control:
            raise ForbiddenError(CONTROL_OFF)
        self._engine.row(miner_id)
        by_name = {one.command: one for one in self._offered(miner_id)}
        offered = by_name.get(order.command)
        if offered is None:
            rest = f"it offers {', '.join(by_name)}" if by_name else "it offers no commands"
            raise NotOfferedError(f"this miner does not offer {order.command!r}; {rest}", tuple(by_name))
        if isinstance(order, SetMode | SetPreset):
            field = order.command
            choices = dict(offered.choices)
            value = order.mode if isinstance(order, SetMode) else order.preset
            if value not in choices:
                raise FieldError(f"{field}: must be one of {', '.join(choices)}", field)
            if choices[value] is not None:
                raise FieldError(f"{field}: {value} cannot be applied: {choices[value]}", field)
        if isinstance(order, SetTuning):
            self._check_tuning(order, offered)
        if isinstance(order, SetPool):
            if not order.url.startswith("stratum+"):
                raise FieldError("url: must be like stratum+tcp://pool.example:3333", "url")
            if order.slot >= (offered.slots or 0):
                raise FieldError(f"slot: must be from 0 to {(offered.slots or 0) - 1}", "slot")
        return offered.effect

    @staticmethod
    def _check_tuning(order: SetTuning, offered: OfferedCommand) -> None:
        if order.frequency is None and order.core_voltage is None:
            raise FieldError("frequency: say a frequency, a core voltage or both", "frequency")
        for name, unit, least, most, choices, _ in offered.ranges:
            value = getattr(order, name)
            if value is not None and (not least <= value <= most or (choices and value not in choices)):
                raise FieldError(f"{name}: must be from {least:g} to {most:g} {unit}", name)

    def get(self, command_id: int) -> CommandRun | None:
        run = self._runs.get(command_id)
        if run is not None and run.state == "running":
            if command_id in self._looked:
                self._end(run)
            self._looked.add(command_id)
        return self._runs.get(command_id)

    def wait(self, command_id: int, seconds: float) -> CommandRun | None:
        run = self._runs.get(command_id)
        if run is not None and run.state == "running":
            self._end(run)
        return self._runs.get(command_id)

    def _end(self, run: CommandRun) -> None:
        state, words = self.outcomes.get(run.miner_id, ("confirmed", None))
        self._runs[run.id] = dataclasses.replace(
            run, state=state, words=words, ended_at=time.time(), after={"state": "mining"}
        )

    def recent(self, miner_id: int | None = None, limit: int = 100, offset: int = 0) -> tuple[CommandRun, ...]:
        return self._of(miner_id)[offset : offset + limit]

    def count(self, miner_id: int | None = None) -> int:
        return len(self._of(miner_id))

    def _of(self, miner_id: int | None) -> tuple[CommandRun, ...]:
        newest_first = (self._runs[number] for number in sorted(self._runs, reverse=True))
        return tuple(run for run in newest_first if miner_id in (None, run.miner_id))

    def start_bulk(
        self,
        miner_ids: Sequence[int],
        order: Order,
        who: str,
        *,
        dry_run: bool = False,
        parallel: int = 10,
        stagger_seconds: float = 0.0,
    ) -> Bulk:
        self._engine.writes()
        if not self.control:
            raise ForbiddenError(CONTROL_OFF)
        if isinstance(order, SetPool):
            check_pool_form(order.url)
        if not miner_ids:
            raise FieldError("miners: no miner was chosen", "miners")
        number = max(self._bulks, default=0) + 1
        results = tuple(self._one(miner_id, order, who, number, dry_run=dry_run) for miner_id in miner_ids)
        self._bulks[number] = self._counted(
            Bulk(number, order.command, public_values(order), who, dry_run, "running", time.time(), None, results, {})
        )
        return self._bulks[number]

    def _one(self, miner_id: int, order: Order, who: str, bulk_id: int, *, dry_run: bool) -> BulkResult:
        record = self._engine.records.get(miner_id)
        name = f"miner {miner_id}" if record is None else record.name
        try:
            if dry_run:
                return BulkResult(miner_id, name, "would send", None, self._checked(miner_id, order))
            run = self._start(miner_id, order, who, bulk_id)
        except NotOfferedError as error:
            return BulkResult(miner_id, name, "not offered", str(error))
        except (ForbiddenError, FieldError) as error:
            return BulkResult(miner_id, name, "not allowed", str(error))
        except (TakenError, UnavailableError, UnknownError) as error:
            return BulkResult(miner_id, name, "failed", str(error))
        return BulkResult(miner_id, name, "running", None, run.effect, run.id)

    @staticmethod
    def _counted(bulk: Bulk) -> Bulk:
        ended = not any(result.state == "running" for result in bulk.results)
        counts = dict(Counter(result.state for result in bulk.results))
        if not ended:
            return dataclasses.replace(bulk, counts=counts)
        state = "finished" if bulk.state == "running" else bulk.state
        return dataclasses.replace(bulk, counts=counts, state=state, ended_at=bulk.ended_at or time.time())

    def bulk(self, bulk_id: int) -> Bulk | None:
        """At each look half of what runs has ended."""
        bulk = self._bulks.get(bulk_id)
        if bulk is None:
            return None
        results = list(bulk.results)
        running = [place for place, result in enumerate(results) if result.state == "running"]
        for place in running[: (len(running) + 1) // 2]:
            run = self.wait(results[place].command_id or 0, 0.0)
            if run is not None:
                results[place] = dataclasses.replace(results[place], state=run.state, words=run.words)
        self._bulks[bulk_id] = self._counted(dataclasses.replace(bulk, results=tuple(results)))
        return self._bulks[bulk_id]

    def cancel_bulk(self, bulk_id: int) -> Bulk:
        bulk = self._bulks.get(bulk_id)
        if bulk is None:
            raise UnknownError(f"no bulk command has the id {bulk_id}")
        if bulk.state == "running":
            self._bulks[bulk_id] = dataclasses.replace(bulk, state="cancelled", ended_at=time.time())
        return self._bulks[bulk_id]
