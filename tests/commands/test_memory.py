"""What a miner forgets by a command is kept beside it, and given back to the plan that wants it."""

import asyncio
import math
from dataclasses import replace

import pytest

from exporter.drivers.commands import Plan
from exporter.engine.api.commands import Restart, SetMode
from exporter.engine.commanding.planning import make_plan
from exporter.engine.commanding.values import Limits
from exporter.errors import InternalError, StoreError
from tests.commands.rigs import CommandRig, ended, flock_of, rigs
from tests.commands.test_planning import CONTEXT, Everything
from tests.engine.bench import at, driver_set, run
from tests.engine.doors.calls import ask, on_disk, until


class ForgetfulRig(CommandRig):
    """Forgets its mode when it is told another one; the mode "back" is the one that it had."""

    def supported_modes(self, context):
        return ("eco", "turbo", "back")

    def set_mode(self, mode, context):
        if mode == "back":
            plan = super().set_mode(str(context.remembered.get("mode", "unknown")), context)
            return replace(plan, remember={"mode": None})
        plan = super().set_mode(mode, context)
        return replace(plan, remember={"mode": context.reading.work_mode, "uptime": context.reading.uptime})


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs an async function of (bench, door, ids of two rigs); the next one is the next start of the program."""

    def go(story):
        async def whole(bench):
            return await story(bench, *await flock_of(bench, 2))

        return run(tmp_path, monkeypatch, whole, **rigs(drivers=driver_set(ForgetfulRig()), passwords=("right",)))

    return go


async def told(door, miner_id, mode):
    return await ended(door, await ask(door.start, miner_id, SetMode(mode), "local"))


def test_what_a_miner_forgets_outlives_the_program(play, tmp_path):
    async def first(bench, door, ids):
        assert (await told(door, ids[0], "eco")).state == "confirmed"
        assert dict(bench.db.memories.of(ids[0])) == {"mode": "turbo", "uptime": 500.0}
        assert dict(bench.db.memories.of(ids[1])) == {}
        with on_disk(bench, tmp_path) as copy:
            assert dict(copy.memories.of(ids[0])) == {"mode": "turbo", "uptime": 500.0}

    async def second(bench, door, ids):
        bench.hosts.change(at(1), mode="eco")
        for number in (1, 2):
            await bench.poll(at(number))
        assert (await told(door, ids[0], "back")).after["mode"] == "turbo"
        assert (await told(door, ids[1], "back")).after["mode"] == "unknown"

    play(first)
    play(second)


def test_what_was_given_back_is_forgotten_and_not_given_back_a_second_time(play, tmp_path):
    async def story(bench, door, ids):
        await told(door, ids[0], "eco")
        assert (await told(door, ids[0], "back")).state == "confirmed"
        assert dict(bench.db.memories.of(ids[0])) == {"uptime": 500.0}
        with on_disk(bench, tmp_path) as copy:
            assert dict(copy.memories.of(ids[0])) == {"uptime": 500.0}
        bench.hosts.change(at(1), mode="eco")  # not from here
        assert (await told(door, ids[0], "back")).after["mode"] == "unknown"

    play(story)


def test_what_was_not_seen_to_be_given_back_is_still_known(play, monkeypatch):
    monkeypatch.setattr(CommandRig, "limit", 0.2)

    async def story(bench, door, ids):
        for one in ids:
            await told(door, one, "eco")
        bench.hosts.faults = {at(1): "refuses", at(2): "ignores"}
        assert [(await told(door, one, "back")).state for one in ids] == ["refused", "unconfirmed"]
        assert [bench.db.memories.of(one)["mode"] for one in ids] == ["turbo", "turbo"]

    play(story)


def test_it_is_on_disk_before_anything_is_sent(play, tmp_path, monkeypatch):
    async def story(bench, door, ids):
        seen = []
        write = bench.hosts._write

        async def looked_at(address, request):
            with on_disk(bench, tmp_path) as copy:
                seen.append(dict(copy.memories.of(ids[0])))
            return await write(address, request)

        monkeypatch.setattr(bench.hosts, "_write", looked_at)
        await told(door, ids[0], "eco")
        assert seen == [{"mode": "turbo", "uptime": 500.0}]

    play(story)


def test_what_cannot_be_stored_is_not_sent(play, monkeypatch):
    async def story(bench, door, ids):
        async def full():
            raise StoreError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(bench.db, "commit", full)
            done = await told(door, ids[0], "eco")
        assert (done.state, "the disk is full" in done.words) == ("failed", True)
        assert bench.hosts.writes == []
        assert bench.db.memories.all() == ()

    play(story)


def test_what_is_remembered_goes_with_the_miner(play):
    async def story(bench, door, ids):
        await told(door, ids[0], "eco")
        await bench.engine.forget(ids[0])
        assert bench.db.memories.all() == ()

    play(story)


def test_it_is_remembered_before_the_effect_is_looked_for_and_also_where_the_answer_is_missing(play, monkeypatch):
    monkeypatch.setattr(CommandRig, "limit", 0.2)

    async def story(bench, door, ids):
        bench.hosts.faults = {at(1): "mute", at(2): "ignores"}
        assert [(await told(door, one, "eco")).state for one in ids] == ["failed", "unconfirmed"]
        assert [bench.db.memories.of(one)["mode"] for one in ids] == ["turbo", "turbo"]

    play(story)


def test_a_command_that_the_end_of_the_program_cuts_off_is_remembered(play, tmp_path):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        await ask(door.start, ids[0], SetMode("eco"), "local")
        await until(lambda: bench.hosts.writes, "the write")
        return bench, ids[0]

    bench, miner_id = play(story)
    with on_disk(bench, tmp_path) as copy:
        assert copy.memories.of(miner_id)["mode"] == "turbo"


def test_nothing_is_remembered_of_what_was_never_sent(play, monkeypatch):
    async def story(bench, door, ids):
        monkeypatch.setattr(type(bench.engine.commands), "_obstacle", lambda *_: "control is off")
        done = await told(door, ids[0], "eco")
        assert (done.state, "held back" in done.words) == ("failed", True)
        assert bench.db.memories.all() == ()
        bench.db.memories.remember(ids[0], {"mode": "eco", "other": 5.0})
        await told(door, ids[0], "eco")
        assert dict(bench.db.memories.of(ids[0])) == {"mode": "eco", "other": 5.0}

    play(story)


@pytest.mark.parametrize(
    "facts",
    [
        None,
        ["mode"],
        {"mode": True},
        {"mode": math.inf},
        {"mode": "x" * 201},
        {5: "x"},
        {str(number): 1.0 for number in range(17)},
    ],
)
def test_a_plan_that_wants_to_remember_too_much_is_at_fault(facts):
    driver = Everything()
    driver.restart = lambda context: Plan("It restarts.", tuple, bool, remember=facts)
    with pytest.raises(InternalError, match="remember"):
        make_plan(driver, Restart(), CONTEXT, (), Limits())
    driver.restart = lambda context: Plan("It restarts.", tuple, bool, remember={"mode": None, "target": 65})
    assert make_plan(driver, Restart(), CONTEXT, (), Limits()).remember == {"mode": None, "target": 65}
