"""What keeps a command from the wrong device, from a second time, and from a moment when it is no longer wanted."""

import asyncio
import contextlib
import dataclasses
import json
import socket

import pytest

from exporter.config import Control
from exporter.drivers.api import Answer, HttpRequest, Identification, Specificity
from exporter.drivers.commands import CommandRefused, Plan, UdpRequest, Write
from exporter.engine.api.commands import Restart, SetPool
from exporter.engine.commanding import desk as desk_module
from exporter.engine.commanding.certainty import mac_at
from exporter.errors import NotOfferedError, UnavailableError
from exporter.model import Identity, Reading
from exporter.store.secret import Secret
from tests.commands.rigs import RESTART, CommandRig, bulk_ended, ended, flock_of, rigs
from tests.engine.bench import at, driver_set, mac, run, settings_of
from tests.engine.doors.calls import ask, until

FIRST = HttpRequest("/mode", method="POST", body=b'{"mode": "eco"}')
PASSWORD = "hunter2-pool"
POOL = SetPool("stratum+tcp://pool.example:3333", "worker", Secret(PASSWORD))


class TwoStepRig(CommandRig):
    """Takes a setting and then the restart that it wants."""

    def restart(self, context):
        return replace_writes(super().restart(context), Write(FIRST), Write(RESTART, answers=False))


def replace_writes(plan, *writes):
    return Plan(plan.effect, lambda _: writes, plan.confirmed, limit_seconds=0.2, settle_seconds=0.0)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs an async function of (bench, door, ids of two rigs)."""

    def go(story, driver=None, **options):
        async def whole(bench):
            return await story(bench, *await flock_of(bench, 2))

        drivers = {} if driver is None else {"drivers": driver_set(driver)}
        return run(tmp_path, monkeypatch, whole, **rigs(**drivers, **options))

    return go


# --- to whom ------------------------------------------------------------------------------------------------------


def test_another_device_that_has_the_address_by_now_hears_no_command(play):
    async def story(bench, door, ids):
        bench.hosts.change(at(1), mac=mac(77))
        with pytest.raises(UnavailableError, match=r"nothing was sent.*another miner answers here"):
            await ask(door.start, ids[0], Restart(), "local")
        assert (bench.hosts.writes, door.count()) == ([], 0)
        await bench.settle()
        assert bench.flock.get(ids[0]).row.address is None

    play(story)


def test_two_miners_that_swapped_their_addresses_hear_no_command_for_the_other(play):
    async def story(bench, door, ids):
        hosts = bench.hosts.hosts
        hosts[at(1)], hosts[at(2)] = hosts[at(2)], hosts[at(1)]
        bulk = await bulk_ended(door, await ask(door.start_bulk, ids, Restart(), "local"))
        assert bulk.counts == {"failed": 2}
        assert (bench.hosts.writes, door.count()) == ([], 0)

    play(story)


def test_a_miner_that_tells_no_identity_is_told_apart_by_the_neighbour_table(play, monkeypatch):
    table = {at(1): mac(1)}
    monkeypatch.setattr("exporter.engine.commanding.certainty.neighbour_macs", lambda: table)

    async def story(bench, door, ids):
        miner = bench.flock.get(ids[0])
        bench.hosts.change(at(1), mac=None)
        miner.state.identity = Identity(model="R1")  # its MAC was the neighbour table's from the start
        assert miner.row.mac == mac(1)
        assert (await ended(door, await ask(door.start, ids[0], Restart(), "local"))).state == "confirmed"
        table[at(1)] = mac(77)
        with pytest.raises(UnavailableError, match=f"another device, {mac(77)}, has the address"):
            await ask(door.start, ids[0], Restart(), "local")
        assert len(bench.hosts.writes) == 1

    play(story)


HERE = "127.0.0.1"


class Talking(CommandRig):
    """May talk by itself, and takes its pool by datagrams then, as an NMMiner does."""

    port = 0
    period = 3600.0

    def identify_datagram(self, data):
        return Identification("rig", Specificity.CERTAIN, Identity(make="Rig"), {"api": "udp"})

    def new_stream(self):
        return self

    def feed(self, data, now):
        return (Reading(hashrate=5.0),)

    def set_pool(self, setting, context):
        request = UdpRequest(self.port, setting.user.encode())
        return Plan("It mines elsewhere.", lambda _: (Write(request),), lambda _: True, limit_seconds=0.1)


@contextlib.asynccontextmanager
async def talking(bench, monkeypatch, table):
    """A `Talking` device on a port of its own that was heard once, and its record."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind((HERE, 0))
        device.settimeout(20.0)
        monkeypatch.setattr(Talking, "port", device.getsockname()[1])
        bench.macs = dict(table)
        bench.engine._streams.datagram(b"hello", HERE)
        await bench.settle()
        yield device, bench.record(mac(50))


