"""Rows of the CGMiner API that several families send, in the unit a family uses (ckolivas/cgminer API-README)."""

from __future__ import annotations

from typing import Any

from simulator.physics import State


def rates(state: State, unit: str) -> dict[str, Any]:
    """Hash rates as `MHS`, `KHS` or `GHS` fields."""
    scale = {"KHS": 1e3, "MHS": 1e6, "GHS": 1e9}[unit]
    if unit == "GHS":
        return {"GHS 5s": round(state.hashrate / scale, 2), "GHS av": round(state.average / scale, 2)}
    return {
        f"{unit} av": round(state.average / scale, 2),
        f"{unit} 5s": round(state.hashrate / scale, 2),
        f"{unit} 1m": round(state.hashrate_1m / scale, 2),
        f"{unit} 5m": round(state.hashrate_15m / scale, 2),
        f"{unit} 15m": round(state.hashrate_15m / scale, 2),
    }


def _percent(part: float, whole: float) -> float:
    return round(part * 100.0 / whole, 4) if whole else 0.0


def summary(state: State, unit: str = "MHS") -> dict[str, Any]:
    """The row of `summary`."""
    work = state.accepted + state.rejected + state.stale
    minutes = max(state.mining_uptime, 1.0) / 60.0
    return {
        "Elapsed": int(state.mining_uptime),
        **rates(state, unit),
        "Found Blocks": 0,
        "Getworks": int(state.mining_uptime / 30),
        "Accepted": state.accepted,
        "Rejected": state.rejected,
        "Hardware Errors": state.hardware_errors,
        "Utility": round(state.accepted / minutes, 2),
        "Discarded": 0,
        "Stale": state.stale,
        "Get Failures": 0,
        "Local Work": int(state.mining_uptime * 4),
        "Remote Failures": 0,
        "Network Blocks": int(state.mining_uptime / 600),
        "Total MH": round(state.hashes / 1e6, 4),
        "Work Utility": round(state.accepted * state.difficulty / minutes, 2),
        "Difficulty Accepted": state.accepted * state.difficulty,
        "Difficulty Rejected": state.rejected * state.difficulty,
        "Difficulty Stale": state.stale * state.difficulty,
        "Best Share": round(state.best),
        "Device Hardware%": _percent(state.hardware_errors, state.hardware_errors + work * 50),
        "Device Rejected%": _percent(state.rejected, work),
        "Pool Rejected%": _percent(state.rejected, work),
        "Pool Stale%": _percent(state.stale, work),
        "Last getwork": int(state.time),
    }


def pools(state: State, user: str, *, count: int = 2, last_share: Any = None) -> list[dict[str, Any]]:
    """The rows of `pools`: the first one serves, the others wait. `last_share` replaces the Unix time."""
    rows = []
    for number in range(count):
        serves = number == 0
        accepted = state.accepted if serves else 0
        share_time = (int(state.last_share) if accepted else 0) if last_share is None else last_share
        rows.append(
            {
                "POOL": number,
                "URL": f"stratum+tcp://{('pool', 'backup', 'third')[number]}.example.com:333{3 + number}",
                "Status": "Alive",
                "Priority": number,
                "Quota": 1,
                "Long Poll": "N",
                "Getworks": int(state.mining_uptime / 30) if serves else 0,
                "Accepted": accepted,
                "Rejected": state.rejected if serves else 0,
                "Discarded": 0,
                "Stale": state.stale if serves else 0,
                "Get Failures": 0,
                "Remote Failures": 0,
                "User": user,
                "Last Share Time": share_time if serves else 0 if last_share is None else "0",
                "Diff1 Shares": int(accepted * state.difficulty),
                "Proxy Type": "",
                "Proxy": "",
                "Difficulty Accepted": accepted * state.difficulty,
                "Difficulty Rejected": state.rejected * state.difficulty if serves else 0.0,
                "Difficulty Stale": state.stale * state.difficulty if serves else 0.0,
                "Last Share Difficulty": state.difficulty if accepted else 0.0,
                "Has Stratum": True,
                "Stratum Active": serves,
                "Stratum URL": "pool.example.com" if serves else "",
                "Has GBT": False,
                "Best Share": round(state.best) if serves else 0,
                "Pool Rejected%": _percent(state.rejected, state.accepted + state.rejected) if serves else 0.0,
                "Pool Stale%": 0.0,
            }
        )
    return rows


def device(state: State, name: str, number: int = 0, of: int = 1, unit: str = "MHS") -> dict[str, Any]:
    """A row of `devs`: one device's share of the whole."""
    board = state.boards[number] if of == len(state.boards) else state.boards[0]
    scale = {"KHS": 1e3, "MHS": 1e6, "GHS": 1e9}[unit]
    rate = board.hashrate if of == len(state.boards) else state.hashrate
    return {
        "ASC": number,
        "Name": name,
        "ID": number,
        "Enabled": "Y",
        "Status": "Alive",
        "Temperature": round(board.outlet, 2),
        f"{unit} av": round(state.average / of / scale, 2),
        f"{unit} 5s": round(rate / scale, 2),
        "Accepted": state.accepted // of,
        "Rejected": state.rejected // of,
        "Hardware Errors": board.hardware_errors if of == len(state.boards) else state.hardware_errors,
        "Utility": round(state.accepted / of / (max(state.mining_uptime, 1.0) / 60.0), 2),
        "Last Share Pool": 0,
        "Last Share Time": int(state.last_share),
        "Total MH": round(state.hashes / of / 1e6, 4),
        "Diff1 Work": int(state.accepted * state.difficulty / of),
        "Difficulty Accepted": state.accepted * state.difficulty / of,
        "Difficulty Rejected": state.rejected * state.difficulty / of,
        "Last Share Difficulty": state.difficulty,
        "Last Valid Work": int(state.time),
        "Device Hardware%": 0.0,
        "Device Rejected%": _percent(state.rejected, state.accepted + state.rejected),
        "Device Elapsed": int(state.mining_uptime),
    }
