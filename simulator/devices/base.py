"""What every simulated device has: a specification, physics, records of what was done to it, and its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from simulator.chance import between, mix
from simulator.clock import Clock
from simulator.http_server import HttpPolicy, Request, Response
from simulator.physics import Physics, Profile, State
from simulator.rpc_server import RpcPolicy, parse_request

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device of a flock. `model` is a key of the kind's models, `mac` lower case, `faults` on from the start.

    `uptime` is how long it has been running when the flock starts; None lets the seed choose.
    """

    kind: str
    model: str
    address: str
    mac: str
    faults: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    uptime: float | None = None


@dataclass(slots=True)
class Records:
    """What clients did beyond reading. A poller must leave both lists of writes empty.

    `writes` are those a device documents, one line "METHOD path body" each with passwords masked; everything else is
    in `unexpected_writes`.
    """

    unexpected_writes: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    unlocks: int = 0
    failed_unlocks: int = 0
    keys_created: int = 0
    keys_deleted: int = 0
    denied: int = 0


class SimulatedDevice:
    """Base of all devices. A subclass says what it listens to and answers requests from `state()`, without waiting."""

    kind: ClassVar[str] = ""
    #: driver_type that is expected to serve this device; None where none is.
    driver: ClassVar[str | None] = None
    make: ClassVar[str] = ""
    listens: tuple[str, ...] = ("http",)
    #: Whether the device tells its MAC anywhere.
    tells_mac: bool = True
    models: ClassVar[Mapping[str, Profile]] = {}
    http_policy: HttpPolicy = HttpPolicy()
    rpc_policy: RpcPolicy = RpcPolicy()
    #: The CGMiner port speaks HTTP (ePIC).
    http_on_rpc: ClassVar[bool] = False
    #: Seconds between datagrams; None for devices that send none.
    broadcast_seconds: ClassVar[float | None] = None
    #: UDP port on which it takes settings; None for devices that take none like that.
    settings_port: ClassVar[int | None] = None

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        if spec.model not in self.models:
            raise ValueError(f"{spec.kind} has no model {spec.model!r}; it has {', '.join(self.models)}")
        self.spec = spec
        self.clock = clock
        self.address = spec.address
        self.profile = self.models[spec.model]
        self.records = Records()
        started = clock.now()
        uptime = between(300.0, 6 * 86400.0, spec.seed, 1) if spec.uptime is None else spec.uptime
        self.physics = Physics(self.profile, spec.seed, started - uptime, started)
        self.password: str | None = None
        #: False: it says yes to every documented write and changes nothing.
        self.obeys = True
        #: Until when it does not answer, since it restarts.
        self.away_until = 0.0
        self._compact = compact
        self._rendered: dict[str, tuple[float, Any]] = {}

    # What happens to the device -------------------------------------------------------------------------------

    def state(self) -> State:
        """The state now, in whole seconds, so that the answers of one poll agree with each other."""
        return self.physics.at(float(int(self.clock.now())))

    def reboot(self) -> None:
        """Count from zero; sessions are lost."""
        # States are told for whole seconds: the one of the reboot is already a new one.
        self.physics.reboot(float(int(self.clock.now())))
        self.forget_rendered()

    def restart(self, seconds: float = 3.0) -> None:
        """Obey a restart command: after the answer to it none comes for `seconds`, and all counts from zero."""
        self.away_until = self.clock.now() + seconds
        self.reboot()

    @property
    def away(self) -> bool:
        """Whether it restarts now; a device that takes restarts drops every request meanwhile."""
        return self.clock.now() < self.away_until

    def forget_rendered(self) -> None:
        """Render every answer anew: something about the device changed."""
        self._rendered.clear()

    def change_password(self, password: str | None) -> None:
        """Another password from now on; None puts the first one back."""
        self.password = password

    # Answers --------------------------------------------------------------------------------------------------

    def http(self, request: Request) -> Response:
        """The answer to an HTTP request."""
        return Response(404)

    def rpc(self, payload: bytes) -> bytes | None:
        """The reply to a request on the CGMiner port; None closes without one."""
        return None

    def datagram(self) -> bytes | None:
        """The datagram that is due."""
        return None

    def take_datagram(self, data: bytes) -> None:
        """A datagram to `settings_port`; nothing is answered."""

    def rendered(self, key: str, build: Callable[[], Answer]) -> Answer:
        """What `build()` returns; in compact mode an answer is used again for some seconds."""
        if self._compact <= 0.0:
            return build()
        now = self.clock.now()
        known = self._rendered.get(key)
        if known is not None and now < known[0]:
            return cast(Answer, known[1])
        answer = build()
        self._rendered[key] = (now + self._compact, answer)
        return answer

    def write(self, what: str) -> None:
        """Record a write that nobody should have sent."""
        self.records.unexpected_writes.append(what)

    def accept(self, what: str) -> bool:
        """Record a documented write. Returns whether the device is to act on it."""
        self.records.writes.append(what)
        return self.obeys

    @property
    def served_by(self) -> str | None:
        """The driver_type that is expected to serve this device; None where none is."""
        return self.driver

    @property
    def serial(self) -> str | None:
        """The serial number the device tells; None where it tells none."""
        return None

    def truth(self, at: float | None = None) -> dict[str, Any]:
        """Everything about this device in base units, for tests to compare with."""
        state = self.state() if at is None else self.physics.at(float(int(at)))
        return {
            "address": self.address,
            "kind": self.kind,
            "driver": self.served_by,
            "make": self.make,
            "model": self.profile.model,
            "mac": self.spec.mac,
            "tells_mac": self.tells_mac,
            "serial": self.serial,
            "time": state.time,
            "state": state.state,
            "mode": state.mode,
            "uptime_s": state.uptime,
            "mining_uptime_s": state.mining_uptime,
            "hashrate_hs": state.hashrate,
            "hashrate_average_hs": state.average,
            "hashrate_expected_hs": state.expected,
            "hashrate_nameplate_hs": self.profile.hashrate,
            "power_w": state.power,
            "ambient_celsius": state.ambient,
            "chip_celsius": state.chip,
            "vreg_celsius": state.regulator,
            "fan_duty_ratio": state.duty,
            "fans_rpm": list(state.fans),
            "boards": [asdict(board) for board in state.boards],
            "accepted": state.accepted,
            "rejected": state.rejected,
            "stale": state.stale,
            "difficulty": state.difficulty,
            "best_difficulty": state.best,
            "session_best_difficulty": state.session_best,
            "hardware_errors": state.hardware_errors,
            **asdict(self.records),
        }