@pytest.fixture
def hasty(monkeypatch):
    """The kernel is not waited for as long as a real one takes, and nobody is asked by ARP."""
    monkeypatch.setattr("exporter.engine.commanding.certainty._DOUBT_SECONDS", 0.2)
    monkeypatch.setattr("exporter.engine.commanding.certainty._STIR_SECONDS", 0.2)
    monkeypatch.setattr("exporter.engine.commanding.certainty.who_has", lambda _: None)


@pytest.mark.usefixtures("hasty")
def test_a_miner_that_talks_by_itself_is_told_apart_by_the_neighbour_table(play, monkeypatch):
    """Its pool and worker must not go to a device that has its address by now."""
    table = {HERE: mac(50)}
    monkeypatch.setattr("exporter.engine.commanding.certainty.neighbour_macs", lambda: table)

    async def story(bench, door, _):
        async with talking(bench, monkeypatch, table) as (device, talker):
            table[HERE] = mac(77)
            with pytest.raises(UnavailableError, match=f"nothing was sent: another device, {mac(77)}, has the address"):
                await ask(door.start, talker.id, POOL, "local")
            assert door.count() == 0
            table[HERE] = mac(50)
            begun = await ask(door.start, talker.id, dataclasses.replace(POOL, user="right"), "local")
            assert await asyncio.to_thread(device.recv, 100) == b"right"  # and nothing before it
            await ask(door.wait, begun.id, 0.1)

    play(story, Talking())


@pytest.fixture
def tables(monkeypatch):
    """Sets what the neighbour table says each time it is read (the last for ever); returns who was sent a word."""
    told = []
    monkeypatch.setattr("exporter.engine.commanding.certainty._stir", told.append)

    def say(*each):
        made = iter(each)
        monkeypatch.setattr("exporter.engine.commanding.certainty.neighbour_macs", lambda: next(made, each[-1]))
        told.clear()
        return told

    return say


@pytest.mark.usefixtures("hasty")
def test_who_has_an_address_that_the_table_does_not_know_is_found_out_by_a_word_to_it(tables):
    told = tables({}, {}, {at(1): mac(1)})
    assert asyncio.run(mac_at(at(1))) == mac(1)
    assert told == [at(1)]
    tables({})
    assert asyncio.run(mac_at(at(1))) is None  # behind a router it never does


@pytest.mark.usefixtures("hasty")
def test_what_the_table_knew_of_a_silent_address_is_not_believed_before_the_kernel_asked_again(tables):
    before = {at(1): mac(1), at(2): mac(2)}
    told = tables(before, before, {at(2): mac(2)}, {at(1): mac(7), at(2): mac(2)})
    assert asyncio.run(mac_at(at(1))) == mac(7)
    assert told == [at(1), at(1)]  # once to raise doubts, once to find out who is there
    tables(before, before, {at(1): mac(7)})
    assert asyncio.run(mac_at(at(1))) == mac(7)
    told = tables(before)
    assert asyncio.run(mac_at(at(1))) == mac(1)
    assert told == [at(1)]
    told = tables(before, {})
    assert asyncio.run(mac_at(at(1), anew=False)) == mac(1)  # a poll has just been answered from there
    assert told == []


def test_who_answers_by_arp_has_the_address_whatever_the_table_remembers(tables, monkeypatch):
    told = tables({at(1): mac(1), at(2): mac(9)})
    for answering, found in (
        (mac(7), mac(7)),
        (mac(1), mac(1)),
        (mac(9), None),
    ):  # the last one has another address too
        monkeypatch.setattr("exporter.engine.commanding.certainty.who_has", lambda _, mac=answering: mac)
        assert asyncio.run(mac_at(at(1))) == found
    assert told == []


