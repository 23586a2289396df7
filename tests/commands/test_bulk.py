"""One command to many miners over the running engine: a result for each, bounds, cancelling."""

import asyncio
import json
from collections import Counter

import pytest

from exporter.engine.api.commands import Restart, SetMode, SetPool, SetTuning
from exporter.engine.commanding.audit import log_of
from exporter.engine.commanding.planning import public_values
from exporter.errors import FieldError, StoreError, TakenError, UnknownError
from exporter.store.secret import Secret
from exporter.units import hertz
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
        gate = asyncio.Event()
        bench.hosts.wait = lambda _: gate.wait()  # nobody tells its ranges
        tuning = SetTuning(hertz(5e8))
        slow = [await ask(door.start_bulk, ids, tuning, "local", dry_run=True) for _ in range(20)]
        with pytest.raises(TakenError, match="20 commands to many miners run"):
            await ask(door.start_bulk, ids, Restart(), "local")
        for bulk in slow:
            await ask(door.cancel_bulk, bulk.id)
        gate.set()
        for bulk in slow:
            await bulk_ended(door, bulk)
        await ask(door.start_bulk, ids, Restart(), "local", dry_run=True)

    play(story, 3)


# --- twice --------------------------------------------------------------------------------------------------------


def test_a_miner_that_waits_or_runs_in_another_bulk_is_not_told_again(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        first = await ask(door.start_bulk, ids[:2], Restart(), "local", stagger_seconds=600.0)
        await until(lambda: bench.hosts.writes, "the first write")
        dry = await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local", dry_run=True))
        assert [result.state for result in dry.results] == ["failed", "failed", "would send"]
        second = await ask(door.start_bulk, ids, Restart(), "local")
        for bulk in (dry, second):
            assert [result.words for result in bulk.results[:2]] == [
                f"it is being told in bulk {first.id} already; wait for its end",
                f"it waits in bulk {first.id} already; cancel that one first",
            ]
        for dry_run in (False, True):
            with pytest.raises(
                TakenError, match=f"each of these miners waits or runs in bulk {first.id} already; cancel"
            ):
                await ask(door.start_bulk, ids[:2], Restart(), "local", dry_run=dry_run)
        await ask(door.cancel_bulk, first.id)
        bench.hosts.hold.set()
        assert (await bulk_ended(door, second)).counts == {"failed": 2, "confirmed": 1}
        await bulk_ended(door, first)
        assert Counter(bench.hosts.writes) == {(at(1), "/restart"): 1, (at(3), "/restart"): 1}
        again = await bulk_ended(door, await ask(door.start_bulk, ids[1:2], Restart(), "local"))
        assert again.counts == {"confirmed": 1}

    play(story, 3)


def test_a_dry_run_that_runs_keeps_nobody_from_being_told(play):
    async def story(bench, door, ids):
        gate = asyncio.Event()
        bench.hosts.wait = lambda _: gate.wait()
        looking = await ask(door.start_bulk, ids, SetTuning(hertz(5e8)), "local", dry_run=True)
        told = await ask(door.start_bulk, ids, Restart(), "local")
        gate.set()
        assert (await bulk_ended(door, told)).counts == {"confirmed": 2}
        await bulk_ended(door, looking)

    play(story, 2)


# --- pools --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["stratum+tcp://me:SECRETPW@p.example:3333", "p.example:3333", "stratum+tcp://p.example:0", "stratum://p/x"]
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_address_that_is_no_pools_is_refused_at_once(play, url, dry_run):
    async def story(bench, door, ids):
        with pytest.raises(FieldError, match=r"url: must be like stratum\+tcp://pool\.example:3333") as caught:
            await ask(door.start_bulk, ids, SetPool(url, "u", Secret("x")), "local", dry_run=dry_run)
        assert caught.value.field == "url"
        assert "SECRETPW" not in str(caught.value)
        assert await ask(door.bulk, 1) is None

    play(story, 1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("stratum+tcp://me:SECRETPW@p.example:3333", "stratum+tcp://p.example:3333"),
        ("me:SECRETPW@p.example:3333", "p.example:3333"),
        ("stratum+tcp://me:SECRET@PW@p.example:3333", "stratum+tcp://p.example:3333"),
        ("stratum+tcp://me:SECRET/PW@p.example:3333", "stratum+tcp://p.example:3333"),
        ("stratum+tcp://p.example:3333", "stratum+tcp://p.example:3333"),
    ],
)
def test_a_login_in_an_address_is_never_shown(url, shown):
    assert public_values(SetPool(url, "u", Secret("x")))["url"] == shown


# --- the program ends ---------------------------------------------------------------------------------------------


def bulk_lines(bench):
    lines = [json.loads(line) for line in log_of(bench.db.path).read_text().splitlines()]
    return [line["bulk"] for line in lines if "bulk" in line]


