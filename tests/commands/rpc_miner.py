"""A driver's commands against a simulated device with a CGMiner port, over the real runner, exchange and sockets."""

import contextlib
import dataclasses

from exporter.drivers.api import Answer, DecodeContext
from exporter.drivers.commands import CommandContext
from exporter.engine.exchange import Endpoint, Exchange, Session
from exporter.model import Identity, Reading
from exporter.protocols.cgminer import encode_command
from exporter.protocols.tolerant_json import parse_json
from exporter.transports.wire import NetworkWire
from exporter.units import seconds
from tests.commands.simulated_miner import HastyClock, QuickPoller, SimulatedMiner, looking_often
from tests.simulator.flock import flock, only, spec

RUNNING = Reading(uptime=seconds(90_000.0), mining_uptime=seconds(89_000.0))


class RpcMiner(SimulatedMiner):
    """As `SimulatedMiner`, with a web password that may be known."""

    web_password = None

    async def context(self):
        context = await super().context()
        return dataclasses.replace(context, web_username="admin", web_password=self.web_password)


@contextlib.asynccontextmanager
async def commanded(driver_class, kind, model, *, details=None):
    """A simulated device, known to a driver of `driver_class` that does not space its requests."""

    class Hurried(driver_class):
        rules = dataclasses.replace(driver_class.rules, spacing_seconds=0.0)

    driver = Hurried()
    async with flock(spec(kind, model), clock=HastyClock()) as simulation:
        host = only(simulation)
        session = Session(Endpoint(host.address, api_port=host.ports["rpc"]), driver)
        wire = NetworkWire()
        exchange = Exchange(wire)
        identity = Identity(model=host.device.profile.model)
        try:
            poller = QuickPoller(driver, exchange, session, identity, details or {"stats": "stats"})
            with looking_often():
                yield RpcMiner(driver, simulation, poller, exchange)
        finally:
            await wire.close()


def context_of(model=None, reading=RUNNING, *, details=None, **more):
    """What a driver knows of a miner that is called `model`."""
    return CommandContext(DecodeContext(1_780_000_000.0, Identity(model=model), details or {}), reading, **more)


def sent(write):
    """The bytes of a write."""
    request = write.request
    return encode_command(request.command, request.parameter, text=request.text)


def reply(document):
    """A device's answer, as the exchange gives it to a check."""
    return Answer(b"", document=document)


def told(body):
    """A device's answer from its JSON bytes."""
    return reply(parse_json(body))
