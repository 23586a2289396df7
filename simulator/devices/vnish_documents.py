"""The documents of VNish's HTTP API, built from a state (xminer-api 0.1.0 as of 1.2.6 and 1.3.4).

Hash rates are in GH/s, the deprecated ones in TH/s; voltages of boards in mV, of presets in 10 mV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.chance import between, uniform
from simulator.devices.base import suffixed
from simulator.physics import BoardState, Physics, Profile, State

#: Words of `miner_state` for our states.
MINER_STATES = {
    "mining": "mining",
    "starting": "starting",
    "tuning": "auto-tuning",
    "paused": "stopped",
    "fault": "failure",
}


def uptime_text(seconds: float) -> str:
    """The form of `uptime`: "0:06", "5:41" or "10 days, 18:00"."""
    minutes = int(seconds) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days == 0:
        return f"{hours}:{rest:02d}"
    return f"{days} day{'s' if days > 1 else ''}, {hours}:{rest:02d}"


def clock_text(seconds: float) -> str:
    """The form of `ls_time`: "0:00:11"."""
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def status(state: State, *, throttled: bool) -> dict[str, Any]:
    """`miner_status`, also the first part of /status."""
    document: dict[str, Any] = {
        "miner_state": MINER_STATES[state.state],
        "miner_state_time": int(state.mining_uptime) if state.state == "mining" else 0,
    }
    if throttled:
        document["throttled"] = 100
    if state.state == "fault":
        document |= {"description": "Board overheated", "failure_code": 2003}
    return document


def board_row(board: BoardState, profile: Profile, seed: int) -> dict[str, Any]:
    """One element of `chains` in /summary."""
    orange = int(uniform(seed, 101, board.number) * 4) if board.chips else 0
    return {
        "id": board.number + 1,
        "frequency": round(board.frequency / 1e6, 1),
        "voltage": round(board.voltage * 1e3),
        "power_consumption": round(board.power),
        "hashrate_ideal": round(board.expected / 1e9, 3),
        "hashrate_rt": round(board.hashrate / 1e9, 3),
        "hashrate_percentage": round(board.hashrate * 100.0 / board.expected, 2) if board.expected else 0.0,
        "hr_error": 0.0,
        "hw_errors": board.hardware_errors,
        "pcb_temp": {"min": round(board.inlet), "max": round(board.outlet)},
        "chip_temp": {"min": round(board.chip_min), "max": round(board.chip_max)},
        "chip_statuses": {"red": 0, "orange": orange, "grey": board.chips - orange},
        "status": {"state": "mining" if board.chips and state_hashes(board) else "stopped"},
    }


def state_hashes(board: BoardState) -> bool:
    """Whether the board hashes now."""
    return board.hashrate > 0.0


def pool_rows(state: State, owned: Sequence[tuple[str, str]], *, devfee: bool) -> list[dict[str, Any]]:
    """The owner's pools by address and user, of which the first one serves, and the firmware developer's."""
    ago = state.time - state.last_share
    active = {
        "id": 0,
        "url": "",
        "pool_type": "UserPool",
        "user": "",
        "status": "active" if state.state in ("mining", "tuning") else "working",
        "asic_boost": True,
        "diff": suffixed(state.difficulty).upper(),
        "accepted": state.accepted,
        "rejected": state.rejected,
        "stale": state.stale,
        "ls_diff": state.difficulty if state.accepted else 0.0,
        "ls_time": clock_text(ago) if state.accepted else "0",
        "diffa": state.accepted * state.difficulty,
        "ping": round(between(8, 60, len(owned), 102, int(state.time) // 60)),
    }
    spare = active | {
        "status": "working",
        "diff": "",
        "accepted": 0,
        "rejected": 0,
        "stale": 0,
        "ls_diff": 0.0,
        "ls_time": "0",
        "diffa": 0.0,
        "ping": 0,
    }
    rows = [
        (spare if number else active) | {"id": number, "url": url, "user": user}
        for number, (url, user) in enumerate(owned)
    ]
    if devfee:
        fee = state.accepted // 40
        rows.append(
            spare
            | {
                "id": len(rows),
                "url": "DevFee",
                "pool_type": "DevFee",
                "user": "DevFee",
                "asic_boost": False,
                "diff": "16.4K",
                "accepted": fee,
                "ls_diff": 16384.0,
                "ls_time": "0:00:21",
                "diffa": fee * 16384.0,
            }
        )
    return rows


def summary(
    state: State,
    profile: Profile,
    seed: int,
    title: str,
    *,
    pools: Sequence[tuple[str, str]],
    cooling: Mapping[str, Any],
    v13: bool,
) -> dict[str, Any]:
    """/summary. `pools` are address and user of the owner's, `cooling` is the mode of the fans."""
    rate = state.hashrate / 1e9
    average = state.average / 1e9
    boards = [board_row(board, profile, seed) for board in state.boards] if state.state != "fault" else []
    fans = [
        {"id": number, "rpm": int(speed), "status": "ok" if speed else "lost", "max_rpm": int(profile.fan_max)}
        for number, speed in enumerate(state.fans)
    ]
    miner = {
        "miner_status": status(state, throttled=v13),
        "miner_type": title,
        "hr_stock": round(profile.hashrate / 1e9, 3),
        "average_hashrate": round(average / 1e3, 5),
        "instant_hashrate": round(rate / 1e3, 5),
        "hr_realtime": round(rate, 3),
        "hr_nominal": round(state.expected / 1e9, 3),
        "hr_average": round(average, 3),
        "pcb_temp": _span(boards, "pcb_temp"),
        "chip_temp": _span(boards, "chip_temp"),
        "power_consumption": round(state.power),
        "power_usage": round(state.power),
        "power_efficiency": round(state.power / (rate / 1e3), 6) if rate else 0.0,
        "hw_errors_percent": 0.0,
        "hr_error": 0.0,
        "hw_errors": state.hardware_errors,
        "devfee_percent": 2.0,
        "devfee": round(rate * 0.02, 4),
        "pools": pool_rows(state, pools, devfee=True),
        "cooling": {
            "fan_num": len(fans),
            "fans": fans,
            "settings": {"mode": dict(cooling) if v13 else {"name": cooling["name"]}},
            "fan_duty": round(state.duty * 100),
        },
        "chains": boards,
        "found_blocks": 0,
        "best_share": round(state.best),
        "psu": {
            "temps": {"pfc_temp": round(state.ambient + 18), "llc1_temp": round(state.ambient + 20), "llc2_temp": None},
            "psu_power_metering": True,
        },
    }
    if v13:
        miner["restart_count"] = 0
    return {"miner": miner}


