"""One command to many miners over the running engine: a result for each, bounds, cancelling."""

import asyncio
from collections import Counter

import pytest

from exporter.engine.api.commands import Restart, SetMode
from exporter.errors import FieldError, TakenError, UnknownError
from tests.commands.rigs import CommandRig, bulk_ended, flock_of, rigs
from tests.engine.bench import at, run
from tests.engine.doors.calls import ask, until


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs an async function of (bench, door, ids of `number` rigs)."""

    def go(story, number=8, **options):
        async def whole(bench):
            return await story(bench, *await flock_of(bench, number))

        return run(tmp_path, monkeypatch, whole, **rigs(**options))

    return go


def test_each_miner_has_a_result_of_its_own(play, monkeypatch):
    monkeypatch.setattr(CommandRig, "limit", 0.2)

    async def story(bench, door, ids):
        bench.hosts.put(at(9), mac="02:00:00:00:00:09", family="plain")
        await bench.search()
        plain = bench.record("02:00:00:00:00:09").id
        bench.hosts.faults |= {at(1): "refuses", at(2): "ignores", at(3): "dies", at(4): "mute"}
        await bench.flock.decided(bench.flock.get(ids[4]), enabled=False)
        del bench.hosts.hosts[at(6)]
        await bench.poll(at(6))
        bulk = await ask(door.start_bulk, [*ids, ids[7], plain, 99], Restart(), "local")
        assert (bulk.state, len(bulk.results)) == ("running", 10)  # a miner named twice is one
        done = await bulk_ended(door, bulk)
        assert done.state == "finished"
        assert [result.state for result in done.results] == [
            "refused", "unconfirmed", "failed", "failed", "not allowed", "failed", "confirmed", "confirmed",
            "not offered", "failed",
        ]  # fmt: skip
        assert done.counts == Counter(result.state for result in done.results)
        words = [result.words or "" for result in done.results]
        for place, text in enumerate(
            ("not while tuning", "not seen", "again", "no answer", "retired", "does not answer", "", "", "no commands",
             "no miner has the id 99")
        ):  # fmt: skip
            assert text in words[place]
        sent = [result.command_id for result in done.results if result.command_id is not None]
        assert [door.get(number).bulk_id for number in sent] == [done.id] * 6
        assert Counter(bench.hosts.writes) == {(at(n), "/restart"): 1 for n in (1, 2, 3, 4, 7, 8)}

    play(story)


def test_no_more_than_parallel_at_once(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        bulk = await ask(door.start_bulk, ids, Restart(), "local", parallel=3)
        await until(lambda: len(bench.hosts.writes) == 3, "three writes")
        await bench.settle()
        states = Counter(result.state for result in (await ask(door.bulk, bulk.id)).results)
        assert states == {"running": 3, "waiting": 5}
        bench.hosts.hold.set()
        assert (await bulk_ended(door, bulk)).counts == {"confirmed": 8}
        assert bench.hosts.most == 3

    play(story)


def test_a_dry_run_tells_what_would_happen_and_sends_nothing(play):
    async def story(bench, door, ids):
        bulk = await ask(door.start_bulk, ids, SetMode("eco"), "local", dry_run=True, stagger_seconds=600.0)
        done = await bulk_ended(door, bulk)
        assert done.counts == {"would send": 8}
        assert {result.effect for result in done.results} == {"It works in the mode eco."}
        assert (bench.hosts.writes, door.count()) == ([], 0)

    play(story)


def test_cancelling_sends_nothing_more_and_lets_what_runs_end(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        bulk = await ask(door.start_bulk, ids, Restart(), "local", stagger_seconds=600.0)
        await until(lambda: bench.hosts.writes, "the first write")
        cancelled = await ask(door.cancel_bulk, bulk.id)
        assert cancelled.counts == {"running": 1, "cancelled": 7}
        bench.hosts.hold.set()
        done = await bulk_ended(door, bulk)
        assert (done.state, done.counts) == ("cancelled", {"confirmed": 1, "cancelled": 7})
        assert len(bench.hosts.writes) == 1
        assert (await ask(door.cancel_bulk, bulk.id)).counts == done.counts
        with pytest.raises(UnknownError):
            await ask(door.cancel_bulk, 99)

    play(story)


def test_bounds(play):
    async def story(bench, door, ids):
        for field, options in (
            ("parallel", {"parallel": 0}),
            ("parallel", {"parallel": 101}),
            ("stagger_seconds", {"stagger_seconds": -1.0}),
            ("stagger_seconds", {"stagger_seconds": 601.0}),
        ):
            with pytest.raises(FieldError) as caught:
                await ask(door.start_bulk, ids, Restart(), "local", **options)
            assert caught.value.field == field
        with pytest.raises(FieldError):
            await ask(door.start_bulk, [], Restart(), "local")

    play(story, 2)


def test_the_last_twenty_are_kept_and_no_more_than_twenty_run(play):
    async def story(bench, door, ids):
        dry = [await ask(door.start_bulk, ids, Restart(), "local", dry_run=True) for _ in range(21)]
        for bulk in dry[1:]:
            await bulk_ended(door, bulk)
        assert await ask(door.bulk, dry[0].id) is None
        bench.hosts.hold = asyncio.Event()
        slow = [await ask(door.start_bulk, ids[:1], Restart(), "local") for _ in range(1)]
        slow += [await ask(door.start_bulk, ids[1:], Restart(), "local", stagger_seconds=600.0) for _ in range(19)]
        with pytest.raises(TakenError, match="20 commands to many miners run"):
            await ask(door.start_bulk, ids, Restart(), "local")
        for bulk in slow:
            await ask(door.cancel_bulk, bulk.id)
        bench.hosts.hold.set()
        for bulk in slow:
            await bulk_ended(door, bulk)
        await ask(door.start_bulk, ids, Restart(), "local", dry_run=True)

    play(story, 3)


def test_numbers_go_on_after_a_restart_of_the_program(play, tmp_path, monkeypatch):
    async def first(bench, door, ids):
        return (await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local"))).id

    async def second(bench):
        door, ids = await flock_of(bench, 1)
        return (await ask(door.start_bulk, ids, Restart(), "local", dry_run=True)).id

    before = play(first, 1)
    assert run(tmp_path, monkeypatch, second, **rigs()) == before + 1
