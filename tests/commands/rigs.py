"""A family of devices that take commands, on the wire of the engine's bench, and its driver."""

import asyncio
import json

from exporter.drivers.api import Answer, Auth, HttpRequest
from exporter.drivers.commands import CommandRefused, Plan, PoolRules, TuningRange, Write
from exporter.drivers.fields import as_table, count
from exporter.engine.doors.commands import CommandsDoor
from exporter.errors import AuthError, RequestTimeoutError, Unreachable
from exporter.model import replace
from exporter.units import seconds
from tests.engine.bench import Hosts, RigDriver, at, driver_set, mac
from tests.engine.doors.calls import ask, door_of

RESTART = HttpRequest("/restart", method="POST")
RANGES = HttpRequest("/ranges")


class CommandRig(RigDriver):
    """Restarts, has modes, a frequency and pools. `limit` is how long an effect is looked for, in seconds."""

    limit = 5.0

    def decode_status(self, answers, context):
        document = as_table(answers.document("GET /rig"))
        told = super().decode_status(answers, context)
        return replace(
            told,
            uptime=seconds(count(document, "uptime") or 0.0),
            mining_uptime=seconds(count(document, "mined") or 0.0),
            work_mode=document.get("mode"),
        )

    def restart(self, context):
        return Plan(
            "It restarts.",
            lambda _: (Write(RESTART),),
            lambda evidence: (evidence.after.uptime or 0.0) < (evidence.before.uptime or 0.0),
            limit_seconds=self.limit,
            settle_seconds=0.0,
        )

    def supported_modes(self, context):
        return ("eco", "turbo")

    def set_mode(self, mode, context):
        body = json.dumps({"mode": mode}).encode()
        return Plan(
            f"It works in the mode {mode}.",
            lambda _: (Write(HttpRequest("/mode", method="POST", body=body, auth=Auth.DIGEST)),),
            lambda evidence: evidence.after.work_mode == mode,
            limit_seconds=self.limit,
            settle_seconds=0.0,
        )

    def tuning_reads(self, context):
        return (RANGES,)

    def decode_tuning(self, answers, context):
        document = as_table(answers.document(RANGES.key))
        return (TuningRange("frequency", "Hz", document["least"], document["most"]),)

    def set_tuning(self, values, context):
        return self.set_mode(str(values["frequency"]), context)

    def pool_rules(self, context):
        return PoolRules(slots=1)

    def set_pool(self, setting, context):
        return self.set_mode(setting.user, context)


class PlainRig(RigDriver):
    """Takes no commands."""

    driver_type = "plain"


class OldRig(CommandRig):
    """Knows that this firmware has no modes."""

    driver_type = "old"

    def set_mode(self, mode, context):
        raise CommandRefused("this firmware has no modes")


class Rigs(Hosts):
    """Devices by address that do what they are told.

    `faults[address]` is "ignores" (says yes, does nothing), "refuses" (409 with words), "dies" (acts, and is gone),
    "mute" (does not answer to writes, does nothing). `writes` are those that arrived, `most` how many at once.
    """

    def __init__(self):
        super().__init__()
        self.faults = {}
        self.writes = []
        self.now = 0
        self.most = 0
        self.hold = None

    def put(self, address, **document):
        super().put(address, **{"uptime": 500.0, "mined": 400.0, "mode": "turbo", **document})

    def document(self, address):
        return json.loads(self.hosts[address]["GET /rig"].body)

    def change(self, address, **fields):
        self.hosts[address]["GET /rig"] = Answer(json.dumps({**self.document(address), **fields}).encode())

    async def http(self, endpoint, request, headers, timeout, keep_alive):
        if request.method == "POST":
            return await self._write(endpoint.address, request)
        return await super().http(endpoint, request, headers, timeout, keep_alive)

    async def http_signed(self, endpoint, request, auth, timeout, keep_alive):
        given = auth._digest._password.decode()
        self.tried_passwords.append(given)
        if self.hosts[endpoint.address].get("password", given) != given:
            raise AuthError("wrong password")
        return await self._write(endpoint.address, request)

    async def _write(self, address, request):
        self.writes.append((address, request.path))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
            fault = self.faults.get(address)
            if address not in self.hosts:
                raise Unreachable(f"nobody at {address}")
            if fault == "refuses":
                return Answer(b'{"err": "not while tuning"}', status=409)
            if fault == "mute":
                raise RequestTimeoutError("no answer")
            if fault != "ignores":
                fields = {"uptime": 1.0, "mined": 0.5} if request.path == "/restart" else json.loads(request.body)
                self.change(address, **fields)
            if fault == "dies":
                del self.hosts[address]
            return Answer(b"{}")
        finally:
            self.now -= 1


def rigs(**options):
    """What `tests.engine.bench.run` needs for a flock of rigs."""
    hosts = Rigs()
    return {"hosts": hosts, "drivers": driver_set(CommandRig(), PlainRig(), OldRig()), **options}


async def flock_of(bench, number, **document):
    """So many rigs in the flock, all answering; the door to their commands, and their ids in order."""
    for one in range(1, number + 1):
        bench.hosts.put(at(one), mac=mac(one), model="R1", **document)
    await bench.search()
    return door_of(CommandsDoor, bench), [bench.record(mac(one)).id for one in range(1, number + 1)]


async def ended(door, run):
    """The command once it has ended."""
    return await ask(door.wait, run.id, 20.0)


async def bulk_ended(door, bulk):
    async def look():
        return await ask(door.bulk, bulk.id)

    while (now := await look()).state == "running":  # noqa: ASYNC110 - the door tells of nothing
        await asyncio.sleep(0.02)
    return now
