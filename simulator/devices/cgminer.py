"""Devices with a plain CGMiner, BFGMiner or sgminer API and nothing else.

BFGMiner calls its devices PGA, has windows of 20 s instead of 5 s, and still answers `version` with the key CGMiner
(luke-jr/bfgminer README.RPC, API 3.x).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulator.clock import Clock
from simulator.devices import rows
from simulator.devices.base import DeviceSpec, RpcDevice, wallet
from simulator.physics import Profile, State


@dataclass(frozen=True, slots=True)
class Program:
    """A mining program: its name and version, its key in `version`, the API version, the unit of hash rates."""

    name: str
    key: str
    version: str
    api: str
    unit: str
    device: str
    driver: str
    joins: bool


PROGRAMS: Mapping[str, Program] = {
    "bfgminer": Program("bfgminer", "CGMiner", "5.5.0", "3.3", "MHS", "BES", "bitmain", joins=True),
    "cgminer": Program("cgminer", "CGMiner", "4.12.0", "3.7", "MHS", "GSF", "gekko", joins=True),
    "sgminer": Program("sgminer", "SGMiner", "5.6.1", "4.0", "KHS", "BKLS", "baikal", joins=True),
    "old-cgminer": Program("cgminer", "CGMiner", "3.7.2", "1.32", "MHS", "AMU", "icarus", joins=False),
}


def _profile(model: str, hashrate: float, watts: float, boards: int) -> Profile:
    return Profile(model=model, hashrate=hashrate, power=watts, boards=boards, chips=8, fans=0, difficulty=512.0)


class Cgminer(RpcDevice):
    """A stick miner behind a mining program, or any other device that the generic driver has to understand."""

    kind = "cgminer"
    driver = "cgminer"
    make = "generic"
    tells_mac = False
    models: ClassVar[Mapping[str, Profile]] = {
        "bfgminer": _profile("BFGMiner", 1.3e12, 900.0, 2),
        "cgminer": _profile("CGMiner", 0.35e12, 25.0, 2),
        "sgminer": _profile("SGMiner", 0.09e12, 430.0, 3),
        "old-cgminer": _profile("CGMiner", 0.0135e12, 15.0, 1),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.program = PROGRAMS[spec.model]
        self.joins = self.program.joins
        self.bfg = spec.model == "bfgminer"
        self.description = f"{self.program.name} {self.program.version}"

    def _windows(self, row: dict[str, Any]) -> dict[str, Any]:
        if not self.bfg:
            return row
        now = row["MHS 5s"]
        kept = {key: value for key, value in row.items() if key not in ("MHS 5s", "MHS 1m", "MHS 5m", "MHS 15m")}
        return kept | {"MHS 20s": now, "MHS rolling": now}

    def _devices(self, state: State) -> list[dict[str, Any]]:
        count = self.profile.boards
        table = []
        for number in range(count):
            row = self._windows(rows.device(state, self.program.device, number, count, self.program.unit))
            table.append({"PGA": row.pop("ASC"), **row} if self.bfg else row)
        return table

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads; what needs privileges is refused with code 45, which is no failure."""
        state = self.state()
        unit = self.program.unit
        count = self.profile.boards
        row: dict[str, Any]
        match name:
            case "version":
                row = {self.program.key: self.program.version, "API": self.program.api}
                if self.bfg:
                    row["Miner"] = f"BFGMiner {self.program.version}"
                return self.section(22, f"{'BFGMiner' if self.bfg else self.program.key} versions", "VERSION", [row])
            case "summary":
                return self.section(11, "Summary", "SUMMARY", [self._windows(rows.summary(state, unit))])
            case "pools":
                user = f"{wallet(self.spec.seed)}.stick"
                return self.section(7, "2 Pool(s)", "POOLS", rows.pools(state, user))
            case "devs":
                return self.section(9, f"{count} {'PGA' if self.bfg else 'ASC'}(s)", "DEVS", self._devices(state))
            case "stats":
                table = [{"STATS": number, "ID": f"{self.program.device}{number}", "Elapsed": int(state.mining_uptime)}
                         for number in range(count)]  # fmt: skip
                return self.section(70, "CGMiner stats", "STATS", table)
            case "devdetails":
                row = {
                    "DEVDETAILS": 0,
                    "Name": self.program.device,
                    "ID": 0,
                    "Driver": self.program.driver,
                    "Model": "",
                }
                return self.section(69, "Device Details", "DEVDETAILS", [row])
            case "config":
                return self.status("E", 45, "Access denied to 'config' command")
        return None
