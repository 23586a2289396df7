"""Devices with a plain CGMiner, BFGMiner or sgminer API and nothing else.

BFGMiner calls its devices PGA, has windows of 20 s instead of 5 s, and still answers `version` with the key CGMiner
(luke-jr/bfgminer README.RPC, API 3.x). Commands that change something need privileged access (cgminer API-README,
api.c), which one of the models grants to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulator.clock import Clock
from simulator.devices import rows
from simulator.devices.base import DeviceSpec, RpcDevice, wallet
from simulator.devices.cgminer_pools import PoolList, read_added
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
    privileged: bool = False


PROGRAMS: Mapping[str, Program] = {
    "bfgminer": Program("bfgminer", "CGMiner", "5.5.0", "3.3", "MHS", "BES", "bitmain", joins=True),
    "cgminer": Program("cgminer", "CGMiner", "4.12.0", "3.7", "MHS", "GSF", "gekko", joins=True),
    "cgminer-open": Program("cgminer", "CGMiner", "4.12.0", "3.7", "MHS", "GSF", "gekko", joins=True, privileged=True),
    "sgminer": Program("sgminer", "SGMiner", "5.6.1", "4.0", "KHS", "BKLS", "baikal", joins=True),
    "old-cgminer": Program("cgminer", "CGMiner", "3.7.2", "1.32", "MHS", "AMU", "icarus", joins=False),
}


#: Seconds without an answer while the mining program restarts.
AWAY_SECONDS = 3.0


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
        "cgminer-open": _profile("CGMiner", 0.35e12, 25.0, 2),
        "sgminer": _profile("SGMiner", 0.09e12, 430.0, 3),
        "old-cgminer": _profile("CGMiner", 0.0135e12, 15.0, 1),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.program = PROGRAMS[spec.model]
        self.joins = self.program.joins
        self.bfg = spec.model == "bfgminer"
        self.description = f"{self.program.name} {self.program.version}"
        self.pools = PoolList(f"{wallet(spec.seed)}.stick")

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

    def rpc(self, payload: bytes) -> bytes | None:
        """Nothing comes while the program restarts."""
        return None if self.away else super().rpc(payload)

    def document(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The reply of one command."""
        if not self.program.privileged:
            if name == "privileged":
                return self.status("E", 45, "Access denied to 'privileged' command")
            return super().document(name, parameter)
        match name:
            case "privileged":
                return self.status("S", 46, "Privileged access OK")
            case "restart" if parameter is None:
                if self.accept("rpc restart"):
                    self.pools.forget_added()
                    self.restart(AWAY_SECONDS)
                return {"STATUS": "RESTART", "id": 1}
            case "addpool" | "switchpool":
                return self._change_pools(name, parameter or "")
        return super().document(name, parameter)

    def _change_pools(self, name: str, parameter: str) -> dict[str, Any]:
        asked = read_added(parameter) if name == "addpool" else self.pools.find(parameter)
        if asked is None:
            self.write(f"rpc {name}|***")
            if name == "addpool":
                return self.status("E", 53, f"Invalid addpool details '{parameter}'")
            most = len(self.pools.entries) - 1
            return self.status("E", 26, f"Invalid pool id {parameter} - range is 0 - {most}")
        if isinstance(asked, int):
            if self.accept(f"rpc switchpool|{asked}"):
                self.pools.switch(asked)
            return self.status("S", 27, f"Switching to pool {asked}:'{self.pools.entries[asked].url}'")
        number = len(self.pools.entries)
        if self.accept(f"rpc addpool|{asked.url},{asked.user},***"):
            self.pools.entries.append(asked)
            self.pools.order.append(number)
        return self.status("S", 55, f"Added pool {number}: '{asked.url}'")

    def text(self, document: dict[str, Any]) -> bytes:  # type: ignore[override]
        """The plain-text form; the reply to a restart is one bare word in it."""
        return b"RESTART" if document.get("STATUS") == "RESTART" else super().text(document)

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
                table = self.pools.rows(state)
                return self.section(7, f"{len(table)} Pool(s)", "POOLS", table)
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
