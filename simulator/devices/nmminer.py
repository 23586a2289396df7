"""NMMiner: 0.3 broadcasts its status by UDP; 2.x has an HTTP API (NMminer1024's wiki)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.chance import between
from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, SimulatedDevice, suffixed, wallet
from simulator.http_server import Request, Response, html_response, json_response
from simulator.physics import Profile, State


def _profile(model: str, kilohash: float, difficulty: float) -> Profile:
    return Profile(model=model, hashrate=kilohash * 1e3, power=1.5, fans=0, chip_target=55.0, difficulty=difficulty)


class NMMiner(SimulatedDevice):
    """An ESP32 that hashes some hundred thousand times a second and tells it to everybody."""

    kind = "nmminer"
    driver = "nmminer"
    make = "NMMiner"
    tells_mac = False
    listens = ("udp",)
    broadcast_seconds = 2.0
    models: ClassVar[Mapping[str, Profile]] = {
        "nmlotto-0.3": _profile("NMLotto", 1010.0, 0.0005),
        "nm-cyd-0.3": _profile("ESP32-2432S028R", 640.0, 0.0005),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        # Board firmwares of 0.3 wrote either spelling.
        self.address_key = "IP" if spec.seed % 2 else "ip"

    def datagram(self) -> bytes | None:
        """The status broadcast."""
        return json.dumps(self.status(self.state())).encode()

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
            "PoolInUse": "pool.example.com:3333",
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

    @property
    def hostname(self) -> str:
        """The name it has from its MAC."""
        return "nm-cyd-" + self.spec.mac.replace(":", "")[-6:]

    def http(self, request: Request) -> Response:
        """Reads."""
        state = self.state()
        if request.method != "GET":
            self.write(f"{request.method} {request.path}")
            return json_response({"error": "not found"}, 404)
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
            "stratum": {"url": "pool.example.com:3333", "user": f"{wallet(self.spec.seed)}.nm"},
            "temps": {"vcore": round(state.chip, 1), "asic": None},
            "storage": {"fsTotal": 1_048_576, "fsUsed": 262_144},
        }
