"""Devices that no driver of ours is made for, and hosts that are no miners: what a scan has to tell apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.devices import rows
from simulator.devices.base import RpcDevice, SimulatedDevice, wallet
from simulator.http_server import HttpPolicy, Request, Response, html_response, json_response
from simulator.physics import Profile, State


def _profile(model: str, terahash: float, watts: float, boards: int = 3, fans: int = 2) -> Profile:
    return Profile(
        model=model,
        hashrate=terahash * 1e12,
        power=watts,
        boards=boards,
        chips=105,
        fans=fans,
        frequency=600e6,
        core_voltage=13.0,
        chip_target=78.0,
        difficulty=65536.0,
    )


class Whatsminer(RpcDevice):
    """Whatsminer API v2 on 4028: `cmd` for some commands, `command` for others."""

    kind = "whatsminer"
    driver = "cgminer"
    make = "MicroBT"
    joins = False
    description = "btminer"
    models: ClassVar[Mapping[str, Profile]] = {"m30s-v2": _profile("M30S+_VE40", 100.0, 3400.0)}

    def rpc(self, payload: bytes) -> bytes | None:
        """Requests with `cmd` are answered by another part of the firmware, with a plain status."""
        try:
            request = json.loads(payload.rstrip(b"\0"))
        except ValueError:
            return super().rpc(payload)
        if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
            return super().rpc(payload)
        name = request["cmd"]
        if "token" in request or "enc" in request or name not in _WHATSMINER_READS:
            if name in _WHATSMINER_READS or name in ("summary", "devs", "edevs", "pools"):
                return super().rpc(json.dumps({"command": name}).encode())
            self.write(f"rpc cmd {name}")
            return self.encode(self._plain(14, "invalid cmd", "E"), name)
        return self.encode(self._plain(131, self._read(name), "S"), name)

    def _plain(self, code: int, message: Any, letter: str) -> dict[str, Any]:
        return {
            "STATUS": letter,
            "When": int(self.clock.now()),
            "Code": code,
            "Msg": message,
            "Description": "whatsminer v2.0.5",
        }

    def _read(self, name: str) -> dict[str, Any]:
        match name:
            case "get_version":
                return {"api_ver": "whatsminer v2.0.5", "fw_ver": "20230911.12.REL", "miner_type": self.profile.model}
            case "get_miner_info":
                return {"ip": self.address, "mac": self.spec.mac.upper(), "hostname": "WhatsMiner"}
        return {"btmineroff": "false", "Firmware Version": "'20230911.12.REL'", "power_mode": "Normal"}

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads."""
        state = self.state()
        match name:
            case "summary":
                return self.section(11, "Summary", "SUMMARY", [self._summary(state)])
            case "devs" | "edevs":
                table = [rows.device(state, "SM", number, 3) | {"Slot": number} for number in range(3)]
                return self.section(9, "3 ASC(s)", "DEVS", table)
            case "pools":
                return self.section(7, "2 Pool(s)", "POOLS", rows.pools(state, f"{wallet(self.spec.seed)}.wm"))
            case "version" | "get_version":
                return self._plain(131, self._read("get_version"), "S")
        return None

    def _summary(self, state: State) -> dict[str, Any]:
        hottest = max(board.outlet for board in state.boards)
        return rows.summary(state) | {
            "HS RT": round(state.hashrate / 1e6, 2),
            "Temperature": round(hottest, 1),
            "freq_avg": 600,
            "Fan Speed In": int(state.fans[0]),
            "Fan Speed Out": int(state.fans[1]),
            "Power": round(state.power),
            "Power Mode": "Normal",
            "Factory GHS": round(self.profile.hashrate / 1e9),
            "Env Temp": round(state.ambient, 1),
            "Chip Temp Min": round(min(board.chip_min for board in state.boards), 1),
            "Chip Temp Max": round(max(board.chip_max for board in state.boards), 1),
            "Chip Temp Avg": round(state.chip, 1),
            "Uptime": int(state.uptime),
            "Power Limit": round(self.profile.power),
            "MAC": self.spec.mac.upper(),
            "Firmware Version": "'20230911.12.REL'",
        }


_WHATSMINER_READS = frozenset({"get_version", "get_miner_info", "status", "get_psu", "get_error_code"})


