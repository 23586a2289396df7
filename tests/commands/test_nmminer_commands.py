"""Commands of NMMiner and NMAxe: the bytes that go out, and their effect on simulated miners."""

import asyncio
import dataclasses
import json
import socket
import time

import pytest

import exporter.engine.commanding.runner as runner_module
from exporter.drivers.api import DecodeContext
from exporter.drivers.bundled.nmminer_driver import NMMinerDriver
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, PoolSetting, UdpRequest
from exporter.engine.api.commands import Identify, Pause, Restart, Resume, SetFan, SetPool, SetTuning
from exporter.engine.commanding.device import Device
from exporter.engine.commanding.offers import offers_of
from exporter.engine.commanding.planning import Limits, make_plan
from exporter.engine.commanding.runner import Runner
from exporter.engine.miner import Miner
from exporter.engine.poll_state import PollState
from exporter.errors import FieldError, NotOfferedError
from exporter.model import Identity, MinerState, Pool, Reading
from exporter.store.secret import Secret
from exporter.units import hertz, ratio, seconds, volts
from simulator.simulation import Simulation
from tests.commands.simulated import HastyClock, about, answers, commander, sent
from tests.simulator.flock import only, shared, spec

DRIVER = NMMinerDriver()
FIRST = PoolSetting(0, "stratum+tcp://solo.example:4444", "bc1qexample.rig", "p4ss")
SECOND = PoolSetting(1, "stratum+ssl://solo.example:4444", "bc1qexample.rig", "p4ss")
UDP = about("v0.3.01", "NMMiner", address="192.0.2.7", api="udp")
HTTP = about("v2.0.04", "NMMiner", api="http")
AXE = about("v3.0.21", "NMAxe", api="http")
RESTART = ("POST", "/api/system/restart", None)
FIND = ("POST", "/api/swarm/find", None)


def pool(slot=0, url="stratum+tcp://solo.example:4444"):
    return SetPool(url, "bc1qexample.rig", Secret("p4ss"), slot)


# --- the bytes --------------------------------------------------------------------------------------------------


def test_the_datagram_names_one_miner_and_holds_the_pool_only():
    (write,) = DRIVER.set_pool(FIRST, UDP).writes(answers())
    assert write.request == UdpRequest(
        12347,
        (
            b'{"IP": "192.0.2.7", "PrimaryPool": "stratum+tcp://solo.example:4444", '
            b'"PrimaryAddress": "bc1qexample.rig", "PrimaryPassword": "p4ss"}'
        ),
        repeat=10,
        spacing_seconds=0.1,
    )


def test_its_keys_are_those_of_the_vendor_without_the_wifi():
    documented = json.loads(shared("payloads", "nmminer", "v0.3.01-udp12345", "udp12347_config.json").read_text())
    body = json.loads(DRIVER.set_pool(FIRST, UDP).writes(answers())[0].request.body)
    assert set(body) < set(documented)
    assert not any("wifi" in key.lower() for key in body)
    assert {key: type(value) for key, value in body.items()} == {key: type(documented[key]) for key in body}


@pytest.mark.parametrize("address", [None, "0.0.0.0"])
def test_without_an_address_nothing_is_sent(address):
    with pytest.raises(CommandRefused, match="address"):
        DRIVER.set_pool(FIRST, about("v0.3.01", "NMMiner", address=address, api="udp"))


def test_pools_over_http():
    body = (
        b'{"PrimaryPool": "stratum+tcp://solo.example:4444", "PrimaryAddress": "bc1qexample.rig", '
        b'"PrimaryPassword": "p4ss"}'
    )
    assert sent(DRIVER.set_pool(FIRST, HTTP)) == [("POST", "/api/setting/mining", body)]
    body = (
        b'{"SecondaryPool": "stratum+ssl://solo.example:4444", "SecondaryAddress": "bc1qexample.rig", '
        b'"SecondaryPassword": "p4ss"}'
    )
    assert sent(DRIVER.set_pool(SECOND, HTTP)) == [("POST", "/api/setting/mining", body)]


