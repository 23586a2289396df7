"""`EngineApi` in memory, with a made-up flock and the errors that the real one is documented to raise.

`FakeEngine()` knows every kind of record (see `fake_records.flock`), `FakeEngine(empty=True)` nothing at all,
`FakeEngine(seeds=large_flock(2000))` many. A test may set `engine.fault` to an error: every write raises it then.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import time
from collections.abc import Mapping, Sequence
from typing import Any

from exporter.config import Settings
from exporter.engine.api.devices import WaitingDevice
from exporter.engine.api.history import Series, StatusPoint
from exporter.engine.api.miners import ExchangeSeen
from exporter.engine.api.program import Check, DriverView
from exporter.engine.api.scans import Scan
from exporter.engine.fleet import FleetSnapshot, MinerRecord
from exporter.engine.onboarding import CURRENCIES
from exporter.errors import ChangedError, FieldError, FlockwatchError, ForbiddenError, TakenError, UnknownError
from exporter.model import Identity
from exporter.store.rows import ApiToken, Credential, MinerCommand, MinerRow, ModelRow, UiSession
from exporter.store.secret import Secret
from tests.ui.fake_commands import FakeCommands
from tests.ui.fake_drivers import FakeDrivers
from tests.ui.fake_money import FakeShares, FakeWallets
from tests.ui.fake_records import BTC_ADDRESS, MODELS, SEEN, Seed, flock, mac, seed

DRIVERS = ("antminer", "avalon", "avalon_nano", "bitaxe", "cgminer", "nerdminer", "nerdqaxe", "nmminer", "vnish")


class FakeEngine:
    """See the module. `records` and `rows` are by id; `publish` puts a record in place as a poll does."""

    def __init__(
        self, seeds: Sequence[Seed] | None = None, *, empty: bool = False, settings: Settings | None = None
    ) -> None:
        chosen = [] if empty else list(flock() if seeds is None else seeds)
        self.records: dict[int, MinerRecord] = {one.record.id: one.record for one in chosen}
        self.rows: dict[int, MinerRow] = {one.record.id: one.stored() for one in chosen}
        self.seen = () if empty else SEEN
        self.fault: FlockwatchError | None = None
        self.is_ready = True
        self.miners = FakeMiners(self)
        self.devices = FakeDevices(self, empty=empty)
        self.models = FakeModels(self, () if empty else MODELS)
        self.scans = FakeScans(self, empty=empty)
        self.wallets = FakeWallets(self, empty=empty)
        self.shares = FakeShares(self, empty=empty)
        self.history = FakeHistory(self)
        self.access = FakeAccess(self)
        self.drivers = FakeDrivers(self, empty=empty)
        self.commands = FakeCommands(self, empty=empty)
        self.program = FakeProgram(self, settings or Settings(), empty=empty)

    def snapshot(self) -> FleetSnapshot:
        return FleetSnapshot(tuple(self.records[each] for each in sorted(self.records)), self.seen, time.time())

    def ready(self) -> bool:
        return self.is_ready

    def publish(self, record: MinerRecord) -> None:
        self.records[record.id] = record

    def change(self, miner_id: int, **fields: Any) -> MinerRecord:
        """Replace fields of a record."""
        self.publish(dataclasses.replace(self.records[miner_id], **fields))
        return self.records[miner_id]

    def writes(self) -> None:
        """Called by every write."""
        if self.fault is not None:
            raise self.fault

    def row(self, miner_id: int) -> MinerRow:
        """The row of a miner that must be there."""
        if miner_id not in self.rows:
            raise UnknownError(f"no miner has the id {miner_id}")
        return self.rows[miner_id]

    def checked_name(self, name: Any, own: int | None = None) -> str:
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= 64 or not name.isprintable():
            raise FieldError("name: must be 1 to 64 printable characters", "name")
        if any(record.name.casefold() == name.casefold() for each, record in self.records.items() if each != own):
            raise TakenError(f"name: another miner is called {name!r}", "name")
        return name.strip()


def checked_currency(currency: Any) -> str:
    if currency not in CURRENCIES:
        raise FieldError(f"currency: must be one of {', '.join(CURRENCIES)}", "currency")
    return str(currency)


class FakeMiners:
    """`MinersApi`."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.passwords: dict[int, tuple[str | None, str | None]] = {}
        self.rescanned: list[int] = []
        failed = MinerCommand(
            1, 9, "GET_CONFIG", "error", None, "no dump within 60 s", time.time() - 900, time.time() - 840
        )
        done = MinerCommand(2, 9, "GET_CONFIG", "complete", None, None, time.time() - 600, time.time() - 590)
        self._commands = [failed, done]

    def row(self, miner_id: int) -> MinerRow | None:
        return self._engine.rows.get(miner_id)

    def add(
        self, address: str, *, port: int | None = None, driver: str | None = None, name: str | None = None
    ) -> MinerRow:
        engine = self._engine
        engine.writes()
        if driver == "nerdminer":
            raise FieldError("miner_type: stock NerdMiners speak over USB only", "miner_type")
        if driver is not None and driver not in DRIVERS:
            raise FieldError(f"miner_type: must be one of {', '.join(DRIVERS)}", "miner_type")
        try:
            where = ipaddress.ip_address(address)
        except ValueError:
            raise FieldError("ip_address: must be an IPv4 address such as 192.168.1.50", "ip_address") from None
        if not where.is_private:
            raise FieldError("ip_address: is public; network.allow_public permits that", "ip_address")
        if any(row.address == address for row in engine.rows.values()):
            raise TakenError("ip_address: is in the flock already", "ip_address")
        named = None if name is None else engine.checked_name(name)
        if driver is None and int(where) % 2:  # half of the addresses answer
            raise FieldError("ip_address: nobody answers there; say miner_type to add it anyway", "ip_address")
        number = max(engine.rows, default=0) + 1
        made = seed(
            number, driver or "bitaxe", "Bitaxe", "Bitaxe Gamma 601", {"currency": None}, name=named or f"new {number}",
            named=named is not None, address=address, port=port or 80, auto_discovered=False,
            identity=Identity(mac=mac(number), make="Bitaxe", model="Bitaxe Gamma 601"),
        )  # fmt: skip
        engine.records[number], engine.rows[number] = made.record, made.stored()
        return engine.rows[number]

    def change(self, miner_id: int, changes: Mapping[str, Any]) -> MinerRow:
        engine = self._engine
        engine.writes()
        row, wanted = engine.row(miner_id), dict(changes)
        if wanted.get("name") is not None:
            wanted["name"] = engine.checked_name(wanted["name"], miner_id)
        if wanted.get("currency") is not None:
            checked_currency(wanted["currency"])
        if (until := wanted.get("muted_until")) is not None and until <= time.time():
            raise FieldError("muted_until: must lie in the future", "muted_until")
        if "unlock_pass" in wanted:
            self.passwords[miner_id] = (wanted.pop("unlock_pass"), wanted.pop("username", None))
            engine.change(miner_id, auth_failed=False)
        elif "username" in wanted:
            raise FieldError("username: goes with unlock_pass only", "username")
        record = engine.records[miner_id]
        labels = dict(row.own_labels)
        for label, text in (wanted.pop("labels", None) or {}).items():
            labels.pop(label, None)
            labels.update({label: text} if text else {})
        row = dataclasses.replace(row, own_labels=labels, **wanted)
        engine.rows[miner_id] = row
        engine.change(
            miner_id, name=row.name or record.identity.model or record.key, named=row.name is not None,
            managed=row.managed, enabled=row.enabled, muted=row.muted_until is not None, muted_until=row.muted_until,
            currency=row.currency, chipset=row.chipset, location_notes=row.location_notes,
            labels=tuple(sorted({**row.labels, **labels}.items())),
        )  # fmt: skip
        return row

    def forget(self, miner_id: int) -> None:
        self._engine.writes()
        self._engine.row(miner_id)
        del self._engine.rows[miner_id], self._engine.records[miner_id]

    def rescan(self, miner_id: int) -> bool:
        self._engine.writes()
        self._engine.row(miner_id)
        self.rescanned.append(miner_id)
        return self._engine.records[miner_id].up is True

    def exchanges(self, miner_id: int) -> tuple[ExchangeSeen, ...]:
        self._engine.row(miner_id)
        body = (
            '{"hashRate": 1072.2, "stratumUser": "<wallet>.rig", "ssid": "<secret>", "x": "<script>alert(1)</script>"}'
        )
        return (
            ExchangeSeen(time.time() - 30, "GET /api/system/info", 200, body, None, 0.031),
            ExchangeSeen(time.time() - 15, "GET /api/system/info", None, None, "no answer within 5 s", 5.0),
        )

    def get_config(self, miner_id: int) -> MinerCommand:
        self._engine.writes()
        self._engine.row(miner_id)
        record = self._engine.records[miner_id]
        if record.usb is None or record.usb.dev_path is None:
            raise ForbiddenError("only a miner that is plugged in on USB can be asked for its configuration")
        if any(one.miner_id == miner_id and one.status in ("pending", "running") for one in self._commands):
            raise TakenError("the configuration is being read already")
        made = MinerCommand(len(self._commands) + 1, miner_id, "GET_CONFIG", created_at=time.time())
        self._commands.append(made)
        return made

    def commands(self, miner_id: int) -> tuple[MinerCommand, ...]:
        self._engine.row(miner_id)
        return tuple(one for one in self._commands if one.miner_id == miner_id)


