"""Commands over the running engine: what is allowed, sent, confirmed and logged."""

import asyncio
import json

import pytest

from exporter.config import Control
from exporter.drivers.api import Answer
from exporter.drivers.commands import Plan
from exporter.engine.api.commands import Pause, Restart, SetMode, SetPool, SetTuning
from exporter.engine.commanding.audit import log_of
from exporter.errors import (
    FieldError,
    ForbiddenError,
    NotOfferedError,
    TakenError,
    UnavailableError,
    UnknownError,
)
from exporter.store.secret import Secret
from exporter.units import hertz
from tests.commands.rigs import CommandRig, ended, flock_of, rigs
from tests.engine.bench import at, driver_set, mac, run, settings_of
from tests.engine.doors.calls import ask, until

ALLOWED = {"passwords": ("right",)}


def lines(bench):
    return [json.loads(line) for line in log_of(bench.db.path).read_text().splitlines()]


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs an async function of (bench, door, ids of two rigs)."""

    def go(story, **options):
        async def whole(bench):
            return await story(bench, *await flock_of(bench, 2))

        return run(tmp_path, monkeypatch, whole, **rigs(**options))

    return go


def test_a_command_is_confirmed_by_its_effect_and_logged_with_before_and_after(play):
    async def story(bench, door, ids):
        begun = await ask(door.start, ids[0], Restart(), 'token "night shift"')
        assert (begun.state, begun.effect, begun.ended_at) == ("running", "It restarts.", None)
        done = await ended(door, begun)
        assert (done.state, done.words, done.who) == ("confirmed", None, 'token "night shift"')
        assert (done.before["uptime"], done.after["uptime"]) == (500.0, 1.0)
        assert (done.before["mining_uptime"], done.after["mining_uptime"]) == (400.0, 0.5)
        assert done.ended_at >= done.started_at
        assert bench.hosts.writes == [(at(1), "/restart")]
        assert [line["state"] for line in lines(bench)] == ["running", "confirmed"]
        assert bench.meter.commands == {("rig", "restart", "confirmed"): 1}
        assert door.recent(ids[0]) == (done,)
        assert (door.recent(ids[1]), door.count(), door.get(done.id)) == ((), 1, done)

    play(story)


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("ignores", "unconfirmed", "the effect was not seen"),
        ("refuses", "refused", "not while tuning"),
        ("mute", "failed", "no answer"),
        ("dies", "failed", "did not answer again"),
    ],
)
def test_what_goes_wrong_ends_the_command_within_its_limit_and_nothing_is_sent_again(
    play, monkeypatch, fault, state, words
):
    monkeypatch.setattr(CommandRig, "limit", 0.2)

    async def story(bench, door, ids):
        bench.hosts.faults[at(1)] = fault
        done = await ended(door, await ask(door.start, ids[0], Restart(), "local"))
        assert done.state == state
        assert words in done.words
        assert bench.hosts.writes == [(at(1), "/restart")]
        assert lines(bench)[-1]["state"] == state

    play(story)


def test_one_command_at_a_time_for_each_miner(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        first = await ask(door.start, ids[0], Restart(), "local")
        with pytest.raises(TakenError, match="another command runs"):
            await ask(door.start, ids[0], SetMode("eco"), "local")
        other = await ask(door.start, ids[1], Restart(), "local")
        bench.hosts.hold.set()
        assert (await ended(door, first)).state == (await ended(door, other)).state == "confirmed"
        again = await ask(door.start, ids[0], SetMode("eco"), "local")
        assert (await ended(door, again)).state == "confirmed"

    play(story, **ALLOWED)


def test_where_control_is_off_nothing_is_offered_and_nothing_is_sent(play):
    async def story(bench, door, ids):
        assert not door.enabled()
        bench.hosts.asked.clear()
        offers = await ask(door.offers, ids[0])
        assert (offers.commands, "control.enabled" in offers.reason) == ((), True)
        for write in (
            lambda: door.start(ids[0], Restart(), "local"),
            lambda: door.start_bulk(ids, Restart(), "local"),
            lambda: door.start_bulk(ids, Restart(), "local", dry_run=True),
        ):
            with pytest.raises(ForbiddenError, match=r"control\.enabled"):
                await ask(write)
        assert (bench.hosts.asked, bench.hosts.writes, door.count()) == ([], [], 0)

    play(story, control=Control(enabled=False))


def test_control_that_is_switched_off_by_a_reload_holds_at_once(play):
    async def story(bench, door, ids):
        assert door.enabled()
        await bench.engine.apply(settings_of(control=Control(enabled=False)), bench.drivers)
        with pytest.raises(ForbiddenError):
            await ask(door.start, ids[0], Restart(), "local")

    play(story)


def test_who_cannot_be_commanded(play):
    async def story(bench, door, ids):
        with pytest.raises(UnknownError):
            await ask(door.start, 99, Restart(), "local")
        with pytest.raises(UnknownError):
            await ask(door.offers, 99)
        await bench.flock.decided(bench.flock.get(ids[0]), managed=False)
        with pytest.raises(ForbiddenError, match="manage it first"):
            await ask(door.start, ids[0], Restart(), "local")
        del bench.hosts.hosts[at(2)]
        await bench.poll(at(2))
        with pytest.raises(UnavailableError, match="does not answer"):
            await ask(door.start, ids[1], Restart(), "local")
        assert "does not answer" in (await ask(door.offers, ids[1])).reason
        assert (bench.hosts.writes, door.count()) == ([], 0)

    play(story)


def test_what_is_not_offered_and_what_is_out_of_range(play):
    async def story(bench, door, ids):
        bench.hosts.hosts[at(1)]["GET /ranges"] = Answer(b'{"least": 4e8, "most": 6e8}')
        with pytest.raises(NotOfferedError, match=r"it offers restart, mode, tuning, pool$"):
            await ask(door.start, ids[0], Pause(), "local")
        with pytest.raises(NotOfferedError, match=r"it offers restart, mode, pool$"):  # it tells no ranges
            await ask(door.start, ids[1], Pause(), "local")
        with pytest.raises(FieldError, match="eco, turbo"):
            await ask(door.start, ids[0], SetMode("warp"), "local")
        with pytest.raises(FieldError, match="from 400 to 600 MHz"):
            await ask(door.start, ids[0], SetTuning(hertz(7e8)), "local")
        with pytest.raises(UnavailableError, match="does not tell its ranges"):
            await ask(door.start, ids[1], SetTuning(hertz(5e8)), "local")
        assert (bench.hosts.writes, door.count()) == ([], 0)

    play(story)


def test_what_the_firmware_lacks_is_refused_with_the_reason_before_anything_is_sent(play):
    async def story(bench, door, ids):
        bench.hosts.put(at(9), mac=mac(9), family="old")
        await bench.search()
        with pytest.raises(NotOfferedError, match=r"^this firmware has no modes$"):
            await ask(door.start, bench.record(mac(9)).id, SetMode("eco"), "local")
        assert bench.hosts.writes == []

    play(story)


def test_the_devices_own_ranges_are_offered_and_a_device_that_tells_none_can_still_be_restarted(play):
    async def story(bench, door, ids):
        bench.hosts.hosts[at(1)]["GET /ranges"] = Answer(b'{"least": 4e8, "most": 6e8}')
        offers = {one.command: one for one in (await ask(door.offers, ids[0])).commands}
        assert offers["tuning"].ranges == (("frequency", "Hz", 4e8, 6e8, (), None),)
        assert offers["mode"].choices == (("eco", None), ("turbo", None))
        silent = await ask(door.offers, ids[1])
        assert [one.command for one in silent.commands] == ["restart", "mode", "pool"]

    play(story)


def test_a_wrong_password_is_tried_once_and_never_again(play):
    async def story(bench, door, ids):
        bench.hosts.hosts[at(1)]["password"] = "another"
        for _ in range(3):
            done = await ended(door, await ask(door.start, ids[0], SetMode("eco"), "local"))
            assert done.state == "refused"
            assert "password" in done.words
        assert bench.hosts.tried_passwords == ["right"]
        assert bench.hosts.writes == []

    play(story, **ALLOWED)


def test_a_miner_that_gets_another_address_meanwhile_is_followed(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        begun = await ask(door.start, ids[0], Restart(), "local")
        await until(lambda: bench.hosts.writes, "the write")
        bench.hosts.hosts[at(9)] = dict(bench.hosts.hosts[at(1)])
        bench.hosts.faults[at(1)] = "dies"
        bench.hosts.change(at(9), uptime=2.0)
        bench.hosts.hold.set()
        await until(lambda: at(1) not in bench.hosts.hosts, "the device to be gone")
        await bench.poll(at(1))
        await bench.search(everything=True)
        assert bench.record(mac(1)).address == at(9)
        assert (await ended(door, begun)).state == "confirmed"

    play(story)


def test_a_reload_does_not_disturb_a_command(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        begun = await ask(door.start, ids[0], Restart(), "local")
        await until(lambda: bench.hosts.writes, "the write")
        # The driver's file has changed: every miner of it is polled anew.
        await bench.engine.apply(settings_of(), driver_set(CommandRig(), sha256="1"))
        bench.hosts.hold.set()
        assert (await ended(door, begun)).state == "confirmed"
        assert bench.hosts.writes == [(at(1), "/restart")]

    play(story)


def test_a_command_that_the_end_of_the_program_cuts_off_is_told_at_the_next_start(play, tmp_path, monkeypatch):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        await ask(door.start, ids[0], Restart(), "local")
        await until(lambda: bench.hosts.writes, "the write")
        return bench

    bench = play(story)
    assert [line["state"] for line in lines(bench)] == ["running", "interrupted"]

    async def next_start(bench):
        assert [one.state for one in bench.engine.commands.audit.recent()] == ["interrupted"]

    run(tmp_path, monkeypatch, next_start, **rigs())


def test_no_secret_and_no_whole_wallet_gets_into_the_log(play):
    wallet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    order = SetPool("stratum+tcp://pool.example:3333", wallet + ".{name}", Secret("hunter2-pool"))

    async def story(bench, door, ids):
        await bench.flock.decided(bench.flock.get(ids[0]), name="north 1")
        done = await ended(door, await ask(door.start, ids[0], order, "local"))
        assert (done.state, bench.hosts.document(at(1))["mode"]) == ("confirmed", f"{wallet}.north-1")
        assert done.values["user"].endswith(".north-1")
        text = log_of(bench.db.path).read_text()
        assert "hunter2-pool" not in text + repr(done) + repr(order)
        assert wallet not in json.dumps([line["values"] for line in lines(bench)])

    play(story, **ALLOWED)


class BrokenRig(CommandRig):
    """A user's driver with mistakes."""

    def restart(self, context):
        return Plan("It restarts.", lambda _: ("POST /restart",), lambda _: True, settle_seconds=0.0)

    def supported_modes(self, context):
        raise ZeroDivisionError

    def pool_rules(self, context):
        return None


def test_mistakes_of_a_driver_end_its_own_commands_only(play):
    async def story(bench, door, ids):
        done = await ended(door, await ask(door.start, ids[0], Restart(), "local"))
        assert (done.state, done.words) == ("failed", "the driver made no writes for the command")
        with pytest.raises(UnavailableError, match="ZeroDivisionError"):
            await ask(door.start, ids[0], SetMode("eco"), "local")
        offers = await ask(door.offers, ids[0])
        assert (offers.commands, "ZeroDivisionError" in offers.reason) == ((), True)
        assert bench.hosts.writes == []

    play(story, drivers=driver_set(users=(BrokenRig(),)))