def test_pools_of_nmaxe():
    body = (
        b'{"stratum": {"primary": {"url": "stratum+tcp://solo.example:4444", "user": "bc1qexample.rig", '
        b'"pwd": "p4ss"}}}'
    )
    assert sent(DRIVER.set_pool(FIRST, AXE)) == [("PATCH", "/api/setting/mining", body), RESTART]
    body = (
        b'{"stratum": {"fallback": {"url": "stratum+ssl://solo.example:4444", "user": "bc1qexample.rig", '
        b'"pwd": "p4ss"}}}'
    )
    assert sent(DRIVER.set_pool(SECOND, AXE)) == [("PATCH", "/api/setting/mining", body), RESTART]


def test_other_commands():
    for context in (HTTP, AXE):
        assert sent(DRIVER.restart(context)) == [RESTART]
        assert sent(DRIVER.identify_light(True, context)) == [FIND]
    assert sent(DRIVER.pause(AXE)) == [("PATCH", "/api/mining/state", b'{"paused": true}')]
    assert sent(DRIVER.resume(AXE)) == [("PATCH", "/api/mining/state", b'{"paused": false}')]
    assert sent(DRIVER.set_tuning({"frequency": 550e6, "core_voltage": 1.2}, AXE)) == [
        ("PATCH", "/api/setting/mining", b'{"asicVcoreReq": 1200, "asicFreqReq": 550}')
    ]
    assert sent(DRIVER.set_fan(ratio(0.6), AXE)) == [
        ("PATCH", "/api/setting/preference", b'{"fans": [{"id": 0, "auto": 0, "speed": 60}]}')
    ]
    assert sent(DRIVER.set_fan(None, AXE)) == [
        ("PATCH", "/api/setting/preference", b'{"fans": [{"id": 0, "auto": 1}]}')
    ]


# --- what is offered --------------------------------------------------------------------------------------------


def offered(context, ranges=()):
    return {offer.command for offer in offers_of(DRIVER, context, ranges, Limits()).commands}


def test_what_each_interface_offers():
    assert offered(UDP) == {"pool"}
    assert offered(HTTP) == {"restart", "identify", "pool"}
    assert offered(AXE) == {"restart", "pause", "resume", "identify", "pool", "fan"}
    assert offered(about("v3.0.10", "NMAxe")) == {"restart", "identify", "pool", "fan"}
    assert offered(about("v2.9.31", "NMAxe")) == {"restart", "identify"}
    assert (DRIVER.pool_rules(UDP).slots, DRIVER.pool_rules(HTTP).slots, DRIVER.pool_rules(AXE).slots) == (1, 2, 2)


def test_an_nmaxe_that_tells_its_state_by_datagrams_takes_nothing_by_them():
    context = CommandContext(DecodeContext(1.0, Identity(make="NMMiner", model="NMAxe"), {"api": "udp"}))
    assert offered(context) == set()


def test_what_a_miner_lacks_is_refused_with_words():
    for make in (DRIVER.restart, DRIVER.pause, DRIVER.tuning_reads, lambda context: DRIVER.set_fan(None, context)):
        with pytest.raises(CommandRefused):
            make(UDP)
    with pytest.raises(CommandRefused, match="NMAxe can"):
        DRIVER.pause(HTTP)
    with pytest.raises(CommandRefused, match=r"3\.0\.21"):
        DRIVER.pause(about("v3.0.20", "NMAxe"))
    with pytest.raises(CommandRefused, match=r"from 3\.0"):
        DRIVER.tuning_reads(about("v2.9.31", "NMAxe"))
    with pytest.raises(CommandRefused, match="by itself"):
        DRIVER.identify_light(False, HTTP)


def test_ranges_of_nmaxe_are_its_own_options():
    documented = json.loads(shared("payloads", "nmaxe", "v2.9.31-doc", "http_setting_mining.json").read_text())
    frequency, voltage = DRIVER.decode_tuning(answers(("GET /api/setting/mining", documented)), AXE)
    assert (frequency.choices, frequency.current) == ((550e6,), 550e6)
    assert voltage.choices == pytest.approx((1.2,))


# --- confirmation -----------------------------------------------------------------------------------------------


def mining_to(url, uptime=500.0):
    return Reading(uptime=seconds(uptime), pools=(Pool("0", url=url, active=True),))


def test_the_pool_in_use_tells_whether_a_datagram_was_obeyed():
    plan = DRIVER.set_pool(FIRST, UDP)
    old, new = mining_to("pool.example:3333"), mining_to("solo.example:4444", 510.0)
    assert plan.confirmed(Evidence(old, new))
    assert not plan.confirmed(Evidence(old, old))
    # Another user of the same pool shows in no message; a restart does.
    assert not plan.confirmed(Evidence(mining_to("solo.example:4444"), new))
    assert plan.confirmed(Evidence(mining_to("solo.example:4444"), mining_to("solo.example:4444", 3.0)))


