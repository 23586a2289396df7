"""A driver's commands against a simulated device: the real runner, exchange and sockets; the polling is made here."""

import contextlib
import dataclasses
import json
import time
from types import SimpleNamespace
from unittest.mock import patch

import httpx

import exporter.engine.commanding.runner as runner_module
from exporter.drivers.api import DecodeContext, DescribesModel
from exporter.drivers.commands import CommandContext
from exporter.engine.commanding.device import Device
from exporter.engine.commanding.questions import Questions
from exporter.engine.commanding.runner import Runner
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.engine.merge import merge_readings
from exporter.errors import MinerError
from exporter.model import Identity
from exporter.transports.digest import SignedIn
from exporter.transports.wire import NetworkWire
from simulator.clock import Clock
from tests.commands.simulated import DictMemory
from tests.engine.bench import driver_set
from tests.simulator.flock import flock, only, spec

#: The devices' time passes this much faster than ours. No more: a restart within three minutes of theirs is refused.
HASTE = 5.0


class HastyClock(Clock):
    """Devices live faster than we do."""

    def __init__(self):
        super().__init__()
        self._begun = time.time()

    def now(self):
        return super().now() + (HASTE - 1.0) * (time.time() - self._begun)


def looking_often():
    """The effect is looked for more often than with real devices."""
    return patch.object(runner_module, "_FIRST_PAUSE", 0.1)


class QuickPoller:
    """Asks when it is told to, as `Poller` does, and never by itself."""

    def __init__(self, driver, exchange, session, identity, details):
        self._driver = driver
        self._exchange = exchange
        self.session = session
        self.identity = identity
        self.details = details
        self.state = SimpleNamespace(up=False, last_success=None)
        self.asker = self
        self._reading = None

    @property
    def decode(self):
        return DecodeContext(time.time(), self.identity, self.details)

    async def ask(self, requests):
        return await self._exchange.ask(self.session, requests)

    async def poll_now(self, *, anew=False):
        driver, context = self._driver, self.decode
        try:
            status = driver.decode_status(await self.ask(driver.status_requests(context)), context)
            telemetry = driver.decode_telemetry(await self.ask(driver.telemetry_requests(context)), context)
        except MinerError:
            self.state.up = False
            return
        self._reading = merge_readings(status, telemetry)
        self.state = SimpleNamespace(up=True, last_success=time.monotonic())

    def reading(self):
        return self._reading

    async def ensure_key(self):
        """The key was made before."""

    async def renew_key(self):
        return False


class SimulatedMiner:
    """One device with a driver that commands it."""

    def __init__(self, driver, simulation, poller, exchange):
        self.driver = driver
        self.simulation = simulation
        self.host = only(simulation)
        self._poller = poller
        miner = SimpleNamespace(poller=poller, stream=None)
        self._device = Device(miner, poller, exchange, self.host.address)
        self._questions = Questions(lambda: driver_set(driver))
        self.model = None
        self.remembered = {}

    @property
    def truth(self):
        return self.host.truth()

    async def look(self):
        """The reading of now, with the telemetry; None where there is no answer."""
        await self._poller.poll_now()
        return self._poller.reading() if self._poller.state.up else None

    async def context(self):
        reading = await self.look()
        if self.model is None and isinstance(self.driver, DescribesModel):
            answers = await self._poller.ask(self.driver.model_requests(self._poller.decode))
            self.model = self.driver.decode_model(answers, self._poller.decode)
        remembered = dict(self.remembered)
        return CommandContext(self._poller.decode, reading=reading, model=self.model, remembered=remembered)

    async def run(self, make_plan, **changes):
        """Carry out the plan that `make_plan(driver, context)` gives. `changes` shorten its times."""
        context = await self.context()
        context, _ = await self._questions.for_all(self.driver, self._device, context, "simulated")
        plan = dataclasses.replace(make_plan(self.driver, context), **{"settle_seconds": 0.05, **changes})

        memory = DictMemory(self.remembered, plan.remember)
        runner = Runner(self._device, self.driver, trusted=True, memory=memory)
        return await runner.run(plan, context.reading)


@contextlib.asynccontextmanager
async def commanded(driver, kind, model, *, details, firmware, password=None, version=None):
    """A simulated device of a kind and model, known to `driver` as `firmware` of `version`.

    Args:
        password: for the digest of user root; None for a device that gives out API keys, of which one is made.
    """
    async with flock(spec(kind, model), clock=HastyClock()) as simulation:
        host = only(simulation)
        simulation.clock.advance(5.0)  # commands act in whole seconds: away from the device's first one
        session = Session(Endpoint(host.address, host.ports["http"], host.ports["rpc"]), driver)
        if password is None:
            session.key_headers = (("x-api-key", await make_key(host)),)
        else:
            session.digests = [SignedIn("root", password)]
        wire = NetworkWire()
        exchange = Exchange(wire)
        identity = Identity(model=host.device.profile.model, firmware=firmware, firmware_version=version)
        try:
            poller = QuickPoller(driver, exchange, session, identity, details)
            with looking_often():
                yield SimulatedMiner(driver, simulation, poller, exchange)
        finally:
            await wire.close()


async def make_key(host):
    """A key of the device's own making: it takes any of 32 hexadecimal digits."""
    key = "00112233445566778899aabbccddeeff"
    base = f"http://{host.address}:{host.ports['http']}/api/v1"
    async with httpx.AsyncClient() as client:
        token = (await client.post(f"{base}/unlock", json={"pw": "admin"})).json()["token"]
        await client.post(
            f"{base}/apikeys",
            json={"key": key, "description": "Example"},
            headers={"Authorization": f"Bearer {token}"},
        )
    return key


def written(write):
    """What goes out: method, path, body as a document, sign-in."""
    request = write.request
    body = None if request.body is None else json.loads(request.body)
    return (request.method, request.path, body, request.auth.value)
