"""One simulated miner, commanded the way the engine does it: real requests over loopback, real polls, real plans."""

import asyncio
import contextlib
import dataclasses
import json
import time

import exporter.engine.commanding.runner as runner_module
from exporter.drivers.api import Answer, Answers, DecodeContext, HttpRequest
from exporter.drivers.commands import CommandContext
from exporter.engine.commanding.device import Device
from exporter.engine.commanding.offers import offers_of
from exporter.engine.commanding.planning import Limits, make_plan
from exporter.engine.commanding.questions import Questions
from exporter.engine.commanding.runner import Runner
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.engine.miner import Miner
from exporter.engine.poll_state import PollState
from exporter.engine.poller import Poller, PollSettings
from exporter.model import Identity
from exporter.transports.wire import NetworkWire
from simulator.clock import Clock
from simulator.simulation import Simulation
from tests.engine.bench import driver_set
from tests.simulator.flock import only, spec

#: The devices' time passes this much faster than ours, so that restarts are short.
HASTE = 20.0


class HastyClock(Clock):
    """Devices live faster than we do."""

    def __init__(self):
        super().__init__()
        self._begun = time.time()

    def now(self):
        return self._begun + HASTE * (time.time() - self._begun)


class DictMemory:
    """What a plan remembers, in `known`."""

    def __init__(self, known, facts):
        self._known = known
        self._facts = facts
        self._before = dict(known)

    async def keep(self):
        self._known |= {name: value for name, value in self._facts.items() if value is not None}

    async def take_back(self):
        self._known.clear()
        self._known |= self._before

    async def forget(self):
        for name in [name for name, value in self._facts.items() if value is None]:
            self._known.pop(name, None)


class _Silent:
    def poll_begun(self, driver):
        pass

    def poll_ended(self, driver, seconds):
        pass

    def poll_failed(self, driver, reason):
        pass


class Commander:
    """Gives orders to one simulated HTTP device. `device` is the simulated one."""

    def __init__(self, host, driver, wire):
        self.device = host.device
        self.driver = driver
        self._host = host
        self._exchange = Exchange(wire)
        self._session = Session(Endpoint(host.address, http_port=host.ports["http"]), driver)
        self.state = PollState(Identity(), {})
        self.poller = Poller(
            "simulated",
            self._session,
            self.state,
            self._exchange,
            PollSettings(15.0, 60.0),
            _Silent(),
            asyncio.Semaphore(1),
            trusted=True,
            on_change=lambda: None,
            on_wrong_miner=lambda: None,
            login=None,
        )
        self._miner = Miner(None, self.state, self.poller)
        self._device = Device(self._miner, self.poller, self._exchange, host.address)
        self._questions = Questions(lambda: driver_set(driver))
        self.remembered = {}

    async def meet(self):
        """Identify the device by the driver's own probes, and poll it once."""
        probes = tuple(dataclasses.replace(one, optional=True) for one in self.driver.probes)
        found = self.driver.identify(await self._exchange.ask(self._session, probes))
        self.state.identity, self.state.details = found.identity, dict(found.details)
        await self.poller.poll_now()
        assert self.state.up

    def context(self):
        decode = DecodeContext(time.time(), self.state.identity, self.state.details)
        remembered = dict(self.remembered)
        reading = self.poller.reading()
        return CommandContext(decode, reading=reading, address=self._host.address, remembered=remembered)

    async def ranges(self):
        return (await self._questions.for_order(self.driver, self._device, self.context(), "tuning"))[1]

    async def offers(self):
        """Commands that are offered, by name."""
        context, ranges = await self._questions.for_all(self.driver, self._device, self.context(), "simulated")
        return {offer.command: offer for offer in offers_of(self.driver, context, ranges, Limits()).commands}

    async def offered(self):
        """Names of the commands that are offered."""
        return set(await self.offers())

    async def order(self, order, **changes):
        """Carry out an order; the device settles faster, so that nobody waits. `changes` are to the plan."""
        asked = await self._questions.for_order(self.driver, self._device, self.context(), order.command)
        context, ranges = asked
        plan = make_plan(self.driver, order, context, ranges, Limits())
        plan = dataclasses.replace(plan, **{"settle_seconds": 0.05, **changes})

        memory = DictMemory(self.remembered, plan.remember)
        runner = Runner(self._device, self.driver, trusted=True, memory=memory)
        return await runner.run(plan, context.reading)


@contextlib.asynccontextmanager
async def commander(driver, kind, model, monkeypatch):
    """A commander of one new simulated device."""
    monkeypatch.setattr(runner_module, "_FIRST_PAUSE", 0.1)
    wire = NetworkWire()
    async with Simulation([spec(kind, model)], clock=HastyClock()) as simulation:
        made = Commander(only(simulation), driver, wire)
        try:
            await made.meet()
            yield made
        finally:
            await made.poller.stop()
            await wire.close()


def answers(*documents):
    """Answers by request key from (key, document) pairs."""
    return Answers({key: Answer(json.dumps(document).encode()) for key, document in documents})


def sent(plan, *documents):
    """What a plan writes, given its reads: (method, path, body) of each request, with what goes beside them checked."""
    requests = [write.request for write in plan.writes(answers(*documents))]
    for request in requests:
        assert isinstance(request, HttpRequest)
        assert request.content_type == "application/json"
        assert request.headers == ()
    return [(request.method, request.path, request.body) for request in requests]


def about(version, make=None, address=None, reading=None, **details):
    """The context of a miner with this firmware version."""
    identity = Identity(make=make, firmware_version=version)
    return CommandContext(DecodeContext(1.0, identity, details), reading=reading, address=address)
