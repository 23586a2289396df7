"""NMMiner: 0.3 broadcasts its status by UDP and takes settings by UDP; 2.x has an HTTP API (NMminer1024's wiki)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.chance import between
from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, SimulatedDevice, suffixed, wallet
from simulator.devices.writes import described, is_bare, json_object, line
from simulator.http_server import Request, Response, html_response, json_response, text_response
from simulator.physics import Profile, State

#: Seconds until a changed pool is the one in use.
_RECONNECT_SECONDS = 2.0
_POOL_KEYS = frozenset(f"{name}{part}" for name in ("Primary", "Secondary") for part in ("Pool", "Address", "Password"))


def _profile(model: str, kilohash: float, difficulty: float) -> Profile:
    return Profile(model=model, hashrate=kilohash * 1e3, power=1.5, fans=0, chip_target=55.0, difficulty=difficulty)


class Pools:
    """The two pools of a miner in the keys of its settings, and when the first one came into use."""

    def __init__(self, seed: int) -> None:
        user = f"{wallet(seed)}.nm"
        self.settings = {
            "PrimaryPool": "stratum+tcp://pool.example.com:3333",
            "PrimaryAddress": user,
            "PrimaryPassword": "x",
            "SecondaryPool": "stratum+tcp://backup.example.com:3333",
            "SecondaryAddress": user,
            "SecondaryPassword": "x",
        }
        self._used = dict(self.settings)
        self._changed = 0.0

    @staticmethod
    def fits(body: Mapping[str, Any]) -> bool:
        """Whether `body` holds settings of pools only, of the right kind."""
        if not body or not set(body) <= _POOL_KEYS or not all(isinstance(value, str) for value in body.values()):
            return False
        urls = [value for key, value in body.items() if key.endswith("Pool")]
        return all(url.startswith(("stratum+tcp://", "stratum+ssl://")) for url in urls)

    def take(self, body: Mapping[str, Any], now: float) -> None:
        """Store settings; they are used when the miner has reconnected."""
        if any(self.settings[key] != value for key, value in body.items()):
            self.settings |= body
            self._changed = now

    def used(self, now: float) -> dict[str, str]:
        """The settings that the miner works by."""
        if now >= self._changed + _RECONNECT_SECONDS:
            self._used = dict(self.settings)
        return self._used

    def place(self, now: float) -> str:
        """Host and port of the pool in use."""
        return self.used(now)["PrimaryPool"].partition("://")[2]


class NMMiner(SimulatedDevice):
    """An ESP32 that hashes some hundred thousand times a second and tells it to everybody."""

    kind = "nmminer"
    driver = "nmminer"
    make = "NMMiner"
    tells_mac = False
    listens = ("udp",)
    broadcast_seconds = 2.0
    settings_port = 12347
    models: ClassVar[Mapping[str, Profile]] = {
        "nmlotto-0.3": _profile("NMLotto", 1010.0, 0.0005),
        "nm-cyd-0.3": _profile("ESP32-2432S028R", 640.0, 0.0005),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        # Board firmwares of 0.3 wrote either spelling.
        self.address_key = "IP" if spec.seed % 2 else "ip"
        self.pools = Pools(spec.seed)
        self.datagrams_taken = 0

    def datagram(self) -> bytes | None:
        """The status broadcast."""
        return json.dumps(self.status(self.state())).encode()

    def take_datagram(self, data: bytes) -> None:
        """Settings for this address; for all addresses they are taken as well, but nobody should send that.

        Keys of the Wi-Fi would be obeyed by a real one and lose it: they are recorded as what nobody should send.
        """
        self.datagrams_taken += 1
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.pop("IP", None) != self.address or not self.pools.fits(body):
            self.write(described("UDP", str(self.settings_port), data))
        elif self.accept(described("UDP", str(self.settings_port), data)):
            self.pools.take(body, self.clock.now())

    def status(self, state: State) -> dict[str, Any]:
        """The fields of the broadcast."""
        whole = int(state.uptime)
        uptime = f"{whole // 86400:03d}d {whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        return {
            self.address_key: self.address,
            "BoardType": self.profile.model,
            "HashRate": f"{state.hashrate / 1e3:.2f}K",
            "Share": f"{state.rejected}/{state.accepted}",
            "NetDiff": "130.00T",
            "PoolDiff": f"{state.difficulty:.4f}",
            "LastDiff": f"{state.difficulty * 1.4:.4f}",
            "BestDiff": suffixed(state.best, 4),
            "Valid": 0,
            "Progress": round(0.5 + 0.5 * between(-1, 1, self.spec.seed, int(state.time)), 3),
            "Temp": round(state.chip, 1),
            "RSSI": round(between(-80, -40, self.spec.seed, 91)),
            "FreeHeap": 164.2,
            "Uptime": f"{uptime}\r{uptime}",
            "Version": "v0.3.01",
            "PoolInUse": self.pools.place(self.clock.now()),
        }


class NMMinerHttp(SimulatedDevice):
    """Firmware 2.x: HTTP only, hash rate in GH/s in one place and in H/s in another."""

    kind = "nmminer-http"
    driver = "nmminer"
    make = "NMMiner"
    tells_mac = False
    models: ClassVar[Mapping[str, Profile]] = {
        "nmminer-2.0": _profile("NMMiner", 956.0, 0.0005),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.pools = Pools(spec.seed)
        self.found = 0

    @property
    def hostname(self) -> str:
        """The name it has from its MAC."""
        return "nm-cyd-" + self.spec.mac.replace(":", "")[-6:]

    def http(self, request: Request) -> Response:
        """What the wiki describes; everything else is 404."""
        if self.away:
            return Response(drop=True)
        state = self.state()
        if request.method != "GET":
            return self._written(request)
        match request.path:
            case "/":
                return html_response("<!doctype html><html><head><title>NMMiner</title></head><body></body></html>")
            case "/probe":
                return json_response(
                    {
                        "model": "NMMiner",
                        "hostname": self.hostname,
                        "ver": "v2.0.04",
                        "sw": 320,
                        "sh": 240,
                        "hr": round(state.hashrate),
                        "sbd": round(state.session_best, 4),
                        "ebd": round(state.best, 4),
                        "ut": int(state.uptime),
                    }
                )
            case "/alive":
                return json_response({"self": self.address, "ips": [self.address], "scanning": False, "progress": 0})
            case "/api/system/info":
                return json_response(self.info(state))
            case "/api/setting/mining":
                return json_response(self.pools.settings)
        return json_response({"error": "not found"}, 404)

    def _written(self, request: Request) -> Response:
        match request.method, request.path:
            case "POST", "/api/system/restart" if is_bare(request):
                if self.accept(line(request)):
                    self.restart()
                return json_response({"status": "ok"})
            case "POST", "/api/swarm/find" if is_bare(request):
                if self.accept(line(request)):
                    self.found += 1
                return json_response({"status": "ok"})
            case "POST", "/api/setting/mining":
                body = json_object(request)
                if body is None or not self.pools.fits(body):
                    self.write(line(request))
                    return text_response("invalid JSON", 400)
                if self.accept(line(request)):
                    self.pools.take(body, self.clock.now())
                return text_response("OK")
        self.write(f"{request.method} {request.path}")
        return json_response({"error": "not found"}, 404)

    def info(self, state: State) -> dict[str, Any]:
        """/api/system/info."""
        miner = {
            "hashRate": round(state.hashrate / 1e9, 9),
            "sAccepted": state.accepted,
            "sRejected": state.rejected,
            "uptimeSeconds": int(state.uptime),
            "uptimeEver": int(state.uptime) + 50_000,
            "networkDiff": "130000000000000.0000",
            "poolDiff": f"{state.difficulty:.5f}",
            "lastDiff": f"{state.difficulty * 1.4:.5f}",
            "bestDiffSession": f"{state.session_best:.5f}",
            "bestDiffEver": f"{state.best:.5f}",
            "blkhits": 0,
            "freeHeap": 118_400,
            "minFreeHeap": 94_300,
        }
        return {
            "identity": {
                "hwModel": "NMMiner",
                "hostName": self.hostname,
                "fwVersion": "v2.0.04",
                "rssi": round(between(-80, -40, self.spec.seed, 91)),
            },
            "miner": miner,
            "stratum": {
                "url": self.pools.place(self.clock.now()),
                "user": self.pools.used(self.clock.now())["PrimaryAddress"],
            },
            "temps": {"vcore": round(state.chip, 1), "asic": None},
            "storage": {"fsTotal": 1_048_576, "fsUsed": 262_144},
        }