# --- simulated miners -------------------------------------------------------------------------------------------


class Stream:
    """One simulated miner that talks by itself, and the engine's side of it."""

    def __init__(self, host):
        self.host = host
        self.device = host.device
        self.miner = Miner(None, PollState(Identity(), {}))
        self._stream = DRIVER.new_stream()
        self._met = asyncio.Event()

    def heard(self, data):
        (reading,) = self._stream.feed(data, time.time())
        self.miner.stream = (reading, time.monotonic() + 15.0)
        self.miner.state.identity = reading.identity
        self._met.set()

    async def order(self, order, **changes):
        await self._met.wait()
        decode = DecodeContext(time.time(), self.miner.state.identity, {"api": "udp"})
        context = CommandContext(decode, reading=self.miner.stream[0], address=self.host.address)
        plan = make_plan(DRIVER, order, context, (), Limits())
        plan = dataclasses.replace(plan, **{"settle_seconds": 0.05, **changes})
        device = Device(self.miner, None, None, self.host.address)
        return await Runner(device, DRIVER, trusted=True).run(plan, context.reading)


def talking(monkeypatch, scenario):
    """Run `scenario` with two miners that talk by themselves; the second one must never be told anything."""
    monkeypatch.setattr(runner_module, "_FIRST_PAUSE", 0.1)
    monkeypatch.setattr("simulator.devices.nmminer.NMMiner.broadcast_seconds", 0.2)

    async def run():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            specs = [spec("nmminer", "nmlotto-0.3", 1), spec("nmminer", "nm-cyd-0.3", 2)]
            target = receiver.getsockname()
            async with Simulation(specs, udp_target=target, clock=HastyClock()) as simulation:
                first, second = simulation.hosts.values()
                stream = Stream(first)

                def receive():
                    data, sender = receiver.recvfrom(4096)
                    if sender[0] == first.address:
                        stream.heard(data)

                loop.add_reader(receiver, receive)
                try:
                    await scenario(stream)
                finally:
                    loop.remove_reader(receiver)
                assert (second.device.datagrams_taken, second.device.records.writes) == (0, [])
                assert first.device.records.unexpected_writes == []

    asyncio.run(run())


def test_a_miner_that_talks_by_itself_takes_a_pool(monkeypatch):
    async def scenario(stream):
        outcome = await stream.order(pool())
        assert outcome.state == "confirmed", outcome
        assert outcome.after.pools[0].url == "solo.example:4444"
        assert stream.device.datagrams_taken == 10
        assert "p4ss" not in "".join(stream.device.records.writes)
        settings = stream.device.pools.settings
        assert (settings["PrimaryPassword"], settings["SecondaryPassword"]) == ("p4ss", "x")
        assert settings["SecondaryPool"] == "stratum+tcp://backup.example.com:3333"

    talking(monkeypatch, scenario)


def test_a_miner_that_does_not_listen_is_unconfirmed(monkeypatch):
    async def scenario(stream):
        stream.device.obeys = False
        outcome = await stream.order(pool(), limit_seconds=0.5)
        assert outcome.state == "unconfirmed"
        with pytest.raises(FieldError, match="slot"):
            await stream.order(pool(slot=1))
        with pytest.raises(FieldError, match="url"):
            await stream.order(pool(url="stratum+ssl://solo.example:4444"))

    talking(monkeypatch, scenario)


def test_the_strict_miner_notes_wifi_keys_and_the_address_of_all():
    clock = HastyClock()

    async def scenario():
        async with Simulation([spec("nmminer", "nmlotto-0.3")], clock=clock) as simulation:
            host = only(simulation)
            good = {"IP": host.address, "PrimaryPool": "stratum+tcp://solo.example:4444"}
            for body in ({**good, "WiFiPWD": "secret"}, {**good, "IP": "0.0.0.0"}, {"PrimaryPool": "a"}, good):
                host.device.take_datagram(json.dumps(body).encode())
            records = host.device.records
            assert (len(records.unexpected_writes), len(records.writes)) == (3, 1)
            assert "secret" not in "".join(records.unexpected_writes)

    asyncio.run(scenario())


