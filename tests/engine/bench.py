"""An engine with the real database, drivers made for the test, and hosts that answer from tables."""

import asyncio
import contextlib
import json
from collections import Counter
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType

import exporter.engine.search as search_module
from exporter.config import Network, Serial, Settings, Subnet, Udp
from exporter.config_schema import Intervals
from exporter.discovery.networks import SearchNetwork
from exporter.discovery.scan import ScanOutcome
from exporter.drivers.api import Answer, Driver, HttpRequest, Identification, Specificity
from exporter.drivers.fields import as_table, count, text
from exporter.drivers.loader import DriverSet, LoadedDriver
from exporter.drivers.manifest import Manifest
from exporter.engine.discover import Discovery
from exporter.engine.engine import Engine
from exporter.engine.exchange import Exchange
from exporter.engine.login import Candidate
from exporter.engine.sessions import Sessions
from exporter.errors import AuthError, MinerError, Unreachable
from exporter.model import Identity, Reading
from exporter.store.database import Database
from exporter.store.secret import Secret
from exporter.text import normal_mac
from exporter.units import hashes_per_second

NETWORK = IPv4Network("192.0.2.0/28")
HALL = SearchNetwork(NETWORK, (("site", "hall"),))


def mac(number):
    return f"02:00:00:00:00:{number:02x}"


def at(number):
    return f"192.0.2.{number}"


class RigDriver(Driver):
    """A device whose page /rig tells everything: family, MAC, serial number, model, rate."""

    driver_type = "rig"
    driver_version = "1.0.0"
    display_name = "Rig"
    manufacturer = "Nobody"
    supported_models = ("Rig",)
    connection_type = "http"
    default_port = 80
    interface_version = 1
    probes = (HttpRequest("/rig"),)
    default_passwords = ()

    def identify(self, answers):
        page = answers.get("GET /rig")
        if page is None or page.status != 200:
            return None
        document = as_table(answers.document("GET /rig"))
        if document.get("family") != self.driver_type:
            return None
        return Identification(self.driver_type, Specificity.SPECIFIC, _identity(document), document.get("details", {}))

    def identity_requests(self, context):
        return (HttpRequest("/rig"),)

    def decode_identity(self, answers, context):
        return _identity(as_table(answers.document("GET /rig")))

    def status_requests(self, context):
        return (HttpRequest("/rig"),)

    def decode_status(self, answers, context):
        document = as_table(answers.document("GET /rig"))
        rate = count(document, "rate")
        return Reading(identity=_identity(document), hashrate=None if rate is None else hashes_per_second(rate))


def _identity(document):
    return Identity(mac=normal_mac(document.get("mac")), serial=text(document, "serial"), model=text(document, "model"))


class ToasterDriver(RigDriver):
    """Knows a family that nobody can poll."""

    driver_type = "toaster_finder"

    def identify(self, answers):
        page = answers.get("GET /rig")
        if page is None or page.status != 200 or b"toaster" not in page.body:
            return None
        return Identification(None, Specificity.SPECIFIC, Identity(make="Toaster", model="T1"))


def driver_set(*drivers, users=(), sha256="0"):
    """A set of these drivers; those in `users` come from the user's folder."""
    found = {driver.driver_type: driver for driver in (*drivers, *users)}
    loaded = tuple(
        LoadedDriver(
            driver,
            Manifest(name, "1.0.0", name, "Nobody", (), "http", 80, 1, type(driver).__name__, Path(name), sha256),
            "user" if driver in users else "bundled",
        )
        for name, driver in sorted(found.items())
    )
    return DriverSet(MappingProxyType(found), loaded, ())


class Hosts:
    """A wire to hosts by address. `hosts[address]` maps request keys to an answer, or is an error for all of them."""

    def __init__(self):
        self.hosts = {}
        self.asked = []
        self.headers = []
        self.open = Counter()
        self.tried_passwords = []
        self.wait = None
        self.held = None
        self.ports = None

    def put(self, address, **document):
        """A device of the family "rig" (or another `family`) at `address`."""
        document.setdefault("family", "rig")
        document.setdefault("rate", 5.0)
        self.hosts[address] = {"GET /rig": Answer(json.dumps(document).encode())}

    async def http(self, endpoint, request, headers, timeout, keep_alive):
        self.headers.append((request.key, headers))
        return await self._answer(endpoint, request.key)

    async def http_signed(self, endpoint, request, auth, timeout, keep_alive):
        answer = await self._answer(endpoint, request.key)
        wanted = self.hosts[endpoint.address].get("password")
        given = auth._digest._password.decode()
        self.tried_passwords.append(given)
        if wanted is not None and given != wanted:
            raise AuthError("wrong password")
        return answer

    async def cgminer(self, endpoint, port, payload, timeout):
        return (await self._answer(endpoint, f"rpc {json.loads(payload)['command']}")).body

    async def close_host(self, endpoint):
        self.open[endpoint.address] = 0

    def run_scripts(self, scripts, timeout, on_end, stop):
        for endpoint, script in scripts:
            if self.held is not None:
                self.held(endpoint.address, stop)
            if stop.is_set():
                return
            came = None
            while True:
                try:
                    request = next(script) if came is None else script.send(came)
                except StopIteration as end:
                    on_end(endpoint, end.value)
                    break
                try:
                    came = self._look_up(endpoint, request.key)
                except MinerError as error:
                    came = error

    async def _answer(self, endpoint, key):
        if self.wait is not None:
            await self.wait(endpoint.address)
        await asyncio.sleep(0)
        answer = self._look_up(endpoint, key)
        self.open[endpoint.address] += 1
        return answer

    def _look_up(self, endpoint, key):
        address = endpoint.address
        self.asked.append((address, key))
        host = self.hosts.get(address)
        if self.ports is not None and host is not None:
            host = self.ports.get((address, endpoint.http_port))
        if host is None:
            raise Unreachable(f"nobody at {address}")
        found = host if isinstance(host, Exception) else host.get(key, Answer(b"{}", 404))
        if isinstance(found, Exception):
            raise found
        return found