class FakeDevices:
    """`DevicesApi`: two boards wait, one port is held shut."""

    def __init__(self, engine: FakeEngine, *, empty: bool) -> None:
        self._engine = engine
        self.captured: list[int] = []
        self._held = WaitingDevice(
            None, "port:1-1.7", "/dev/ttyUSB3", "1-1.7", "1a86", "7523", None, None, None, None, None, None, None, None,
            held=True, held_reason="it was plugged in before the program started; serial.open is hotplug",
        )  # fmt: skip
        fresh = WaitingDevice(
            1, "serial:NEW1", "/dev/ttyACM4", "1-1.5", "303a", "1001", "NEW1", time.time() - 90, "Initializing",
            "Mining Authorize", "public-pool.io:21496", f"{BTC_ADDRESS}.kitchen", "1.8.3", "kitchen",
        )  # fmt: skip
        booting = WaitingDevice(
            2, "serial:NEW2", "/dev/ttyACM5", "1-1.6", "10c4", "ea60", "NEW2", time.time() - 5, "Initializing",
            "Booting", None, None, None, None,
        )  # fmt: skip
        self._waiting = [] if empty else [fresh, booting, self._held]

    def waiting(self) -> tuple[WaitingDevice, ...]:
        return tuple(self._waiting)

    def _device(self, device_id: int) -> WaitingDevice:
        for device in self._waiting:
            if device.id == device_id:
                return device
        raise UnknownError(f"no device with the id {device_id} waits")

    def onboard(
        self, device_id: int, name: str, currency: str, chipset: str | None = None, location_notes: str | None = None
    ) -> MinerRow:
        engine = self._engine
        engine.writes()
        name = engine.checked_name(name)
        checked_currency(currency)
        device = self._device(device_id)
        number = max(engine.rows, default=0) + 1
        made = seed(
            number, "nerdminer", "NerdMiner", "NerdMinerV2",
            {"currency": currency, "chipset": chipset, "location_notes": location_notes, "status": "Inactive"},
            name=name, key=device.miner, identity=Identity(serial=device.serial_number, make="NerdMiner"), address=None,
            api_port=None, http_port=None, port=None, up=False, reading=None,
        )  # fmt: skip
        engine.records[number], engine.rows[number] = made.record, made.stored()
        self._waiting.remove(device)
        return engine.rows[number]

    def dismiss(self, device_id: int) -> None:
        self._engine.writes()
        self._waiting.remove(self._device(device_id))

    def open_port(self, dev_path: str) -> None:
        self._engine.writes()
        if dev_path != self._held.dev_path or self._held not in self._waiting:
            raise UnknownError(f"no port {dev_path} is held shut")
        self._waiting[self._waiting.index(self._held)] = dataclasses.replace(
            self._held,
            id=3,
            discovered_at=time.time(),
            status="Initializing",
            state="Booting",
            held=False,
            held_reason=None,
        )

    def capture(self, device_id: int) -> None:
        self._engine.writes()
        if self._device(device_id).dev_path is None:
            raise ForbiddenError("the board is not plugged in")
        self.captured.append(device_id)