def upper_mac(mac: str) -> str:
    """ESP firmwares and VNish write MACs in upper case."""
    return mac.upper()


def token(length: int, *keys: int) -> str:
    """Letters and digits that look like a session token."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(alphabet[mix(*keys, place) % len(alphabet)] for place in range(length))


def suffixed(value: float, digits: int = 3) -> str:
    """A difficulty as firmwares write it: "131K", "4.29G", "572"."""
    for limit, suffix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def wallet(seed: int) -> str:
    """An address that is recognisably no real wallet."""
    return f"bc1qexample{mix(seed, 5) % 10**12:012d}"


class RpcDevice(SimulatedDevice):
    """A device whose CGMiner port dispatches commands by name to documents."""

    listens: tuple[str, ...] = ("rpc",)
    joins = True
    description = "cgminer 4.11.1"
    #: Commands that change something; they are recorded.
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            "addpool", "removepool", "switchpool", "enablepool", "disablepool", "poolpriority", "poolquota", "setpool",
            "ascset", "ascenable", "ascdisable", "pgaset", "pgaenable", "pgadisable", "gpuenable", "gpudisable",
            "restart", "quit", "zero", "save", "setconfig", "failover-only", "debug", "hotplug", "lockstats",
        }
    )  # fmt: skip

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The document of a command, None where the device does not know it."""
        return None

    def written(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The answer to a command that changes something: access denied, unless a device says otherwise."""
        return self.status("E", 45, f"Access denied to '{name}' command")

    def status(self, letter: str, code: int, message: str) -> dict[str, Any]:
        """A reply that holds only a status."""
        entry = {
            "STATUS": letter,
            "When": int(self.clock.now()),
            "Code": code,
            "Msg": message,
            "Description": self.description,
        }
        return {"STATUS": [entry], "id": 1}

    def section(self, code: int, message: str, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A reply with a status and one section."""
        return {**self.status("S", code, message), name: rows, "id": 1}

    def invalid(self, name: str) -> dict[str, Any]:
        """The reply to a command that is not known."""
        return self.status("E", 14, "Invalid command")

    def document(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The reply of one command, writes recorded."""
        if name in self.writes:
            self.write(f"rpc {name}|{parameter or ''}")
            return self.written(name, parameter)
        known = self.command(name, parameter)
        return self.invalid(name) if known is None else known

    def encode(self, document: dict[str, Any], name: str) -> bytes:
        """The bytes of a reply; firmwares with broken JSON override this."""
        return json.dumps(document, separators=(",", ":")).encode()

    def rpc(self, payload: bytes) -> bytes | None:
        """Read the request, answer each command, and join the answers as the device does."""
        try:
            names, parameter, as_json = parse_request(payload)
        except ValueError as fault:
            code = {"Missing command": 14, "Invalid JSON": 23}.get(str(fault), 24)
            return self.encode(self.status("E", code, str(fault)), "")
        if len(names) > 1:
            if not self.joins:
                return self.encode(self.invalid("+".join(names)), "")
            return self._joined(names)
        document = self.document(names[0], parameter)
        if document is None:
            return None
        return self.encode(document, names[0]) if as_json else self.text(document)

    def _joined(self, names: list[str]) -> bytes:
        parts = []
        for name in names:
            document = self.document(name, None)
            if document is not None:
                parts.append(f'"{name}":[{self.encode(document, name).decode()}]')
        return ("{" + ",".join(parts) + ',"id":1}').encode()

    @staticmethod
    def text(document: dict[str, Any]) -> bytes:
        """The plain-text form of a reply: sections end with a bar, fields with a comma."""
        sections = []
        for name, rows in document.items():
            if not isinstance(rows, list):
                continue
            for row in rows:
                fields = [f"{key}={_plain(value)}" for key, value in row.items()]
                head = [] if fields and fields[0].startswith(f"{name}=") else [name]
                sections.append(",".join(head + fields) + "|")
        return "".join(sections).encode()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}"
