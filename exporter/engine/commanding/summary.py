"""What of a reading the log of commands keeps: enough to see what a command changed."""

from __future__ import annotations

from typing import Any

from exporter.engine.commanding.planning import short_user
from exporter.model import Reading


def summary(reading: Reading | None) -> dict[str, Any]:
    """State, mode, hash rate (H/s), power (W), uptimes (s), frequencies (Hz), pool; without what is not known."""
    if reading is None:
        return {}
    active = next((pool for pool in reading.pools if pool.active and not pool.fee), None)
    frequencies = {board.frequency for board in reading.boards if board.frequency is not None}
    values: dict[str, Any] = {
        "state": None if reading.state is None else reading.state.value,
        "mode": reading.work_mode,
        "hashrate": reading.hashrate,
        "power": reading.power,
        "uptime": reading.uptime,
        "mining_uptime": reading.mining_uptime,  # what a restart of the mining alone is seen by
        "frequency": max(frequencies, default=None),
        "fault_light": reading.fault_light,
        "pool": None if active is None else active.url,
        "pool_user": None if active is None or active.user is None else short_user(active.user),
    }
    return {name: value for name, value in values.items() if value is not None}
