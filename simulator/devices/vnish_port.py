"""The port 4028 that VNish keeps open: a few commands of the CGMiner API, all for reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.devices import vnish_documents as documents
from simulator.devices.base import RpcDevice


class VnishPort(RpcDevice):
    """The answers of the port. `title` is the model with the firmware's name, `version` the firmware's."""

    joins = False
    title: str
    version: str

    def owned_pools(self) -> Sequence[tuple[str, str]]:
        """Address and user of the owner's pools."""
        raise NotImplementedError

    def invalid(self, name: str) -> dict[str, Any]:
        """VNish answers with code 0 and without an id."""
        reply = self.status("E", 0, "Invalid command")
        del reply["id"]
        return reply

    def written(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Nothing can be changed on this port."""
        return self.invalid(name)

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The few commands this firmware keeps; `version` is not among them."""
        match name:
            case "summary":
                return self._rpc_summary()
            case "stats":
                return self._rpc_stats()
            case "pools":
                return self._rpc_pools()
            case "devdetails":
                row = {"DEVDETAILS": 0, "Name": "BTM", "ID": 0, "Driver": "bitmain_drv", "Kernel": "", "Model": ""}
                return self.section(69, "Device Details", "DEVDETAILS", [row])
        return None

    def _rpc_summary(self) -> dict[str, Any]:
        state = self.state()
        row = {
            "Elapsed": int(state.mining_uptime),
            "GHS 5s": round(state.hashrate / 1e9, 2),
            "GHS av": round(state.average / 1e9, 2),
            "GHS 30m": round(state.hashrate_15m / 1e9, 2),
            "Found Blocks": 0,
            "Accepted": state.accepted,
            "Rejected": state.rejected,
            "Stale": state.stale,
            "Hardware Errors": state.hardware_errors,
            "Best Share": round(state.best),
            "Fee Percent": 2.0,
        }
        return self.section(11, "Summary", "SUMMARY", [row])

    def _rpc_pools(self) -> dict[str, Any]:
        rows = [
            {
                "POOL": row["id"],
                "URL": row["url"],
                "Type": 1 if row["pool_type"] == "DevFee" else 0,
                "User": row["user"],
                "Status": "Alive",
                "Diff": row["diff"],
                "Accepted": row["accepted"],
                "Rejected": row["rejected"],
                "Stale": row["stale"],
                "Last Share Difficulty": row["ls_diff"],
                "Last Share Time": row["ls_time"],
                "Stratum Active": row["status"] == "active",
                "Difficulty Accepted": row["diffa"],
            }
            for row in documents.pool_rows(self.state(), self.owned_pools(), devfee=True)
        ]
        return self.section(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _rpc_stats(self) -> dict[str, Any]:
        state = self.state()
        head = {"Type": self.title, "Miner": "0.0.0", "Cgminer": self.version, "CompileTime": "2026-01-15 12:00:00"}
        row: dict[str, Any] = {
            "Elapsed": int(state.mining_uptime),
            "GHS 5s": f"{state.hashrate / 1e9:.2f}",
            "GHS av": round(state.average / 1e9, 2),
            "fan_num": len(state.fans),
            "fan_pwm": round(state.duty * 100),
            "state": documents.MINER_STATES[state.state],
            "total_rate": round(state.hashrate / 1e9, 2),
        }
        for number, speed in enumerate(state.fans, 1):
            row[f"fan{number}"] = int(speed)
        for number, board in enumerate(state.boards, 1):
            row[f"temp{number}"] = round(board.outlet)
            row[f"temp2_{number}"] = round(board.chip_max)
            row[f"chain_rate{number}"] = round(board.hashrate / 1e9, 3)
            row[f"chain_rateideal{number}"] = round(board.expected / 1e9, 3)
            row[f"chain_consumption{number}"] = round(board.power)
            row[f"chain_hw{number}"] = board.hardware_errors
            row[f"chain_vol{number}"] = round(board.voltage * 1e3)
            row[f"freq_avg{number}"] = round(board.frequency / 1e6, 1)
            row[f"chain_acn{number}"] = board.chips
        return self.section(70, "CGMiner stats", "STATS", [head, row])
