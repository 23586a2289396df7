"""NMAxe from 3.0 (ESP-Miner-NMAxe, docs/API.md): nested system information, settings in pages of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from simulator.chance import between
from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, SimulatedDevice, suffixed, wallet
from simulator.devices.writes import is_bare, json_object, line
from simulator.http_server import HttpPolicy, Request, Response, html_response, json_response, text_response
from simulator.physics import Profile, State

#: Bytes of a body that the firmware takes.
_LARGEST_BODY = 1024
_POOL_KEYS = frozenset({"url", "user", "pwd"})

Check = Callable[[dict[str, Any]], bool]
Take = Callable[[dict[str, Any]], None]


def _profile(model: str, terahash: float, watts: float, megahertz: float, fans: int = 1) -> Profile:
    return Profile(
        model=model,
        hashrate=terahash * 1e12,
        power=watts,
        fans=fans,
        frequency=megahertz * 1e6,
        core_voltage=1.2,
        supply_voltage=5.0,
        difficulty=65536.0,
    )


def _is_number(value: Any) -> bool:
    return type(value) is int


def _is_fan(fan: dict[str, Any]) -> bool:
    speed = fan.get("speed", 0)
    known = set(fan) <= {"id", "auto", "speed", "target"} and fan.get("id") == 0 and fan.get("auto") in (0, 1)
    return known and _is_number(speed) and 0 <= speed <= 100


class NMAxe(SimulatedDevice):
    """A BM1370 board of the maker of NMMiner."""

    kind = "nmaxe"
    driver = "nmminer"
    make = "NMAxe"
    tells_mac = False
    http_policy = HttpPolicy(max_connections=10, keep_alive=False)
    models: ClassVar[Mapping[str, Profile]] = {
        "nmaxe-3.0.21": _profile("NMAxe", 0.72, 12.5, 550),
        "nmaxe-3.0.10": _profile("NMAxe", 0.72, 12.5, 550),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.version = "v" + spec.model.rpartition("-")[2]
        self.can_pause = self.version == "v3.0.21"
        user = f"{wallet(spec.seed)}.nmaxe"
        #: What is stored, and what has been in use since the last start.
        self.pools = {
            "primary": {"url": "stratum+tcp://pool.example.com:3333", "user": user, "pwd": "x"},
            "fallback": {"url": "stratum+tcp://backup.example.com:3333", "user": user, "pwd": "x"},
        }
        self.used = dict(self.pools["primary"])
        self.fan: dict[str, Any] = {"auto": 1, "speed": 60, "target": 55.0}
        self.found = 0

    def http(self, request: Request) -> Response:
        """What the description has; everything else is 404."""
        if self.away:
            return Response(drop=True)
        if request.method == "GET":
            pages: Mapping[str, Callable[[], Any]] = {
                "/probe": self._probe,
                "/api/system/info": lambda: self.info(self.state()),
                "/api/setting/mining": self._mining,
                "/api/setting/preference": self._preference,
            }
            if request.path == "/":
                return html_response("<!doctype html><html><head><title>AxeOS</title></head><body></body></html>")
            if request.path in pages:
                return json_response(pages[request.path]())
            return text_response("Not found", 404)
        return self._written(request)

    def _written(self, request: Request) -> Response:
        place = (request.method, request.path)
        if place == ("POST", "/api/system/restart") and is_bare(request):
            if self.accept(line(request)):
                self.physics.resume(self.clock.now())  # a pause is forgotten
                self.used = dict(self.pools["primary"])
                self.restart()
            return text_response("System will restart shortly.")
        if place == ("POST", "/api/swarm/find") and is_bare(request):
            if self.accept(line(request)):
                self.found += 1
            return json_response({"status": "ok"})
        pages: Mapping[tuple[str, str], tuple[Check, Take]] = {
            ("PATCH", "/api/setting/mining"): (self._is_mining, self._take_mining),
            ("PATCH", "/api/setting/preference"): (self._is_preference, self._take_preference),
            ("PATCH", "/api/mining/state"): (self._is_state, self._take_state),
        }
        if place not in pages or (place[1] == "/api/mining/state" and not self.can_pause):
            self.write(line(request))
            return text_response("Not found", 404)
        check, take = pages[place]
        body = json_object(request) if len(request.body) < _LARGEST_BODY else None
        if not body or not check(body):
            self.write(line(request))
            return json_response({"error": "invalid json"}, 400)
        if self.accept(line(request)):
            take(body)
        return json_response({"status": "ok"})

    def _is_mining(self, body: dict[str, Any]) -> bool:
        pools, rest = body.get("stratum", {}), {key: value for key, value in body.items() if key != "stratum"}
        if not isinstance(pools, dict) or not set(pools) <= set(self.pools):
            return False
        if not all(isinstance(pool, dict) and set(pool) <= _POOL_KEYS for pool in pools.values()):
            return False
        return set(rest) <= {"asicVcoreReq", "asicFreqReq"} and all(_is_number(value) for value in rest.values())

    def _take_mining(self, body: dict[str, Any]) -> None:
        for name, pool in body.get("stratum", {}).items():
            self.pools[name] |= pool
        frequency, voltage = body.get("asicFreqReq"), body.get("asicVcoreReq")
        if frequency or voltage:
            hertz, volts = frequency and frequency * 1e6, voltage and voltage / 1e3
            self.physics.retune(self.clock.now(), frequency=hertz, core_voltage=volts)

    @staticmethod
    def _is_preference(body: dict[str, Any]) -> bool:
        fans = body.get("fans")
        if set(body) != {"fans"} or not isinstance(fans, list):
            return False
        return all(isinstance(fan, dict) and _is_fan(fan) for fan in fans)

    def _take_preference(self, body: dict[str, Any]) -> None:
        for fan in body["fans"]:
            self.fan |= {key: value for key, value in fan.items() if key != "id"}

    @staticmethod
    def _is_state(body: dict[str, Any]) -> bool:
        return set(body) == {"paused"} and isinstance(body["paused"], bool)

    def _take_state(self, body: dict[str, Any]) -> None:
        (self.physics.pause if body["paused"] else self.physics.resume)(self.clock.now())

    def _probe(self) -> dict[str, Any]:
        state = self.state()
        return {
            "model": self.profile.model,
            "hostname": self.hostname,
            "ver": self.version,
            "sw": 240,
            "sh": 135,
            "hr": round(state.hashrate),
            "sbd": state.session_best,
            "ebd": state.best,
            "ut": int(state.uptime),
        }

    @property
    def hostname(self) -> str:
        """The name it has from its MAC."""
        return "nmaxe-" + self.spec.mac.replace(":", "")[-6:]

    def _mining(self) -> dict[str, Any]:
        profile = self.physics.profile
        return {
            "vcoreReq": round(profile.core_voltage * 1e3),
            "freqReq": round(profile.frequency / 1e6),
            "asic": "BM1370",
            "stratum": {"used": self.used, **self.pools},
            "overclock": {"options": [{"name": f"{one}MHz", "value": one} for one in (490, 525, 550, 575, 600)]},
            "vcore": {"options": [{"name": f"{one}mV", "value": one} for one in (1150, 1200, 1250)]},
        }

    def _preference(self) -> dict[str, Any]:
        fan = {"id": 0, "rpm": self._fan_speed(self.state()), **self.fan}
        return {"screenFlip": 0, "Brightness": 80, "hwModel": "NMAxe", "displayName": "NMAxe", "fans": [fan]}

    def _fan_speed(self, state: State) -> int:
        return int(state.fans[0]) if self.fan["auto"] else int(self.profile.fan_max * self.fan["speed"] / 100.0)

    def info(self, state: State) -> dict[str, Any]:
        """/api/system/info."""
        paused, profile = state.state == "paused", self.physics.profile
        miner = {
            "hashRate": round(state.hashrate / 1e9, 3),
            "bestDiffEver": suffixed(state.best),
            "bestDiffSession": suffixed(state.session_best),
            "networkDiff": "130.00T",
            "poolDiff": f"{state.difficulty:.0f}",
            "lastDiff": f"{state.difficulty * 2:.0f}",
            "blkhits": 0,
            "freeHeap": 187_320,
            "minFreeHeap": 163_840,
            "sAccepted": state.accepted,
            "sRejected": state.rejected,
            "uptimeSeconds": int(state.uptime),
            "uptimeEver": int(state.uptime) + 2_000_000,
        }
        if self.can_pause:
            words = {"state": "paused" if paused else "running", "paused": paused, "pauseReason": "user" * paused}
            miner |= words
        return {
            "power": {"power": round(state.power, 2), "vbus": 5000, "ibus": round(state.power / 5.0 * 1e3)},
            "temps": {"vcore": round(state.regulator, 1), "asic": round(state.chip, 1)},
            "asic": {
                "count": 1,
                "model": "BM1370",
                "vcoreReq": round(profile.core_voltage * 1e3),
                "vcoreReal": round(state.boards[0].voltage * 1e3),
                "freqReq": round(profile.frequency / 1e6),
                "smallCoreCnt": 2040,
            },
            "miner": miner,
            "identity": {
                "fwVersion": self.version,
                "hwModel": "NMAxe",
                "displayName": "NMAxe",
                "hostName": self.hostname,
                "ssid": "example-net",
                "rssi": round(between(-80, -40, self.spec.seed, 91)),
                "appSha256": "0123456789abcdef",
            },
            "fans": [{"id": 0, "speed": self._duty(state), "rpm": self._fan_speed(state)}],
            "stratum": self.used,
        }

    def _duty(self, state: State) -> int:
        return round(state.duty * 100) if self.fan["auto"] else int(self.fan["speed"])