def test_a_bulk_is_on_disk_before_anything_is_sent_and_again_when_it_has_ended(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        order = SetPool("stratum+tcp://pool.example:3333", "u", Secret("hunter2-pool"))
        begun = await ask(door.start_bulk, [*ids, 99], order, 'token "night shift"', parallel=1)
        (line,) = bulk_lines(bench)
        assert (line["id"], line["state"], line["command"], line["who"]) == (begun.id, "running", "pool", begun.who)
        assert [number for number, _ in line["miners"]] == [*ids, 99]
        bench.hosts.hold.set()
        await bulk_ended(door, begun)
        assert [line["state"] for line in bulk_lines(bench)] == ["running", "finished"]
        assert "hunter2" not in log_of(bench.db.path).read_text()
        await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local", dry_run=True))
        assert len(bulk_lines(bench)) == 2  # nothing was sent, so nothing is noted

    play(story, 2, passwords=("right",))


def test_what_cannot_be_noted_is_not_begun(play, monkeypatch):
    async def story(bench, door, ids):
        def full(*_):
            raise StoreError("the disk is full")

        monkeypatch.setattr(bench.engine.commands.audit, "_write", full)
        with pytest.raises(StoreError):
            await ask(door.start_bulk, ids, Restart(), "local")
        monkeypatch.undo()
        assert await ask(door.bulk, 1) is None
        assert bench.hosts.writes == []

    play(story, 1)


def test_after_an_end_of_the_program_each_miner_has_its_outcome(play, tmp_path, monkeypatch):
    async def first(bench, door, ids):
        whole = await bulk_ended(door, await ask(door.start_bulk, [*ids, 99], Restart(), "local"))
        bench.hosts.faults[at(1)] = "refuses"
        bulk = await ask(door.start_bulk, [98, *ids], Restart(), 'token "night shift"', parallel=2, stagger_seconds=0.1)
        await until(lambda: len(bench.hosts.writes) == 5, "the first write")
        bench.hosts.hold = asyncio.Event()
        await until(lambda: len(bench.hosts.writes) == 7, "two under way")
        return whole, await ask(door.bulk, bulk.id)

    async def second(bench):
        door, _ = await flock_of(bench, 1)
        return await ask(door.bulk, whole.id), await ask(door.bulk, cut.id), await ask(door.cancel_bulk, cut.id)

    whole, cut = play(first, 4)
    assert cut.counts == {"failed": 1, "refused": 1, "running": 2, "waiting": 1}
    for _ in range(2):  # and again, after one more restart
        finished, shown, cancelled = run(tmp_path, monkeypatch, second, **rigs())
        assert finished == whole
        assert (shown.state, shown.who, shown.command, shown.started_at) == (
            "interrupted", cut.who, "restart", cut.started_at,
        )  # fmt: skip
        unsent = "the program ended before it was told; nothing was sent"
        assert [(result.state, result.words) for result in shown.results] == [
            ("not sent", unsent),
            ("refused", cut.results[1].words),
            ("interrupted", "the program ended before the command did"),
            ("interrupted", "the program ended before the command did"),
            ("not sent", unsent),
        ]
        assert shown.counts == {"not sent": 2, "refused": 1, "interrupted": 2}
        assert [result.name for result in shown.results] == [result.name for result in cut.results]
        assert cancelled == shown


def test_a_bulk_outlives_the_files_that_are_full_while_it_runs(play, tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.engine.commanding.audit.LARGEST_FILE", 3000)

    async def first(bench, door, ids):
        bench.hosts.faults[at(1)] = "refuses"
        write = bench.hosts._write

        async def held_at_the_eighth(address, request):
            if len(bench.hosts.writes) == 7:
                bench.hosts.hold = asyncio.Event()
            return await write(address, request)

        bench.hosts._write = held_at_the_eighth
        bulk = await ask(door.start_bulk, ids, SetMode("eco"), "local", parallel=1)
        await until(lambda: len(bench.hosts.writes) == 8, "the eighth write")
        return await ask(door.bulk, bulk.id)

    async def second(bench):
        door, _ = await flock_of(bench, 1)
        return await ask(door.bulk, cut.id)

    cut = play(first, 10, passwords=("right",))
    assert cut.counts == {"refused": 1, "confirmed": 6, "running": 1, "waiting": 2}
    for _ in range(2):
        shown = run(tmp_path, monkeypatch, second, **rigs())
        assert shown.counts == {"refused": 1, "confirmed": 6, "interrupted": 1, "not sent": 2}
        assert shown.results[:7] == cut.results[:7]


def test_an_interrupted_bulk_holds_nobody_back(play, tmp_path, monkeypatch):
    async def first(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        await ask(door.start_bulk, ids, Restart(), "local", stagger_seconds=600.0)
        await until(lambda: bench.hosts.writes, "the first write")

    async def second(bench):
        door, ids = await flock_of(bench, 2)
        for number in (1, 2):
            await bench.poll(at(number))
        return (await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local"))).counts

    play(first, 2)
    assert run(tmp_path, monkeypatch, second, **rigs()) == {"confirmed": 2}


def test_numbers_go_on_after_a_restart_of_the_program(play, tmp_path, monkeypatch):
    async def first(bench, door, ids):
        return (await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local"))).id

    async def second(bench):
        door, ids = await flock_of(bench, 1)
        return (await ask(door.start_bulk, ids, Restart(), "local", dry_run=True)).id

    before = play(first, 1)
    assert run(tmp_path, monkeypatch, second, **rigs()) == before + 1