class FakeModels:
    """`ModelsApi`."""

    def __init__(self, engine: FakeEngine, models: tuple[ModelRow, ...]) -> None:
        self._engine = engine
        self._models = {model.alias: model for model in models}

    def all(self) -> tuple[ModelRow, ...]:
        return tuple(self._models[alias] for alias in sorted(self._models))

    def set_max_preset(self, alias: str, max_preset: str | None) -> ModelRow:
        self._engine.writes()
        if alias not in self._models:
            raise UnknownError(f"no model is called {alias!r}")
        model = self._models[alias]
        if max_preset is not None and max_preset not in [preset.name for preset in model.presets or ()]:
            raise FieldError("max_preset: the model does not offer it", "max_preset")
        self._models[alias] = dataclasses.replace(model, max_preset=max_preset)
        return self._models[alias]


class FakeScans:
    """`ScansApi`: a scan that was started is half done at the first look and finished at the second."""

    def __init__(self, engine: FakeEngine, *, empty: bool) -> None:
        self._engine = engine
        done = Scan(
            1, ("192.0.2.0/24",), "finished", time.time() - 60, time.time() - 55, 254, 254, 16, 1, 1, 2, (1, 2, 3)
        )
        self._scans = {} if empty else {1: done}

    def start(self, network_cidr: str | None = None) -> Scan:
        self._engine.writes()
        try:
            network = ipaddress.ip_network(network_cidr or "192.0.2.0/24")
        except ValueError:
            raise FieldError("network_cidr: must be a network such as 192.168.1.0/24", "network_cidr") from None
        if not network.is_private or network.version != 4 or network.prefixlen < 16:
            raise FieldError("network_cidr: must be a private IPv4 network of at most a /16", "network_cidr")
        number = max(self._scans, default=0) + 1
        self._scans[number] = Scan(number, (str(network),), "running", time.time(), addresses=network.num_addresses)
        return self._scans[number]

    def get(self, scan_id: int) -> Scan | None:
        scan = self._scans.get(scan_id)
        if scan is not None and scan.state == "running":
            half = dataclasses.replace(scan, tried=scan.addresses // 2, found=2)
            done = dataclasses.replace(
                half, tried=scan.addresses, state="finished", ended_at=time.time(), miners=(1, 2)
            )
            self._scans[scan_id] = done if scan.tried else half
        return self._scans.get(scan_id)

    def all(self) -> tuple[Scan, ...]:
        return tuple(self._scans[number] for number in sorted(self._scans, reverse=True))


class FakeHistory:
    """`HistoryApi`: an hour of polls every 15 s with a hole of three minutes, wherever a miner is known."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.prometheus = False

    def recent(self, miner_id: int, since: float | None = None, limit: int | None = 1000) -> tuple[StatusPoint, ...]:
        if miner_id not in self._engine.rows:
            return ()
        now, points = time.time(), []
        for step in range(240):
            at, up = now - 15.0 * (240 - step), not 100 <= step < 112
            value = 1.0e12 * (1 + (step % 9) / 100)
            if since is None or at >= since:
                points.append(
                    StatusPoint(
                        at, True, "mining", value, 58.0 + step % 4, 18.0 + step % 3 / 10, 4100.0, 1000.0 + step, 4.0
                    )
                    if up
                    else StatusPoint(at, False, None, None, None, None, None, None, None)
                )
        return tuple(points if limit is None else points[-limit:])

    def has_prometheus(self) -> bool:
        return self.prometheus

    def series(self, miner_id: int, seconds: float) -> tuple[Series, ...]:
        self._engine.row(miner_id)
        points = self.recent(miner_id, time.time() - seconds)
        units = {"hashrate": "H/s", "temperature": "degC", "power": "W", "fan_speed": "rpm", "accepted": "1"}
        lines = {
            name: tuple((point.at, value) for point in points if (value := getattr(point, name)) is not None)
            for name in units
        }
        return tuple(Series(name, units[name], line) for name, line in lines.items() if line)


class FakeAccess:
    """`AccessApi`."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._password: Secret | None = None
        self._sessions: dict[str, UiSession] = {}
        self._tokens: dict[int, ApiToken] = {}
        self._last = 0

    def password_hash(self) -> Secret | None:
        return self._password

    def set_password(self, password_hash: Secret | None) -> None:
        self._engine.writes()
        self._password = password_hash
        self._sessions.clear()

    def session(self, token_hash: str) -> UiSession | None:
        return self._sessions.get(token_hash)

    def add_session(self, token_hash: Secret, created_at: float, expires_at: float) -> UiSession:
        self._last += 1
        made = UiSession(self._last, token_hash, created_at, expires_at)
        self._sessions[token_hash.reveal()] = made
        return made

    def extend_session(self, token_hash: str, expires_at: float) -> None:
        if token_hash in self._sessions:
            self._sessions[token_hash] = dataclasses.replace(self._sessions[token_hash], expires_at=expires_at)

    def end_session(self, token_hash: str) -> None:
        self._sessions.pop(token_hash, None)

    def end_all_sessions(self) -> None:
        self._sessions.clear()

    def tokens(self) -> tuple[ApiToken, ...]:
        return tuple(self._tokens.values())

    def token(self, token_hash: str) -> ApiToken | None:
        return next((one for one in self._tokens.values() if one.token_hash.reveal() == token_hash), None)

    def add_token(self, name: str, token_hash: Secret, scope: str, expires_at: float | None = None) -> ApiToken:
        self._engine.writes()
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise FieldError("name: must be 1 to 64 printable characters", "name")
        if scope not in ("read", "full"):
            raise FieldError("scope: must be read or full", "scope")
        if any(one.name.casefold() == name.casefold() for one in self._tokens.values()):
            raise TakenError("name: another token is called so", "name")
        self._last += 1
        self._tokens[self._last] = ApiToken(self._last, name, token_hash, scope, time.time(), expires_at)
        return self._tokens[self._last]

    def revoke_token(self, token_id: int) -> None:
        self._engine.writes()
        if self._tokens.pop(token_id, None) is None:
            raise UnknownError(f"no token has the id {token_id}")


class FakeProgram:
    """`ProgramApi`."""

    def __init__(self, engine: FakeEngine, settings: Settings, *, empty: bool) -> None:
        self._engine = engine
        self._settings = settings
        self.reloads = 0
        self.reload_fault: FlockwatchError | None = None
        self.failing: str | None = None
        self.command_line: frozenset[str] = frozenset()
        stored = (
            Credential("vnish", Secret("hunter2-vnish"), "10.1.0.0/22", None, 1),
            Credential("antminer", Secret("hunter2-root"), None, "root", 2),
        )
        self._credentials: tuple[Credential, ...] = () if empty else stored
        self._last_credential = len(self._credentials)

    def settings(self) -> Settings:
        return self._settings

    def by_command_line(self) -> frozenset[str]:
        return self.command_line

    def config_file(self) -> str:
        return "/etc/flockwatch/targets.yml"

    def reload(self) -> None:
        if self.reload_fault is not None:
            raise self.reload_fault
        self.reloads += 1

    def drivers(self) -> tuple[DriverView, ...]:
        spoken = {"nerdminer": "serial", "nmminer": "udp", "avalon": "tcp", "avalon_nano": "tcp", "cgminer": "tcp"}
        loaded = [
            DriverView(name, name.replace("_", " ").title(), "1.0.0", "Maker", spoken.get(name, "http"),
                       ("Model A", "Model B"), "bundled", "ab" * 32)
            for name in DRIVERS
        ]  # fmt: skip
        broken = DriverView(
            "goldshell", None, None, None, None, (), "goldshell_driver.py", "cd" * 32, "line 3: invalid syntax"
        )
        return (*loaded, broken)

    def checks(self) -> tuple[Check, ...]:
        return (
            Check("discovery", "Do miners answer in 192.0.2.0/24?", "ok", "16 of 254 addresses answered"),
            Check("usb", "May the serial ports be opened?", "problem", "/dev/ttyUSB3: permission denied",
                  "Add the user to the group dialout and start again."),
            Check("wallets", "Do all miners mine to a tracked wallet?", "warning", "the user is an account name",
                  "Link the miner by hand.", 7),
            Check("shares", "Do miners tell single shares?", "unknown", "no miner was polled yet", "Wait a minute."),
            Check("offline", "Why does attic not answer?", "problem", "no answer within 5 s", "Look at its power.", 11),
            Check("program", "Are changes on disk?", "ok", "the last write took 12 ms"),
        )  # fmt: skip

    def credentials(self) -> tuple[Credential, ...]:
        return self._credentials

    def set_credentials(
        self, credentials: Sequence[Credential], instead_of: Sequence[Credential] | None = None
    ) -> tuple[Credential, ...]:
        self._engine.writes()
        if instead_of is not None and instead_of != self._credentials:
            raise ChangedError("somebody else has changed the list; load it again", "version")
        for place, one in enumerate(credentials):
            if one.driver not in (*DRIVERS, "*"):
                raise FieldError(
                    f"credentials.{place}.driver: no driver is called {one.driver!r}", f"credentials.{place}.driver"
                )
            try:
                ipaddress.ip_network(one.cidr or "0.0.0.0/0")
            except ValueError:
                raise FieldError(f"credentials.{place}.cidr: must be a network", f"credentials.{place}.cidr") from None
        first = self._last_credential + 1
        self._credentials = tuple(dataclasses.replace(one, id=id_) for id_, one in enumerate(credentials, first))
        self._last_credential += len(credentials)
        return self._credentials

    def write_error(self) -> str | None:
        return self.failing

    def backup(self) -> bytes:
        return b'{"format": 1}'