class Braiins(RpcDevice):
    """Braiins OS since 25.x: on 4028 only `version` is left."""

    kind = "braiins"
    make = "Bitmain"
    tells_mac = False
    joins = False
    listens = ("http", "rpc")
    description = "BOSer boser-buildroot 0.1.0-00000000"
    models: ClassVar[Mapping[str, Profile]] = {"s19-25.05": _profile("Antminer S19", 95.0, 3250.0, fans=4)}

    def http(self, request: Request) -> Response:
        """The start page of the user interface."""
        if request.method != "GET":
            self.write(f"{request.method} {request.path}")
            return Response(405)
        page = "<!doctype html><html><head><title>Braiins OS</title></head><body></body></html>"
        return html_response(page) if request.path == "/" else Response(404)

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Only `version`."""
        if name != "version":
            return None
        row = {"API": "3.7", "BOSer": "boser-buildroot 0.1.0-00000000"}
        return self.section(22, "BOSer versions", "VERSION", [row])


class LuxOS(RpcDevice):
    """LuxOS: GH/s in `summary`; everything that changes something needs the one session."""

    kind = "luxos"
    driver = "cgminer"
    make = "Bitmain"
    tells_mac = False
    description = "LUXminer 2025.6.2.0-00000000"
    writes = RpcDevice.writes | {
        "logon",
        "logoff",
        "profileset",
        "curtail",
        "fanset",
        "ledset",
        "rebootdevice",
        "resetminer",
        "atmset",
    }
    models: ClassVar[Mapping[str, Profile]] = {"s19kpro": _profile("Antminer S19k Pro", 120.0, 2760.0, fans=4)}

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads that need no session."""
        state = self.state()
        match name:
            case "version":
                row = {
                    "API": "3.7",
                    "LUXminer": "2025.6.2.0-00000000",
                    "Miner": "2025.6.2.0",
                    "Type": self.profile.model,
                }
                return self.section(22, "LUXminer versions", "VERSION", [row])
            case "summary":
                return self.section(11, "Summary", "SUMMARY", [rows.summary(state, "GHS")])
            case "pools":
                return self.section(7, "2 Pool(s)", "POOLS", rows.pools(state, f"{wallet(self.spec.seed)}.lux"))
            case "power":
                return self.section(348, "Power Consumption", "POWER", [{"PSU": False, "Watts": round(state.power)}])
            case "session":
                return self.section(316, "Session information", "SESSION", [{"SessionID": ""}])
        return None


class Epic(SimulatedDevice):
    """ePIC: HTTP on port 4028."""

    kind = "epic"
    make = "Bitmain"
    tells_mac = False
    listens = ("rpc",)
    http_on_rpc = True
    models: ClassVar[Mapping[str, Profile]] = {"s19xp": _profile("AntMiner S19 XP", 141.0, 3010.0, fans=4)}
    http_policy = HttpPolicy(server="rouille")

    def http(self, request: Request) -> Response:
        """Two of the reads."""
        state = self.state()
        if request.method != "GET":
            self.write(f"{request.method} {request.path}")
            return Response(404)
        match request.path:
            case "/capabilities":
                return json_response({"Model": self.profile.model, "Chip Type": "BM1366", "Max HBs": 3})
            case "/summary":
                return json_response(
                    {
                        "Status": {"Operating State": "Mining"},
                        "Session": {"Average MHs": round(state.average / 1e6, 1), "Uptime": int(state.uptime)},
                        "Power Supply Stats": {"Input Power": round(state.power, 1)},
                    }
                )
        return Response(404)


class NoMiner(SimulatedDevice):
    """A host with a web page that is no miner: a scan must leave it alone."""

    kind = "no-miner"
    tells_mac = False
    models: ClassVar[Mapping[str, Profile]] = {
        "router": Profile("router", 0.0, 8.0, boards=0, fans=0),
        "printer": Profile("printer", 0.0, 12.0, boards=0, fans=0),
    }

    def http(self, request: Request) -> Response:
        """A login page, or a printer's status."""
        if request.method not in ("GET", "HEAD"):
            self.write(f"{request.method} {request.path}")
            return Response(405, close=True)
        if self.spec.model == "printer":
            page = "<html><head><title>Laser 2000</title></head><body>Toner 61 %</body></html>"
            return html_response(page) if request.path == "/" else Response(404)
        if request.path == "/login.html":
            return html_response("<html><head><title>Router login</title></head><body><form></form></body></html>")
        return Response(302, b"", "text/html", (("Location", "/login.html"),))