@pytest.mark.usefixtures("hasty")
def test_a_router_or_repeater_that_answers_for_several_is_no_other_device(play, monkeypatch, tables):
    table = {HERE: mac(50)}

    async def story(bench, door, ids):
        async with talking(bench, monkeypatch, table) as (device, talker):
            assert bench.flock.get(talker.id).row.mac == mac(50)
            tables({HERE: mac(9), at(7): mac(9), at(8): mac(9)})
            begun = await ask(door.start, talker.id, dataclasses.replace(POOL, user="right"), "local")
            assert await asyncio.to_thread(device.recv, 100) == b"right"
            await ask(door.wait, begun.id, 0.1)

    play(story, Talking())


def test_a_miner_that_is_gone_since_its_last_poll_is_not_written_to(play):
    async def story(bench, door, ids):
        del bench.hosts.hosts[at(1)]
        with pytest.raises(UnavailableError, match=r"nothing was sent.*nobody at"):
            await ask(door.start, ids[0], Restart(), "local")
        assert (bench.hosts.writes, door.count()) == ([], 0)

    play(story)


def test_a_command_is_planned_from_what_the_miner_tells_at_that_moment(play):
    class Careful(CommandRig):
        def restart(self, context):
            if context.reading.uptime < 180.0:
                raise CommandRefused("it restarted a moment ago")
            return super().restart(context)

    async def story(bench, door, ids):
        bench.hosts.change(at(1), uptime=30.0)  # by itself, since the last poll
        with pytest.raises(NotOfferedError, match="a moment ago"):
            await ask(door.start, ids[0], Restart(), "local")
        bench.hosts.change(at(2), uptime=777.0)
        done = await ended(door, await ask(door.start, ids[1], Restart(), "local"))
        assert (done.state, done.before["uptime"]) == ("confirmed", 777.0)

    play(story, Careful())


# --- at what moment -----------------------------------------------------------------------------------------------


async def switched_off(bench, _):
    await bench.engine.apply(settings_of(control=Control(enabled=False)), bench.drivers)


async def forgotten(bench, miner):
    await bench.engine.forget(miner.row.id)


async def retired(bench, miner):
    await bench.flock.decided(miner, enabled=False)


async def listed(bench, miner):
    await bench.flock.decided(miner, managed=False)


async def moved(bench, miner):
    bench.flock.update(miner, address=at(9))


async def asked_by_another_driver(bench, _):
    await bench.engine.use_drivers(driver_set(TwoStepRig(), sha256="1"))


async def ending(bench, _):
    bench.engine.commands._stopped = True


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (switched_off, "control.enabled is false"),
        (forgotten, "forgotten"),
        (retired, "retired"),
        (listed, "only listed"),
        (moved, "another address"),
        (asked_by_another_driver, "asked in another way"),
        (ending, "the program ends"),
    ],
)
def test_what_is_not_sent_yet_is_held_back(play, event, words):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        begun = await ask(door.start, ids[0], Restart(), "local")
        await until(lambda: bench.hosts.writes, "the first write")
        await event(bench, bench.flock.get(ids[0]))
        bench.hosts.hold.set()
        done = await ended(door, begun)
        assert done.state == "failed"
        assert "held back" in done.words
        assert words in done.words
        assert bench.hosts.writes == [(at(1), "/mode")]

    play(story, TwoStepRig())


def test_an_order_that_comes_while_the_program_ends_is_not_sent(play):
    async def story(bench, door, ids):
        await bench.engine.commands.stop()
        done = await ended(door, await ask(door.start, ids[0], Restart(), "local"))
        assert (done.state, "the program ends" in done.words, bench.hosts.writes) == ("failed", True, [])

    play(story)