class Page:
    """Keeps what was published."""

    def __init__(self):
        self.rows = {}
        self.published = []

    def publish(self, record):
        self.rows[record.id] = record
        self.published.append(record)

    def remove(self, miner_id):
        self.rows.pop(miner_id, None)


class Meter:
    def __init__(self):
        self.runs = []
        self.targets = {}
        self.waiting = None
        self.polls = Counter()
        self.commands = Counter()

    def command_ended(self, driver, command, result):
        self.commands[driver, command, result] += 1

    def poll_begun(self, driver):
        self.polls[driver] += 1

    def poll_ended(self, driver, seconds):
        self.polls[driver, "ended"] += 1

    def poll_failed(self, driver, reason):
        self.polls[driver, reason] += 1

    def poll_dropped(self, driver):
        self.polls[driver, "dropped"] += 1

    def stream_fault(self, driver):
        self.polls[driver, "stream fault"] += 1

    def discovery_run(self, method, *, probed, found, adopted):
        self.runs.append((method, probed, found, adopted))

    def set_targets(self, targets):
        self.targets = targets

    def set_usb_ports(self, ports):
        self.usb_ports = ports

    def set_devices_waiting(self, source, number):
        self.waiting = number


def settings_of(**changes):
    network = {"subnets": (Subnet(NETWORK, (("site", "hall"),)),), **changes.pop("network", {})}
    return Settings(
        network=Network(**network),
        udp=Udp(nmminer_port=None),
        serial=Serial(enabled=False),
        intervals=changes.pop("intervals", Intervals(discovery_seconds=3600, status_seconds=3600)),
        **changes,
    )


class EngineBench:
    """A running engine whose discovery is driven by hand."""

    def __init__(self, folder, hosts=None, drivers=None, passwords=(), page=None, **changes):
        self.db = Database.open(folder / "flockwatch.json", flush_delay=0.01)
        self.hosts = hosts or Hosts()
        self.page, self.meter = Page() if page is None else page, Meter()
        self.drivers = drivers or driver_set(RigDriver(), ToasterDriver())
        self.settings = settings_of(**changes)
        self.passwords = list(passwords)
        exchange = Exchange(self.hosts)
        self.sessions = Sessions(self.db, exchange, self._candidates, create_keys=True)
        self.engine = Engine(self.settings, self.db, self.drivers, exchange, self.sessions, self.page, self.meter)
        self.flock = self.engine.flock

    def _candidates(self, driver_type, address, miner_id):
        own = self.db.passwords.get(miner_id) if miner_id is not None else None
        first = () if own is None else (Candidate(None, own.password),)
        return (*first, *(Candidate(None, Secret(word)) for word in self.passwords))

    async def search(self, networks=None, **options):
        """One cycle, and the polls that follow from it."""
        result = await self.engine.search(networks, **options)
        await self.settle()
        return result

    async def settle(self):
        """Until no poll and no background work is under way."""
        for _ in range(200):
            await asyncio.sleep(0)
        for _ in range(400):
            busy = [
                miner.poller._task
                for miner in self.flock
                if miner.poller is not None and miner.poller._task is not None
            ]
            waiting = [*busy, *self.flock.tasks._tasks]
            if not waiting:
                return
            await asyncio.wait(waiting, timeout=5)
            await asyncio.sleep(0)

    async def poll(self, address):
        (miner,) = self.flock.at(address)
        await miner.poller.poll_now()
        await self.settle()

    def rows(self):
        return {row.address: row for row in self.db.miners.all()}

    def row(self, key):
        return self.db.miners.by_key(key)

    def record(self, key):
        records = {record.key: record for record in self.engine.snapshot().miners}
        assert key in records, f"{key} not in {list(records)}"
        return records[key]


@contextlib.contextmanager
def bench(folder, monkeypatch, **options):
    def scan(targets, *, timeout, stop=None, on_progress=None):
        targets = list(targets)
        made.scanned = [target.address for target in targets]
        found = {t.address: set(t.ports) for t in targets if t.address in made.hosts.hosts}
        return ScanOutcome(found, len(targets) * 2, bool(stop and stop.is_set()))

    monkeypatch.setattr(search_module, "scan_ports", scan)
    monkeypatch.setattr(search_module, "neighbour_macs", lambda: made.macs)
    monkeypatch.setattr("exporter.engine.neighbourhood.neighbour_macs", lambda: made.macs)
    monkeypatch.setattr(search_module.arp, "can_sweep", lambda: False)
    monkeypatch.setattr("exporter.engine.discover.settle", lambda: None)
    # The periodic cycle stays out of the way.
    monkeypatch.setattr(Discovery, "run_forever", _nothing)
    monkeypatch.setattr("exporter.engine.discover.local_interfaces", lambda: ())
    made = EngineBench(folder, **options)
    made.scanned = []
    made.macs = {}
    try:
        yield made
    finally:
        made.db.close()


async def _nothing(engine):
    await asyncio.Event().wait()


def run(folder, monkeypatch, story, **options):
    """Start an engine, run `story(bench)`, stop it; returns what the story returned."""

    async def main(made):
        await made.engine.start()
        try:
            return await story(made)
        finally:
            await made.engine.stop()

    with bench(folder, monkeypatch, **options) as made:
        return asyncio.run(main(made))
