"""Commands to many miners in the log of commands: their lines, and what a later run of the program makes of them. Pure.

A bulk has a line when it begins, with everyone it is for, and one when it has ended, with those that no command was
sent to. What became of the others stands in the lines of their commands. A new file begins with the bulks that still
run: the line for their begin again, with what became of those that were told already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from exporter.engine.api.commands import BULK_RESULT_STATES, BULK_STATES, STATES, Bulk, BulkResult, CommandRun
from exporter.units import UnixSeconds

#: Bulks that are known, apart from those that run.
KEPT: Final = 20
#: Of a command that had not ended when the program did.
CUT_OFF: Final = "the program ended before the command did"
_UNSENT: Final = "the program ended before it was told; nothing was sent"


def begun_line(bulk: Bulk) -> dict[str, Any]:
    """The line for the begin of a bulk; no secret is in it."""
    names = ("id", "state", "command", "values", "who", "started_at")
    miners = [[result.miner_id, result.name] for result in bulk.results]
    return {"bulk": {name: getattr(bulk, name) for name in names} | {"miners": miners}}


def begun_again_line(bulk: Bulk) -> dict[str, Any]:
    """The line for the begin of a bulk that runs, with those that a command was sent to, together by the outcome."""
    told: dict[tuple[str, str | None, str | None], list[tuple[int, int]]] = {}
    for result in bulk.results:
        if result.command_id is not None:
            outcome = (result.state, result.words, result.effect)
            told.setdefault(outcome, []).append((result.miner_id, result.command_id))
    groups = [
        {"state": state, "words": words, "effect": effect, "miners": pairs}
        for (state, words, effect), pairs in told.items()
    ]
    return {"bulk": begun_line(bulk)["bulk"] | {"told": groups}}


def ended_line(bulk: Bulk) -> dict[str, Any]:
    """The line for the end of a bulk. Those that no command was sent to stand together by the reason."""
    untold: dict[tuple[str, str | None], list[int]] = {}
    for result in bulk.results:
        if result.command_id is None:
            untold.setdefault((result.state, result.words), []).append(result.miner_id)
    groups = [{"state": state, "words": words, "miners": ids} for (state, words), ids in untold.items()]
    return {"bulk": {"id": bulk.id, "state": bulk.state, "ended_at": bulk.ended_at, "untold": groups}}


@dataclass(slots=True)
class _Noted:
    """A bulk as far as it stands in the log; results by miner."""

    bulk: Bulk
    results: dict[int, BulkResult]

    def told(self, run: CommandRun) -> None:
        if (result := self.results.get(run.miner_id)) is not None:
            self.results[run.miner_id] = replace(
                result, state=run.state, words=run.words, effect=run.effect, command_id=run.id
            )


class RunningBulks:
    """What a new file must begin with: the bulks that run, as far as they stand in the log."""

    def __init__(self) -> None:
        self._bulks: dict[int, _Noted] = {}

    def begun(self, bulk: Bulk) -> None:
        """A bulk whose begin is in the log."""
        self._bulks[bulk.id] = _Noted(bulk, {result.miner_id: result for result in bulk.results})

    def told(self, run: CommandRun) -> None:
        """A command that is in the log."""
        if run.bulk_id is not None and (noted := self._bulks.get(run.bulk_id)) is not None:
            noted.told(run)

    def ended(self, bulk_id: int) -> None:
        """A bulk needs no begin any more."""
        self._bulks.pop(bulk_id, None)

    def lines(self) -> list[dict[str, Any]]:
        """Their lines, oldest first."""
        bulks = self._bulks.values()
        return [begun_again_line(replace(one.bulk, results=tuple(one.results.values()))) for one in bulks]


class EarlierBulks:
    """Puts bulks together from the lines of the log, which are given in their order."""

    def __init__(self) -> None:
        self._bulks: dict[int, _Noted] = {}
        self.last_id = 0

    def take(self, line: Mapping[str, Any]) -> None:
        """A line about a bulk, as `begun_line`, `begun_again_line` and `ended_line` make them.

        Raises:
            KeyError, TypeError, ValueError: it was changed by hand so that it could not be shown.
        """
        if "miners" in line:
            self._begun(line)
        else:
            self._ended(line)

    def told(self, run: CommandRun) -> None:
        """A line about a command; later ones about the same command take the place of earlier ones."""
        earlier = None if run.bulk_id is None else self._bulks.get(run.bulk_id)
        if earlier is not None:
            earlier.told(run)

    def all(self) -> tuple[Bulk, ...]:
        """The last bulks, oldest first. One that an end of the program cut off is still "running", its results not."""
        return tuple(_with_results(one) for one in self._bulks.values())

    def _begun(self, line: Mapping[str, Any]) -> None:
        results = {
            _whole(number): BulkResult(number, _text(name), "not sent", _UNSENT) for number, name in line["miners"]
        }
        bulk = Bulk(
            id=_whole(line["id"]),
            command=_text(line["command"]),
            values=_table(line["values"]),
            who=_text(line["who"]),
            dry_run=False,
            state="running",
            started_at=_time(line["started_at"]),
            ended_at=None,
            results=(),
            counts={},
        )
        told = _told(line.get("told", []), results)
        self.last_id = max(self.last_id, bulk.id)
        # Where its first line was read as well, the outcomes and the end that were read since stay.
        self._bulks.setdefault(bulk.id, _Noted(bulk, results)).results.update(told)
        if len(self._bulks) > KEPT:
            numbers = list(self._bulks)
            del self._bulks[next((one for one in numbers if self._bulks[one].bulk.state != "running"), numbers[0])]

    def _ended(self, line: Mapping[str, Any]) -> None:
        number = _whole(line["id"])
        self.last_id = max(self.last_id, number)
        earlier = self._bulks.get(number)
        if earlier is None:
            return  # its begin was in a file that is gone
        state, ended_at = _one_of(BULK_STATES, line["state"]), line["ended_at"]
        untold = {
            _whole(number): (_one_of(BULK_RESULT_STATES, group["state"]), _text(group["words"] or ""))
            for group in line["untold"]
            for number in group["miners"]
        }
        earlier.bulk = replace(earlier.bulk, state=state, ended_at=None if ended_at is None else _time(ended_at))
        for number, (outcome, words) in untold.items():
            if (result := earlier.results.get(number)) is not None and result.command_id is None:
                earlier.results[number] = replace(result, state=outcome, words=words or None)


def _told(groups: Any, results: Mapping[int, BulkResult]) -> dict[int, BulkResult]:
    """The results of those that were told when the begin of a bulk was logged again."""
    return {
        _whole(number): replace(
            results[number],
            state=_one_of(STATES, group["state"]),
            words=_text(group["words"] or "") or None,
            effect=_text(group["effect"] or "") or None,
            command_id=_whole(command_id),
        )
        for group in groups
        for number, command_id in group["miners"]
    }


def _with_results(earlier: _Noted) -> Bulk:
    results = tuple(
        replace(result, state="interrupted", words=CUT_OFF) if result.state == "running" else result
        for result in earlier.results.values()
    )
    return replace(earlier.bulk, results=results, counts=dict(Counter(result.state for result in results)))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a number of the wrong kind")
    return value


def _time(value: Any) -> UnixSeconds:
    if not isinstance(value, int | float):
        raise TypeError("a time of the wrong kind")
    return UnixSeconds(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text of the wrong kind")
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("values of the wrong kind")
    return value


def _one_of(states: tuple[str, ...], value: Any) -> str:
    if value not in states:
        raise ValueError("a state that does not exist")
    return _text(value)