def _span(boards: list[dict[str, Any]], key: str) -> dict[str, int]:
    if not boards:
        return {"min": 0, "max": 0}
    return {"min": min(row[key]["min"] for row in boards), "max": max(row[key]["max"] for row in boards)}


def boards(state: State, profile: Profile, physics: Physics, seed: int) -> list[dict[str, Any]]:
    """/chains of 1.2 and /boards of 1.3: every chip of every board."""
    rows = []
    for board in state.boards:
        clock = round(board.frequency / 1e6)
        each = board.hashrate / 1e9 / profile.chips if profile.chips else 0.0
        chips = [
            {
                "id": chip,
                "hr": round(each * (0.97 + 0.06 * uniform(seed, 111, board.number, chip)), 2),
                "freq": clock,
                "volt": round(board.voltage * 1e3 / profile.chips * 3),
                # Most chips have no sensor of their own.
                "temp": round(physics.chip_temperature(board, chip), 1) if chip % 8 == 0 else 0.0,
                "errs": int(board.hardware_errors * uniform(seed, 112, board.number, chip) / profile.chips),
                "grade": "orange" if uniform(seed, 113, board.number, chip) > 0.985 else "grey",
                "throttled": False,
            }
            for chip in range(board.chips)
        ]
        sensors = [
            {"state": "measure", "board": round(value - 14), "chip": round(value), "loc": place}
            for place, value in enumerate((board.chip_min, board.chip_avg, board.chip_max))
        ]
        rows.append(
            {
                "id": board.number + 1,
                "status": {"state": "mining" if state_hashes(board) else "stopped"},
                "hr_realtime": round(board.hashrate / 1e9, 3),
                "hr_nominal": round(board.expected / 1e9, 3),
                "freq": float(clock),
                "sensors": sensors,
                "chips": chips,
            }
        )
    return rows