def commanded(kind, model, monkeypatch, scenario):
    async def run():
        async with commander(DRIVER, kind, model, monkeypatch) as miner:
            await scenario(miner)
            assert miner.device.records.unexpected_writes == []

    asyncio.run(run())


@pytest.mark.parametrize(("kind", "model"), [("nmminer-http", "nmminer-2.0"), ("nmaxe", "nmaxe-3.0.21")])
def test_a_miner_restarts_and_shows_where_it_is(kind, model, monkeypatch):
    async def scenario(miner):
        assert (await miner.order(Identify(True))).state == "confirmed"
        assert miner.device.found == 1
        assert (await miner.order(Restart())).state == "confirmed"
        assert miner.device.records.writes == ["POST /api/swarm/find", "POST /api/system/restart"]

    commanded(kind, model, monkeypatch, scenario)


@pytest.mark.parametrize("slot", [0, 1])
def test_a_miner_over_http_takes_a_pool(slot, monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(pool(slot))
        assert outcome.state == "confirmed", outcome
        (write,) = miner.device.records.writes
        assert "p4ss" not in write
        name, other = ("Primary", "Secondary") if slot == 0 else ("Secondary", "Primary")
        assert miner.device.pools.settings[f"{name}Password"] == "p4ss"
        assert miner.device.pools.settings[f"{other}Password"] == "x"
        used = "solo.example:4444" if slot == 0 else "pool.example.com:3333"
        assert outcome.after.pools[0].url == used

    commanded("nmminer-http", "nmminer-2.0", monkeypatch, scenario)


@pytest.mark.parametrize("slot", [0, 1])
@pytest.mark.parametrize("model", ["nmaxe-3.0.21", "nmaxe-3.0.10"])
def test_an_nmaxe_takes_a_pool(model, slot, monkeypatch):
    async def scenario(miner):
        outcome = await miner.order(pool(slot))
        assert outcome.state == "confirmed", outcome
        assert len(miner.device.records.writes) == 2
        name, other = ("primary", "fallback") if slot == 0 else ("fallback", "primary")
        assert miner.device.pools[name]["pwd"] == "p4ss"
        assert miner.device.pools[other]["pwd"] == "x"

    commanded("nmaxe", model, monkeypatch, scenario)


def test_an_nmaxe_pauses_is_tuned_and_takes_a_fan_speed(monkeypatch):
    async def scenario(miner):
        everything = {"restart", "pause", "resume", "identify", "tuning", "pool", "fan"}
        assert await miner.offered() == everything
        outcome = await miner.order(Pause())
        assert (outcome.state, outcome.after.state) == ("confirmed", MinerState.IDLE)
        assert (await miner.order(Resume())).state == "confirmed"
        outcome = await miner.order(SetTuning(hertz(600e6), volts(1.25)))
        assert outcome.state == "confirmed", outcome
        assert outcome.after.boards[0].frequency == 600e6
        with pytest.raises(FieldError, match="frequency"):
            await miner.order(SetTuning(hertz(610e6)))
        with pytest.raises(FieldError, match=r"duty: must be from 0\.15 to 1"):
            await miner.order(SetFan(ratio(0.0)))
        outcome = await miner.order(SetFan(ratio(0.7)))
        assert (outcome.state, outcome.after.fans[0].duty) == ("confirmed", pytest.approx(0.7))
        assert (await miner.order(SetFan(None))).state == "confirmed"

    commanded("nmaxe", "nmaxe-3.0.21", monkeypatch, scenario)


def test_what_a_miner_does_not_offer_is_said(monkeypatch):
    async def scenario(miner):
        assert await miner.offered() == {"restart", "identify", "pool"}
        with pytest.raises(NotOfferedError, match="restart"):
            await miner.order(SetFan(None))

    commanded("nmminer-http", "nmminer-2.0", monkeypatch, scenario)


@pytest.mark.parametrize(("kind", "model"), [("nmminer-http", "nmminer-2.0"), ("nmaxe", "nmaxe-3.0.21")])
@pytest.mark.parametrize("order", [Restart(), pool(), pool(slot=1)], ids=["restart", "first", "second"])
def test_a_miner_that_says_yes_and_changes_nothing_is_unconfirmed(kind, model, order, monkeypatch):
    async def scenario(miner):
        miner.device.obeys = False
        assert (await miner.order(order, limit_seconds=0.3)).state == "unconfirmed"

    commanded(kind, model, monkeypatch, scenario)
