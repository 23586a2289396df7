"""Port 4028 of Bitmain's firmware, for reading. An S9 numbers its boards 6 to 8 and forgets a comma in `stats`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.chance import mix
from simulator.devices import rows
from simulator.devices.base import RpcDevice, suffixed
from simulator.devices.vnish_documents import clock_text
from simulator.physics import State


@dataclass(frozen=True, slots=True)
class Generation:
    """How a model's firmware answers."""

    cgi: str  # "modern", "old" or "none"
    miner: str
    compiled: str
    slots: tuple[int, ...]
    fans: tuple[int, ...]
    joins: bool = True
    missing_comma: bool = False
    texts: bool = False
    drops_first: bool = False


_FOUR = (1, 2, 3, 4)
GENERATIONS: Mapping[str, Generation] = {
    "s19": Generation("modern", "49.0.1.3", "Fri Mar 10 10:20:30 CST 2023", (1, 2, 3), _FOUR),
    "s21": Generation("modern", "88.0.1.3", "Mon Feb 12 09:10:11 CST 2024", (1, 2, 3), _FOUR, joins=False),
    "s19-drops": Generation("modern", "49.0.1.3", "Fri Mar 10 10:20:30 CST 2023", (1, 2, 3), _FOUR, drops_first=True),
    "s17": Generation("old", "49.0.1.3", "Tue Nov 05 08:07:06 CST 2019", (1, 2, 3), _FOUR, texts=True),
    "s9": Generation(
        "none", "16.8.1.3", "Thu Jun 15 12:13:14 CST 2017", (6, 7, 8), (3, 6), missing_comma=True, texts=True
    ),
    "s9-web": Generation(
        "old", "16.8.1.3", "Thu Jun 15 12:13:14 CST 2017", (6, 7, 8), (3, 6), missing_comma=True, texts=True
    ),
}