def test_what_a_poll_asked_before_the_command_is_no_evidence(play):
    async def story(bench, door, ids):
        poller, gate, waiting = bench.flock.get(ids[0]).poller, asyncio.Event(), asyncio.Event()

        async def wait(_):
            waiting.set()
            await gate.wait()

        bench.hosts.wait = wait
        before = asyncio.ensure_future(poller.poll_now(telemetry=False))
        await waiting.wait()
        bench.hosts.asked.clear()
        anew = asyncio.ensure_future(poller.poll_now(telemetry=False, anew=True))
        joined = asyncio.ensure_future(poller.poll_now(telemetry=False))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(before, anew, joined)
        assert bench.hosts.asked == [(at(1), "GET /rig")] * 2

    play(story)


def test_a_rescan_and_a_search_do_not_disturb_a_command(play):
    async def story(bench, door, ids):
        bench.hosts.hold = asyncio.Event()
        begun = await ask(door.start, ids[0], Restart(), "local")
        await until(lambda: bench.hosts.writes, "the write")
        rescan = asyncio.ensure_future(bench.engine.rescan(ids[0]))  # has to wait: the device is spoken to
        search = asyncio.ensure_future(bench.search(everything=True))
        await asyncio.sleep(0.01)
        bench.hosts.hold.set()
        assert await rescan == {"up": True}
        await search
        assert (await ended(door, begun)).state == "confirmed"
        assert bench.hosts.writes == [(at(1), "/restart")]

    play(story)


def test_what_a_cancelled_bulk_calls_cancelled_is_never_sent(play, monkeypatch):
    async def story(bench, door, ids):
        asked, gate = asyncio.Event(), asyncio.Event()

        async def slowly(_):
            asked.set()
            await gate.wait()

        monkeypatch.setattr(desk_module, "make_sure", slowly)
        bulk = await ask(door.start_bulk, ids, Restart(), "local", parallel=1)
        await asked.wait()
        assert (await ask(door.cancel_bulk, bulk.id)).counts == {"running": 1, "cancelled": 1}
        gate.set()
        assert (await bulk_ended(door, bulk)).counts == {"confirmed": 1, "cancelled": 1}
        assert bench.hosts.writes == [(at(1), "/restart")]

    play(story)


# --- secrets ------------------------------------------------------------------------------------------------------


class Careless(CommandRig):
    """A user's driver that quotes what it was given."""

    where = "plan"

    def set_pool(self, setting, context):
        if self.where == "plan":
            int(setting.password)
        if self.where == "refusal":
            raise CommandRefused(f"not {setting.password} and not {context.web_password}")

        def check(answers):
            raise CommandRefused(f"{answers.get('POST /restart').body!r} to {setting.password}")

        def writes(_):
            if self.where == "writes":
                int(setting.password)
            return (Write(RESTART),)

        return Plan("A pool.", writes, lambda _: True, check=check, limit_seconds=0.1, settle_seconds=0.0)


@pytest.mark.parametrize("where", ["plan", "refusal", "writes", "check"])
def test_a_driver_that_quotes_a_password_is_masked_everywhere(play, monkeypatch, caplog, where):
    monkeypatch.setattr(Careless, "where", where)
    caplog.set_level("DEBUG")

    async def story(bench, door, ids):
        if where in ("plan", "refusal"):
            with pytest.raises((UnavailableError, NotOfferedError)) as caught:
                await ask(door.start, ids[0], POOL, "local")
            assert caught.value.__cause__ is None
            shown = str(caught.value)
        else:
            done = await ended(door, await ask(door.start, ids[0], POOL, "local"))
            shown = json.dumps([done.words, dict(done.values), dict(done.before), dict(done.after)])
        assert "***" in shown
        for text in (shown, caplog.text):
            assert PASSWORD not in text
            assert "web-secret" not in text

    play(story, Careless(), passwords=("web-secret",))


def test_a_device_that_quotes_the_password_in_its_refusal_is_masked(play):
    class Quoting(CommandRig):
        def set_pool(self, setting, context):
            return replace_writes(self.restart(context), Write(HttpRequest("/pool", method="POST", body=b"{}")))

    async def story(bench, door, ids):
        async def refuse(address, request):
            return Answer(f'{{"err": "bad pool {PASSWORD}"}}'.encode(), status=400)

        bench.hosts._write = refuse
        done = await ended(door, await ask(door.start, ids[0], POOL, "local"))
        assert done.state == "refused"
        assert "bad pool ***" in done.words

    play(story, Quoting())
