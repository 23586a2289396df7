"""What a miner was asked and answered: recorded only while somebody looks, redacted, bounded."""

import contextlib
import json

import pytest

from exporter.drivers.api import Answer, CgminerRequest, Identification, Specificity
from exporter.engine import recording
from exporter.engine.api.caller import OUTSIDE_CALLERS
from exporter.engine.doors.miners import MinersDoor
from exporter.engine.recording import KEPT, LONGEST_BODY, console_seen
from exporter.errors import RequestTimeoutError, UnavailableError
from exporter.model import Identity, Reading
from tests.engine.bench import RigDriver, at, driver_set, mac, run
from tests.engine.doors.calls import ask, door_of, until
from tests.protocols.nerdminer_consoles import PASSWORD

WALLET = "bc1q" + "k" * 38


async def one_miner(bench, **document):
    bench.hosts.put(at(1), mac=mac(0x31), **document)
    await bench.search()
    return door_of(MinersDoor, bench), bench.record(mac(0x31)).id


def test_the_first_look_has_a_poll_to_show_and_later_ones_have_more(tmp_path, monkeypatch):
    async def story(bench):
        door, one = await one_miner(bench, poolPassword="hush-hush", wallet=WALLET, serial="ABCD12345678")
        (first, *_) = seen = await ask(door.exchanges, one)
        assert (first.request, first.status, first.error) == ("GET /rig", 200, None)
        assert first.seconds >= 0.0
        for secret in ("hush-hush", WALLET, mac(0x31), "ABCD12345678"):
            assert secret not in first.body
        assert json.loads(first.body)["rate"] == 5.0
        await bench.poll(at(1))
        assert len(await ask(door.exchanges, one)) > len(seen)

    run(tmp_path, monkeypatch, story)


def test_who_looks_waits_among_those_who_wait_for_devices(tmp_path, monkeypatch):
    async def story(bench):
        door, one = await one_miner(bench)
        with contextlib.ExitStack() as others:
            for _ in range(OUTSIDE_CALLERS):
                others.enter_context(door._caller.outside())
            for look in (door.exchanges, door.rescan):
                with pytest.raises(UnavailableError, match="too many"):
                    await ask(look, one)
            assert door.row(one).id == one
        assert await ask(door.exchanges, one)

    run(tmp_path, monkeypatch, story)


def test_what_did_not_come_says_why(tmp_path, monkeypatch):
    async def story(bench):
        door, one = await one_miner(bench)
        bench.hosts.hosts[at(1)] = RequestTimeoutError("no answer in 5 s")
        last = (await ask(door.exchanges, one))[-1]
        assert (last.request, last.status, last.body, last.error) == ("GET /rig", None, None, "no answer in 5 s")

    run(tmp_path, monkeypatch, story)


def test_no_more_than_the_last_few_are_kept_and_long_bodies_are_cut(tmp_path, monkeypatch):
    async def story(bench):
        door, one = await one_miner(bench, noise="x" * 200_000)
        await ask(door.exchanges, one)
        for _ in range(KEPT + 5):
            await bench.poll(at(1))
        seen = await ask(door.exchanges, one)
        assert len(seen) == KEPT
        assert {len(exchange.body) for exchange in seen} == {LONGEST_BODY}
        assert [exchange.at for exchange in seen] == sorted(exchange.at for exchange in seen)

    run(tmp_path, monkeypatch, story)


def test_nobody_is_recorded_whom_nobody_looks_at_and_looking_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "WATCH_SECONDS", 0.2)

    async def story(bench):
        usual = bench.engine.exchange
        bench.hosts.put(at(2), mac=mac(2))
        door, one = await one_miner(bench)
        await ask(door.exchanges, one)
        watched, other = bench.flock.get(one).poller, bench.flock.get(bench.record(mac(2)).id).poller
        assert other.asker._exchange is usual
        await until(lambda: watched.asker._exchange is usual, "the end of the recording")
        assert door._recordings.kept(one) == ()

    run(tmp_path, monkeypatch, story)


def test_only_so_many_are_watched_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_MOST_MINERS", 2)

    async def story(bench):
        for number in (1, 2, 3):
            bench.hosts.put(at(number), mac=mac(number))
        await bench.search()
        door = door_of(MinersDoor, bench)
        ids = [bench.record(mac(number)).id for number in (1, 2, 3)]
        for miner_id in ids:
            assert await ask(door.exchanges, miner_id)
        assert [bool(door._recordings.kept(miner_id)) for miner_id in ids] == [False, True, True]

    run(tmp_path, monkeypatch, story)


def test_a_miner_that_is_polled_anew_is_recorded_anew(tmp_path, monkeypatch):
    async def story(bench):
        door, one = await one_miner(bench)
        before = await ask(door.exchanges, one)
        await ask(door.change, one, {"managed": False})
        assert await ask(door.exchanges, one) == before
        await ask(door.change, one, {"managed": True})
        await bench.settle()
        after = await ask(door.exchanges, one)
        assert len(after) > len(before)
        assert after[: len(before)] == before

    run(tmp_path, monkeypatch, story)


class Rpc(RigDriver):
    """The same over the CGMiner API, with a parameter and a query that nobody should see."""

    driver_type = "rpc"
    connection_type = "tcp"
    probes = (CgminerRequest("version"),)

    def identify(self, answers):
        return Identification("rpc", Specificity.SPECIFIC, Identity(mac=mac(1))) if len(answers.keys()) else None

    def identity_requests(self, context):
        return ()

    def status_requests(self, context):
        return (CgminerRequest("privileged", parameter="its-parameter"),)

    def decode_status(self, answers, context):
        return Reading(identity=Identity(mac=mac(1)))


def test_commands_are_shown_without_their_parameters(tmp_path, monkeypatch):
    status = {"STATUS": [{"STATUS": "S", "Code": 11, "Msg": "ok"}], "WHO": [{"Worker": f"{WALLET}.garage"}]}

    async def story(bench):
        reply = Answer(json.dumps(status).encode())
        bench.hosts.hosts[at(1)] = {"rpc version": reply, "rpc privileged": reply}
        await bench.search()
        door = door_of(MinersDoor, bench)
        last = (await ask(door.exchanges, bench.record(mac(1)).id))[-1]
        assert (last.request, last.status) == ("privileged", None)
        assert "STATUS" in last.body
        assert WALLET not in last.body
        assert "garage" not in last.body

    run(tmp_path, monkeypatch, story, drivers=driver_set(Rpc()))


@pytest.mark.parametrize("cut", [7, 64, 100_000])
def test_the_console_of_a_miner_on_usb_is_shown_without_secrets(cut):
    told = (
        "boot\n"
        f'{{"poolString":"pool.example","poolPassword":"{PASSWORD}","btcString":"{WALLET}.shelf"}}\n'
        f"poolPassword: {PASSWORD}\n"
        f'{{"id": 2, "method": "mining.authorize", "params": ["{WALLET}.garage", "{PASSWORD}"]}}\n'
        ">>> Completed 5 share(s), 310 Khashes, avg. hashrate 310.00 KH/s\n"
    ).encode()
    pieces = [(float(start), told[start : start + cut]) for start in range(0, len(told), cut)]
    (seen,) = console_seen(pieces)
    assert (seen.request, seen.status, seen.error, seen.at) == ("console", None, None, pieces[-1][0])
    assert "Completed 5 share(s)" in seen.body
    for secret in (PASSWORD, WALLET):
        assert secret not in seen.body
    assert console_seen(()) == ()