class AntminerPort(RpcDevice):
    """The answers of the port."""

    description = "cgminer 1.0.0"
    generation: Generation

    def owned_pools(self) -> Sequence[Mapping[str, str]]:
        """The pools as they are set."""
        raise NotImplementedError

    def pool_rows(self, state: State) -> list[dict[str, Any]]:
        """The rows of `pools`: the first pool serves."""
        ago = clock_text(state.time - state.last_share) if state.accepted else "0"
        table = rows.pools(state, "", count=3, last_share=ago)
        for row, pool in zip(table, self.owned_pools(), strict=True):
            row["URL"], row["User"] = pool["url"], pool["user"]
            row["Diff"] = suffixed(state.difficulty).upper() if row["POOL"] == 0 else ""
            # The firmware's own misspellings.
            row["Pool Stale%%"] = row.pop("Pool Stale%")
            if row["POOL"] == 2:
                row["Status"] = "Deed"
        return table

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads."""
        state = self.state()
        match name:
            case "version":
                row = {
                    "BMMiner": "1.0.0",
                    "API": "3.1",
                    "Miner": self.generation.miner,
                    "CompileTime": self.generation.compiled,
                    "Type": self.profile.model,
                }
                return self.section(22, "CGMiner versions", "VERSION", [row])
            case "summary":
                row = rows.summary(state, "GHS") | {"GHS 30m": round(state.hashrate_15m / 1e9, 2)}
                if self.generation.texts:
                    row["GHS 5s"] = f"{row['GHS 5s']:.3f}"
                return self.section(11, "Summary", "SUMMARY", [row])
            case "pools":
                return self.section(7, "3 Pool(s)", "POOLS", self.pool_rows(state))
            case "stats":
                return self.rendered(name, lambda: self.section(70, "CGMiner stats", "STATS", self._stats_rows(state)))
            case "devs":
                return self.section(9, "1 ASC(s)", "DEVS", [self._dev_row(state)])
            case "config" | "devdetails":
                return self.status("E", 45, f"Access denied to '{name}' command")
        return None

    def _dev_row(self, state: State) -> dict[str, Any]:
        row = rows.device(state, "BTM_SOC")
        row["Tenperature"] = row.pop("Temperature")
        # What is called MHS holds GH/s on an S21 and nothing on the others.
        known = self.spec.model == "s21"
        row["MHS 5s"] = round(state.hashrate / 1e9, 2) if known else 0.0
        row["MHS av"] = round(state.average / 1e9, 2) if known else 0.0
        return row

    def _stats_rows(self, state: State) -> list[dict[str, Any]]:
        generation = self.generation
        head = {
            "BMMiner": "1.0.0",
            "Miner": generation.miner,
            "CompileTime": generation.compiled,
            "Type": self.profile.model,
        }
        now = round(state.hashrate / 1e9, 2)
        clock = round(state.boards[0].frequency / 1e6)
        row: dict[str, Any] = {
            "STATS": 0,
            "ID": "BC50" if generation.texts else "BTM_SOC0",
            "Elapsed": int(state.mining_uptime),
            "Calls": 0,
            "Wait": 0.0,
            "Max": 0.0,
            "Min": 99999999.0,
            "GHS 5s": f"{now:.2f}" if generation.texts else now,
            "GHS av": round(state.average / 1e9, 2),
            "miner_count": len(state.boards),
            "frequency": str(clock) if generation.texts else clock,
            "fan_num": len(state.fans),
        }
        last = 8 if generation.texts else 4
        speeds = dict(zip(generation.fans, state.fans, strict=True))
        row |= {f"fan{number}": int(speeds.get(number, 0)) for number in range(1, last + 1)}
        boards = dict(zip(generation.slots, state.boards, strict=True))
        for slot in range(1, (16 if generation.texts else 4) + 1):
            board = boards.get(slot)
            row[f"temp{slot}"] = round(board.outlet) if board else 0
            row[f"temp2_{slot}"] = round(board.chip_max) if board else 0
            row[f"freq_avg{slot}"] = round(board.frequency / 1e6, 2) if board else 0.0
            row[f"chain_acn{slot}"] = board.chips if board else 0
            row[f"chain_acs{slot}"] = " " + chip_letters(board.chips) if board else ""
            row[f"chain_hw{slot}"] = board.hardware_errors if board else 0
            row[f"chain_rate{slot}"] = f"{board.hashrate / 1e9:.2f}" if board else ""
            row[f"chain_rateideal{slot}"] = round(board.expected / 1e9, 2) if board else 0.0
            if not generation.texts:
                cool, hot = (round(board.chip_min), round(board.chip_max)) if board else (0, 0)
                row[f"temp_chip{slot}"] = f"{cool}-{cool}-{hot}-{hot}"
                inlet, outlet = (round(board.inlet), round(board.outlet)) if board else (0, 0)
                row[f"temp_pcb{slot}"] = f"{inlet}-{inlet}-{outlet}-{outlet}"
        row |= {
            "total_rateideal": round(state.expected / 1e9, 2),
            "total_acn": sum(board.chips for board in state.boards),
            "total_rate": now,
            "temp_max": max(round(board.outlet) for board in state.boards),
            "Device Hardware%": 0.0005,
            "no_matching_work": state.hardware_errors,
            "miner_version": generation.miner,
            "miner_id": f"{mix(self.spec.seed, 9):016x}",
        }
        if not generation.texts:
            row["rate_unit"] = "GH"
        return [head, row]

    def encode(self, document: dict[str, Any], name: str) -> bytes:
        """Old firmware forgets the comma between the rows of `stats`."""
        data = json.dumps(document, separators=(",", ":")).encode()
        if name == "stats" and self.generation.missing_comma:
            return data.replace(b'"},{"STATS":0', b'"}{"STATS":0')
        return data


def chip_letters(chips: int) -> str:
    """ "ooo ooo ..." with a letter per chip."""
    letters = "o" * chips
    return " ".join(letters[start : start + 8] for start in range(0, chips, 8))
